"""Reference prices: what a quote says that an order will meet, and whether it is to be believed.

In a running session that is the touch of the order's side and the last price; in a break, an auction, a suspension or
after the close there is no touch to trust, so it is the last price of the day, else the previous close, and the source
says so. A price is fresh while its answer is young (`reference.price_age_max_s`); for an order that will take whatever
price it meets, the exchange's own time must also lie in the present session.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.policy.notation import plain
from guard.terms import Missing, Quote, Side

BUFFER_PERCENT: Final = Decimal(5)  # where no policy says
PRICE_AGE_MAX_MS: Final = 5_000  # likewise
NO_PRICE: Final = Missing(Code.PRICE_UNAVAILABLE, "no reference price is known")
UNPRICED: Final = frozenset({Code.PRICE_UNAVAILABLE, Code.UNSUPPORTED_INSTRUMENT})
"""What an order that only reduces is not refused for: no price, nor one of what the daemon knows no more."""
_RUNNING: Final = frozenset({"continuous", "extended", "unknown"})


class ValueTerms(Struct, frozen=True):
    """What policies say about prices: the tightest of all that bind.

    `price_age_max_ms` None believes a price of any age and day: to count an order that no price may stop.
    """

    buffer_percent: Decimal = BUFFER_PERCENT
    price_age_max_ms: int | None = PRICE_AGE_MAX_MS


class SeenPrices(Struct, frozen=True):
    """The prices that an order may meet now, by name ("ask", "last"), and how old they are. Never empty.

    `flag` says why there is no touch among them: "auction", "break", "closed", "suspended".
    """

    prices: tuple[tuple[str, Decimal], ...]
    age_ms: int
    exchange_at: datetime | None = None
    flag: str = ""

    def furthest(self) -> "Price":
        """The price furthest from nothing: what an order is worth at most, also where prices are negative."""
        return self._price(max(self.prices, key=lambda named: named[1].copy_abs()))

    def dearest(self) -> "Price":
        """The highest: what a buyer's price is compared with."""
        return self._price(max(self.prices, key=lambda named: named[1]))

    def cheapest(self) -> "Price":
        """The lowest: what a seller's price is compared with."""
        return self._price(min(self.prices, key=lambda named: named[1]))

    def any_price(self, holds: Callable[[Decimal], bool]) -> bool:
        """Whether it holds for one of the prices."""
        return any(holds(price) for _, price in self.prices)

    def _price(self, named: tuple[str, Decimal]) -> "Price":
        return Price(f"{named[0]}, {self.flag}" if self.flag else named[0], named[1], self.age_ms)


class Price(Struct, frozen=True):
    """One price, where it comes from, and its age."""

    source: str
    amount: Decimal
    age_ms: int

    @property
    def told(self) -> str:
        """For people: "ask 300.2, 0.4 s old"."""
        return f"{self.source} {plain(self.amount)}, {age_text(self.age_ms)} old"


def age_text(age_ms: int) -> str:
    """Milliseconds as seconds with one decimal, rounded up: an age never looks smaller than it is."""
    return f"{plain(Decimal(-(-age_ms // 100)) / 10)} s"


def seen(quote: Quote | Missing, *, side: Side, terms: ValueTerms, is_taker: bool) -> SeenPrices | Missing:
    """The prices that a quote shows to an order of this side. `is_taker`: it takes whatever price it meets."""
    stale = quote if isinstance(quote, Missing) else too_old(quote, terms)
    if stale is not None or isinstance(quote, Missing):
        return stale or NO_PRICE
    state = "suspended" if quote.is_suspended else quote.session
    if state in _RUNNING:
        if is_taker and not quote.is_current and terms.price_age_max_ms is not None:
            return Missing(Code.PRICE_UNAVAILABLE, _not_of_session(quote))
        touch = ("ask", quote.ask) if side is Side.BUY else ("bid", quote.bid)
        is_traded = state == "extended" and quote.extended is not None
        named, flag = (touch, ("extended", quote.extended) if is_traded else ("last", quote.last)), ""
    else:
        last, close = ("last", quote.last), ("previous close", quote.prev_close)
        named, flag = ((last, close) if quote.is_current or state != "auction" else (close, last)), state
    prices = tuple((name, price) for name, price in named if price)
    if not prices:
        return Missing(Code.PRICE_UNAVAILABLE, f"the daemon has no price of {quote.symbol}")
    return SeenPrices(prices[:1] if flag else prices, quote.age_ms, quote.exchange_at, flag)


def too_old(quote: Quote, terms: ValueTerms) -> Missing | None:
    """Why the quote's age stands against it."""
    limit_ms = terms.price_age_max_ms
    if limit_ms is None or quote.age_ms <= limit_ms:
        return None
    message = (
        f"the price of {quote.symbol} is {age_text(quote.age_ms)} old; "
        f"at most {age_text(limit_ms)} (reference.price_age_max_s)"
    )
    return Missing(Code.PRICE_UNAVAILABLE, message, is_late=True)


def _not_of_session(quote: Quote) -> str:
    if quote.exchange_at is None:
        return f"the exchange's time of the price of {quote.symbol} is not known, nor that it is of this session"
    return f"the price of {quote.symbol} is of {quote.exchange_at:%Y-%m-%d %H:%M:%S} UTC, before the present session"
