"""Should it happen: the policy file and the key's own limits, as rules that are all asked."""

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from access import Key
from orders import Environment, Market, Order
from refusals import Reason

ZONES: Final = {
    Market.HK: ZoneInfo("Asia/Hong_Kong"),
    Market.US: ZoneInfo("America/New_York"),
    Market.CN: ZoneInfo("Asia/Shanghai"),
    Market.SG: ZoneInfo("Asia/Singapore"),
    Market.JP: ZoneInfo("Asia/Tokyo"),
    Market.AU: ZoneInfo("Australia/Sydney"),
    Market.MY: ZoneInfo("Asia/Kuala_Lumpur"),
    Market.CA: ZoneInfo("America/Toronto"),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Such as "15/30s"."""
        count, _, seconds = text.removesuffix("s").partition("/")
        return cls(int(count), int(seconds))


def _money(texts: Iterable[str]) -> dict[str, Decimal]:
    """Such as ["100000 HKD", "12500 USD"]: amounts by currency."""
    return {currency: Decimal(amount) for amount, currency in (text.split() for text in texts)}


def _hours(said: str | list[str]) -> list[tuple[time, time]] | None:
    """Such as ["09:30-12:00"]; None is always."""
    if said == "always":
        return None
    return [(time.fromisoformat(start), time.fromisoformat(end)) for start, end in (span.split("-") for span in said)]


@dataclass(frozen=True)
class Policy:
    """One policy file."""

    id: str
    keys: list[str]
    environments: frozenset[str]
    markets: frozenset[str]
    symbols: list[str]
    blocked_symbols: frozenset[str]
    sides: frozenset[str]
    types: frozenset[str]
    time_in_force: frozenset[str]
    max_value: dict[str, Decimal]
    max_qty: Decimal
    per_day: int
    duplicate_window_s: int
    hours: dict[str, list[tuple[time, time]] | None]
    daily_value: dict[str, Decimal]
    new_orders: Rate
    reads: Rate

    @classmethod
    def read(cls, path: Path) -> Self:
        """From the guard's own file."""
        said: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        orders, instruments, rates = said["orders"], said["instruments"], said["rates"]
        return cls(
            id=said["policy"]["id"],
            keys=said["applies_to"]["keys"],
            environments=frozenset(said["applies_to"]["environments"]),
            markets=frozenset(instruments["markets"]),
            symbols=instruments["symbols"],
            blocked_symbols=frozenset(instruments["blocked_symbols"]),
            sides=frozenset(orders["sides"]),
            types=frozenset(orders["types"]),
            time_in_force=frozenset(orders["time_in_force"]),
            max_value=_money(orders["max_value"]),
            max_qty=Decimal(orders["max_qty"]),
            per_day=orders["per_day"],
            duplicate_window_s=orders["duplicate_window_s"],
            hours={market: _hours(spans) for market, spans in said["hours"].items()},
            daily_value=_money(said["budgets"]["daily_value"]),
            new_orders=Rate.parse(rates["new_orders"]),
            reads=Rate.parse(rates["reads"]),
        )

    def binds(self, key: Key, environment: Environment) -> bool:
        """Whether it is meant for this caller."""
        return environment in self.environments and any(fnmatchcase(key.id, pattern) for pattern in self.keys)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the rules look at."""

    order: Order
    key: Key
    value: Decimal
    now: datetime


Check = Callable[[Policy, Asked], Reason | None]


def violations(policy: Policy, asked: Asked) -> list[Reason]:
    """Why the order may not pass, by the key's limits and the policy's: every rule is asked."""
    found = [reason for check in KEY_CHECKS if (reason := check(asked)) is not None]
    if not policy.binds(asked.key, asked.order.env):
        return [*found, Reason("no_policy", "no policy covers this order")]
    return found + [reason for check in CHECKS if (reason := check(policy, asked)) is not None]


# ---------------------------------------------------------------- the key's own limits


def _key_market(asked: Asked) -> Reason | None:
    return _among(
        asked.order.market, asked.key.allowed_markets, "market", policy=f"key:{asked.key.id}", rule="allowed_markets"
    )


def _key_side(asked: Asked) -> Reason | None:
    return _among(
        asked.order.side, asked.key.allowed_trd_sides, "side", policy=f"key:{asked.key.id}", rule="allowed_trd_sides"
    )


def _key_value(asked: Asked) -> Reason | None:
    limit, currency = asked.key.max_order_value, asked.order.market.currency
    return _above(asked.value, limit, currency, policy=f"key:{asked.key.id}", rule="max_order_value")


# ---------------------------------------------------------------- the policy's


def _market(policy: Policy, asked: Asked) -> Reason | None:
    return _among(asked.order.market, policy.markets, "market", policy=policy.id, rule="instruments.markets")


def _symbol(policy: Policy, asked: Asked) -> Reason | None:
    symbol = asked.order.symbol
    if symbol in policy.blocked_symbols:
        return Reason("symbol", f"{symbol} is blocked", policy.id, "instruments.blocked_symbols", symbol)
    if any(fnmatchcase(symbol, pattern) for pattern in policy.symbols):
        return None
    return Reason("symbol", f"{symbol} is not allowed", policy.id, "instruments.symbols", symbol)


def _side(policy: Policy, asked: Asked) -> Reason | None:
    return _among(asked.order.side, policy.sides, "side", policy=policy.id, rule="orders.sides")


def _type(policy: Policy, asked: Asked) -> Reason | None:
    return _among(asked.order.order_type, policy.types, "order_type", policy=policy.id, rule="orders.types")


def _time(policy: Policy, asked: Asked) -> Reason | None:
    return _among(
        asked.order.time_in_force, policy.time_in_force, "time_in_force", policy=policy.id, rule="orders.time_in_force"
    )


def _open(policy: Policy, asked: Asked) -> Reason | None:
    market = asked.order.market
    if market not in policy.hours:
        return Reason("hours", f"{market} has no hours", policy.id, "hours")
    spans = policy.hours[market]
    if spans is None:
        return None
    there = asked.now.astimezone(ZONES[market])
    if there.weekday() < 5 and any(start <= there.time() < end for start, end in spans):
        return None
    return Reason("hours", f"{market} is closed at {there:%H:%M}", policy.id, f"hours.{market}", f"{there:%H:%M}")


def _qty(policy: Policy, asked: Asked) -> Reason | None:
    if asked.order.qty <= policy.max_qty:
        return None
    message = f"quantity {asked.order.qty} is above {policy.max_qty}"
    return Reason("max_order_qty", message, policy.id, "orders.max_qty", str(asked.order.qty), str(policy.max_qty))


def _value(policy: Policy, asked: Asked) -> Reason | None:
    currency = asked.order.market.currency
    return _above(asked.value, policy.max_value.get(currency), currency, policy=policy.id, rule="orders.max_value")


def _among(value: str, allowed: frozenset[str] | None, code: str, *, policy: str, rule: str) -> Reason | None:
    if allowed is None or value in allowed:
        return None
    return Reason(code, f"{value} is not allowed", policy, rule, value, " ".join(sorted(allowed)))


def _above(value: Decimal, limit: Decimal | None, currency: str, *, policy: str, rule: str) -> Reason | None:
    if limit is None or value <= limit:
        return None
    message = f"order value {value} {currency} is above {limit} {currency}"
    return Reason("max_order_value", message, policy, rule, str(value), str(limit), currency)


KEY_CHECKS: Final[tuple[Callable[[Asked], Reason | None], ...]] = (_key_market, _key_side, _key_value)
CHECKS: Final[tuple[Check, ...]] = (_market, _symbol, _side, _type, _time, _open, _qty, _value)
