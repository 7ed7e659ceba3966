"""Does an order cost more with many keys, policies, open orders or records? And how long does a start take?

Guards of several sizes are alive at once; windows are interleaved and their order turns with every round, so a ratio is
of one round. A start is a new process until it says that it is ready, in seconds and in CPU seconds: without a record,
with the one that a busy guard left behind, and with a long one that has no snapshot, whose chain is verified on the
way. The disk's cache is warm.
"""

import subprocess
import time
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import contestants
import machine
import msgspec
import past
from contestants import BIN, CONTESTANT_CORE, Caller, Server, Size
from field import Plan
from load import Job

CONNECTIONS: Final = 64
SIZES: Final = {"smallest": Size(), "10 000 keys": Size(keys=10_000), "200 policies": Size(policies=200)}
OPEN: Final = "open orders"
PAST: Final = "records of the past"
SHORT: Final = 1_000
QUIET_SHARE: Final = 0.05
QUIET_S: Final = 120.0


class Start(msgspec.Struct):
    """From the process to its being ready: records that were read back, CPU seconds, seconds; then bytes resident."""

    records: int
    seconds: float
    ready_s: float
    rss: int


class Scale(msgspec.Struct):
    """CPU of an order in microseconds, one a round, by what the guard has to know.

    `orders` were open in the guard of that name, `records` were there before in the other.
    """

    orders: int
    records: int
    cpu_us: dict[str, list[float]]
    starts: list[Start] = []

    def ratios(self, name: str) -> list[float]:
        """Against the smallest of the same round."""
        return [mine / small for mine, small in zip(self.cpu_us[name], self.cpu_us["smallest"], strict=True)]

    def records_per_s(self) -> list[float]:
        """How fast a record is read back: what a start took longer than an empty one."""
        if len(self.starts) < 2:
            return []
        empty, full = self.starts[0], self.starts[-1]
        return [(full.records - empty.records) / max(1e-3, full.seconds - empty.seconds)]


def measure(folder: Path, daemon: Server, caller: Caller, *, plan: Plan, say: Callable[[str], None]) -> Scale:
    """Every size in every round; orders are opened beforehand at one guard of the smallest size."""
    sizes = SIZES | {OPEN: Size(), f"{SHORT} {PAST}": Size(records=SHORT), PAST: Size(records=plan.records)}
    found = Scale(plan.open_orders, plan.records, {name: [] for name in sizes})
    with ExitStack() as alive:
        servers = {}
        for at, (name, size) in enumerate(sizes.items()):
            say(f"scale: a guard with {name}")
            guard = contestants.guard(folder / str(at), daemon, name=name, size=size)
            servers[name] = alive.enter_context(guard)
        say(f"scale: {plan.open_orders} orders are opened")
        caller.perform(Job(servers[OPEN].port, ["order"], CONNECTIONS, count=plan.open_orders))
        for server in servers.values():
            _until_quiet(server.pid)
        for turn in range(plan.rounds):
            for name in sizes if turn % 2 == 0 else reversed(sizes):
                server = servers[name]
                job = Job(server.port, ["order"], CONNECTIONS, [server.pid], warm_s=0.2, measure_s=0.5)
                result = caller.perform(job)
                found.cpu_us[name].append(result.cpu_us[server.pid] / max(1, result.answers))
    _ = contestants.lay_out(folder / "new", data=contestants.free_port(), daemon=daemon.port)
    say("scale: a start without a record")
    found.starts.append(_started(folder / "new"))
    for name in ("smallest", OPEN):
        say(f"scale: a start after {name}")
        found.starts.append(_started(folder / str([*sizes].index(name))))
    long = folder / "long"
    _ = contestants.lay_out(long, data=contestants.free_port(), daemon=daemon.port)
    say(f"scale: a start with {plan.records} records")
    past.lay(long / "state", records=plan.records)
    found.starts.append(_started(long))
    return found


def _until_quiet(pid: int) -> None:
    """Return once the process has nothing left to do: what was read at its start becomes a snapshot beside the loop."""
    end_s = time.monotonic() + QUIET_S
    while time.monotonic() < end_s:
        before = machine.cpu_us(pid)
        time.sleep(1.0)
        if machine.cpu_us(pid) - before < QUIET_SHARE * 1e6:
            return


def _started(folder: Path) -> Start:
    """The guard of this folder as a new process."""
    config = folder / "guard.toml"
    listen = tomllib.loads(config.read_text())["listen"]
    records = sum(path.read_bytes().count(b"\n") for path in (folder / "state" / "journal").glob("*.jsonl"))
    command, log = [str(BIN / "guard"), "serve", "--config", str(config)], folder / "again.log"
    began_s = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    machine.pin(process.pid, CONTESTANT_CORE)
    try:
        contestants.wait_for(Server("guard", _port(listen["data"]), process, log))
        _until_ready(_port(listen["ops"]))
        ready_s, cpu_s = time.monotonic() - began_s, machine.cpu_us(process.pid) / 1e6
        _until_quiet(process.pid)
        return Start(records, cpu_s, ready_s, machine.rss_bytes(process.pid))
    finally:
        process.terminate()
        process.wait(contestants.STOP_S)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _until_ready(port: int) -> None:
    """Return once it says that it is ready."""
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10):
                return
        except OSError:
            time.sleep(0.005)
