"""The days on which ended orders spent something, for each counter, so that old ones can be forgotten.

A day's cell has the day in its name (`daily_value/key=a|HKD|2026-11-22@08:30 Asia/Hong_Kong`). Which cells are kept
follows from the order of these names alone, never from a clock: if a clock is wrong for a while, the days before the
one that begins are kept all the same, however far off that one is.
"""

from bisect import bisect_left, insort
from typing import Final

DAYS_KEPT: Final = 8  # before the latest: more than a clock is ever set back by, or a fill told late
Days = dict[str, list[str]]
"""By counter, the cells of its days, sorted."""


def note_day(days: Days, cell: str) -> None:
    """Something is spent on the cell from now on; a cell without a day is ignored."""
    family = _family(cell)
    if family is not None:
        insort(days.setdefault(family, []), cell)


def drop_day(days: Days, cell: str) -> None:
    """Nothing is spent on the cell any more."""
    family = _family(cell)
    if family is not None:
        days[family].remove(cell)
        if not days[family]:
            del days[family]


def days_over(days: Days, cell: str) -> list[str]:
    """The cells of the same counter that lie more than `DAYS_KEPT` days before this one."""
    family = _family(cell)
    if family is None:
        return []
    cells = days[family]
    return cells[: max(0, bisect_left(cells, cell) - DAYS_KEPT)]


def _family(cell: str) -> str | None:
    """The cell's counter and reset, without the day; None for a cell without a day."""
    counter, _, period = cell.rpartition("|")
    day, mark, reset = period.partition("@")
    return f"{counter}|{reset}" if mark and day[:1].isdigit() else None
