"""Static information: kind, board lot, and what an option or warrant is on."""

from decimal import Decimal
from typing import Any

import pytest

from guard.reference.static import Static, kind_of_type, parse_static_info
from tests.support.reference import security


def row(symbol: str = "HK.00700", **basic: Any) -> dict[str, Any]:
    """A SecurityStaticInfo."""
    return {"basic": {"security": security(symbol), "id": 2**60 + 1, "lot_size": 100, "sec_type": 3} | basic}


def test_a_stock_has_a_kind_and_a_lot() -> None:
    """And nothing else that we use; there is no currency in it."""
    assert parse_static_info({"static_info_list": [row()]}) == {"HK.00700": Static("stock", 100)}


def test_an_option_names_strike_and_underlying() -> None:
    """Of the contract itself."""
    extra = {"owner": security("HK.00700"), "strike_price": Decimal("300.5"), "type": 1}
    found = parse_static_info(
        {"static_info_list": [row("HK.TCH261230C300500", sec_type=8) | {"option_ex_data": extra}]}
    )

    assert found == {"HK.TCH261230C300500": Static("option", 100, Decimal("300.5"), "HK.00700")}


def test_a_warrant_names_its_underlying() -> None:
    """The block list reaches it through that."""
    extra = {"warrant_ex_data": {"owner": security("HK.00700"), "type": 1}}

    assert parse_static_info({"static_info_list": [row("HK.14730", sec_type=5) | extra]}) == {
        "HK.14730": Static("warrant", 100, None, "HK.00700")
    }


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1, "bond"),
        (2, "warrant"),
        (3, "stock"),
        (4, "fund"),
        (5, "warrant"),
        (6, "index"),
        (7, "other"),
        (8, "option"),
        (9, "other"),
        (10, "future"),
        (0, "other"),
        (99, "other"),
        (None, "other"),
        ("3", "other"),
    ],
)
def test_kinds_by_security_type(number: object, kind: str) -> None:
    """Qot_Common.SecurityType; a number that we do not know is no stock."""
    assert kind_of_type(number) == kind


def test_rows_that_cannot_be_read_are_left_out() -> None:
    """The others stay."""
    rows = [row(), {}, {"basic": None}, 5, row("XX.1"), row("US.F", lot_size=0)]

    assert parse_static_info({"static_info_list": rows}) == {
        "HK.00700": Static("stock", 100),
        "US.F": Static("stock", None),
    }


def test_no_list_is_no_answer() -> None:
    """An absent one is an empty one."""
    assert parse_static_info({"static_info_list": "x"}) is None
    assert parse_static_info({}) == {}
