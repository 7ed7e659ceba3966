"""The rules that bind, without those that a tighter one of their kind implies.

A rule implies another when it lets no order through that the other refuses, and claims the same counters under caps at
least as tight. What is implied can change neither verdict nor claims, only add reasons: so the shorter list decides,
and where one of it refuses, those that it implies are asked too, for all reasons are told. The cost of an order then
depends on how many different things are limited, not on how many policies say so.
"""

from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce
from itertools import chain
from operator import itemgetter, or_
from typing import Final, TypeVar

from msgspec import Struct

from guard.pauses import with_pauses
from guard.policy.assemble import Bound
from guard.policy.breaker import BreakerLimit
from guard.policy.budgets import MoneyBudget
from guard.policy.needs import Wants, needs_of
from guard.policy.notation import Reset
from guard.policy.orderclass import ClassKey, Implied, OrderClass, RuleSet
from guard.policy.orders import MaxValue
from guard.policy.periods import between, minute_of
from guard.policy.prices import BUFFER_PERCENT, PRICE_AGE_MAX_MS, ValueTerms
from guard.policy.rates import RateLimit
from guard.policy.rule import OrderRule
from guard.terms import Needs, OrderType, PlaceOrder, Side

SHAPES_MAX: Final = 128  # shapes of orders that one plan remembers, and classes of orders
KINDS_MAX: Final = 1024  # kinds of orders of which it is at hand what has to be known, for keys alike in this
_CAP: Final = itemgetter(0)
_ZERO: Final = Decimal(0)
Shape = tuple[ClassKey, str, Side, OrderType]
Kind = tuple[str, str, Side, OrderType, bool]  # all that `needs_of` looks at
_R = TypeVar("_R", bound=OrderRule)


class Plan(Struct, frozen=True):
    """What is asked of a request of one key, in one environment and account, between two expiries or resets.

    `orders`, `reads`, `cancels` leave out what is implied; `bounds` are all policies that bind, `every` their rules on
    orders, both part by part: what a thousand keys share is not copied for each of them. `others`: those in `orders`
    that do not depend on an order's shape alone. `resets`: where periods begin that counters are named after.
    `lacks_cover`: no money limit covers an order, and one is required.

    Bounded caches of pure answers: `passed` has the shapes that no rule on the shape alone refuses, `classes` what is
    asked of them, `in_currency` the rules of `others` for one currency, `needed` what has to be known before judging.
    The last is one for all keys of the same policies whose own limits look at nothing besides.
    """

    bounds: tuple[tuple[Bound, ...], ...]
    orders: RuleSet
    reads: tuple[RateLimit, ...]
    cancels: tuple[RateLimit, ...]
    converting: tuple[MaxValue | MoneyBudget, ...]
    covers: bool
    terms: ValueTerms
    wants: Wants
    breaker: tuple[BreakerLimit, ...]
    others: tuple[OrderRule, ...]
    every: tuple[tuple[OrderRule, ...], ...]
    resets: tuple[Reset, ...]
    passed: dict[Shape, OrderClass]
    classes: dict[ClassKey, OrderClass]
    in_currency: dict[str, RuleSet]
    needed: dict[Kind, Needs]
    key: str = ""
    lacks_cover: bool = False

    def needs_of(self, order: PlaceOrder) -> Needs:
        """What has to be known of the world before this order is judged; the same for orders that are alike in this."""
        price = order.price
        kind = (order.market, order.code, order.side, order.order_type, price is not None and price > _ZERO)
        found = self.needed.get(kind)
        if found is None:
            found = needs_of(self.wants, order, price_age_max_ms=self.terms.price_age_max_ms or 0)
            if self.wants.collars:
                return found  # they look at every price of the order
            if len(self.needed) >= KINDS_MAX:
                self.needed.clear()
            self.needed[kind] = found
        return found

    def has_passed(self, shape: Shape) -> None:
        """The rules that hang on the shape alone have nothing against it."""
        if len(self.passed) >= SHAPES_MAX:
            self.passed.clear()
        place = shape[0]
        known = self.classes.get(place)
        if known is None:
            if len(self.classes) >= SHAPES_MAX:
                self.classes.clear()
            rules = self._rules_in(place[-1])
            known = self.classes[place] = OrderClass(rules, rules, rules)
        self.passed[shape] = known

    def _rules_in(self, currency: str) -> RuleSet:
        rules = self.in_currency.get(currency)
        if rules is None:
            rules = self.in_currency[currency] = tightest_in(currency, self.others, self.orders.implied)
        return rules

    @property
    def rules(self) -> tuple[OrderRule, ...]:
        """The rules on orders that are asked."""
        return self.orders.rules

    @property
    def all_rules(self) -> tuple[OrderRule, ...]:
        """Every rule on orders of every policy that binds."""
        return tuple(chain.from_iterable(self.every))

    @property
    def all_reads(self) -> tuple[RateLimit, ...]:
        """Every rate of reads."""
        return tuple(rule for bound in chain.from_iterable(self.bounds) for rule in bound.reads)

    @property
    def all_cancels(self) -> tuple[RateLimit, ...]:
        """Every rate of cancels."""
        return tuple(rule for bound in chain.from_iterable(self.bounds) for rule in bound.cancels)


