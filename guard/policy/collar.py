"""The price collar: how far from the reference price an order may be priced, on the side that costs.

A BUY above the reference price by more than the percentage is refused, and a SELL below it; the other side only waits.
Limit, trigger and the worst price that the daemon may move the limit to are compared (W06); exactly at the bound
passes. An order without any price of its own is bounded by the value limits instead.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal, DecimalException
from typing import ClassVar, Literal, Self

from guard.codes import Code
from guard.policy.contracts import class_of
from guard.policy.notation import EXACT, plain
from guard.policy.prices import NO_PRICE, UNPRICED, seen
from guard.policy.rule import OrderRule, Proposal
from guard.terms import PRICELESS, Missing, PlaceOrder, Reason, Side

_ZERO, _ONE, _HUNDREDTH = Decimal(0), Decimal(1), Decimal("0.01")


class PriceCollar(OrderRule, frozen=True):
    """At most so many percent beyond the reference price, by class of instrument: stock, option, future."""

    name: ClassVar[str] = "orders.price_collar_percent"
    percent: Mapping[str, Decimal]
    missing: Literal["refuse", "skip"] = "refuse"

    def implies(self, other: Self) -> bool:
        """As tight for every class, and no laxer where the price is missing."""
        if self.missing == "skip" and other.missing == "refuse":
            return False
        return all(name in self.percent and self.percent[name] <= cap for name, cap in other.percent.items())

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses a price beyond the collar, and a price that cannot be compared."""
        order, world = proposal.order, proposal.world
        percent = self.percent.get(class_of(order, world))
        prices = tuple(_prices(order)) if percent is not None else ()
        if percent is None or not prices:
            return None
        quote = NO_PRICE if world is None else world.quote
        found = seen(quote, side=order.side, terms=proposal.terms, is_taker=False)
        if isinstance(found, Missing):
            is_excused = self.missing == "skip" or (proposal.is_reducing and found.code in UNPRICED)
            return None if is_excused else self.reason(found.code, found.message)
        reference = found.dearest() if order.side is Side.BUY else found.cheapest()
        try:
            bound = _bound(reference.amount, percent, is_buy=order.side is Side.BUY)
        except DecimalException:
            return self.reason(Code.BAD_NUMBER, "the price collar cannot be worked out exactly")
        for what, price in prices:
            if (price > bound) if order.side is Side.BUY else (price < bound):
                side, direction = order.side.name, "above" if order.side is Side.BUY else "below"
                message = (
                    f"{side} {what} {plain(price)} is {direction} {plain(bound)}: "
                    f"{plain(percent)} % from the reference price ({reference.told})"
                )
                numbers = {"observed": plain(price), "limit": plain(bound)}
                return self.reason(Code.PRICE_COLLAR, message, unit="price", **numbers)
        return None


def has_prices(order: PlaceOrder) -> bool:
    """The order names a price that a collar compares."""
    return any(True for _ in _prices(order))


def _bound(reference: Decimal, percent: Decimal, *, is_buy: bool) -> Decimal:
    """Where the collar ends. Prices of futures may be negative, so the distance is of the price's size."""
    distance = EXACT.multiply(reference.copy_abs(), EXACT.multiply(percent, _HUNDREDTH))
    return EXACT.add(reference, distance) if is_buy else EXACT.subtract(reference, distance)


def _prices(order: PlaceOrder) -> Iterator[tuple[str, Decimal]]:
    """The order's own prices by name; the limit where the daemon may move it to on the side that costs."""
    if order.aux_price is not None:
        yield "trigger", order.aux_price
    if order.price is None or order.order_type in PRICELESS:
        return
    ratio = order.adjust_side_and_limit or _ZERO
    costs = max(ratio, _ZERO) if order.side is Side.BUY else min(ratio, _ZERO)
    yield "limit", order.price
    if costs:
        yield "limit, adjusted,", EXACT.add(order.price, EXACT.multiply(order.price.copy_abs(), costs))
