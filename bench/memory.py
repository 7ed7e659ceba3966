"""Memory of a guard: does it grow with requests, and what does a live order cost?

A mix of quotes and refusals leaves nothing behind that lasts, so memory must be the same after it and after more of it.
It is paced, and the first reading is taken after minutes of it: the exact windows of a minute are full by then, and the
rows of their stamps, which are as long as the fullest minute so far needed, hardly become longer. That and the holes
between them settle for the first 600,000 requests at this rate, and stay for the next 2.6 million.

The exact windows of the last minute are in no reading: how full they are is the pace of that very minute, at 8 bytes a
request, and a caller that catches up with its timetable makes one fuller than all before. So more than a minute of
nothing is before each reading, then one round of the mix, which lets go of what no window counts any more.

A reading is the least of what is read for a while: what a look at the daemon's lists, or callers that are gone, have
left free stays resident until the guard gives it back, every ten seconds, and with many orders that is megabytes.

There are several: what grows with requests is larger at nearly each than at the one before, while what an allocator
takes, or does not give back, shows as a step now and then, and what happens to be in use goes up and down. So growth
shows in two figures, and the smaller is told: the median of what was added from one reading to the next, which no step
moves, and the median of the slopes between any two readings, which what goes up and down hardly moves. What doubles
once in a million would pass for a step: objects are counted in the gate (`tests/scenarios/test_growth.py`).

Orders that are accepted stay live until they end, which the light daemon never tells, so these do add up. Each reading
is taken after another minute of the mix, when the windows over orders are empty again. Tables of live orders double
when they are full: between so many orders and `STRETCH` times as many each has doubled as often as the number did, so
that it is as full at the second reading as at the first.
"""

import time
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from statistics import median
from typing import Final, Protocol

import machine
import msgspec
from contestants import Server
from load import Job, Result

MIX: Final = [*["quote"] * 9, "refused"]
CONNECTIONS: Final = 64
READINGS: Final = 10  # beside the first
GLANCE_S: Final = 0.25
STRETCH: Final = 4  # a power of two


class Memory(msgspec.Struct):
    """Resident bytes of a guard: at start; after the mix, and again and again while more of it is asked; after orders.

    The last reading is after `STRETCH` times as many `orders`.
    """

    at_start: int
    requests: int
    more: int
    readings: list[int]
    orders: int
    after_orders: int
    after_all_orders: int
    record_bytes: int

    def growth_per_million(self) -> float:
        """Bytes that a million requests would add."""
        added = [after - before for before, after in pairwise(self.readings)]
        slopes = [(later - sooner) / (j - i) for (i, sooner), (j, later) in combinations(enumerate(self.readings), 2)]
        return min(median(added), median(slopes)) * len(added) * 1e6 / self.more

    def order_bytes(self) -> float:
        """Bytes that a live order takes."""
        return (self.after_all_orders - self.after_orders) / ((STRETCH - 1) * self.orders)


class Wanted(Protocol):
    """How much is measured; see `measure.Plan`."""

    memory: int
    memory_more: int
    memory_rate: float
    settle_s: float
    idle_s: float
    orders: int


class Performer(Protocol):
    """What does the jobs; the last of its servers is the guard."""

    servers: list[Server]

    def perform(self, server: Server, job: Job) -> Result:
        """One job."""
        ...


def remember(field: Performer, plan: Wanted, folder: Path, *, say: Callable[[str], None]) -> Memory:
    """The readings; `folder` is the guard's."""
    server = field.servers[-1]
    at_start = machine.rss_bytes(server.pid)

    def reading() -> int:
        time.sleep(plan.idle_s)
        field.perform(server, Job(0, MIX, CONNECTIONS, rate=plan.memory_rate, count=CONNECTIONS * len(MIX)))
        return least_bytes(server.pid, seconds=plan.settle_s)

    readings: list[int] = []
    for count in (plan.memory, *[plan.memory_more // READINGS] * READINGS):
        say(f"memory: {count} requests")
        field.perform(server, Job(0, MIX, CONNECTIONS, rate=plan.memory_rate, count=count))
        readings.append(reading())
    grown, after = 0, list[int]()
    for count in (plan.orders, (STRETCH - 1) * plan.orders):
        say(f"memory: {count} live orders")
        grown -= _record_bytes(folder)
        field.perform(server, Job(0, ["order"], CONNECTIONS, count=count))
        grown += _record_bytes(folder)
        field.perform(server, Job(0, MIX, CONNECTIONS, rate=plan.memory_rate, count=plan.memory // 4))
        after.append(reading())
    return Memory(
        at_start=at_start,
        requests=plan.memory,
        more=plan.memory_more,
        readings=readings,
        orders=plan.orders,
        after_orders=after[0],
        after_all_orders=after[1],
        record_bytes=grown // (STRETCH * plan.orders),
    )


def least_bytes(pid: int, *, seconds: float) -> int:
    """The least resident memory of a process in so many seconds."""
    until_s, least = time.monotonic() + seconds, machine.rss_bytes(pid)
    while time.monotonic() < until_s:
        time.sleep(GLANCE_S)
        least = min(least, machine.rss_bytes(pid))
    return least


def _record_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "state" / "journal").glob("*.jsonl"))
