"""The other commands, against a daemon on a socket and a guard that runs: check, keys, policy, audit."""

import asyncio
import errno
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from guard.cli.demo import hash_of
from guard.cli.probe import other_ports
from guard.cli.serve import KEYLESS
from guard.simulator import Simulator
from guard.simulator.keys import Key
from guard.upstream.origin import Origin
from tests.support.daemon import running_simulator
from tests.support.guards import OPEN_POLICY, ask, key, lay_out, lines, order, record, running
from tests.support.processes import GUARD, environment, run, run_here
from tests.support.tls import write_pair

DAEMON_KEY: Final = "fc_test"
TLS: Final = '[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'
NO_DAEMON: Final = "http://127.0.0.1:1"
ALL: Final = frozenset({"qot:read", "acc:read", "trade:simulate", "trade:real", "admin"})
Done = subprocess.CompletedProcess[str]


def _known(*scopes: str) -> Key:
    return Key("guard", hash_of(DAEMON_KEY).removeprefix("sha256:"), frozenset(scopes or ALL))


async def _check(
    simulator: Simulator | None, folder: Path, *words: object, env: Mapping[str, str] | None = None
) -> Done:
    """`guard check` in `folder`, with the daemon's key in the environment, before this daemon."""
    variables = {"GUARD_DAEMON_KEY": DAEMON_KEY, **(env or {})}
    if simulator is None:
        return await asyncio.to_thread(run_here, "check", "--daemon", NO_DAEMON, *words, cwd=folder, env=variables)
    async with running_simulator(simulator) as url:
        return await asyncio.to_thread(run_here, "check", "--daemon", url, *words, cwd=folder, env=variables)


def _level(done: Done, level: str) -> list[str]:
    """The findings of one level, as they are printed."""
    return [line.strip().removeprefix(level).strip() for line in done.stdout.splitlines() if line.split()[0] == level]


