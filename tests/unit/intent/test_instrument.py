"""Code, header and sec_market agree, or there is no instrument."""

import pytest

from guard.intent.instrument import NoInstrument, TradedInstrument, instrument
from guard.markets import TRD_MARKETS


@pytest.mark.parametrize(
    ("market", "code", "sec_market", "symbol", "word"),
    [
        ("HK", "00700", None, "HK.00700", "HK"),
        ("HK", "HK.00700", 1, "HK.00700", "HK"),
        ("HK", "TCH260129C300000", None, "HK.TCH260129C300000", "HK"),
        ("US", "AAPL", None, "US.AAPL", "US"),
        ("US", "US.BRK.B", None, "US.BRK.B", "US"),
        ("US", "BRK.B", 2, "US.BRK.B", "US"),
        ("US", "AAPL260116C200000", None, "US.AAPL260116C200000", "US"),
        ("CN", "600519", None, "SH.600519", "CN"),
        ("CN", "000001", None, "SZ.000001", "CN"),
        ("CN", "SH.000001", None, "SH.000001", "CN"),
        ("CN", "CN.600519", 31, "SH.600519", "CN"),
        ("CN", "CN.300750", None, "SZ.300750", "CN"),
        ("CN", "000001", 31, "SH.000001", "CN"),
        ("HKCC", "SZ.000001", 32, "SZ.000001", "HKCC"),
        ("SG", "D05", None, "SG.D05", "SG"),
        ("JP", "7203", 51, "JP.7203", "JP"),
        ("JP", "JP.285A", None, "JP.285A", "JP"),
        ("AU", "BHP", None, "AU.BHP", "AU"),
        ("MY", "1155", None, "MY.1155", "MY"),
        ("CA", "RY.PR.Z", None, "CA.RY.PR.Z", "CA"),
        ("FUTURES", "HK.HSI2606", None, "HK.HSI2606", "FUTURES_HK"),
        ("FUTURES", "US.ES2603", 2, "US.ES2603", "FUTURES_US"),
        ("FUTURES", "ES2603", 2, "US.ES2603", "FUTURES_US"),
        ("FUTURES_SIMULATE_SG", "CN2606", None, "SG.CN2606", "FUTURES_SG"),
        ("FUTURES_SIMULATE_JP", "JP.NK2252606", None, "JP.NK2252606", "FUTURES_JP"),
        ("HK_FUND", "HK0000123456", None, "HK.HK0000123456", "HK_FUND"),
        ("US_FUND", "US.IE00B4L5Y983", None, "US.IE00B4L5Y983", "US_FUND"),
    ],
)
def test_b16_one_reading(market: str, code: str, sec_market: int | None, symbol: str, word: str) -> None:
    """With or without prefix the same symbol, and the market that policies know it by."""
    found = instrument(code, trd_market=TRD_MARKETS[market], sec_market=sec_market)

    assert isinstance(found, TradedInstrument), found
    assert (found.symbol, found.market) == (symbol, word)
    assert found.code == symbol.partition(".")[2]


@pytest.mark.parametrize(
    ("market", "code", "sec_market"),
    [
        ("HK", "US.AAPL", None),
        ("HK", "US.AAPL", 2),
        ("HK", "AAPL", 2),
        ("HK", "AAPL", None),
        ("US", "HK.00700", None),
        ("US", "00700", None),
        ("US", "AAPL", 1),
        ("HK", "00700", 2),
        ("HK", "HK.00700", 2),
        ("CN", "HK.00700", None),
        ("CN", "SZ.000001", 31),
        ("HKCC", "00700", None),
        ("FUTURES", "SH.600519", None),
        ("HK", "CN.600519", None),
        ("HK", "HSI2606", None),
        ("US", "US.ES2603", None),
        ("SG", "CN2606", None),
        ("FUTURES", "HK.00700", None),
        ("FUTURES", "US.AAPL", None),
        ("FUTURES", "US.AAPL260116C200000", None),
        ("FUTURES_SIMULATE_HK", "US.ES2603", None),
        ("CA", "SHOP260116C100000", None),
        ("AU", "AU.BHP260116P45000", 61),
        ("AU", "ES2612", None),  # the daemon knows futures by their roots, before sec_market and header
        ("MY", "MY.HSI2612", 71),
        ("CA", "MNQ2703", 81),
        ("HK_FUND", "9988", None),  # the daemon gives it the zeros of HK.09988
        ("HK_FUND", "HK.5", 1),
        ("SG_FUND", "D05", None),
    ],
)
def test_w03_header_code_and_sec_market_must_agree(market: str, code: str, sec_market: int | None) -> None:
    """An order cannot name one market in its header and trade another by its code."""
    assert isinstance(instrument(code, trd_market=TRD_MARKETS[market], sec_market=sec_market), NoInstrument)


