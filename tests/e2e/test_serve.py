"""`guard serve` as an operating system runs it: a process with files, flags, signals and exit codes."""

import asyncio
import contextlib
import http.client
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from guard.cli.serve import KEYLESS
from guard.simulator import Simulator
from guard.simulator.faults import Delay
from tests.support.daemon import running_simulator
from tests.support.guards import key, lay_out, lines, made, of_type, order, record
from tests.support.processes import WAIT_S, Process, ask, free_port, in_one_day, run, run_here, until

KEYED = {"GUARD_DAEMON_KEY": "fc_test"}
NO_DAEMON = "http://127.0.0.1:1"


class Served(Process):
    """A guard that runs as a process; `data` and `ops` are its ports."""

    data: int
    ops: int

    def ask(self, path: str, body: object = None, *, who: str = "bot") -> tuple[int, Any]:
        """One request of a caller's."""
        return ask(self.data, path, body, bearer=key(who))

    def status(self) -> dict[str, Any]:
        """What `/status` says."""
        told: dict[str, Any] = ask(self.ops, "/status")[1]
        return told


@contextmanager
def served(
    folder: Path, *words: object, daemon: str = NO_DAEMON, env: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """`guard serve` in `folder`, with open doors; killed at the end if it still runs."""
    data, ops = free_port(), free_port()
    places = ("--listen", f"127.0.0.1:{data}", "--ops", f"127.0.0.1:{ops}", "--daemon", daemon)
    variables = {**KEYED, **(env or {})}
    running = Served("serve", *places, *words, cwd=folder, env=variables)
    running.data, running.ops = data, ops
    try:
        until("open doors", lambda: running.is_open(ops) and running.is_open(data))
        yield running
    finally:
        if running.popen.poll() is None:
            running.popen.kill()
        running.ended()


@asynccontextmanager
async def before(
    simulator: Simulator, folder: Path, *words: object, env: Mapping[str, str] | None = None
) -> AsyncIterator[Served]:
    """The same before a simulator of this process, whose loop must go on meanwhile: ask with `asyncio.to_thread`."""
    async with running_simulator(simulator) as url:
        context = served(folder, *words, daemon=url, env=env)
        running = await asyncio.to_thread(context.__enter__)
        try:
            yield running
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)


def lived(config: Path) -> None:
    """A guard was started and stopped here, so that there is a record."""

    async def live() -> None:
        guard = made(config, daemon=Simulator())
        await guard.start()
        await guard.stop("lived")

    asyncio.run(live())


# ---------------------------------------------------------------- starts that are refused


def test_exit_2_with_every_error_at_once(tmp_path: Path) -> None:
    """Settings, flags, variables and keys are told together, one line each, and nothing is created."""
    config = lay_out(tmp_path, toml='[listen]\nops = "nowhere"\n[keys]\ntz = "Mars/Olympus"\n')
    document = json.loads((tmp_path / "keys.json").read_text())
    document["keys"][0] |= {"scope": ["qot:read"], "allowed_markets": []}
    (tmp_path / "keys.json").write_text(json.dumps(document))

    done = run(
        *("serve", "--config", config, "--daemon", "ftp://x", "--max-order-value", "much"),
        *("--allowed-markets", "MOON", "--hours-window", "25-26", "--max-orders-per-minute", "-1"),
        cwd=tmp_path,
        env={"GUARD_DAEMON_KEY": "two words"},
    )

    assert (done.returncode, done.stdout) == (2, "")
    told = done.stderr.splitlines()
    assert all(line.startswith("guard: ") for line in told)
    for start in (
        "--max-order-value",
        "--allowed-markets",
        "--hours-window",
        "--max-orders-per-minute",
        "listen.ops",
        "daemon.url",
        "keys.tz",
        "GUARD_DAEMON_KEY",
    ):
        assert len([line for line in told if line.startswith(f"guard: {start}: ")]) == 1, start
    assert len([line for line in told if 'keys[0] "bot"' in line]) == 2
    assert "two words" not in done.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "100001", "9" * 20, "٣", ""])
def test_exit_2_for_what_is_no_count(tmp_path: Path, text: str) -> None:
    """As for every other limit among the flags, beside what else is wrong."""
    config = lay_out(tmp_path, toml='[listen]\nops = "nowhere"\n')

    done = run_here("serve", "--config", config, "--max-orders-per-minute", text, cwd=tmp_path, env=KEYED)

    assert done.returncode == 2
    told = [line.split(":")[1].strip() for line in done.stderr.splitlines()]
    assert sorted(told) == ["--max-orders-per-minute", "listen.ops"]


