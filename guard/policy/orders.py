"""Rules on the order itself: side, type, time in force, quantity, value. None of them makes a claim."""

from decimal import Decimal
from typing import ClassVar

from msgspec import Struct

from guard.codes import Code
from guard.policy.instruments import shown
from guard.policy.notation import plain
from guard.policy.rule import Proposal, Rule
from guard.terms import Missing, Money, Reason


class Amounts(Struct, frozen=True):
    """Caps in money: one per currency, or (a key's own limits) one number that stands in every currency."""

    by_currency: dict[str, Decimal] = {}
    in_each: Decimal | None = None

    def in_currency(self, currency: str) -> Decimal | None:
        """The cap in this currency; None: none was given."""
        return self.by_currency.get(currency, self.in_each)


class Sides(Rule, frozen=True):
    """Only these sides."""

    name: ClassVar[str] = "orders.sides"
    allowed: tuple[str, ...]

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses every other side."""
        side = proposal.order.side.name
        if side in self.allowed:
            return None
        allowed = shown(self.allowed)
        return self.reason(Code.SIDE, f"side {side} is not allowed; allowed: {allowed}", observed=side, limit=allowed)


class Types(Rule, frozen=True):
    """Only these order types."""

    name: ClassVar[str] = "orders.types"
    allowed: tuple[str, ...]

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses every other type."""
        type_ = proposal.order.order_type.name
        if type_ in self.allowed:
            return None
        allowed = shown(self.allowed)
        message = f"order type {type_} is not allowed; allowed: {allowed}"
        return self.reason(Code.ORDER_TYPE, message, observed=type_, limit=allowed)


class TimesInForce(Rule, frozen=True):
    """Only these times in force."""

    name: ClassVar[str] = "orders.time_in_force"
    allowed: tuple[str, ...]

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses every other time in force."""
        word = proposal.order.time_in_force.name
        if word in self.allowed:
            return None
        allowed = shown(self.allowed)
        message = f"time in force {word} is not allowed; allowed: {allowed}"
        return self.reason(Code.TIME_IN_FORCE, message, observed=word, limit=allowed)


class MaxQty(Rule, frozen=True):
    """At most this many shares or contracts in one order; inclusive, 0 allows nothing."""

    name: ClassVar[str] = "orders.max_qty"
    cap: Decimal

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses a larger quantity."""
        qty = proposal.order.qty
        if 0 < qty <= self.cap:
            return None
        observed, limit = plain(qty), plain(self.cap)
        message = f"order quantity {observed} is above {limit}"
        return self.reason(Code.MAX_ORDER_QTY, message, observed=observed, limit=limit, unit="units")


class MaxValue(Rule, frozen=True):
    """At most this much money in one order; inclusive, 0 allows nothing. An order meets the amount in its currency."""

    name: ClassVar[str] = "orders.max_value"
    caps: Amounts

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses a larger value, and an order whose value cannot be compared."""
        worth = proposal.worth
        if isinstance(worth, Missing):
            return self.reason(worth.code, worth.message)
        cap = self.caps.in_currency(worth.value.currency)
        if cap is None:
            return no_amount(self, worth.value, self.caps)
        if cap > 0 and worth.value.amount <= cap:
            return None
        observed, limit, unit = plain(worth.value.amount), plain(cap), worth.value.currency
        message = f"order value {observed} {unit} is above {limit} {unit}"
        return self.reason(Code.MAX_ORDER_VALUE, message, observed=observed, limit=limit, unit=unit)


def no_amount(rule: Rule, value: Money, caps: Amounts) -> Reason:
    """The refusal of an order in a currency for which the limit has no amount."""
    given = shown(tuple(sorted(caps.by_currency)))
    message = f"the order is in {value.currency}; the limit is in {given}, and there is no exchange rate"
    return rule.reason(Code.FX_UNAVAILABLE, message, observed=plain(value.amount), unit=value.currency)
