"""What has to be known of the world before an order is judged: asked for by the rules that bind, and by nothing else.

A purchase of shares at a limit under plain money limits needs nothing. A price is needed where a rule has to value a
sale, or an order without a usable limit, or compares its price with one; contract data for options and futures; the
exchange where hours bind. A position is never needed at first: it can only excuse a refusal, and is worth asking for
once there is one (`excusable`).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.markets import currency_of, kind_of
from guard.policy.budgets import MoneyBudget
from guard.policy.collar import PriceCollar, has_prices
from guard.policy.hours import Hours
from guard.policy.instruments import BlockedSymbols, is_derivative
from guard.policy.orders import MaxUnderlyingValue, MaxValue
from guard.policy.prices import PRICE_AGE_MAX_MS, UNPRICED
from guard.policy.rule import OrderRule
from guard.terms import PRICELESS, Needs, PlaceOrder, Reason, Side

# What an order that only reduces a fresh position is not refused for.
EXCUSED: Final = frozenset({Code.DAILY_VALUE, Code.OPEN_VALUE, Code.OPEN_ORDERS, *UNPRICED})
_MAY_BE_EXCUSED: Final = EXCUSED | {Code.FX_UNAVAILABLE}  # an exit is converted at old rates, but not at none


class Wants(Struct, frozen=True):
    """What a set of rules looks at: values, underlyings, prices of these classes, hours of these markets, names."""

    is_valued: bool = False
    has_underlying: bool = False
    is_blocked: bool = False
    collars: frozenset[str] = frozenset()
    hours: frozenset[str] = frozenset()

    def __or__(self, other: "Wants") -> "Wants":
        return Wants(
            self.is_valued or other.is_valued,
            self.has_underlying or other.has_underlying,
            self.is_blocked or other.is_blocked,
            self.collars | other.collars,
            self.hours | other.hours,
        )


def wants_of(rules: Iterable[OrderRule]) -> Wants:
    """What these rules look at."""
    found = tuple(rules)
    return Wants(
        is_valued=any(isinstance(rule, MaxValue | MoneyBudget) for rule in found),
        has_underlying=any(isinstance(rule, MaxUnderlyingValue) for rule in found),
        is_blocked=any(isinstance(rule, BlockedSymbols) for rule in found),
        collars=frozenset(name for rule in found if isinstance(rule, PriceCollar) for name in rule.percent),
        hours=frozenset(
            market
            for rule in found
            if isinstance(rule, Hours)
            for market, windows in rule.windows.items()
            if windows is not None
        ),
    )


def needs_of(wants: Wants, order: PlaceOrder, *, price_age_max_ms: int = PRICE_AGE_MAX_MS) -> Needs:
    """What these rules have to know about this order."""
    spelt = kind_of(order.market, order.code)
    is_contract = spelt != "stock"
    has_limit = order.order_type not in PRICELESS and order.price is not None and order.price > 0
    return Needs(
        instrument=(wants.is_valued and (is_contract or not currency_of(order.market, order.code)))
        or (wants.is_blocked and is_derivative(order)),
        # A sale may fill far above its limit; below zero a future is bought for more than its limit says.
        quote=(wants.is_valued and (not has_limit or order.side is Side.SELL or spelt == "future"))
        or (spelt in wants.collars and has_prices(order)),
        underlying=wants.has_underlying and spelt == "option",
        exchange=order.market in wants.hours,
        price_age_max_ms=price_age_max_ms,
    )


def excusable(reasons: Sequence[Reason]) -> bool:
    """Nothing stands against the order but what one that only reduces a position may be excused from."""
    return bool(reasons) and all(reason.code in _MAY_BE_EXCUSED for reason in reasons)