def _names(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def _texts(folder: Path) -> list[str]:
    return [path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()]


# ---------------------------------------------------------------- check


async def test_check_finds_nothing_wrong_and_changes_nothing(tmp_path: Path) -> None:
    """A good folder before a daemon in scope mode: exit 0, the accounts told, not a file touched."""
    lay_out(tmp_path)
    simulator = Simulator(keys=(_known(),), profile="runtime")
    before = _names(tmp_path)

    done = await _check(simulator, tmp_path)

    assert (done.returncode, done.stderr, _level(done, "wrong")) == (0, "", [])
    told = "\n".join(_level(done, "ok"))
    assert "scope mode: it wants keys" in told
    assert "opens market data (qot:read), accounts (acc:read), administration (admin)" in told
    assert "account 123456 real, card ending in 5678: " in told
    assert "account 9032 simulate: FUTURES_HK, FUTURES_US, HK, US" in told
    assert "state: will be made, mode 0700" in told
    assert _names(tmp_path) == before
    assert {(seen.method, seen.path) for seen in simulator.requests} == {
        ("GET", "/api/ping"),
        ("GET", "/api/global-state"),
        ("GET", "/api/accounts"),
        ("GET", "/api/admin/status"),
    }


async def test_check_tells_a_thing_once(tmp_path: Path) -> None:
    """What is wrong with the daemon's address is met by the settings' files and by the question to the daemon."""
    lay_out(tmp_path)

    done = await asyncio.to_thread(run_here, "check", "--daemon", "http://127.0.0.1:1/api", cwd=tmp_path)

    told = [one for one in _level(done, "wrong") if one.startswith("daemon.url: write scheme, host and port only")]
    assert len(told) == 1


async def test_check_finds_settings_that_were_replaced_behind_their_mount(tmp_path: Path) -> None:
    """In a container with that file mounted by itself: what is checked is not what the next start reads."""
    lay_out(tmp_path)
    with (tmp_path / "guard.toml").open("rb") as mounted:
        (tmp_path / "guard.toml").unlink()
        (tmp_path / "guard.toml").symlink_to(f"/proc/{os.getpid()}/fd/{mounted.fileno()}")
        done = await _check(None, tmp_path)

    assert "mount its folder" in " ".join(_level(done, "wrong"))


async def test_check_finds_a_limit_whose_variable_is_misspelt(tmp_path: Path) -> None:
    """It would bind nobody, and nothing else says so."""
    lay_out(tmp_path)

    done = await _check(None, tmp_path, env={"GUARD_MAX_ORDERS_VALUE": "500"})

    told = "GUARD_MAX_ORDERS_VALUE: is no variable of the guard and does nothing; GUARD_MAX_ORDER_VALUE is one"
    assert told in _level(done, "weak")


async def test_check_finds_doors_that_will_not_open(tmp_path: Path) -> None:
    """A certificate that is not there, and two listeners at one address: a start fails on each."""
    (lay_out(tmp_path)).write_text('[listen]\ntls_cert = "absent.pem"\ntls_key = "key.pem"\n')
    pair = f"{tmp_path}/absent.pem with {tmp_path}/key.pem"

    done = await _check(None, tmp_path, "--listen", "127.0.0.1:22501")

    assert done.returncode == 1
    assert _level(done, "wrong") == [
        "listen.data and listen.ops: both are 127.0.0.1:22501; give each an address of its own",
        f"listen.tls_cert: {pair} cannot be loaded: No such file or directory ({tmp_path}/absent.pem)",
    ]


@pytest.mark.parametrize(
    ("simulator", "code", "level", "told"),
    [
        (None, 0, "weak", "the guard starts, but orders will not get through"),
        (Simulator(legacy=True), 0, "weak", "legacy mode: it refuses every trade until it has a keys file of its own"),
        (Simulator(keys=(), profile="runtime"), 1, "wrong", "the daemon does not know the guard's key"),
        (Simulator(keys=(_known("qot:read"),), profile="runtime"), 1, "wrong", "no account list, and so no orders"),
        (
            Simulator(keys=(_known("acc:read", "qot:read"),), profile="runtime"),
            0,
            "ok",
            "the guard's daemon key opens market data (qot:read), accounts (acc:read); not administration (admin)",
        ),
    ],
    ids=["down", "legacy", "unknown key", "no acc:read", "no admin"],
)
async def test_check_tells_what_the_daemon_is(
    tmp_path: Path, simulator: Simulator | None, code: int, level: str, told: str
) -> None:
    """Down, in legacy mode, not knowing the key, or not opening enough: each is a finding of its own."""
    lay_out(tmp_path)

    done = await _check(simulator, tmp_path)

    assert done.returncode == code, done.stdout
    assert any(told in line for line in _level(done, level)), done.stdout


async def test_check_without_a_daemon_key(tmp_path: Path) -> None:
    """Trading would get nowhere: wrong, with what to do, once; without trading it is weak."""
    lay_out(tmp_path)

    done = await _check(Simulator(keys=(_known(),)), tmp_path, env={"GUARD_DAEMON_KEY": ""})
    off = await _check(Simulator(keys=(_known(),)), tmp_path, "--disable-trading", env={"GUARD_DAEMON_KEY": ""})

    assert (done.returncode, _level(done, "wrong"), "no daemon key" in done.stdout) == (1, [KEYLESS], False)
    assert (off.returncode, _level(off, "wrong")) == (0, [])
    assert "no daemon key: set daemon.key_file or GUARD_DAEMON_KEY" in _level(off, "weak")


async def test_other_doors_of_the_daemon_are_found() -> None:
    """A port that accepts connections beside the REST port is told; closed ones are told as closed."""
    daemon = Origin("http", "127.0.0.1", 9)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        open_ = await other_ports(daemon, {port: "native TCP", 1: "gRPC", 9: "REST"})
    shut = await other_ports(daemon, {1: "gRPC", 9: "REST"})

    assert (open_.level, shut.level) == ("weak", "ok")
    assert f"open on 127.0.0.1 beside the daemon's REST port: {port} (native TCP); " in open_.what
    assert shut.what == "none of the daemon's other usual ports is open on 127.0.0.1 (1)"


async def test_check_tells_everything_wrong_at_once(tmp_path: Path) -> None:
    """Settings, flags, keys, policies, state: all of it in one go, exit 1, and the daemon is not bothered."""
    lay_out(
        tmp_path, policies={"a.toml": '[orders]\nmax_valu = "1 HKD"\n', "b.toml": '[instruments]\nmarkets = ["X"]\n'}
    )
    (tmp_path / "keys.json").write_text('{"version":1,"keys":[{"id":"a b","hash":"x","scopes":[]}]}')
    (tmp_path / "keys.json").chmod(0o600)
    (tmp_path / "state").mkdir(mode=0o755)
    simulator = Simulator()

    done = await _check(simulator, tmp_path, "--listen", "nowhere", "--max-order-value", "much")

    wrong = "\n".join(_level(done, "wrong"))
    assert done.returncode == 1
    for part in (
        "--max-order-value: 'much'",
        "listen.data: 'nowhere'",
        "keys[0]",
        "policies/a.toml:2: orders.max_valu",
        "policies/b.toml:2: instruments.markets",
        f"chmod 700 {tmp_path / 'state'}",
    ):
        assert part in wrong, part
    assert not simulator.requests


async def test_check_says_where_a_start_could_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that is read-only `check` said that all was well, and the start was refused."""
    lay_out(tmp_path)
    (tmp_path / "state" / "journal").mkdir(mode=0o700, parents=True)
    (tmp_path / "state").chmod(0o700)
    for place in ("state/journal", "state"):
        monkeypatch.setattr(os, "access", lambda path, _, shut=place: Path(path) != tmp_path / shut)
        done = await _check(Simulator(), tmp_path)

        assert done.returncode == 1
        assert any(f"{tmp_path / place}: uid {os.geteuid()} cannot write" in told for told in _level(done, "wrong"))


async def test_check_tells_what_it_may_not_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run by somebody who is not the guard's user, under the shipped unit: it ended with a trace and no finding."""
    lay_out(tmp_path, toml='[daemon]\nkey_file = "daemon.key"\n')
    (tmp_path / "daemon.key").write_text(DAEMON_KEY)
    look = Path.stat

    def denied(path: Path, **how: bool) -> os.stat_result:
        if path.name in {"guard.toml", "state", "daemon.key", "..data"}:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, **how)

    monkeypatch.setattr(Path, "stat", denied)
    done = await _check(None, tmp_path)

    assert (done.returncode, done.stderr) == (1, "")
    wrong = f"{tmp_path / 'state'}: cannot be looked at: Permission denied to uid {os.geteuid()}"
    assert [told for told in _level(done, "wrong") if told.startswith(wrong)]


