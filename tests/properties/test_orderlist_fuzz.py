"""Order lists of any bytes and of any JSON: rows or nothing, never an exception."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from guard.terms import Account, Answer, Env
from guard.upstream.orderlist import is_logged_out, read_orders

HERE = Account(Env.REAL, 1)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
NAMES = ["trd_side", "order_status", "order_id", "order_id_ex", "code", "qty", "price", "fill_qty", "fill_avg_price"]
NAMES += ["remark", "sec_market", "create_timestamp", "update_timestamp", "currency", "aux_price", "trail_value"]
GOOD = {"trd_side": 1, "order_status": 5, "order_id": 7, "order_id_ex": "A", "code": "00700", "qty": 1}
rows = st.dictionaries(st.sampled_from(NAMES), values, max_size=4).map(lambda odd: GOOD | odd)


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    """Bytes that are no list say nothing."""
    assert read_orders(Answer(200, "application/json", body), account=HERE) is None
    assert not is_logged_out(Answer(200, "application/json", body))


@settings(max_examples=200)
@given(st.lists(st.one_of(rows, values), max_size=3), values)
def test_any_rows(listed: list[object], header: object) -> None:
    """Every row of an answer is a row, or there is no answer."""
    body = json.dumps({"ret_type": 0, "s2c": {"header": header, "order_list": listed}}).encode()
    found = read_orders(Answer(200, "application/json", body), account=HERE)
    assert found is None or len(found) <= len(listed)
