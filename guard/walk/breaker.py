"""The breaker: too many unknown outcomes, or refusals by the daemon, stop a key (`[breaker]` of a policy).

Each such outcome carries its count in its own record, so a restart goes on counting. The one that fills a limit puts
the key into `cancel_only`, with a `state` record by "breaker", until a person sets the key active.
"""

from typing import Final

import structlog
from msgspec import Struct

from guard.errors import JournalFault
from guard.journal import StateRecord, StateScope, plain
from guard.limits import BREAKER, STRICTNESS, TradingRule, key_rule, set_trading, used
from guard.policy import BreakerLimit, breaker_limits, outcome_claim
from guard.terms import Claim, Outcome, Reason
from guard.walk.desk import Desk
from guard.walk.recorder import Recorder
from guard.walk.replies import is_stub
from guard.walk.visit import Situation, Visit

_log = structlog.get_logger("guard")


class BreakerCount(Struct, frozen=True):
    """The claims that an outcome adds to the breaker's counters, and the limits that watch these counters."""

    claims: tuple[Claim, ...] = ()
    limits: tuple[BreakerLimit, ...] = ()


NOTHING_COUNTED: Final = BreakerCount()


def counted(visit: Visit, situation: Situation, outcome: Outcome, *, is_simulated: bool) -> BreakerCount:
    """What this outcome adds to the key's counters. A stub answer of the simulated environment adds nothing."""
    principal, plan = visit.principal, situation.plan
    if principal is None or plan is None or (is_simulated and is_stub(outcome)):
        return NOTHING_COUNTED
    limits = breaker_limits(plan, outcome.verdict)
    if limits:
        return BreakerCount(tuple(limit.claim(principal.name) for limit in limits), limits)
    return BreakerCount((outcome_claim(outcome.verdict, principal.name),))


def trip(recorder: Recorder, visit: Visit, limits: tuple[BreakerLimit, ...], *, t_us: int) -> None:
    """Stops the key if the outcome that was just counted is one too many."""
    if visit.principal is None:
        return
    name, desk = visit.principal.name, recorder.desk
    reason = _why(desk, name, limits, t_us=t_us)
    current = key_rule(desk.state, name)
    if reason is None or (current is not None and STRICTNESS[current.state] >= STRICTNESS["cancel_only"]):
        return
    why = plain(f"{reason.policy} {reason.rule}: {reason.message}")
    rule = TradingRule("cancel_only", keys=(name,), reason=why, by=BREAKER, t=t_us)
    record = StateRecord(t=t_us, state=rule.state, scope=StateScope(keys=(name,)), reason=why, by=BREAKER)
    set_trading(desk.state, rule, t_us=t_us)
    _log.error("breaker", key=name, why=why)
    try:
        recorder.catch_up()
        desk.journal.append("state", record)
    except JournalFault as fault:
        _log.error("breaker_not_recorded", key=name, why=str(fault), hint="a restart does not know of it")


def _why(desk: Desk, name: str, limits: tuple[BreakerLimit, ...], *, t_us: int) -> Reason | None:
    for limit in limits:
        claim = limit.claim(name)
        reason = limit.tripped(used(desk.state, claim.counter, t_us=t_us, window_ms=claim.window_ms))
        if reason is not None:
            return reason
    return None
