"""The shape of a policy file: its tables and keys, their types, and what this version refuses to pretend to enforce.

One struct a table; what a key means is in `table`. `None` everywhere: the key was left out, so there is no such limit.
Texts that are lists in meaning may be written as one string. Everything here is plain data; the notations inside the
strings are read by `notation`, values are checked in `checks`, and what only two keys together show in `parse`.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from guard.markets import FUTURES, MARKETS
from guard.policy.rule import Per
from guard.terms import LEDGER_MAX, Env, OrderType, Side, TimeInForce

Texts = tuple[str, ...]
Text = Annotated[str, Meta(max_length=2000)]
Number = Annotated[int, Meta(ge=0, le=LEDGER_MAX)]
Percents = dict[str, int | Decimal]

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
    max_premium: Texts | None = None
    max_underlying_value: Texts | None = None
    max_qty: int | Decimal | None = None
    per_day: Number | None = None
    price_collar_percent: Percents | None = None
    market_buffer_percent: int | Decimal | None = None
    duplicate_window_s: Annotated[int, Meta(ge=0, le=86_400)] | None = None


class Budgets(Struct, frozen=True):
    """[budgets]: money in a day, and when the day begins."""

    per: Per = "key"
    daily_value: Texts | None = None
    resets: str | None = None
    open_orders: Number | None = None
    open_value: Texts | None = None


class Rates(Struct, frozen=True):
    """[rates]: requests in sliding windows."""

    per: Per = "key"
    new_orders: Texts | None = None
    changes: Texts | None = None
    reads: Texts | None = None
    cancels: Texts | None = None


class Rights(Struct, frozen=True):
    """[rights]: whose orders a key is shown, whose it may change or cancel, and what a cancel of all means."""

    see: Literal["account", "own"] = "account"
    touch: Literal["own", "account"] | None = None
    cancel_all: Literal["own", "account"] | None = None


class Breaker(Struct, frozen=True):
    """[breaker]: how many outcomes of a kind, in a window, stop a key until a person sets it active again."""

    unknowns: Texts | None = None
    daemon_refusals: Texts | None = None


class ReferenceTable(Struct, frozen=True):
    """[reference]: how old a price may be, and what a collar does without one."""

    price_age_max_s: int | Decimal | None = None
    price_collar_missing: Literal["refuse", "skip"] | None = None


class FxTable(Struct, frozen=True):
    """[fx]: exchange rates by pair (USDHKD: HKD for one USD), and until when they are believed."""

    rates: dict[str, str]
    as_of: date
    max_age_days: Annotated[int, Meta(ge=0, le=3650)] | None = None
    buffer_percent: int | Decimal | None = None


TABLES: Final[dict[str, type[Struct]]] = {
    "policy": PolicyTable,
    "applies_to": AppliesTo,
    "instruments": Instruments,
    "orders": Orders,
    "budgets": Budgets,
    "rates": Rates,
    "rights": Rights,
    "breaker": Breaker,
    "reference": ReferenceTable,
}
HOURS: Final = "hours"  # a table whose keys are markets
FX: Final = "fx"  # a table whose keys are pairs of currencies, beside those of `FxTable`
COLLAR_CLASSES: Final = ("stock", "option", "future")
PERCENT_MAX: Final = 1000


def expanded(markets: Texts) -> Texts:
    """The market words with FUTURES written out, each once, in the contract's order."""
    wanted = {word for name in markets for word in (FUTURES if name == FUTURES_WORD else (name,))}
    return tuple(word for word in MARKETS if word in wanted)
