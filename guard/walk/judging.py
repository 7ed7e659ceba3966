"""Judging: the rules and then the ledger asked in one synchronous step. Nothing is changed or sent here."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.journal import recorded
from guard.limits import State, check_claims, rates_of, used_by_others
from guard.policy import (
    Judgement,
    Maker,
    Plan,
    ends_at,
    exits_claim,
    exits_of,
    judge,
    judge_cancel,
    judge_read,
    value,
)
from guard.terms import (
    Claim,
    Effect,
    Env,
    Full,
    Missing,
    Outbound,
    Read,
    Reason,
    Refusal,
    Taken,
    Valuation,
    World,
    in_order,
)
from guard.walk.broker import bucket_claims
from guard.walk.changing import OrderChange
from guard.walk.decisionrecord import Judged
from guard.walk.desk import Desk
from guard.walk.door import rights, state_reasons
from guard.walk.largest import largest_of
from guard.walk.outgoing import outbound_of, resulting_of
from guard.walk.repeats import slot_for
from guard.walk.subscribing import objections
from guard.walk.unlocking import waiting
from guard.walk.visit import Ruling, Situation, Visit

_CANCEL, _CHANGE, _SIMULATE = Effect.ORDER_CANCEL, Effect.ORDER_CHANGE, Env.SIMULATE  # asked of every trade
_UNJUDGED: Final = Judgement()
_NO_EXITS: Final = exits_of(0)


class Assessment(Struct, gc=False):
    """What rules and ledger say, and what would be sent; nothing is changed yet.

    `outbound` is None where no account is known. `taken`: the Idempotency-Key of the claim `slot` was used before.
    """

    judged: Judged
    reasons: list[Reason]
    outbound: Outbound | None
    taken: Taken | None = None
    slot: Claim | None = None
    retry_after_s: float | None = None
    largest_qty: str | None = None

    def refusal(self, reasons: list[Reason]) -> Refusal:
        """A refusal with these reasons; how to get past only where they are those of rules and ledger alone."""
        if len(reasons) > len(self.reasons):
            return Refusal(in_order(reasons))
        return Refusal(in_order(reasons), self.retry_after_s, self.largest_qty)


def ask_rules(desk: Desk, visit: Visit, situation: Situation) -> Ruling:
    """Asks the rules, without the ledger; notes the valuation in the situation."""
    exits = _exits(visit, situation)
    working = _working(desk, visit, situation, exits=exits)
    judgement = _judgement(visit, situation, exits=working)
    return Ruling(judgement, outbound_of(desk, visit, situation), exits, working)


def _working(desk: Desk, visit: Visit, situation: Situation, *, exits: Claim | None) -> int:
    """What other working orders take off the position, as the rules are told."""
    if exits is None or situation.world is None:  # no position is known that anything could come off
        return 0
    others = used_by_others(desk.state, exits.counter, holder=changed_by(visit, situation))
    return max(visit.exits_before, others) - visit.filled_before


def judge_trade(desk: Desk, visit: Visit, situation: Situation) -> Assessment:
    """Asks every rule and looks at every claim; nothing is changed but the situation, where the valuation is noted."""
    ruling, situation.ruling = situation.ruling, None
    if ruling is None or ruling.working != _working(desk, visit, situation, exits=ruling.exits):
        ruling = ask_rules(desk, visit, situation)  # not asked yet, or an order of this turn is an exit too
    holder, exits, judgement, outbound = changed_by(visit, situation), ruling.exits, ruling.judgement, ruling.outbound
    body = outbound.body if outbound and outbound.body else b""
    key = visit.call.head.get("idempotency-key")
    slot, no_room = (None, ()) if key is None else slot_for(desk, visit, situation, key=key)
    reasons = [*no_room, *judgement.reasons]
    claims: tuple[Claim, ...] = judgement.claims
    makers: tuple[Maker | None, ...] = judgement.makers
    if situation.each is None:
        for claim, maker in bucket_claims(visit, situation):
            claims, makers = (claim, *claims), (maker, *makers)
    else:
        body = b""  # orders are cancelled one by one, so the request itself is not sent
    if exits is not None:
        claims, makers = (exits, *claims), (None, *makers)
    if slot is not None:
        claims, makers = (slot, *claims), (None, *makers)
    if holder is not None:
        change = change_of(visit, situation, situation.worth)
        claims = change.claims(claims)
        carried = change.carried(claims)
        claims, makers = (*claims, *carried), (*makers, *(None for _ in carried))
    seen = check_claims(desk.state, claims, t_us=visit.t_us, holder=holder)
    if isinstance(seen, Taken):
        return Assessment(Judged(claims, makers), [], outbound, taken=seen, slot=slot)
    resulting = b"" if situation.holder is None else resulting_of(situation)
    judged = Judged(recorded(claims), makers, seen.used, body, resulting, situation.env is _SIMULATE, ruling.working)
    found = Assessment(judged, reasons, outbound)
    if isinstance(seen, Full):
        _tell_shortfalls(found, seen, visit, claims=claims, state=desk.state, holder=holder)
    if reasons:
        found.largest_qty = largest_of(desk, situation, judgement, judged=judged, seen=seen)
    return found


def judge_passing(desk: Desk, visit: Visit, situation: Situation) -> Assessment:
    """All that stands against a call that is no trade: rights, the guard's own state, rates; nothing is changed."""
    policies, principal = visit.config.policies, visit.principal
    judgement = _UNJUDGED
    if policies is not None and principal is not None:
        judgement = judge_read(policies, principal, wall=visit.wall, kept=rates_of)
    claims: tuple[Claim, ...] = judgement.claims
    makers: tuple[Maker | None, ...] = judgement.makers
    for claim, maker in bucket_claims(visit, situation):
        claims, makers = (claim, *claims), (maker, *makers)
    seen = check_claims(desk.traffic, claims, t_us=visit.t_us)
    used = () if isinstance(seen, Taken) else seen.used
    reasons = [*rights(visit, situation), *state_reasons(desk, visit, situation), *judgement.reasons]
    intent = situation.intent
    free_us: list[int] = []
    if not isinstance(intent, Read):
        reasons += objections(desk, visit, intent)
        cooling = waiting(desk, visit, situation)
        if cooling is not None:
            reasons.append(cooling[0])
            free_us = [cooling[1]] if cooling[1] else []
    found = Assessment(Judged(claims, makers, used), reasons, None)
    if reasons:
        found.retry_after_s = wait_s(reasons, free_us)
    if isinstance(seen, Full):
        _tell_shortfalls(found, seen, visit, claims=claims, state=desk.traffic, free_us=free_us)
    return found


