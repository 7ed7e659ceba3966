"""What an order is worth, for the limits: quantity times the worst price that it can be filled at, times multiplier.

Only a limit price binds the broker, so only it is believed: an order type without one is valued at a reference price
plus a buffer, never at whatever its `price` field says (W01, W02). A contract is not valued without its multiplier, and
an option stands for the value of what it is on as well as for its premium (W07). What cannot be valued is a `Missing`
that names the datum and its age; a money limit then refuses the order. Exact decimal arithmetic throughout.

- With a limit: a BUY at the limit, a SELL at the larger of limit and a fresh reference price, where one is known, else
  the price at which the account's positions show it; the limit as far up as the daemon may move it (W06). A SELL that
  waits to be touched is filled no lower than its trigger.
- Market, auction, TWAP and VWAP at market: the reference price plus buffer.
- Stop and if-touched: the larger of trigger and reference price; a BUY plus buffer, and so a SELL whose trigger is
  crossed already, for it is a market order.
- Trailing: a BUY at the reference price plus trail and spread, plus buffer; a SELL at the reference price.

Prices of futures may be negative or zero: they count by their size, and a limit at or below zero counts as no less than
the reference price; nor does a BUY above zero while the market is below: it is filled there, however small its limit.
So a BUY, too, waits for a price that is only late.
"""

from datetime import datetime
from decimal import Decimal, DecimalException
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.markets import kind_of
from guard.policy.contracts import Contract, by_code, contract_of
from guard.policy.notation import EXACT, plain
from guard.policy.prices import SeenPrices, ValueTerms, age_text, seen, too_old
from guard.terms import (
    PRICELESS,
    TRAILING,
    Missing,
    Money,
    OrderType,
    PlaceOrder,
    Quote,
    Side,
    Valuation,
    World,
)

_TRIGGERED: Final = frozenset({OrderType.STOP, OrderType.MARKET_IF_TOUCHED})
_RATIO, _AMOUNT = 1, 2  # Trd_Common.TrailType; a ratio is in percent units: 20 is 20 %
_BUY: Final = Side.BUY
_ONE, _ZERO, _HUNDREDTH = Decimal(1), Decimal(0), Decimal("0.01")
_DEFAULT: Final = ValueTerms()


class _Priced(Struct, frozen=True, gc=False):
    """The price that the order is valued at, where it comes from, and how it was found."""

    price: Decimal
    source: str
    note: str = ""
    age_ms: int | None = None
    exchange_at: datetime | None = None


def value(order: PlaceOrder, world: World | None = None, *, terms: ValueTerms = _DEFAULT) -> Valuation | Missing:
    """The order's value in its own currency. Without a world only limit orders on shares have one."""
    contract = by_code(order.market, order.code, order.symbol) if world is None else contract_of(order, world)
    if isinstance(contract, Missing):
        return contract
    try:
        priced = _limit(order, world, contract=contract, terms=terms)
        if priced is None:
            priced = _at_market(order, world, terms=terms)
        if isinstance(priced, Missing):
            return priced
        stands_for = _stands_for(order, world, contract, terms=terms) if contract.kind == "option" else None
        return _valued(order, contract, priced, stands_for=stands_for)
    except DecimalException:
        return Missing(Code.BAD_NUMBER, "the order's value cannot be worked out exactly")


def underlying_value(order: PlaceOrder, world: World | None, *, terms: ValueTerms = _DEFAULT) -> Money | Missing | None:
    """What an option stands for: the larger of strike and the underlying's price, times multiplier and quantity.

    None for what is no option.
    """
    contract = contract_of(order, world)
    if isinstance(contract, Missing):
        return contract if kind_of(order.market, order.code) == "option" else None
    return _stands_for(order, world, contract, terms=terms) if contract.kind == "option" else None


def _stands_for(order: PlaceOrder, world: World | None, contract: Contract, *, terms: ValueTerms) -> Money | Missing:
    """The value of the underlying. Without a world no option has a contract (`by_code`)."""
    if world is None or contract.strike is None or contract.strike <= 0:
        return Missing(Code.REFERENCE_UNAVAILABLE, f"the strike of {order.symbol} is not known")
    quote = world.underlying
    if quote is None:
        return Missing(Code.PRICE_UNAVAILABLE, f"the price of what {order.symbol} is an option on is not known")
    if isinstance(quote, Missing):
        return quote
    stale = too_old(quote, terms)
    if stale is not None:
        return stale
    price = quote.last or quote.prev_close
    if price is None or price <= 0:
        return Missing(Code.PRICE_UNAVAILABLE, f"the daemon has no price of {quote.symbol}")
    unit = EXACT.multiply(max(contract.strike, price), contract.multiplier)
    return Money(EXACT.multiply(order.qty, unit), contract.currency)


def _limit(
    order: PlaceOrder, world: World | None, *, contract: Contract, terms: ValueTerms
) -> _Priced | Missing | None:
    """What a limit price says; None for an order that has none."""
    if order.order_type in PRICELESS:
        return None
    is_future = contract.kind == "future"
    if order.price is None or (order.price <= 0 and not is_future):
        return Missing(Code.PRICE_UNAVAILABLE, f"a {order.order_type.name} order without a limit price has no value")
    limit, ratio = order.price, order.adjust_side_and_limit
    own = _Priced(limit.copy_abs(), "limit")
    if ratio is not None and ratio > 0:
        size = EXACT.multiply(own.price, EXACT.add(_ONE, ratio))
        own = _Priced(size, "limit, adjusted", f"the limit {plain(limit)} may be moved by {plain(ratio)}")
    if order.aux_price is not None:
        own = _once_touched(order, own, trigger=order.aux_price)
    if world is None or (order.side is _BUY and limit > 0 and not is_future):
        return own
    found = seen(world.quote, side=order.side, terms=terms, is_taker=False)
    if isinstance(found, Missing):
        # Sales and futures wait for a price that there is, or whoever keeps it away sells at any, or buys below zero.
        if limit <= 0 or (found.is_late and (order.side is Side.SELL or is_future)):
            return found
        return own if order.side is _BUY else _as_held(own, world.held)
    if order.side is Side.BUY and limit > 0 and not found.any_price(lambda price: price < 0):
        return own
    return _larger(own, found)