def test_exit_2_names_every_unknown_key_of_the_settings(tmp_path: Path) -> None:
    """All of them, and nothing is said of what an unread table may have named."""
    config = lay_out(tmp_path, toml='[lisen]\n[listen]\ndta = "x"\n[trading]\nenabled = "yes"\n')

    done = run_here("serve", "--config", config, cwd=tmp_path)

    assert done.returncode == 2
    assert [line.split(": ")[2] for line in done.stderr.splitlines()] == ["[lisen]", "listen.dta", "trading.enabled"]


def test_exit_2_tells_of_keys_beside_settings_that_cannot_be_read(tmp_path: Path) -> None:
    """One wrong table hides neither what is wrong with the others nor with the keys file."""
    config = lay_out(tmp_path, toml='[lisen]\n[daemon]\nread_timeout_s = "long"\n[listen]\nops = "nowhere"\n')
    (tmp_path / "keys.json").chmod(0o644)

    done = run_here("serve", "--config", config, cwd=tmp_path)

    assert done.returncode == 2
    told = done.stderr
    assert [word for word in ("[lisen]", "daemon.read_timeout_s", "listen.ops", "chmod 600") if word not in told] == []
    assert "daemon.key_file" not in told


@pytest.mark.parametrize(
    "text", ['[keys]\nfile = "elsewhere.json"\ntz = 7\n', "[keys\n"], ids=["a wrong table", "no TOML"]
)
def test_exit_2_looks_for_no_keys_file_that_the_settings_may_not_mean(tmp_path: Path, text: str) -> None:
    """The table that names it cannot be read: only that is told, unless a flag names the file."""
    config = lay_out(tmp_path, toml=text)

    alone = run_here("serve", "--config", config, cwd=tmp_path)
    named = run_here("serve", "--config", config, "--keys", "gone.json", cwd=tmp_path)

    assert (alone.returncode, len(alone.stderr.splitlines())) == (2, 1)
    assert (named.returncode, "gone.json" in named.stderr) == (2, True)


@pytest.mark.parametrize(
    ("key_file", "variable", "told"),
    [
        (None, "", [KEYLESS]),
        (None, "two words", ["GUARD_DAEMON_KEY: must hold one key and nothing else"]),
        ("empty.key", "", ["daemon.key_file: empty.key: must hold one key and nothing else"]),
    ],
)
def test_exit_2_where_trading_has_no_daemon_key_to_trade_with(
    tmp_path: Path, key_file: str | None, variable: str, told: list[str]
) -> None:
    """Neither file nor variable holds one: refused before anything is made, for one reason, with what to do."""
    named = f'[daemon]\nkey_file = "{key_file}"\n' if key_file else ""
    lay_out(tmp_path, toml=f"[trading]\nenabled = true\n{named}")
    (tmp_path / "empty.key").write_text("\n")

    done = run_here("serve", "--listen", "127.0.0.1:0", cwd=tmp_path, env={"GUARD_DAEMON_KEY": variable})

    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (2, "", [f"guard: {error}" for error in told])
    assert not (tmp_path / "state").exists()


def test_without_trading_no_daemon_key_is_wanted(tmp_path: Path) -> None:
    """`--disable-trading` beats the file; the guard opens its doors and says that trading is off."""
    lay_out(tmp_path)
    with served(tmp_path, "--disable-trading", env={"GUARD_DAEMON_KEY": ""}) as guard:
        assert guard.status()["trading"]["enabled"] is False


def test_exit_2_without_a_keys_file_and_with_what_to_do(tmp_path: Path) -> None:
    """There is no mode without keys; the line says how to make one, and that line works."""
    done = run_here("serve", cwd=tmp_path)

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"guard: {tmp_path}/keys.json: there is no such file; make a key with `guard keys new")
    told = line.split("`")[1].replace("ID", "bot").replace("SCOPES", "qot:read").split()
    assert run_here(*told[1:], cwd=tmp_path).returncode == 0
    assert "keys.json" not in run_here("serve", "--listen", "nowhere", cwd=tmp_path).stderr


