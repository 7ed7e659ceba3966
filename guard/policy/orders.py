"""Rules on the order itself: side, type, time in force, quantity, value. None of them makes a claim.

A rule on size can also say how much it would have let through (`largest`), for `largest_qty`.
"""

from collections.abc import Hashable
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Literal, Self

from guard.codes import Code
from guard.policy.amounts import MetCap, MoneyCaps
from guard.policy.contracts import class_of
from guard.policy.instruments import AllowList
from guard.policy.notation import plain
from guard.policy.prices import UNPRICED
from guard.policy.rule import OrderRule, Proposal
from guard.policy.valuation import underlying_value
from guard.terms import Conversion, Missing, Money, Reason


class Sides(AllowList, frozen=True):
    """Only these sides."""

    name: ClassVar[str] = "orders.sides"
    code: ClassVar[Code] = Code.SIDE
    reads: ClassVar[str] = "side.name"
    told: ClassVar[str] = "side {} is not allowed"


class Types(AllowList, frozen=True):
    """Only these order types."""

    name: ClassVar[str] = "orders.types"
    code: ClassVar[Code] = Code.ORDER_TYPE
    reads: ClassVar[str] = "order_type.name"
    told: ClassVar[str] = "order type {} is not allowed"


class TimesInForce(AllowList, frozen=True):
    """Only these times in force."""

    name: ClassVar[str] = "orders.time_in_force"
    code: ClassVar[Code] = Code.TIME_IN_FORCE
    reads: ClassVar[str] = "time_in_force.name"
    told: ClassVar[str] = "time in force {} is not allowed"


class MaxQty(OrderRule, frozen=True):
    """At most this many shares or contracts in one order; inclusive, 0 allows nothing."""

    name: ClassVar[str] = "orders.max_qty"
    measure: ClassVar[Literal["qty", "value"] | None] = "qty"
    cap: Decimal

    def implies(self, other: Self) -> bool:
        """A smaller cap."""
        return self.cap <= other.cap

    def limits_in(self, currency: str) -> tuple[Hashable, Decimal] | None:  # noqa: ARG002 - the same in each
        """The quantity of one order."""
        return "order quantity", self.cap

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses a larger quantity."""
        qty = proposal.order.qty
        if 0 < qty <= self.cap:
            return None
        observed, limit = plain(qty), plain(self.cap)
        message = f"order quantity {observed} is above {limit}"
        return self.reason(Code.MAX_ORDER_QTY, message, observed=observed, limit=limit, unit="units")

    def largest(self, proposal: Proposal) -> Fraction:  # noqa: ARG002 - the cap is the same for every order
        """The largest quantity that passes."""
        return Fraction(self.cap)


class MaxValue(OrderRule, frozen=True):
    """At most this much money in one order; inclusive, 0 allows nothing. An order meets the amount in its currency."""

    name: ClassVar[str] = "orders.max_value"
    noun: ClassVar[str] = "order value"
    is_cover: ClassVar[bool] = True
    measure: ClassVar[Literal["qty", "value"] | None] = "value"
    caps: MoneyCaps

    def implies(self, other: Self) -> bool:
        """Smaller caps on the same measure."""
        return self.caps.implies(other.caps)

    @property
    def kin(self) -> Hashable:
        """The same measure."""
        return self.caps.kin

    def limits_in(self, currency: str) -> tuple[Hashable, Decimal] | None:
        """The value of one order."""
        cap = self.caps.cap_in(currency)
        return None if cap is None else (self.noun, cap)

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses a larger value, and an order whose value cannot be compared."""
        worth = self.measured(proposal)
        if isinstance(worth, Money) and self.caps.holds(worth):
            return None
        if worth is None or (proposal.is_reducing and no_price(worth)):
            return None
        if isinstance(worth, Missing):
            return self.reason(worth.code, worth.message)
        met = self.caps.meet(worth, wall=proposal.wall, at_any_age=proposal.is_reducing)
        if isinstance(met, Missing):
            return self.reason(met.code, met.message, observed=plain(worth.amount), unit=worth.currency)
        for one in met:
            if not one.fits:
                return self._above(proposal, one)
        return None

    def measured(self, proposal: Proposal) -> Money | Missing | None:
        """What is compared with the caps; None where the rule has nothing to say about the order."""
        worth = proposal.worth
        return worth if isinstance(worth, Missing) else worth.value

    def largest(self, proposal: Proposal) -> Fraction | None:
        """The largest quantity that passes; None where that is not a matter of quantity."""
        worth = self.measured(proposal)
        if not isinstance(worth, Money):
            return None
        met = self.caps.meet(worth, wall=proposal.wall, at_any_age=proposal.is_reducing)
        if isinstance(met, Missing):
            return None
        return min([one.quantity(one.cap, proposal.order.qty) for one in met])

    def conversions(self, proposal: Proposal) -> tuple[Conversion, ...]:
        """The exchange rates that the order met."""
        worth = self.measured(proposal)
        if not isinstance(worth, Money):
            return ()
        return self.caps.conversions(worth, wall=proposal.wall, at_any_age=proposal.is_reducing)

    def _above(self, proposal: Proposal, met: MetCap) -> Reason:
        observed, limit, unit = plain(met.value.amount), plain(met.cap), met.value.currency
        message = f"{self.noun} {observed} {unit} is above {limit} {unit}: {self._arithmetic(proposal)}{met.told}"
        return self.reason(Code.MAX_ORDER_VALUE, message, observed=observed, limit=limit, unit=unit)

    def _arithmetic(self, proposal: Proposal) -> str:
        return "" if isinstance(proposal.worth, Missing) else proposal.worth.arithmetic


class MaxPremium(MaxValue, frozen=True):
    """Options: at most this much premium in one order."""

    name: ClassVar[str] = "orders.max_premium"
    noun: ClassVar[str] = "option premium"
    is_cover: ClassVar[bool] = False
    measure: ClassVar[None] = None

    def measured(self, proposal: Proposal) -> Money | Missing | None:
        """The premium; nothing for what is no option."""
        return super().measured(proposal) if class_of(proposal.order, proposal.world) == "option" else None


class MaxUnderlyingValue(MaxValue, frozen=True):
    """Options: at most this much of what they are options on (W07): the premium of a sold option says little."""

    name: ClassVar[str] = "orders.max_underlying_value"
    noun: ClassVar[str] = "underlying value"
    is_cover: ClassVar[bool] = False
    measure: ClassVar[None] = None

    def measured(self, proposal: Proposal) -> Money | Missing | None:
        """The value of the underlying; nothing for what is no option."""
        return underlying_value(proposal.order, proposal.world, terms=proposal.terms)

    def _arithmetic(self, proposal: Proposal) -> str:
        return (
            f"{plain(proposal.order.qty)} contracts of {proposal.order.symbol}, at strike or price, whichever is larger"
        )


def no_price(worth: Money | Missing) -> bool:
    """A price is what is missing: an order that only reduces a position is not refused for that."""
    return isinstance(worth, Missing) and worth.code in UNPRICED