@pytest.mark.parametrize(
    ("market", "code", "says"),
    [
        ("HK", "700", "five digits: 00700"),
        ("HK", "HK.700", "five digits: 00700"),
        ("HK", "000700", "not a code of HK"),
        ("HK", "00700.HK", "not a code of HK"),
        ("JP", "720", "not a code of JP"),
        ("US", "aapl", "in capitals: AAPL"),
        ("US", "us.aapl", "in capitals: US.AAPL"),
        ("US", "US:AAPL", "capital letters and digits"),
        ("US", " AAPL", "without spaces"),
        ("US", "AAPL  260116C00200000", "without spaces"),
        ("US", "AAPL260116C00200000", "no leading zeros: AAPL260116C200000"),
        ("US", "A" * 33, "at most 32"),
        ("US", "", "capital letters"),
        ("US", ".AAPL", "capital letters"),
        ("US", "US.", "capital letters"),
        ("US", "\uff21APL", "capital letters"),
        ("US", "AAPL\n", "capital letters"),
        ("FUTURES", "HK.HSImain", "stands for another contract"),
        ("FUTURES", "HSI2606", "write its prefix, HK.HSI2606 or US.HSI2606 or SG.HSI2606 or JP.HSI2606"),
        ("FUTURES", "HK.HSI2613", "root and YYMM"),
        ("CN", "430047", "write its prefix, SH.430047 or SZ.430047"),
        ("CN", "BJ.430047", "BJ is not traded"),
        ("CN", "CN.430047", "write its prefix"),
        ("JP", "TOYOTA", "not a code of JP"),
        ("AU", "ES2612", "written like a futures contract"),
        ("HK_FUND", "700", "it is listed: its trd_market is HK"),
    ],
)
def test_an_odd_code_is_refused_with_the_spelling_that_would_pass(market: str, code: str, says: str) -> None:
    """Nothing is padded, trimmed or raised to capitals for the caller."""
    found = instrument(code, trd_market=TRD_MARKETS[market], sec_market=None)

    assert isinstance(found, NoInstrument)
    assert says in found.why


@pytest.mark.parametrize(
    ("market", "code"),
    [
        ("US", "US.US.AAPL"),
        ("US", "US.HK.00700"),
        ("US", "US.SH.600519"),
        ("US", "US.BJ.430047"),
        ("SG", "SG.HK.00700"),
        ("CA", "CA.US.AAPL"),
        ("HK_FUND", "HK.US.AAPL"),
        ("US_FUND", "US.HK.00700"),
        ("CN", "CN.HK.00700"),
    ],
)
def test_w03_a_code_with_two_prefixes_is_refused(market: str, code: str) -> None:
    """One prefix is taken off here; the daemon would take off the next one, and trade that."""
    assert isinstance(instrument(code, trd_market=TRD_MARKETS[market], sec_market=None), NoInstrument)


def test_sec_market_is_derived() -> None:
    """The daemon is always told the exchange, but for funds, which have none."""
    found = instrument("600519", trd_market=4, sec_market=None)
    fund = instrument("HK0000123456", trd_market=113, sec_market=1)

    assert isinstance(found, TradedInstrument)
    assert isinstance(fund, TradedInstrument)
    assert (found.sec_market, fund.sec_market) == (31, None)
