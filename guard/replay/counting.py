"""What counters would show had these policies been watching: the record folded into a ledger of their own.

Every trade that went out takes what the policies claim of it, even past a cap, as a shadow's does; what became of it is
folded by the functions that run live. Orders that were placed elsewhere belong to no key and are no policy's, but a
change of one still leaves its stamp. Outcomes that a breaker counts are in their records; they are kept for as long as
these policies look back. What is no trade stands on a ledger of its own (`traffic`), as far as it is on record one by
one. Pure but for `principals`, which says whose keys there were.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from guard.journal import Decision, Order, OutcomeRecord, Reconciled, StateRecord
from guard.limits import LOG_KINDS, State, post, reserve, set_trading, settle
from guard.policy import PolicySet, judge_read
from guard.recovery.readback import opening_of, rule_of
from guard.replay.counterfactual import Counterfactual, outcome_of
from guard.replay.judging import asked, claimed, is_passing, reached
from guard.terms import Principal
from guard.tracking.apply import end_doubt

Principals = Callable[[str], Mapping[str, Principal]]


class SoFar(Struct):
    """What was counted up to some record, of whoever counts on."""

    state: State = field(default_factory=State)
    traffic: State = field(default_factory=State)
    left_out: int = 0


class Counting:
    """Over one set. `left_out`: trades that went out and could not be counted in full, for their datum is not known."""

    def __init__(self, policies: PolicySet, principals: Principals, *, so_far: "SoFar | None" = None) -> None:
        so_far = so_far or SoFar()
        self._policies = policies
        self._principals = principals
        self._elsewhere = Counterfactual(State(), so_far.state)
        self.traffic = so_far.traffic
        self.left_out = so_far.left_out

    @property
    def state(self) -> State:
        """Their ledger."""
        return self._elsewhere.state

    def fold(self, record: Struct | None, *, wall: datetime) -> None:
        """One record; what moves no counter is skipped."""
        match record:
            case Decision():
                self._decide(record, wall)
            case Order():
                self._elsewhere.learn(record, wall)
            case Reconciled():
                end_doubt(self.state, record, outcome_of(record))
            case OutcomeRecord():
                settle(self.state, record.decision, outcome_of(record), t_us=record.t)
                self._break(record)
            case StateRecord(halt_file=False):  # a key that is set active begins anew with what its breaker counts
                set_trading(self.state, rule_of(record), t_us=record.t)
            case _:
                pass

    def _break(self, record: OutcomeRecord) -> None:
        """What the outcome counts for a breaker, kept for as long as the widest window of that kind."""
        widest = self._policies.breaker_windows
        claims = [
            replace(claim, window_ms=max(claim.window_ms, widest.get(claim.counter.partition("/")[0], 0)))
            for claim in record.claims
        ]
        post(self.state, tuple(claims), t_us=record.t)

    def _decide(self, record: Decision, wall: datetime) -> None:
        if record.outcome != "allow" or not reached(record):
            return
        one = asked(record, self._principals(record.config_sha256), wall)
        if is_passing(record):
            if not isinstance(one, str):
                post(self.traffic, judge_read(self._policies, one.principal, wall=wall).claims, t_us=record.t)
            return
        if isinstance(one, str):
            self.left_out += 1
            return
        verdict = claimed(self._policies, one, self.state)
        self.left_out += bool(verdict.unseen)
        opening = opening_of(record)
        claims = verdict.claims
        if opening.holder not in {None, record.id}:
            holder = self.state.holders.get(opening.holder or "")
            if holder is None or holder.step is not None:
                claims = tuple(claim for claim in claims if claim.kind in LOG_KINDS)
                opening = replace(opening, holder=None)
        reserve(self.state, replace(opening, claims=claims), t_us=record.t)
