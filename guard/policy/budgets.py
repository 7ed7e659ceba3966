"""Rules on how much in a day: money (`spend` claims) and orders (`count` claims).

A budget's day is part of its counter's name (see periods). Without a reset of its own a budget is the sum of parts,
one for each reset among the markets of the currency, and each part returns to zero at its own reset: the claim is on
the order's part, the other parts count against the cap unchanged (`also`). Real and simulated money never mix.
A good-till-cancelled order counts in the period in which it was reserved, like a day order.
"""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from guard.codes import Code
from guard.policy.notation import Reset, from_units, ledger_units, plain
from guard.policy.orders import Amounts, no_amount
from guard.policy.periods import RESET_OF, RESETS, RESETS_OF_CURRENCY, next_reset, period_name
from guard.policy.rule import Meter, Proposal, Reach, Rule, Scope
from guard.terms import LEDGER_MAX, Claim, Effect, Missing, Reason, Shortfall


def _cells(counter: str, parts: tuple[Reset, ...], *, own: Reset | None, wall: datetime) -> tuple[str, tuple[str, ...]]:
    """The counter that an order holds, and those that count with it. `own` None: one reset for all markets."""
    if own is None:
        return f"{counter}|{period_name(parts[0], wall)},all", ()
    also = tuple(f"{counter}|{period_name(part, wall)}" for part in parts if part != own)
    return f"{counter}|{period_name(own, wall)}", also


class DailyValue(Rule, frozen=True):
    """At most this much money in a budget day: buys and sells add up, an order holds its full value from the start.

    `reset` None: each market's own.
    """

    name: ClassVar[str] = "budgets.daily_value"
    caps: Amounts
    scope: Scope
    reset: Reset | None

    def judge(self, proposal: Proposal) -> Reason | tuple[Claim, ...]:
        """The order's whole value on the counter of its currency and budget day."""
        worth = proposal.worth
        if isinstance(worth, Missing):
            return self.reason(worth.code, worth.message)
        currency = worth.value.currency
        cap = self.caps.in_currency(currency)
        if cap is None:
            return no_amount(self, worth.value, self.caps)
        amount = ledger_units(worth.value.amount)
        if cap == 0 or amount > LEDGER_MAX:
            return self._above(amount, ledger_units(cap), currency)
        parts = RESETS_OF_CURRENCY[currency] if self.reset is None else (self.reset,)
        own = RESET_OF[proposal.order.market] if self.reset is None else None
        name = f"daily_value/{self.scope.subject(proposal)}|{currency}"
        counter, also = _cells(name, parts, own=own, wall=proposal.wall)
        return (Claim("spend", counter, amount=amount, cap=ledger_units(cap), also=also),)

    def refuse(self, claim: Claim, shortfall: Shortfall) -> Reason:
        """What the day's value would have become."""
        currency = claim.counter.split("|")[1]
        return self._above(shortfall.used + claim.amount, claim.cap or 0, currency)

    def _above(self, observed_units: int, cap_units: int, currency: str) -> Reason:
        observed, limit = plain(from_units(observed_units)), plain(from_units(cap_units))
        message = f"daily value would become {observed} {currency}, above {limit} {currency}"
        return self.reason(Code.DAILY_VALUE, message, observed=observed, limit=limit, unit=currency)

    def meters(self, reach: Reach) -> tuple[Meter, ...]:
        """One meter a subject and currency; it returns to zero, at least in part, at `resets_at`."""
        return tuple(
            self._meter(reach, subject, currency)
            for subject in reach.subjects(self.scope)
            for currency in self._given()
        )

    def _given(self) -> tuple[str, ...]:
        return tuple(self.caps.by_currency) or tuple(RESETS_OF_CURRENCY)

    def _meter(self, reach: Reach, subject: str, currency: str) -> Meter:
        parts = RESETS_OF_CURRENCY[currency] if self.reset is None else (self.reset,)
        own = parts[0] if self.reset is None else None
        counter, also = _cells(f"daily_value/{subject}|{currency}", parts, own=own, wall=reach.wall)
        cap = self.caps.in_currency(currency) or Decimal(0)
        return Meter(
            policy=self.policy,
            rule=self.name,
            subject=subject,
            counter=counter,
            cap=ledger_units(cap),
            unit=currency,
            resets_at=min(next_reset(part, reach.wall) for part in parts),
            also=also,
        )


class OrdersPerDay(Rule, frozen=True):
    """At most so many new orders in a budget day."""

    name: ClassVar[str] = "orders.per_day"
    cap: int
    scope: Scope
    reset: Reset | None

    def judge(self, proposal: Proposal) -> Reason | tuple[Claim, ...] | None:
        """One order on the day's counter; a change is not another order."""
        if proposal.effect is not Effect.ORDER_NEW:
            return None
        if self.cap == 0:
            return self._above(1)
        parts = RESETS if self.reset is None else (self.reset,)
        own = RESET_OF[proposal.order.market] if self.reset is None else None
        name = f"orders_per_day/{self.scope.subject(proposal)}"
        counter, also = _cells(name, parts, own=own, wall=proposal.wall)
        return (Claim("spend", counter, amount=1, cap=self.cap, also=also),)

    def refuse(self, claim: Claim, shortfall: Shortfall) -> Reason:
        """How many orders the day would have had."""
        return self._above(shortfall.used + claim.amount)

    def _above(self, observed: int) -> Reason:
        message = f"{observed} orders in a day is above {self.cap}"
        return self.reason(Code.ORDERS_PER_DAY, message, observed=str(observed), limit=str(self.cap), unit="orders/day")

    def meters(self, reach: Reach) -> tuple[Meter, ...]:
        """One meter a subject."""
        parts = RESETS if self.reset is None else (self.reset,)
        own = parts[0] if self.reset is None else None
        found = []
        for subject in reach.subjects(self.scope):
            counter, also = _cells(f"orders_per_day/{subject}", parts, own=own, wall=reach.wall)
            resets_at = min(next_reset(part, reach.wall) for part in parts)
            meter = Meter(
                policy=self.policy,
                rule=self.name,
                subject=subject,
                counter=counter,
                cap=self.cap,
                unit="orders/day",
                resets_at=resets_at,
                also=also,
            )
            found.append(meter)
        return tuple(found)
