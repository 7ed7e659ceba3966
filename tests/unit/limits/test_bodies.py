"""A body in short is the same body."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from guard.intent import encode
from guard.limits.bodies import short, whole
from guard.policy.stand_ins import order_in
from tests.support.ledger import REAL

ORDER = order_in("HK", "HK.00700", REAL)


@given(
    remark=st.none() | st.text(),
    qty=st.decimals(0, 10**9, places=3),
    aux_price=st.none() | st.decimals(0, 10**6, places=3),
)
def test_a_body_comes_back_byte_for_byte(remark: str | None, qty: Decimal, aux_price: Decimal | None) -> None:
    """Whatever a caller says in it; so does one that was made short before."""
    order = replace(ORDER, remark=remark, qty=qty, aux_price=aux_price)
    body = encode(order, env=None, acc_id=None, serial=7, remark=None)
    assert whole(*short(body)) == body
    assert whole(*short(short(body)[1])) == short(body)[1]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"c2s":{"header":{"trd_market":1}}}', b"x" * 100, b'"qty":1'])
def test_a_body_without_a_quantity_behind_a_form_stays_as_it_is(body: bytes) -> None:
    """Nothing in it tells what others would have too."""
    assert short(body) == (b"", body)
    assert whole(b"", body) == body


def test_bodies_that_differ_in_their_terms_begin_alike() -> None:
    """Quantity, price and remark are each order's own."""
    first, second = (
        encode(
            replace(ORDER, qty=Decimal(n), price=Decimal(n), remark=str(n)), env=None, acc_id=None, serial=1, remark=""
        )
        for n in (1, 2)
    )
    assert short(first)[0] == short(second)[0]
    assert len(short(first)[1]) < 15
