"""Does an order cost more with many keys, policies, open orders or records? And how long does a start take?

Guards of several sizes are alive at once; windows are interleaved and their order turns with every round, so a ratio is
of one round.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import contestants
import msgspec
import past
from contestants import Caller, Server, Size
from field import Plan
from load import Job
from starts import KEPT, KEPT_S, NEW, Start, again, started, until_quiet

CONNECTIONS: Final = 64
SIZES: Final = {"smallest": Size(), "10 000 keys": Size(keys=10_000), "200 policies": Size(policies=200)}
OPEN: Final = "open orders"
PAST: Final = "records of the past"
SHORT: Final = 1_000
LIVE: Final = "its orders all live"


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
        """How fast a record is read back: what the longest start without a snapshot took longer than an empty one."""
        whole = sorted((start for start in self.starts if not start.how), key=lambda start: start.records)
        if len(whole) < 2:
            return []
        empty, full = whole[0], whole[-1]
        return [(full.records - empty.records) / max(1e-3, full.seconds - empty.seconds)]


def measure(folder: Path, daemon: Server, caller: Caller, *, plan: Plan, say: Callable[[str], None]) -> Scale:
    """Every size in every round; orders are opened beforehand at one guard of the smallest size."""
    sizes = SIZES | {OPEN: Size(), f"{SHORT} {PAST}": Size(records=SHORT)}
    names = [*sizes, PAST]
    found = Scale(plan.open_orders, plan.records, {name: [] for name in names})
    say(f"scale: starts without a record, and with {plan.records}")
    for name, records in (("new", 0), ("long", plan.records)):
        _ = contestants.lay_out(folder / name, data=contestants.free_port(), daemon=daemon.port)
        if records:
            past.lay(folder / name / "state", records=records)
            found.starts.append(started(folder / name, how=NEW))
        found.starts.append(started(folder / name))
    found.starts.append(started(folder / "long", how=KEPT))
    with ExitStack() as alive:
        servers = {PAST: alive.enter_context(again(folder / "long", PAST))}
        for at, (name, size) in enumerate(sizes.items()):
            say(f"scale: a guard with {name}")
            guard = contestants.guard(folder / str(at), daemon, name=name, size=size)
            servers[name] = alive.enter_context(guard)
        say(f"scale: {plan.open_orders} orders are opened")
        caller.perform(Job(servers[OPEN].port, ["order"], CONNECTIONS, count=plan.open_orders))
        until_quiet(*(server.pid for server in servers.values()), for_s=KEPT_S)
        for turn in range(plan.rounds):
            for name in names if turn % 2 == 0 else names[::-1]:
                server = servers[name]
                job = Job(server.port, ["order"], CONNECTIONS, [server.pid], warm_s=0.2, measure_s=0.5)
                result = caller.perform(job)
                found.cpu_us[name].append(result.cpu_us[server.pid] / max(1, result.answers))
    for name in ("smallest", OPEN):
        say(f"scale: a start after {name}")
        found.starts.append(started(folder / str(names.index(name)), how=LIVE))
    return found
