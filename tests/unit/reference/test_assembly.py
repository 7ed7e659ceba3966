"""The parts of a world put together from what is kept."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from guard.codes import Code
from guard.reference.answercache import Kept
from guard.reference.assembly import InstrumentFacts, Market, aged, exchange, instrument, quote
from guard.reference.futures import FutureTerms
from guard.reference.snapshot import Shown
from guard.reference.static import Static
from guard.reference.tradingdays import Calendar
from guard.terms import Exchange, Instrument, Missing, Quote
from tests.support.reference import MONDAY, order

STATIC = Static("stock", 100)
FUTURE, OPTION, FIFTY = Static("future"), Static("option"), Decimal(50)
HSI = InstrumentFacts(FUTURE, terms=FutureTerms(FIFTY, "HKD"))


def why() -> str:
    """Why something is missing."""
    return "nobody said"


@pytest.mark.parametrize(
    ("age_us", "text"),
    [
        (0, "0.0 s"),
        (-5, "0.0 s"),
        (7_249_000, "7.2 s"),
        (59_900_000, "59.9 s"),
        (60_000_000, "1 min"),
        (7_199_000_000, "119 min"),
        (7_200_000_000, "2 h"),
        (86_400_000_000, "24 h"),
    ],
)
def test_ages_are_for_people(age_us: int, text: str) -> None:
    """Seconds, minutes, hours."""
    assert aged(age_us) == text


# ---------------------------------------------------------------- instruments


@pytest.mark.parametrize(
    ("symbol", "market", "facts", "expected"),
    [
        ("HK.00700", "HK", InstrumentFacts(STATIC), ("stock", "HKD", 1, "table")),
        ("HK.80700", "HK", InstrumentFacts(STATIC), ("stock", "CNH", 1, "table")),
        ("SH.600519", "HKCC", InstrumentFacts(STATIC), ("stock", "CNH", 1, "table")),
        ("HK.80700", "HK", InstrumentFacts(STATIC, currency="HKD"), ("stock", "HKD", 1, "orders")),
        ("HK.HSI2612", "FUTURES_HK", HSI, ("future", "HKD", 50, "future-info")),
        (
            "SG.XX2612",
            "FUTURES_SG",
            InstrumentFacts(FUTURE, terms=FutureTerms(FIFTY, "USD")),
            ("future", "USD", 50, "future-info"),
        ),
        ("HK.HSI2612", "FUTURES_HK", InstrumentFacts(FUTURE, terms=FutureTerms(FIFTY)), ("future", "HKD", 50, "table")),
        (
            "HK.HSI2612",
            "FUTURES_HK",
            InstrumentFacts(FUTURE, "CNH", terms=FutureTerms(FIFTY, "HKD")),
            ("future", "CNH", 50, "orders"),
        ),
        (
            "US.AAPL261218C200000",
            "US",
            InstrumentFacts(OPTION, multiplier=Decimal(100)),
            ("option", "USD", 100, "table"),
        ),
        ("HK.14730", "HK", InstrumentFacts(Static("warrant"), multiplier=Decimal(9)), ("warrant", "HKD", 1, "table")),
    ],
)
def test_w08_kind_currency_and_multiplier(symbol: str, market: str, facts: InstrumentFacts, expected: Any) -> None:
    """What orders show wins, then the contract's own word, then the market's table (W08)."""
    found = instrument(order(symbol, market), facts)

    assert isinstance(found, Instrument)
    assert (found.kind, found.currency, int(found.multiplier), found.source) == expected


@pytest.mark.parametrize(
    ("symbol", "market", "facts", "message"),
    [
        ("US.AAPL261218C200000", "US", InstrumentFacts(OPTION, why=why), "the multiplier of US.AAPL261218C200000"),
        ("HK.HSI2612", "FUTURES_HK", InstrumentFacts(FUTURE, why=why), "the multiplier of HK.HSI2612"),
        (
            "HK.HSI2612",
            "FUTURES_HK",
            InstrumentFacts(FUTURE, terms=FutureTerms(None, "HKD"), why=why),
            "the multiplier",
        ),
        ("SG.XX2612", "FUTURES_SG", InstrumentFacts(FUTURE, terms=FutureTerms(FIFTY), why=why), "the currency of"),
    ],
)
def test_w07_a_contract_without_its_particulars_is_missing(
    symbol: str, market: str, facts: InstrumentFacts, message: str
) -> None:
    """It is not valued as if its multiplier were 1, nor in a currency that was guessed (W07, W08)."""
    found = instrument(order(symbol, market), facts)

    assert isinstance(found, Missing)
    assert found.code is Code.REFERENCE_UNAVAILABLE
    assert found.message.startswith(message)
    assert found.message.endswith("is not known: nobody said")


@pytest.mark.parametrize(
    ("symbol", "market", "kind"),
    [
        ("US.AAPL261218C200000", "US", "stock"),
        ("HK.00700", "HK", "option"),
        ("HK.00700", "HK", "future"),
        ("HK.HSI2612", "FUTURES_HK", "stock"),
        ("HK.HSI2612", "FUTURES_HK", "option"),
    ],
)
def test_a_code_that_looks_like_something_else_is_not_supported(symbol: str, market: str, kind: Any) -> None:
    """Either reading would value it a hundred times too low for somebody."""
    found = instrument(order(symbol, market), InstrumentFacts(Static(kind), multiplier=Decimal(100)))

    assert isinstance(found, Missing)
    assert found.code is Code.UNSUPPORTED_INSTRUMENT


@pytest.mark.parametrize("kind", ["fund", "warrant", "bond", "index", "other"])
def test_what_is_traded_by_the_piece_may_be_written_like_a_stock(kind: Any) -> None:
    """Its code does not tell."""
    found = instrument(order(), InstrumentFacts(Static(kind)))

    assert isinstance(found, Instrument)
    assert found.kind == kind


# ---------------------------------------------------------------- prices

SHOWN = Shown(
    STATIC,
    last=Decimal(300),
    bid=Decimal(299),
    ask=Decimal(301),
    prev_close=Decimal(296),
    pre=Decimal(310),
    after=Decimal(311),
    overnight=Decimal(312),
    exchange_at=MONDAY,
)


def market(state: int | None = 3, *, word: str = "HK", wall: datetime = MONDAY) -> Market:
    """A market ten seconds after the clock began."""
    return Market(word, state, wall, 10_000_000)


def test_a_quote_has_prices_age_and_session() -> None:
    """The age counts from the daemon's answer."""
    kept = Kept(SHOWN, asked_us=1_000_000, answered_us=8_765_000)

    assert quote("HK.00700", kept, market(), age_max_ms=5000, why=why) == Quote(
        "HK.00700",
        last=Decimal(300),
        bid=Decimal(299),
        ask=Decimal(301),
        prev_close=Decimal(296),
        age_ms=1235,
        exchange_at=MONDAY,
        is_current=True,
        session="continuous",
    )


