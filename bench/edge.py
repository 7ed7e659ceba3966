"""What hostile callers cost: floods of bad requests, slow and silent connections, beside one caller that behaves.

`python bench/edge.py` starts the light daemon and a guard, measures the caller alone, and then beside each kind of
hostility: its median and 99th percentile, how many bad requests were refused a second, and what a connection that says
nothing costs in memory. Guard on one core; daemon, caller and flood share the other.
"""

import argparse
import asyncio
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import contestants

HERE: Final = Path(__file__).parent
RATE: Final = 100.0
CALLERS: Final = 4
FLOODERS: Final = 16
SLOW: Final = 500
IDLE_WANTED: Final = 10_000
FILES_KEPT: Final = 600
GAP_S: Final = {"slowloris": 1.0, "drizzle": 0.05}  # between two bytes of a head
WIDE: Final = "[bounds]\nconnections_max = 10100\nunproven_per_address_max = 10100\n"
WRONG: Final = "Authorization: Bearer gk_nobody_has_this"
HOSTILE: Final = {
    "calm": "the caller alone",
    "idle": "connections that say nothing",
    "slowloris": f"{SLOW} heads that trickle, a byte each second",
    "drizzle": f"{SLOW} heads, a byte each 50 ms: 10,000 wake-ups a second",
    "odd": f"{FLOODERS} callers, odd bytes, a connection for each",
    "nobody": f"{FLOODERS} callers with a wrong key, connections kept",
    "nowhere": f"{FLOODERS} callers, a path that is none, connections kept",
    "forbidden": f"{FLOODERS} callers with a key, orders above their limit",
}


def _request(kind: str) -> bytes:
    import asks  # noqa: PLC0415 - the script's own process needs nothing of it

    if kind == "odd":
        return b"GET /api/%2e%2e/order HTTP/1.1\r\nHost: a\r\n\r\n"
    if kind == "nowhere":
        return b"GET /api/nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
    if kind == "nobody":
        return f"GET /api/accounts HTTP/1.1\r\nHost: a\r\n{WRONG}\r\n\r\n".encode()
    return asks.head(asks.REFUSED, bearer=asks.plaintext(60), port=1) + asks.REFUSED.render(0)


# ---------------------------------------------------------------- the flood's own process


async def _flood(kind: str, port: int, seconds: float) -> int:
    """Bad requests one after the other on each connection; how many were answered."""
    raw, ends_s = _request(kind), time.monotonic() + seconds

    async def one() -> int:
        count = 0
        while time.monotonic() < ends_s:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while time.monotonic() < ends_s:
                writer.write(raw)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                count += 1
                if kind == "odd":
                    break
            writer.transport.abort()
        return count

    return sum(await asyncio.gather(*(one() for _ in range(FLOODERS))))


async def _trickle(port: int, seconds: float, *, gap_s: float) -> int:
    """Heads that never end, opened again when they are cut off; how many were."""
    ends_s, cut = time.monotonic() + seconds, 0

    async def one() -> None:
        nonlocal cut
        while time.monotonic() < ends_s:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /api/ping HTTP/1.1\r\nX-A: ")
            while time.monotonic() < ends_s and not reader.at_eof():
                writer.write(b"a")
                await asyncio.sleep(gap_s)
            cut += reader.at_eof()
            writer.transport.abort()

    await asyncio.gather(*(one() for _ in range(SLOW)))
    return cut


def _hostile(kind: str, port: int, seconds: float) -> int:
    import uvloop  # noqa: PLC0415 - likewise

    gap_s = GAP_S.get(kind)
    work = _flood(kind, port, seconds) if gap_s is None else _trickle(port, seconds, gap_s=gap_s)
    return uvloop.run(work)


# ---------------------------------------------------------------- the run


def _silent(port: int, wanted: int) -> list[socket.socket]:
    """As many connections as this process may open, up to so many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = []
    for number in range(min(wanted, hard - FILES_KEPT)):
        found.append(socket.create_connection(("127.0.0.1", port)))
        if number % 200 == 199:
            time.sleep(0.05)  # the listener's turn
    time.sleep(0.5)
    return found


class Round(NamedTuple):
    """One kind of hostility in one round: the caller's median and tail, what was refused or cut a second, the core."""

    median_us: float
    tail_us: float
    refused: float
    core_percent: float


