"""JSON out."""

import json
from decimal import Decimal

import pytest

from guard.intent.plain import members, text
from guard.terms import Side


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "true"),
        (False, "false"),
        (None, "null"),
        (Side.BUY, "1"),
        (2**64 - 1, "18446744073709551615"),
        (Decimal("0.000000001"), "0.000000001"),
        (Decimal("1E+2"), "100"),
        (Decimal("-37.63"), "-37.63"),
        ('a"\\\u2028é', '"a\\"\\\\\\u2028\\u00e9"'),
        ([1, [None]], "[1,[null]]"),
        ({"a": {"b": Decimal(1)}}, '{"a":{"b":1}}'),
    ],
)
def test_values_are_written_plainly(value: object, written: str) -> None:
    """No exponents, no names of enum members, ASCII only."""
    assert text(value) == written
    json.loads(written)


def test_members_without_a_value_are_left_out() -> None:
    """None is absent, zero and false are not."""
    assert members([("a", None), ("b", 0), ("c", False)]) == '{"b":0,"c":false}'


def test_what_cannot_be_written_is_a_bug() -> None:
    """A double never gets here."""
    with pytest.raises(AssertionError):
        text(1.5)
