"""Whose order it is that a request names, whether this key may touch it, and whether it can be changed now."""

from typing import Final

from guard.codes import Code
from guard.limits import NOBODY, Holder, change_in_flight
from guard.policy import may_touch
from guard.terms import Effect, ModifyOrder, Reason, Refusal, refuse
from guard.walk.desk import Desk
from guard.walk.door import RISKY
from guard.walk.naming import NAMING
from guard.walk.visit import Situation, Visit

_CANCEL: Final = Effect.ORDER_CANCEL  # asked of every trade


def ownership(visit: Visit, situation: Situation) -> list[Reason]:
    """Whether the order that is named is known, and whether this key may touch it. A cancel-all names none."""
    intent, holder = situation.intent, situation.holder
    if visit.principal is None or type(intent) not in NAMING:
        return []
    if situation.conflict is not None:
        return list(situation.conflict.reasons)
    if holder is None and visit.effect in RISKY:
        message = "the guard knows no working order of this id; cancel it and place a new one"
        return [Reason(Code.UNKNOWN_ORDER, message, rule="rights.touch")]
    named = situation.elsewhere if holder is None else (holder,)  # whichever account the daemon would look for it in
    return [reason for one in named if (reason := _touch(visit, one)) is not None][:1]


def against_original(desk: Desk, situation: Situation) -> list[Reason]:
    """What the live order itself has against the change.

    A quantity below what is filled makes no sense. An order that is to be enabled again was judged on the terms that
    the ledger knows, so the daemon's list must show the same terms.
    """
    if situation.holder is None or situation.order is None:
        return []
    filled, qty = situation.holder.filled, situation.order.qty
    if isinstance(situation.intent, ModifyOrder) and qty < filled:
        text = f"{filled.normalize():f}"
        message = f"{text} of the order is filled: its quantity cannot become less than that; cancel what is left"
        return [Reason(Code.BAD_VALUE, message, rule="orders", observed=f"{qty.normalize():f}", limit=text, unit="qty")]
    if not situation.comes_back:
        return []
    shown = desk.order_lists.disabled(situation.holder.id)
    if shown is None:
        message = "the daemon's order list, which has to show what is to be enabled, cannot be had now; try again"
        return [Reason(Code.REFERENCE_UNAVAILABLE, message, rule="orders")]
    if shown.is_as(situation.order):
        return []
    message = "the order was changed elsewhere: change it to the terms that it shall have first, or place a new one"
    return [Reason(Code.UNKNOWN_ORDER, message, rule="orders")]


def _touch(visit: Visit, holder: Holder) -> Reason | None:
    """Why the key may not touch this order; its own it always may."""
    principal, owner, effect, policies = visit.principal, holder.key, visit.effect, visit.config.policies
    if principal is None or effect is None or owner == principal.name:
        return None
    if owner == NOBODY and effect is _CANCEL:
        return None
    if policies is None:
        return Reason(Code.NOT_YOUR_ORDER, "the order is another key's", rule="rights.touch")
    return may_touch(policies, principal, owner=owner or None, effect=effect, account=holder.account, wall=visit.wall)


def in_the_way(desk: Desk, visit: Visit, holder: Holder | None) -> Refusal | None:
    """While another change of the order is under way, or its outcome is unknown, only cancels pass."""
    if holder is None or visit.effect is _CANCEL:
        return None
    match change_in_flight(desk.state, holder.id):
        case "none":
            return None
        case "in_flight":
            return refuse(Code.IN_FLIGHT, "another change of this order is under way; wait for its answer")
        case _:
            return refuse(Code.OUTCOME_UNKNOWN, "the outcome of this order's last step is not known; only cancels pass")
