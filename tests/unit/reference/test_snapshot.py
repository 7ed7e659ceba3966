"""Snapshots: prices with the exchange's time, and what the same row tells of the instrument."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from guard.reference.snapshot import Shown, parse_snapshot
from guard.reference.static import Static
from tests.support.reference import security

BASIC: dict[str, Any] = {
    "type": 3,
    "lot_size": 100,
    "is_suspend": False,
    "update_time": "2026-11-23 10:30:00",
    "update_timestamp": Decimal("1795401000.5"),
    "cur_price": Decimal("300.2"),
    "last_close_price": Decimal(296),
    "bid_price": Decimal(300),
    "ask_price": Decimal("300.2"),
}


def shown(symbol: str = "HK.00700", extra: dict[str, Any] | None = None, **basic: Any) -> Shown:
    """The one row of an answer, read."""
    row = {"basic": BASIC | {"security": security(symbol)} | basic} | (extra or {})
    found = parse_snapshot({"snapshot_list": [row]})
    assert found is not None
    return found[symbol]


def test_a_row_has_prices_and_the_exchanges_own_time() -> None:
    """From the timestamp, never from the local text."""
    assert shown() == Shown(
        Static("stock", 100),
        last=Decimal("300.2"),
        bid=Decimal(300),
        ask=Decimal("300.2"),
        prev_close=Decimal(296),
        exchange_at=datetime(2026, 11, 23, 2, 30, 0, 500000, UTC),
    )


@pytest.mark.parametrize("nothing", [0, Decimal("0.0"), None, "300", True, Decimal(-1), Decimal("1E+400"), [], {}])
@pytest.mark.parametrize("field", ["cur_price", "bid_price", "ask_price", "last_close_price"])
def test_what_is_no_price_is_none(field: str, nothing: object) -> None:
    """Zero, below zero, text or too large: one side of the book may be empty, the other is believed."""
    name = {"cur_price": "last", "bid_price": "bid", "ask_price": "ask", "last_close_price": "prev_close"}[field]
    found = shown("HK.00700", None, **{field: nothing})

    assert getattr(found, name) is None
    assert found.has_price


def test_without_any_price_there_is_none() -> None:
    """The row is there all the same: it tells what the instrument is."""
    found = shown(cur_price=0, bid_price=0, ask_price=0, last_close_price=0)

    assert not found.has_price
    assert found.static.lot_size == 100


def test_futures_may_trade_below_zero() -> None:
    """As oil has; zero is still none."""
    found = shown(type=10, cur_price=Decimal("-37.63"), bid_price=0)

    assert found.last == Decimal("-37.63")
    assert found.bid is None


def test_a_future_without_a_close_has_its_settlement() -> None:
    """The previous settlement is a future's previous close."""
    assert shown("HK.HSI2612", {"future_ex_data": {"last_settle_price": 25000}}, type=10, last_close_price=0) == Shown(
        Static("future", 100),
        last=Decimal("300.2"),
        bid=Decimal(300),
        ask=Decimal("300.2"),
        prev_close=Decimal(25000),
        exchange_at=datetime(2026, 11, 23, 2, 30, 0, 500000, UTC),
    )


def test_extended_hours_have_prices_of_their_own() -> None:
    """Before, after and overnight."""
    found = shown(
        "US.AAPL",
        pre_market={"price": Decimal("201.5")},
        after_market={"price": 199},
        overnight={"price": Decimal("198.25")},
    )

    assert (found.pre, found.after, found.overnight) == (Decimal("201.5"), Decimal(199), Decimal("198.25"))


def test_an_option_tells_multiplier_strike_and_underlying() -> None:
    """From its own part of the row."""
    extra = {"owner": security("US.AAPL"), "strike_price": 200, "contract_size": 100, "contract_multiplier": 100}
    found = shown("US.AAPL261218C200000", {"option_ex_data": extra}, type=8)

    assert found.multiplier == 100
    assert found.static == Static("option", 100, Decimal(200), "US.AAPL")


def test_a_warrant_tells_strike_and_underlying() -> None:
    """It has no multiplier: warrants are traded by the piece."""
    extra = {"owner": security("HK.00700"), "strike_price": Decimal("300.1")}
    found = shown("HK.14730", {"warrant_ex_data": extra}, type=5)

    assert found.static == Static("warrant", 100, Decimal("300.1"), "HK.00700")
    assert found.multiplier is None


@pytest.mark.parametrize(("flag", "expected"), [(True, True), (False, False), (None, False), (1, False)])
def test_a_suspension_is_flagged(flag: object, expected: bool) -> None:
    """The last price of a suspended stock is an old one."""
    assert shown(is_suspend=flag).is_suspended is expected


@pytest.mark.parametrize("stamp", [0, None, "1795401000", Decimal(1795401000500), Decimal(-1)])
def test_a_time_that_is_none_is_none(stamp: object) -> None:
    """A market-like order will not be valued on such a row."""
    assert shown(update_timestamp=stamp).exchange_at is None


def test_rows_that_cannot_be_read_are_left_out() -> None:
    """Half an answer is half an answer."""
    good = {"basic": BASIC | {"security": security("HK.00700")}}
    torn = [{"basic": BASIC | {"security": security("US.F"), "cur_price": price}} for price in (1, 2)]

    found = parse_snapshot({"snapshot_list": [good, {}, {"basic": 5}, "row", *torn]})

    assert found is not None
    assert list(found) == ["HK.00700"]
    assert parse_snapshot({"snapshot_list": {}}) is None
    assert parse_snapshot({}) == {}
