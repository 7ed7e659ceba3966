"""Reference prices: which ones, how old, and of which session."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from guard.codes import Code
from guard.policy.prices import SeenPrices, ValueTerms, age_text, seen
from guard.terms import Missing, Quote, Side
from tests.support.worlds import NOT_ASKED, quote

BOOK = {"bid": "299", "ask": "301", "prev_close": "290"}


def shown(prices: Quote, side: Side = Side.BUY, *, is_taker: bool = True) -> SeenPrices:
    """The prices of a quote that is believed."""
    found = seen(prices, side=side, terms=ValueTerms(), is_taker=is_taker)
    assert isinstance(found, SeenPrices), found
    return found


@pytest.mark.parametrize(
    ("side", "fields", "prices"),
    [
        (Side.BUY, {}, (("ask", "301"), ("last", "300"))),
        (Side.SELL, {}, (("bid", "299"), ("last", "300"))),
        (Side.BUY, {"ask": None}, (("last", "300"),)),
        (Side.BUY, {"ask": "0"}, (("last", "300"),)),
        (Side.SELL, {"last": None}, (("bid", "299"),)),
        (Side.BUY, {"session": "extended", "extended": "310"}, (("ask", "301"), ("extended", "310"))),
        (Side.BUY, {"session": "extended"}, (("ask", "301"), ("last", "300"))),
        (Side.BUY, {"session": "unknown"}, (("ask", "301"), ("last", "300"))),
    ],
)
def test_a_running_session_shows_touch_and_last(side: Side, fields: dict[str, Any], prices: Any) -> None:
    """The touch is that of the order's own side; a price of zero is none."""
    found = shown(quote(**{"last": "300"} | BOOK | fields), side)

    assert found.prices == tuple((name, Decimal(price)) for name, price in prices)
    assert found.flag == ""


@pytest.mark.parametrize(
    ("fields", "source", "price"),
    [
        ({"session": "break"}, "last, break", "300"),
        ({"session": "closed"}, "last, closed", "300"),
        ({"session": "closed", "is_current": False}, "last, closed", "300"),
        ({"session": "closed", "last": None}, "previous close, closed", "290"),
        ({"session": "auction"}, "last, auction", "300"),
        ({"session": "auction", "is_current": False}, "previous close, auction", "290"),
        ({"session": "auction", "is_current": False, "prev_close": None}, "last, auction", "300"),
        ({"is_suspended": True}, "last, suspended", "300"),
    ],
)
def test_without_a_touch_to_trust_the_last_or_previous_price_is_used_and_flagged(
    fields: dict[str, Any], source: str, price: str
) -> None:
    """Lunch, auction, close, suspension: one price, and the source says why."""
    found = shown(quote(**{"last": "300"} | BOOK | fields)).furthest()

    assert (found.source, found.amount) == (source, Decimal(price))


@pytest.mark.parametrize(("age_ms", "is_fresh"), [(0, True), (5000, True), (5001, False)])
def test_a_price_has_an_age(age_ms: int, *, is_fresh: bool) -> None:
    """Inclusive at the bound; the refusal names the datum and its age."""
    found = seen(quote(age_ms=age_ms), side=Side.BUY, terms=ValueTerms(), is_taker=True)

    assert isinstance(found, SeenPrices) is is_fresh
    if isinstance(found, Missing):
        assert found.code is Code.PRICE_UNAVAILABLE
        assert found.message == "the price of HK.00700 is 5.1 s old; at most 5 s (reference.price_age_max_s)"


@pytest.mark.parametrize(
    ("exchange_at", "words"),
    [
        (None, "exchange's time of the price of HK.00700 is not known"),
        (datetime(2026, 11, 19, 8, tzinfo=UTC), "is of 2026-11-19 08:00:00 UTC, before the present session"),
    ],
)
def test_who_takes_any_price_needs_one_of_this_session(exchange_at: datetime | None, words: str) -> None:
    """A market order is not valued at yesterday's price; what only compares its own price may look at it."""
    old = quote(is_current=False, exchange_at=exchange_at)
    found = seen(old, side=Side.BUY, terms=ValueTerms(), is_taker=True)

    assert isinstance(found, Missing)
    assert found.code is Code.PRICE_UNAVAILABLE
    assert words in found.message
    assert shown(old, is_taker=False).prices


def test_a_quote_that_is_missing_stays_missing() -> None:
    """Why there is none is told as it came."""
    assert seen(NOT_ASKED, side=Side.BUY, terms=ValueTerms(), is_taker=True) is NOT_ASKED


@pytest.mark.parametrize("session", ["continuous", "closed"])
def test_a_quote_without_a_price_is_none(session: str) -> None:
    """An instrument that has never traded has no reference price."""
    found = seen(quote(None, session=session), side=Side.BUY, terms=ValueTerms(), is_taker=True)

    assert isinstance(found, Missing)
    assert found.message == "the daemon has no price of HK.00700"


def test_any_age_is_believed_where_nothing_may_stop_the_order() -> None:
    """To count an exit an old price is better than none."""
    old = quote(age_ms=10**8, is_current=False)

    assert isinstance(seen(old, side=Side.SELL, terms=ValueTerms(price_age_max_ms=None), is_taker=True), SeenPrices)


def test_prices_are_picked_by_size_or_by_value() -> None:
    """Negative prices: the furthest from nothing is the worth, the highest and lowest are what a collar compares."""
    found = shown(quote("-40", ask="-37"))

    assert found.furthest().amount == Decimal(-40)
    assert found.dearest().amount == Decimal(-37)
    assert found.cheapest().amount == Decimal(-40)
    assert found.dearest().told == "ask -37, 0.4 s old"


@pytest.mark.parametrize(
    ("age_ms", "text"), [(0, "0 s"), (1, "0.1 s"), (400, "0.4 s"), (401, "0.5 s"), (7200, "7.2 s")]
)
def test_an_age_never_looks_smaller_than_it_is(age_ms: int, text: str) -> None:
    """Seconds with one decimal, rounded up."""
    assert age_text(age_ms) == text
