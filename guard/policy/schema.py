"""The shape of a policy file: its tables and keys, their types, and what this version refuses to pretend to enforce.

One struct a table; a key's doc is in contract §5. `None` everywhere: the key was left out, so there is no such limit.
Texts that are lists in meaning may be written as one string. Everything here is plain data; the notations inside the
strings are read by `notation`, the cross-checks are in `document`.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from guard.markets import FUTURES, MARKETS
from guard.policy.rule import Per
from guard.terms import LEDGER_MAX, Env, OrderType, Side, TimeInForce

Texts = tuple[str, ...]
Text = Annotated[str, Meta(max_length=2000)]
Number = Annotated[int, Meta(ge=0, le=LEDGER_MAX)]

FUTURES_WORD: Final = "FUTURES"
WORDS: Final[dict[tuple[str, str], Texts]] = {
    ("applies_to", "environments"): tuple(env.word for env in Env),
    ("instruments", "markets"): (*MARKETS, FUTURES_WORD),
    ("orders", "sides"): tuple(side.name for side in Side),
    ("orders", "types"): tuple(type_.name for type_ in OrderType),
    ("orders", "time_in_force"): tuple(word.name for word in TimeInForce),
}


class PolicyTable(Struct, frozen=True):
    """[policy]: what the policy is called, whose it is, why it exists, and until when it binds."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    owner: Text | None = None
    rationale: Text | None = None
    mode: Literal["enforce", "shadow"] = "enforce"
    revision: Number | None = None
    expires_at: datetime | None = None


class AppliesTo(Struct, frozen=True):
    """[applies_to]: every selector given must match; none given is everyone."""

    keys: Texts | None = None
    except_keys: Texts | None = None
    environments: Texts | None = None
    accounts: tuple[Annotated[int, Meta(gt=0)], ...] | None = None


class Instruments(Struct, frozen=True):
    """[instruments]: allow-lists of markets and symbols, and symbols that nobody may trade."""

    markets: Texts | None = None
    symbols: Texts | None = None
    blocked_symbols: Texts | None = None


class Orders(Struct, frozen=True):
    """[orders]: what a single order may be."""

    sides: Texts | None = None
    types: Texts | None = None
    time_in_force: Texts | None = None
    max_value: Texts | None = None
    max_qty: int | Decimal | None = None
    per_day: Number | None = None
    duplicate_window_s: Annotated[int, Meta(ge=0, le=86_400)] | None = None


class Budgets(Struct, frozen=True):
    """[budgets]: money in a day, and when the day begins."""

    per: Per = "key"
    daily_value: Texts | None = None
    resets: str | None = None


class Rates(Struct, frozen=True):
    """[rates]: requests in sliding windows."""

    per: Per = "key"
    new_orders: Texts | None = None
    changes: Texts | None = None
    reads: Texts | None = None
    cancels: Texts | None = None


class Rights(Struct, frozen=True):
    """[rights]: whose orders a key may change or cancel."""

    see: Literal["account", "own"] = "account"
    touch: Literal["own", "account"] | None = None


TABLES: Final[dict[str, type[Struct]]] = {
    "policy": PolicyTable,
    "applies_to": AppliesTo,
    "instruments": Instruments,
    "orders": Orders,
    "budgets": Budgets,
    "rates": Rates,
    "rights": Rights,
}
HOURS: Final = "hours"  # the one table whose keys are markets

# Named by the contract, not enforced yet: refused, so that nobody believes in a limit that is not there.
NOT_SUPPORTED: Final[dict[tuple[str, ...], str]] = {
    ("orders", "max_premium"): "options are not valued, so a money limit refuses them",
    ("orders", "max_underlying_value"): "options are not valued, so a money limit refuses them",
    ("orders", "price_collar_percent"): "there are no reference prices",
    ("orders", "market_buffer_percent"): "an order without a limit price is refused under a money limit",
    ("budgets", "open_orders"): "the end of an order is not followed",
    ("budgets", "open_value"): "the end of an order is not followed",
    ("rights", "cancel_all"): "a cancel-all is judged by rights.touch",
    ("breaker",): "a key is stopped with `POST /admin/state`",
    ("reference",): "there are no reference prices",
    ("fx",): "give one amount per currency instead",
}


def expanded(markets: Texts) -> Texts:
    """The market words with FUTURES written out, each once, in the contract's order."""
    wanted = {word for name in markets for word in (FUTURES if name == FUTURES_WORD else (name,))}
    return tuple(word for word in MARKETS if word in wanted)
