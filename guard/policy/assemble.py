"""One document made into rules: what the policy says, in the order in which the contract lists refusals."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Final, TypeVar

from msgspec import Struct

from guard.policy import notation, rates
from guard.policy.budgets import DailyValue, OrdersPerDay
from guard.policy.document import PolicyDoc
from guard.policy.hours import ALWAYS, Hours
from guard.policy.instruments import BlockedSymbols, Markets, Symbols
from guard.policy.notation import Bad, Reset, Window
from guard.policy.orders import Amounts, MaxQty, MaxValue, Sides, TimesInForce, Types
from guard.policy.rates import CancelRate, Duplicates, RateLimit, ReadRate
from guard.policy.rule import OrderRule, Per, Scope
from guard.policy.schema import AppliesTo, expanded
from guard.terms import Account, Env

CHOSEN_CHARS_MAX: Final = 80
_T = TypeVar("_T")
_R = TypeVar("_R", bound=RateLimit)


class Bound(Struct, frozen=True):
    """One policy ready to bind: whom it selects, until when, and its rules by what they are asked about."""

    policy: str
    rules: tuple[OrderRule, ...]
    applies_to: AppliesTo = AppliesTo()
    expires_at: datetime | None = None
    reads: tuple[RateLimit, ...] = ()
    cancels: tuple[RateLimit, ...] = ()
    touch: str | None = None

    @property
    def covers(self) -> bool:
        """A money limit on single orders stands in this policy."""
        return any(isinstance(rule, MaxValue) for rule in self.rules)

    def selects(self, key: str, env: Env | None) -> bool:
        """The key, and the environment where there is one, are among those chosen."""
        chosen = self.applies_to
        if () in {chosen.environments, chosen.accounts}:
            return False
        if chosen.keys is not None and not notation.matches(key, chosen.keys):
            return False
        if chosen.except_keys is not None and notation.matches(key, chosen.except_keys):
            return False
        return env is None or chosen.environments is None or env.word in chosen.environments

    def reaches(self, account: Account) -> bool:
        """The account is among those chosen."""
        return self.applies_to.accounts is None or account.acc_id in self.applies_to.accounts


def bound_of(doc: PolicyDoc) -> Bound:
    """The document's rules and selectors."""
    return Bound(
        policy=doc.id,
        rules=tuple(_order_rules(doc)),
        applies_to=doc.applies_to,
        expires_at=doc.policy.expires_at,
        reads=_rates(doc, ReadRate, doc.rates.reads),
        cancels=_rates(doc, CancelRate, doc.rates.cancels),
        touch=doc.rights.touch,
    )


def _order_rules(doc: PolicyDoc) -> Iterator[OrderRule]:
    """What a new order or a change meets."""
    yield from _instrument_rules(doc)
    policy, orders = doc.id, doc.orders
    if orders.sides is not None:
        yield Sides(policy, orders.sides)
    if orders.types is not None:
        yield Types(policy, orders.types)
    if orders.time_in_force is not None:
        yield TimesInForce(policy, orders.time_in_force)
    if doc.hours is not None:
        yield Hours(policy, {market: _windows(texts) for market, texts in doc.hours.items()})
    if orders.max_qty is not None:
        yield MaxQty(policy, Decimal(orders.max_qty))
    if orders.max_value is not None:
        yield MaxValue(policy, Amounts(_read(notation.read_moneys(orders.max_value))))
    if orders.duplicate_window_s:
        yield Duplicates(policy, orders.duplicate_window_s)
    yield from _budget_rules(doc)
    yield from _rates(doc, rates.NewOrderRate, doc.rates.new_orders)
    yield from _rates(doc, rates.ChangeRate, doc.rates.changes)


def _instrument_rules(doc: PolicyDoc) -> Iterator[OrderRule]:
    policy, instruments = doc.id, doc.instruments
    if instruments.markets is not None:
        yield Markets(policy, expanded(instruments.markets))
    if instruments.blocked_symbols is not None:
        yield BlockedSymbols(policy, instruments.blocked_symbols)
    if instruments.symbols is not None:
        yield Symbols(policy, instruments.symbols)


def _windows(texts: tuple[str, ...]) -> tuple[Window, ...] | None:
    return None if texts == (ALWAYS,) else _read(notation.read_windows(texts))


def _budget_rules(doc: PolicyDoc) -> Iterator[OrderRule]:
    policy, budgets = doc.id, doc.budgets
    reset: Reset | None = None if budgets.resets is None else _read(notation.read_reset(budgets.resets))
    if doc.orders.per_day is not None:
        yield OrdersPerDay(policy, doc.orders.per_day, _daily_scope(doc, "key"), reset)
    if budgets.daily_value is not None:
        caps = Amounts(_read(notation.read_moneys(budgets.daily_value)))
        yield DailyValue(policy, caps, _daily_scope(doc, budgets.per), reset)


def _rates(doc: PolicyDoc, kind: type[_R], texts: tuple[str, ...] | None) -> tuple[_R, ...]:
    if texts is None:
        return ()
    scope = _key_scope(doc) if kind is ReadRate else _rate_scope(doc)
    return tuple(kind(doc.id, rate, scope) for rate in _read(notation.read_rates(texts)))


def _key_scope(doc: PolicyDoc) -> Scope:
    """A read has neither environment nor account, so these selectors say nothing about it."""
    return Scope(doc.rates.per, doc.id)


def _rate_scope(doc: PolicyDoc) -> Scope:
    """Requests are counted over both environments, unless the policy is about one of them."""
    chosen = doc.applies_to
    envs = sorted(set(chosen.environments or ()))
    one = f";{envs[0]}" if len(envs) == 1 and doc.rates.per == "key" else ""
    return Scope(doc.rates.per, doc.id, chosen=one + _chosen(chosen, doc.rates.per))


def _daily_scope(doc: PolicyDoc, per: Per) -> Scope:
    """Money and orders of a day are counted by environment: paper is no money."""
    return Scope(per, doc.id, chosen=_chosen(doc.applies_to, per), by_env=True)


def _chosen(selectors: AppliesTo, per: Per) -> str:
    """The part of the selectors that `per` leaves open, for the counter's name; a digest where it is long."""
    parts: list[str] = []
    if per == "key" and selectors.accounts is not None:
        parts.append("accounts=" + ",".join(map(str, sorted(set(selectors.accounts)))))
    if per == "account":
        for field, patterns in (("keys", selectors.keys), ("except", selectors.except_keys)):
            if patterns is not None:
                parts.append(f"{field}=" + ",".join(sorted(set(patterns))))
    text = "".join(f";{part}" for part in parts)
    return text if len(text) <= CHOSEN_CHARS_MAX else f";chosen={sha256(text.encode()).hexdigest()[:32]}"


def _read(found: _T | Bad) -> _T:
    if isinstance(found, Bad):
        # Documents come from parse_policy, which has read every notation once already.
        raise AssertionError(f"a checked document holds {found.message}")  # noqa: TRY004 - a bug, not a wrong type
    return found
