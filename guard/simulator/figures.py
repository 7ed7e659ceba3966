"""Numbers as the daemon writes them: plainly, and times as seconds."""

from datetime import datetime
from decimal import Decimal


def tidy(value: Decimal) -> Decimal:
    """The same number without trailing zeros or an exponent."""
    return Decimal(f"{value.normalize():f}")


def seconds(moment: datetime) -> Decimal:
    """Seconds since 1970 with microseconds, exactly."""
    return tidy(Decimal(int(moment.timestamp())) + Decimal(moment.microsecond) / 1_000_000)
