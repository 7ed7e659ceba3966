"""Markets: numbers, words, instruments, currencies."""

from zoneinfo import ZoneInfo

import pytest

from guard import markets


@pytest.mark.parametrize(
    ("prefix", "code", "whole"),
    [
        ("HK", "700", "00700"),
        ("HK", "00700", "00700"),
        ("HK", "100700", "100700"),
        ("HK", "HSI2606", "HSI2606"),
        ("SZ", "1", "1"),
        ("HK", "", ""),
    ],
)
def test_a_code_of_hong_kong_is_written_with_its_zeros(prefix: str, code: str, whole: str) -> None:
    """Five digits; what is longer, or has letters, or is of another exchange stands as it is."""
    assert markets.whole_code(prefix, code) == whole


def test_the_policy_words_are_the_contracts() -> None:
    """Fifteen words, of which FUTURES stands for the last four."""
    assert " ".join(markets.MARKETS) == (
        "HK US CN HKCC SG JP AU MY CA HK_FUND US_FUND FUTURES_HK FUTURES_US FUTURES_SG FUTURES_JP"
    )
    assert markets.MARKETS[-4:] == markets.FUTURES


@pytest.mark.parametrize("word", markets.MARKETS)
def test_every_market_has_a_zone_and_a_reset_in_it(word: str) -> None:
    """Zones exist, and the reset is a local time in the same zone."""
    ZoneInfo(markets.ZONE_OF[word])
    time, zone = markets.RESET_OF[word].split()
    assert zone == markets.ZONE_OF[word]
    assert time in {"08:30", "04:00", "06:00"}


@pytest.mark.parametrize(
    ("word", "reset"),
    [
        ("HK", "08:30 Asia/Hong_Kong"),
        ("CN", "08:30 Asia/Shanghai"),
        ("US", "04:00 America/New_York"),
        ("JP", "06:00 Asia/Tokyo"),
        ("FUTURES_HK", "06:00 Asia/Hong_Kong"),
    ],
)
def test_w15_a_days_budget_ends_outside_the_session(word: str, reset: str) -> None:
    """Each market's day begins before its open, not at UTC midnight."""
    assert markets.RESET_OF[word] == reset


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, ("HK",)),
        (2, ("US",)),
        (5, ("FUTURES_HK", "FUTURES_US", "FUTURES_SG", "FUTURES_JP")),
        (10, ("FUTURES_HK",)),
        (13, ("FUTURES_JP",)),
        (113, ("HK_FUND",)),
        (124, ()),
        (7, ()),
        (999, ()),
    ],
)
def test_a_trade_header_market_stands_for_policy_words(number: int, words: tuple[str, ...]) -> None:
    """A futures header may mean four markets, a number without a word none."""
    assert markets.market_words(number) == words


def test_futures_headers() -> None:
    """5 and 10 to 13 are futures accounts."""
    assert [n for n in range(200) if markets.is_futures(n)] == [5, 10, 11, 12, 13]


@pytest.mark.parametrize(
    ("market", "code", "kind"),
    [
        ("HK", "00700", "stock"),
        ("HK", "80700", "stock"),
        ("HK", "TCH260129C300000", "option"),
        ("HK", "HSI260129P25000000", "option"),
        ("HK", "A50260129C15000", "option"),
        ("HK", "HSI2606", "future"),
        ("HK", "HSI2613", "stock"),
        ("US", "AAPL", "stock"),
        ("US", "BRK.B", "stock"),
        ("US", "AAPL260116C200000", "option"),
        ("US", "SPXW260116P5000000", "option"),
        ("US", "AAPL1260116C200000", "option"),
        ("US", "AAPL261316C200000", "stock"),
        ("US", "ES2603", "future"),
        ("US", "M2K2606", "future"),
        ("JP", "7203", "stock"),
        ("JP", "NK2252606", "future"),
        ("SG", "D05", "stock"),
        ("SG", "CN2606", "future"),
        ("AU", "BHP", "stock"),
        ("HK_FUND", "HK0000123456", "stock"),
        ("FUTURES_US", "ES2603", "future"),
        ("FUTURES_HK", "HSImain", "future"),
    ],
)
def test_kind_of_an_instrument(market: str, code: str, kind: str) -> None:
    """Options and futures are told by their spelling, months that do not exist are no expiry."""
    assert markets.kind_of(market, code) == kind


@pytest.mark.parametrize(
    ("market", "code", "currency"),
    [
        ("HK", "00700", "HKD"),
        ("HK", "80700", "CNH"),
        ("HK", "89999", "CNH"),
        ("HK", "8", "HKD"),
        ("HK", "09010", "USD"),
        ("HK", "09110", "USD"),
        ("HK", "09433", "USD"),
        ("HK", "09834", "USD"),
        ("HK", "09849", "USD"),
        ("HK", "09850", "HKD"),
        ("HK", "09618", "HKD"),
        ("HK", "09988", "HKD"),
        ("HKCC", "600519", "CNH"),
        ("CN", "600519", "CNH"),
        ("US", "AAPL", "USD"),
        ("CA", "DLR.U", "USD"),
        ("CA", "DLR-U", "USD"),
        ("CA", "DLR", "CAD"),
        ("CA", "REI.UN", "CAD"),
        ("CA", "U", "CAD"),
        ("JP", "7203", "JPY"),
        ("SG", "D05", "SGD"),
        ("FUTURES_HK", "HSI2606", "HKD"),
        ("FUTURES_HK", "CUS2606", "CNH"),
        ("FUTURES_HK", "GDU2606", ""),
        ("FUTURES_SG", "CN2606", "USD"),
        ("FUTURES_SG", "ZZ2606", ""),
        ("FUTURES_US", "ES2603", "USD"),
        ("NOWHERE", "X", ""),
    ],
)
def test_w08_currency_of_an_instrument(market: str, code: str, currency: str) -> None:
    """Renminbi counters are CNH, dollar counters USD, and where only reference data can tell there is no guess."""
    assert markets.currency_of(market, code) == currency


@pytest.mark.parametrize(
    ("symbol", "parts"),
    [
        ("HK.00700", ("HK", "00700")),
        ("US.BRK.B", ("US", "BRK.B")),
        ("CN.600519", ("CN", "600519")),
        ("BRK.B", ("", "BRK.B")),
        ("00700", ("", "00700")),
    ],
)
def test_a_symbol_splits_at_a_known_prefix(symbol: str, parts: tuple[str, str]) -> None:
    """A dot inside a code is part of the code."""
    assert markets.split_symbol(symbol) == parts


def test_quote_markets_are_not_trade_markets() -> None:
    """2 is US in a trade header and HK futures in a quote."""
    assert markets.market_words(2) == ("US",)
    assert markets.PREFIX_OF_QOT[2] == "HK"
    assert all(markets.PREFIX_OF_QOT[number] == prefix for prefix, number in markets.QOT_MARKET_OF.items())
    assert set(markets.SEC_MARKET_OF) == set(markets.PREFIXES)
