"""Trading days: on which dates a market trades, and on which of them only half the day. Pure.

Source: Qot_RequestTradeDate. Dates are the exchange's own, as text. A list is believed whole or not at all: a day that
was left out by accident would look like a holiday.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal

from msgspec import Struct

from guard.reference.envelope import whole

Part = Literal["whole", "morning", "afternoon"]
DAYS_MAX: Final = 1000

_DATE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T][0-9:.]{1,16})?", re.ASCII)
_PARTS: Final[Mapping[int, Part]] = {1: "morning", 2: "afternoon"}  # Qot_Common.TradeDateType; 0 is the whole day


class Calendar(Struct, frozen=True):
    """The trading days in [begin, end], and how much of each is traded."""

    begin: date
    end: date
    days: Mapping[date, Part]

    def is_trading_day(self, day: date) -> bool | None:
        """Whether the market trades on that day; None outside of what was asked for."""
        return day in self.days if self.begin <= day <= self.end else None


def parse_trading_days(s2c: Mapping[str, Any], *, begin: date, end: date) -> Calendar | None:
    """The calendar of a span; None where the answer cannot be believed.

    No market is closed for a fortnight: an empty list is what a daemon says that has lost its login (B20).
    """
    listed = s2c.get("trade_date_list")
    if not isinstance(listed, list) or not 0 < len(listed) <= DAYS_MAX:
        return None
    days: dict[date, Part] = {}
    for row in listed:
        day = _day(row.get("time")) if isinstance(row, dict) else None
        part = whole(row.get("trade_date_type") or 0) if day else None
        if day is None or part is None:
            return None
        if begin <= day <= end:
            days[day] = _PARTS.get(part, "whole")
    return Calendar(begin, end, days) if days else None


def _day(value: object) -> date | None:
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
