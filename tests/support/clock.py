"""A clock that stands still until a test winds it."""

from datetime import datetime, timedelta
from typing import Final

from guard.clock import ulid
from guard.terms import us_of, utc

START_US: Final = 1_795_340_788_123_456  # 2026-11-22T09:46:28.123456Z


class ManualClock:
    """Implements `guard.clock.Clock`. All times move together, unless `step_wall` moves the wall alone."""

    def __init__(self, start: datetime | None = None) -> None:
        wall_us = START_US if start is None else us_of(start)
        self._wall_us = wall_us
        self._mono_us = 0
        self._t_ahead_us = wall_us
        self._ids = 0

    def wall(self) -> datetime:
        """Wall-clock time, aware, UTC."""
        return utc(self._wall_us)

    def wall_us(self) -> int:
        """Wall-clock time in microseconds since 1970."""
        return self._wall_us

    def mono_us(self) -> int:
        """Microseconds since this clock was made."""
        return self._mono_us

    def t_us(self) -> int:
        """The guard's own clock in microseconds."""
        return self._mono_us + self._t_ahead_us

    def resume(self, t_us: int) -> None:
        """From now on `t_us()` answers no less than this."""
        self._t_ahead_us = max(self._t_ahead_us, t_us - self._mono_us)

    def new_id(self) -> str:
        """A ULID that is the same in every run: the wall's millisecond and a count."""
        self._ids += 1
        return ulid(self._wall_us // 1000 << 80 | self._ids)

    def advance(self, *, s: int = 0, us: int = 0) -> None:
        """Lets time pass on all three."""
        self._wall_us += s * 1_000_000 + us
        self._mono_us += s * 1_000_000 + us

    def step_wall(self, *, s: int) -> None:
        """Someone sets the machine's clock: the wall steps, the others do not."""
        self._wall_us += s * 1_000_000


def end(clock: ManualClock, minutes: int = 10) -> str:
    """A time in so many minutes."""
    return (clock.wall() + timedelta(minutes=minutes)).isoformat()
