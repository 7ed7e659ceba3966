"""Memory of a guard: does it grow with requests, and what does a live order cost?

A mix of quotes and refusals leaves nothing behind that lasts, so memory must be the same after it and after more of it.
It is paced, and the first reading is taken after more than a minute of it, so that the exact windows of a minute are
as full at the first reading as at the second. Orders that are accepted stay live until they end, which the light daemon
never tells, so these do add up.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import machine
import msgspec
from contestants import Server
from load import Job, Result

MIX: Final = [*["quote"] * 9, "refused"]
CONNECTIONS: Final = 64


class Memory(msgspec.Struct):
    """Resident bytes of a guard: at start, after the mix, after more of it; after orders, and after twice these."""

    at_start: int
    requests: int
    after: int
    more: int
    after_more: int
    orders: int
    after_orders: int
    after_orders_twice: int
    record_bytes: int

    def growth_per_million(self) -> float:
        """Bytes that a million requests would add, by what the later ones added."""
        return (self.after_more - self.after) * 1e6 / self.more


class Wanted(Protocol):
    """How much is measured; see `measure.Plan`."""

    memory: int
    memory_more: int
    memory_rate: float
    orders: int


class Performer(Protocol):
    """What does the jobs; the last of its servers is the guard."""

    servers: list[Server]

    def perform(self, server: Server, job: Job) -> Result:
        """One job."""
        ...


def remember(field: Performer, plan: Wanted, folder: Path, say: Callable[[str], None]) -> Memory:
    """The readings; `folder` is the guard's."""
    server = field.servers[-1]
    readings = [machine.rss_bytes(server.pid)]
    for count in (plan.memory, plan.memory_more):
        say(f"memory: {count} requests")
        field.perform(server, Job(0, MIX, CONNECTIONS, rate=plan.memory_rate, count=count))
        readings.append(machine.rss_bytes(server.pid))
    before = _record_bytes(folder)
    for number in range(2):
        say(f"memory: {(number + 1) * plan.orders} live orders")
        field.perform(server, Job(0, ["order"], CONNECTIONS, count=plan.orders))
        readings.append(machine.rss_bytes(server.pid))
    start, after, more, orders, orders_twice = readings
    grown = _record_bytes(folder) - before
    return Memory(
        at_start=start,
        requests=plan.memory,
        after=after,
        more=plan.memory_more,
        after_more=more,
        orders=plan.orders,
        after_orders=orders,
        after_orders_twice=orders_twice,
        record_bytes=grown // (2 * plan.orders),
    )


def _record_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "state" / "journal").glob("*.jsonl"))