async def test_check_tells_a_halt_that_is_a_link_to_nowhere(tmp_path: Path) -> None:
    """It halts as any other does."""
    lay_out(tmp_path)
    (tmp_path / "state" / "journal").mkdir(mode=0o700, parents=True)
    (tmp_path / "state").chmod(0o700)
    (tmp_path / "state" / "HALT").symlink_to("nowhere")

    assert [told for told in _level(await _check(None, tmp_path), "weak") if "HALT: is there" in told]


async def test_check_of_a_broken_settings_file_says_only_that(tmp_path: Path) -> None:
    """Nothing is guessed from defaults where the file itself cannot be believed."""
    config = lay_out(tmp_path)
    config.write_text("[listen")

    done = await _check(None, tmp_path)

    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1)
    assert "guard.toml: not TOML" in done.stdout


def _tie_to_a_machine(path: Path) -> None:
    """As a file that was moved over from the daemon may have it."""
    document = json.loads(path.read_text())
    document["keys"][0]["allowed_machines"] = ["0a1b"]
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "level", "told"),
    [
        (lambda folder: (folder / "state" / "journal").chmod(0o750), "wrong", "state/journal: mode 0750 lets others"),
        (lambda folder: (folder / "state" / "HALT").touch(), "weak", "HALT: is there: reads and cancels only"),
        (
            lambda folder: (folder / "daemon.key").chmod(0o644),
            "weak",
            "daemon.key: everybody on this machine may read it",
        ),
        (lambda folder: (folder / "policies" / "open.toml").unlink(), "weak", "no_policy"),
        (lambda folder: (folder / "keys.json").unlink(), "wrong", "keys.json: there is no such file"),
        (lambda folder: _tie_to_a_machine(folder / "keys.json"), "weak", "disabled by allowed_machines"),
    ],
    ids=["journal mode", "halt", "daemon key", "no policies", "no keys", "a key tied to a machine"],
)
async def test_check_looks_at_files(tmp_path: Path, change: Any, level: str, told: str) -> None:
    """Modes, a forgotten HALT, a daemon key that anybody reads, no policy, no keys, a key that works nowhere."""
    toml = '[trading]\nenabled = true\n[daemon]\nkey_file = "daemon.key"\n'
    lay_out(tmp_path, toml=toml)
    (tmp_path / "daemon.key").write_text(DAEMON_KEY)
    (tmp_path / "daemon.key").chmod(0o600)
    (tmp_path / "state" / "journal").mkdir(parents=True, mode=0o700)
    (tmp_path / "state").chmod(0o700)
    assert not _level(await _check(None, tmp_path), "wrong")

    change(tmp_path)

    found = _level(await _check(None, tmp_path), level)
    assert any(told in line for line in found), found


