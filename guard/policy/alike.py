"""Orders that are alike: what of their claims is the same for all of them is worked out for one, and is no more asked.

Most of what a rule on counters does is naming them, and the names hang on little: which key, account and market, in
which currency and on which day. So once an order has passed, the next one like it only has to be small enough.
"""

from collections.abc import Mapping
from decimal import Decimal, DecimalException
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.policy.notation import ledger_units
from guard.policy.rule import Granting, Maker, OrderRule, Proposal
from guard.terms import Account, Claim, Effect, Missing, TimeInForce

_ANY: Final = Decimal("Infinity")
_ZERO: Final = Decimal(0)
NOTHING_GRANTED: Final[Granting] = ((), ())
Place = tuple[Effect, Account, str, TimeInForce, str]
"""Of which orders are alike: the last two words are market and currency."""

Behind = Mapping[int, tuple[tuple[OrderRule, ...], ...]]
"""The rules that another one stands for, part by part, by the identity of that."""


class Thinned(Struct, frozen=True):
    """The rules that are asked, and those that each of them stands for: they pass what it lets through."""

    rules: tuple[OrderRule, ...]
    behind: Behind


class Alike(Struct):
    """What is asked of orders that have their `Place` in common: effect, account, market, time in force and currency.

    `left`: the rules that do not hang on an order's shape alone. Once one of these orders has passed them, the others
    are not asked again what is `claims` of all of them: at the places in `valued` each holds what it is worth. `asked`
    is what then still is, `small` what is of an order of at most `qty_max` and `value_max`, the tightest caps on these;
    what those claim stands before. That holds as long as the plan does, within which no counter gets another name, and
    not for an order that only reduces a position.
    """

    left: Thinned
    asked: Thinned
    small: Thinned
    qty_max: Decimal = _ANY
    value_max: Decimal = _ANY
    claims: tuple[Claim, ...] = ()
    makers: tuple[Maker, ...] = ()
    valued: tuple[int, ...] = ()
    is_learned: bool = False

    def learn(self, granted: Granting, currency: str) -> None:
        """What `left` claimed of one of them that does not only reduce a position: it passed, so no cap is zero."""
        steady = {id(rule): rule for rule in self.left.rules if rule.is_steady_in(currency)}
        first = next((n for n, maker in enumerate(granted[1]) if id(maker) in steady), None)
        self.is_learned = True
        if first is None or any(id(maker) not in steady for maker in granted[1][first:]):
            return
        asked = [rule for rule in self.left.rules if id(rule) not in steady]
        self.asked = Thinned(tuple(asked), self.left.behind)
        capped = {id(rule): (rule.measure, limit[1]) for rule in asked if (limit := rule.limits_in(currency))}
        self.qty_max = min([cap for measure, cap in capped.values() if measure == "qty"], default=_ANY)
        self.value_max = min([cap for measure, cap in capped.values() if measure == "value"], default=_ANY)
        large = {place for place, (measure, _) in capped.items() if measure is not None}
        self.small = Thinned(tuple([rule for rule in asked if id(rule) not in large]), self.left.behind)
        self.makers = granted[1][first:]
        self.valued = tuple([n for n, maker in enumerate(self.makers) if steady[id(maker)].claims_worth])
        self.claims = granted[0][first:]  # last: they say that the rest is known

    def of(self, proposal: Proposal) -> tuple[Thinned, Granting]:
        """What is asked of one of these orders, and what it claims where that is known but for its amount."""
        worth = proposal.worth
        if not self.claims or isinstance(worth, Missing) or (proposal.world is not None and proposal.is_reducing):
            return self.left, NOTHING_GRANTED
        claims, value = self.claims, worth.value.amount
        if self.valued:
            try:
                amount = ledger_units(value)
            except DecimalException:  # the rule that it breaks refuses by itself
                return self.left, NOTHING_GRANTED
            held = list(claims)
            for at in self.valued:
                held[at] = replace(held[at], amount=amount)
            claims = tuple(held)
        is_small = _ZERO < proposal.order.qty <= self.qty_max and value <= self.value_max
        return self.small if is_small else self.asked, (claims, self.makers)