@pytest.mark.parametrize(("age_us", "is_believed"), [(5_000_000, True), (5_000_001, False)])
def test_a_price_of_exactly_the_bound_is_believed(age_us: int, is_believed: bool) -> None:
    """One microsecond more is too old, and the refusal names the datum and its age."""
    kept = Kept(SHOWN, 0, 10_000_000 - age_us)
    found = quote("HK.00700", kept, market(), age_max_ms=5000, why=why)

    assert isinstance(found, Quote) is is_believed
    if isinstance(found, Missing):
        assert found.code is Code.PRICE_UNAVAILABLE
        assert found.message == (
            "the price of HK.00700 is 5.0 s old, and 5.0 s is the oldest that is believed: nobody said"
        )


def test_no_price_at_all_is_missing() -> None:
    """Never asked for, or a row without any."""
    never = quote("HK.00700", None, market(), age_max_ms=5000, why=why)
    empty = quote("HK.00700", Kept(Shown(STATIC), 0, 9_000_000), market(), age_max_ms=5000, why=why)

    assert never == Missing(Code.PRICE_UNAVAILABLE, "no price of HK.00700 is known: nobody said", is_late=True)
    assert empty == Missing(Code.PRICE_UNAVAILABLE, "the daemon shows no price of HK.00700, 1.0 s ago")