@pytest.mark.parametrize(
    ("document", "level", "told"),
    [
        ({"keys": [{"id": "a", "hash": record("other")["hash"]}]}, "ok", "shares no key with the guard's"),
        ({"keys": [{"id": "old-bot", "hash": record("bot")["hash"]}]}, "weak", "walk past the guard: old-bot"),
        ({"keys": [{"id": "b", "hash": record("bot")["hash"].upper().replace("SHA256:", "")}]}, "weak", "guard: b"),
        ({"keys": [{"id": "odd", "hash": "z" * 64}]}, "ok", "shares no key"),
        ({"keys": {}}, "ok", "shares no key"),
        ({"kes": []}, "wrong", "cannot be read as a keys.json"),
        ([], "wrong", "cannot be read as a keys.json"),
    ],
)
async def test_check_compares_with_the_daemons_own_keys(tmp_path: Path, document: Any, level: str, told: str) -> None:
    """A hash in both files is a caller that the daemon takes by itself."""
    lay_out(tmp_path)
    (tmp_path / "theirs.json").write_text(json.dumps(document))

    done = await _check(None, tmp_path, "--daemon-keys", "theirs.json")

    assert [line for line in _level(done, level) if line.startswith("theirs.json: ") and told in line], done.stdout


async def test_check_tells_what_the_guards_own_key_lacks(tmp_path: Path) -> None:
    """The daemon's own file says what it may do; whoever would miss it is named."""
    lay_out(tmp_path, record("bot", scopes=["acc:read", "trade:real"]), toml='[daemon]\nkey_file = "daemon.key"\n')
    (tmp_path / "daemon.key").write_text(DAEMON_KEY)
    (tmp_path / "daemon.key").chmod(0o600)
    mine = record("guard") | {"hash": hash_of(DAEMON_KEY), "scopes": ["acc:read", "trade:simulate"]}
    (tmp_path / "theirs.json").write_text(json.dumps({"version": 1, "keys": [mine]}))

    done = await _check(None, tmp_path, "--daemon-keys", "theirs.json")

    assert "your daemon key guard lacks trade:real: bot cannot use it" in _level(done, "weak")


async def test_check_for_programs(tmp_path: Path) -> None:
    """`--json`: one object with `ok` and the findings in order."""
    lay_out(tmp_path)

    told = json.loads((await _check(None, tmp_path, "--json")).stdout)

    assert told["ok"] is True
    assert {finding["level"] for finding in told["findings"]} == {"ok", "weak"}
    assert all(set(finding) == {"level", "what"} for finding in told["findings"])


# ---------------------------------------------------------------- against a guard that runs


async def _command(folder: Path, *words: object, who: str | None = "desk") -> Done:
    """A command, in a process of its own, that talks to the guard whose files lie in `folder`."""
    env = {} if who is None else {"GUARD_KEY": key(who)}
    return await asyncio.to_thread(run, *words, cwd=folder, env=env)


