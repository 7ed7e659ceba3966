"""New orders: `/api/order` into a `PlaceOrder`.

Order types without a limit price keep none: the price in their body is any number the caller likes, and a cap that
believed it would be no cap (W01, W02). A trigger price or trail belongs to the types that use one and is refused
elsewhere: an order that its sender takes for a stop must not reach the market as a plain one.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.intent.fields import Fields, choices
from guard.intent.header import trade_header
from guard.intent.instrument import SEC_MARKETS, Instrument, Odd, instrument
from guard.markets import is_futures
from guard.terms import Header, OrderType, PlaceOrder, Refusal, Side, TimeInForce

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

PRICELESS: Final = frozenset(
    {
        OrderType.MARKET,
        OrderType.AUCTION,
        OrderType.STOP,
        OrderType.MARKET_IF_TOUCHED,
        OrderType.TRAILING_STOP,
        OrderType.TRAILING_STOP_LIMIT,  # its limit follows from trail_spread
        OrderType.TWAP_MARKET,
        OrderType.VWAP_MARKET,
    }
)
"""The types that have no limit price of their own."""
TRIGGERED: Final = frozenset(
    {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED}
)
TRAILING: Final = frozenset({OrderType.TRAILING_STOP, OrderType.TRAILING_STOP_LIMIT})
_USERS: Final[Mapping[str, frozenset[OrderType]]] = {
    "aux_price": TRIGGERED,
    "trail_type": TRAILING,
    "trail_value": TRAILING,
    "trail_spread": frozenset({OrderType.TRAILING_STOP_LIMIT}),
}
_TERMED: Final = TRIGGERED | TRAILING
_TERMS: Final = frozenset({*_USERS, "adjust_price", "adjust_side_and_limit"})
_RARE: Final = frozenset(
    {"fill_outside_rth", "session", "position_id", "remark", "packet_id", "packet_id.conn_id", "packet_id.serial_no"}
)

STOCK_DECIMALS_MAX: Final = 3
FUTURES_DECIMALS_MAX: Final = 9
_PERCENT_MAX: Final = 100
_REMARK_BYTES_MAX: Final = 64
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Terms(Struct, frozen=True):
    """What an order and a change have alike: prices, trail and adjustment."""

    price: Decimal | None = None
    aux_price: Decimal | None = None
    trail_type: int | None = None
    trail_value: Decimal | None = None
    trail_spread: Decimal | None = None
    adjust_price: bool | None = None
    adjust_side_and_limit: Decimal | None = None


def place_order(fields: Fields) -> PlaceOrder | Refusal:
    """A new order. An absent type is NORMAL, an absent time in force DAY."""
    for path in ("code", "trd_side", "qty"):
        fields.require(path)
    header = trade_header(fields)
    side = fields.choice("trd_side", SIDES)
    order_type = fields.choice("order_type", TYPES) or OrderType.NORMAL
    qty = quantity(fields)
    found = _instrument(fields, header)
    terms = _terms(fields, order_type, trd_market=0 if header is None else header.trd_market)
    time_in_force = fields.choice("time_in_force", TIMES) or TimeInForce.DAY
    fill_outside_rth, session, position_id, remark, packet = _extras(fields)
    if not fields.is_good or header is None or side is None or qty is None or found is None:
        return fields.refusal()
    return PlaceOrder(
        header=header,
        market=found.market,
        symbol=found.symbol,
        code=found.code,
        side=side,
        order_type=order_type,
        qty=qty,
        price=terms.price,
        time_in_force=time_in_force,
        sec_market=found.sec_market,
        aux_price=terms.aux_price,
        trail_type=terms.trail_type,
        trail_value=terms.trail_value,
        trail_spread=terms.trail_spread,
        adjust_price=terms.adjust_price,
        adjust_side_and_limit=terms.adjust_side_and_limit,
        fill_outside_rth=fill_outside_rth,
        session=session,
        position_id=position_id,
        remark=remark,
        packet_id=packet,
    )


def quantity(fields: Fields) -> Decimal | None:
    """The quantity, in shares or contracts: above zero."""
    qty = fields.number("qty")
    if qty is not None and qty <= 0:
        fields.note(Code.BAD_VALUE, "qty is above zero")
    return qty


def price_at(fields: Fields, path: str, *, trd_market: int) -> Decimal | None:
    """A price: three decimals and above zero, for futures nine and any sign (the daemon would drop what is beyond)."""
    if is_futures(trd_market):
        return fields.number(path, decimals=FUTURES_DECIMALS_MAX)
    price = fields.number(path, decimals=STOCK_DECIMALS_MAX)
    if price is not None and price <= 0:
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
    connection = fields.identifier("packet_id.conn_id")
    serial = fields.identifier("packet_id.serial_no")
    return None if connection is None and serial is None else (connection or 0, serial or 0)


def _terms(fields: Fields, order_type: OrderType, *, trd_market: int) -> Terms:
    if order_type in PRICELESS:
        fields.number("price")  # must be a number, may be any
        price = None
    else:
        fields.require("price")
        price = price_at(fields, "price", trd_market=trd_market)
    if order_type not in _TERMED and fields.has_none(_TERMS):
        return Terms(price)
    for path, types in _USERS.items():
        if order_type in types:
            fields.require(path)
        elif fields.has(path):
            fields.note(Code.BAD_VALUE, f"{path} has no meaning for an order of type {order_type.name}")
    aux_price = price_at(fields, "aux_price", trd_market=trd_market)
    kind, value, spread = trail(fields)
    is_adjusted, limit = adjustment(fields)
    return Terms(price, aux_price, kind, value, spread, is_adjusted, limit)


def _extras(fields: Fields) -> tuple[bool | None, int | None, int | None, str | None, tuple[int, int] | None]:
    """Outside regular hours, session, position, remark, packet id: most orders have none of them."""
    if fields.has_none(_RARE):
        return None, None, None, None, None
    fill_outside_rth, session = fields.flag("fill_outside_rth"), fields.choice("session", SESSIONS)
    return fill_outside_rth, session, fields.identifier("position_id") or None, _remark(fields), packet_id(fields)


def _instrument(fields: Fields, header: Header | None) -> Instrument | None:
    code, sec_market = fields.text("code"), fields.choice("sec_market", SEC_MARKETS)
    if code is None or header is None or not header.trd_market:
        return None
    found = instrument(code, trd_market=header.trd_market, sec_market=sec_market)
    if isinstance(found, Odd):
        fields.note(Code.BAD_VALUE, found.why)
        return None
    return found


def _remark(fields: Fields) -> str | None:
    remark = fields.text("remark")
    if remark is not None and (len(remark.encode()) > _REMARK_BYTES_MAX or _CONTROL.search(remark)):
        fields.note(Code.BAD_VALUE, f"remark has at most {_REMARK_BYTES_MAX} bytes and no control characters")
    return remark
