"""New orders: `/api/order` into a `PlaceOrder`.

Order types without a limit price keep none: the price in their body is any number the caller likes, and a cap that
believed it would be no cap (W01, W02). A trigger price or trail belongs to the types that use one and is refused
elsewhere: an order that its sender takes for a stop must not reach the market as a plain one.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from guard.codes import Code
from guard.intent.fields import Fields, choices
from guard.intent.header import trade_header
from guard.intent.instrument import SEC_MARKETS, NoInstrument, TradedInstrument, instrument
from guard.markets import is_futures
from guard.terms import PRICELESS, TRAILING, Header, OrderType, PlaceOrder, Refusal, Side, TimeInForce

# SELL_SHORT and BUY_BACK are what the daemon answers; an order is BUY or SELL.
SIDES: Final = choices({"BUY": Side.BUY, "SELL": Side.SELL})
TYPES: Final = choices(
    {kind.name: kind for kind in OrderType}
    | {"MARKETIF_TOUCHED": OrderType.MARKET_IF_TOUCHED, "LIMITIF_TOUCHED": OrderType.LIMIT_IF_TOUCHED}
)
TIMES: Final = choices({"DAY": TimeInForce.DAY, "GTC": TimeInForce.GTC})
SESSIONS: Final = choices({"NONE": 0, "RTH": 1, "ETH": 2, "ALL": 3, "OVERNIGHT": 4})
RATIO: Final = 1
TRAILS: Final = choices({"RATIO": RATIO, "AMOUNT": 2})

TRIGGERED: Final = frozenset(
    {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED}
)
_USERS: Final[Mapping[str, frozenset[OrderType]]] = {
    "aux_price": TRIGGERED,
    "trail_type": TRAILING,
    "trail_value": TRAILING,
    "trail_spread": frozenset({OrderType.TRAILING_STOP_LIMIT}),
}
_TERMED: Final = TRIGGERED | TRAILING
_RARE: Final = frozenset(
    {*_USERS, "adjust_price", "adjust_side_and_limit", "fill_outside_rth", "session", "position_id"}
)
"""The fields that most orders have none of, in paths."""

STOCK_DECIMALS_MAX: Final = 3
FUTURES_DECIMALS_MAX: Final = 9
_ZERO: Final = Decimal(0)  # compared with in a third of the time that a number takes
_PERCENT_MAX: Final = 100
_REMARK_BYTES_MAX: Final = 64
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def place_order(fields: Fields) -> PlaceOrder | Refusal:
    """A new order. An absent type is NORMAL, an absent time in force DAY."""
    fields.require("code", "trd_side", "qty")
    header = trade_header(fields)
    side = fields.choice("trd_side", SIDES)
    order_type = fields.choice("order_type", TYPES) or OrderType.NORMAL
    qty = quantity(fields)
    found = _instrument(fields, header)
    trd_market = 0 if header is None else header.trd_market
    is_plain = order_type not in _TERMED and fields.has_none(_RARE)
    price = _price(fields, order_type, trd_market)
    rare = {} if is_plain else _terms(fields, order_type, trd_market)
    time_in_force = fields.choice("time_in_force", TIMES) or TimeInForce.DAY
    if not is_plain:
        rare |= _extras(fields)
    remark = _remark(fields)
    packet = packet_id(fields)
    if not fields.is_good or header is None or side is None or qty is None or found is None:
        return fields.refusal()
    order = PlaceOrder(
        header=header,
        market=found.market,
        symbol=found.symbol,
        code=found.code,
        side=side,
        order_type=order_type,
        qty=qty,
        price=price,
        time_in_force=time_in_force,
        sec_market=found.sec_market,
        remark=remark,
        packet_id=packet,
    )
    return replace(order, **rare) if rare else order


def once_more(order: PlaceOrder, fields: Fields) -> PlaceOrder | None:
    """The order with quantity, price and remark of another body; None where one of these is wrong."""
    qty, price = quantity(fields), _price(fields, order.order_type, order.header.trd_market)
    remark = _remark(fields)
    return replace(order, qty=qty, price=price, remark=remark) if fields.is_good else None


def quantity(fields: Fields) -> Decimal | None:
    """The quantity, in shares or contracts: above zero."""
    qty = fields.number("qty")
    if qty is not None and qty <= _ZERO:
        fields.note(Code.BAD_VALUE, "qty is above zero")
    return qty


def price_at(fields: Fields, path: str, *, trd_market: int, may_be_zero: bool = False) -> Decimal | None:
    """A price: three decimals and above zero, for futures nine and any sign (the daemon would drop what is beyond).

    `may_be_zero`: it is not known yet whether the order has a limit price at all.
    """
    if is_futures(trd_market):
        return fields.number(path, decimals=FUTURES_DECIMALS_MAX)
    price = fields.number(path, decimals=STOCK_DECIMALS_MAX)
    if price is not None and price <= _ZERO and not (may_be_zero and price == _ZERO):
        fields.note(Code.BAD_VALUE, f"{path} is above zero")
    return price


def trail(fields: Fields) -> tuple[int | None, Decimal | None, Decimal | None]:
    """Trail type, distance (in percent units for a ratio) and spread of a trailing limit."""
    kind, value, spread = (
        fields.choice("trail_type", TRAILS),
        fields.number("trail_value"),
        fields.number("trail_spread"),
    )
    if value is not None and (value <= 0 or (kind == RATIO and value > _PERCENT_MAX)):
        fields.note(Code.BAD_VALUE, "trail_value is above zero, a ratio at most 100 (percent)")
    if spread is not None and spread < 0:
        fields.note(Code.BAD_VALUE, "trail_spread is not below zero")
    return kind, value, spread


def adjustment(fields: Fields) -> tuple[bool | None, Decimal | None]:
    """Whether the daemon may move the price to a legal tick, and by which ratio at most, either way (W06)."""
    is_adjusted, limit = fields.flag("adjust_price"), fields.number("adjust_side_and_limit")
    if limit is not None and abs(limit) >= 1:
        fields.note(Code.BAD_VALUE, "adjust_side_and_limit is a ratio between -1 and 1")
    return (True, limit) if is_adjusted else (None, None)


def packet_id(fields: Fields) -> tuple[int, int] | None:
    """The caller's own packet id, for the record."""
    if not fields.has("packet_id"):
        return None
    connection = fields.identifier("packet_id.conn_id")
    serial = fields.identifier("packet_id.serial_no")
    return None if connection is None and serial is None else (connection or 0, serial or 0)


