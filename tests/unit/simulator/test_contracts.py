"""Options and futures read from their codes."""

from datetime import date
from decimal import Decimal

import pytest

from guard.simulator.contracts import chain, expiries, find, future_terms, option_root, traded
from guard.simulator.instruments import Kind


@pytest.mark.parametrize("code", ["US.AAPL261218C200000", "US.AAPL  261218C00200000", "US.AAPL261218C00200000"])
def test_three_spellings_are_one_option(code: str) -> None:
    """Compact, OCC-21 and OCC-19 spellings name the same contract."""
    option = find(code)

    assert option is not None
    assert option.symbol == "US.AAPL261218C200000"
    assert (option.kind, option.strike, option.expiry) == (Kind.OPTION, Decimal(200), date(2026, 12, 18))
    assert (option.owner, option.multiplier, option.right) == ("US.AAPL", Decimal(100), 1)


@pytest.mark.parametrize(
    "code", ["US.NOBODY261218C200000", "US.AAPL261318C200000", "HK.AAPL261218C200000", "US.TCH261218C1", "US.BRK.B1"]
)
def test_what_is_no_contract_is_not_found(code: str) -> None:
    """An unknown owner, no such day, or another market's root."""
    assert find(code) is None


@pytest.mark.parametrize(
    ("symbol", "multiplier"),
    [
        ("HK.HSI2612", 50),
        ("HK.MHImain", 10),
        ("US.MNQ2612", 2),
        ("US.ESmain", 50),
        ("SG.NK2612", 500),
        ("JP.NK225main", 1000),
    ],
)
def test_futures_have_their_multiplier(symbol: str, multiplier: int) -> None:
    """Every month of a root shares its terms."""
    future = find(symbol)

    assert future is not None
    assert future.kind is Kind.FUTURE
    assert future.multiplier == multiplier
    assert future_terms(future).multiplier == multiplier


def test_a_stock_has_no_future_terms() -> None:
    """Asking for them is a bug."""
    stock = find("HK.00700")
    assert stock is not None
    with pytest.raises(AssertionError):
        future_terms(stock)


@pytest.mark.parametrize(
    ("code", "sec_market", "trd_market", "symbol"),
    [
        ("US.AAPL", 1, 1, "US.AAPL"),
        ("00700", None, 1, "HK.00700"),
        ("700", None, 1, "HK.00700"),
        ("AAPL", 2, 1, "US.AAPL"),
        ("AAPL", None, 2, "US.AAPL"),
        ("MNQ2612", None, 1, "US.MNQ2612"),
        ("HSImain", None, 5, "HK.HSImain"),
        ("600519", None, 3, "SH.600519"),
        ("000001", None, 3, "SZ.000001"),
        ("CN.600519", None, 1, "SH.600519"),
        ("7203", None, 15, "JP.7203"),
        ("BRK.B", None, 2, "US.BRK.B"),
    ],
)
def test_the_code_decides_the_market_before_the_header_does(
    code: str, sec_market: int | None, trd_market: int, symbol: str
) -> None:
    """Prefix, futures table, `sec_market`, header: in this order."""
    found = traded(code, sec_market=sec_market, trd_market=trd_market)

    assert found is not None
    assert found.symbol == symbol


def test_chains_surround_the_money() -> None:
    """Calls and puts of one strike come in pairs, and the money is among them."""
    pairs = list(chain("HK.00700", date(2026, 5, 28)))

    assert Decimal(300) in {call.strike for call, _ in pairs}
    assert all(call.strike == put.strike and (call.right, put.right) == (1, 2) for call, put in pairs)


def test_owners_without_options_have_no_chain() -> None:
    """Japanese shares have none here."""
    assert option_root("JP.7203") is None
    assert list(chain("JP.7203", date(2026, 5, 28))) == []


def test_expiries_are_monthly() -> None:
    """One a month, on a weekday, within the span."""
    days = list(expiries(date(2026, 5, 1), date(2026, 12, 31)))

    assert len(days) == 8
    assert all(day.weekday() < 5 for day in days)
    assert list(expiries(date(2026, 5, 1), date(2026, 5, 2))) == []
