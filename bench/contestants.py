"""The processes of a run: daemon, guard, idiomatic proxy and caller, each by itself, all alive at once.

Everything that they write lies in one folder. On two cores or more the contestants share one, since only one of them
works at a time; daemon and caller share another.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Final, NamedTuple

import asks
import machine
import msgspec
import tokens
from load import Job, Result

HERE: Final = Path(__file__).parent
BIN: Final = Path(sys.executable).parent
START_S: Final = 60.0
SCOPES: Final = ("qot:read", "acc:read", "trade:simulate")
LONG_START_S: Final = 600.0  # with a long record to read back, on a busy machine
STOP_S: Final = 30.0
CONTESTANT_CORE, OTHER_CORE = 0, 1
# What is asked with a wrong key is answered 401 throughout, and no refusal waits.
BOUNDS: Final = "[bounds]\nfailed_auths_per_minute_max = 1000000\nrefusals_per_second_max = 1000000\n"

POLICY: Final = f"""\
[policy]
id = "bench"
owner = "the benchmark"
rationale = "many rules are present and none refuses under load"
[applies_to]
keys = ["bot-*"]
environments = ["simulate"]
[instruments]
markets = {json.dumps(asks.MARKETS)}
symbols = ["HK.*", "US.*"]
blocked_symbols = ["{asks.BLOCKED}"]
[orders]
sides = {json.dumps(asks.SIDES)}
types = {json.dumps(asks.ORDER_TYPES)}
time_in_force = {json.dumps(asks.TIMES_IN_FORCE)}
max_value = ["{asks.ORDER_VALUE_MAX} HKD", "{asks.ORDER_VALUE_MAX} USD"]
max_qty = {asks.QTY_MAX}
per_day = {asks.ORDERS_PER_DAY_MAX}
duplicate_window_s = {asks.DUPLICATE_WINDOW_S}
[hours]
HK = "always"
US = "always"
[budgets]
per = "key"
daily_value = ["{asks.DAILY_VALUE_MAX} HKD", "{asks.DAILY_VALUE_MAX} USD"]
[rates]
per = "key"
new_orders = "{asks.RATE_MAX}/{asks.ORDER_WINDOW_S}s"
changes = "{asks.RATE_MAX}/{asks.ORDER_WINDOW_S}s"
reads = "{asks.RATE_MAX}/{asks.READ_WINDOW_S}s"
cancels = "{asks.RATE_MAX}/{asks.READ_WINDOW_S}s"
[rights]
touch = "own"
"""


class Server(NamedTuple):
    """A process that listens, and its ports: `ops` is where a guard's operator asks."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    ops: int = 0

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid


class Caller:
    """The process that asks."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def perform(self, job: Job) -> Result:
        """One job, from start to end. Raises `Unfit` where an answer was not the one that was due."""
        if self.process.stdin is None or self.process.stdout is None:
            raise AssertionError("started without pipes")
        self.process.stdin.write(msgspec.json.encode(job).decode() + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise machine.Unfit("the caller ended in the middle of a job")
        result = msgspec.json.decode(line, type=Result)
        if result.bad:
            raise machine.Unfit(f"{'+'.join(job.asks)} at port {job.port}: {'; '.join(result.bad)}")
        return result


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Size(NamedTuple):
    """How much a guard has to know: keys, and policies that bind each of them."""

    keys: int = asks.KEYS
    policies: int = 1


SMALLEST: Final = Size()


def lay_out(folder: Path, *, data: int, daemon: int, size: Size = SMALLEST, ops: int = 0, bounds: str = "") -> Path:
    """The guard's settings, keys, issuer and policies. Returns the settings file."""
    limits = {
        "allowed_markets": asks.MARKETS,
        "allowed_trd_sides": asks.SIDES,
        "max_order_value": asks.KEY_ORDER_VALUE_MAX,
        "max_daily_value": asks.DAILY_VALUE_MAX,
        "max_orders_per_minute": asks.RATE_MAX,
    }
    keys = [
        {"id": asks.key_id(number), "hash": f"sha256:{asks.digest(number)}", "scopes": SCOPES, **limits}
        for number in range(size.keys)
    ]
    folder.mkdir(mode=0o700)
    _write(folder / "keys.json", json.dumps({"version": 1, "keys": keys}))
    _write(folder / "daemon.key", asks.DAEMON_KEY)
    _write(folder / "jwks.json", tokens.jwks())
    _write(folder / "issuer.json", tokens.issuer())
    (folder / "policies").mkdir()
    _write(folder / "policies" / "bench.toml", POLICY)
    for number in range(1, size.policies):
        text = POLICY.replace('id = "bench"', f'id = "bench-{number}"')
        text = text.replace(f'"{asks.ORDER_VALUE_MAX} ', f'"{asks.ORDER_VALUE_MAX + number} ')
        _write(
            folder / "policies" / f"bench-{number}.toml", text.replace(str(asks.QTY_MAX), str(asks.QTY_MAX + number))
        )
    config = folder / "guard.toml"
    settings = (
        f'[listen]\ndata = "127.0.0.1:{data}"\nops = "127.0.0.1:{ops or free_port()}"\n[trading]\nenabled = true\n'
        f'[daemon]\nurl = "http://127.0.0.1:{daemon}"\nkey_file = "daemon.key"\nbroker_limits = "off"\n'
        f'[[jwt]]\nissuer = "{tokens.ISSUER}"\naudience = "{tokens.AUDIENCE}"\njwks_file = "jwks.json"\n'
        f'algorithms = ["{tokens.ALGORITHM}"]\nlifetime_max_s = {tokens.LIFETIME_S}\n{bounds}'
    )
    _write(config, settings)
    return config


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


