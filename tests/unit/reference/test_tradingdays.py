"""Trading days: believed whole or not at all."""

from datetime import date
from typing import Any

import pytest

from guard.reference.tradingdays import parse_trading_days

BEGIN, END = date(2026, 12, 22), date(2027, 1, 6)


def parsed(*rows: Any) -> Any:
    """The calendar of these rows."""
    return parse_trading_days({"trade_date_list": list(rows)}, begin=BEGIN, end=END)


def test_days_and_half_days_are_data() -> None:
    """Christmas Eve ends at noon; the day after is none."""
    found = parsed(
        {"time": "2026-12-23", "timestamp": 1, "trade_date_type": 0},
        {"time": "2026-12-24 00:00:00", "trade_date_type": 1},
        {"time": "2026-12-28", "trade_date_type": 2},
        {"time": "2026-12-29"},
        {"time": "2026-12-30", "trade_date_type": None},
        {"time": "2026-12-31", "trade_date_type": 9},
    )

    assert found.days == {
        date(2026, 12, 23): "whole",
        date(2026, 12, 24): "morning",
        date(2026, 12, 28): "afternoon",
        date(2026, 12, 29): "whole",
        date(2026, 12, 30): "whole",
        date(2026, 12, 31): "whole",
    }
    assert found.is_trading_day(date(2026, 12, 24)) is True
    assert found.is_trading_day(date(2026, 12, 25)) is False


def test_outside_of_what_was_asked_for_nobody_knows() -> None:
    """Neither open nor closed; and rows outside are not taken."""
    found = parsed({"time": "2026-12-23"}, {"time": "2027-01-07"})

    assert found.is_trading_day(date(2026, 12, 21)) is None
    assert found.is_trading_day(date(2027, 1, 7)) is None
    assert date(2027, 1, 7) not in found.days


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"time": "2027-02-01"}],
        [{"time": "2026-12-23"}, {}],
        [{"time": "2026-12-23"}, "2026-12-24"],
        [{"time": "2026-12-23"}, {"time": "2026-13-01"}],
        [{"time": "2026-12-23"}, {"time": "24/12/2026"}],
        [{"time": "2026-12-23"}, {"time": "\u0662026-12-24"}],
        [{"time": "2026-12-23"}, {"time": "2026-12-24", "trade_date_type": "1"}],
        [{"time": "2026-12-23"}] * 1001,
    ],
)
def test_b20_a_list_with_anything_odd_or_nothing_is_no_calendar(rows: list[Any]) -> None:
    """A day left out would look like a holiday, an empty list like a fortnight of them (B20)."""
    assert parsed(*rows) is None


def test_no_list_is_no_calendar() -> None:
    """Nor is anything else."""
    assert parse_trading_days({}, begin=BEGIN, end=END) is None
    assert parse_trading_days({"trade_date_list": {}}, begin=BEGIN, end=END) is None
