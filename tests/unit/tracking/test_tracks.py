"""How far an order has come, by a row of a list."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

import pytest

from guard.limits import NOBODY, Fills, State, Worth, reserve, settle
from guard.terms import Claim
from guard.tracking.tracks import fills_of, progress_of
from guard.upstream.orderlist import OrderRow, Status
from tests.support.ledger import ACCEPTED, new_order

TEN: Final = (
    b'{"c2s":{"packet_id":{"conn_id":0,"serial_no":0},"header":{"trd_env":1,"acc_id":1,"trd_market":5},"trd_side":2,'
    b'"order_type":2,"code":"HSI2612","sec_market":1,"qty":10}}'
)


@pytest.mark.parametrize(
    ("key", "worth", "accepted"),
    [("bot", Worth("100000", "200", "50"), 10), ("bot", None, 10), (NOBODY, None, None)],
)
def test_a_list_that_lags_does_not_say_less_than_was_accepted_last(
    key: str, worth: Worth | None, accepted: int | None
) -> None:
    """Also of an order that nothing could value, by its own terms; those of nobody's order are a list's themselves."""
    state, row = State(), OrderRow("1", "A", "HSI2612", "HK.HSI2612", 2, Decimal(4), Status.SUBMITTED)
    reserve(state, new_order("o", Claim("working", "exits", 100_000), key=key, order=TEN, worth=worth), t_us=0)
    settle(state, "o", ACCEPTED, t_us=0)
    holder = state.holders["o"]

    found = progress_of(holder, row, fills_of(holder, row), at=datetime(2026, 11, 23, tzinfo=UTC), is_over=False)

    assert found.accepted == (None if accepted is None else Fraction(accepted))


@pytest.mark.parametrize(
    ("known", "row_price", "paid"),
    [
        (Fills(Decimal(4), Decimal(1800)), None, 3000),
        (Fills(Decimal(4), Decimal(-1800)), 250, -3300),
        (Fills(), 250, None),
    ],
)
def test_a_list_that_tells_no_price_any_more_gives_nothing_back(
    known: Fills, row_price: int | None, paid: int | None
) -> None:
    """What was paid by then stays, by the prices told; what was filled since counts as valued, or at a dearer limit."""
    state, claim = State(), Claim("working", "exits", 100_000)
    reserve(state, new_order("o", claim, order=TEN, worth=Worth("2000", "200", "1")), t_us=0)
    settle(state, "o", ACCEPTED, t_us=0)
    holder = state.holders["o"]
    holder.fills = known
    price = None if row_price is None else Decimal(row_price)
    row = OrderRow(
        "1", "A", "HSI2612", "HK.HSI2612", 2, Decimal(10), Status.FILLED_ALL, price=price, filled=Decimal(10)
    )

    assert fills_of(holder, row) == Fills(Decimal(10), None if paid is None else Decimal(paid))