@pytest.mark.parametrize(
    ("state", "session", "extended"),
    [
        (3, "continuous", None),
        (1, "auction", None),
        (4, "break", None),
        (6, "closed", None),
        (8, "extended", 310),
        (10, "extended", 311),
        (37, "extended", 312),
        (35, "extended", None),
        (None, "unknown", None),
    ],
)
def test_outside_of_continuous_trading_the_quote_says_so(state: int | None, session: str, extended: int | None) -> None:
    """Lunch, auction and close are flagged; extended hours have the price of theirs."""
    found = quote("US.AAPL", Kept(SHOWN, 0, 9_000_000), market(state, word="US"), age_max_ms=5000, why=why)

    assert isinstance(found, Quote)
    assert (found.session, found.extended) == (session, extended)
    assert found.last == 300


@pytest.mark.parametrize(
    ("exchange_at", "is_current"),
    [
        (MONDAY, True),
        (datetime(2026, 11, 22, 16, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 22, 15, 59, tzinfo=UTC), False),
        (None, False),
    ],
)
def test_a_price_of_another_day_is_not_current(exchange_at: datetime | None, is_current: bool) -> None:
    """By the exchange's own time, from midnight in Hong Kong; a suspended stock has an old one."""
    shown = Shown(STATIC, last=Decimal(1), exchange_at=exchange_at, is_suspended=True)
    found = quote("HK.00700", Kept(shown, 0, 9_000_000), market(), age_max_ms=5000, why=why)

    assert isinstance(found, Quote)
    assert (found.is_current, found.is_suspended) == (is_current, True)


# ---------------------------------------------------------------- the market's day


def calendar(**days: Any) -> Calendar:
    """Trading days of November by number: d23="whole"."""
    found = {date(2026, 11, int(name[1:])): part for name, part in days.items()}
    return Calendar(date(2026, 11, 20), date(2026, 11, 30), found)


def test_a_trading_day() -> None:
    """In the market's own date, with the day before."""
    assert exchange(market(), calendar(d20="whole", d23="whole"), why=why) == Exchange(
        "HK", "continuous", date(2026, 11, 23), is_trading_day=True, was_trading_day=False
    )


def test_the_date_is_the_markets_own() -> None:
    """Monday morning in Hong Kong is Sunday evening in New York."""
    found = exchange(market(word="US"), calendar(d23="whole"), why=why)

    assert isinstance(found, Exchange)
    assert (found.day, found.is_trading_day) == (date(2026, 11, 22), False)


@pytest.mark.parametrize(
    ("part", "half", "afternoon"), [("whole", False, False), ("morning", True, False), ("afternoon", True, True)]
)
def test_half_days(part: str, half: bool, afternoon: bool) -> None:
    """Morning only, or, after a typhoon, afternoon only."""
    found = exchange(market(), calendar(d23=part), why=why)

    assert isinstance(found, Exchange)
    assert (found.is_trading_day, found.is_half_day, found.is_afternoon_only) == (True, half, afternoon)


def test_a_calendar_that_is_not_known_says_why() -> None:
    """The state may be known all the same; without both there is nothing."""
    unknown = "the trading days of HK are not known: nobody said"

    assert exchange(market(), None, why=why) == Exchange("HK", "continuous", date(2026, 11, 23), note=unknown)
    assert exchange(market(None), None, why=why) == Missing(Code.REFERENCE_UNAVAILABLE, unknown)
    late = market(wall=datetime(2026, 12, 5, tzinfo=UTC))
    assert exchange(late, calendar(d23="whole"), why=why) == Exchange(
        "HK", "continuous", date(2026, 12, 5), note=unknown
    )
