"""The figures that the guard is to hold, beside what a run found: met or not, as it is.

Each is the median of ratios within one round, so that a neighbour's noise falls on both sides of it.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import fanout
from field import OPEN_RATE
from measure import Results
from paused import worst
from scale import ALL, KEYS, OPEN
from tables import Figure, Span, View, cpu, p50, rps, span, spread, table

TELLING: Final = 100_000
FLOOR: Final = "floor-unsynced"
SAID: Final = {OPEN: "many open orders (100 000 in a full run)", KEYS: "10 000 keys, of which 10 ask"}
Found = Callable[[Results], Sequence[float]]


class Wanted(NamedTuple):
    """One figure: what it is, its bounds, whether more is better, and how a run tells it, one value a round."""

    what: str
    must: float
    aim: float
    found: Found
    is_more_better: bool = False
    least: Found | None = None  # the same of the floor, where it has one

    def row(self, results: Results) -> list[str]:
        """Its line in the table."""
        return self._row(self.found(results))

    def floor_row(self, results: Results) -> list[str]:
        """The line of the floor."""
        return self._row(self.least(results) if self.least else [])

    def told(self, results: Results) -> dict[str, object]:
        """The same for programs."""
        found = span(self.found(results))
        return {
            "what": self.what,
            "must": self.must,
            "aim": self.aim,
            "is_more_better": self.is_more_better,
            "found": found and found._asdict(),
            "said": self._said(found).strip("*"),
        }

    def _row(self, found: Sequence[float]) -> list[str]:
        sign = "≥" if self.is_more_better else "≤"
        bounds = [f"{sign} {self.must:g}", f"{sign} {self.aim:g}"]
        return [self.what, *bounds, spread(found), self._said(span(found))]

    def _said(self, found: Span | None) -> str:
        if found is None:
            return "not measured"
        value = found.median

        def holds(bound: float) -> bool:
            return value >= bound if self.is_more_better else value <= bound

        return "aim met" if holds(self.aim) else "met" if holds(self.must) else "**not met**"


def _unsynced(other: str, *, mine: str = "guard-unsynced") -> Found:
    return lambda results: View(results, "unsynced", connections=64).against(mine, other, cpu)


def _durable(figure: Figure, *, mine: str = "guard") -> Found:
    return lambda results: View(results, "order", connections=64).against(mine, "nginx-lua", figure)


def _quote(*, mine: str = "guard") -> Found:
    return lambda results: View(results, "quote", connections=64).against(mine, "nginx-lua", cpu)


def _durable_against_not(results: Results) -> list[float]:
    durable = {each.turn: each.rps for each in View(results, "order", connections=64).windows if each.name == "guard"}
    free = View(results, "unsynced", connections=64).windows
    return [durable[each.turn] / each.rps for each in free if each.name == "guard-unsynced" and each.turn in durable]


def _scaled(name: str) -> Found:
    return lambda results: [] if results.scale is None else results.scale.ratios(name)


def _added(*, mine: str = "guard-unsynced") -> Found:
    def found(results: Results) -> list[float]:
        windows = View(results, "unsynced", rate=OPEN_RATE).windows
        ours, theirs, direct = (
            {each.turn: p50(each) for each in windows if each.name == name} for name in (mine, "nginx", "direct")
        )
        turns = [turn for turn in direct if turn in ours and theirs.get(turn, 0.0) > direct[turn]]
        return [(ours[turn] - direct[turn]) / (theirs[turn] - direct[turn]) for turn in turns]

    return found


def _framed(burst: int, *, mine: str = "guard") -> Found:
    return lambda results: fanout.ratios(results.frames, sockets=100, burst=burst, mine=mine)


def _longest_pause(results: Results) -> list[float]:
    """That of the act and level whose median is the worst."""
    place = worst(results.pauses)
    return [] if place is None else place[0].held_up[place[1]]


def _idle_mb(results: Results) -> list[float]:
    return [] if results.scale is None else [start.rss / 1e6 for start in results.scale.starts[:1]]


def _mb_a_million(results: Results) -> list[float]:
    """In whole megabytes: what is less is the allocator's. Too few requests tell nothing."""
    memory = results.memory
    return [float(round(memory.growth_per_million() / 1e6))] if memory.more >= TELLING else []


WANTED = (
    Wanted(
        "CPU an order, recorded, no fsync, 64 connections ÷ nginx + Lua",
        2.5,
        1.3,
        _unsynced("nginx-lua-unsynced"),
        least=_unsynced("nginx-lua-unsynced", mine=FLOOR),
    ),
    Wanted("the same ÷ Envoy without policy", 1.2, 0.7, _unsynced("envoy"), least=_unsynced("envoy", mine=FLOOR)),
    Wanted(
        "the same ÷ the aiohttp proxy",
        0.25,
        0.15,
        _unsynced("aiohttp-unsynced"),
        least=_unsynced("aiohttp-unsynced", mine=FLOOR),
    ),
    Wanted(
        "CPU a durable order at 64 connections ÷ nginx + Lua with one fdatasync an order",
        0.8,
        0.5,
        _durable(cpu),
        least=_durable(cpu, mine="floor"),
    ),
    Wanted(
        "durable orders a second at 64 connections ÷ the same",
        3.5,
        7,
        _durable(rps),
        is_more_better=True,
        least=_durable(rps, mine="floor"),
    ),
    Wanted("durable ÷ not durable, orders a second at 64", 0.65, 0.85, _durable_against_not, is_more_better=True),
    Wanted("CPU a quote at 64 connections ÷ nginx + Lua", 1.8, 1.0, _quote(), least=_quote(mine="bare")),
    Wanted(
        f"added p50 at {OPEN_RATE:.0f}/s, order not synced ÷ nginx plain", 2.0, 1.3, _added(), least=_added(mine=FLOOR)
    ),
    *(
        Wanted(f"CPU an order with {SAID.get(name, name)} ÷ the smallest set-up", must, aim, _scaled(name))
        for name, must, aim in ((KEYS, 1.2, 1.05), (ALL, 1.2, 1.05), (OPEN, 1.2, 1.05), ("200 policies", 1.6, 1.2))
    ),
    Wanted(
        "records a second read back at a start, chain verified",
        60_000,
        200_000,
        lambda results: [] if results.scale is None else results.scale.records_per_s(),
        is_more_better=True,
    ),
    *(
        Wanted(
            f"CPU a frame delivered to 100 sockets, {how}, ÷ an aiohttp relay",
            0.25,
            0.10,
            _framed(burst),
            least=_framed(burst, mine="sends"),
        )
        for burst, how in ((32, "32 at a time"), (1, "one at a time"))
    ),
    Wanted("ms that the loop is held up at most: scrape, reload, rotation, snapshot, checkpoint", 5, 1, _longest_pause),
    Wanted("MB resident at start, idle", 80, 60, _idle_mb),
    Wanted("MB that a million requests add", 0, 0, _mb_a_million),
    Wanted(
        "bytes a live order",
        500,
        300,
        lambda results: [results.memory.order_bytes()],
    ),
)


def figures_table(results: Results) -> str:
    """Every figure with its bounds and what was found."""
    return table(["measure", "must", "aim", "found", ""], [wanted.row(results) for wanted in WANTED])


def floor_table(results: Results) -> str:
    """The figures that are about a request, and what the floor has of them."""
    rows = [wanted.floor_row(results) for wanted in WANTED if wanted.least]
    return table(["measure", "must", "aim", "the floor", ""], rows)


def missed(results: Results) -> int:
    """How many are not met, or were not measured."""
    return sum(wanted.row(results)[-1] not in {"met", "aim met"} for wanted in WANTED)
