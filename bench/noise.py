"""Which windows to doubt: those of a scenario and round in which the machine's own speed moved, or others were at work.

Before each window a fixed loop runs on the contestants' core. What is measured within one round of one scenario is
compared with each other, so it is there that the loop must take as long every time. Nothing is left out for it: noise
is told, and nothing is chosen.
"""

from collections.abc import Iterator
from statistics import median
from typing import Final

from field import FOREIGN_PERCENT_MAX, Window
from measure import Results
from tables import ASKS, table

SWING_MAX: Final = 1.5  # of the slowest loop of a group by its fastest: ratios may be that far off
SIZES, FRAMES = "sizes", "frames"
SCRAPED: Final = "order, the metrics being read"
Group = tuple[str, int]  # a scenario and a round


def title_of(window: Window) -> str:
    """The scenario of a window."""
    how = f"{window.rate:.0f} a second" if window.rate else str(window.connections)
    return f"{ASKS.get(window.ask, SCRAPED)}, {how}"


def swings(results: Results) -> dict[Group, float]:
    """How much longer the loop took before one window of a group than before another. Without loops: nothing."""
    loops: dict[Group, list[float]] = {}
    for group, loop_ms in _loops(results):
        loops.setdefault(group, []).append(loop_ms)
    return {group: max(each) / min(each) for group, each in loops.items() if min(each) > 0}


def _loops(results: Results) -> Iterator[tuple[Group, float]]:
    for window in results.windows:
        yield (title_of(window), window.turn), window.loop_ms
    for frame in results.frames:
        yield (FRAMES, frame.turn), frame.loop_ms
    for loops in results.scale.loop_ms.values() if results.scale else ():
        yield from (((SIZES, turn), loop_ms) for turn, loop_ms in enumerate(loops))


def noisy(results: Results) -> dict[str, list[int]]:
    """The rounds to doubt, counted from one, by scenario."""
    found = {group for group, swing in swings(results).items() if swing > SWING_MAX}
    found |= {
        (title_of(window), window.turn) for window in results.windows if window.foreign_percent > FOREIGN_PERCENT_MAX
    }
    rounds: dict[str, list[int]] = {}
    for title, turn in sorted(found):
        rounds.setdefault(title, []).append(turn + 1)
    return rounds


def between_rounds(results: Results) -> float:
    """How much longer the loop took in one round than in another, by the medians of the windows."""
    loops: dict[int, list[float]] = {}
    for window in results.windows:
        loops.setdefault(window.turn, []).append(window.loop_ms)
    medians = [median(each) for each in loops.values() if min(each) > 0] or [1.0]
    return max(medians) / min(medians)


def noise_table(results: Results) -> str:
    """The rounds to doubt."""
    rows = [[title, ", ".join(map(str, rounds))] for title, rounds in noisy(results).items()]
    return table(["scenario", "rounds to doubt"], rows) if rows else ""