def _price(fields: Fields, order_type: OrderType, trd_market: int) -> Decimal | None:
    if order_type in PRICELESS:
        fields.number("price")  # must be a number, may be any
        return None
    price = price_at(fields, "price", trd_market=trd_market)
    if price is None:
        fields.require("price")
    return price


def _terms(fields: Fields, order_type: OrderType, trd_market: int) -> dict[str, object]:
    """Trigger, trail and adjustment: what an order's price may have beside it."""
    for path, types in _USERS.items():
        if order_type in types:
            fields.require(path)
        elif fields.has(path):
            fields.note(Code.BAD_VALUE, f"{path} has no meaning for an order of type {order_type.name}")
    aux_price = price_at(fields, "aux_price", trd_market=trd_market)
    kind, value, spread = trail(fields)
    is_adjusted, limit = adjustment(fields)
    return {
        "aux_price": aux_price,
        "trail_type": kind,
        "trail_value": value,
        "trail_spread": spread,
        "adjust_price": is_adjusted,
        "adjust_side_and_limit": limit,
    }


def _extras(fields: Fields) -> dict[str, object]:
    """Outside regular hours, session, position."""
    return {
        "fill_outside_rth": fields.flag("fill_outside_rth"),
        "session": fields.choice("session", SESSIONS),
        "position_id": fields.identifier("position_id") or None,
    }


def _instrument(fields: Fields, header: Header | None) -> TradedInstrument | None:
    code, sec_market = fields.text("code"), fields.choice("sec_market", SEC_MARKETS)
    if code is None or header is None or not header.trd_market:
        return None
    found = instrument(code, trd_market=header.trd_market, sec_market=sec_market)
    if isinstance(found, NoInstrument):
        fields.note(Code.BAD_VALUE, found.why)
        return None
    return found


def _remark(fields: Fields) -> str | None:
    remark = fields.text("remark")
    if remark is None or (remark.isascii() and remark.isprintable() and len(remark) <= _REMARK_BYTES_MAX):
        return remark
    if len(remark.encode()) > _REMARK_BYTES_MAX or _CONTROL.search(remark):
        fields.note(Code.BAD_VALUE, f"remark has at most {_REMARK_BYTES_MAX} bytes and no control characters")
    return remark
