"""One object for what similar live orders have in common, since there may be 100,000 of them.

This saves memory and never changes an answer: once a cache has forgotten a value, the next order gets an equal one.
"""

from functools import lru_cache
from sys import intern
from typing import Final

from msgspec.structs import replace

from guard.limits.holder import About, Amounts, Course, Worth

SHARED_MAX: Final = 4096  # of each kind


@lru_cache(maxsize=SHARED_MAX)
def same_cells(cells: tuple[str, ...]) -> tuple[str, ...]:
    """The cells of orders of one key in one symbol, which stay the same all day."""
    return tuple(map(intern, cells))


@lru_cache(maxsize=SHARED_MAX)
def same_whole(cells: tuple[str, ...], amounts: tuple[int, ...], kinds: str, *, worth: Worth | None = None) -> Amounts:
    """What equal orders claim or hold."""
    return Amounts.of(same_cells(cells), amounts, intern(kinds), worth=worth)


def in_short(course: Amounts | Course) -> Amounts | Course:
    """Where an order stands, in the form that is kept."""
    if type(course) is Amounts:
        return _in_short(course)
    holds, claimed = _in_short(course.holds), course.claimed
    if claimed is course.holds:
        claimed = holds
    else:
        claimed = _in_short(claimed) if type(claimed) is Amounts else tuple(map(_in_short, claimed))
    return replace(course, holds=holds, claimed=claimed).short


def _in_short(amounts: Amounts) -> Amounts:
    if type(amounts.figures) is not tuple:
        return amounts
    return same_whole(amounts.cells, amounts.amounts, amounts.kinds, worth=amounts.worth)


@lru_cache(maxsize=SHARED_MAX)
def same_about(about: About) -> About:
    """Whose similar orders are, and what they trade."""
    return about
