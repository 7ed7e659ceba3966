"""One order tried: policies, a caller, a world, and what was used before are all given. Nothing else is looked at.

What stands behind tests of policies, behind the orders that a diff shows, and behind suggestions: the same `judge` as
live, and for its claims the ledger's own question (used + amount <= cap) asked of the usage that is given.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.policy.amounts import currency_of_tag
from guard.policy.combining import Judgement
from guard.policy.judge import judge, judge_cancel, judge_read
from guard.policy.largest import Short, largest_qty
from guard.policy.notation import ledger_units, plain
from guard.policy.policyset import PolicySet
from guard.terms import Account, Claim, Effect, PlaceOrder, Principal, Reason, Shortfall, World, in_order

_NONE: Final = Decimal(0)


class Usage(Struct, frozen=True):
    """What was used before: money by currency, counts, and how long ago (ms) requests were made.

    It stands on every counter of its kind that the order meets, whosever it is.
    """

    daily_value: Mapping[str, Decimal] = {}
    open_value: Mapping[str, Decimal] = {}
    per_day: int = 0
    open_orders: int = 0
    new_orders_ms: tuple[int, ...] = ()
    changes_ms: tuple[int, ...] = ()
    cancels_ms: tuple[int, ...] = ()
    reads_ms: tuple[int, ...] = ()
    same_order_ms: tuple[int, ...] = ()

    def on(self, claim: Claim) -> int:
        """What stands on the claim's counter, in the ledger's own units."""
        word = claim.counter.partition("/")[0]
        if word in {"daily_value", "open_value"}:
            money = self.daily_value if word == "daily_value" else self.open_value
            return ledger_units(money.get(currency_of_tag(claim.counter.split("|")[1]), _NONE))
        if word in {"orders_per_day", "open_orders"}:
            return self.per_day if word == "orders_per_day" else self.open_orders
        ages = {
            "new_orders": self.new_orders_ms,
            "changes": self.changes_ms,
            "cancels": self.cancels_ms,
            "reads": self.reads_ms,
            "orders": (*self.new_orders_ms, *self.changes_ms),
            "duplicate": self.same_order_ms,
        }.get(word, ())
        return sum(age < claim.window_ms for age in ages)


class TrialRequest(Struct, frozen=True):
    """What is tried: an order (None: a cancel or a read) of this caller, at this time, in this world, after this."""

    principal: Principal
    account: Account
    wall: datetime
    order: PlaceOrder | None = None
    effect: Effect = Effect.ORDER_NEW
    world: World | None = None
    usage: Usage = Usage()
    mark: str = ""
    exits: Decimal = _NONE


class TrialResult(Struct, frozen=True):
    """What came of it: every reason against it, the primary one first, and the quantity that would have passed."""

    reasons: tuple[Reason, ...]
    largest_qty: Decimal | None = None

    @property
    def passes(self) -> bool:
        """Nothing stands against it."""
        return not self.reasons

    @property
    def codes(self) -> tuple[Code, ...]:
        """Every code, each once, the primary one first."""
        return tuple(dict.fromkeys(reason.code for reason in self.reasons))


class Witness(Struct, frozen=True):
    """An order that two sets of policies answer differently: who, what, when, and what refused it before.

    `still`: why the rest of the set refuses it yet; empty where it passes now.
    """

    key: str
    environment: str
    account: int
    wall: datetime
    order: PlaceOrder | None
    effect: Effect = Effect.ORDER_NEW
    usage: Usage = Usage()
    refused: tuple[Reason, ...] = ()
    still: tuple[Reason, ...] = ()

    def __str__(self) -> str:
        when = self.wall.strftime("%a %Y-%m-%d %H:%M:%SZ")
        return f"{self.key}, {self.environment} account {self.account}, {when}: {self._what()}{told_usage(self.usage)}"

    def _what(self) -> str:
        order = self.order
        if order is None:
            return "a read" if self.effect is Effect.READ else "a cancel"
        price = "" if order.price is None else f" at {plain(order.price)}"
        verb = "change to " if self.effect is Effect.ORDER_CHANGE else ""
        kind = f"{order.order_type.name}, {order.time_in_force.name}"
        return f"{verb}{order.side.name} {plain(order.qty)} {order.symbol}{price} ({kind})"


def try_order(policies: PolicySet, ask: TrialRequest) -> TrialResult:
    """Judged, and every claim compared with the usage."""
    judgement = _judged(policies, ask)
    short: list[Short] = []
    for index, (claim, maker) in enumerate(zip(judgement.claims, judgement.makers, strict=True)):
        used = ask.usage.on(claim)
        if claim.cap is not None and (claim.cap <= 0 or used + claim.amount > claim.cap):
            short.append((claim, maker, Shortfall(index, used)))
    told = [*judgement.reasons, *(maker.refuse(claim, shortfall) for claim, maker, shortfall in short)]
    return TrialResult(in_order(told), largest_qty(judgement, short) if told else None)


def _judged(policies: PolicySet, ask: TrialRequest) -> Judgement:
    if ask.effect is Effect.READ:
        return judge_read(policies, ask.principal, wall=ask.wall)
    plan = policies.on(ask.principal, ask.account, wall=ask.wall)
    if ask.order is None:
        return judge_cancel(plan, account=ask.account, wall=ask.wall)
    return judge(
        plan,
        ask.order,
        effect=ask.effect,
        account=ask.account,
        wall=ask.wall,
        mark=ask.mark,
        world=ask.world,
        exits=ask.exits,
    )


def told_usage(usage: Usage) -> str:
    """What was used before, for people; empty where nothing was."""
    parts = [f"daily_value {plain(amount)} {currency}" for currency, amount in sorted(usage.daily_value.items())]
    parts += [f"open_value {plain(amount)} {currency}" for currency, amount in sorted(usage.open_value.items())]
    parts += [
        f"{name} {count}" for name, count in (("per_day", usage.per_day), ("open_orders", usage.open_orders)) if count
    ]
    for name, ages in (
        ("new_orders", usage.new_orders_ms),
        ("changes", usage.changes_ms),
        ("cancels", usage.cancels_ms),
        ("reads", usage.reads_ms),
        ("same_order", usage.same_order_ms),
    ):
        if ages:
            parts.append(f"{name} {len(ages)}, the last {min(ages) / 1000:g} s ago")
    return f", after {'; '.join(parts)}" if parts else ""
