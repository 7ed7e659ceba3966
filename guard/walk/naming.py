"""Which live order a request names, and by which names it is forwarded.

The daemon knows an order by two names and, in some versions, takes either name in either place. So both places are
looked up both ways, and names that disagree are refused. What is forwarded are the names that the daemon itself once
answered with, so it cannot act on another order than the one that was judged.
"""

from typing import Final

from msgspec.structs import replace

from guard.codes import Code
from guard.limits import Holder, State, find_order, is_known_order
from guard.terms import Account, CancelOrder, Env, Intent, ModifyOrder, Reconfirm, Refusal, refuse

_NAMING: Final = (ModifyOrder, CancelOrder, Reconfirm)
NAMING: Final = frozenset({*_NAMING})
"""The intents that name a live order, for a look-up by type, which takes a tenth of three `isinstance` checks."""


def meant(state: State, intent: Intent, *, env: Env | None, acc_id: int | None) -> Holder | Refusal | None:
    """The live order that a change or a cancel names; without an environment it is looked up in both.

    None: the guard knows no such order. A refusal: its two names are those of different orders.
    """
    if acc_id is None or not isinstance(intent, _NAMING):
        return None
    order_id, order_id_ex = _names(intent)
    for account in _accounts(env, acc_id):
        order = _found(state, account, (order_id, order_id_ex))
        if order is not None:
            return order if isinstance(order, Refusal) else _agreed(order, order_id, order_id_ex)
    return None


def meant_elsewhere(state: State, intent: Intent, *, env: Env | None, acc_id: int | None) -> tuple[Holder, ...]:
    """The live orders that a cancel names as ones of other accounts; `meant` found none.

    The daemon may take either name, so each is looked for by itself. A name is nobody's that may be another order's:
    ids can repeat, so one that the account had is its own, two live orders of other accounts with one id tell nothing,
    and an order under way there may get it.
    """
    if acc_id is None or not isinstance(intent, CancelOrder):
        return ()
    own = set(_accounts(env, acc_id))
    if any(holder.account in own for step in state.steps.values() if (holder := state.holders.get(step.id))):
        return ()
    found = list[Holder]()
    for name in _names(intent):
        if name is None or any(is_known_order(state, account, name) for account in own):
            continue
        orders = [order for account in state.ids if (order := _found(state, account, (name, None))) is not None]
        found += [order for order in orders if isinstance(order, Holder) and len(orders) == 1]
    return tuple(found)


def forwarded(intent: Intent, holder: Holder) -> Intent:
    """The request with its live order named as the daemon named it."""
    if not isinstance(intent, _NAMING):
        return intent
    number = holder.order_id if holder.order_id is not None and _is_number(holder.order_id) else None
    if isinstance(intent, Reconfirm):
        return intent if number is None else replace(intent, order_id=number)
    if number is None and holder.order_id_ex is None:
        return intent
    return replace(intent, order_id=number, order_id_ex=holder.order_id_ex)


def _accounts(env: Env | None, acc_id: int) -> tuple[Account, ...]:
    return tuple(Account(each, acc_id) for each in ((Env.REAL, Env.SIMULATE) if env is None else (env,)))


def _found(state: State, account: Account, names: tuple[str | None, str | None]) -> Holder | Refusal | None:
    """The account's order of these names, either in either place."""
    order_id, order_id_ex = names
    found = find_order(state, account, order_id=order_id, order_id_ex=order_id_ex)
    return find_order(state, account, order_id=order_id_ex, order_id_ex=order_id) if found is None else found


def _names(intent: ModifyOrder | CancelOrder | Reconfirm) -> tuple[str | None, str | None]:
    return intent.order_id, None if isinstance(intent, Reconfirm) else intent.order_id_ex


def _agreed(holder: Holder, order_id: str | None, order_id_ex: str | None) -> Holder | Refusal:
    """The order, unless one of the names is known to be another's."""
    known = {name for name in (holder.order_id, holder.order_id_ex) if name is not None}
    is_whole = holder.order_id is not None and holder.order_id_ex is not None
    given = {name for name in (order_id, order_id_ex) if name is not None}
    if is_whole and not given <= known:
        return refuse(Code.CONFLICTING_FIELDS, "order_id and order_id_ex name two different orders")
    return holder


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and int(name) < 2**64
