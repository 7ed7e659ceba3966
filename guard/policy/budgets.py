"""Rules on how much in a day: money and orders, both `spend` claims.

Without a reset of its own a budget is the sum of parts, one for each reset among the markets of its currencies, and
each part returns to zero at its own reset (`cells`): the claim is on the order's part, the other parts count against
the cap unchanged (`also`). Real and simulated money never mix.

A day order counts in the period in which it was reserved, a good-till-cancelled one in every day as long as it lives,
and each of its fills from then on in the period of the fill. An order that only reduces a fresh position is counted,
and refused by none of this.
"""

from collections.abc import Callable, Hashable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, Final, Literal, Self

from msgspec.structs import replace

from guard.codes import Code
from guard.policy.amounts import MetCap, MoneyCaps, currency_of_tag
from guard.policy.cells import CELLS_MAX, cells_of, day_cells, gtc_cell, money_counter, parts_of, resets_of
from guard.policy.notation import Reset, cap_units, from_units, ledger_units, plain
from guard.policy.periods import RESET_OF, RESETS_OF_CURRENCY, next_reset, turned_at, wall_of
from guard.policy.prices import UNPRICED
from guard.policy.rule import Meter, OrderRule, Proposal, Reach, Scope
from guard.terms import (
    LEDGER_MAX,
    LEDGER_UNIT,
    Account,
    Claim,
    Conversion,
    Effect,
    Missing,
    Reason,
    Shortfall,
    TimeInForce,
)

_PER_DAY: Final = "orders_per_day/"


