"""Money and claims: what an order is worth, and what it shall hold on the counters.

Ledger amounts are integers of 1/10,000 of the unit.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct, field

from guard.codes import Code

LEDGER_UNIT: Final = 10_000  # ledger amounts count ten-thousandths of the currency's unit
LEDGER_MAX: Final = 2**53  # a cap above this is a load error: another store may hold it as a double


class Money(Struct, frozen=True, order=True, gc=False):
    """An amount and its currency (ISO-like: HKD, USD, CNH, JPY, SGD, AUD, CAD, MYR)."""

    amount: Decimal
    currency: str


class Conversion(Struct, frozen=True, omit_defaults=True):
    """An order's value met in another currency: the amount it came to, rounded up, and by which rate of which day.

    `rate` as the policy writes it ("USDHKD 7.80"); `buffer_percent` was added on top.
    """

    value: Money
    rate: str
    as_of: date
    buffer_percent: Decimal = Decimal(0)


class Valuation(Struct, frozen=True, omit_defaults=True, gc=False):
    """What an order is worth for the limits, and how that was found; `arithmetic` is for people.

    `value` is quantity x `price` x `multiplier`; of an option that is the premium, and `underlying` what it stands for.
    `age_ms` and `exchange_at` are those of the price that was looked up, None where the order's own price was enough.
    """

    value: Money
    price: Decimal
    source: str
    multiplier: Decimal = Decimal(1)
    arithmetic: str = ""
    age_ms: int | None = None
    exchange_at: datetime | None = None
    underlying: Money | None = None
    fx: tuple[Conversion, ...] = ()


class Missing(Struct, frozen=True, omit_defaults=True):
    """A datum that could not be had: a value, not an exception. `code` is the refusal it leads to.

    `is_late`: nobody says that there is none, it was only not told in time.
    """

    code: Code
    message: str
    is_late: bool = False


ClaimKind = Literal["spend", "working", "count", "rate", "once", "slot"]


def _uncapped() -> None:
    """A default that is made is written, too: in the record every claim has a cap, or says that it has none."""


class Claim(Struct, frozen=True, omit_defaults=True, cache_hash=True, gc=False):
    """What an order *shall hold* on a counter afterwards: a target, never a delta.

    `counter` is the name of one number in the ledger, of a *cell*: what is measured, whose, and in which period.
    `amount`: ledger units for money, 1 for counts and rates, 0 for slots. `cap` None: counted, never refused.
    `window_ms`: length of the sliding window (t-w, t], or a slot's lifetime. `also`: cells that count against the cap
    unchanged; only who looks needs them, no record holds them. `value`: a slot's digest. `whole`: what the order would
    hold were nothing of it filled, where that is another amount. `unseen`: what it holds beyond that until a list shows
    it, for fills that nobody has told of yet may have cost as much; no cap looks at it.
    """

    kind: ClaimKind
    counter: str
    amount: int
    cap: int | None = field(default_factory=_uncapped)
    window_ms: int = 0
    also: tuple[str, ...] = ()
    value: str = ""
    whole: int | None = None
    unseen: int = 0

    @property
    def held(self) -> int:
        """What the order holds once the change is accepted, until more is known of it."""
        return self.amount + self.unseen


class Granted(Struct, frozen=True, gc=False):
    """Every claim fits; `used` is each counter before this step, the holder's own part left out."""

    used: tuple[int, ...]


class Shortfall(Struct, frozen=True):
    """A claim that does not fit: its index, what is used without it, and when a window has room again (µs of `t`)."""

    index: int
    used: int
    free_at_us: int | None = None


class Full(Struct, frozen=True):
    """Some claims do not fit; nothing was changed."""

    used: tuple[int, ...]
    shortfalls: tuple[Shortfall, ...]


class Taken(Struct, frozen=True):
    """A slot is held by another step: `value` is its digest, `step` the decision that holds it."""

    value: str
    step: str
