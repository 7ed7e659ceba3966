"""Three counts against floods: requests under way by key, failed logins by address, refusals by source. Pure, bounded.

The first two refuse, but never a cancel; and a request with a valid key is not refused for what its address did, since
all bots of a host share one. The third only delays refusals. A minute of failed attempts begins with the first of them.
"""

from typing import Final, NamedTuple

from msgspec import Struct, field

from guard.codes import Code
from guard.terms import Refusal, refuse

ADDRESSES_MAX: Final = 4096
MINUTE_US: Final = 60_000_000
SECOND_US: Final = 1_000_000
WAIT_MAX_US: Final = 10_000_000
_OTHER: Final = "other"


class InFlight(Struct):
    """Requests under way, by key; the empty name is everybody without one."""

    under_way: dict[str, int] = field(default_factory=dict)

    def enter(self, name: str, *, most: int | None) -> Refusal | None:
        """Counts one more of this key, to be ended by `leave`; or why not. `most` None: however many there are."""
        count = self.under_way.get(name, 0)
        if most is not None and count >= most:
            message = f"{count} requests of this key are under way, which is as many as there may be; await an answer"
            return refuse(
                Code.OVERLOADED,
                message,
                rule="bounds.requests_per_key_max",
                observed=str(count + 1),
                limit=str(most),
                unit="requests",
            )
        self.under_way[name] = count + 1
        return None

    def leave(self, name: str) -> None:
        """One of them is answered."""
        count = self.under_way[name] - 1
        if count:
            self.under_way[name] = count
        else:
            del self.under_way[name]


class _Attempts(Struct):
    """Failed attempts of one address since `since_us`."""

    since_us: int
    count: int = 0


class FailedLogins(Struct):
    """Requests that were refused as `unauthenticated`, by address and minute. Addresses without room share one."""

    attempts: dict[str, _Attempts] = field(default_factory=dict)
    swept_us: int = -SECOND_US

    def count(self, refusal: Refusal, *, address: str, most: int, t_us: int) -> Refusal:
        """The refusal for a caller whose credential did not verify; `rate` from the one after `most` in a minute on."""
        if refusal.code is not Code.UNAUTHENTICATED:
            return refusal
        seen = self._of(address, t_us)
        seen.count += 1
        if seen.count <= most:
            return refusal
        message = f"more than {most} requests without a valid key came from this address within a minute"
        limited = refuse(
            Code.RATE,
            message,
            rule="bounds.failed_auths_per_minute_max",
            observed=str(seen.count),
            limit=str(most),
            unit="requests/60s",
        )
        return Refusal(limited.reasons, (seen.since_us + MINUTE_US - t_us) / 1_000_000, note=refusal.note)

    def _of(self, address: str, t_us: int) -> _Attempts:
        seen = self.attempts.get(address)
        if seen is None and not self._has_room(t_us):
            address = _OTHER
            seen = self.attempts.get(address)
        if seen is None or t_us >= seen.since_us + MINUTE_US:
            seen = self.attempts[address] = _Attempts(t_us)
        return seen

    def _has_room(self, t_us: int) -> bool:
        """For one more address. Old ones are swept once a second only: a sweep costs more than a refusal."""
        if len(self.attempts) >= ADDRESSES_MAX and t_us >= self.swept_us + SECOND_US:
            self.swept_us = t_us
            self.attempts = {name: one for name, one in self.attempts.items() if t_us < one.since_us + MINUTE_US}
        return len(self.attempts) < ADDRESSES_MAX


class RefusalSource(NamedTuple):
    """Whose request was refused: a key, or where none was verified an address."""

    key: str | None = None
    address: str = ""


class RefusalPacer(Struct):
    """When each source is told its next refusal: so many a second, with bursts of up to a second's worth.

    However many connections a flood has, it is told no more than that, until the wait reaches `WAIT_MAX_US`. When the
    table is full, further addresses share one place; a key never does. `due_us`: when the refusals so far would all be
    told at that rate.
    """

    due_us: dict[RefusalSource, int] = field(default_factory=dict)
    swept_us: int = -SECOND_US

    def wait_us(self, source: RefusalSource, *, most: int, t_us: int) -> int:
        """How long this source's refusal waits."""
        if source.key is None and source not in self.due_us and not self._has_room(t_us):
            source = RefusalSource(address=_OTHER)
        due_us = max(self.due_us.get(source, t_us), t_us) + SECOND_US // most
        wait_us = min(max(due_us - t_us - SECOND_US, 0), WAIT_MAX_US)
        self.due_us[source] = min(due_us, t_us + SECOND_US + WAIT_MAX_US)
        return wait_us

    def _has_room(self, t_us: int) -> bool:
        """For one more source. Old ones are swept once a second only: a sweep costs more than a refusal."""
        if len(self.due_us) >= ADDRESSES_MAX and t_us >= self.swept_us + SECOND_US:
            self.swept_us = t_us
            self.due_us = {one: due_us for one, due_us in self.due_us.items() if due_us > t_us}
        return len(self.due_us) < ADDRESSES_MAX