async def test_a_key_is_made_let_in_rotated_and_revoked(tmp_path: Path) -> None:
    """The whole life of a key by commands alone, while the guard runs."""
    lay_out(tmp_path)

    def status(plaintext: str) -> Any:
        return ask(guard, "/guard/v1/me", who=None, authorization=f"Bearer {plaintext}")

    async with running(tmp_path / "guard.toml") as guard:
        ops = f"127.0.0.1:{guard.ports[1]}"
        made = await _command(tmp_path, "keys", "new", "--id", "late", "--scopes", "qot:read")
        plaintext = made.stdout.strip()
        assert (await status(plaintext)).status == 401
        taken = await _command(tmp_path, "keys", "reload", "--ops", ops)
        assert (taken.returncode, taken.stdout.splitlines()[1:]) == (0, ["  key late added"])
        assert (await status(plaintext)).status == 200

        rotated = (await _command(tmp_path, "keys", "rotate", "late", "--overlap", "1h")).stdout.strip()
        await _command(tmp_path, "keys", "reload", "--ops", ops)
        assert [(await status(one)).status for one in (plaintext, rotated)] == [200, 200]

        assert (await _command(tmp_path, "keys", "revoke", "late", "--all")).returncode == 0
        await _command(tmp_path, "keys", "reload", "--ops", ops)
        assert [(await status(one)).status for one in (plaintext, rotated)] == [401, 401]

    assert not [text for text in _texts(tmp_path) if plaintext in text or rotated in text]


@pytest.mark.parametrize(
    ("room", "who", "told"),
    [
        ("policy", None, "GUARD_KEY: set it"),
        ("keys", "nobody", "key"),
        ("policy", "bot", "guard:policy"),
        ("keys", "machine", "owner"),
    ],
)
async def test_a_reload_that_is_not_allowed_exits_1_and_says_why(
    tmp_path: Path, room: str, who: str | None, told: str
) -> None:
    """No key, an unknown key, a key without the scope, a key without an owner: nothing changes, exit 1."""
    keys = (record("bot", scopes=["qot:read"], owner="a person"), record("machine", scopes=["guard:policy"]))
    async with running(lay_out(tmp_path, *keys)) as guard:
        done = await _command(tmp_path, room, "reload", "--ops", f"127.0.0.1:{guard.ports[1]}", who=who)

    assert (done.returncode, done.stdout) == (1, "")
    *hint, said = done.stderr.splitlines()
    assert [line for line in hint if "GUARD_KEY holds no key that the guard at" not in line] == []
    assert len(hint) == (who == "nobody"), "an unknown key is also told by the name of its variable"
    assert said.startswith("guard: ")
    assert told in said


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("policy", "reload"), "guard:policy"),
        (("policy", "approve", "0" * 64, "--reason", "seen"), "guard:policy"),
        (("keys", "reload"), "guard:policy"),
        (("settle", "0" * 26, "--verdict", "refused", "--reason", "seen"), "guard:operate"),
        (("me",), "the key that is asked about"),
    ],
)
def test_without_a_key_a_command_says_which_it_wants(tmp_path: Path, words: tuple[str, ...], wanted: str) -> None:
    """The scope that the guard would ask for, before anybody is asked."""
    lay_out(tmp_path)
    done = run_here(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "GUARD_KEY: set it to" in done.stderr
    assert wanted in done.stderr


@pytest.mark.parametrize("text", ["gk_first\n# and a remark", "gk_first gk_second", "gk_schlüssel"])
def test_what_is_no_key_is_neither_sent_nor_shown(tmp_path: Path, text: str) -> None:
    """The library that refuses such a header prints it, and that would be a log's."""
    lay_out(tmp_path)
    done = run_here("me", "--data", "127.0.0.1:1", cwd=tmp_path, env={"GUARD_KEY": text})

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "guard: GUARD_KEY: must hold one key and nothing else\n"


async def test_check_tells_a_wrong_zone_once(tmp_path: Path) -> None:
    """As one of the settings, and not of a policy file that does not exist."""
    lay_out(tmp_path, toml='[keys]\ntz = "Mars"\n')
    done = await asyncio.to_thread(run_here, "check", cwd=tmp_path)

    assert done.returncode == 1
    told = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if "tz" in line]
    assert told == ["keys.tz: 'Mars' is no time zone; write one like Asia/Hong_Kong"]


