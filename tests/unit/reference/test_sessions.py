"""Sessions: market states by number, and when a session day began."""

from datetime import UTC, datetime

import pytest

from guard.reference.sessions import (
    GlobalState,
    global_name,
    parse_global_state,
    parse_market_states,
    session_from,
    session_of,
)
from tests.support.reference import security


@pytest.mark.parametrize(
    ("session", "numbers"),
    [
        ("continuous", {3, 5, 13, 15, 21, 23, 25}),
        ("auction", {1, 2, 9, 18, 19, 30, 36}),
        ("break", {4, 16, 20, 24, 27}),
        ("extended", {8, 10, 28, 32, 33, 35, 37}),
        ("closed", {6, 11, 12, 14, 17, 22, 26, 29, 31, 34}),
        ("unknown", {0, 7, 38, -1, 2**40, None}),
    ],
)
def test_every_market_state_has_a_session(session: str, numbers: set[int | None]) -> None:
    """What we do not know is unknown, never continuous."""
    assert {session_of(number) for number in numbers} == {session}


def test_all_numbers_of_the_protocol_are_known() -> None:
    """1 to 37, without 7, which there is not."""
    assert [number for number in range(1, 38) if session_of(number) == "unknown"] == [7]


def test_the_global_state_lists_markets_and_the_login() -> None:
    """Without a login the states are old ones."""
    assert parse_global_state({"market_hk": 3, "market_us": "x", "qot_logined": True}) == GlobalState(
        {"market_hk": 3}, is_quoting=True
    )
    assert parse_global_state({"market_us": 6, "qot_logined": False}) == GlobalState({"market_us": 6}, is_quoting=False)
    assert parse_global_state({"qot_logined": True}) is None


def test_market_states_by_symbol() -> None:
    """Rows that cannot be read are left out."""
    rows = [{"security": security("HK.00700"), "market_state": 3}, {"security": security("US.F")}, {}, 5]

    assert parse_market_states({"market_info_list": rows}) == {"HK.00700": 3}
    assert parse_market_states({"market_info_list": 1}) is None


@pytest.mark.parametrize(
    ("market", "prefix", "name"),
    [
        ("HK", "HK", "market_hk"),
        ("HK_FUND", "HK", "market_hk"),
        ("CN", "SZ", "market_sz"),
        ("HKCC", "SH", "market_sh"),
        ("FUTURES_HK", "HK", "market_hk_future"),
        ("FUTURES_SG", "SG", "market_sg_future"),
        ("SG", "SG", None),
        ("JP", "JP", None),
        ("AU", "AU", None),
    ],
)
def test_which_markets_the_global_state_names(market: str, prefix: str, name: str | None) -> None:
    """Futures of a country are a market of their own; the others are asked for by symbol."""
    assert global_name(market, prefix) == name


@pytest.mark.parametrize(
    ("market", "now", "begins"),
    [
        ("HK", datetime(2026, 11, 23, 2, 0, tzinfo=UTC), datetime(2026, 11, 22, 16, 0, tzinfo=UTC)),
        ("HK", datetime(2026, 11, 22, 15, 59, tzinfo=UTC), datetime(2026, 11, 21, 16, 0, tzinfo=UTC)),
        ("US", datetime(2026, 11, 23, 15, 0, tzinfo=UTC), datetime(2026, 11, 23, 1, 0, tzinfo=UTC)),
        ("US", datetime(2026, 7, 6, 15, 0, tzinfo=UTC), datetime(2026, 7, 6, 0, 0, tzinfo=UTC)),
        ("FUTURES_US", datetime(2026, 11, 23, 15, 0, tzinfo=UTC), datetime(2026, 11, 22, 15, 0, tzinfo=UTC)),
    ],
)
def test_when_a_session_day_began(market: str, now: datetime, begins: datetime) -> None:
    """Midnight where the market is, 20:00 the evening before in New York, 24 hours ago for futures."""
    assert session_from(market, now) == begins
