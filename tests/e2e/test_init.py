"""`guard init` as a new user runs it: beside a daemon, with and without keys to take over."""

import asyncio
import errno
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from guard.cli.demo import hash_of
from guard.simulator import Simulator
from guard.simulator.keys import Key
from tests.support.daemon import running_simulator
from tests.support.disk import NO_SPACE
from tests.support.guards import ask, key, made, order, record
from tests.support.processes import run_here

DAEMON_KEY = "fc_the_guards"


def theirs(*scopes: str) -> dict[str, Any]:
    """The daemon's own record of the guard's key."""
    return {"id": "guard", "hash": hash_of(DAEMON_KEY), "scopes": list(scopes)}


def daemon_of(*records: Mapping[str, Any]) -> Simulator:
    """A daemon in scope mode that knows these keys."""
    return Simulator(
        keys=tuple(Key(row["id"], row["hash"].removeprefix("sha256:"), frozenset(row["scopes"])) for row in records)
    )


async def init(
    simulator: Simulator | None, folder: Path, *words: object, **env: str
) -> tuple[int, dict[str, Any], str]:
    """`guard init --json` in `folder`: the exit code, what it printed, what it complained of."""
    if simulator is None:
        done = await asyncio.to_thread(run_here, "init", "--json", *words, cwd=folder, env=env)
    else:
        async with running_simulator(simulator) as url:
            words = ("--daemon", url, *words)
            done = await asyncio.to_thread(run_here, "init", "--json", *words, cwd=folder, env=env)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def of_level(told: Mapping[str, Any], level: str) -> list[str]:
    """The findings of one level."""
    return [row["what"] for row in told["findings"] if row["level"] == level]


async def test_a_user_without_a_name_is_asked_for_an_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container a user is often a number alone: nothing is written before it is known who answers for the key."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr("getpass.getuser", nameless)
    code, told, complaint = await init(Simulator(legacy=True), tmp_path, "site")

    asked = "--owner: this user has no name; write the person who answers for the key"
    assert (code, told, names(tmp_path)) == (1, {"ok": False, "errors": [asked]}, [])
    assert complaint == f"guard: {asked}\n"


async def test_a_new_folder_passes_check_and_shows_what_it_would_do(tmp_path: Path) -> None:
    """One order allowed and one refused, dry; files of the right modes; keys that work; what to do at the daemon."""
    code, told, complaint = await init(Simulator(legacy=True), tmp_path, "site", "--owner", "Ada Lovelace")

    assert (code, complaint) == (0, "")
    dry = [(row["env"], row["outcome"], row["codes"]) for row in told["dry_runs"]]
    assert dry == [("simulate", "allow", []), ("real", "refuse", ["max_order_value"])]
    assert [word for word in of_level(told, "weak") if "legacy mode: it refuses every trade" in word]
    assert [word for word in of_level(told, "ok") if "card ending in 7680" in word]
    site = tmp_path / "site"
    assert stat.S_IMODE((site / "keys.json").stat().st_mode) == 0o600
    assert names(site) == ["guard.toml", "keys.json", "policies"]
    assert "futucli gen-key --id guard --scopes qot:read,acc:read,trade:simulate" in told["next"][0]
    assert "set daemon.key_file, and then [trading] enabled = true" in told["next"][1]
    rows = json.loads((site / "keys.json").read_text())["keys"]
    assert [(row["id"], row.get("owner")) for row in rows] == [("bot-1", None), ("operator", "Ada Lovelace")]
    assert [row["hash"] for row in rows] == [hash_of(told["keys"][row["id"]]) for row in rows]
    checked = await asyncio.to_thread(run_here, "check", "--daemon", "http://127.0.0.1:1", cwd=site)
    assert checked.returncode == 0, checked.stdout
    (site / "daemon.key").write_text(DAEMON_KEY)
    (site / "daemon.key").chmod(0o600)
    text = (
        (site / "guard.toml").read_text().replace("# key_file", "key_file").replace("enabled = false", "enabled = true")
    )
    (site / "guard.toml").write_text(text)
    checked = await asyncio.to_thread(run_here, "check", "--daemon", "http://127.0.0.1:1", cwd=site)
    assert ("enabled = true " in text, checked.returncode) == (True, 0), checked.stdout


async def test_what_is_wrong_is_to_be_mended_first(tmp_path: Path) -> None:
    """A key that the daemon does not know: exit 1, and the way on does not begin with a start that serves nobody."""
    code, told, _ = await init(daemon_of(theirs("qot:read")), tmp_path, "site", GUARD_DAEMON_KEY="fc_another")

    assert code == 1
    assert "the daemon does not know the guard's key: make one there, for the guard alone" in of_level(told, "wrong")
    assert told["next"][0] == "mend what is wrong above, until this finds nothing wrong: cd site && guard check"


