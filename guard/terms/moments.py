"""Moments as numbers and back, without a float in between: whatever is counted is counted from 1970 in UTC."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LAST_SECOND: Final = 4_102_444_800  # 2100-01-01: later ones are milliseconds, or nonsense


def utc(wall_us: int) -> datetime:
    """Microseconds since 1970 as an aware datetime."""
    return EPOCH + wall_us * _MICROSECOND


def us_of(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970."""
    return (moment - EPOCH) // _MICROSECOND


@cache
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone, read from the disk once: `ZoneInfo` by itself keeps eight, as many as markets alone are in."""
    return ZoneInfo(name)


def told_in_seconds(seconds: Decimal | None) -> datetime | None:
    """A time stamp of the daemon's, to the microsecond. 0 is how it leaves one out."""
    if seconds is None or not 0 < seconds < _LAST_SECOND:
        return None
    return utc(int(seconds.scaleb(6)))
