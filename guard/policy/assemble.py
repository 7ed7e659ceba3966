"""One document made into rules: what the policy says, in the order in which the contract lists refusals."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Final, TypeVar

from msgspec import Struct

from guard.policy import notation, rates
from guard.policy.amounts import MoneyCaps, amounts_of
from guard.policy.breaker import BreakerLimit, DaemonRefusals, Unknowns
from guard.policy.budgets import DailyValue, MoneyBudget, OrdersPerDay
from guard.policy.collar import PriceCollar
from guard.policy.document import PolicyDoc
from guard.policy.fx import MAX_AGE_DAYS, fx_of
from guard.policy.hours import ALWAYS, AlwaysOrNever, Hours
from guard.policy.instruments import BlockedSymbols, Markets, Symbols
from guard.policy.needs import Wants, wants_of
from guard.policy.notation import Bad, Reset, Window
from guard.policy.orders import MaxPremium, MaxQty, MaxUnderlyingValue, MaxValue, Sides, TimesInForce, Types
from guard.policy.rates import CancelRate, Duplicates, RateLimit, ReadRate
from guard.policy.rule import OrderRule, Per, Scope
from guard.policy.schema import AppliesTo, FxTable, expanded
from guard.policy.working import OpenOrders, OpenValue
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
    cancel_all: str | None = None
    see: str = "account"
    breaker: tuple[BreakerLimit, ...] = ()
    buffer_percent: Decimal | None = None
    price_age_max_ms: int | None = None
    converting: tuple[MaxValue | MoneyBudget, ...] = ()
    wants: Wants = Wants()

    @property
    def covers(self) -> bool:
        """A money limit on single orders of every kind stands in this policy."""
        return any(isinstance(rule, MaxValue) and rule.is_cover for rule in self.rules)

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
    buffer = doc.orders.market_buffer_percent
    rules = tuple(_order_rules(doc))
    return Bound(
        policy=doc.id,
        rules=rules,
        applies_to=doc.applies_to,
        expires_at=doc.policy.expires_at,
        reads=_rates(doc, ReadRate, doc.rates.reads),
        cancels=_rates(doc, CancelRate, doc.rates.cancels),
        touch=doc.rights.touch,
        cancel_all=doc.rights.cancel_all,
        see=doc.rights.see,
        breaker=_breaker(doc),
        buffer_percent=None if buffer is None else Decimal(buffer),
        price_age_max_ms=_milliseconds(doc.reference.price_age_max_s),
        wants=wants_of(rules),
        converting=() if doc.fx is None else tuple(r for r in rules if isinstance(r, MaxValue | MoneyBudget)),
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
        windows = {market: _windows(texts) for market, texts in doc.hours.items()}
        yield Hours(policy, windows) if any(windows.values()) else AlwaysOrNever(policy, windows)
    if orders.max_qty is not None:
        yield MaxQty(policy, Decimal(orders.max_qty))
    for kind, texts in (
        (MaxValue, orders.max_value),
        (MaxPremium, orders.max_premium),
        (MaxUnderlyingValue, orders.max_underlying_value),
    ):
        if texts is not None:
            yield kind(policy, _amounts(doc, texts))
    if orders.price_collar_percent is not None:
        percent = {name: Decimal(value) for name, value in orders.price_collar_percent.items()}
        yield PriceCollar(policy, percent, doc.reference.price_collar_missing or "refuse")
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
        yield BlockedSymbols(policy, notation.blocking(instruments.blocked_symbols))
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
        yield DailyValue(policy, _amounts(doc, budgets.daily_value), _daily_scope(doc, budgets.per), reset)
    if budgets.open_orders is not None:
        yield OpenOrders(policy, budgets.open_orders, _daily_scope(doc, budgets.per))
    if budgets.open_value is not None:
        yield OpenValue(policy, _amounts(doc, budgets.open_value), _daily_scope(doc, budgets.per))


def _amounts(doc: PolicyDoc, texts: tuple[str, ...]) -> MoneyCaps:
    """The caps of one limit, with the policy's exchange rates."""
    table = doc.fx
    if table is None:
        return amounts_of(_read(notation.read_moneys(texts)), None)
    fx = fx_of(
        table.rates,
        as_of=table.as_of,
        max_age_days=max_age_days(table),
        buffer_percent=Decimal(table.buffer_percent or 0),
    )
    return amounts_of(_read(notation.read_moneys(texts)), _read(fx))


def max_age_days(table: FxTable) -> int:
    """For how many days the rates are believed."""
    return MAX_AGE_DAYS if table.max_age_days is None else table.max_age_days


def _breaker(doc: PolicyDoc) -> tuple[BreakerLimit, ...]:
    return tuple(
        kind(doc.id, rate)
        for kind, texts in ((Unknowns, doc.breaker.unknowns), (DaemonRefusals, doc.breaker.daemon_refusals))
        if texts is not None
        for rate in _read(notation.read_rates(texts))
    )


def _milliseconds(seconds: int | Decimal | None) -> int | None:
    return None if seconds is None else int(Decimal(seconds) * 1000)


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
