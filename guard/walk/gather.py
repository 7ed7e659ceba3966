"""What the world is like for one request: accounts, the order that is meant, the order as it shall be, its instrument.

`gather` may ask the daemon. `understood` works out what follows from what is known; it awaits nothing, and is called
again after every wait, since what was true before may have changed. Neither refuses: a datum that cannot be had is a
value (`Missing`, or None) that the rules look at later.
"""

import asyncio
from typing import Final

from msgspec.structs import replace

from guard.access import cancel_env, resolve_acc_id, resolve_env
from guard.codes import Code
from guard.intent import order_after
from guard.limits import Holder
from guard.policy import Plan
from guard.terms import (
    NOT_ASKED,
    AccountAt,
    AccountRow,
    AccPush,
    CancelAll,
    CancelOrder,
    Effect,
    Env,
    Intent,
    Missing,
    ModifyOrder,
    Needs,
    PlaceOrder,
    Principal,
    Read,
    Reconfirm,
    Refusal,
    Unlock,
    World,
)
from guard.walk.desk import Desk
from guard.walk.naming import meant, meant_elsewhere
from guard.walk.visit import Situation, Visit

CANCEL_WAIT_S: Final = 1.0  # how long a cancel waits for the account list in all; then the last one will do
CANCELS: Final = frozenset({CancelOrder, CancelAll})  # whatever is documented: some operations of `modify-order` too
_NOWHERE: Final = AccountAt.NONE
_OF_SEVERAL: Final = (Unlock, AccPush)  # they name their accounts in a list of their own
Rows = tuple[AccountRow, ...]
_ANY_AGE_MS: Final = 24 * 3600 * 1000
_TOO_LATE: Final = Missing(Code.REFERENCE_UNAVAILABLE, "the account list is not known")


def at_hand(desk: Desk, visit: Visit, intent: Intent) -> Situation | None:
    """The situation, if the account list is cached; None: the daemon has to be asked for it."""
    endpoint = visit.endpoint
    if visit.principal is None or endpoint is None or endpoint.account is _NOWHERE:
        return Situation(intent)
    rows = desk.accounts.at_hand()
    if rows is None:
        return None
    situation = understood(desk, visit, Situation(intent, rows=rows))
    account = situation.account
    is_settled = account is None or desk.accounts.lists(account) or not endpoint.is_trade
    return situation if is_settled else None


async def gather(desk: Desk, visit: Visit, intent: Intent) -> Situation:
    """The situation with the account list, which is asked for if it is not cached."""
    endpoint = visit.endpoint
    if visit.principal is None or endpoint is None or endpoint.account is _NOWHERE:
        return Situation(intent)
    try:
        async with asyncio.timeout(CANCEL_WAIT_S if visit.effect is Effect.ORDER_CANCEL else None):
            situation = understood(desk, visit, Situation(intent, rows=await desk.accounts.rows()))
            account = situation.account
            if account is not None and endpoint.is_trade and not isinstance(situation.rows, Missing):
                row = await desk.accounts.find(account.env, account.acc_id)
                situation.rows = row if isinstance(row, Missing) else await desk.accounts.rows()
            return situation
    except TimeoutError:
        if visit.effect is not Effect.ORDER_CANCEL:
            raise
        return _by_the_last_list(desk, visit, intent)


def _by_the_last_list(desk: Desk, visit: Visit, intent: Intent) -> Situation:
    """What a cancel goes by that has waited long enough. An old list does not say that there is no such account."""
    situation = understood(desk, visit, Situation(intent, rows=desk.accounts.known or _TOO_LATE))
    account = situation.account
    if account is not None and not desk.accounts.lists(account) and desk.accounts.at_hand() is None:
        situation.rows = _TOO_LATE
    return situation


def understood(desk: Desk, visit: Visit, situation: Situation) -> Situation:
    """Fills in what account list, ledger and cached reference data say about the request at this moment."""
    intent = situation.intent
    principal, header = visit.principal, getattr(intent, "header", None)
    if principal is None or header is None:
        if isinstance(intent, _OF_SEVERAL):
            situation.acc_ids = intent.acc_ids
        return situation
    acc_id, env = header.acc_id, header.env
    if header.card_num is not None:
        acc_id = resolve_acc_id(principal, listed(situation) or (), env=env, acc_id=acc_id, card_num=header.card_num)
    # What the body names: one account, none, or one that does not exist.
    situation.acc_ids = (acc_id,) if acc_id is not None else None if header.card_num is None else ()
    if isinstance(intent, PlaceOrder):
        situation.order = intent
    elif isinstance(intent, Read):
        situation.locate(env, acc_id)
        return situation
    else:
        _find_order(desk, situation, env=env, acc_id=acc_id)
    situation.locate(_environment(principal, situation, acc_id=acc_id) if env is None else env, acc_id)
    policies, account = visit.config.policies, situation.account
    if policies is not None and account is not None:
        situation.plan = policies.plan(principal, account.env, account, wall=visit.wall)
    if situation.order is not None:
        situation.needs = needs_of(visit, situation)
        situation.world = world_of(desk, visit, situation)
    return situation


def _find_order(desk: Desk, situation: Situation, *, env: Env | None, acc_id: int | None) -> None:
    """Fills in the live order that is named and, for a change, the order that it shall become.

    `conflict`: its two names are those of different orders, or the change would make something that is no valid order.
    """
    intent = situation.intent
    found = meant(desk.state, intent, env=env, acc_id=acc_id)
    if not isinstance(found, Holder):
        situation.conflict = found
        situation.elsewhere = meant_elsewhere(desk.state, intent, env=env, acc_id=acc_id) if found is None else ()
        return
    situation.holder = found
    if isinstance(intent, ModifyOrder | Reconfirm):
        order = order_after(found.order, intent)
        if isinstance(order, Refusal):
            situation.conflict = order
        else:
            situation.order = order


def _environment(principal: Principal, situation: Situation, *, acc_id: int | None) -> Env | None:
    """The environment in which the request counts, where its body names none."""
    order_env = situation.holder.account.env if situation.holder else None
    env = resolve_env(principal, listed(situation) or (), order=order_env, acc_id=acc_id)
    return cancel_env(principal) if env is None and type(situation.intent) in CANCELS else env


def listed(situation: Situation) -> Rows | None:
    """The account list, or None where it could not be had."""
    return None if isinstance(situation.rows, Missing) else situation.rows


# ---------------------------------------------------------------- the world of an order


def needs_of(visit: Visit, situation: Situation) -> Needs | None:
    """What the rules that bind this order look at; None where there is no order, or they look at nothing."""
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


def world_of(desk: Desk, visit: Visit, situation: Situation) -> World | None:
    """What is known of the order's world by now; None where no rule looks at anything.

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


def world_for(desk: Desk, visit: Visit, situation: Situation, *, plan: Plan) -> World | None:
    """What another plan, a shadow's, looks at, as far as it is known: whatever is cached, and nobody is asked for more.

    Where it looks at nothing else, what the enforcing rules were told stands.
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
