"""Rules on how often: exact sliding windows, and the same order again.

A rate's cell has neither window nor cap in its name: several windows stand on one log, and a new limit starts from
what the log shows. A rate of 0 allows nothing and is refused here, since no stamp will ever leave its window.
"""

import hashlib
from collections.abc import Hashable
from functools import lru_cache
from typing import ClassVar, Final, Self

import msgspec

from guard.codes import Code
from guard.policy.notation import Rate, plain
from guard.policy.rule import Meter, OrderRule, Proposal, Reach, Request, Scope
from guard.terms import Account, Claim, Effect, Reason, Shortfall

_NEW: Final = Effect.ORDER_NEW
_encoded: Final = msgspec.json.Encoder().encode
CLAIMS_MAX: Final = 16_384  # counters of which the claim, always the same, is at hand


class RateLimit(OrderRule, frozen=True):
    """At most so many requests in a window. Which requests, and what they are called, is the subclass's to say."""

    word: ClassVar[str] = ""
    noun: ClassVar[str] = ""
    effects: ClassVar[tuple[Effect, ...]] = ()
    rate: Rate
    scope: Scope

    def implies(self, other: Self) -> bool:
        """Fewer in the same window on the same log."""
        is_same = self.rate.window_ms == other.rate.window_ms and self.scope.same(other.scope)
        return is_same and self.rate.count <= other.rate.count

    @property
    def kin(self) -> Hashable:
        """The same window on the same log."""
        return self.rate.window_ms, self.scope.what

    def is_steady_in(self, currency: str) -> bool:  # noqa: ARG002 - whatever it is
        """One stamp on one log."""
        return True

    @property
    def unit(self) -> str:
        """What is counted, and in which window: "orders/30s"."""
        return f"{self.noun}/{self.rate.span}"

    def judge(self, request: Request) -> Reason | tuple[Claim, ...] | None:
        """One stamp on the window's log, for the effects that this rate is about."""
        if request.effect not in self.effects:
            return None
        if self.rate.count == 0:
            return self._above(1)
        return _stamp(self, request.key, request.account)

    def refuse(self, claim: Claim, shortfall: Shortfall) -> Reason:
        """How many there would have been in the window."""
        return self._above(shortfall.used + claim.amount)

    def _above(self, observed: int) -> Reason:
        limit = self.rate.count
        never = "" if limit else ": a limit of 0 lets none pass, and only the operator can change it"
        message = f"{observed} {self.noun} in {self.rate.span} is above {limit}{never}"
        return self.reason(Code.RATE, message, observed=str(observed), limit=str(limit), unit=self.unit)

    def meters(self, reach: Reach) -> tuple[Meter, ...]:
        """One meter a subject."""
        return tuple(
            Meter(
                policy=self.policy,
                rule=self.name,
                subject=subject,
                counter=f"{self.word}/{subject}",
                cap=self.rate.count,
                unit=self.unit,
                window_ms=self.rate.window_ms,
            )
            for subject in reach.subjects(self.scope)
        )


@lru_cache(maxsize=CLAIMS_MAX)
def _stamp(limit: RateLimit, key: str, account: Account | None) -> tuple[Claim, ...]:
    counter, rate = f"{limit.word}/{limit.scope.subject(key, account)}", limit.rate
    return (Claim("rate", counter, amount=1, cap=rate.count, window_ms=rate.window_ms),)


class NewOrderRate(RateLimit, frozen=True):
    """New orders."""

    name: ClassVar[str] = "rates.new_orders"
    word: ClassVar[str] = "new_orders"
    noun: ClassVar[str] = "orders"
    effects: ClassVar[tuple[Effect, ...]] = (Effect.ORDER_NEW,)


class ChangeRate(RateLimit, frozen=True):
    """Changes of orders."""

    name: ClassVar[str] = "rates.changes"
    word: ClassVar[str] = "changes"
    noun: ClassVar[str] = "changes"
    effects: ClassVar[tuple[Effect, ...]] = (Effect.ORDER_CHANGE,)


class ReadRate(RateLimit, frozen=True):
    """Requests that change nothing at the broker."""

    name: ClassVar[str] = "rates.reads"
    word: ClassVar[str] = "reads"
    noun: ClassVar[str] = "reads"
    effects: ClassVar[tuple[Effect, ...]] = (Effect.READ,)


class CancelRate(RateLimit, frozen=True):
    """Cancels: the only limit of a policy that a cancel ever meets, and only where it is written down (W09)."""

    name: ClassVar[str] = "rates.cancels"
    word: ClassVar[str] = "cancels"
    noun: ClassVar[str] = "cancels"
    effects: ClassVar[tuple[Effect, ...]] = (Effect.ORDER_CANCEL,)


class OrdersPerMinute(RateLimit, frozen=True):
    """A key's own rate: new orders and changes together."""

    name: ClassVar[str] = "max_orders_per_minute"
    word: ClassVar[str] = "orders"
    noun: ClassVar[str] = "orders"
    effects: ClassVar[tuple[Effect, ...]] = (Effect.ORDER_NEW, Effect.ORDER_CHANGE)


class Duplicates(OrderRule, frozen=True):
    """The same order of the same key again within the window (B28), unless its Idempotency-Key or remark differs.

    The same: account, symbol, side, type, quantity, prices, trail and remark. The cell carries a digest of these,
    since text of a caller's never becomes part of a counter's name.
    """

    name: ClassVar[str] = "orders.duplicate_window_s"
    window_s: int

    @property
    def kin(self) -> Hashable:
        """The same window."""
        return self.window_s

    def judge(self, proposal: Proposal) -> tuple[Claim, ...] | None:
        """One mark that stands for the window; a change of an order is never a duplicate."""
        if proposal.effect is not _NEW:
            return None
        counter = f"duplicate/key={proposal.key}|{_digest(proposal)}"
        return (Claim("once", counter, amount=1, cap=1, window_ms=self.window_s * 1000),)

    def refuse(self, claim: Claim, shortfall: Shortfall) -> Reason:
        """How to place the same order on purpose."""
        observed, limit = shortfall.used + claim.amount, claim.cap
        message = (
            f"the same order was placed less than {self.window_s} s ago; "
            "to place it again on purpose, send another Idempotency-Key or another remark"
        )
        return self.reason(
            Code.DUPLICATE_ORDER,
            message,
            observed=str(observed),
            limit=str(limit),
            unit=f"orders/{self.window_s}s",
        )


def _digest(proposal: Proposal) -> str:
    order = proposal.order
    price, trigger, trail, spread = order.price, order.aux_price, order.trail_value, order.trail_spread
    same = (
        proposal.account,
        order.symbol,
        order.side,
        order.order_type,
        (  # one by one: most orders have two of them
            plain(order.qty),
            None if price is None else plain(price),
            None if trigger is None else plain(trigger),
            None if trail is None else plain(trail),
            None if spread is None else plain(spread),
        ),
        order.trail_type,
        order.remark,
        proposal.mark,
    )
    return hashlib.sha256(_encoded(same)).hexdigest()