class MoneyBudget(OrderRule, frozen=True):
    """What the rules on sums of money have in common: an order holds its whole value on a counter of its currency."""

    kind: ClassVar[Literal["spend", "working"]]
    code: ClassVar[Code]
    word: ClassVar[str]
    noun: ClassVar[str]
    claims_worth: ClassVar[bool] = True
    caps: MoneyCaps
    scope: Scope

    def implies(self, other: Self) -> bool:
        """Smaller caps on the same counters: an order in a currency of one rule alone is refused by the other.

        But for one that only reduces a position, which has to be counted all the same.
        """
        return self.kin == other.kin and self.caps.implies(other.caps)

    @property
    def kin(self) -> Hashable:
        """The same counters."""
        return self.scope.what, self.caps.kin, frozenset(self.caps.by_currency)

    def limits_in(self, currency: str) -> tuple[Hashable, Decimal] | None:
        """What the counter of this currency adds up."""
        cap = self.caps.cap_in(currency)
        return None if cap is None else ((self.word, self.scope.what, self.caps.tag_of(currency)), cap)

    def is_steady_in(self, currency: str) -> bool:
        """It need not be converted: one counter."""
        return self.caps.cap_in(currency) is not None

    def judge(self, proposal: Proposal) -> Reason | tuple[Claim, ...] | None:
        """The order's whole value, on the counter of each cap that it meets."""
        worth = proposal.worth
        if isinstance(worth, Missing):
            is_excused = proposal.is_reducing and worth.code in UNPRICED
            return None if is_excused else self.reason(worth.code, worth.message)
        met = self.caps.meet(worth.value, wall=proposal.wall, at_any_age=proposal.is_reducing)
        if isinstance(met, Missing):
            numbers = {"observed": plain(worth.value.amount), "unit": worth.value.currency}
            return None if proposal.is_reducing else self.reason(met.code, met.message, **numbers)
        claims, is_reducing = [], proposal.is_reducing
        for one in met:
            amount, cap = ledger_units(one.value.amount), cap_units(one.cap)
            # A capped claim of more than the ledger holds never fits; uncapped it must not get there at all.
            if (amount > LEDGER_MAX) if is_reducing else cap == 0:
                return self._above(amount, cap, one.value.currency)
            counter, also = self.cells(proposal, one.tag)
            claims.append(Claim(self.kind, counter, amount=amount, cap=None if is_reducing else cap, also=also))
        return tuple(claims)

    def cells(self, proposal: Proposal, tag: str) -> tuple[str, tuple[str, ...]]:
        """The cell that the order holds its value on, and those that count against the cap with it."""
        return money_counter(self.scope, proposal.key, proposal.account, word=self.word, tag=tag), ()

    def refuse(self, claim: Claim, shortfall: Shortfall) -> Reason:
        """What the sum would have become."""
        currency = currency_of_tag(claim.counter.split("|")[1])
        return self._above(shortfall.used + claim.amount, claim.cap or 0, currency)

    def _above(self, observed_units: int, cap_units: int, currency: str) -> Reason:
        observed, limit = plain(from_units(observed_units)), plain(from_units(cap_units))
        message = f"{self.noun} would become {observed} {currency}, above {limit} {currency}"
        return self.reason(self.code, message, observed=observed, limit=limit, unit=currency)

    def largest(self, proposal: Proposal) -> Fraction | None:
        """What an empty counter would let through."""
        found = [one.quantity(one.cap, proposal.order.qty) for one in self._met(proposal)]
        return min(found) if found else None

    def largest_beside(self, proposal: Proposal, claim: Claim, used: int) -> Fraction | None:
        """The largest quantity for which this claim still fits beside what is used."""
        tag, room = claim.counter.split("|")[1], Fraction(max(0, (claim.cap or 0) - used), LEDGER_UNIT)
        return next((one.quantity(room, proposal.order.qty) for one in self._met(proposal) if one.tag == tag), None)

    def _met(self, proposal: Proposal) -> tuple[MetCap, ...]:
        worth = proposal.worth
        if isinstance(worth, Missing):
            return ()
        met = self.caps.meet(worth.value, wall=proposal.wall, at_any_age=proposal.is_reducing)
        return () if isinstance(met, Missing) else met

    def conversions(self, proposal: Proposal) -> tuple[Conversion, ...]:
        """The exchange rates that the order met."""
        return tuple(one.conversion for one in self._met(proposal) if one.conversion is not None)

    def meters(self, reach: Reach) -> tuple[Meter, ...]:
        """One meter a subject and currency."""
        currencies = tuple(self.caps.by_currency) or tuple(RESETS_OF_CURRENCY)
        return tuple(
            self._meter(reach, subject, currency) for subject in reach.subjects(self.scope) for currency in currencies
        )

    def _meter(self, reach: Reach, subject: str, currency: str) -> Meter:  # noqa: ARG002 - for rules with days
        cap = self.caps.by_currency.get(currency, self.caps.in_each) or Decimal(0)
        counter = f"{self.word}/{subject}|{self.caps.tag_of(currency)}"
        return Meter(self.policy, self.name, subject, counter, ledger_units(cap), currency)


class DailyValue(MoneyBudget, frozen=True):
    """At most this much money in a budget day: buys and sells add up, an order holds its full value from the start.

    `reset` None: each market's own.
    """

    name: ClassVar[str] = "budgets.daily_value"
    kind: ClassVar[Literal["spend", "working"]] = "spend"
    code: ClassVar[Code] = Code.DAILY_VALUE
    word: ClassVar[str] = "daily_value"
    noun: ClassVar[str] = "daily value"
    reset: Reset | None

    @property
    def kin(self) -> Hashable:
        """The same counters, which return to zero at the same time."""
        return self.reset, super().kin

    @property
    def resets(self) -> tuple[Reset, ...]:
        """The days that it counts in."""
        return resets_of(self.reset)

    def limits_in(self, currency: str) -> tuple[Hashable, Decimal] | None:
        """What the counter of this currency adds up until it returns to zero."""
        found = super().limits_in(currency)
        return None if found is None else ((self.reset, found[0]), found[1])

    def cells(self, proposal: Proposal, tag: str) -> tuple[str, tuple[str, ...]]:
        """The cell of the order's budget day, or of good-till-cancelled orders; each counts with the other."""
        counter = money_counter(self.scope, proposal.key, proposal.account, word=self.word, tag=tag)
        market = proposal.order.market if self.reset is None else ""
        day = day_cells(counter, tag, market=market, reset=self.reset, minute=turned_at(self.reset, proposal.wall))
        return day.of_gtc if proposal.order.time_in_force is TimeInForce.GTC else day.of_day

    def _meter(self, reach: Reach, subject: str, currency: str) -> Meter:
        """Each market's part returns to zero at its own reset."""
        plain_meter = super()._meter(reach, subject, currency)
        parts = parts_of(self.caps.members_of(currency)) if self.reset is None else (self.reset,)
        own = parts[0] if self.reset is None else None
        counter, also = cells_of(plain_meter.counter, parts, own=own, wall=reach.wall)
        return replace(
            plain_meter,
            counter=counter,
            also=(*also, gtc_cell(plain_meter.counter, self.reset)),
            resets=tuple(next_reset(part, reach.wall) for part in parts),
        )


