"""Classes of orders: claims that are the same for every order of a class are worked out once.

Most of what a rule on counters does is naming them, and the names hang on little: which key, account and market, in
which currency and on which day. So once an order has passed, the next one of its class only has to be small enough.
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
ClassKey = tuple[Effect, Account, str, TimeInForce, str]
"""What the orders of a class have in common: effect, account, market, time in force and currency."""

Implied = Mapping[int, tuple[tuple[OrderRule, ...], ...]]
"""The rules that another one implies, part by part, by the identity of that one."""


class RuleSet(Struct, frozen=True):
    """The rules that are asked, and those that each of them implies: they pass whatever it lets through."""

    rules: tuple[OrderRule, ...]
    implied: Implied


class OrderClass(Struct):
    """What is asked of the orders that have one `ClassKey`.

    `full`: the rules whose answer does not depend on an order's shape alone. Once an order of the class has passed
    them, those that claim the same of every order are not asked again: `claims` are theirs, with their `makers`, and at
    the indexes in `valued` each holds what the order is worth. Then `remaining` is asked, or `small` of an order of at
    most `qty_max` and `value_max`, the tightest caps on these. Known claims come behind those of the rules that are
    asked. All this holds as long as the plan does, within which no counter gets another name, and not for an order that
    only reduces a position.
    """

    full: RuleSet
    remaining: RuleSet
    small: RuleSet
    qty_max: Decimal = _ANY
    value_max: Decimal = _ANY
    claims: tuple[Claim, ...] = ()
    makers: tuple[Maker, ...] = ()
    valued: tuple[int, ...] = ()
    is_learned: bool = False

    def learn(self, granted: Granting, currency: str) -> None:
        """Notes what `full` claimed of an order that does not only reduce a position: it passed, so no cap is zero."""
        steady = {id(rule): rule for rule in self.full.rules if rule.is_steady_in(currency)}
        first = next((n for n, maker in enumerate(granted[1]) if id(maker) in steady), None)
        self.is_learned = True
        if first is None or any(id(maker) not in steady for maker in granted[1][first:]):
            return
        remaining = [rule for rule in self.full.rules if id(rule) not in steady]
        self.remaining = RuleSet(tuple(remaining), self.full.implied)
        capped = {id(rule): (rule.measure, limit[1]) for rule in remaining if (limit := rule.limits_in(currency))}
        self.qty_max = min([cap for measure, cap in capped.values() if measure == "qty"], default=_ANY)
        self.value_max = min([cap for measure, cap in capped.values() if measure == "value"], default=_ANY)
        large = {rule for rule, (measure, _) in capped.items() if measure is not None}
        self.small = RuleSet(tuple([rule for rule in remaining if id(rule) not in large]), self.full.implied)
        self.makers = granted[1][first:]
        self.valued = tuple([n for n, maker in enumerate(self.makers) if steady[id(maker)].claims_worth])
        self.claims = granted[0][first:]  # last: they say that the rest is known

    def of(self, proposal: Proposal) -> tuple[RuleSet, Granting]:
        """The rules to ask of an order of the class, and the claims that are known without asking."""
        worth = proposal.worth
        if not self.claims or isinstance(worth, Missing) or (proposal.world is not None and proposal.is_reducing):
            return self.full, NOTHING_GRANTED
        claims, value = self.claims, worth.value.amount
        if self.valued:
            try:
                amount = ledger_units(value)
            except DecimalException:  # the rule that it breaks refuses by itself
                return self.full, NOTHING_GRANTED
            held = list(claims)
            for at in self.valued:
                held[at] = replace(held[at], amount=amount)
            claims = tuple(held)
        is_small = _ZERO < proposal.order.qty <= self.qty_max and value <= self.value_max
        return self.small if is_small else self.remaining, (claims, self.makers)
