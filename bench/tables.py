"""Windows made into tables: medians over the rounds with the smallest and the largest, ratios within one round."""

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import NamedTuple

import fanout
from field import OPEN_RATE, Window
from forwarders import FORWARDERS
from measure import Results
from memory import STRETCH
from paused import Level
from scale import OPEN, PAST
from starts import Start

TITLES = {
    "direct": "direct",
    "nginx": "nginx, no policy",
    "envoy": "Envoy, no policy",
    "haproxy": "HAProxy, no policy",
    "caddy": "Caddy, no policy",
    "traefik": "Traefik, no policy",
    "node": "Node + undici, no policy",
    "mitmproxy": "mitmproxy, no policy",
    "nginx-lua": "nginx + Lua",
    "nginx-lua-unsynced": "nginx + Lua",
    "nginx-lua-together": "nginx + Lua, one sync a turn",
    "bare": "floor, no policy",
    "floor": "floor",
    "floor-unsynced": "floor",
    "guard": "guard",
    "guard-unsynced": "guard",
    "aiohttp": "aiohttp proxy",
    "aiohttp-unsynced": "aiohttp proxy",
}
ASKS = {
    "order": "order, durable",
    "unsynced": "order, not synced",
    "token": "order by a token met before, not synced",
    "fresh": "order by a new token, not synced",
    "quote": "quote",
    "history": "history of 5 MB",
    "refused": "refused order",
    "strange": "order with a wrong key",
}
UNSYNCED = {"unsynced", "token", "fresh"}
FLOORS = (
    ("quote", "bare", "a quote, forwarded"),
    ("unsynced", "bare", "an order, forwarded"),
    ("unsynced", "floor-unsynced", "an order, recorded, not synced"),
    ("order", "floor", "an order, durable"),
)
Figure = Callable[[Window], float]


def shown(value: float) -> str:
    """A figure with as many digits as it is worth."""
    if math.isnan(value):
        return "-"
    if abs(value) >= 100:
        return _grouped(round(value))
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _grouped(count: int) -> str:
    return f"{count:,}".replace(",", " ")


class Span(NamedTuple):
    """What the rounds have of one figure."""

    smallest: float
    median: float
    largest: float


def span(values: Sequence[float]) -> Span | None:
    """The smallest, the median and the largest of those that are numbers; None where there is none."""
    numbers = [value for value in values if not math.isnan(value)]
    return Span(min(numbers), median(numbers), max(numbers)) if numbers else None


def spread(values: Sequence[float]) -> str:
    """Median (smallest-largest)."""
    found = span(values)
    if found is None:
        return "-"
    if len(values) == 1:  # measured once
        return shown(found.median)
    return f"{shown(found.median)} ({shown(found.smallest)}-{shown(found.largest)})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned so that it reads well as text too."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )


class View:
    """The windows of one scenario."""

    def __init__(self, results: Results, ask: str, *, connections: int = 0, rate: float = 0.0) -> None:
        self.windows = [
            window
            for window in results.windows
            if window.ask == ask and window.rate == rate and (rate or window.connections == connections)
        ]

    def of(self, name: str, figure: Figure) -> list[float]:
        """A contestant's figure, one a round."""
        return [figure(window) for window in self.windows if window.name == name]

    def against(self, name: str, other: str, figure: Figure) -> list[float]:
        """The figure divided by another contestant's of the same round."""
        return self._paired(name, other, figure, joined=lambda mine, theirs: mine / theirs if theirs else math.nan)

    def above(self, name: str, other: str, figure: Figure) -> list[float]:
        """The figure less another contestant's of the same round."""
        return self._paired(name, other, figure, joined=lambda mine, theirs: mine - theirs)

    def _paired(self, name: str, other: str, figure: Figure, *, joined: Callable[[float, float], float]) -> list[float]:
        theirs = {window.turn: figure(window) for window in self.windows if window.name == other}
        return [
            joined(figure(window), theirs[window.turn])
            for window in self.windows
            if window.name == name and window.turn in theirs
        ]


def cpu(window: Window) -> float:
    """CPU time of a request, microseconds."""
    return window.cpu_us


def rps(window: Window) -> float:
    """Requests a second."""
    return window.rps


def p50(window: Window) -> float:
    """Median latency, microseconds."""
    return window.p50_us