@pytest.mark.parametrize("words", [("me", "--data"), ("me", "--ops"), ("policy", "reload", "--ops")])
def test_where_nobody_listens_the_flag_to_look_at_is_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    """`guard me --data` says --data: whoever is told another flag looks in the wrong place."""
    done = run_here(*words, "127.0.0.1:1", cwd=tmp_path, env={"GUARD_KEY": "gk_any"})

    assert done.returncode == 1
    assert f"is it running, and there? ({words[-1]} host:port" in done.stderr


async def test_a_refusal_is_json_for_programs_and_a_sentence_for_people(tmp_path: Path) -> None:
    """`guard me` with a key that nobody knows: exit 1 in both, and on standard output what was asked for."""
    async with running(lay_out(tmp_path)) as guard:
        words = ("me", "--data", f"127.0.0.1:{guard.ports[0]}")
        told = await _command(tmp_path, *words, who="nobody")
        given = await _command(tmp_path, *words, "--json", who="nobody")

    assert (told.returncode, told.stdout) == (given.returncode, "") == (1, "")
    first, second = told.stderr.splitlines()
    assert first.startswith("guard: GUARD_KEY holds no key that the guard at 127.0.0.1:")
    assert second.startswith("guard: a valid key is needed")
    assert json.loads(given.stdout)["err_code"] == "unauthenticated"


async def test_what_answers_and_is_no_guard_is_told(tmp_path: Path) -> None:
    """A page of another program's with status 200: a sentence, exit 1."""

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n<ht>")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        done = await _command(tmp_path, "me", "--data", f"127.0.0.1:{port}")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "guard: 200, and no answer of a guard\n"


def test_a_guard_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    """No traceback where nobody listens, over TCP and over a socket file."""
    lay_out(tmp_path)
    for ops in ("127.0.0.1:1", f"unix:{tmp_path}/none.sock", "nowhere"):
        done = run_here("policy", "reload", "--ops", ops, cwd=tmp_path, env={"GUARD_KEY": key("desk")})
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"guard: {ops}: the guard could not be asked: ")


async def test_commands_reach_a_guard_that_has_a_certificate(tmp_path: Path) -> None:
    """The settings name it; elsewhere `https://` does, for a name that an authority of the system's vouches for."""
    write_pair(tmp_path)
    async with running(lay_out(tmp_path, toml=TLS)) as guard:
        (data, ops), elsewhere = guard.ports, {"SSL_CERT_FILE": str(tmp_path / "cert.pem"), "GUARD_KEY": key("desk")}
        for words in (("policy", "reload"), ("keys", "reload")):
            done = await _command(tmp_path, *words, "--ops", f"127.0.0.1:{ops}")
            assert (done.returncode, done.stderr) == (0, "")
        assert (await _command(tmp_path, "me", "--data", f"127.0.0.1:{data}")).returncode == 0
        away = tmp_path / "away"
        away.mkdir()
        for place, code in ((f"https://localhost:{ops}", 0), (f"https://127.0.0.1:{ops}", 1), (f"localhost:{ops}", 1)):
            done = await asyncio.to_thread(run, "policy", "reload", "--ops", place, cwd=away, env=elsewhere)
            assert done.returncode == code, (place, done.stderr)
            assert ("it may speak TLS" in done.stderr) is (place == f"localhost:{ops}")


