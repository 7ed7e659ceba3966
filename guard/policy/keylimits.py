"""What a key brings along (or the start-up flags) as rules: the policy `key:<id>`, or `flags`, which binds everyone.

Money is one number that stands in every currency, each by itself: the order meets it in its own (W08). Markets, symbols
and sides bind on changes as well as on new orders. What cannot be read is an error, never an absent limit.
"""

from decimal import Decimal
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from guard.codes import Code
from guard.markets import PREFIXES
from guard.policy.amounts import MoneyCaps
from guard.policy.budgets import DailyValue
from guard.policy.hours import KeyHours
from guard.policy.instruments import Markets, Symbols
from guard.policy.notation import Bad, Rate, check_listed_symbol, from_units, ledger_units, read_window, read_zone
from guard.policy.orders import MaxValue, Sides
from guard.policy.rates import OrdersPerMinute
from guard.policy.rule import OrderRule, Proposal, Scope
from guard.policy.schema import WORDS, expanded
from guard.terms import LEDGER_MAX, KeyLimits, Reason

MINUTE_MS: Final = 60_000


class KeyMarkets(Markets, frozen=True):
    """A key's markets."""

    name: ClassVar[str] = "allowed_markets"


class KeySymbols(Symbols, frozen=True):
    """A key's symbols."""

    name: ClassVar[str] = "allowed_symbols"


class KeySides(Sides, frozen=True):
    """A key's sides."""

    name: ClassVar[str] = "allowed_trd_sides"


class KeyMaxValue(MaxValue, frozen=True):
    """A key's money an order."""

    name: ClassVar[str] = "max_order_value"


class KeyDailyValue(DailyValue, frozen=True):
    """A key's money a day."""

    name: ClassVar[str] = "max_daily_value"


class Unreadable(OrderRule, frozen=True):
    """Limits that came with a key and mean nothing: they bind as "nothing"."""

    name: ClassVar[str] = "limits"
    message: str

    def judge(self, proposal: Proposal) -> Reason:  # noqa: ARG002 - whatever is asked
        """Refuses everything."""
        return self.reason(Code.RULE_ERROR, self.message)


class KeyRules(Struct, frozen=True):
    """The rules of one key or of the flags; `errors` are field and what is wrong with it."""

    rules: tuple[OrderRule, ...]
    errors: tuple[tuple[str, Bad], ...] = ()


def rules_of_limits(limits: KeyLimits, *, policy: str, tz: str) -> KeyRules:
    """The rules of a key's limits, in the contract's order; every field that cannot be read is an error."""
    errors = tuple(_errors(limits, tz))
    if errors:
        text = "; ".join(f"{field}: {bad.message}" for field, bad in errors)
        return KeyRules((Unreadable(policy, text),), errors)
    money = Scope("key", policy, by_env=True)
    rules: list[OrderRule] = []
    if limits.allowed_markets is not None:
        rules.append(KeyMarkets(policy, expanded(limits.allowed_markets)))
    if limits.allowed_symbols is not None:
        rules.append(KeySymbols(policy, limits.allowed_symbols))
    if limits.allowed_trd_sides is not None:
        rules.append(KeySides(policy, limits.allowed_trd_sides))
    if limits.hours_window is not None:
        window = read_window(limits.hours_window)
        if not isinstance(window, Bad):
            rules.append(KeyHours(policy, window, tz))
    if limits.max_order_value is not None:
        rules.append(KeyMaxValue(policy, MoneyCaps(in_each=limits.max_order_value)))
    if limits.max_daily_value is not None:
        rules.append(KeyDailyValue(policy, MoneyCaps(in_each=limits.max_daily_value), money, None))
    if limits.max_orders_per_minute is not None:
        rate = Rate(limits.max_orders_per_minute, MINUTE_MS)
        rules.append(OrdersPerMinute(policy, rate, Scope("key", policy)))
    return KeyRules(tuple(rules))


def _errors(limits: KeyLimits, tz: str) -> list[tuple[str, Bad]]:
    found: list[tuple[str, Bad | None]] = [
        ("allowed_markets", _word(limits.allowed_markets, WORDS["instruments", "markets"])),
        ("allowed_trd_sides", _word(limits.allowed_trd_sides, WORDS["orders", "sides"])),
        *(("allowed_symbols", check_listed_symbol(text, frozenset(PREFIXES))) for text in limits.allowed_symbols or ()),
        ("max_order_value", _amount(limits.max_order_value)),
        ("max_daily_value", _amount(limits.max_daily_value)),
        ("max_orders_per_minute", _count(limits.max_orders_per_minute)),
    ]
    if limits.hours_window is not None:
        window, zone = read_window(limits.hours_window), read_zone(tz)
        found.append(("hours_window", window if isinstance(window, Bad) else None))
        found.append(("hours_window", None if isinstance(zone, ZoneInfo) else zone))
    return [(field, bad) for field, bad in found if bad is not None]


def _word(words: tuple[str, ...] | None, known: tuple[str, ...]) -> Bad | None:
    unknown = next((word for word in words or () if word not in known), None)
    if unknown is None:
        return None
    return Bad("bad_value", f"{unknown!r} is not known", f"known: {', '.join(known)}")


def _amount(amount: Decimal | None) -> Bad | None:
    if amount is None or (amount.is_finite() and 0 <= amount <= LEDGER_MAX and _is_exact(amount)):
        return None
    return Bad("bad_money", f"{amount} is not an amount", "zero or more, at most four decimals")


def _is_exact(amount: Decimal) -> bool:
    units = ledger_units(amount)
    return units <= LEDGER_MAX and from_units(units) == amount


def _count(count: int | None) -> Bad | None:
    if count is None or 0 <= count <= 100_000:  # noqa: PLR2004 - the bound of every rate
        return None
    return Bad("bad_value", f"{count} is out of bounds", "0 to 100000")
