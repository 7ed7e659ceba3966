"""What the world is like, for one order: the instrument, its price, the position, the exchange. Data with its age.

A datum that could not be had is a `Missing` in its place; whether that stops an order is for the rules to say. Prices
are in the instrument's currency, ages in milliseconds from the daemon's answer.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from guard.codes import Code
from guard.terms.claims import Missing

InstrumentKind = Literal["stock", "fund", "warrant", "option", "future", "bond", "index", "other"]
SessionState = Literal["continuous", "auction", "break", "extended", "closed", "unknown"]


NOT_ASKED: Final = Missing(Code.REFERENCE_UNAVAILABLE, "this was not asked for")
"""In the place of a part of the world that nothing which is judged looks at."""


class Instrument(Struct, frozen=True, omit_defaults=True):
    """What is traded. `multiplier`: units of the underlying one contract stands for, 1 for securities.

    `strike` and `underlying` for options and warrants; `lot_size` in shares or contracts, None where it is not known.
    `source` says where the currency comes from ("table", "future-info", "orders").
    """

    symbol: str
    kind: InstrumentKind
    currency: str
    multiplier: Decimal = Decimal(1)
    lot_size: int | None = None
    strike: Decimal | None = None
    underlying: str | None = None
    source: str = "table"


class Quote(Struct, frozen=True, omit_defaults=True):
    """Prices of one symbol; None where the daemon shows none. Only a future's may be negative, none is zero.

    `extended` is the price of the session before, after or between regular hours that is on now. `age_ms` counts from
    the daemon's answer; `exchange_at` is the exchange's time (UTC), and `is_current` says that it lies in the session
    day of now. `session` is the market's state: outside of "continuous" the last price may be an old one.
    """

    symbol: str
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    prev_close: Decimal | None = None
    extended: Decimal | None = None
    age_ms: int = 0
    exchange_at: datetime | None = None
    is_current: bool = False
    is_suspended: bool = False
    session: SessionState = "unknown"


class Position(Struct, frozen=True, omit_defaults=True):
    """What an account holds of one symbol: signed quantity (short is negative), read from the daemon `age_ms` ago.

    `price`: at which it is shown, else at which it was come by, where either is told.
    """

    symbol: str
    qty: Decimal
    age_ms: int = 0
    price: Decimal | None = None


class Exchange(Struct, frozen=True, omit_defaults=True):
    """The market's day and state. `day` is the date in the market's own zone.

    `is_trading_day` None: the calendar is not known, and `note` says why. `was_trading_day` is the day before, for
    hours that cross midnight. On a half-day only the morning is traded, or (`is_afternoon_only`) only the afternoon.
    """

    market: str
    state: SessionState = "unknown"
    day: date | None = None
    is_trading_day: bool | None = None
    is_half_day: bool = False
    is_afternoon_only: bool = False
    was_trading_day: bool | None = None
    note: str = ""


class World(Struct, frozen=True, omit_defaults=True):
    """Everything that rules look at beside the order itself. `underlying` is the quote of what an option is on.

    `held`: of a sale of what the daemon says it has no quote of, the price at which the account's own positions show
    it; None where they show none.
    """

    instrument: Instrument | Missing
    quote: Quote | Missing
    exchange: Exchange | Missing
    underlying: Quote | Missing | None = None
    position: Position | Missing | None = None
    held: Quote | Missing | None = None


class Needs(Struct, frozen=True, omit_defaults=True):
    """What the rules that bind one order have to know of the world; nothing else is asked for.

    `price_age_max_ms`: a quote older than that will not be believed. Where a member is False the rules do not look at
    it: whatever is cached, or a `Missing`, may stand in its place.
    """

    instrument: bool = False
    quote: bool = False
    underlying: bool = False
    exchange: bool = False
    position: bool = False
    price_age_max_ms: int = 5_000

    @property
    def is_nothing(self) -> bool:
        """The order can be judged without asking anybody."""
        return not (self.instrument or self.quote or self.underlying or self.exchange or self.position)
