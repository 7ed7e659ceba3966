"""Rules on what is open at one time: the number of live orders, and what they are still worth.

Both count orders that are reserved, working or unknown, whatever day they are of; they are free again when the order
ends, and its value shrinks with each fill. An order that only reduces a fresh position is counted, and refused by
neither.
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import ClassVar, Final, Literal, Self

from guard.codes import Code
from guard.policy.budgets import MoneyBudget
from guard.policy.rule import Meter, OrderRule, Proposal, Reach, Scope
from guard.terms import Account, Claim, Reason, Shortfall

CELLS_MAX: Final = 16_384  # counters of which the claim, always the same, is at hand


class OpenValue(MoneyBudget, frozen=True):
    """At most this much money in open orders: buys and sells add up."""

    name: ClassVar[str] = "budgets.open_value"
    kind: ClassVar[Literal["spend", "working"]] = "working"
    code: ClassVar[Code] = Code.OPEN_VALUE
    word: ClassVar[str] = "open_value"
    noun: ClassVar[str] = "the value of open orders"


class OpenOrders(OrderRule, frozen=True):
    """At most so many open orders. A change is of an order that is counted already: the order holds one, not two."""

    name: ClassVar[str] = "budgets.open_orders"
    cap: int
    scope: Scope

    def implies(self, other: Self) -> bool:
        """Fewer on the same counter."""
        return self.scope.same(other.scope) and self.cap <= other.cap

    @property
    def kin(self) -> Hashable:
        """The same counter."""
        return self.scope.what

    def is_steady_in(self, currency: str) -> bool:  # noqa: ARG002 - whatever it is
        """One on one counter."""
        return True

    def judge(self, proposal: Proposal) -> Reason | tuple[Claim, ...]:
        """One on the counter, as long as the order lives."""
        cap = None if proposal.is_reducing else self.cap
        if cap == 0:
            return self._above(1)
        return _one_order(self.scope, proposal.key, proposal.account, cap=cap)

    def refuse(self, claim: Claim, shortfall: Shortfall) -> Reason:
        """How many there would have been."""
        return self._above(shortfall.used + claim.amount)

    def _above(self, observed: int) -> Reason:
        message = f"{observed} open orders is above {self.cap}"
        return self.reason(Code.OPEN_ORDERS, message, observed=str(observed), limit=str(self.cap), unit="orders")

    def meters(self, reach: Reach) -> tuple[Meter, ...]:
        """One meter a subject."""
        return tuple(
            Meter(self.policy, self.name, subject, f"open_orders/{subject}", self.cap, "orders")
            for subject in reach.subjects(self.scope)
        )


@lru_cache(maxsize=CELLS_MAX)
def _one_order(scope: Scope, key: str, account: Account | None, *, cap: int | None) -> tuple[Claim, ...]:
    return (Claim("count", f"open_orders/{scope.subject(key, account)}", amount=1, cap=cap),)