def _once_touched(order: PlaceOrder, own: _Priced, *, trigger: Decimal) -> _Priced:
    """A sale goes out once the market has risen to its trigger, so not for less; below zero a purchase likewise."""
    if order.order_type is not OrderType.LIMIT_IF_TOUCHED:
        return own
    if trigger.copy_abs() <= own.price or (order.side is _BUY and trigger > 0):
        return own
    return _Priced(trigger.copy_abs(), "trigger", f"the trigger {plain(trigger)} is above the {own.source}")


def _larger(own: _Priced, found: SeenPrices) -> _Priced:
    """The order's own price, or the reference price where that is further from nothing."""
    price = found.furthest()
    if price.amount.copy_abs() <= own.price:
        return own
    note = f"{price.told}, is above the {own.source} {plain(own.price)}"
    return _Priced(price.amount.copy_abs(), price.source, note, found.age_ms, found.exchange_at)


def _as_held(own: _Priced, held: Quote | Missing | None) -> _Priced | Missing:
    """The order's own price, or that at which what is held is shown, where there is no quote and that is larger."""
    if held is None or isinstance(held, Missing):
        return own if held is None else held
    price = held.last
    if price is None or price <= own.price:
        return own
    told = f"position {plain(price)}, {age_text(held.age_ms)} old, is above the {own.source} {plain(own.price)}"
    return _Priced(price, "position", told, held.age_ms)


def _at_market(order: PlaceOrder, world: World | None, *, terms: ValueTerms) -> _Priced | Missing:
    """What an order without a limit price may cost."""
    if world is None:
        message = f"a {order.order_type.name} order has no limit price, and no reference price is known"
        return Missing(Code.PRICE_UNAVAILABLE, message)
    found = seen(world.quote, side=order.side, terms=terms, is_taker=True)
    if isinstance(found, Missing):
        return found
    reference, is_buy = found.furthest(), order.side is Side.BUY
    size, source, parts, is_buffered = reference.amount.copy_abs(), reference.source, [reference.told], True
    if order.order_type in _TRIGGERED:
        trigger = order.aux_price
        if trigger is None:
            return Missing(Code.PRICE_UNAVAILABLE, f"a {order.order_type.name} order without a trigger has no value")
        if trigger.copy_abs() > size:
            size, source = trigger.copy_abs(), "trigger"
        is_buffered = is_buy or _is_crossed(order, trigger, found)
        parts.append(f"trigger {plain(trigger)}")
    if order.order_type in TRAILING:
        trail = _trail(order, size)
        if trail is None:
            return Missing(Code.PRICE_UNAVAILABLE, f"a {order.order_type.name} order without a trail has no value")
        size, is_buffered = EXACT.add(size, trail if is_buy else _ZERO), is_buy
        parts.append(f"trail {plain(trail)}")
    if is_buffered:
        size = EXACT.multiply(size, EXACT.add(_ONE, EXACT.multiply(terms.buffer_percent, _HUNDREDTH)))
        parts.append(f"buffer {plain(terms.buffer_percent)} %")
    return _Priced(size, source, ", ".join(parts), found.age_ms, found.exchange_at)


def _is_crossed(order: PlaceOrder, trigger: Decimal, found: SeenPrices) -> bool:
    """The trigger is met already, so this is a market order. A stop triggers with the market, if-touched against it."""
    rises = (order.side is Side.BUY) == (order.order_type is OrderType.STOP)
    return found.any_price(lambda price: price >= trigger if rises else price <= trigger)


def _trail(order: PlaceOrder, size: Decimal) -> Decimal | None:
    """How far the trigger may stand from the market, with the spread of its limit; None where that is not known."""
    distance = order.trail_value
    if distance is None or distance < 0 or order.trail_type not in {_RATIO, _AMOUNT}:
        return None
    if order.trail_type == _RATIO:
        distance = EXACT.multiply(size, EXACT.multiply(distance, _HUNDREDTH))
    return EXACT.add(distance, max(order.trail_spread or _ZERO, _ZERO))


def _valued(order: PlaceOrder, contract: Contract, priced: _Priced, *, stands_for: Money | Missing | None) -> Valuation:
    qty, price, times, currency = order.qty, priced.price, "", contract.currency
    unit = price
    if contract.multiplier != _ONE:
        unit, times = EXACT.multiply(price, contract.multiplier), f" x {plain(contract.multiplier)}"
    amount = EXACT.multiply(qty, unit)
    text = f"{plain(qty)} x {plain(price)} {currency}{times} = {plain(amount)} {currency}"
    if priced.note:
        text = f"{text}; {priced.note}"
    return Valuation(
        value=Money(amount, currency),
        price=price,
        source=priced.source,
        multiplier=contract.multiplier,
        arithmetic=text,
        age_ms=priced.age_ms,
        exchange_at=priced.exchange_at,
        underlying=stands_for if isinstance(stands_for, Money) else None,
    )