def _tell_shortfalls(  # noqa: PLR0913 - what the two who call it know, each by its name
    found: Assessment,
    seen: Full,
    visit: Visit,
    *,
    claims: Sequence[Claim],
    state: State,
    holder: str | None = None,
    free_us: Sequence[int] = (),
) -> None:
    """Adds the reason, by its maker, for each claim that does not fit; and works out when all reasons will be gone.

    `claims`: with the cells beside their own, which the record leaves out. `free_us`: how long the reasons that were
    there before will stand, as far as that is known.
    """
    waits_us = list(free_us)
    for shortfall in seen.shortfalls:
        maker = found.judged.makers[shortfall.index]
        if maker is None:
            raise AssertionError("a slot fell short")
        claim = claims[shortfall.index]
        reason = maker.refuse(claim, shortfall)
        if claim.kind == "spend":
            reason = _with_reset(reason, claim, state, wall=visit.wall, holder=holder)
        found.reasons.append(reason)
        if shortfall.free_at_us is not None:
            waits_us.append(shortfall.free_at_us - visit.t_us)
    found.retry_after_s = wait_s(found.reasons, waits_us)


def _with_reset(reason: Reason, claim: Claim, state: State, *, wall: datetime, holder: str | None) -> Reason:
    """When some of a day's budget comes back, if the order would fit into all of it: no time to try again by itself.

    Where only orders that are good till cancelled use it, nobody knows when these end.
    """
    own = {claim.counter: holder}  # what the order itself holds there does not count against it; in `also` it does
    in_use = [c for c in (claim.counter, *claim.also) if used_by_others(state, c, holder=own.get(c))]
    ends = [end for cell in in_use if (end := ends_at(cell, wall)) is not None]
    if not ends or claim.amount > (claim.cap or 0):
        return reason
    told = f"{reason.message}; some of what is used comes back at {min(ends):%Y-%m-%dT%H:%M:%SZ}"
    return replace(reason, message=told)


