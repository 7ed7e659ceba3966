"""Caps in money, and how an order's value meets them: in its own currency, else through the policy's exchange rates.

What a counter adds up depends on which currencies are converted into its own, so that is part of its name: "USD" counts
orders in dollars, "USD+HKD+JPY" those in all three. Two limits that add up the same thing share one counter.
"""

from collections.abc import Hashable, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from guard.codes import Code
from guard.policy.fx import Fx
from guard.policy.instruments import shown
from guard.policy.notation import plain
from guard.terms import Conversion, Missing, Money


def fits(amount: Decimal, cap: Decimal) -> bool:
    """At most the cap; a cap of zero allows nothing."""
    return 0 < cap >= amount


class MetCap(Struct, frozen=True):
    """One cap that an amount meets: both in the cap's currency. `tag` names what a counter of it adds up.

    `worth` is the amount in the order's own currency, `factor` what one unit of that comes to in the cap's.
    """

    cap: Decimal
    worth: Money
    value: Money
    tag: str
    factor: Fraction = Fraction(1)
    conversion: Conversion | None = None

    @property
    def fits(self) -> bool:
        """At most the cap."""
        return fits(self.value.amount, self.cap)

    def quantity(self, room: Decimal | Fraction, qty: Decimal) -> Fraction:
        """How much fits into `room` of the cap's currency when `qty` of it is worth `worth`. Exact, reduced once."""
        (space, by), (asked, per) = room.as_integer_ratio(), qty.as_integer_ratio()
        (worth, whole), (rate, unit) = self.worth.amount.as_integer_ratio(), self.factor.as_integer_ratio()
        return Fraction(space * asked * whole * unit, by * per * worth * rate)

    @property
    def told(self) -> str:
        """How the amount was converted, for people; empty where it was not."""
        if self.conversion is None:
            return ""
        buffer = self.conversion.buffer_percent
        added = f" + {plain(buffer)} %" if buffer else ""
        return f"; in {self.value.currency} at {self.conversion.rate} of {self.conversion.as_of}{added}"


class MoneyCaps(Struct, frozen=True):
    """Caps in money: one per currency, or (a key's own limits) one number that stands in every currency.

    `members`, where there are exchange rates: for a cap's currency those that are added up under it, its own first.
    """

    by_currency: Mapping[str, Decimal] = {}
    in_each: Decimal | None = None
    fx: Fx | None = None
    members: Mapping[str, tuple[str, ...]] = {}

    def implies(self, other: "MoneyCaps") -> bool:
        """Whatever fits these caps fits the others, and meets them in the same way."""
        if self.fx != other.fx or (self.fx is not None and set(self.by_currency) != set(other.by_currency)):
            return False
        if self.in_each is not None or other.in_each is not None:
            mine, theirs = self.in_each, other.in_each
            return mine is not None and theirs is not None and mine <= theirs
        return all(
            currency in other.by_currency and cap <= other.by_currency[currency]
            for currency, cap in self.by_currency.items()
        )

    @property
    def kin(self) -> Hashable:
        """What two limits have in common where one of them can imply the other."""
        fx = self.fx
        converted = None if fx is None else (fx.as_of, fx.max_age_days, fx.buffer_percent, frozenset(self.by_currency))
        return self.in_each is None, converted

    def members_of(self, currency: str) -> tuple[str, ...]:
        """The currencies that are added up under this one."""
        return self.members.get(currency, (currency,))

    def tag_of(self, currency: str) -> str:
        """The part of a counter's name that says what it adds up, and in which currency."""
        return "+".join(self.members_of(currency)) if self.members else currency

    def cap_in(self, currency: str) -> Decimal | None:
        """The cap that an amount in this currency meets alone; None where it has to be converted."""
        return self.by_currency.get(currency, self.in_each)

    def holds(self, money: Money) -> bool:
        """It meets a cap in its own currency, and fits."""
        cap = self.by_currency.get(money.currency, self.in_each)
        return cap is not None and fits(money.amount, cap)

    def meet(self, money: Money, *, wall: datetime, at_any_age: bool) -> tuple[MetCap, ...] | Missing:
        """Every cap that the amount has to meet: that in its own currency, else all that it can be converted into.

        `at_any_age`: also at rates that are too old for all but an exit.
        """
        own = self.by_currency.get(money.currency, self.in_each)
        if own is not None:
            return (MetCap(own, money, money, self.tag_of(money.currency)),)
        found: list[MetCap] = []
        for currency, cap in self.by_currency.items():
            conversion = None if self.fx is None else self.fx.convert(money, currency, wall=wall, at_any_age=at_any_age)
            if isinstance(conversion, Missing):
                return conversion
            if conversion is not None and self.fx is not None:
                factor = self.fx.factor(self.fx.legs[money.currency, currency])
                found.append(MetCap(cap, money, conversion.value, self.tag_of(currency), factor, conversion))
        if found:
            return tuple(found)
        given = shown(tuple(sorted(self.by_currency)))
        message = (
            f"the order is in {money.currency}; the limit is in {given}, and there is no exchange rate: "
            f"the policy needs an amount in {money.currency}, or a rate in [fx]"
        )
        return Missing(Code.FX_UNAVAILABLE, message)

    def conversions(self, money: Money, *, wall: datetime, at_any_age: bool = False) -> tuple[Conversion, ...]:
        """The conversions that meeting these caps takes."""
        met = () if self.fx is None else self.meet(money, wall=wall, at_any_age=at_any_age)
        return () if isinstance(met, Missing) else tuple(m.conversion for m in met if m.conversion is not None)


def currency_of_tag(tag: str) -> str:
    """The currency in which a counter with this tag counts."""
    return tag.partition("+")[0]


def amounts_of(by_currency: Mapping[str, Decimal], fx: Fx | None) -> MoneyCaps:
    """The caps of one limit, with the exchange rates of its policy."""
    if fx is None:
        return MoneyCaps(by_currency)
    members = {
        currency: (currency, *sorted(s for s, t in fx.legs if t == currency and s not in by_currency))
        for currency in by_currency
    }
    return MoneyCaps(by_currency, fx=fx, members=members)
