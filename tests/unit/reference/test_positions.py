"""Positions: signed, of the account that was asked for, whole or not at all."""

from decimal import Decimal
from typing import Any

import pytest

from guard.reference.positions import Holdings, parse_positions
from guard.terms import Account, Env

BIG = Account(Env.REAL, 281756478875559548)


def held(*rows: Any, header: Any = None) -> Holdings | None:
    """These rows, read."""
    s2c = {"position_list": list(rows)} | ({} if header is None else {"header": header})
    return parse_positions(s2c, account=BIG)


def row(code: str = "00700", qty: Any = 300, side: Any = 0, **members: Any) -> dict[str, Any]:
    """A Trd_Common.Position."""
    return {"position_id": 2**60, "position_side": side, "code": code, "qty": qty, "sec_market": 1} | members


@pytest.mark.parametrize(
    ("qty", "side", "expected"),
    [
        (300, 0, "300"),
        (Decimal("0.5"), 0, "0.5"),
        (-300, 1, "-300"),
        (300, 1, "-300"),
        (0, 0, "0"),
        (-300, 0, None),
        (300, -1, None),
        (300, None, None),
        ("300", 0, None),
        (None, 0, None),
    ],
)
def test_short_is_negative_and_a_contradiction_is_unknown(qty: Any, side: Any, expected: str | None) -> None:
    """However the daemon signs a short quantity; a negative long is not a position that anybody knows."""
    found = held(row(qty=qty, side=side))

    assert found is not None
    assert found.of("HK.00700") == (None if expected is None else Decimal(expected))


def test_what_is_not_listed_is_not_held() -> None:
    """Flat, and certainly so."""
    found = held(row())

    assert found is not None
    assert found.of("HK.00005") == 0


def test_rows_of_one_symbol_are_summed() -> None:
    """Long and short of the same contract, or two sub-accounts; one unknown part makes the sum unknown."""
    both, torn = held(row(qty=5), row(qty=3, side=1)), held(row(qty=5), row(side=9))

    assert both is not None
    assert torn is not None
    assert both.of("HK.00700") == 2
    assert torn.of("HK.00700") is None


@pytest.mark.parametrize(
    ("members", "symbol"),
    [
        ({"sec_market": 2, "code": "AAPL"}, "US.AAPL"),
        ({"sec_market": 31, "code": "600519"}, "SH.600519"),
        ({"sec_market": None, "code": "US.BRK.B"}, "US.BRK.B"),
    ],
)
def test_the_security_market_gives_the_prefix(members: dict[str, Any], symbol: str) -> None:
    """Or the code has it already."""
    found = held(row(**members))

    assert found is not None
    assert found.of(symbol) == 300


def test_a_code_of_no_known_market_is_unknown_in_every_market() -> None:
    """It could be anybody's."""
    found = held(row(sec_market=None), row(code="AAPL", sec_market=2))

    assert found is not None
    assert found.of("HK.00700") is None
    assert found.of("US.AAPL") == 300


def test_currencies_are_seen() -> None:
    """By Trd_Common.Currency; a number that we do not know is not seen."""
    found = held(row(currency=3), row(code="AAPL", sec_market=2, currency=2), row(code="X", currency=99))

    assert found is not None
    assert found.currencies == {"HK.00700": "CNH", "US.AAPL": "USD"}


def test_what_a_position_cost_is_seen_beside_its_price() -> None:
    """The highest of what is told; what is zero, negative or no number tells nothing."""
    found = held(
        row(price=0, average_cost_price=300, diluted_cost_price=310),
        row(price=Decimal("310.5"), cost_price=305),
        row(code="00005", price=None, cost_price=-2, diluted_cost_price="9"),
    )

    assert found is not None
    assert (found.prices, found.costs) == ({"HK.00700": Decimal("310.5")}, {"HK.00700": Decimal(310)})


@pytest.mark.parametrize(
    ("header", "is_believed"),
    [
        ({"acc_id": 281756478875559548, "trd_env": 1}, True),
        ({"acc_id": "281756478875559548"}, True),
        ({}, True),
        ({"acc_id": 281756478875559549, "trd_env": 1}, False),
        ({"acc_id": 281756478875559548, "trd_env": 0}, False),
        ({"acc_id": [281756478875559548]}, False),
    ],
)
def test_positions_of_another_account_are_not_believed(header: dict[str, Any], is_believed: bool) -> None:
    """64-bit ids differ in their last digit, and an account is a pair (B15)."""
    assert (held(row(), header=header) is not None) is is_believed


@pytest.mark.parametrize("rows", [[5], [{}], [row(code="")], [row(), None], [row()] * 10_001])
def test_a_list_with_anything_odd_is_no_list(rows: list[Any]) -> None:
    """For what it does not name is held to be flat."""
    assert held(*rows) is None


def test_no_list_is_flat_and_something_else_is_nothing() -> None:
    """Protobuf leaves empty lists out."""
    empty = parse_positions({}, account=BIG)

    assert empty is not None
    assert empty.of("HK.00700") == 0
    assert parse_positions({"position_list": None}, account=BIG) == empty
    assert parse_positions({"position_list": {}}, account=BIG) is None
