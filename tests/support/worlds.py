"""Short ways to say what the world is like for one order. Prices are texts; nothing said is nothing known."""

from decimal import Decimal
from typing import Any, Final

import msgspec

from guard.codes import Code
from guard.terms import Exchange, Instrument, Missing, Position, Quote, World

NOT_ASKED: Final = Missing(Code.REFERENCE_UNAVAILABLE, "this was not asked for")
_PRICES: Final = frozenset({"last", "bid", "ask", "prev_close", "extended"})
_NUMBERS: Final = frozenset({"multiplier", "strike"})


def quote(last: str | None = "300", symbol: str = "HK.00700", **fields: Any) -> Quote:
    """A young quote of a running session, at 300 unless something else is said."""
    prices = {name: _decimal(text) for name, text in fields.items() if name in _PRICES}
    rest = {name: value for name, value in fields.items() if name not in _PRICES}
    plain = Quote(symbol, last=_decimal(last), age_ms=400, is_current=True, session="continuous")
    return msgspec.structs.replace(plain, **prices, **rest)


def stock(symbol: str = "HK.00700", **fields: Any) -> Instrument:
    """A share in Hong Kong dollars."""
    return Instrument(symbol, **{"kind": "stock", "currency": "HKD"} | _read(fields))


def option(symbol: str = "US.AAPL260116C200000", **fields: Any) -> Instrument:
    """A call on 100 Apple at 200 dollars."""
    plain = {"kind": "option", "currency": "USD", "multiplier": "100", "strike": "200", "underlying": "US.AAPL"}
    return Instrument(symbol, **_read(plain | fields))


def future(symbol: str = "US.CL2612", **fields: Any) -> Instrument:
    """A future on 1000 barrels."""
    return Instrument(symbol, **_read({"kind": "future", "currency": "USD", "multiplier": "1000"} | fields))


def position(qty: Any, symbol: str = "HK.00700", age_ms: int = 100) -> Position:
    """What is held; short is negative."""
    return Position(symbol, Decimal(qty), age_ms)


def world(prices: Quote | Missing = NOT_ASKED, *, what: Instrument | Missing = NOT_ASKED, **parts: Any) -> World:
    """The parts that are known; all else was not asked for."""
    parts.setdefault("exchange", NOT_ASKED)
    return World(what, prices, **parts)


def exchange(market: str = "HK", **fields: Any) -> Exchange:
    """A market's day."""
    return Exchange(market, **fields)


def _read(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _decimal(value) if name in _NUMBERS else value for name, value in fields.items()}


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
