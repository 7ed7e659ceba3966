"""Counts by place and period, for what is summed up instead of recorded one by one. Pure.

A place is whatever is counted apart: a source, or a key with an endpoint. Once the table is full further places share
`other`, so that no caller can make it grow. The sum of a period is told once, when the period is over.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from msgspec import Struct

Place = TypeVar("Place", bound=Hashable)


class _Count(Struct):
    """One place in one period, whose number is `period`."""

    period: int
    count: int = 0


class Tally(Generic[Place]):
    """Counts by place and period. `tell(place, began_us, count)` hears of every period that is over."""

    def __init__(
        self, period_us: int, *, places_max: int, other: Place, tell: Callable[[Place, int, int], None]
    ) -> None:
        self._period_us, self._places_max, self._other = period_us, places_max, other
        self._tell = tell
        self._counts: dict[Place, _Count] = {}

    def add(self, place: Place, *, wall_us: int) -> int:
        """One more; how many that makes in this period."""
        period, found = wall_us // self._period_us, self._counts.get(place)
        if found is None or found.period != period:
            found = self._begun(place, period)
        found.count += 1
        return found.count

    def _begun(self, place: Place, period: int) -> _Count:
        """The place's count in this period, or that of `other`; tells the sum of the period before."""
        counts = self._counts
        if place not in counts and len(counts) >= self._places_max:
            place = self._other
        found = counts.get(place)
        if found is None or found.period != period:
            if found is not None:
                self._close(place, found)
            found = counts[place] = _Count(period)
        return found

    def close(self, wall_us: int | None = None) -> None:
        """Tells every period but the one that `wall_us` lies in; all without it."""
        present = None if wall_us is None else wall_us // self._period_us
        for place in [place for place, found in self._counts.items() if found.period != present]:
            self._close(place, self._counts.pop(place))

    def _close(self, place: Place, found: _Count) -> None:
        self._tell(place, found.period * self._period_us, found.count)
