"""The guard's own part of a broker limit: a burst at once, then evenly spaced.

The broker counts every caller of the login together, so the guard keeps to a part of each limit. Evenly spaced rather
than all at once: used up in one second, the part would leave half a minute without a price. Pure; time is an argument.
"""

from msgspec import Struct


class Pace(Struct):
    """At most `burst` + W / `interval_us` questions in any window of W µs (generic cell rate algorithm)."""

    burst: int
    interval_us: int
    full_at_us: int = 0

    def wait_us(self, now_us: int, *, spared: int = 0) -> int:
        """How long until the next question may be asked, so that `spared` more could be at once; 0: now."""
        return max(0, self.full_at_us - (self.burst - 1 - spared) * self.interval_us - now_us)

    def take(self, now_us: int) -> None:
        """One question is asked."""
        self.full_at_us = max(self.full_at_us, now_us) + self.interval_us