@contextmanager
def serving(name: str, command: list[str], *, port: int, core: int, log: Path, ops: int = 0) -> Iterator[Server]:
    """The server while it runs; it is told to stop at the end, and waited for."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    machine.pin(process.pid, core)
    server = Server(name, port, process, log, ops)
    try:
        wait_for(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(server: Server) -> None:
    """Return once its port is open."""
    end_s = time.monotonic() + LONG_START_S
    while time.monotonic() < end_s and server.process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        time.sleep(0.01)
    last = server.log.read_text(errors="replace")[-2000:]
    raise machine.Unfit(f"{server.name} did not open its port:\n{last}")


@contextmanager
def calling() -> Iterator[Caller]:
    """The caller's process."""
    command = [sys.executable, str(HERE / "load.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        machine.pin(process.pid, OTHER_CORE + 1 if machine.cores() > 2 else OTHER_CORE)
        yield Caller(process)


@contextmanager
def daemon(folder: Path) -> Iterator[Server]:
    """The light daemon."""
    port = free_port()
    command = [sys.executable, str(HERE / "daemon.py"), "--port", str(port)]
    with serving("direct", command, port=port, core=OTHER_CORE, log=folder / "daemon.log") as server:
        yield server


@contextmanager
def guard(
    folder: Path, behind: Server, *, synced: bool = True, name: str = "guard", size: Size = SMALLEST
) -> Iterator[Server]:
    """The guard, as `guard serve` runs it, in front of the daemon; its record lies in `folder/state`.

    Not `synced`: the same program with a disk whose syncs are left out (`unsynced.py`), as no operator can have it.
    """
    port, ops = free_port(), free_port()
    config = lay_out(folder, data=port, daemon=behind.port, size=size, ops=ops, bounds=BOUNDS)
    command = [str(BIN / "guard"), "serve", "--config", str(config)]
    if not synced:
        command = [sys.executable, str(HERE / "unsynced.py"), json.dumps({"config": str(config)})]
    with serving(name, command, port=port, core=CONTESTANT_CORE, log=folder / "guard.log", ops=ops) as server:
        yield server


@contextmanager
def idiomatic(folder: Path, behind: Server, *, synced: bool = True, name: str = "aiohttp") -> Iterator[Server]:
    """The aiohttp proxy in front of the daemon, with the guard's keys and policy; its file is `folder/audit.jsonl`."""
    port = free_port()
    lay_out(folder, data=port, daemon=behind.port)
    options = {
        "--port": port,
        "--daemon": f"http://127.0.0.1:{behind.port}",
        "--daemon-key": folder / "daemon.key",
        "--keys": folder / "keys.json",
        "--policy": folder / "policies" / "bench.toml",
        "--issuer": folder / "issuer.json",
        "--audit": folder / "audit.jsonl",
        "--halt": folder / "HALT",
    }
    command = [sys.executable, str(HERE / "idiomatic"), *(str(part) for option in options.items() for part in option)]
    command += [] if synced else ["--unsynced"]
    with serving(name, command, port=port, core=CONTESTANT_CORE, log=folder / "aiohttp.log") as server:
        yield server


@contextmanager
def floor(folder: Path, behind: Server, *, name: str) -> Iterator[Server]:
    """The least that a proxy in Python does: `bare` forwards, `floor` also has a record, `folder/audit.jsonl`."""
    port = free_port()
    folder.mkdir(mode=0o700)
    command = [sys.executable, str(HERE / "floor.py"), "--port", str(port), "--daemon", str(behind.port)]
    command += [] if name == "bare" else ["--record", str(folder / "audit.jsonl")]
    command += ["--sync"] if name == "floor" else []
    with serving(name, command, port=port, core=CONTESTANT_CORE, log=folder / "floor.log") as server:
        yield server


def ask(port: int, name: str, *, serial: int, bearer: str | None = None) -> tuple[int, dict[str, object]]:
    """One request of this kind: status and parsed body, which is empty where there is no JSON."""
    wanted = asks.BY_NAME[name]
    return post(port, wanted.path, wanted.render(serial), bearer=bearer or asks.plaintext(0))


def post(port: int, path: str, body: bytes, *, bearer: str) -> tuple[int, dict[str, object]]:
    """The same with this path and body."""
    status, is_json, raw = _posted(port, path, body, bearer=bearer)
    return status, json.loads(raw) if is_json else {}


def posted(port: int, path: str, body: bytes, *, bearer: str) -> tuple[int, bytes]:
    """The same, with the body as it came."""
    status, _, raw = _posted(port, path, body, bearer=bearer)
    return status, raw


def _posted(port: int, path: str, body: bytes, *, bearer: str) -> tuple[int, bool, bytes]:
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, is_json, answer.read()
    finally:
        connection.close()
