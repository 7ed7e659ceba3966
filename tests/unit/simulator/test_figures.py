"""Numbers as they are written."""

from datetime import UTC, datetime
from decimal import Decimal

from guard.simulator.figures import seconds, tidy


def test_numbers_are_written_plainly() -> None:
    """No exponent, no trailing zeros."""
    assert str(tidy(Decimal("3.00E+2"))) == "300"
    assert str(tidy(Decimal("0E-9"))) == "0"
    assert str(seconds(datetime(2026, 1, 1, tzinfo=UTC))) == "1767225600"