@pytest.mark.parametrize("mode", [0o640 | 0o004, 0o620, 0o602])
def test_exit_2_for_keys_that_others_may_read_or_write(tmp_path: Path, mode: int) -> None:
    """Readable by others or writable by anybody else: refused, with the chmod to do."""
    config = lay_out(tmp_path)
    (tmp_path / "keys.json").chmod(mode)

    done = run_here("serve", "--config", config, cwd=tmp_path)

    assert done.returncode == 2
    assert f"chmod 600 {tmp_path}/keys.json" in done.stderr


def test_exit_2_for_a_named_file_that_is_not_there(tmp_path: Path) -> None:
    """B27: the default settings file may be absent, a named one may not."""
    lay_out(tmp_path)

    done = run_here("serve", "--config", "other.toml", cwd=tmp_path)

    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "guard: other.toml: cannot be read: No such file or directory",
    )


def test_exit_3_for_a_state_directory_in_use_and_exit_2_for_a_taken_port(tmp_path: Path) -> None:
    """A second guard says who has the record, or that the port is taken; the first does not notice either."""
    config = lay_out(tmp_path)
    with served(tmp_path) as first:
        ports = ("--listen", f"127.0.0.1:{free_port()}", "--ops", f"127.0.0.1:{free_port()}")
        done = run("serve", *ports, cwd=tmp_path, env=KEYED)
        assert done.returncode == 3
        assert f"in use by another guard (process {first.popen.pid})" in done.stderr

        taken = ("--listen", f"127.0.0.1:{first.data}", "--ops", f"127.0.0.1:{free_port()}", "--state", "another")
        done = run("serve", *taken, cwd=tmp_path, env=KEYED)
        assert done.returncode == 2
        place = f"127.0.0.1:{first.data}"
        told = f"listen.data: {place}: address already in use; is another guard running?"
        assert done.stderr.splitlines()[-1] == f"guard: {told}"
        lines = [json.loads(line) for line in (tmp_path / "another/journal/00000001.jsonl").read_text().splitlines()]
        assert (lines[-1]["type"], lines[-1]["reason"]) == ("stop", told)  # no start without a stop: that is a crash

        assert first.stop() == 0
    assert [line["type"] for line in of_type(config, "start") + of_type(config, "stop")] == ["start", "stop"]


@pytest.mark.parametrize("place", ["state", "state/journal"])
def test_exit_3_for_a_state_directory_that_others_may_read(tmp_path: Path, place: str) -> None:
    """The record is the guard's alone; the line says which chmod puts it right."""
    lived(lay_out(tmp_path))
    (tmp_path / place).chmod(0o755)

    done = run("serve", cwd=tmp_path, env=KEYED)

    assert done.returncode == 3
    assert f"mode 0755 lets others read or write it: chmod 700 {tmp_path / place}" in done.stderr


@pytest.mark.parametrize("place", ["state", "state/journal"])
def test_b07_exit_3_where_there_can_be_no_record(tmp_path: Path, place: str) -> None:
    """A file stands where the record's folder would be: no door opens, and the line names what is in the way."""
    lay_out(tmp_path)
    there = tmp_path / place
    there.parent.mkdir(mode=0o700, exist_ok=True)
    there.write_bytes(b"")
    ports = ("--listen", f"127.0.0.1:{free_port()}", "--ops", f"127.0.0.1:{free_port()}")

    done = run("serve", *ports, cwd=tmp_path, env=KEYED)

    assert done.returncode == 3
    assert str(there) in done.stderr.splitlines()[-1]


def test_exit_3_for_a_record_that_was_edited(tmp_path: Path) -> None:
    """A broken chain is no ground to stand on: no start, and the command that shows where."""
    lived(lay_out(tmp_path))
    segment = tmp_path / "state" / "journal" / "00000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"type":"start"', b'"type":"stArt"'))

    done = run("serve", cwd=tmp_path, env=KEYED)

    assert done.returncode == 3
    assert "guard audit verify" in done.stderr
    assert run_here("audit", "verify", cwd=tmp_path).returncode == 1