def plan_of(bounds: Sequence[Bound]) -> Plan:
    """The plan of these policies."""
    every = tuple(rule for bound in bounds for rule in bound.rules)
    if len(set(map(id, every))) != len(every):
        raise AssertionError("a rule stands twice in a plan: who refuses is told by identity")
    groups = _grouped(every)
    rules = tuple(group[0] for group in groups)
    return Plan(
        bounds=(tuple(bounds),),
        orders=RuleSet(rules, {id(group[0]): (tuple(group[1:]),) for group in groups if len(group) > 1}),
        reads=without_implied(rule for bound in bounds for rule in bound.reads),
        cancels=without_implied(rule for bound in bounds for rule in bound.cancels),
        converting=tuple(rule for bound in bounds for rule in bound.converting),
        covers=any(bound.covers for bound in bounds),
        terms=terms_of(bounds),
        wants=reduce(or_, (bound.wants for bound in bounds), Wants()),
        breaker=tuple(limit for bound in bounds for limit in bound.breaker),
        others=_others(rules),
        every=(every,),
        resets=_resets(every),
        passed={},
        classes={},
        in_currency={},
        needed={},
    )


def _resets(rules: Iterable[OrderRule]) -> tuple[Reset, ...]:
    return tuple(sorted({reset for rule in rules for reset in rule.resets}))


def _others(rules: Iterable[OrderRule]) -> tuple[OrderRule, ...]:
    return tuple(rule for rule in rules if not rule.is_of_shape)


def joined(shared: Plan, own: Sequence[Bound], *, key: str, needs_cover: bool) -> Plan:
    """A plan that many keys share, and one key's own limits behind it."""
    mine = plan_of(own)
    covers, wants = shared.covers or mine.covers, shared.wants | mine.wants
    return Plan(
        bounds=(*shared.bounds, *mine.bounds),
        orders=_beside(shared.orders, mine.orders),
        reads=(*shared.reads, *mine.reads),
        cancels=(*shared.cancels, *mine.cancels),
        converting=(*shared.converting, *mine.converting),
        covers=covers,
        terms=shared.terms,
        wants=wants,
        breaker=(*shared.breaker, *mine.breaker),
        others=(*shared.others, *mine.others),
        every=(*shared.every, *mine.every),
        resets=tuple(sorted({*shared.resets, *mine.resets})),
        passed={},
        classes={},
        in_currency={},
        needed=shared.needed if wants == shared.wants else {},
        key=key,
        lacks_cover=needs_cover and not covers,
    )


def _beside(shared: RuleSet, mine: RuleSet) -> RuleSet:
    implied = {**shared.implied, **mine.implied} if mine.implied else shared.implied
    return RuleSet((*shared.rules, *mine.rules), implied)


def terms_of(bounds: Iterable[Bound]) -> ValueTerms:
    """The largest buffer and the smallest age that these policies give; the defaults where none does."""
    found = tuple(bounds)
    buffers = [bound.buffer_percent for bound in found if bound.buffer_percent is not None]
    ages_ms = [bound.price_age_max_ms for bound in found if bound.price_age_max_ms is not None]
    return ValueTerms(max(buffers, default=BUFFER_PERCENT), min(ages_ms, default=PRICE_AGE_MAX_MS))


def without_implied(rules: Iterable[_R]) -> tuple[_R, ...]:
    """The rules that no other one implies, in their order; of two that say the same the first."""
    return tuple([group[0] for group in _grouped(rules)])


def _grouped(rules: Iterable[_R]) -> list[list[_R]]:
    """Each rule that no other one implies, with those that it implies behind it.

    Only kin are compared, so counters of their own cost nothing; among kin mostly one is left to compare with.
    """
    groups: dict[int, list[_R]] = {}
    of_kin: dict[tuple[type[_R], Hashable], list[_R]] = {}
    for rule in with_pauses(rules):
        rivals = of_kin.setdefault((type(rule), rule.kin), [])
        better = next((rival for rival in rivals if rival.implies(rule)), None)
        if better is not None:
            groups[id(better)].append(rule)
            continue
        group = groups[id(rule)] = [rule]
        beaten = [rival for rival in rivals if rule.implies(rival)]
        for rival in beaten:
            group += groups.pop(id(rival))
        if beaten:
            rivals[:] = [rival for rival in rivals if id(rival) in groups]
        rivals.append(rule)
    return list(groups.values())


def tightest_in(currency: str, rules: Sequence[OrderRule], implied: Implied) -> RuleSet:
    """What is left of these rules for orders in this currency: of limits on one measure the tightest, the first of two.

    The rules of a key and those of the policies, which put amounts in other words, meet here alone.
    """
    on_one_measure: dict[Hashable, list[tuple[Decimal, OrderRule]]] = {}
    for rule in rules:
        limited = rule.limits_in(currency)
        if limited is not None:
            on_one_measure.setdefault(limited[0], []).append((limited[1], rule))
    more, beaten = dict[int, tuple[tuple[OrderRule, ...], ...]](), set[int]()
    for limits in on_one_measure.values():
        if len(limits) == 1:
            continue
        _, best = min(limits, key=_CAP)
        others = tuple([rule for _, rule in limits if rule is not best])
        more[id(best)] = (*implied.get(id(best), ()), others)
        beaten.update(map(id, others))
    return RuleSet(tuple([rule for rule in rules if id(rule) not in beaten]), {**implied, **more} if more else implied)


class Validity(Struct, frozen=True):
    """Between which instants the same policies bind, or the same plan: from the last expiry or turn to the next."""

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


def within_days(validity: Validity, resets: tuple[Reset, ...], wall: datetime) -> Validity:
    """The part of it around `wall` within which no period of these begins."""
    turns = between(resets, minute_of(wall))
    if turns is None:
        return validity
    since, until = turns
    since = since if validity.since is None else max(since, validity.since)
    return Validity(since, until if validity.until is None else min(until, validity.until))
