"""Orders, fills, fees and cash flow of an account, as the daemon lists them.

Listed are those of the account and market that the header names; the market of an order is the one it really trades in,
so an order for a US stock that was sent with a HK header is found under US.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from guard.simulator.account_reads import has_code
from guard.simulator.accounts import FUTURE_MARKETS
from guard.simulator.figures import tidy
from guard.simulator.header import Named, of_read
from guard.simulator.instruments import CURRENCIES, Instrument, Kind
from guard.simulator.orders import Fill, Order, Status
from guard.simulator.reading import Body
from guard.simulator.sessions import local, stamp
from guard.simulator.world import World

_HISTORY: Final = timedelta(days=90)
_FEE: Final = Decimal(15)


def _mine(world: World, named: Named, c2s: Body) -> Iterable[Order]:
    conditions = c2s.get("filter_conditions") or {}
    codes, ids = set(conditions.get("code_list") or []), set(conditions.get("id_list") or [])
    ids_ex = set(conditions.get("order_id_ex_list") or [])
    for order in world.book.by_id_ex.values():
        is_mine = order.account == named.account and order.status is not Status.DELETED
        if not is_mine or not _is_listed_in(order, named.trd_market) or not has_code(order.instrument, codes):
            continue
        if (ids and order.order_id not in ids) or (ids_ex and order.order_id_ex not in ids_ex):
            continue
        yield order


def _is_listed_in(order: Order, trd_market: int) -> bool:
    if trd_market in FUTURE_MARKETS:
        return order.trd_market in FUTURE_MARKETS
    return order.trd_market == trd_market


def orders(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_GetOrderList: today's orders and those that still work."""
    named = of_read(world, c2s)
    rows = [order for order in _mine(world, named, c2s) if order.is_open or _is_todays(world, order)]
    return {"header": named.message(), "order_list": _with_status(rows, c2s)}


def history_orders(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_GetHistoryOrderList: the last ninety days, or [begin_time, end_time]."""
    named = of_read(world, c2s)
    rows = [
        o
        for o in _mine(world, named, c2s)
        if not o.is_open and _is_within(world, c2s, o.created, instrument=o.instrument)
    ]
    return {"header": named.message(), "order_list": _with_status(rows, c2s)}


def _with_status(rows: list[Order], c2s: Body) -> list[dict[str, Any]]:
    wanted = set(c2s.get("filter_status_list") or [])
    return [order.message() for order in rows if not wanted or int(order.status) in wanted]


def _is_todays(world: World, order: Order) -> bool:
    return order.born == local(order.instrument.prefix, world.now()).date()


def _is_within(world: World, c2s: Body, moment: datetime, *, instrument: Instrument) -> bool:
    conditions = c2s.get("filter_conditions") or {}
    begin = conditions.get("begin_time") or stamp(instrument.prefix, world.now() - _HISTORY)
    end = conditions.get("end_time") or stamp(instrument.prefix, world.now())
    return str(begin) <= stamp(instrument.prefix, moment) <= str(end)


def _fills(world: World, named: Named, c2s: Body) -> Iterable[Fill]:
    mine = {order.order_id_ex for order in _mine(world, named, c2s)}
    return (fill for fill in world.book.fills if fill.order.order_id_ex in mine)


def order_fills(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_GetOrderFillList: today's fills."""
    named = of_read(world, c2s)
    rows = [fill for fill in _fills(world, named, c2s) if _is_todays(world, fill.order)]
    return {"header": named.message(), "order_fill_list": [fill.message() for fill in rows]}


def history_order_fills(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_GetHistoryOrderFillList."""
    named = of_read(world, c2s)
    rows = [f for f in _fills(world, named, c2s) if _is_within(world, c2s, f.at, instrument=f.order.instrument)]
    return {"header": named.message(), "order_fill_list": [fill.message() for fill in rows]}


def order_fee(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_GetOrderFee: a flat fee for every order that filled."""
    named = of_read(world, c2s)
    rows = [world.book.by_id_ex.get(str(order_id_ex)) for order_id_ex in c2s.get("order_id_ex_list") or []]
    fees = [
        {"order_id_ex": order.order_id_ex, "fee_amount": _FEE, "fee_list": [{"title": "Commission", "value": _FEE}]}
        for order in rows
        if order is not None and order.account == named.account and order.fill_qty
    ]
    return {"header": named.message(), "order_fee_list": fees}


def flow_summary(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_FlowSummary: one row for every fill of the clearing day."""
    named = of_read(world, c2s)
    rows = [
        {
            "clearing_date": stamp(fill.order.instrument.prefix, fill.at)[:10],
            "currency": CURRENCIES[fill.order.instrument.currency],
            "cash_flow_type": "Trade",
            "cash_flow_direction": 2 if fill.order.sign > 0 else 1,
            "cash_flow_amount": tidy(-fill.order.sign * fill.qty * fill.price * fill.order.instrument.multiplier),
            "cash_flow_remark": fill.order.instrument.symbol,
            "cash_flow_id": fill.fill_id,
        }
        for fill in world.book.fills
        if fill.order.account == named.account and fill.order.instrument.kind is not Kind.FUTURE
    ]
    wanted = c2s.get("clearing_date")
    return {
        "header": named.message(),
        "flow_summary_info_list": [row for row in rows if wanted in {None, row["clearing_date"]}],
    }
