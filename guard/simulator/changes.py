"""Changes of orders: modify, cancel all, reconfirm; and the lock on real trading.

An order is found by its external id, else by its number; it must belong to the account that the header names. As with
the daemon a change knows nothing of symbol, side or limits.
"""

from collections.abc import Callable
from typing import Any, Final

from guard.simulator.header import of_write
from guard.simulator.orders import Order, Status
from guard.simulator.reading import Body, flag, number, required, text, whole
from guard.simulator.refusals import Declined
from guard.simulator.trading import BAD_QTY, check_qty, check_unlocked, price_of
from guard.simulator.world import World
from guard.terms import Env, Op

NO_ORDER: Final = 1101
BAD_STATE: Final = 1102
WRONG_PASSWORD: Final = 1103
PASSWORD_MD5: Final = "e10adc3949ba59abbe56e057f20f883e"  # noqa: S105 - of the simulated daemon's "123456"
PASSWORD_TRIES: Final = 10


def modify(world: World, c2s: Body) -> dict[str, Any]:
    """A change of one order, or with `for_all` a cancel of all."""
    if flag(c2s, "for_all"):
        return cancel_all(world, c2s)
    op = Op(required(c2s, "modify_order_op"))
    order_id = whole("order_id", c2s["order_id"]) if c2s.get("order_id") is not None else None
    order_id_ex = text(c2s, "order_id_ex")
    order = world.book.find(order_id, order_id_ex)
    if order is None and "trd_env" not in (c2s.get("header") or {}) and world.quirks.env_may_lack:
        raise Declined(f"order {order_id_ex or order_id} is not in local cache", NO_ORDER)
    named = of_write(world, c2s, order=order)
    if order is None or order.account != named.account or order.status is Status.DELETED:
        raise Declined(f"order {order_id_ex or order_id} is not in local cache", NO_ORDER)
    check_unlocked(world, named.account)
    if order.instrument.prefix == "US" and op not in {Op.NORMAL, Op.CANCEL}:
        raise Declined("this operation is not supported in the US market", BAD_STATE)
    _CHANGES[op](world, order, c2s)
    return {"header": named.message(), "order_id": order.order_id, "order_id_ex": order.order_id_ex}


def _expect(order: Order, *statuses: Status) -> None:
    if order.status not in statuses:
        filled = "filled orders" if order.status is Status.FILLED_ALL else "orders in this state"
        raise Declined(f"can't edit {filled}", BAD_STATE)


def _change(world: World, order: Order, c2s: Body) -> None:
    _expect(order, Status.SUBMITTED, Status.FILLED_PART)
    qty = check_qty(world, order.instrument, number(c2s, "qty"))
    if qty <= order.fill_qty:
        raise Declined("quantity must be above what is filled", BAD_QTY)
    price = price_of(c2s, "price", order.instrument)
    aux = price_of(c2s, "aux_price", order.instrument)
    trail = number(c2s, "trail_value"), number(c2s, "trail_spread")
    order.qty = qty
    order.price = order.price if price is None or order.price is None else price
    order.aux_price = order.aux_price if aux is None else aux
    order.trail_type = c2s.get("trail_type", order.trail_type)
    order.trail_value, order.trail_spread = trail[0] or order.trail_value, trail[1] or order.trail_spread
    world.book.settle(order)
    order.updated = world.now()
    world.announce(order)
    if world.quirks.fills_at_once:
        world.match(order)


def _cancel(world: World, order: Order, _: Body) -> None:
    _expect(order, Status.SUBMITTED, Status.FILLED_PART, Status.WAITING, Status.DISABLED)
    world.end(order, Status.CANCELLED_PART if order.fill_qty else Status.CANCELLED_ALL)


def _disable(world: World, order: Order, _: Body) -> None:
    _expect(order, Status.SUBMITTED, Status.FILLED_PART)
    world.end(order, Status.DISABLED)


def _enable(world: World, order: Order, _: Body) -> None:
    _expect(order, Status.DISABLED)
    _revive(world, order)


def _delete(world: World, order: Order, _: Body) -> None:
    _expect(order, Status.CANCELLED_ALL, Status.CANCELLED_PART, Status.FAILED, Status.DISABLED)
    world.end(order, Status.DELETED)


_CHANGES: Final[dict[Op, Callable[[World, Order, Body], None]]] = {
    Op.NORMAL: _change,
    Op.CANCEL: _cancel,
    Op.DISABLE: _disable,
    Op.ENABLE: _enable,
    Op.DELETE: _delete,
}


def _revive(world: World, order: Order) -> None:
    order.needs_confirmation = False
    world.end(order, Status.FILLED_PART if order.fill_qty else Status.SUBMITTED)
    if world.quirks.fills_at_once:
        world.match(order)


def cancel_all(world: World, c2s: Body) -> dict[str, Any]:
    """Cancel every working order of the account in one market: `trd_market` beside the header, else the header's."""
    named = of_write(world, c2s)
    check_unlocked(world, named.account)
    market = c2s.get("trd_market") or named.trd_market
    for order in world.book.working():
        if order.account == named.account and order.trd_market == market:
            _cancel(world, order, c2s)
    return {"header": named.message(), "order_id": 0, "order_id_ex": ""}


def reconfirm(world: World, c2s: Body) -> dict[str, Any]:
    """Let an order that is held back go to the market."""
    order = world.book.find(whole("order_id", c2s.get("order_id", 0)), None)
    if order is None:
        raise Declined("no such order is held back", NO_ORDER)
    named = of_write(world, c2s, order=order)
    if order.account != named.account or not order.needs_confirmation:
        raise Declined("no such order is held back", NO_ORDER)
    _revive(world, order)
    return {"header": named.message(), "order_id": order.order_id}


def unlock(world: World, c2s: Body) -> dict[str, Any]:
    """Unlock or lock trading; a body that does not say is a lock, a wrong password tells how many tries are left."""
    if not flag(c2s, "unlock"):
        world.is_unlocked = False
        return {"need_otp": False, "account_result_list": []}
    if (text(c2s, "pwd_md5") or "") != PASSWORD_MD5:
        world.wrong_passwords += 1
        left = max(PASSWORD_TRIES - world.wrong_passwords, 0)
        raise Declined(f"wrong trade password, {left} attempts remaining", WRONG_PASSWORD)
    world.wrong_passwords = 0
    world.is_unlocked = True
    wanted = {whole("acc_ids", item) for item in c2s.get("acc_ids") or []}
    real = [row.account.acc_id for row in world.ledger.rows if row.account.env is Env.REAL]
    results = [
        {"acc_id": acc_id, "success": True, "security_firm": 1, "error_msg": ""}
        for acc_id in real
        if not wanted or acc_id in wanted
    ]
    return {"need_otp": False, "account_result_list": results}
