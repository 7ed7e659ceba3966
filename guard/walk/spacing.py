"""The gaps that the broker wants between two requests of one bucket: 20 ms for new orders, 40 ms for changes.

Kept by sending later, never by refusing; a cancel never waits. Pure; time is an argument. Source: the broker's
documented limits.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from guard.terms import Effect

GAPS_US: Final[Mapping[Effect, int]] = {
    Effect.ORDER_NEW: 20_000,
    Effect.ORDER_CHANGE: 40_000,
    Effect.ORDER_CANCEL: 40_000,
}
BUCKETS_MAX: Final = 4096  # buckets whose next time is remembered


class Spacing(Struct):
    """When the next request of each bucket may be sent, in µs of one clock."""

    next_us: dict[str, int] = field(default_factory=dict)

    def take(self, bucket: str, effect: Effect, *, now_us: int) -> int:
        """How long to wait, in µs, before the next request of this bucket, which is taken to be sent then.

        A cancel never waits; what follows it keeps its distance from it.
        """
        known, gap_us = self.next_us, GAPS_US.get(effect, 0)
        if bucket not in known and len(known) >= BUCKETS_MAX:
            self._forget(now_us)
        at_us = max(known.get(bucket, 0), now_us)
        if effect is Effect.ORDER_CANCEL:
            known[bucket] = max(at_us, now_us + gap_us)
            return 0
        known[bucket] = at_us + gap_us
        return at_us - now_us

    def _forget(self, now_us: int) -> None:
        """Lets go of the times that have passed; of all where every one is still to come."""
        kept = {bucket: at_us for bucket, at_us in self.next_us.items() if at_us > now_us}
        self.next_us = kept if len(kept) < BUCKETS_MAX else {}
