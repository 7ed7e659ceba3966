"""What an order is worth, for the limits: quantity times the worst price that it can be filled at.

Only a limit price binds the broker, so only it is believed: an order type without one is not valued from whatever its
`price` field says (W01, W02), and a contract is not valued without its multiplier (W07). What cannot be valued is a
`Missing`; a money limit then refuses the order. Exact decimal arithmetic throughout.
"""

from decimal import Decimal, DecimalException
from typing import Final

from guard.codes import Code
from guard.markets import currency_of, kind_of
from guard.policy.notation import EXACT, plain
from guard.terms import Missing, Money, OrderType, PlaceOrder, Valuation

# Filled at the market's price, whatever `price` says; a trailing stop-limit's price is known only once it triggers.
PRICELESS: Final = frozenset(
    {
        OrderType.MARKET,
        OrderType.AUCTION,
        OrderType.STOP,
        OrderType.MARKET_IF_TOUCHED,
        OrderType.TRAILING_STOP,
        OrderType.TRAILING_STOP_LIMIT,
        OrderType.TWAP_MARKET,
        OrderType.VWAP_MARKET,
    }
)


def value(order: PlaceOrder) -> Valuation | Missing:
    """The order's value in its own currency. Buys and sells alike at the limit, moved up where the daemon may move it.

    `adjust_side_and_limit` lets the daemon move the price by that ratio, so the worst adjusted price counts (W06).
    """
    kind = kind_of(order.market, order.code)
    if kind != "stock":
        message = f"{order.symbol} is an {kind}" if kind == "option" else f"{order.symbol} is a {kind}"
        return Missing(Code.REFERENCE_UNAVAILABLE, f"{message} and its multiplier is not known")
    currency = currency_of(order.market, order.code)
    if not currency:
        return Missing(Code.REFERENCE_UNAVAILABLE, f"the currency of {order.symbol} is not known")
    if order.order_type in PRICELESS:
        message = f"a {order.order_type.name} order has no limit price, and no reference price is known"
        return Missing(Code.PRICE_UNAVAILABLE, message)
    if order.price is None or order.price <= 0:
        return Missing(Code.PRICE_UNAVAILABLE, f"a {order.order_type.name} order without a limit price has no value")
    try:
        return _at_limit(order, order.price, currency)
    except DecimalException:
        return Missing(Code.BAD_NUMBER, "the order's value cannot be worked out exactly")


def _at_limit(order: PlaceOrder, limit: Decimal, currency: str) -> Valuation:
    ratio = max(order.adjust_side_and_limit or Decimal(0), Decimal(0))
    price = EXACT.multiply(limit, EXACT.add(Decimal(1), ratio))
    amount = EXACT.multiply(order.qty, price)
    text = f"{plain(order.qty)} x {plain(price)} {currency} = {plain(amount)} {currency}"
    source = "limit"
    if ratio:
        source = "limit, adjusted"
        text = f"{text}; the limit {plain(limit)} may be moved by {plain(ratio)}"
    return Valuation(Money(amount, currency), price, source, arithmetic=text)
