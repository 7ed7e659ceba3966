"""What is asked: the body as JSON without surprises, the order as a typed tuple, and what the daemon is sent."""

import json
import re
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple, TypeVar

from refusals import refused

BODY_BYTES_MAX: Final = 64 * 1024
DIGITS_MAX: Final = 15
NUMBER_END: Final = Decimal(10**DIGITS_MAX)
PRICE_DECIMALS_MAX: Final = 3
QTY_DECIMALS_MAX: Final = 9
ID_MAX: Final = 2**64 - 1
CODE_CHARACTERS_MAX: Final = 32
REMARK_BYTES_MAX: Final = 64
CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
NAMES: Final = frozenset(
    {"market", "acc_id", "env", "side", "code", "qty", "price", "aux_price", "remark", "order_type", "time_in_force"}
)
READ_NAMES: Final = {
    "/api/quote": frozenset({"symbol"}),
    "/api/history-kline": frozenset(
        {"symbol", "kl_type", "count", "rehab_type", "begin_time", "end_time", "max_count"}
    ),
}
E = TypeVar("E", bound=Enum)


class Market(StrEnum):
    """Where it is traded."""

    HK = "HK"
    US = "US"
    CN = "CN"
    SG = "SG"
    JP = "JP"
    AU = "AU"
    MY = "MY"
    CA = "CA"

    @property
    def number(self) -> int:
        """As the daemon's protocol has it."""
        return MARKET_NUMBERS[self]

    @property
    def currency(self) -> str:
        """What prices there are in."""
        return CURRENCIES[self]


class Environment(StrEnum):
    """Whose money."""

    SIMULATE = "simulate"
    REAL = "real"