async def test_keys_that_programs_hold_go_on_working(tmp_path: Path) -> None:
    """The callers' hashes are taken over with their limits, the guard's own is not; a bot changes only its URL."""
    callers = (record("bot", max_order_value=25000), record("desk", owner="a person"))
    rows = [theirs("qot:read", "acc:read", "trade:simulate", "trade:real", "trade:unlock"), *callers]
    (tmp_path / "daemon.json").write_text(json.dumps({"version": 1, "keys": rows}))
    code, told, _ = await init(daemon_of(*rows), tmp_path, "site", "--from", "daemon.json", GUARD_DAEMON_KEY=DAEMON_KEY)

    assert (code, told["imported"], told["keys"]) == (0, ["bot", "desk"], {})
    assert (tmp_path / "site" / "daemon.key").read_text() == f"{DAEMON_KEY}\n"
    assert stat.S_IMODE((tmp_path / "site" / "daemon.key").stat().st_mode) == 0o600
    assert "futucli remove-key bot --keys-file daemon.json" in told["next"][0]
    guard = made(tmp_path / "site" / "guard.toml", daemon=Simulator())
    await guard.start()
    try:
        reply = await ask(guard, "/api/order", order(qty=100, price=300.0), who="bot")
        assert (reply.status, json.loads(reply.body)["err_code"]) == (403, "max_order_value")
        assert key("bot")
    finally:
        await guard.stop("test over")


async def test_a_key_that_is_tied_to_machines_is_told_once(tmp_path: Path) -> None:
    """Its program would read 401 from the first request on. Two differently worded lines looked like two faults."""
    rows = [theirs("qot:read"), record("bot", allowed_machines=["0a1b"])]
    (tmp_path / "daemon.json").write_text(json.dumps({"version": 1, "keys": rows}))
    _, told, _ = await init(daemon_of(*rows), tmp_path, "site", "--from", "daemon.json", GUARD_DAEMON_KEY=DAEMON_KEY)

    why = "disabled by allowed_machines, which the guard cannot verify: take the field away, or the key"
    assert [word for word in of_level(told, "weak") if "allowed_machines" in word] == [f"keys.json: bot: {why}"]


async def test_a_daemon_key_that_lacks_a_scope_is_told(tmp_path: Path) -> None:
    """The daemon's own file says what the guard's key may do; whoever would miss it is named."""
    rows = [theirs("qot:read", "acc:read", "trade:simulate"), record("bot", scopes=["acc:read", "trade:real"])]
    (tmp_path / "daemon.json").write_text(json.dumps({"version": 1, "keys": rows}))
    _, told, _ = await init(daemon_of(*rows), tmp_path, "site", "--from", "daemon.json", GUARD_DAEMON_KEY=DAEMON_KEY)

    assert "your daemon key guard lacks trade:real: bot cannot use it" in of_level(told, "weak")
    assert list(told["keys"]) == ["operator"]


async def test_no_daemon_is_no_reason_to_write_nothing(tmp_path: Path) -> None:
    """The folder is written all the same, and says which address was written down."""
    code, told, _ = await init(None, tmp_path, "site", "--daemon", "http://127.0.0.1:1")

    assert code == 0
    assert [word for word in of_level(told, "weak") if word.startswith("no daemon answers at http://127.0.0.1:1")]
    assert told["next"][0] == (
        "start the daemon, which does not answer at http://127.0.0.1:1, or set daemon.url in guard.toml; "
        "until it answers nothing gets through: cd site && guard check"
    )
    assert 'url = "http://127.0.0.1:1"' in (tmp_path / "site" / "guard.toml").read_text()


@pytest.mark.parametrize("name", ["guard.toml", "keys.json", "policies"])
async def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    """A folder that holds any of the files is left as it is."""
    (tmp_path / name).mkdir()
    code, _, complaint = await init(None, tmp_path)

    assert code == 1
    assert complaint == f"guard: {name}: is there already; choose another folder\n"
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"version":1,"keys":[{"id":"a","scopes":["qot:read"],"hash":"x","extra":1}]}', "'extra' is unknown"),
        ("not json", "not strict JSON"),
        (None, "cannot be read: No such file or directory"),
    ],
)
async def test_keys_that_cannot_be_taken_over_leave_nothing_behind(tmp_path: Path, text: str | None, told: str) -> None:
    """Every error of the file at once, and no folder."""
    if text is not None:
        (tmp_path / "daemon.json").write_text(text)
    code, _, complaint = await init(None, tmp_path, "site", "--from", "daemon.json")

    assert code == 1
    assert told in complaint
    assert not (tmp_path / "site").exists()


