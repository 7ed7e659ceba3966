"""Which order a push is about, read from its protobuf."""

from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.simulator.proto import PUSHES, encode, push_body
from guard.stream.pushes import ORDER_PUSHES, Pushed, TwoAccountsError, pushed
from guard.terms import Account, Env, OrderNames

U64 = 2**64 - 1
HEADER = {"trd_env": 1, "acc_id": U64, "trd_market": 1}
ORDER = {"trd_side": 1, "order_id": U64, "order_id_ex": "FH1C", "code": "00700", "qty": 1.5, "remark": "g:01"}
FILL = {"trd_side": 1, "fill_id": 9, "order_id": 7, "order_id_ex": "x7", "code": "00700", "create_time": "now"}
REAL = Account(Env.REAL, U64)


def read(body: bytes, proto_id: int = 2208, acc_id: int | None = U64) -> Pushed | None:
    """The order of a push with this body."""
    return pushed(proto_id, b64encode(body).decode(), acc_id=acc_id)


def order(header: Any = HEADER, **members: Any) -> bytes:
    """The body of an order push."""
    return push_body(2208, {"header": header, "order": ORDER | members})


def test_an_order_is_named_by_both_ids_and_its_remark() -> None:
    """64-bit ids come whole; a fill has no remark, and may lack either id."""
    assert read(order()) == Pushed(REAL, OrderNames(str(U64), "FH1C", "g:01"), 1)
    fill = push_body(2218, {"header": HEADER, "order_fill": FILL})
    assert read(fill, 2218) == Pushed(REAL, OrderNames("7", "x7", None), 1)
    bare = push_body(2218, {"header": HEADER, "order_fill": {"code": "00700"}})
    assert read(bare, 2218) == Pushed(REAL, OrderNames(), 1)


def test_a_message_without_its_response_is_read_too() -> None:
    """The wire type of its first field tells it from a response."""
    assert read(encode("Trd_UpdateOrder", {"header": HEADER, "order": ORDER})) == read(order())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"\x08",
        b"\x0a\x05ab",
        b"\x0b",
        b"\x80" * 11,
        order()[:-1],
        order(header={"acc_id": U64}),
        order(header={"trd_env": 1}),
        order(header={"trd_env": 7, "acc_id": U64}),
        encode("Trd_UpdateOrder", {"header": HEADER | {"trd_market": 1}, "order": ORDER}).replace(
            b"\x18\x01", b"\x1a\x00", 1
        ),
        push_body(2208, {"header": HEADER}),
        push_body(2208, {"order": ORDER}),
        push_body(2208, {"header": HEADER, "order": ORDER}) * 2,
        encode("Trd_UpdateOrder", {"header": HEADER, "order": ORDER}) * 2,
        encode("Trd_UpdateOrder", {"header": HEADER}) + b"\x12\x06" + b"\x2a\x01a" * 2,
        encode("Trd_UpdateOrder", {"header": HEADER}) + b"\x12\x02\x28\x01",
        encode("Trd_UpdateOrder", {"header": HEADER}) + b"\x12\x03\x2a\x01\xff",
        encode("Trd_UpdateOrder", {"header": HEADER}) + b"\x12\x0b\x20" + b"\xff" * 9 + b"\x7f",
        encode("Trd_UpdateOrder", {"header": HEADER}) + b"\x12\x0b\x20" + b"\x80" * 9 + b"\x02",
    ],
)
def test_what_is_not_understood_is_nobodys(body: bytes) -> None:
    """Cut short, without account or order, with a field twice, or with another type where an id belongs."""
    assert read(body) is None


def test_a_push_of_another_account_than_the_frame_names_is_not_believed() -> None:
    """Frame and body must tell one story, whatever else of the body is odd; other messages are about no order."""
    for body in (order(), order(header={"trd_env": 7, "acc_id": U64}), push_body(2208, {"header": HEADER})):
        with pytest.raises(TwoAccountsError):
            read(body, acc_id=7)
    assert read(order(), acc_id=None) is None
    assert read(order(), proto_id=2207) is None
    assert pushed(2208, "no base64!", acc_id=U64) is None


def test_a_body_that_readers_of_base64_may_read_differently_is_not_understood() -> None:
    """Some pass over what is no letter of it, and some end there."""
    whole = b64encode(order()).decode()
    assert pushed(2208, whole, acc_id=U64) == read(order())
    for odd in (f"{whole[:8]}\n{whole[8:]}", f"{whole} ", f"{whole[:8]}-{whole[8:]}"):
        assert pushed(2208, odd, acc_id=U64) is None


def test_fields_of_every_kind_are_passed_over_at_their_length() -> None:
    """Nobody asks for them, and they may stand twice: a number, eight bytes, a text, four bytes."""
    header = encode("Trd_UpdateOrder", {"header": HEADER})
    for unasked in (b"\x18\x96\x01", b"\x19" + b"\xff" * 8, b"\x1a\x02ab", b"\x1d" + b"\xff" * 4):
        assert read(unasked * 2 + header + b"\x12\x03\x2a\x01a") == Pushed(REAL, OrderNames(None, "a", None), 1)


@given(st.binary(max_size=60))
def test_no_body_raises(body: bytes) -> None:
    """A value, nothing or that it is another account's, whatever the daemon sends, also inside a response."""
    for whole in (body, b"\x22" + bytes([len(body)]) + body):
        with suppress(TwoAccountsError):
            found = read(whole, acc_id=0)
            assert found is None or found.account.acc_id == 0


@given(
    st.sampled_from(Env),
    st.integers(0, U64),
    st.fixed_dictionaries(
        {}, optional={"order_id": st.integers(0, U64), "order_id_ex": st.text(), "remark": st.text(), "qty": st.just(1)}
    ),
)
def test_what_was_written_is_read(env: Env, acc_id: int, names: dict[str, Any]) -> None:
    """Against the simulator's own writer, whose fields come from the broker's table."""
    body = push_body(2208, {"header": {"trd_env": int(env), "acc_id": acc_id, "trd_market": 1}, "order": names})
    number = None if "order_id" not in names else str(names["order_id"])
    wanted = OrderNames(number, names.get("order_id_ex"), names.get("remark"))
    assert read(body, acc_id=acc_id) == Pushed(Account(env, acc_id), wanted, 1)


def test_pushes_of_orders_are_those_of_the_trade_family() -> None:
    """UpdateOrder and UpdateOrderFill, as the simulated daemon sends them."""
    assert set(ORDER_PUSHES) == {number for number, name in PUSHES.items() if name.startswith("Trd_Update")}