def p99(window: Window) -> float:
    """99th percentile of latency, microseconds."""
    return window.p99_us


def closed_table(results: Results, ask: str) -> str:
    """CPU, throughput and latency of one kind of request, by how many are asked at a time."""
    rows = []
    for connections in sorted(
        {window.connections for window in results.windows if window.ask == ask and not window.rate}
    ):
        view = View(results, ask, connections=connections)
        rows += [
            [str(connections), title, *(spread(view.of(name, figure)) for figure in (cpu, rps, p50, p99))]
            for name, title in TITLES.items()
            if view.of(name, cpu)
        ]
    return table(["connections", "", "CPU µs/request", "requests/s", "p50 µs", "p99 µs"], rows)


def ratio_table(results: Results) -> str:
    """CPU of the guard against that of each of the others, within the same round; below 1 the guard is cheaper."""
    others = ["direct", "nginx", "envoy", "nginx-lua", "aiohttp"]
    rows = []
    for ask, title in ASKS.items():
        for connections in sorted({each.connections for each in results.windows if each.ask == ask and not each.rate}):
            view, end = View(results, ask, connections=connections), "-unsynced" if ask in UNSYNCED else ""
            names = [name if name in {"direct", "nginx", "envoy"} else name + end for name in others]
            rows.append(
                [f"{title}, {connections}", *(spread(view.against(f"guard{end}", name, cpu)) for name in names)]
            )
    return table(["request, connections", *(f"÷ {TITLES[name]}" for name in others)], rows)


def dearer(results: Results, other: str) -> Iterator[tuple[str, float]]:
    """What costs the guard more CPU than it costs another who has the same job: median ratios of one round above 1."""
    for ask, title in ASKS.items():
        end = "-unsynced" if ask in UNSYNCED else ""
        for view, how in places(results, ask):
            ratios = view.against(f"guard{end}", other + end, cpu)
            if ratios and median(ratios) > 1:
                yield f"{title}, {how}:", median(ratios)


def dearer_frames(results: Results, other: str) -> Iterator[tuple[str, float]]:
    """Which frames cost the guard more CPU than the relay or the hub."""
    for sockets, burst in sorted({(each.sockets, each.burst) for each in results.frames}):
        ratios = fanout.ratios(results.frames, sockets=sockets, burst=burst, against=other)
        if ratios and median(ratios) > 1:
            yield f"{burst} at once to {sockets}:", median(ratios)


def forwarders_table(results: Results) -> str:
    """CPU of the guard, with all its checks, against gateways that only forward, within the same round."""
    rows = []
    for ask in ("unsynced", "quote"):
        view, name = View(results, ask, connections=64), "guard-unsynced" if ask in UNSYNCED else "guard"
        rows.append([ASKS[ask], *(spread(view.against(name, other, cpu)) for other in FORWARDERS)])
    return table(["64 connections", *(f"÷ {TITLES[name].removesuffix(', no policy')}" for name in FORWARDERS)], rows)


def floor_table(results: Results) -> str:
    """The least that a proxy in Python costs, against the others and the guard against it, within the same round."""
    others, rows = ("nginx-lua", "envoy", "aiohttp"), []
    for ask, name, title in FLOORS:
        end = "-unsynced" if ask in UNSYNCED else ""
        for view, how in places(results, ask):
            told = [spread(view.against(name, other if other == "envoy" else other + end, cpu)) for other in others]
            row = [f"{title}, {how}", spread(view.of(name, cpu)), *told]
            rows.append([*row, spread(view.against(f"guard{end}", name, cpu))])
    head = ["request, connections", "floor, CPU µs", *(f"floor ÷ {TITLES[other]}" for other in others)]
    return table([*head, "guard ÷ floor"], rows)


def places(results: Results, ask: str) -> Iterator[tuple[View, str]]:
    """The numbers of connections of a scenario, and its rate."""
    windows = [window for window in results.windows if window.ask == ask]
    for connections in sorted({window.connections for window in windows if not window.rate}):
        yield View(results, ask, connections=connections), str(connections)
    for rate in sorted({window.rate for window in windows if window.rate}):
        yield View(results, ask, rate=rate), f"{rate:.0f} a second"


