"""The claims of a change, made from what the ledger knows of the order."""

from decimal import Decimal
from typing import Final

import pytest
from msgspec.structs import replace

from guard.codes import Code
from guard.intent import encode, order_of
from guard.limits import Fills, Holder, State, Worth, note_filled, reserve, settle
from guard.terms import Claim, Env, Missing, Money, PlaceOrder, Valuation
from guard.walk.changing import OrderChange
from tests.support.ledger import ACCEPTED, new_order

UNIT: Final = 10_000
DAY: Final = "daily_value/key=bot|HKD|2026-11-23@08:30 Asia/Hong_Kong"
OPEN: Final = "open_value/key=bot|HKD"
BODY: Final = (
    b'{"c2s":{"packet_id":{"conn_id":0,"serial_no":0},"header":{"trd_env":1,"acc_id":1,"trd_market":5},"trd_side":1,'
    b'"order_type":1,"code":"HSI2612","sec_market":1,"qty":10,"price":200}}'
)
UNKNOWN: Final = Missing(Code.REFERENCE_UNAVAILABLE, "its multiplier is not known")


def live(*, filled: int = 0, paid: str | None = None) -> tuple[Holder, PlaceOrder]:
    """Ten futures at 200, 50 HKD a point."""
    state = State()
    claims = (Claim("spend", DAY, 100_000 * UNIT), Claim("working", OPEN, 100_000 * UNIT))
    reserve(state, new_order("o", *claims, order=BODY, worth=Worth("100000", "200", "50")), t_us=0)
    settle(state, "o", ACCEPTED, t_us=0)
    note_filled(state, "o", Fills(Decimal(filled), None if paid is None else Decimal(paid)), t_us=0)
    return state.holders["o"], order_of(BODY)


def test_a_body_is_read_as_it_was_written() -> None:
    """The order that the tests begin with is one."""
    order = order_of(BODY)
    assert order_of(encode(order, env=Env.REAL, acc_id=1, serial=0, remark=None)) == order


@pytest.mark.parametrize(("price", "amount"), [(250, 125_000), (200, 100_000), (150, 100_000)])
def test_what_nobody_values_is_worth_what_its_price_says(price: int, amount: int) -> None:
    """By its multiplier of before, and never less: a counter that no policy has now may be in force again."""
    holder, order = live()
    found = OrderChange(holder, replace(order, price=Decimal(price)), UNKNOWN).carried(())
    assert [claim.amount for claim in found] == [amount * UNIT] * 2


@pytest.mark.parametrize(
    ("paid", "amount"), [("800", 40_000 + 45_000), ("-800", 40_000 + 45_000), (None, 50_000 + 45_000)]
)
def test_fills_of_contracts_count_with_their_multiplier(paid: str | None, amount: int) -> None:
    """Five were bought; whatever sign their price had, and at what they were valued where nobody told."""
    holder, order = live(filled=5, paid=paid)
    worth = Valuation(Money(Decimal(90_000), "HKD"), Decimal(180), "limit", Decimal(50))
    (claim,) = OrderChange(holder, replace(order, price=Decimal(180)), worth).claims(
        (Claim("spend", DAY, 90_000 * UNIT),)
    )
    assert (claim.amount, claim.whole, claim.unseen) == (amount * UNIT, 90_000 * UNIT, 5_000 * UNIT)


def test_a_new_order_claims_what_its_rules_say() -> None:
    """There is nothing to go by beside."""
    claims = (Claim("spend", DAY, 1),)
    change = OrderChange(None, order_of(BODY), None)
    assert change.claims(claims) is claims
    assert change.carried(claims) == ()