async def test_no_command_sends_its_key_to_whom_has_another_certificate(tmp_path: Path) -> None:
    """Somebody else on the port: told, with the file that should have answered, and nothing was asked of it."""
    (tmp_path / "theirs").mkdir()
    write_pair(tmp_path, serial=1)
    write_pair(tmp_path / "theirs", serial=2)
    lay_out(tmp_path, toml=TLS)
    async with running(lay_out(tmp_path / "theirs", toml=TLS)) as guard:
        done = await _command(tmp_path, "policy", "reload", "--ops", f"127.0.0.1:{guard.ports[1]}")

    assert done.returncode == 1
    assert f"shows another certificate than {tmp_path / 'cert.pem'}; " in done.stderr
    assert "SIGHUP reloads keys and policies as well; is it running" in done.stderr
    assert not [line for line in lines(tmp_path / "theirs/guard.toml") if line["type"] == "denied"]


async def test_a_policy_edit_by_command(tmp_path: Path) -> None:
    """`policy check` before, `policy reload` after, and the order that passed is refused."""
    lay_out(tmp_path)
    async with running(tmp_path / "guard.toml") as guard:
        ops = f"127.0.0.1:{guard.ports[1]}"
        assert (await ask(guard, "/api/order", order())).status == 200
        (tmp_path / "policies" / "open.toml").write_text(OPEN_POLICY + "max_qty = 5\n")
        assert (await _command(tmp_path, "policy", "check")).returncode == 0
        applied = await _command(tmp_path, "policy", "reload", "--ops", ops, "--reason", "five at most")
        assert applied.stdout.splitlines()[1:] == ["  open orders.max_qty left out (no limit) becomes 5, tighter"]
        assert (await ask(guard, "/api/order", order())).status == 403

        (tmp_path / "policies" / "open.toml").write_text("[orders]\nmax_qty = -5\n")
        assert (await _command(tmp_path, "policy", "check")).returncode == 1
        refused = await _command(tmp_path, "policy", "reload", "--ops", ops)
        assert refused.returncode == 1
        assert "open.toml:2: orders.max_qty" in refused.stderr
        assert refused.stderr.splitlines()[-1].startswith("guard: nothing was changed")


async def test_the_record_is_read_while_it_is_written(tmp_path: Path) -> None:
    """search, tail and verify work beside a running guard, and after it; an edit is found wherever it is."""
    config = lay_out(tmp_path)
    async with running(config) as guard:
        for price in (300.0, -1.0):
            await ask(guard, "/api/order", order(price=price))
        guard.journal.flush()
        assert (await _command(tmp_path, "audit", "verify")).returncode == 0
        found = (await _command(tmp_path, "audit", "search", "--key", "bot", "--json")).stdout.splitlines()
        assert [json.loads(line)["outcome"] for line in found if '"decision"' in line.split(",")[2]] == [
            "allow",
            "refuse",
        ]
        assert "HK.00700" in (await _command(tmp_path, "audit", "tail")).stdout

    segment = tmp_path / "state" / "journal" / "00000001.jsonl"
    whole = segment.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(whole[:-1]):
        edited = [*whole[:number], line.replace(b'"ts":"20', b'"ts":"19'), *whole[number + 1 :]]
        segment.write_bytes(b"".join(edited))
        done = run_here("audit", "verify", "--json", cwd=tmp_path)
        assert (done.returncode, json.loads(done.stdout)["result"]) == (1, "edited")
    segment.write_bytes(b"".join(whole))
    assert run_here("audit", "verify", "--state", "nowhere", cwd=tmp_path).returncode == 3
    assert len(lines(config)) == len(whole)
    assert os.environ.get("GUARD_KEY") is None


def _into_a_full_disk(folder: Path, *words: str) -> Done:
    with Path("/dev/full").open("wb") as full:
        return subprocess.run(  # noqa: S603 - our own command
            [GUARD, *words],
            cwd=folder,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )


@pytest.mark.parametrize("words", [("endpoints", "--json"), ("audit", "tail"), ("audit", "search", "--json")])
async def test_a_full_disk_behind_standard_output_is_told_as_such(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Not as a traceback, and not as a record that cannot be read."""
    async with running(lay_out(tmp_path)):
        pass
    done = await asyncio.to_thread(_into_a_full_disk, tmp_path, *words)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "guard: standard output: cannot be written: No space left on device"
