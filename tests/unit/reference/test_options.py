"""The multiplier of an option, from whichever of its fields says most."""

from decimal import Decimal
from typing import Any

import pytest

from guard.reference.options import multiplier_of


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"contract_size": 100}, "100"),
        ({"contract_size": 100, "contract_size_float": Decimal("100.5")}, "100.5"),
        ({"contract_size": 1, "contract_multiplier": Decimal(50)}, "50"),
        ({"contract_size": 1000, "contract_multiplier": 1}, "1000"),
        ({"contract_size": 0, "contract_size_float": Decimal("0.0"), "contract_multiplier": None}, None),
        ({"contract_size": -100}, None),
        ({"contract_size": "100"}, None),
        ({"contract_size": True}, None),
        ({}, None),
    ],
)
def test_w07_the_largest_of_the_three_fields_counts(extra: dict[str, Any], expected: str | None) -> None:
    """Stock and index options fill different fields; too small a multiplier would let an order through (W07)."""
    assert multiplier_of(extra) == (None if expected is None else Decimal(expected))
