"""Results as people read them: tables for the terminal, and the document docs/performance.md.

What does not depend on a run, the method and what it leaves out, stands in `method.md`.
"""

from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import tables
from field import FOREIGN_PERCENT_MAX, OPEN_CONNECTIONS, OPEN_RATE, Plan
from figures import WANTED, figures_table, floor_table, missed
from forwarders import FORWARDERS
from measure import Results
from noise import SWING_MAX as GROUP_SWING_MAX
from noise import between_rounds, noise_table, noisy, swings
from paused import worst
from tables import View, cpu, p50, rps, shown, spread

METHOD: Final = Path(__file__).with_name("method.md")
SWING_MAX: Final = 2.5
FEW: Final = ", fewer than a run has whose figures are published"
DOUBTED_MAX: Final = 0.25  # of the groups of windows
NOISY: Final = (
    " **A noisy run:** its latencies and rates, and whether a bound on those is met, are the neighbours' doing as much "
    "as the contestants'; what can be read are the CPU ratios, within their spread."
)
HELD: Final = "Figures to hold"
FLOOR: Final = "What no proxy in Python can be cheaper than"
FLOOR_WORDS: Final = (
    "The figures to hold that are about a request, as the floor has them. What is *not met* here we know of no "
    "way to meet in Python on this machine; where it is met, what lies between the floor and the bound is all that the "
    "checks may cost."
)
PAUSES: Final = (
    "What lies behind the pauses says [`performance-pauses.md`](performance-pauses.md), of a run of `bench/pauses.py` "
    "alone."
)
ASKS_IN_SHORT: Final = {
    "quote": "quote",
    "order": "durable order",
    "unsynced": "order not synced",
    "refused": "refused order",
}
DIVIDER: Final = "<!-- figures -->"


def decoded(encoded: bytes) -> Results:
    """Results as they were saved."""
    return msgspec.json.decode(encoded, type=Results)


def _titled(results: Results) -> list[tuple[str, str]]:
    return [
        (HELD, figures_table(results)),
        ("Simulated order, durable before it is sent", tables.closed_table(results, "order")),
        ("The same order, recorded but not synced", tables.closed_table(results, "unsynced")),
        ("Quote", tables.closed_table(results, "quote")),
        ("Refused order (403)", tables.closed_table(results, "refused")),
        ("Order with a wrong key (401)", tables.closed_table(results, "strange")),
        ("Order by a signed token (RS256) that was shown before, not synced", tables.closed_table(results, "token")),
        ("Order by a signed token (RS256), each time a new one, not synced", tables.closed_table(results, "fresh")),
        ("An answer of 5 MB", tables.closed_table(results, "history")),
        ("CPU of the guard against the others, within a round", tables.ratio_table(results)),
        ("CPU of the guard against gateways that only forward", tables.forwarders_table(results)),
        (
            f"At a fixed rate: {OPEN_RATE:.0f} requests a second over {OPEN_CONNECTIONS} connections",
            tables.paced_table(results, OPEN_RATE),
        ),
        (FLOOR, _floor(results)),
        ("Orders while the metrics are read", tables.scraped_table(results)),
        ("Sizes: order at 64 connections, durable", tables.scale_table(results)),
        ("A start", tables.start_table(results)),
        ("A frame on its way to many sockets", tables.frames_table(results)),
        ("The longest pauses of the loop", _pauses(results)),
        ("Memory of the guard", tables.memory_table(results)),
    ]


def summary(results: Results) -> str:
    """The tables, for the terminal."""
    parts = [f"\n{title}\n\n{text}" for title, text in _titled(results)]
    return "\n".join([*parts, "", *_memory_words(results), "", _noise(results), "", *_checked(results)])


def document(results: Results) -> str:
    """The document."""
    method, limits = METHOD.read_text(encoding="utf-8").split(DIVIDER)
    samples = min(window.answers for window in results.windows)
    parts = [
        "# Performance",
        _origin(results),
        "## In short",
        "\n".join(_bulleted(_short(results))),
        method.strip(),
        "## Machine",
        _machine(results),
        _noise(results),
    ]
    for title, text in _titled(results):
        parts += [f"## {title}", text]
    parts += ["\n".join(_bulleted(_memory_words(results))), "## Checked after the run"]
    parts += ["\n".join(_bulleted(_checked(results))), limits.strip().format(samples=samples, ahead=_ahead(results))]
    return "\n\n".join(parts) + "\n"


