"""What one unit of an order's quantity is: its currency, its multiplier, and an option's strike. Pure.

The daemon's word counts where it is known, else what the code alone tells: enough for shares, not for contracts (W07).
"""

from decimal import Decimal
from functools import lru_cache
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.markets import CODES_MAX, currency_of, kind_of
from guard.terms import Instrument, Missing, PlaceOrder, World

_ONE: Final = Decimal(1)


class Contract(Struct, frozen=True):
    """What one unit of the order's quantity is."""

    currency: str
    kind: str
    multiplier: Decimal = _ONE
    strike: Decimal | None = None


def contract_of(order: PlaceOrder, world: World | None) -> Contract | Missing:
    """What is known of it: by the daemon, or where it was not asked by the code alone."""
    known = world.instrument if world is not None else None
    if known is None:
        return by_code(order.market, order.code, order.symbol)
    if isinstance(known, Missing):
        is_stock = kind_of(order.market, order.code) == "stock" and known.code is not Code.UNSUPPORTED_INSTRUMENT
        return by_code(order.market, order.code, order.symbol) if is_stock else known
    if known.multiplier <= 0:
        return Missing(Code.REFERENCE_UNAVAILABLE, f"the multiplier of {order.symbol} is not known")
    currency = known.currency or currency_of(order.market, order.code)
    if not currency:
        return _no_currency(order.symbol)
    return Contract(currency, known.kind, known.multiplier, known.strike)


@lru_cache(maxsize=CODES_MAX)
def by_code(market: str, code: str, symbol: str) -> Contract | Missing:
    """What its code alone tells of it."""
    kind, currency = kind_of(market, code), currency_of(market, code)
    if kind != "stock":
        article = "an" if kind == "option" else "a"
        return Missing(Code.REFERENCE_UNAVAILABLE, f"{symbol} is {article} {kind} and its multiplier is not known")
    return Contract(currency, kind) if currency else _no_currency(symbol)


def _no_currency(symbol: str) -> Missing:
    return Missing(Code.REFERENCE_UNAVAILABLE, f"the currency of {symbol} is not known")


def class_of(order: PlaceOrder, world: World | None) -> str:
    """What kind of limit the instrument meets: "option", "future", else "stock"."""
    known = world.instrument if world is not None else None
    kind = known.kind if isinstance(known, Instrument) else kind_of(order.market, order.code)
    return kind if kind in {"option", "future"} else "stock"
