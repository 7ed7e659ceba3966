"""The parts put together: instrument, quote, position and exchange of one order, from what is kept of each. Pure.

Every part that cannot be had is a `Missing` that names the datum, its age and why there is no newer one; its code is
what the order is refused with where a rule needs the part.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.markets import ZONE_OF, currency_of, kind_of
from guard.reference.answercache import Kept
from guard.reference.futures import FutureTerms
from guard.reference.sessions import AFTER_HOURS, OVERNIGHT, PRE_MARKET, session_from, session_of
from guard.reference.snapshot import Shown
from guard.reference.static import Static
from guard.reference.tradingdays import Calendar
from guard.terms import Exchange, Instrument, InstrumentKind, Missing, PlaceOrder, Quote, zone_of

Why = Callable[[], str]
"""Why there is no (newer) datum; asked for only where there is none."""

_MINUTE_US: Final = 60_000_000
_DAY: Final = timedelta(days=1)
# Kinds that are worth a multiple of their price: taking one for something else would value it wrongly.
_CONTRACTS: Final[frozenset[InstrumentKind]] = frozenset({"option", "future"})


class InstrumentFacts(Struct, frozen=True):
    """What is known of an instrument. `currency` is the one seen in orders or positions, "" where none was.

    `multiplier` and `terms` are an option's and a future's; `why` says why what is lacking is.
    """

    static: Static
    currency: str = ""
    multiplier: Decimal | None = None
    terms: FutureTerms | None = None
    why: Why = str


def aged(age_us: int) -> str:
    """An age for people: "7.2 s", "12 min", "5 h"."""
    if age_us < _MINUTE_US:
        return f"{Decimal(max(age_us, 0)) / 1_000_000:.1f} s"
    minutes = age_us // _MINUTE_US
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"  # noqa: PLR2004 - two hours


def instrument(order: PlaceOrder, facts: InstrumentFacts) -> Instrument | Missing:
    """What the order trades, or which of its particulars nobody knows."""
    symbol, kind = order.symbol, facts.static.kind
    spelled = kind_of(order.market, order.code)
    if kind != spelled and _CONTRACTS & {kind, spelled}:
        message = f"{symbol} is written like a {spelled}, and the daemon lists it as: {kind}"
        return Missing(Code.UNSUPPORTED_INSTRUMENT, message)
    multiplier = Decimal(1)
    if kind in _CONTRACTS:
        terms = None if facts.terms is None else facts.terms.multiplier
        found = facts.multiplier if kind == "option" else terms
        if found is None:
            return Missing(Code.REFERENCE_UNAVAILABLE, f"the multiplier of {symbol} is not known: {facts.why()}")
        multiplier = found
    currency, source = _currency(order, facts)
    if not currency:
        return Missing(Code.REFERENCE_UNAVAILABLE, f"the currency of {symbol} is not known: {facts.why()}")
    return Instrument(
        symbol=symbol,
        kind=kind,
        currency=currency,
        multiplier=multiplier,
        lot_size=facts.static.lot_size,
        strike=facts.static.strike,
        underlying=facts.static.underlying,
        source=source,
    )


def _currency(order: PlaceOrder, facts: InstrumentFacts) -> tuple[str, str]:
    """What the daemon's own orders show wins, then what a contract says of itself, then the market's."""
    if facts.currency:
        return facts.currency, "orders"
    if facts.terms is not None and facts.terms.currency:
        return facts.terms.currency, "future-info"
    return currency_of(order.market, order.code), "table"


# ---------------------------------------------------------------- prices


class Market(Struct, frozen=True):
    """A policy's market now: `state` is the QotMarketState, None where it is not known; `wall` the time of asking."""

    word: str
    state: int | None
    wall: datetime
    now_us: int


def quote(
    symbol: str, kept: Kept[Shown] | None, market: Market, *, age_max_ms: int, why: Why, is_late: bool = True
) -> Quote | Missing:
    """The prices of a symbol, or why they are not to be believed. `is_late`: nobody has said that there are none."""
    if kept is None:
        return Missing(Code.PRICE_UNAVAILABLE, f"no price of {symbol} is known: {why()}", is_late)
    age_us, shown = market.now_us - kept.answered_us, kept.value
    if age_us > age_max_ms * 1000:
        bound = aged(age_max_ms * 1000)
        message = f"the price of {symbol} is {aged(age_us)} old, and {bound} is the oldest that is believed: {why()}"
        return Missing(Code.PRICE_UNAVAILABLE, message, is_late)
    if not shown.has_price:
        return Missing(Code.PRICE_UNAVAILABLE, f"the daemon shows no price of {symbol}, {aged(age_us)} ago")
    return Quote(
        symbol=symbol,
        last=shown.last,
        bid=shown.bid,
        ask=shown.ask,
        prev_close=shown.prev_close,
        extended=_extended(shown, market.state),
        age_ms=max(age_us, 0) // 1000,
        exchange_at=shown.exchange_at,
        is_current=shown.exchange_at is not None and shown.exchange_at >= session_from(market.word, market.wall),
        is_suspended=shown.is_suspended,
        session=session_of(market.state),
    )


def _extended(shown: Shown, state: int | None) -> Decimal | None:
    if state == PRE_MARKET:
        return shown.pre
    if state == AFTER_HOURS:
        return shown.after
    return shown.overnight if state in OVERNIGHT else None


# ---------------------------------------------------------------- the market's day


def exchange(market: Market, calendar: Calendar | None, *, why: Why) -> Exchange | Missing:
    """The market's day and state; Missing where neither is known."""
    day = market.wall.astimezone(zone_of(ZONE_OF[market.word])).date()
    is_trading_day = None if calendar is None else calendar.is_trading_day(day)
    state = session_of(market.state)
    note = "" if is_trading_day is not None else f"the trading days of {market.word} are not known: {why()}"
    if is_trading_day is None and state == "unknown":
        return Missing(Code.REFERENCE_UNAVAILABLE, note)
    part = None if calendar is None else calendar.days.get(day)
    return Exchange(
        market=market.word,
        state=state,
        day=day,
        is_trading_day=is_trading_day,
        is_half_day=part in {"morning", "afternoon"},
        is_afternoon_only=part == "afternoon",
        was_trading_day=None if calendar is None else calendar.is_trading_day(day - _DAY),
        note=note,
    )