def counted_again(claims: tuple[Claim, ...], held: Callable[[str], int]) -> tuple[Claim, ...]:
    """The claims of an order that comes back: it is one more order of the day than it `held` there already."""
    return tuple(
        replace(claim, amount=claim.amount + held(claim.counter)) if claim.counter.startswith(_PER_DAY) else claim
        for claim in claims
    )


class OrdersPerDay(OrderRule, frozen=True):
    """At most so many new orders in a budget day."""

    name: ClassVar[str] = "orders.per_day"
    cap: int
    scope: Scope
    reset: Reset | None

    def implies(self, other: Self) -> bool:
        """Fewer on the same counters."""
        return self.reset == other.reset and self.scope.same(other.scope) and self.cap <= other.cap

    @property
    def kin(self) -> Hashable:
        """The same counters."""
        return self.reset, self.scope.what

    def is_steady_in(self, currency: str) -> bool:  # noqa: ARG002 - whatever it is
        """One on the day's counter, or none for a change."""
        return True

    @property
    def resets(self) -> tuple[Reset, ...]:
        """The days that it counts in."""
        return resets_of(self.reset)

    def judge(self, proposal: Proposal) -> Reason | tuple[Claim, ...] | None:
        """One order on the day's counter; a change is not another order."""
        if proposal.effect is not Effect.ORDER_NEW:
            return None
        if self.cap == 0:
            return self._above(1)
        market = proposal.order.market if self.reset is None else ""
        minute = turned_at(self.reset, proposal.wall)
        return _one_order(self, proposal.key, proposal.account, market=market, minute=minute)

    def refuse(self, claim: Claim, shortfall: Shortfall) -> Reason:
        """How many orders the day would have had."""
        return self._above(shortfall.used + claim.amount)

    def _above(self, observed: int) -> Reason:
        message = f"{observed} orders in a day is above {self.cap}"
        return self.reason(Code.ORDERS_PER_DAY, message, observed=str(observed), limit=str(self.cap), unit="orders/day")

    def meters(self, reach: Reach) -> tuple[Meter, ...]:
        """One meter a subject."""
        parts = resets_of(self.reset)
        own = parts[0] if self.reset is None else None
        found = []
        for subject in reach.subjects(self.scope):
            counter, also = cells_of(f"{_PER_DAY}{subject}", parts, own=own, wall=reach.wall)
            resets = tuple(next_reset(part, reach.wall) for part in parts)
            meter = Meter(
                policy=self.policy,
                rule=self.name,
                subject=subject,
                counter=counter,
                cap=self.cap,
                unit="orders/day",
                resets=resets,
                also=also,
            )
            found.append(meter)
        return tuple(found)


@lru_cache(maxsize=CELLS_MAX)
def _one_order(
    limit: OrdersPerDay, key: str, account: Account | None, *, market: str, minute: int
) -> tuple[Claim, ...]:
    parts = resets_of(limit.reset)
    own = RESET_OF[market] if limit.reset is None else None
    name = f"{_PER_DAY}{limit.scope.subject(key, account)}"
    counter, also = cells_of(name, parts, own=own, wall=wall_of(minute))
    return (Claim("spend", counter, amount=1, cap=limit.cap, also=also),)