def wait_s(reasons: list[Reason], free_us: list[int]) -> float | None:
    """In how many seconds the same request will pass; None where time alone does not help, or nobody knows when."""
    if len(free_us) != len(reasons) or not free_us:
        return None
    return max(free_us) / 1_000_000


def _judgement(visit: Visit, situation: Situation, *, exits: int) -> Judgement:
    plan, order = situation.plan, situation.order
    if plan is None:
        situation.worth = None if order is None else value(order)
        return _UNJUDGED
    found = judgement_by(plan, visit, situation, world=situation.world, exits=exits)
    if found.proposal is not None:
        situation.worth, situation.reducible = found.proposal.worth, found.proposal.reducible
    return found


def judgement_by(plan: Plan, visit: Visit, situation: Situation, *, world: World | None, exits: int) -> Judgement:
    """What the rules of this plan say of a cancel, or of an order as it shall be in this world.

    One that is enabled again is judged as a new one. `exits`: what other orders take off its position, in ledger units.
    """
    account, order, effect = situation.account, situation.order, visit.effect
    if account is None or effect is None:
        return _UNJUDGED
    if effect is _CANCEL:
        return judge_cancel(plan, account=account, wall=visit.wall)
    if order is None:
        return _UNJUDGED
    return judge(
        plan,
        order,
        effect=Effect.ORDER_NEW if situation.holder is not None and situation.comes_back else effect,
        account=account,
        wall=visit.wall,
        mark=_mark(visit),
        world=world,
        exits=_NO_EXITS if world is None else exits_of(exits),
    )


def change_of(visit: Visit, situation: Situation, worth: Valuation | Missing | None) -> OrderChange:
    """What the request changes, where that is a live order."""
    holder = situation.holder if visit.effect is Effect.ORDER_CHANGE else None
    return OrderChange(holder, situation.order, worth, comes_back=situation.comes_back)


def _exits(visit: Visit, situation: Situation) -> Claim | None:
    """The claim for what an order takes off a position while it works; every order makes it, so none exits twice."""
    order, account = situation.order, situation.account
    if order is None or account is None or visit.effect is _CANCEL:
        return None
    return exits_claim(order, account)


def working_exits(desk: Desk, visit: Visit, situation: Situation) -> tuple[str, int]:
    """The counter of exits on this side, and what other working orders will take off the position, in ledger units."""
    exits = _exits(visit, situation)
    if exits is None:
        return "", 0
    return exits.counter, used_by_others(desk.state, exits.counter, holder=changed_by(visit, situation))


def changed_by(visit: Visit, situation: Situation) -> str | None:
    """The live order that the request changes, whose own part of a counter does not count against it."""
    return situation.holder.id if situation.holder and visit.effect is _CHANGE else None


def _mark(visit: Visit) -> str:
    """What tells deliberate repeats of an order apart: the hash of the Idempotency-Key, "" without one."""
    key = visit.call.head.get("idempotency-key")
    return hashlib.sha256(key.encode()).hexdigest()[:32] if key else ""
