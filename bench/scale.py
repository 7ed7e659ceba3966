"""Does an order cost more with many keys, many policies, or many open orders? And how long does a start take?

Guards of several sizes are alive at once; windows are interleaved and their order turns with every round, so a ratio is
of one round. A start is the CPU time from the process to the open port, with a short record and with the one that a
busy guard left behind, whose chain is verified on the way.
"""

import subprocess
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import contestants
import machine
import msgspec
from contestants import BIN, CONTESTANT_CORE, Caller, Server, Size
from load import Job

CONNECTIONS: Final = 64
SIZES: Final = {"smallest": Size(), "10 000 keys": Size(keys=10_000), "200 policies": Size(policies=200)}
OPEN: Final = "open orders"


class Start(msgspec.Struct):
    """CPU seconds from the process to the open port, and how many records were read back."""

    records: int
    seconds: float


class Scale(msgspec.Struct):
    """CPU of an order in microseconds, one a round, by what the guard has to know; `orders` were open in the last."""

    orders: int
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


def measure(
    folder: Path, daemon: Server, caller: Caller, *, rounds: int, orders: int, say: Callable[[str], None]
) -> Scale:
    """Every size in every round; `orders` are opened beforehand at one guard of the smallest size."""
    names = [*SIZES, OPEN]
    found = Scale(orders, {name: [] for name in names})
    with ExitStack() as alive:
        servers = {
            name: alive.enter_context(
                contestants.guard(folder / str(at), daemon, name=name, size=SIZES.get(name, contestants.SMALLEST))
            )
            for at, name in enumerate(names)
        }
        say(f"scale: {orders} orders are opened")
        caller.perform(Job(servers[OPEN].port, ["order"], CONNECTIONS, count=orders))
        for turn in range(rounds):
            for name in names if turn % 2 == 0 else names[::-1]:
                server = servers[name]
                job = Job(server.port, ["order"], CONNECTIONS, [server.pid], warm_s=0.2, measure_s=0.5)
                result = caller.perform(job)
                found.cpu_us[name].append(result.cpu_us[server.pid] / max(1, result.answers))
    for name in ("smallest", OPEN):
        say(f"scale: a start after {name}")
        found.starts.append(_started(folder / str(names.index(name))))
    return found


def _started(folder: Path) -> Start:
    """The guard of this folder once more."""
    config = folder / "guard.toml"
    port = int(tomllib.loads(config.read_text())["listen"]["data"].rpartition(":")[2])
    records = sum(path.read_bytes().count(b"\n") for path in (folder / "state" / "journal").glob("*.jsonl"))
    command, log = [str(BIN / "guard"), "serve", "--config", str(config)], folder / "again.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    machine.pin(process.pid, CONTESTANT_CORE)
    try:
        contestants.wait_for(Server("guard", port, process, log))
        return Start(records, machine.cpu_us(process.pid) / 1e6)
    finally:
        process.terminate()
        process.wait(contestants.STOP_S)
