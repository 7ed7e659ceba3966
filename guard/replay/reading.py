"""What is no trade, decided again: the rates that it meets, over ledgers of what the record holds one by one.

A record says what stood on each of its counters (`used`). That is more than the record's own requests come to wherever
reads passed that are summed up only: what it is more by is known then, and counted. Other policies look at windows of
which nothing may be known but what is on record: whom that alone refuses they refuse for certain; what they would let
through hangs on the rest, unless every read is on record (`journal.reads = "all"`). A start begins at zero, as it did.
"""

from guard.journal import Decision
from guard.limits import State, post, used
from guard.policy import Judgement, PolicySet
from guard.replay.inforce import InForce
from guard.replay.judging import RecordedRequest, ReplayVerdict, judgement_of, own_of
from guard.terms import Claim, Reason, Shortfall


class Reads:
    """The two ledgers: of what happened, and under the other policies."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A guard has started: nothing is counted yet."""
        self._real, self._other = State(), State()
        self._apart_until: dict[str, int] = {}

    def again(self, policies: PolicySet, one: RecordedRequest) -> ReplayVerdict:
        """What the policies of the day say of it. `used` is above the record's where that cannot be."""
        return self._looked(one, judgement_of(policies, one, is_of_the_day=True), self._real)

    def elsewhere(self, policies: PolicySet, one: RecordedRequest) -> ReplayVerdict:
        """What the other policies say of it, over what they let through before."""
        return self._looked(one, judgement_of(policies, one, is_of_the_day=False), self._other)

    # ------------------------------------------------------------ what becomes of it

    def happened(self, record: Decision) -> None:
        """One request of the record, after it was looked at."""
        if record.outcome == "allow":
            post(self._real, record.claims, t_us=record.t)

    def passes(self, one: RecordedRequest, verdict: ReplayVerdict) -> None:
        """It passes under the other policies."""
        post(self._other, verdict.claims, t_us=one.record.t)

    def differs(self, one: RecordedRequest, verdict: ReplayVerdict) -> None:
        """It passes in one of the two only: its counters are apart until its window is over."""
        for claim in (*one.record.claims, *verdict.claims):
            until = one.record.t + claim.window_ms * 1000
            self._apart_until[claim.counter] = max(until, self._apart_until.get(claim.counter, 0))

    def is_apart(self, claim: Claim, one: RecordedRequest) -> bool:
        """What stands there hangs on an earlier difference."""
        return self._apart_until.get(claim.counter, 0) > one.record.t

    def is_known(self, claim: Claim, one: RecordedRequest, in_force: InForce) -> bool:
        """Everything that stands there is known, and hangs on no earlier difference."""
        if self.is_apart(claim, one):
            return False
        return in_force.reads == "all" or (claim.counter, claim.window_ms) in _stood(one.record)

    # ------------------------------------------------------------ the look

    def _looked(self, one: RecordedRequest, judgement: Judgement, state: State) -> ReplayVerdict:
        own = own_of(one.record)
        claims = (*(claim for claim, _ in own), *judgement.claims)
        makers = (*(maker for _, maker in own), *judgement.makers)
        stood, t_us = _stood(one.record), one.record.t
        counts: list[int] = []
        short: list[tuple[Reason, Claim]] = []
        for claim, maker in zip(claims, makers, strict=True):
            count = used(state, claim.counter, t_us=t_us, window_ms=claim.window_ms)
            known = stood.get((claim.counter, claim.window_ms))
            if known is not None:
                here = used(self._real, claim.counter, t_us=t_us, window_ms=claim.window_ms)
                count += max(0, known - here)
            if claim.cap is not None and count + claim.amount > claim.cap:
                short.append((maker.refuse(claim, Shortfall(len(counts), count)), claim))
            counts.append(count)
        reasons = (*judgement.reasons, *(reason for reason, _ in short))
        return ReplayVerdict(reasons, claims, tuple(counts), tuple(short))


def _stood(record: Decision) -> dict[tuple[str, int], int]:
    """What stood on its counters then, by counter and window."""
    return {(claim.counter, claim.window_ms): n for claim, n in zip(record.claims, record.used, strict=False)}
