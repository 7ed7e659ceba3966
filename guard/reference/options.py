"""Options: how many units of the underlying one contract stands for.

The daemon has three fields for it (Qot_GetSecuritySnapshot.OptionSnapshotExData): `contract_size` as an integer,
`contract_size_float` for adjusted contracts, and `contract_multiplier`, which is what index options have. For stock
options the multiplier may be 1 beside a size of 100, for index options the other way round, so the largest counts:
too large a value refuses an order, too small a one lets it through.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from guard.reference.envelope import positive

_FIELDS: Final = ("contract_size", "contract_size_float", "contract_multiplier")


def multiplier_of(extra: Mapping[str, Any]) -> Decimal | None:
    """The multiplier of an option's snapshot data; None where it has none."""
    sizes = [size for size in (positive(extra.get(name)) for name in _FIELDS) if size is not None]
    return max(sizes) if sizes else None
