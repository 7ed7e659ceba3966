"""When the simulated exchanges trade."""

from datetime import UTC, date, datetime

import pytest

from guard.simulator import sessions
from guard.simulator.contracts import find

SUNDAY = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)


def test_sessions_are_open_at_any_hour_unless_real() -> None:
    """On a Sunday an order is taken in open mode only."""
    tencent = find("HK.00700")
    assert tencent is not None

    assert sessions.is_open(tencent, SUNDAY, mode="open")
    assert not sessions.is_open(tencent, SUNDAY, mode="real")


@pytest.mark.parametrize(
    ("prefix", "utc", "expected"),
    [
        ("HK", (1, 29), sessions.CLOSED),
        ("HK", (1, 30), sessions.MORNING),
        ("HK", (4, 0), sessions.REST),
        ("HK", (5, 0), sessions.AFTERNOON),
        ("HK", (8, 0), sessions.CLOSED),
        ("US", (14, 30), sessions.AFTERNOON),
        ("US", (21, 0), sessions.CLOSED),
        ("JP", (0, 0), sessions.MORNING),
    ],
)
def test_real_hours_are_the_exchanges_own(prefix: str, utc: tuple[int, int], expected: int) -> None:
    """Opening is inclusive, closing is not, lunch is a rest."""
    moment = datetime(2026, 11, 23, *utc, tzinfo=UTC)

    assert sessions.state(prefix, moment, mode="real") == expected


def test_futures_have_their_own_hours() -> None:
    """At 09:20 the index future trades and the stock does not."""
    moment = datetime(2026, 11, 23, 1, 20, tzinfo=UTC)

    assert sessions.state("HK", moment, mode="real", is_future=True) == sessions.FUTURE_OPEN
    assert sessions.state("AU", moment, mode="real", is_future=True) == sessions.FUTURE_CLOSE


def test_times_are_local_strings() -> None:
    """A time is written on the exchange's own clock."""
    assert sessions.stamp("US", datetime(2026, 11, 23, 14, 30, tzinfo=UTC)) == "2026-11-23 09:30:00"


def test_trading_days_are_weekdays() -> None:
    """Saturdays and Sundays are left out."""
    days = sessions.trading_days(date(2026, 11, 20), date(2026, 11, 24))

    assert [day.day for day in days] == [20, 23, 24]
