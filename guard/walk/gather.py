"""What the world is like, for one request: accounts, the order that is meant, the order as it shall be, its value.

May ask the daemon, never refuses: what cannot be had is a value (`Missing`, or None) that the rules look at later.
"""

from guard.access import cancel_env, resolve_acc_id, resolve_env
from guard.intent import changed, order_of
from guard.limits import Holder, find_order
from guard.policy import value
from guard.terms import (
    Account,
    AccountAt,
    AccountRow,
    AccPush,
    CancelAll,
    CancelOrder,
    Effect,
    Env,
    Header,
    Intent,
    Missing,
    ModifyOrder,
    PlaceOrder,
    Principal,
    Read,
    Reconfirm,
    Refusal,
    Unlock,
)
from guard.walk.desk import Desk, Situation, Visit


async def gather(desk: Desk, visit: Visit, intent: Intent) -> Situation:
    """Everything that the synchronous step needs, asked for beforehand."""
    endpoint, principal = visit.endpoint, visit.principal
    if principal is None or endpoint is None or endpoint.account is AccountAt.NONE:
        return Situation(intent)
    found = await desk.book.rows()
    rows = () if isinstance(found, Missing) else found
    situation = Situation(intent, rows=found)
    if isinstance(intent, Unlock | AccPush):
        situation.acc_ids = intent.acc_ids
        return situation
    header: Header | None = intent.header if hasattr(intent, "header") else None
    if header is None:
        return situation
    situation.acc_id = resolve_acc_id(principal, rows, env=header.env, acc_id=header.acc_id, card_num=header.card_num)
    situation.acc_ids = _named(header, situation.acc_id)
    if isinstance(intent, Read):
        situation.env = header.env
        return situation
    await _order(desk, situation, header, principal)
    if situation.account is not None:
        row = await desk.book.find(situation.account.env, situation.account.acc_id)
        situation.rows = row if isinstance(row, Missing) else await desk.book.rows()
    return situation


def _named(header: Header, acc_id: int | None) -> tuple[int, ...] | None:
    """The account that the body names: none, one, or one that does not exist."""
    if header.acc_id is None and header.card_num is None:
        return None
    return () if acc_id is None else (acc_id,)


async def _order(desk: Desk, situation: Situation, header: Header, principal: Principal) -> None:
    intent = situation.intent
    rows = () if isinstance(situation.rows, Missing) else situation.rows
    holder = meant(desk, intent, env=header.env, acc_id=situation.acc_id)
    situation.holder = holder if isinstance(holder, Holder) else None
    order_env = situation.holder.account.env if situation.holder else None
    situation.env = resolve_env(principal, rows, body=header.env, order=order_env, acc_id=situation.acc_id)
    if situation.env is None and isinstance(intent, CancelOrder | CancelAll):
        situation.env = cancel_env(principal)
    situation.order = resulting(intent, situation.holder)
    if situation.order is not None:
        situation.worth = value(situation.order)


def meant(desk: Desk, intent: Intent, *, env: Env | None, acc_id: int | None) -> Holder | Refusal | None:
    """The live order that a change or a cancel names; without an environment, whichever one knows it."""
    if acc_id is None or not isinstance(intent, ModifyOrder | CancelOrder | Reconfirm):
        return None
    order_id_ex = None if isinstance(intent, Reconfirm) else intent.order_id_ex
    for candidate in (Env.REAL, Env.SIMULATE) if env is None else (env,):
        account = Account(candidate, acc_id)
        found = find_order(desk.state, account, order_id=intent.order_id, order_id_ex=order_id_ex)
        if found is not None:
            return found
    return None


def resulting(intent: Intent, holder: Holder | None) -> PlaceOrder | None:
    """The order as it shall be; None where no order is placed or changed, or the one that is meant is not known."""
    if isinstance(intent, PlaceOrder):
        return intent
    if holder is None or not isinstance(intent, ModifyOrder | Reconfirm):
        return None
    was = order_of(holder.order)
    return changed(was, intent) if isinstance(intent, ModifyOrder) else was


def effect_of(intent: Intent, documented: Effect) -> Effect:
    """What the call really does: `modify-order` places nothing new, and some of its operations only cancel."""
    if isinstance(intent, CancelOrder | CancelAll):
        return Effect.ORDER_CANCEL
    return documented


def listed(situation: Situation) -> tuple[AccountRow, ...] | None:
    """The account list, or None where it could not be had."""
    return None if isinstance(situation.rows, Missing) else situation.rows
