"""Enum values as integers and as names."""

import pytest

from guard.simulator.labels import label
from guard.simulator.refusals import BadBody


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("trd_side", "BUY", 1),
        ("trd_side", "TrdSide_SellShort", 3),
        ("trd_side", 2, 2),
        ("trd_env", "simulate", 0),
        ("trd_market", "Futures", 5),
        ("order_type", "OrderType_MarketifTouched", 12),
        ("order_type", "stop_limit", 11),
        ("kl_type", "day", 2),
        ("kl_type", "K_DAY", 2),
        ("sub_type", "SubType_Basic", 1),
        ("reminder_op", "SetAdd", 1),
        ("modify_order_op", "CANCEL", 2),
        ("sub_type", 99, 99),
    ],
)
def test_a_value_is_known_by_number_and_by_name(field: str, value: object, expected: int) -> None:
    """With or without the protocol's prefix, in any case; open enums take any number."""
    assert label(field, value) == expected


@pytest.mark.parametrize(
    ("field", "value"), [("trd_market", 999), ("trd_side", "HOLD"), ("trd_env", True), ("trd_env", 1.0)]
)
def test_what_is_no_value_is_malformed(field: str, value: object) -> None:
    """An unknown number of a trade enum, an unknown name, or another type is 400."""
    with pytest.raises(BadBody):
        label(field, value)
