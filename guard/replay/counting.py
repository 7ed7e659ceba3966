"""What counters would show had these policies been watching: the record folded into a ledger of their own.

Every trade that went out takes what the policies claim of it, even past a cap, as a shadow's does; what became of it is
folded by the functions that run live. Orders that were placed elsewhere belong to no key and are no policy's, but a
change of one still leaves its stamp. Pure but for `principals`, which says whose keys there were.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from guard.journal import Decision, Order, OutcomeRecord, Reconciled
from guard.limits import State, reserve, settle
from guard.policy import PolicySet
from guard.recovery import opening_of
from guard.replay.elsewhere import Elsewhere
from guard.replay.judging import asked, claimed, is_passing, reached
from guard.replay.past import outcome_of
from guard.terms import Principal

_STAMPS = frozenset({"rate", "once"})
Principals = Callable[[str], Mapping[str, Principal]]


class Counting:
    """Over one set. `left_out`: trades that went out and could not be counted in full, for their datum is not known."""

    def __init__(
        self, policies: PolicySet, principals: Principals, *, state: State | None = None, left_out: int = 0
    ) -> None:
        self._policies = policies
        self._principals = principals
        self._elsewhere = Elsewhere(State(), State() if state is None else state)
        self.left_out = left_out

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
            case OutcomeRecord() | Reconciled():
                outcome = outcome_of(record)
                if outcome is not None:
                    settle(self.state, record.decision, outcome, t_us=record.t)
            case _:
                pass

    def _decide(self, record: Decision, wall: datetime) -> None:
        if record.outcome != "allow" or is_passing(record) or not reached(record):
            return
        one = asked(record, self._principals(record.config_sha256), wall)
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
                claims = tuple(claim for claim in claims if claim.kind in _STAMPS)
                opening = replace(opening, holder=None)
        reserve(self.state, replace(opening, claims=claims), t_us=record.t)