async def test_a_disk_that_takes_no_file_leaves_no_half_folder(tmp_path: Path) -> None:
    """Whatever cannot be written is told; what was drafted goes again."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / ".guard-init").write_text("in the way")
    code, _, complaint = await init(None, tmp_path, "site", "--daemon", "http://127.0.0.1:1")

    assert (code, "site: cannot be written" in complaint) == (1, True)
    assert names(tmp_path / "site") == [".guard-init"]


async def test_a_fault_half_way_takes_back_what_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings are there and the keys cannot be: half a folder stood in the way of the next try."""
    (tmp_path / "site").mkdir()
    own = tmp_path / "site" / "daemon.key"
    own.write_text(DAEMON_KEY)
    words = ("site", "--daemon", "http://127.0.0.1:1", "--owner", "Ada", "--daemon-key-file", "site/daemon.key")
    rename = Path.rename

    def full(path: Path, target: Path) -> Path:
        if target.name == "policies":
            raise NO_SPACE
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", full)
    code, _, complaint = await init(None, tmp_path, *words)
    assert (code, "site: cannot be written" in complaint, names(tmp_path / "site")) == (1, True, ["daemon.key"])
    assert own.read_text().strip() == DAEMON_KEY  # the caller's own file

    monkeypatch.undo()
    assert (await init(None, tmp_path, *words))[0] == 0


async def test_the_key_of_a_daemon_that_lies_there_is_not_overwritten(tmp_path: Path) -> None:
    """Another key in the place of the given one stays; the file that was named is taken as it is."""
    own = tmp_path / "daemon.key"
    own.write_text("fc_another")
    words = ("--daemon", "http://127.0.0.1:1", "--owner", "Ada")
    code, _, complaint = await init(None, tmp_path, *words, GUARD_DAEMON_KEY=DAEMON_KEY)
    assert (code, complaint) == (1, "guard: daemon.key: is there already; choose another folder\n")
    assert (own.read_text(), names(tmp_path)) == ("fc_another", ["daemon.key"])

    assert (await init(None, tmp_path, *words, "--daemon-key-file", "daemon.key"))[0] == 0
    assert own.read_text() == "fc_another"


@pytest.mark.parametrize("name", ["daemon.key", "keys.json"])
async def test_a_link_stays_a_link(tmp_path: Path, name: str) -> None:
    """To a secret that is renewed elsewhere, or that is not mounted yet: a file in its place would stay as it is."""
    if name == "daemon.key":
        (tmp_path / "mounted").write_text(DAEMON_KEY)
    (tmp_path / name).symlink_to("mounted")
    own = ("--daemon-key-file", "daemon.key") if name == "daemon.key" else ()

    assert (await init(None, tmp_path, "--daemon", "http://127.0.0.1:1", "--owner", "Ada", *own))[0] == (
        0 if name == "daemon.key" else 1
    )
    assert (tmp_path / name).is_symlink()


async def test_a_folder_that_may_not_be_looked_at_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In somebody else's home: in words, not as a trace."""
    look = Path.stat

    def denied(path: Path, **how: bool) -> os.stat_result:
        if path.parent.name == "site":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, **how)

    monkeypatch.setattr(Path, "stat", denied)
    code, told, _ = await init(None, tmp_path, "site", "--daemon", "http://127.0.0.1:1", "--owner", "Ada")
    why = f"site: cannot be written: Permission denied to uid {os.geteuid()}"
    assert (code, told) == (1, {"ok": False, "errors": [why]})


def test_the_plaintext_of_a_key_is_nowhere_in_the_folder(tmp_path: Path) -> None:
    """New keys are shown once; files take their hashes."""
    code, told, _ = asyncio.run(init(None, tmp_path, "site", "--daemon", "http://127.0.0.1:1"))
    texts = [path.read_text() for path in (tmp_path / "site").rglob("*") if path.is_file()]

    assert (code, len(told["keys"])) == (0, 2)
    assert not [name for name, plaintext in told["keys"].items() if any(plaintext in text for text in texts)]
    digests = [hashlib.sha256(plaintext.encode()).hexdigest() for plaintext in told["keys"].values()]
    assert all(any(digest in text for text in texts) for digest in digests)
