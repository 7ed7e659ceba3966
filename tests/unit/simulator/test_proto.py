"""Protobuf bodies, against bytes that were written down by hand and against themselves."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.simulator.proto import PUSHES, encode, push_body
from tests.support.protobuf import decode, read_push


@pytest.mark.parametrize(
    ("message", "value", "expected"),
    [
        ("Header", {"trd_env": 1, "acc_id": 150}, "08011096 01"),
        ("Security", {"market": 1, "code": "00700"}, "0801 1205 3030373030"),
        ("Level", {"price": 1.0}, "09 000000000000f03f"),
        ("ConnectStatus", {"qot_logined": True, "trd_logined": False}, "0801 1000"),
        ("GtwEvent", {"event_type": -1}, "08ffffffffffffffffff01"),
        ("Notify", {"type": 1, "event": {"desc": "x"}}, "0801 1203 120178"),
    ],
)
def test_bytes_are_those_of_the_format(message: str, value: dict[str, object], expected: str) -> None:
    """Varints, doubles, strings and messages as the wire format says; negative integers take ten bytes."""
    assert encode(message, value) == bytes.fromhex(expected)
    assert decode(message, encode(message, value)) == value


@pytest.mark.parametrize("proto_id", sorted(PUSHES))
def test_a_push_is_a_successful_response(proto_id: int) -> None:
    """The message stands in field 4 of a response with ret_type 0."""
    body = push_body(proto_id, {})

    assert body == bytes.fromhex("08002200")
    assert read_push(proto_id, body) == {"ret_type": 0, "s2c": {}}


def test_an_unknown_field_is_skipped() -> None:
    """Whatever its wire type."""
    strange = bytes.fromhex("f80107" + "f101" + "00" * 8 + "fa0101ff" + "fd01" + "00" * 4)

    assert decode("Security", strange + encode("Security", {"code": "A"})) == {"code": "A"}


@settings(max_examples=100)
@given(st.integers(0, 2**64 - 1), st.integers(-(2**31), 2**31 - 1), st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_is_read(acc_id: int, number: int, price: float) -> None:
    """Accounts keep 64 bits, integers their sign, doubles their value."""
    s2c: dict[str, dict[str, Any]] = {
        "header": {"trd_env": number, "acc_id": acc_id, "trd_market": 1},
        "order": {"order_id": acc_id, "qty": price, "remark": "é", "fill_outside_rth": True},
    }

    read = read_push(2208, push_body(2208, s2c))["s2c"]

    assert read["header"] == s2c["header"]
    assert read["order"] == s2c["order"] | {"qty": Decimal(repr(price))}


def test_lists_keep_their_order() -> None:
    """Repeated messages come back as they went."""
    quotes = [{"security": {"market": 1, "code": code}, "cur_price": Decimal("300.2")} for code in ("00700", "00005")]

    assert read_push(3005, push_body(3005, {"basic_qot_list": quotes}))["s2c"] == {"basic_qot_list": quotes}