@pytest.mark.parametrize("words", [("--nope",), ("extra",), ("--enable-trading", "yes"), ("--max-order", "5")])
def test_exit_64_for_wrong_usage(tmp_path: Path, words: tuple[str, ...]) -> None:
    """What is no flag or one word too many is told in two lines, without a traceback."""
    done = run_here("serve", *words, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (64, "")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["guard", "Try"]


# ---------------------------------------------------------------- what binds


async def test_flags_form_a_policy_that_binds_everyone(tmp_path: Path) -> None:
    """The reference's own start-up flags, as flags or as variables, refuse under the name `flags`."""
    in_one_day()
    lay_out(tmp_path, toml="[trading]\nenabled = false\n")
    words = ("--enable-trading", "--max-order-value", "30000.00", "--allowed-trd-sides", "BUY")
    variables = {
        "GUARD_ALLOWED_MARKETS": "HK",
        "GUARD_MAX_ORDERS_PER_MINUTE": "3",
        "GUARD_MAX_DAILY_VALUE": "60000",
    }
    async with before(Simulator(), tmp_path, *words, env=variables) as guard:

        async def placed(**members: object) -> Any:
            return (await asyncio.to_thread(guard.ask, "/api/order", order(**members)))[1]

        assert (await placed())["ret_type"] == 0
        for change, code in (
            ({"price": 300.01}, "max_order_value"),
            ({"side": "SELL"}, "side"),
            ({"market": "US", "code": "AAPL", "qty": 1, "price": 100.0}, "market"),
            ({"qty": 100, "price": 300.0, "remark": "one more"}, None),
            ({"qty": 1}, "daily_value"),
        ):
            told = await placed(**change)
            assert told["err_code"] == code, told
            assert code is None or told["guard"]["reasons"][0]["policy"] == "flags"
        limits = (await asyncio.to_thread(guard.ask, "/guard/v1/me"))[1]["limits"]

    assert {limit["rule"] for limit in limits if limit["policy"] == "flags"} == {
        "max_daily_value",
        "max_orders_per_minute",
    }


def test_exit_2_where_the_variable_of_a_limit_is_empty(tmp_path: Path) -> None:
    """It was taken for one that is not set: the guard started without the limit. A flag still overrides it."""
    lay_out(tmp_path)
    blank = dict.fromkeys(("GUARD_MAX_ORDER_VALUE", "GUARD_ALLOWED_MARKETS", "GUARD_HOURS_WINDOW", "GUARD_OPS"), "")
    done = run("serve", "--allowed-markets", "HK", cwd=tmp_path, env={**blank, "GUARD_DAEMON_KEY": "fc_test"})

    assert (done.returncode, done.stdout) == (2, "")
    named = [line.removeprefix("guard: ").partition(":")[0] for line in done.stderr.splitlines()]
    assert named == ["GUARD_MAX_ORDER_VALUE", "GUARD_HOURS_WINDOW"]


def test_a_start_tells_of_a_variable_that_is_misspelt(tmp_path: Path) -> None:
    """The limit that it should have been binds nobody; what others have put there is none of the guard's business."""
    lay_out(tmp_path)
    with served(tmp_path, env={"GUARD_MAX_ORDER_VALU": "500", "GUARD_SERVICE_HOST": "10.0.0.1"}) as guard:
        told = [line["why"] for line in guard.events("misspelt")]

    assert told == ["GUARD_MAX_ORDER_VALU: is no variable of the guard and does nothing; GUARD_MAX_ORDER_VALUE is one"]


@pytest.mark.parametrize(
    ("words", "env", "expected"),
    [
        ((), {}, "of-the-file"),
        ((), {"GUARD_STATE": "of-the-variable"}, "of-the-variable"),
        (("--state", "of-the-flag"), {"GUARD_STATE": "of-the-variable"}, "of-the-flag"),
    ],
)
def test_flags_beat_variables_and_variables_beat_the_file(
    tmp_path: Path, words: tuple[str, ...], env: dict[str, str], expected: str
) -> None:
    """Each of the three can name the state directory; the nearest to the command line wins."""
    lay_out(tmp_path, toml='[state]\ndir = "of-the-file"\n')
    (tmp_path / expected).mkdir(mode=0o755)

    done = run("serve", *words, cwd=tmp_path, env=env)

    assert done.returncode == 3
    assert f"chmod 700 {tmp_path / expected}" in done.stderr


# ---------------------------------------------------------------- signals


async def test_b05_b07_one_count_and_one_record_for_every_connection_and_route(tmp_path: Path) -> None:
    """Orders, changes and a key's second secret fill one window, each over a connection of its own; JSON in the log
    keeps none of them out of the record, read as it lies while the guard runs.
    """
    bot = {"max_orders_per_minute": 3}
    config = lay_out(tmp_path, record("bot", **bot), record("bot@2", **bot), record("other"))
    async with before(Simulator(), tmp_path) as guard:

        async def asked(path: str, body: object, *, who: str = "bot") -> tuple[int, Any]:
            return await asyncio.to_thread(guard.ask, path, body, who=who)

        placed = (await asked("/api/order", order(price=200)))[1]["s2c"]["order_id_ex"]
        assert (await asked("/api/order", order(price=201), who="bot@2"))[0] == 200
        change = {"acc_id": 123456, "env": "simulate", "market": "HK", "order_id_ex": placed, "op": "NORMAL"}
        assert (await asked("/api/modify-order", change | {"qty": 200, "price": 200}))[0] == 200
        for path, body in (
            ("/api/order", order(price=202)),
            ("/api/modify-order", change | {"qty": 300, "price": 200}),
        ):
            for who in ("bot", "bot@2"):
                status, told = await asked(path, body, who=who)
                assert (status, told["err_code"]) == (429, "rate")
        assert (await asked("/api/order", order(price=203), who="other"))[0] == 200
        outcomes = [line["outcome"] for line in of_type(config, "decision")]
    assert outcomes == ["allow"] * 3 + ["refuse"] * 4 + ["allow"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_a_stop_record(tmp_path: Path, number: signal.Signals) -> None:
    """The record ends with why; the log is one JSON object a line; the lock is free again."""
    config = lay_out(tmp_path)
    with served(tmp_path) as guard:
        assert guard.stop(number) == 0

    (stop,) = of_type(config, "stop")
    assert (stop["reason"], stop.get("unfinished")) == (number.name, None)
    assert len(guard.events("draining")) == 1
    assert guard.log()[-1]["event"] == "closed"
    assert guard.out == ""
    assert run_here("audit", "verify", cwd=tmp_path).returncode == 0


async def test_sigterm_waits_for_what_was_sent(tmp_path: Path) -> None:
    """An order that is on its way when the signal comes is answered and settled before the stop."""
    config, simulator = lay_out(tmp_path), Simulator()
    simulator.faults.add(Delay(0.4), path="/api/order")
    async with before(simulator, tmp_path) as guard:
        sending = asyncio.ensure_future(asyncio.to_thread(guard.ask, "/api/order", order()))
        await _reached(simulator, "/api/order")
        code = await asyncio.to_thread(guard.stop)
        status, _ = await sending

    assert (code, status) == (0, 200)
    assert of_type(config, "outcome")[0]["verdict"] == "accepted"
    assert "unfinished" not in of_type(config, "stop")[0]


async def test_sigterm_under_load_leaves_no_order_without_an_outcome(tmp_path: Path) -> None:
    """Eight callers pour orders in when the signal comes: each decision has its outcome, and the record is signed."""
    config, simulator = lay_out(tmp_path), Simulator()
    for number in range(200):
        simulator.faults.add(Delay(0.02 if number % 2 else 0.2), path="/api/order")
    async with before(simulator, tmp_path) as guard:
        sending = [asyncio.ensure_future(asyncio.to_thread(_pour, guard)) for _ in range(8)]
        await _reached(simulator, "/api/order", 15)
        guard.popen.send_signal(signal.SIGTERM)
        answered = {order_id for told in await asyncio.gather(*sending) for order_id in told}
        code = await asyncio.to_thread(guard.ended)

    allowed = {line["id"] for line in of_type(config, "decision") if line["outcome"] == "allow" and "claims" in line}
    assert code == 0
    assert len(allowed) >= 15
    assert allowed == {line["decision"] for line in of_type(config, "outcome")}
    assert answered == {placed.order_id_ex for placed in simulator.orders.values()}, "everybody was answered"
    last = lines(config)[-1]
    assert last["type"] == "stop"
    assert f"\n{last['seq']}\n" in (tmp_path / "state" / "checkpoints").read_text(), "signed to its end"


async def test_a_second_signal_shortens_the_end(tmp_path: Path) -> None:
    """An order whose answer does not come would hold the end up for an hour: told again, the guard cuts it off."""
    patient = "[trading]\nenabled = true\n[bounds]\ndrain_timeout_s = 3600\n[daemon]\norder_timeout_s = 3600\n"
    config, simulator = lay_out(tmp_path, toml=patient), Simulator()
    simulator.faults.add(Delay(3600), path="/api/order")
    async with before(simulator, tmp_path) as guard:
        sending = asyncio.ensure_future(asyncio.to_thread(_pour, guard))
        await _reached(simulator, "/api/order")
        guard.popen.send_signal(signal.SIGTERM)
        await asyncio.to_thread(until, "the drain", lambda: guard.events("draining"))
        code = await asyncio.to_thread(guard.stop)
        assert await sending == []

    assert (code, [line["verdict"] for line in of_type(config, "outcome")]) == (0, ["unknown"])
    (cut,) = [name for name in of_type(config, "stop")[0]["unfinished"] if name.startswith("trade ")]
    assert cut == f"trade {of_type(config, 'outcome')[0]['decision']}"


async def _reached(simulator: Simulator, path: str, count: int = 1) -> None:
    end_s = time.monotonic() + WAIT_S
    while len([seen for seen in simulator.requests if seen.path == path]) < count:
        assert time.monotonic() < end_s, "nothing arrived"
        await asyncio.sleep(0.005)


def test_sighup_reloads_policies_and_keys_and_keeps_the_last_good(tmp_path: Path) -> None:
    """A good edit is in force a moment later; a bad one changes nothing, and log, metric and record are loud."""
    config = lay_out(tmp_path)
    policy, keys = tmp_path / "policies" / "open.toml", tmp_path / "keys.json"
    with served(tmp_path) as guard:
        first = guard.status()["policies"]["sha256"]
        policy.write_text('[orders]\nmax_value = "1 HKD"\n')
        document = json.loads(keys.read_text())
        keys.write_text(json.dumps({"version": 1, "keys": [*document["keys"], record("late")]}))
        guard.popen.send_signal(signal.SIGHUP)
        until("the new policy", lambda: guard.status()["policies"]["sha256"] != first)
        assert guard.status()["keys"] == 3
        assert guard.ask("/guard/v1/me", who="late")[0] == 200

        second = guard.status()["policies"]["sha256"]
        policy.write_text("[orders\n")
        keys.write_text("{")
        guard.popen.send_signal(signal.SIGHUP)
        until("two loud lines", lambda: [e for e in guard.events("policy_reload") if e["result"] == "refused"])
        for event in ("keys_reload", "policy_reload"):
            assert [line["level"] for line in guard.events(event)] == ["info", "error"]
        assert guard.status()["policies"]["sha256"] == second
        assert guard.ask("/guard/v1/me", who="late")[0] == 200
        assert "guard_policy_last_reload_success 0.0" in ask(guard.ops, "/metrics")[1]
        assert guard.stop() == 0

    assert [line["result"] for line in of_type(config, "keys")] == ["applied", "refused"]
    assert [(line["result"], line["reason"]) for line in of_type(config, "policy")] == [
        ("applied", "start"),
        ("applied", "SIGHUP"),
        ("refused", "SIGHUP"),
    ]


def test_a_bad_policy_at_start_falls_back_to_the_last_good_one(tmp_path: Path) -> None:
    """With a record: the policies of the last run. Without: new orders are `policy_unavailable`, reads pass."""
    lay_out(tmp_path, policies={"open.toml": '[orders]\nmax_value = "7 HKD"\n'})
    with served(tmp_path) as guard:
        good = guard.status()["policies"]["sha256"]
    (tmp_path / "policies" / "open.toml").write_text("[orders\n")

    with served(tmp_path) as guard:
        assert guard.status()["policies"]["sha256"] == good
        assert guard.events("policy_last_good")
    with served(tmp_path, "--state", "another") as guard:
        assert guard.status()["policies"]["sha256"] is None
        assert guard.events("policy_unavailable")
        assert "policies: none could be loaded; new orders are refused" in guard.status()["degraded"]
        assert guard.ask("/guard/v1/me")[0] == 200


# ---------------------------------------------------------------- SIGKILL


async def test_sigkill_under_load_loses_no_decision_and_holds_what_is_unknown(tmp_path: Path) -> None:
    """Whatever reached the daemon was on the disk before; what has no outcome is unknown and held after the restart."""
    in_one_day()
    limit = 40
    policy = f'[orders]\nmax_value = "30000 HKD"\n[budgets]\ndaily_value = "{limit * 30000} HKD"\n'
    config = lay_out(tmp_path, policies={"day.toml": policy})
    simulator = Simulator()
    for number in range(200):
        simulator.faults.add(Delay(0.02 if number % 2 else 0.3), path="/api/order")
    async with before(simulator, tmp_path) as guard:
        sending = [asyncio.ensure_future(asyncio.to_thread(_pour, guard)) for _ in range(8)]
        await _reached(simulator, "/api/order", 15)
        guard.popen.send_signal(signal.SIGKILL)
        code = await asyncio.to_thread(guard.ended)
        answered = {order_id for told in await asyncio.gather(*sending) for order_id in told}

    reached = {
        seen.json["c2s"]["remark"].removeprefix("g:") for seen in simulator.requests if seen.path == "/api/order"
    }
    torn = run_here("audit", "verify", cwd=tmp_path).returncode
    decisions = {line["id"] for line in _whole(config, "decision") if line["outcome"] == "allow" and "claims" in line}
    settled = {line["decision"] for line in _whole(config, "outcome")}
    assert code == -signal.SIGKILL
    assert torn in {0, 4}
    assert len(reached) >= 15
    assert reached <= decisions, "an order reached the daemon that the record does not know"
    assert answered <= {placed.order_id_ex for placed in simulator.orders.values()}
    held = decisions - settled
    assert held, "nothing was under way: the test proves nothing"

    async with before(simulator, tmp_path) as guard:
        status = await asyncio.to_thread(guard.status)
        used = _used(await asyncio.to_thread(guard.ask, "/guard/v1/me"))
        more = [await asyncio.to_thread(guard.ask, "/api/order", order(qty=100)) for _ in range(limit)]
        assert await asyncio.to_thread(guard.stop) == 0

    assert set(status["unknown"]) == held
    assert [words for words in status["degraded"] if words.startswith(f"{len(held)} trade")]
    assert used == str(len(decisions) * 30000), "money of an unknown order is held"
    passed = [told for code_, told in more if code_ == 200]
    assert len(passed) == limit - len(decisions)
    assert {told["err_code"] for code_, told in more if code_ != 200} == {"daily_value"}
    assert run_here("audit", "verify", cwd=tmp_path).returncode == 0


def _pour(guard: Served) -> list[str]:
    """Orders one after the other until the guard is gone; the decisions of the answers."""
    answered: list[str] = []
    while True:
        try:
            status, told = guard.ask("/api/order", order())
        except (OSError, ValueError, http.client.HTTPException):
            return answered
        if status == HTTPStatus.OK:
            answered.append(str(told["s2c"]["order_id_ex"]))


def _whole(config: Path, kind: str) -> list[dict[str, Any]]:
    """The records of one type, a torn last line left out."""
    found = []
    for path in sorted((config.parent / "state" / "journal").glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return [line for line in found if line["type"] == kind]


def _used(told: tuple[int, Any]) -> str:
    rows = [limit for limit in told[1]["limits"] if limit["rule"] == "budgets.daily_value"]
    return str(next(row["used"] for row in rows if row["used"] != "0"))


def test_a_start_after_sigkill_sets_a_torn_line_aside(tmp_path: Path) -> None:
    """Half a line at the end, as a crash leaves it: verify says torn, the next start goes on and records it."""
    config = lay_out(tmp_path)
    with served(tmp_path) as guard:
        guard.stop(signal.SIGKILL)
    segment = tmp_path / "state" / "journal" / "00000001.jsonl"
    with segment.open("ab") as file:
        file.write(b'{"seq":99,"ts":"20')

    assert run_here("audit", "verify", cwd=tmp_path).returncode == 4
    with served(tmp_path) as guard:
        assert guard.stop() == 0
    assert len(of_type(config, "recovered")) == 1
    assert run_here("audit", "verify", cwd=tmp_path).returncode == 0


def test_a_served_guard_keeps_its_secrets(tmp_path: Path) -> None:
    """The daemon's key is in the environment and nowhere else: no log line, no record, no status, no metric has it."""
    canary = "fc_canary0123456789"
    lay_out(tmp_path)
    with served(tmp_path, env={"GUARD_DAEMON_KEY": canary}) as guard:
        texts = [json.dumps(guard.status()), ask(guard.ops, "/metrics")[1], json.dumps(guard.ask("/guard/v1/me"))]
        guard.stop()
        texts += [guard.err, guard.out]
    texts += [path.read_text() for path in (tmp_path / "state").rglob("*") if path.is_file()]

    assert not [text for text in texts if canary in text or key("bot") in text]
