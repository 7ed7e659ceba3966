"""How far an order has come, by a row of a list."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

import pytest

from guard.limits import NOBODY, State, Worth, reserve, settle
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
