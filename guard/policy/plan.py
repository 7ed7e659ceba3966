"""The rules that bind, thinned: those that a tighter one of their kind makes superfluous are not asked.

A rule implies another when it lets no order through that the other refuses, and claims the same counters under caps at
least as tight. What is implied can change neither verdict nor claims, only add reasons: so the thinned list decides,
and where it refuses every rule is asked, for all reasons are told. The cost of an order then depends on how many
different things are limited, not on how many policies say so.
"""

from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce
from itertools import chain
from operator import or_
from typing import Final, TypeVar

from msgspec import Struct

from guard.policy.assemble import Bound
from guard.policy.breaker import BreakerLimit
from guard.policy.budgets import MoneyBudget
from guard.policy.needs import Wants, needs_of
from guard.policy.orders import MaxValue
from guard.policy.prices import BUFFER_PERCENT, PRICE_AGE_MAX_MS, ValueTerms
from guard.policy.rates import RateLimit
from guard.policy.rule import Granting, OrderRule
from guard.terms import Needs, OrderType, PlaceOrder, Side, TimeInForce

SHAPES_MAX: Final = 128  # shapes of orders that one plan remembers
Shape = tuple[str, str, Side, OrderType, TimeInForce, str]
Kind = tuple[str, str, Side, OrderType, bool]  # all that `needs_of` looks at
_R = TypeVar("_R", bound=OrderRule)


class Plan(Struct, frozen=True):
    """What is asked of a request of one key, in one environment and account, between two expiries.

    `rules`, `reads`, `cancels` are thinned; `bounds` are all policies that bind, `every` their rules on orders, part by
    part. `others` and `every_other` are the rules that do not hang on an order's shape alone. Bounded caches of pure
    answers: `passed` has the shapes that all the rest let through, with what is left to ask in their currency, `needed`
    what orders need to have known. `granted` is what a read claims, once one was granted: nothing of it hangs on the
    read. `lacks_cover`: no money limit covers an order, and one is required.
    """

    bounds: tuple[Bound, ...]
    rules: tuple[OrderRule, ...]
    reads: tuple[RateLimit, ...]
    cancels: tuple[RateLimit, ...]
    converting: tuple[MaxValue | MoneyBudget, ...]
    covers: bool
    terms: ValueTerms
    wants: Wants
    breaker: tuple[BreakerLimit, ...]
    others: tuple[OrderRule, ...]
    every: tuple[tuple[OrderRule, ...], ...]
    every_other: tuple[tuple[OrderRule, ...], ...]
    passed: dict[Shape, tuple[OrderRule, ...]]
    needed: dict[Kind, Needs]
    granted: list[Granting]
    key: str = ""
    lacks_cover: bool = False

    def needs_of(self, order: PlaceOrder) -> Needs:
        """What has to be known of the world before this order is judged; the same for orders that are alike in this."""
        wants, age_ms = self.wants, self.terms.price_age_max_ms or 0
        if wants.collars:  # they look at every price of the order
            return needs_of(wants, order, price_age_max_ms=age_ms)
        has_price = order.price is not None and order.price > 0
        kind = (order.market, order.code, order.side, order.order_type, has_price)
        found = self.needed.get(kind)
        if found is None:
            if len(self.needed) >= SHAPES_MAX:
                self.needed.clear()
            found = self.needed[kind] = needs_of(wants, order, price_age_max_ms=age_ms)
        return found

    def has_passed(self, shape: Shape) -> None:
        """The rules that hang on the shape alone have nothing against it."""
        if len(self.passed) >= SHAPES_MAX:
            self.passed.clear()
        self.passed[shape] = thinned_in(shape[-1], self.others)

    @property
    def all_rules(self) -> tuple[OrderRule, ...]:
        """Every rule on orders of every policy that binds."""
        return tuple(chain.from_iterable(self.every))

    @property
    def all_reads(self) -> tuple[RateLimit, ...]:
        """Every rate of reads."""
        return tuple(rule for bound in self.bounds for rule in bound.reads)

    @property
    def all_cancels(self) -> tuple[RateLimit, ...]:
        """Every rate of cancels."""
        return tuple(rule for bound in self.bounds for rule in bound.cancels)