def _beside(kind: str, perform: Callable[[], list[int]], *, port: int, seconds: float) -> tuple[list[int], float]:
    """The caller's latencies beside a hostile process, and how many of its requests were refused a second."""
    import contestants  # noqa: PLC0415 - `--help` should not wait for the libraries
    import machine  # noqa: PLC0415 - likewise

    command = [sys.executable, __file__, "--hostile", kind, str(port), str(seconds + 2)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hostile:
        machine.pin(hostile.pid, contestants.OTHER_CORE)
        time.sleep(1)
        taken = perform()
        return taken, int(hostile.communicate()[0]) / (seconds + 2)


@contextmanager
def _guard(folder: Path, daemon: "contestants.Server") -> "Iterator[contestants.Server]":
    """The guard as `guard serve` runs it, with room for more connections."""
    import contestants  # noqa: PLC0415 - `--help` should not wait for the libraries

    port = contestants.free_port()
    config = contestants.lay_out(folder / "guard", data=port, daemon=daemon.port, bounds=WIDE)
    command = [str(contestants.BIN / "guard"), "serve", "--config", str(config)]
    log, core = folder / "guard.log", contestants.CONTESTANT_CORE
    with contestants.serving("guard", command, port=port, core=core, log=log) as server:
        yield server


def _measured(folder: Path, *, rounds: int, seconds: float) -> tuple[dict[str, list[Round]], str]:
    import contestants  # noqa: PLC0415 - `--help` should not wait for the libraries
    import machine  # noqa: PLC0415 - likewise
    from field import percentile  # noqa: PLC0415 - likewise
    from load import Job  # noqa: PLC0415 - likewise

    found: dict[str, list[Round]] = {kind: [] for kind in HOSTILE}
    memory = ""
    with (
        contestants.daemon(folder) as daemon,
        _guard(folder, daemon) as guard,
        contestants.calling() as caller,
    ):
        job = Job(guard.port, ["quote"], CALLERS, rate=RATE, warm_s=0.3, measure_s=seconds)
        core: list[float] = []

        def perform() -> list[int]:
            """The caller's latencies; how much of its core the guard used meanwhile, all of it work of its own."""
            began_s, began_us = time.monotonic(), machine.cpu_us(guard.pid)
            taken = caller.perform(job).latencies_us
            core.append((machine.cpu_us(guard.pid) - began_us) / (time.monotonic() - began_s) / 1e4)
            return taken

        for kind in [*HOSTILE] * rounds:
            silents, refused, before = [], 0.0, machine.rss_bytes(guard.pid)
            if kind == "idle":
                silents = _silent(guard.port, IDLE_WANTED)
                each = (machine.rss_bytes(guard.pid) - before) / len(silents)
                memory = memory or f"{len(silents)} silent connections: {each:.0f} bytes of the guard's memory each"
            if kind in {"calm", "idle"}:
                taken = perform()
            else:
                taken, refused = _beside(kind, perform, port=guard.port, seconds=seconds)
            for one in silents:
                one.close()
            taken = sorted(taken)
            found[kind].append(Round(percentile(taken, 0.5), percentile(taken, 0.99), refused, core[-1]))
            time.sleep(1)
    return found, memory


def table(found: dict[str, list[Round]], memory: str) -> str:
    """The figures as a document's table: medians of the rounds, ratios within a round."""
    head = ("beside the caller", "p50 µs", "p99 µs", "p99 of calm", "refused or cut a second", "core of the guard")
    rows = [f"| {' | '.join(head)} |", "| --- | --- | --- | --- | --- | --- |"]
    for kind, rounds in found.items():
        ratio = median(one.tail_us / calm.tail_us for one, calm in zip(rounds, found["calm"], strict=True))
        half, tail = median(one.median_us for one in rounds), median(one.tail_us for one in rounds)
        refused = median(one.refused for one in rounds)
        core = median(one.core_percent for one in rounds)
        rows.append(f"| {HOSTILE[kind]} | {half:.0f} | {tail:.0f} | {ratio:.1f} x | {refused:.0f} | {core:.0f} % |")
    return "\n".join([*rows, "", f"* {memory}."])


BUSY: Final = ": others worked on the machine too, which moves latencies, and not the last column"
DOCUMENT: Final = """# Performance under attack

Written by `python bench/edge.py --report docs/performance-edge.md` from one run.

A caller that behaves asks for quotes at a fixed rate ({rate:.0f} a second over {callers} connections) while others do
not behave. The guard runs on one core as `guard serve` runs it; the light daemon, the caller and the flood share the
other one, so part of what the caller feels is the flood's own work beside it. Latencies count from the timetable, not
from when a request could be sent. The last column is the guard's own processor time, whatever else the machine does.

{table}

* Measured {when} on {cores} cores, Python {python}: {rounds} rounds, in each {seconds:.0f} s for each row; figures are
  medians of the rounds, ratios taken within a round. Load average at the start {load:.1f}{busy}.
* What a flood takes from others is the core. A request waits behind at most one request of each other connection, since
  every connection has one request under way; and a key, or an address without one, is told at most
  `bounds.refusals_per_second_max` (100) refusals a second, further ones in their turn. So what is refused a second is
  what these flooders were slowed down to; what a refusal costs is in `docs/performance.md`. What passes, and a key's
  cancel, never waits.
"""


def main() -> int:
    """Measure and print; with `--report` write the document."""
    parser = argparse.ArgumentParser(prog="bench/edge.py", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each kind is measured")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds")
    parser.add_argument("--work", type=Path, default=HERE / "records", help="where records are written: on a real disk")
    parser.add_argument("--report", type=Path, help="also write the document, such as docs/performance-edge.md")
    parser.add_argument("--hostile", nargs=3, metavar=("KIND", "PORT", "SECONDS"), help="be the flood; for itself")
    given = parser.parse_args()
    if given.hostile:
        kind, port, seconds = given.hostile
        print(_hostile(kind, int(port), float(seconds)))
        return 0
    given.work.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(prefix="edge-", dir=given.work))
    try:
        found, memory = _measured(folder, rounds=given.rounds, seconds=given.seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = table(found, memory)
    print(told)
    if given.report:
        when, python = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), sys.version.split()[0]
        given.report.write_text(
            DOCUMENT.format(
                rate=RATE,
                callers=CALLERS,
                table=told,
                when=when,
                cores=os.cpu_count(),
                python=python,
                rounds=given.rounds,
                seconds=given.seconds,
                load=load,
                busy=BUSY if load > (os.cpu_count() or 1) else "",
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
