"""Order ids: which live order an id names, whose it is, and which ids the daemon has used before."""

from sys import intern
from typing import Final

from guard.codes import Code
from guard.limits.holder import Holder, Name, slim
from guard.limits.state import OrderIds, State, touch
from guard.terms import Account, OrderNames, Refusal, refuse

RECENT_IDS_MAX: Final = 65_536  # of one account; two for an order that has ended
NOBODY: Final = ""  # the owner of orders that were placed elsewhere, or that are no longer remembered
_NO_ID: Final = "0"  # what the daemon writes for "no id"


def find_order(
    state: State, account: Account, *, order_id: str | None, order_id_ex: str | None
) -> Holder | Refusal | None:
    """The live order of the account that either id names; None: neither does.

    Ids that name two different live orders are refused, since only one of these orders could be judged.
    """
    ids = state.ids.get(account)
    if ids is None:
        return None
    by_id = ids.live.get(slim(order_id)) if order_id else None
    by_ex = ids.live_ex.get(slim(order_id_ex)) if order_id_ex else None
    if by_id is not None and by_ex is not None and by_id != by_ex:
        return refuse(Code.CONFLICTING_FIELDS, "order_id and order_id_ex name two different orders")
    found = by_id or by_ex
    return state.holders[found] if found is not None else None


def is_known_order(state: State, account: Account, order_id_ex: str) -> bool:
    """The id is one of `OrderIds` of the account."""
    return order_id_ex in state.ids.get(account, ())


def owner_of(state: State, account: Account, names: OrderNames) -> str:
    """Whose order this is, live or ended: a principal's name, or NOBODY.

    Either id is enough, unless the two point to different owners: then it is nobody's. If neither is known yet, because
    the order's answer is still to come, the stamp in its remark tells.
    """
    ids = state.ids.get(account)
    found = ids and (
        _owner(state, ids, names.order_id, live=ids.live),
        _owner(state, ids, names.order_id_ex, live=ids.live_ex),
    )
    known = {owner for owner in found or () if owner is not None}
    if known:
        return known.pop() if len(known) == 1 else NOBODY
    holder = state.holders.get(names.decision or "")
    return holder.key if holder is not None and holder.is_nameless and holder.account == account else NOBODY


def _owner(state: State, ids: OrderIds, name: str | None, *, live: dict[Name, str]) -> str | None:
    """The owner of a live order of this name, else of the latest one that had it; None where nobody knows of any."""
    if not name or name == _NO_ID:
        return None
    known = slim(name)
    holder = state.holders.get(live.get(known, ""))
    return ids.recent.get(known) if holder is None else holder.key


def note_order_ids(state: State, holder: Holder, *, order_id: str | None, order_id_ex: str | None) -> None:
    """Notes the ids by which the daemon knows the order. Ids that were noted stay; another live order's is not taken.

    If the order has ended meanwhile, they go straight to the ids of ended orders.
    """
    if holder.by_id is not None and holder.by_ex is not None:
        return
    account = holder.about.account
    ids = state.ids.get(account)
    if ids is None:
        ids = state.ids[account] = OrderIds(account)
    if state.touched is not None:
        touch(state, holder.id)
    if order_id and order_id != _NO_ID and holder.by_id is None:
        holder.by_id = _noted(ids, holder, slim(order_id), live=ids.live)
    if order_id_ex and order_id_ex != _NO_ID and holder.by_ex is None:
        holder.by_ex = _noted(ids, holder, slim(order_id_ex), live=ids.live_ex)


def _noted(ids: OrderIds, holder: Holder, name: Name, *, live: dict[Name, str]) -> Name | None:
    """The name, noted as the order's; None where it is that of another."""
    if holder.status == "done":
        _remember(ids, name, holder.key)
    elif live.setdefault(name, holder.id) != holder.id:
        return None
    return name


def take_order_ids(state: State, holder: Holder, *, order_id: str | None, order_id_ex: str | None) -> None:
    """Takes these ids from any other live order, which has none then: an answer had named the wrong one (B33)."""
    ids = state.ids.get(holder.account)
    if ids is None:
        return
    for name, live in ((order_id, ids.live), (order_id_ex, ids.live_ex)):
        other = state.holders.get(live.get(slim(name), "")) if name else None
        if other is None or other is holder:
            continue
        _drop(state, other)


def has_order_ids(holder: Holder, *, order_id: str | None, order_id_ex: str | None) -> bool:
    """The order is known by either of these ids; True as well if there is none."""
    own = holder.by_id, holder.by_ex
    if order_id and slim(order_id) in own:
        return True
    return slim(order_id_ex) in own if order_id_ex else not order_id


def list_order_ids(state: State, holder: Holder, *, order_id: str | None, order_id_ex: str | None) -> None:
    """Notes the ids under which a list shows the order. If its answer had told quite different ones (B33) they go.

    Another live order that has the list's was told them by mistake, and loses them.
    """
    if not has_order_ids(holder, order_id=order_id, order_id_ex=order_id_ex):
        take_order_ids(state, holder, order_id=order_id, order_id_ex=order_id_ex)
        _drop(state, holder)
    note_order_ids(state, holder, order_id=order_id, order_id_ex=order_id_ex)


def _drop(state: State, holder: Holder) -> None:
    """It has no ids any more."""
    ids = state.ids.get(holder.account)
    if ids is None:
        return
    if state.touched is not None:
        touch(state, holder.id)
    for own, live in ((holder.by_id, ids.live), (holder.by_ex, ids.live_ex)):
        if own is not None and live.get(own) == holder.id:
            del live[own]
    holder.by_id = holder.by_ex = None


def note_outside(state: State, account: Account, *, order_id: str | None, order_id_ex: str | None) -> None:
    """Notes the ids of an order that was placed elsewhere: known from now on, and never taken for a live order's."""
    ids = state.ids.get(account)
    if ids is None:
        ids = state.ids[account] = OrderIds(account)
    for name in (order_id, order_id_ex):
        if name and name != _NO_ID:
            _remember(ids, slim(name), NOBODY)


def forget_order(state: State, holder: Holder) -> None:
    """The order is no longer live; its ids stay known for a while."""
    about, own = holder.about, holder.id
    del state.holders[own]
    ids = state.ids.get(about.account)
    if ids is None:
        return
    for name, live in ((holder.by_id, ids.live), (holder.by_ex, ids.live_ex)):
        if name is not None and live.get(name, own) == own:
            live.pop(name, None)
            _remember(ids, name, about.key)


def _remember(ids: OrderIds, name: Name, owner: str) -> None:
    """Remembers an ended order's id. The first key whose order had it stays its owner."""
    recent = ids.recent
    recent[name] = (recent.pop(name) if name in recent else NOBODY) or intern(owner)
    if len(recent) > RECENT_IDS_MAX:
        recent.popitem(last=False)
