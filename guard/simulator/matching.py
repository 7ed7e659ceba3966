"""When an order fills, at what price, and how much of it.

A buy is marketable at or above the ask, a sell at or below the bid; it fills at that price, never at its limit. One
match takes at most the liquidity of the symbol, the rest stays in the book and is tried again with every tick. Stop,
touch and trailing orders wait for their trigger and are then market or limit orders.
"""

from decimal import Decimal
from typing import Final

from guard.simulator.orders import Order
from guard.simulator.tape import Tape
from guard.terms import OrderType

_T: Final = OrderType
PRICELESS: Final = frozenset(
    {_T.MARKET, _T.AUCTION, _T.STOP, _T.MARKET_IF_TOUCHED, _T.TRAILING_STOP, _T.TWAP_MARKET, _T.VWAP_MARKET}
)
STOPS: Final = frozenset({_T.STOP, _T.STOP_LIMIT})
TOUCHES: Final = frozenset({_T.MARKET_IF_TOUCHED, _T.LIMIT_IF_TOUCHED})
TRAILS: Final = frozenset({_T.TRAILING_STOP, _T.TRAILING_STOP_LIMIT})
LIQUIDITY_LOTS: Final = 50
_RATIO: Final = 1


def limit_of(order: Order, trigger: Decimal | None) -> Decimal | None:
    """The limit price, None for orders that take any price; a trailing limit follows its trigger."""
    if order.order_type in PRICELESS:
        return None
    if order.order_type is _T.TRAILING_STOP_LIMIT and trigger is not None:
        return trigger + order.sign * (order.trail_spread or Decimal(0))
    return order.price


def _trail_stop(order: Order, last: Decimal) -> Decimal:
    best = last if order.peak is None else (min if order.sign > 0 else max)(order.peak, last)
    order.peak = best
    size = order.trail_value or Decimal(0)
    gap = best * size / 100 if order.trail_type == _RATIO else size
    return best + order.sign * gap


def _trigger(order: Order, last: Decimal) -> Decimal | None:
    """The price that sets the order off; None for orders without one."""
    if order.order_type in TRAILS:
        return _trail_stop(order, last)
    return order.aux_price if order.order_type in STOPS | TOUCHES else None


def _is_triggered(order: Order, trigger: Decimal | None, last: Decimal) -> bool:
    if order.triggered or trigger is None:
        return True
    waits_for_rise = (order.sign > 0) == (order.order_type not in TOUCHES)
    return last >= trigger if waits_for_rise else last <= trigger


def price_now(order: Order, tape: Tape) -> Decimal | None:
    """The price at which the order trades now; None: it rests."""
    last = tape.price(order.instrument)
    trigger = _trigger(order, last)
    if not _is_triggered(order, trigger, last):
        return None
    order.triggered = True
    touch = tape.ask(order.instrument) if order.sign > 0 else tape.bid(order.instrument)
    limit = limit_of(order, trigger)
    if limit is None:
        return touch
    is_marketable = limit >= touch if order.sign > 0 else limit <= touch
    return touch if is_marketable else None


def size_now(order: Order, liquidity: Decimal | None) -> Decimal:
    """How much fills in one match: at most `liquidity`, by default fifty board lots."""
    most = Decimal(LIQUIDITY_LOTS * max(order.instrument.lot, 1)) if liquidity is None else liquidity
    return max(min(order.left, most), Decimal(0))
