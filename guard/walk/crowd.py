"""How many requests of a key are under way, how often an address failed to say who it is, who is refused how often.

Bounded; pure. The first two refuse with a name and never a cancel, nor a request whose key verifies for what its
address did: all bots of a host share one. The third only makes refusals wait. A span is counted from its first request.
"""

from collections.abc import Hashable
from typing import Final, Generic, NamedTuple, TypeVar

from msgspec import Struct, field

from guard.codes import Code
from guard.terms import Refusal, refuse

ADDRESSES_MAX: Final = 4096
MINUTE_US: Final = 60_000_000
SECOND_US: Final = 1_000_000
_OTHER: Final = "other"


class Crowd(Struct):
    """Requests under way, by key; the empty name is everybody without one."""

    under_way: dict[str, int] = field(default_factory=dict)

    def enter(self, name: str, *, most: int | None) -> Refusal | None:
        """One more of this key's, or why not; `most` None lets it pass whatever there is. Ended by `leave`."""
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
    """Requests of one source since `since_us`."""

    since_us: int
    count: int = 0


_S = TypeVar("_S", bound=Hashable)


class _Counted(Struct, Generic[_S]):
    """Requests by source and span of time. Sources without room share `other`."""

    span_us: int
    other: _S
    seen: dict[_S, _Attempts] = field(default_factory=dict)

    def add(self, source: _S, *, t_us: int) -> _Attempts:
        """One more of this source's, in its present span."""
        found = self.seen.get(source)
        if found is None and len(self.seen) >= ADDRESSES_MAX:
            self.seen = {name: one for name, one in self.seen.items() if t_us < one.since_us + self.span_us}
            source = source if len(self.seen) < ADDRESSES_MAX else self.other
            found = self.seen.get(source)
        if found is None or t_us >= found.since_us + self.span_us:
            found = self.seen[source] = _Attempts(t_us)
        found.count += 1
        return found


class Strangers(Struct):
    """Requests that were refused as `unauthenticated`, by address and minute."""

    attempts: _Counted[str] = field(default_factory=lambda: _Counted(MINUTE_US, _OTHER))

    def told(self, refusal: Refusal, *, address: str, most: int, t_us: int) -> Refusal:
        """The refusal that a caller gets whose credential did not verify; beyond `most` in a minute it is `rate`."""
        if refusal.code is not Code.UNAUTHENTICATED:
            return refusal
        seen = self.attempts.add(address, t_us=t_us)
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


class Refused(NamedTuple):
    """Whose request was refused: a key's, or where none was verified an address's."""

    key: str | None = None
    address: str = ""


class Refusals(Struct):
    """Requests that were refused, by source and second."""

    seen: _Counted[Refused] = field(default_factory=lambda: _Counted(SECOND_US, Refused(address=_OTHER)))

    def is_beyond(self, source: Refused, *, most: int, t_us: int) -> bool:
        """One more refusal of this source's is one of too many in its second."""
        return self.seen.add(source, t_us=t_us).count > most
