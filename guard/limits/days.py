"""The days on which ended orders spent something, counter by counter, so that those long over can be forgotten.

A cell of a period is named after it (`daily_value/key=a|HKD|2026-11-22@08:30 Asia/Hong_Kong`). What is kept is told by
the order of these names alone, and never by a clock: one that was wrong for a while takes no day's money away, since
the days next before the one that begins stay, however far off it is.
"""

from bisect import bisect_left, insort
from typing import Final

DAYS_KEPT: Final = 8  # of a counter, before the latest: more than a clock is set back, or a fill is told late
Days = dict[str, list[str]]
"""The cells of each counter's periods, in their order."""


def note_day(days: Days, cell: str) -> None:
    """Something is spent on the cell from now on. One that is no period's is let be."""
    family = _family(cell)
    if family is not None:
        insort(days.setdefault(family, []), cell)


def drop_day(days: Days, cell: str) -> None:
    """Nothing is spent on it any more."""
    family = _family(cell)
    if family is not None:
        days[family].remove(cell)
        if not days[family]:
            del days[family]


def days_over(days: Days, cell: str) -> list[str]:
    """The cells of the same counter that are more than `DAYS_KEPT` periods before this one, which was noted."""
    family = _family(cell)
    if family is None:
        return []
    cells = days[family]
    return cells[: max(0, bisect_left(cells, cell) - DAYS_KEPT)]


def _family(cell: str) -> str | None:
    """The counter and its reset, without the day; None for what has no day."""
    counter, _, period = cell.rpartition("|")
    day, mark, reset = period.partition("@")
    return f"{counter}|{reset}" if mark and day[:1].isdigit() else None
