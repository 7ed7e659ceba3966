"""The guard's clock: the only place that asks the machine what time it is, and the maker of ids.

Three times, never mixed: *wall* (UTC, may step) for budget days and people, *mono* for durations, *t* for windows. `t`
is the guard's own clock: monotonic within a process, and resumed at start no earlier than the last one on record, so
that a wall clock that was set back between two runs cannot make `t` go back too.
"""

import os
import time
from datetime import datetime, timedelta
from typing import Final, Protocol

from guard.terms import CROCKFORD, EPOCH, us_of, utc

_PAIRS: Final = tuple(high + low for high in CROCKFORD for low in CROCKFORD)
_SHIFTS: Final = tuple(range(120, -1, -10))  # 13 pairs of 5 bits: 130 bits hold the 128 of a ULID
_TAIL_BITS: Final = 20  # the last two of them, in which the ids of one millisecond differ
_TAILS: Final = 1 << _TAIL_BITS
_RANDOM_BITS: Final = 80
STEP_US: Final = 1_000_000
_STEP: Final = timedelta(microseconds=STEP_US)
_BEHIND: Final = (
    "clock: this machine's is {behind} behind the record that was there at the start, which ends at "
    "{recorded:%Y-%m-%dT%H:%M:%SZ}; budget days, hours and expiry go by it: set it right and restart"
)


class Clock(Protocol):
    """What the guard asks of a clock; tests bring one that they wind by hand."""

    def wall(self) -> datetime:
        """Wall-clock time, aware, UTC, exact to the microsecond."""
        ...

    def wall_us(self) -> int:
        """Wall-clock time in microseconds since 1970-01-01T00:00:00Z."""
        ...

    def mono_us(self) -> int:
        """Microseconds from an unknown start, never going back: for durations only."""
        ...

    def t_us(self) -> int:
        """The guard's own clock in microseconds: never goes back, also not over a restart once `resume` was called."""
        ...

    def resume(self, t_us: int) -> None:
        """From now on `t_us()` answers no less than this, the last `t` on record."""
        ...

    def new_id(self) -> str:
        """A new ULID: 26 characters that sort in the order in which this clock made them."""
        ...


def ulid(number: int) -> str:
    """128 bits as 26 characters of Crockford's base 32 (github.com/ulid/spec)."""
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


class WallSteps:
    """How far the wall clock has stepped against the monotonic one; a second or more is a step, and told once.

    Also between two runs, as far as it can be known: that it is behind the end of the record.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._apart_us = self._now_apart_us()
        self._recorded = EPOCH

    def goes_on_from(self, recorded: datetime) -> None:
        """The last record was written at this wall time; a clock that is behind it was set back since."""
        self._recorded = recorded
        self._apart_us += max(0, us_of(recorded) - self._clock.wall_us())

    def concerns(self) -> tuple[str, ...]:
        """That, in words, until the clock is as far again."""
        behind = self._recorded - self._clock.wall()
        if behind < _STEP:
            return ()
        return (_BEHIND.format(behind=timedelta(seconds=behind // timedelta(seconds=1)), recorded=self._recorded),)

    def stepped_us(self) -> int:
        """Since it was told last; 0 while the two go on together."""
        step_us = self._now_apart_us() - self._apart_us
        if abs(step_us) < STEP_US:
            return 0
        self._apart_us += step_us
        return step_us

    def _now_apart_us(self) -> int:
        return self._clock.wall_us() - self._clock.mono_us()


class SystemClock:
    """The machine's clocks. Used from one thread."""

    def __init__(self) -> None:
        self._t_ahead_us = self.wall_us() - self.mono_us()
        self._above, self._tail = 0, 0  # the last id in two parts, and the first of them as it is written
        self._head = ""
        self._last_ms = -1

    def wall(self) -> datetime:
        """Wall-clock time, aware, UTC, exact to the microsecond."""
        return utc(self.wall_us())

    def wall_us(self) -> int:
        """Wall-clock time in microseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1000

    def mono_us(self) -> int:
        """Microseconds from an unknown start, never going back: for durations only."""
        return time.monotonic_ns() // 1000

    def t_us(self) -> int:
        """The wall time at which this clock was made, carried on by the monotonic clock."""
        return time.monotonic_ns() // 1000 + self._t_ahead_us

    def resume(self, t_us: int) -> None:
        """From now on `t_us()` answers no less than this, the last `t` on record."""
        self._t_ahead_us = max(self._t_ahead_us, t_us - self.mono_us())

    def new_id(self) -> str:
        """A new ULID: random in each new millisecond; within one, and where the clock steps back, the last plus one."""
        now_ms, tail = time.time_ns() // 1_000_000, self._tail + 1
        if now_ms != self._last_ms or tail == _TAILS:
            tail = self._renew(now_ms)
        self._tail = tail
        return self._head + _PAIRS[tail >> 10] + _PAIRS[tail & 1023]

    def _renew(self, now_ms: int) -> int:
        """The first part of the next id, and its tail."""
        number = (self._above << _TAIL_BITS | self._tail) + 1
        if now_ms != self._last_ms:
            fresh = now_ms << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8), "big")
            number, self._last_ms = max(number, fresh), now_ms
        self._above, self._head = number >> _TAIL_BITS, ulid(number)[:-4]
        return number % _TAILS