def _origin(results: Results) -> str:
    """From which runs the document is."""
    origin = "from one run"
    if results.memory_began:
        origin = f"from two runs (memory is of {results.memory_began}, all else of this one)"
    return f"Written by `bench/run.py --report docs/performance.md` {origin}; `make bench` measures on your machine."


def _floor(results: Results) -> str:
    """What the floor costs, and which of the figures even it does not hold."""
    if not any(window.name == "bare" for window in results.windows):
        return "Not measured."
    return f"{tables.floor_table(results)}\n\n{FLOOR_WORDS}\n\n{floor_table(results)}"


def _pauses(results: Results) -> str:
    """What was done meanwhile, at every level; which of it is the figure to hold."""
    place = worst(results.pauses)
    if place is None:
        return f"Not measured. {PAUSES}"
    worst_words = f"The figure to hold is the worst median of *held up*: {place[1]}, {place[0].title()}. {PAUSES}"
    tables_told = [f"{level.title()}:\n\n{tables.pauses_table(level)}" for level in results.pauses]
    return "\n\n".join([*tables_told, worst_words])


def _bulleted(lines: list[str]) -> list[str]:
    return [f"* {line}" for line in lines]


def _short(results: Results) -> list[str]:
    """The figures that matter, in sentences."""
    quote, order = View(results, "quote", rate=OPEN_RATE), View(results, "unsynced", rate=OPEN_RATE)
    busy = {name: View(results, name, connections=64) for name in ("quote", "order", "refused")}
    added = [_added(quote, "guard"), _added(order, "guard-unsynced")]
    alike = [_added(quote, "aiohttp"), _added(order, "aiohttp-unsynced")]
    spent = {name: shown(median(view.of("guard", cpu))) for name, view in busy.items()}
    rates = {name: shown(median(view.of("guard", rps))) for name, view in busy.items()}
    added_words = (
        f"Added to the daemon's own answer at {OPEN_RATE:.0f} a second, median: {added[0]} µs for a quote, "
        f"{added[1]} µs for an order that is recorded but not synced; the aiohttp proxy adds {alike[0]} and "
        f"{alike[1]} µs."
    )
    busy_words = (
        f"At 64 connections on one core: {rates['quote']} quotes, {rates['order']} durable orders or "
        f"{rates['refused']} refusals a second, for {spent['quote']}, {spent['order']} and {spent['refused']} µs of "
        "CPU each."
    )
    alike_words = _against(results, "aiohttp")
    ratio_words = f"CPU against the aiohttp proxy in the same round: {alike_words}. Below 1 the guard is cheaper."
    lua_words = (
        f"Against nginx with as many of the same checks as Lua can carry: {_against(results, 'nginx-lua')}. nginx "
        "syncs each durable order by itself, while its one worker waits."
    )
    held = f"{len(WANTED) - missed(results)} of {len(WANTED)} figures to hold are met; the table says which are not."
    return [added_words, busy_words, ratio_words, lua_words, held, *_memory_words(results)]


def _against(results: Results, other: str) -> str:
    """The guard's CPU against another's with the same job, by the kind of request, at 64 connections."""
    told = []
    for ask, title in ASKS_IN_SHORT.items():
        end = "-unsynced" if ask in tables.UNSYNCED else ""
        ratios = View(results, ask, connections=64).against(f"guard{end}", other + end, cpu)
        told.append(f"{title} {spread(ratios)}")
    return ", ".join(told)


