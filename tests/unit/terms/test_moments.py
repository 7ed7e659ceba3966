"""Moments as numbers, and back."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.terms import told_in_seconds, us_of, utc

YEAR_9999_US = us_of(datetime(9999, 12, 31, tzinfo=UTC))


def test_wall_time_is_aware_utc_and_exact_to_the_microsecond() -> None:
    """Microseconds become a datetime without passing through a float."""
    assert utc(1_795_340_788_123_456) == datetime(2026, 11, 22, 9, 46, 28, 123456, tzinfo=UTC)
    assert utc(2**53 + 1).microsecond == (2**53 + 1) % 1_000_000


@given(st.integers(0, YEAR_9999_US))
def test_there_and_back(wall_us: int) -> None:
    """Nothing is lost on the way."""
    assert us_of(utc(wall_us)) == wall_us


@pytest.mark.parametrize(
    ("seconds", "moment"),
    [
        (None, None),
        (Decimal(0), None),
        (Decimal(-1), None),
        (Decimal(1_795_340_788_123), None),
        (Decimal("1795340788.123456789"), datetime(2026, 11, 22, 9, 46, 28, 123456, tzinfo=UTC)),
    ],
)
def test_a_time_stamp_of_the_daemon(seconds: Decimal | None, moment: datetime | None) -> None:
    """Seconds with decimals, cut to the microsecond; none where it is 0, before 1970, or in milliseconds."""
    assert told_in_seconds(seconds) == moment
