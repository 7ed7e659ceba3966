"""The world of the order that a request places or changes: what its rules have to know, and what is known of it now."""

from typing import Final

from msgspec.structs import replace

from guard.policy import Plan
from guard.terms import NOT_ASKED, Needs, World
from guard.walk.desk import Desk, Situation, Visit

_ANY_AGE_MS: Final = 24 * 3600 * 1000


def needs_of(visit: Visit, situation: Situation) -> Needs | None:
    """What the rules that bind this order look at; None where there is no order, or no rule looks at anything."""
    plan, order, more = situation.plan, situation.order, visit.more
    if plan is None or order is None:
        return None
    needs = plan.needs_of(order)
    if more is not None:
        needs = replace(needs, instrument=needs.instrument or more.instrument, position=more.position)
        if more.position:
            # An exit is counted at an old price rather than at none; what is too old for all others, the rules know.
            needs = replace(needs, price_age_max_ms=_ANY_AGE_MS)
    return None if needs.is_nothing else needs


def known(desk: Desk, visit: Visit, situation: Situation) -> World | None:
    """What is known already. None: nothing has to be.

    A currency that the daemon's own orders or positions showed is looked at, whether or not a rule wants it.
    """
    needs, account, order = situation.needs, situation.account, situation.order
    if account is None or order is None:
        return None
    if needs is None and desk.reference.is_in_other_currency(order, account=account):
        needs = Needs()
    if needs is None:
        return None
    return desk.reference.peek(order, account=account, needs=needs, position_since_us=visit.position_since_us)


def at_hand(desk: Desk, visit: Visit, situation: Situation, *, plan: Plan) -> World | None:
    """What this plan looks at, as far as it is known: whatever is cached, and nobody is asked for more.

    What the enforcing ones were told stands where it wants nothing else.
    """
    account, order, told = situation.account, situation.order, situation.world
    if account is None or order is None:
        return told
    needs = plan.needs_of(order)
    if needs.is_nothing:
        return told
    found = desk.reference.peek(order, account=account, needs=needs, position_since_us=visit.position_since_us)
    if told is None:
        return found
    empty = {name for name in World.__struct_fields__ if getattr(found, name) in (None, NOT_ASKED)}
    return replace(found, **{name: getattr(told, name) for name in empty})
