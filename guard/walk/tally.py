"""Counts by group and period, for what is summed up instead of recorded one by one. Pure.

A group is whatever is counted apart: a source, or a key with an endpoint. Once the table is full further groups share
`other`, so that no caller can make it grow. The sum of a period is told once, when the period is over.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from msgspec import Struct

Group = TypeVar("Group", bound=Hashable)


class _Count(Struct):
    """One group in one period, whose number is `period`."""

    period: int
    count: int = 0


class Tally(Generic[Group]):
    """Counts by group and period. `tell(group, began_us, count)` hears of every period that is over."""

    def __init__(
        self, period_us: int, *, groups_max: int, other: Group, tell: Callable[[Group, int, int], None]
    ) -> None:
        self._period_us, self._groups_max, self._other = period_us, groups_max, other
        self._tell = tell
        self._counts: dict[Group, _Count] = {}

    def add(self, group: Group, *, wall_us: int) -> int:
        """One more; how many that makes in this period."""
        period, found = wall_us // self._period_us, self._counts.get(group)
        if found is None or found.period != period:
            found = self._begun(group, period)
        found.count += 1
        return found.count

    def _begun(self, group: Group, period: int) -> _Count:
        """The group's count in this period, or that of `other`; tells the sum of the period before."""
        counts = self._counts
        if group not in counts and len(counts) >= self._groups_max:
            group = self._other
        found = counts.get(group)
        if found is None or found.period != period:
            if found is not None:
                self._close(group, found)
            found = counts[group] = _Count(period)
        return found

    def close(self, wall_us: int | None = None) -> None:
        """Tells every period but the one that `wall_us` lies in; all without it."""
        present = None if wall_us is None else wall_us // self._period_us
        for group in [group for group, found in self._counts.items() if found.period != present]:
            self._close(group, self._counts.pop(group))

    def _close(self, group: Group, found: _Count) -> None:
        self._tell(group, found.period * self._period_us, found.count)
