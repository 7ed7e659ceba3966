"""What stops a key by itself: too many outcomes of one kind in a window (`[breaker]` of a policy).

An outcome is counted when it is known, never refused for that; the one that makes the count full stops the key, which
is then halted until a person sets it active. The walk posts the claims, asks `tripped` what they came to, and does the
rest.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from guard.codes import Code
from guard.policy.notation import Rate
from guard.policy.rule import Rule
from guard.terms import Claim, Reason, Verdict

_KEPT_MS: Final = 60_000


class BreakerLimit(Rule, frozen=True):
    """So many outcomes of a kind in a window stop the key. A count of 0 stops it at the first, like 1."""

    word: ClassVar[str]
    noun: ClassVar[str]
    verdict: ClassVar[Verdict]
    rate: Rate

    def claim(self, key: str) -> Claim:
        """One stamp on the window's log, uncapped: what has happened is counted."""
        return Claim("rate", f"{self.word}/key={key}", amount=1, window_ms=self.rate.window_ms)

    def tripped(self, count: int) -> Reason | None:
        """Why the key is stopped, where this many outcomes in the window are enough for that."""
        if count < max(1, self.rate.count):
            return None
        message = f"{count} {self.noun} in {self.rate.span}: the key is stopped until a person sets it active"
        observed, limit = str(count), str(self.rate.count)
        unit = f"{self.noun}/{self.rate.span}"
        return self.reason(Code.HALTED, message, observed=observed, limit=limit, unit=unit)


class Unknowns(BreakerLimit, frozen=True):
    """Outcomes that nobody knows."""

    name: ClassVar[str] = "breaker.unknowns"
    word: ClassVar[str] = "breaker_unknowns"
    noun: ClassVar[str] = "unknown outcomes"
    verdict: ClassVar[Verdict] = Verdict.UNKNOWN


class DaemonRefusals(BreakerLimit, frozen=True):
    """Refusals by the daemon."""

    name: ClassVar[str] = "breaker.daemon_refusals"
    word: ClassVar[str] = "breaker_daemon_refusals"
    noun: ClassVar[str] = "daemon refusals"
    verdict: ClassVar[Verdict] = Verdict.REFUSED


COUNTED: Final[Mapping[Verdict, str]] = MappingProxyType(
    {kind.verdict: kind.word for kind in (Unknowns, DaemonRefusals)}
)
"""The outcomes that a breaker may count, and the word of their counters."""


def outcome_claim(verdict: Verdict, key: str) -> Claim:
    """The stamp of such an outcome that no limit asks for: one that is loaded later starts from what happened."""
    return Claim("rate", f"{COUNTED[verdict]}/key={key}", amount=1, window_ms=_KEPT_MS)