def paced_table(results: Results, rate: float) -> str:
    """Latency at a fixed rate, and what is added to the daemon's own."""
    rows = []
    for ask in ("quote", "unsynced"):
        view = View(results, ask, rate=rate)
        for name, title in TITLES.items():
            if not view.of(name, cpu):
                continue
            added = [spread(view.above(name, "direct", figure)) for figure in (p50, p99)]
            shown_added = ["", ""] if name == "direct" else added
            own = [spread(view.of(name, figure)) for figure in (p50, p99)]
            rows.append([ASKS[ask], title, *own, *shown_added, spread(view.of(name, cpu))])
    return table(["request", "", "p50 µs", "p99 µs", "added p50 µs", "added p99 µs", "CPU µs/request"], rows)


def longest(window: Window) -> float:
    """The longest that an answer took, microseconds."""
    return window.longest_us


def scraped_table(results: Results) -> str:
    """The same orders at the same rate, without and with a scrape every tenth of a second."""
    rows = []
    for name, title in (
        ("unsynced", "nobody reads the metrics"),
        ("scraped", "the metrics are read 10 times a second"),
    ):
        view = View(results, name, rate=OPEN_RATE)
        rows.append([title, *(spread(view.of("guard-unsynced", figure)) for figure in (p50, p99, longest, cpu))])
    return table(["meanwhile", "p50 µs", "p99 µs", "longest µs", "CPU µs/order"], rows)


def scale_table(results: Results) -> str:
    """What an order costs in guards of several sizes, and what a start takes."""
    scale = results.scale
    if scale is None:
        return "Not measured."
    counts = {OPEN: scale.orders, PAST: scale.records}
    rows = [
        [
            f"{_grouped(counts[name])} {name}" if name in counts else name,
            spread(values),
            spread(scale.ratios(name)),
            _grouped(scale.live[name]) if name in scale.live else "-",
        ]
        for name, values in scale.cpu_us.items()
    ]
    return table(["guard with", "CPU µs/order", "÷ smallest", "orders open at the end"], rows)


def start_table(results: Results) -> str:
    """What a start takes, by the length of its record."""
    starts = results.scale.starts if results.scale else []
    rows = [
        [_records(start), f"{start.ready_s:.2f}", f"{start.seconds:.2f}", f"{start.rss / 2**20:.1f}"]
        for start in sorted(starts, key=lambda start: (start.records, start.seconds))
    ]
    return table(["records", "seconds until ready", "CPU seconds", "then idle, RSS MiB"], rows)


def _records(start: Start) -> str:
    return _grouped(start.records) + (f", {start.how}" if start.how else "")


def frames_table(results: Results) -> str:
    """CPU of a frame that is delivered to a socket."""
    rows, others = [], ("aiohttp", "hub", "sends")
    places = sorted({(each.sockets, each.burst) for each in results.frames})
    for sockets, burst in places:
        at = [each for each in results.frames if (each.sockets, each.burst) == (sockets, burst)]
        told = [spread([each.cpu_us for each in at if each.name == name]) for name in ("guard", *others)]
        beside = [spread(fanout.ratios(results.frames, sockets=sockets, burst=burst, against=name)) for name in others]
        rows.append([str(sockets), str(burst), *told, *beside])
    head = ["sockets", "frames at once", "guard, CPU µs/frame", "aiohttp relay", "aiohttp hub", "the sends alone"]
    return table([*head, "guard ÷ relay", "guard ÷ hub", "guard ÷ sends"], rows)


def pauses_table(level: Level) -> str:
    """The longest pauses of the loop at one level."""
    figures = (level.work, level.held_up, level.passed, level.took)
    rows = [[name, *(spread(figure[name]) for figure in figures)] for name in level.work]
    return table(["while", "work, ms", "held up, ms", "passed, ms", "took, ms"], rows)


def memory_table(results: Results) -> str:
    """Resident memory of a guard."""
    memory, mib = results.memory, 2**20
    step = memory.more // (len(memory.readings) - 1)
    rows = [
        ["start", f"{memory.at_start / mib:.1f}"],
        *(
            [f"{_grouped(memory.requests + number * step)} quotes and refusals", f"{reading / mib:.2f}"]
            for number, reading in enumerate(memory.readings)
        ),
        [f"then {_grouped(memory.orders)} orders, all live", f"{memory.after_orders / mib:.1f}"],
        [f"then {_grouped(STRETCH * memory.orders)} orders, all live", f"{memory.after_all_orders / mib:.1f}"],
    ]
    return table(["after", "RSS MiB"], rows)
