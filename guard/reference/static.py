"""Static information: what kind of instrument a symbol is, its board lot, and what it is on. Pure.

Qot_GetStaticInfo carries no currency and no multiplier; those come from elsewhere.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from guard.reference.envelope import by_symbol, inner, lot, positive, rows_of, symbol_of, whole
from guard.terms import InstrumentKind

# Qot_Common.SecurityType
KINDS: Final[Mapping[int, InstrumentKind]] = {
    1: "bond",
    2: "warrant",
    3: "stock",
    4: "fund",
    5: "warrant",
    6: "index",
    8: "option",
    10: "future",
}


class Static(Struct, frozen=True):
    """One instrument as the daemon's static information has it; `strike` and `underlying` of options and warrants."""

    kind: InstrumentKind
    lot_size: int | None = None
    strike: Decimal | None = None
    underlying: str | None = None


def kind_of_type(value: object) -> InstrumentKind:
    """The kind that a SecurityType stands for; "other" for plates and numbers that we do not know."""
    return KINDS.get(whole(value) or 0, "other")


def parse_static_info(s2c: Mapping[str, Any]) -> dict[str, Static] | None:
    """The instruments of an answer by symbol; None where it is no answer to the question."""
    rows = rows_of(s2c, "static_info_list")
    if rows is None:
        return None
    return by_symbol((symbol_of(inner(row, "basic").get("security")), _static(row)) for row in rows)


def _static(row: Mapping[str, Any]) -> Static:
    basic = inner(row, "basic")
    option, warrant = inner(row, "option_ex_data"), inner(row, "warrant_ex_data")
    return Static(
        kind=kind_of_type(basic.get("sec_type")),
        lot_size=lot(basic.get("lot_size")),
        strike=positive(option.get("strike_price")),
        underlying=symbol_of(option.get("owner")) or symbol_of(warrant.get("owner")),
    )
