"""One object for what orders that are alike have in common: there may be 10⁵ of them, and most are much like another.

It decides memory, never an answer: an order whose likes were forgotten meanwhile has objects of its own.
"""

from functools import lru_cache
from sys import intern
from typing import Final

from guard.limits.holder import About, Amounts, Worth

SHARED_MAX: Final = 4096  # of each kind


@lru_cache(maxsize=SHARED_MAX)
def same_cells(cells: tuple[str, ...]) -> tuple[str, ...]:
    """The orders of one key in one symbol are on the same cells all day."""
    return tuple(map(intern, cells))


@lru_cache(maxsize=SHARED_MAX)
def same_whole(cells: tuple[str, ...], amounts: tuple[int, ...], kinds: str, *, worth: Worth | None = None) -> Amounts:
    """What equal orders claim as a whole, or hold."""
    return Amounts.of(same_cells(cells), amounts, intern(kinds), worth=worth)


@lru_cache(maxsize=SHARED_MAX)
def same_about(about: About) -> About:
    """Whose equal orders are, and what they are about."""
    return about