def _ahead(results: Results) -> str:
    """What costs the guard more CPU than one who has the same job, as found."""
    told = [
        f"{tables.TITLES[other]} ({'; '.join(dearer)})"
        for other in ("nginx-lua", "nginx-lua-together", "aiohttp")
        if (dearer := [f"{what} {shown(ratio)}" for what, ratio in tables.dearer(results, other)])
    ]
    told += [
        f"{title} ({'; '.join(frames)})"
        for other, title in (("aiohttp", "a relay of frames"), ("hub", "a hub of frames"))
        if (frames := [f"{what} {shown(ratio)}" for what, ratio in tables.dearer_frames(results, other)])
    ]
    return ", ".join(told) or "nobody in this run"


def _added(view: View, name: str) -> str:
    return shown(median(view.above(name, "direct", p50)))


def _memory_words(results: Results) -> list[str]:
    memory = results.memory
    counts = f"{memory.requests:,} and {memory.requests + memory.more:,}".replace(",", " ")
    grown_kib = (memory.readings[-1] - memory.readings[0]) / 1024
    added_kib = memory.growth_per_million() / 1024
    growth = (
        f"Between {counts} requests the guard's memory changed by {grown_kib:+.0f} KiB; by the medians of "
        f"{len(memory.readings)} readings' differences a million add {added_kib:+.0f} KiB."
    )
    order = (
        f"A live order takes {memory.order_bytes():.0f} bytes of memory, its two records {memory.record_bytes} bytes "
        "on the disk."
    )
    return [growth, order]


def _machine(results: Results) -> str:
    about, plan = results.machine, results.plan
    rows = [
        ["processor", about["cpu"]],
        ["memory", about["memory"]],
        ["kernel, filesystem", f"{about['kernel']}, {about['disk']}"],
        ["one kilobyte and one sync", f"{shown(results.sync_us[0])} µs median, {shown(results.sync_us[1])} µs p99"],
        ["Python", about["python"]],
        ["its build", about.get("build", "not told")],
        ["libraries", about["libraries"]],
        *([name, about[name]] for name in ("nginx", "envoy", *FORWARDERS) if name in about),
        *([name, f"skipped: {why}"] for name, why in results.skipped.items()),
        ["guard", about["guard"]],
        ["measured", f"{results.began}, {plan.rounds} rounds{FEW if plan.rounds < Plan().rounds else ''}"],
        *([["its memory measured", results.memory_began]] if results.memory_began else []),
        ["windows", f"{plan.closed_s} s, at a fixed rate {plan.open_s} s, after {plan.warm_s} s of warm-up"],
    ]
    return tables.table(["", ""], rows)


def _noise(results: Results) -> str:
    load = ", ".join(f"{each:.2f}" for each in results.load_average)
    foreign = [window.foreign_percent for window in results.windows]
    above = sum(each > FOREIGN_PERCENT_MAX for each in foreign)
    swing, groups, doubted = between_rounds(results), swings(results), sum(map(len, noisy(results).values()))
    is_noisy = swing > SWING_MAX or above or doubted > len(groups) * DOUBTED_MAX
    told = (
        f"Noise: load average {load} at the start; the host took {results.stolen_percent:.1f} % of the machine. In the "
        f"windows that count, other programs used {median(foreign):.0f} % of it in the median, {max(foreign):.0f} % at "
        f"most. Above {FOREIGN_PERCENT_MAX:.0f} %, {results.repeated} groups of windows were measured again, {above} "
        f"of {len(foreign)} windows had to stay. A fixed loop took up to {swing:.2f} times as long in one round as in "
        f"another.{NOISY if is_noisy else ''}"
    )
    if not groups:
        return told
    return (
        f"{told}\n\nThe loop runs on the contestants' core before every window. {doubted} of {len(groups)} groups of "
        f"windows that are compared, those of one scenario in one round, are to be doubted: the loop took more than "
        f"{GROUP_SWING_MAX} times as long before one of them as before another, or other programs were at work.\n\n"
        f"{noise_table(results)}"
    ).rstrip()


def _checked(results: Results) -> list[str]:
    said = [
        f"`guard audit verify` of all {len(results.verified)} records; the last: {results.verified[-1].splitlines()[0]}"
    ]
    held = [
        f"{name}: {found['allowed']} orders in the record, {found['accepted']} outcomes, "
        f"{found['refused']} refusals: as many as were sent"
        for name, found in results.recorded.items()
    ]
    return said + held