def plan_of(bounds: Sequence[Bound]) -> Plan:
    """The plan of these policies."""
    every = tuple(rule for bound in bounds for rule in bound.rules)
    rules = thinned(every)
    return Plan(
        bounds=tuple(bounds),
        rules=rules,
        reads=thinned(rule for bound in bounds for rule in bound.reads),
        cancels=thinned(rule for bound in bounds for rule in bound.cancels),
        converting=tuple(rule for bound in bounds for rule in bound.converting),
        covers=any(bound.covers for bound in bounds),
        terms=terms_of(bounds),
        wants=reduce(or_, (bound.wants for bound in bounds), Wants()),
        breaker=tuple(limit for bound in bounds for limit in bound.breaker),
        others=_others(rules),
        every=(every,),
        every_other=(_others(every),),
        passed={},
        needed={},
        granted=[],
    )


def _others(rules: Iterable[OrderRule]) -> tuple[OrderRule, ...]:
    return tuple(rule for rule in rules if not rule.is_of_shape)


def joined(shared: Plan, own: Sequence[Bound], *, key: str, needs_cover: bool) -> Plan:
    """A plan that many keys share, and one key's own limits behind it."""
    mine = plan_of(own)
    covers = shared.covers or mine.covers
    return Plan(
        bounds=(*shared.bounds, *mine.bounds),
        rules=(*shared.rules, *mine.rules),
        reads=(*shared.reads, *mine.reads),
        cancels=(*shared.cancels, *mine.cancels),
        converting=(*shared.converting, *mine.converting),
        covers=covers,
        terms=shared.terms,
        wants=shared.wants | mine.wants,
        breaker=(*shared.breaker, *mine.breaker),
        others=(*shared.others, *mine.others),
        every=(*shared.every, *mine.every),
        every_other=(*shared.every_other, *mine.every_other),
        passed={},
        needed={},
        granted=[],
        key=key,
        lacks_cover=needs_cover and not covers,
    )


def terms_of(bounds: Iterable[Bound]) -> ValueTerms:
    """The largest buffer and the smallest age that these policies give; the defaults where none does."""
    found = tuple(bounds)
    buffers = [bound.buffer_percent for bound in found if bound.buffer_percent is not None]
    ages_ms = [bound.price_age_max_ms for bound in found if bound.price_age_max_ms is not None]
    return ValueTerms(max(buffers, default=BUFFER_PERCENT), min(ages_ms, default=PRICE_AGE_MAX_MS))


def thinned(rules: Iterable[_R]) -> tuple[_R, ...]:
    """The rules that no other one implies, in their order; of two that say the same the first.

    Only kin are compared, so counters of their own cost nothing; among kin mostly one is left to compare with.
    """
    kept: dict[int, _R] = {}
    of_kin: dict[tuple[type[_R], Hashable], list[_R]] = {}
    for rule in rules:
        rivals = of_kin.setdefault((type(rule), rule.kin), [])
        if any(rival.implies(rule) for rival in rivals):
            continue
        beaten = [rival for rival in rivals if rule.implies(rival)]
        for rival in beaten:
            del kept[id(rival)]
        if beaten:
            rivals[:] = [rival for rival in rivals if id(rival) in kept]
        rivals.append(rule)
        kept[id(rule)] = rule
    return tuple(kept.values())


def thinned_in(currency: str, rules: Sequence[OrderRule]) -> tuple[OrderRule, ...]:
    """What is left of these rules for orders in this currency: of limits on one measure the tightest, the first of two.

    The rules of a key and those of the policies, which put amounts in other words, meet here alone.
    """
    tightest: dict[Hashable, tuple[Decimal, OrderRule]] = {}
    beaten: set[int] = set()
    for rule in rules:
        limited = rule.limits_in(currency)
        if limited is None:
            continue
        measure, cap = limited
        best = tightest.setdefault(measure, (cap, rule))
        if cap < best[0]:
            tightest[measure] = (cap, rule)
            beaten.add(id(best[1]))
        elif best[1] is not rule:
            beaten.add(id(rule))
    return tuple([rule for rule in rules if id(rule) not in beaten])


class Validity(Struct, frozen=True):
    """Between which instants the same policies bind: from the last expiry to the next one."""

    since: datetime | None
    until: datetime | None

    def holds(self, wall: datetime) -> bool:
        """`wall` lies within."""
        return (self.since is None or self.since <= wall) and (self.until is None or wall < self.until)


def validity_of(bounds: Iterable[Bound], wall: datetime) -> Validity:
    """For how long what binds at `wall` goes on binding."""
    ends = [bound.expires_at for bound in bounds if bound.expires_at is not None]
    since = max((end for end in ends if end <= wall), default=None)
    until = min((end for end in ends if end > wall), default=None)
    return Validity(since, until)