class Side(StrEnum):
    """Which way."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """How it is executed."""

    NORMAL = "NORMAL"
    MARKET = "MARKET"
    ABSOLUTE_LIMIT = "ABSOLUTE_LIMIT"
    SPECIAL_LIMIT = "SPECIAL_LIMIT"
    STOP_LIMIT = "STOP_LIMIT"


class TimeInForce(StrEnum):
    """How long it lives."""

    DAY = "DAY"
    GTC = "GTC"


MARKET_NUMBERS: Final = {
    Market.HK: 1,
    Market.US: 2,
    Market.CN: 3,
    Market.SG: 6,
    Market.AU: 8,
    Market.JP: 15,
    Market.MY: 111,
    Market.CA: 112,
}
CURRENCIES: Final = {
    Market.HK: "HKD",
    Market.US: "USD",
    Market.CN: "CNH",
    Market.SG: "SGD",
    Market.AU: "AUD",
    Market.JP: "JPY",
    Market.MY: "MYR",
    Market.CA: "CAD",
}
CODES: Final = {
    Market.HK: re.compile(r"[0-9]{5}"),
    Market.US: re.compile(r"[A-Z][A-Z0-9]{0,6}(?:[.-][A-Z0-9]{1,6})*"),
}
PREFIXES: Final = frozenset({*Market, "SH", "SZ", "BJ"})  # the daemon takes each of these off
ANY_CODE: Final = re.compile(r"[A-Z0-9]+(?:[.-][A-Z0-9]+)*")
SIDE_NUMBERS: Final = {Side.BUY: 1, Side.SELL: 2}
TYPE_NUMBERS: Final = {
    OrderType.NORMAL: 1,
    OrderType.MARKET: 2,
    OrderType.ABSOLUTE_LIMIT: 5,
    OrderType.SPECIAL_LIMIT: 8,
    OrderType.STOP_LIMIT: 11,
}
TIME_NUMBERS: Final = {TimeInForce.DAY: 0, TimeInForce.GTC: 1}


class Order(NamedTuple):
    """A new order."""

    market: Market
    acc_id: int
    env: Environment
    side: Side
    code: str
    qty: Decimal
    price: Decimal | None
    aux_price: Decimal | None
    order_type: OrderType
    time_in_force: TimeInForce
    remark: str | None

    @property
    def symbol(self) -> str:
        """Market and code."""
        return f"{self.market}.{self.code}"


def parsed(raw: bytes, names: frozenset[str]) -> dict[str, Any]:
    """The body as one object of these names, no name twice, decimals exact. Raises `Refused`."""
    try:
        body = json.loads(raw.decode(), parse_float=Decimal, parse_constant=_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise refused("bad_json", "the body is not JSON") from None
    if not isinstance(body, dict):
        raise refused("bad_json", "the body is not one object")
    if unknown := body.keys() - names:
        raise refused("unknown_field", f"unknown: {', '.join(sorted(unknown))}")
    return body


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise refused("duplicate_key", "a name is given twice")
    return found


def _constant(name: str) -> None:
    raise ValueError(name)


def order_of(raw: bytes) -> Order:
    """The order of a body. Raises `Refused`."""
    body = parsed(raw, NAMES)
    order_type = _member(OrderType, body, "order_type", default=OrderType.NORMAL)
    has_price = order_type is not OrderType.MARKET
    market = _member(Market, body, "market")
    return Order(
        market=market,
        acc_id=_account(body),
        env=_member(Environment, body, "env"),
        side=_member(Side, body, "side"),
        code=_code(body, market),
        qty=_number(body, "qty", decimals_max=QTY_DECIMALS_MAX),
        price=_number(body, "price", decimals_max=PRICE_DECIMALS_MAX) if has_price else None,
        aux_price=_aux_price(body, order_type),
        order_type=order_type,
        time_in_force=_member(TimeInForce, body, "time_in_force", default=TimeInForce.DAY),
        remark=_remark(body),
    )


def _needed(body: dict[str, Any], name: str) -> Any:
    value = body.get(name)
    if value is None:
        raise refused("missing_field", f"{name} is missing")
    return value


def _member(kind: type[E], body: dict[str, Any], name: str, *, default: E | None = None) -> E:
    if default is not None and body.get(name) is None:
        return default
    value = _needed(body, name)
    try:
        return kind(value.upper() if kind is not Environment else value)
    except (ValueError, AttributeError):
        raise refused("bad_value", f"{name} cannot be {value!r}") from None


def _account(body: dict[str, Any]) -> int:
    value = _needed(body, "acc_id")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= ID_MAX:
        raise refused("bad_number", "acc_id must be a whole number")
    if value == 0:
        raise refused("bad_value", "acc_id 0 names no account")
    return value


def _number(body: dict[str, Any], name: str, *, decimals_max: int) -> Decimal:
    value = _needed(body, name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise refused("bad_number", f"{name} must be a number")
    number = Decimal(value)
    _, digits, exponent = number.as_tuple()
    if not number.is_finite() or len(digits) > DIGITS_MAX or abs(int(exponent)) > DIGITS_MAX:
        raise refused("bad_number", f"{name} has at most {DIGITS_MAX} digits")
    if number >= NUMBER_END or number != round(number, decimals_max):
        raise refused("bad_number", f"{name} is below {NUMBER_END:f} and may have {decimals_max} decimals")
    if number <= 0:
        raise refused("bad_value", f"{name} must be above 0")
    return number


def _aux_price(body: dict[str, Any], order_type: OrderType) -> Decimal | None:
    """What triggers a stop; no other order has one."""
    if order_type is OrderType.STOP_LIMIT:
        return _number(body, "aux_price", decimals_max=PRICE_DECIMALS_MAX)
    if body.get("aux_price") is not None:
        raise refused("bad_value", f"aux_price has no meaning for an order of type {order_type}")
    return None


def _code(body: dict[str, Any], market: Market) -> str:
    """The code without its market's prefix; with another market's it is refused."""
    value = _needed(body, "code")
    if not isinstance(value, str) or len(value) > CODE_CHARACTERS_MAX:
        raise refused("bad_value", f"code cannot be {value!r}")
    prefix, bare = _split(value)
    if prefix not in {"", market} or _split(bare)[0]:
        raise refused("bad_value", f"{value} is not of {market}")
    if not CODES.get(market, ANY_CODE).fullmatch(bare):
        raise refused("bad_value", f"{value!r} is no code of {market}")
    return bare


def _split(code: str) -> tuple[str, str]:
    """Prefix and code, as the daemon would take a prefix off."""
    prefix, dot, rest = code.partition(".")
    return (prefix, rest) if dot and prefix in PREFIXES else ("", code)


def _remark(body: dict[str, Any]) -> str | None:
    value = body.get("remark")
    if value is None:
        return None
    if not isinstance(value, str) or len(value.encode(errors="replace")) > REMARK_BYTES_MAX or CONTROL.search(value):
        raise refused("bad_value", f"remark must be text of at most {REMARK_BYTES_MAX} bytes in one line")
    return value


def canonical(order: Order, *, decision: str, serial: int) -> dict[str, Any]:
    """The order as the daemon is sent it: never the caller's own bytes."""
    c2s: dict[str, Any] = {
        "packet_id": {"conn_id": 0, "serial_no": serial},
        "header": {
            "trd_env": int(order.env is Environment.REAL),
            "acc_id": order.acc_id,
            "trd_market": order.market.number,
        },
        "trd_side": SIDE_NUMBERS[order.side],
        "order_type": TYPE_NUMBERS[order.order_type],
        "code": order.code,
        "qty": float(order.qty),
        "sec_market": order.market.number,
        "remark": order.remark or f"p:{decision}",
        "time_in_force": TIME_NUMBERS[order.time_in_force],
    }
    if order.price is not None:
        c2s["price"] = float(order.price)
    if order.aux_price is not None:
        c2s["aux_price"] = float(order.aux_price)
    return {"c2s": c2s}
