"""Answers cut: rows go whole, what stays is the daemon's own bytes, what is not understood is not shown."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.access import Cut, cut_lines, cut_members, cut_rows
from guard.catalogue import DIAGNOSTICS
from guard.codes import Code
from guard.terms import OrderNames, Refusal

BIG = 18446744073709551615
MINE = b'{"order_id":18446744073709551615,"order_id_ex":"mine","price":1.10,"qty":1e2, "name":"\\u817e"}'
THEIRS = b'{"order_id":18446744073709551614,"order_id_ex":"theirs"}'
DIAGNOSED = DIAGNOSTICS["/api/push-subscriber-info"]


def is_mine(names: OrderNames) -> bool:
    """The order that these tests show."""
    return names.order_id_ex == "mine" or names.order_id == str(BIG)


def answer(*rows: bytes) -> bytes:
    """An order list of the daemon's."""
    head = (
        b'{"ret_type":0,"ret_msg":null,"err_code":null,"s2c":{"header":{"acc_id":18446744073709551615},"order_list":['
    )
    return head + b",".join(rows) + b"]}}"


def shown(body: bytes) -> Cut:
    """What is left of it."""
    cut = cut_rows(body, "order_list", is_shown=is_mine)
    assert isinstance(cut, Cut)
    return cut


def test_rows_of_others_go_whole_and_the_rest_stays_byte_for_byte() -> None:
    """Ids beyond 2^53, decimals and escapes come as the daemon wrote them."""
    cut = shown(answer(THEIRS, MINE, THEIRS))
    assert cut == Cut(answer(MINE), 2)
    assert shown(answer(MINE, MINE)) == Cut(answer(MINE, MINE), 0)
    assert shown(answer()) == Cut(answer(), 0)


@pytest.mark.parametrize(
    "row",
    [
        b"{}",
        b"null",
        b"7",
        b'"mine"',
        b'["mine"]',
        b'{"order_id_ex":null,"order_id":0}',
        b'{"order_id_ex":7}',
        b'{"order_id_ex":"mine","order_id":1.0}',
        b'{"order_id_ex":"mine","order_id":true}',
        b'{"orderIDEx":"mine"}',
        b'{"order_id_ex":"theirs","order_id_ex":"mine"}',
        b'{"order_id_ex":"mine","order_id_ex":"theirs"}',
        b'{"order_id_ex":"mine","qty":1,"qty":2}',
    ],
)
def test_a_row_that_does_not_say_whose_it_is_goes_too(row: bytes) -> None:
    """Nameless, misspelt, of another type, or telling two stories."""
    assert shown(answer(row, MINE)) == Cut(answer(MINE), 1)


def test_an_id_may_be_digits_in_a_text() -> None:
    """As the daemon writes it in some versions."""
    row = b'{"order_id":"18446744073709551615"}'
    assert shown(answer(row)) == Cut(answer(row), 0)


def test_nothing_of_the_answer_stays_that_nobody_knows() -> None:
    """A second list under another name is no way around."""
    body = b'{"ret_type":0,"s2c":{"order_list":[],"all_orders":[1]},"orders":[2]}'
    assert shown(body) == Cut(b'{"ret_type":0,"s2c":{"order_list":[]}}', 0)
    assert shown(b'{"ret_type":-1,"ret_msg":"no","s2c":null}') == Cut(b'{"ret_type":-1,"ret_msg":"no","s2c":null}', 0)
    assert shown(b'{"error":"forbidden"}') == Cut(b'{"error":"forbidden"}', 0)


@pytest.mark.parametrize("body", [b"", b"down", b"[]", b'"x"', b'{"s2c":7}', b'{"s2c":{"order_list":{}}}', b"\xff{}"])
def test_what_cannot_be_cut_is_not_shown(body: bytes) -> None:
    """No JSON object, or no list where the list stands."""
    for cut in (cut_rows(body, "order_list", is_shown=is_mine), cut_members(body.replace(b"order_list", b"push"), {})):
        if isinstance(cut, Cut):
            assert json.loads(cut.body) == {"s2c": {}}
        else:
            assert isinstance(cut, Refusal)
            assert cut.code is Code.DAEMON_BAD_ANSWER


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_no_bytes_of_the_daemons_raise(body: bytes) -> None:
    """A value or a refusal, whatever it says, also as a row."""
    assert isinstance(cut_rows(body, "order_list", is_shown=is_mine), Cut | Refusal)
    assert isinstance(cut_rows(answer(body), "order_list", is_shown=is_mine), Cut | Refusal)
    assert isinstance(cut_members(body, DIAGNOSED), Cut | Refusal)
    assert isinstance(cut_lines(body, is_held=is_held), Cut | Refusal)


def test_b17_diagnostics_show_numbers_and_flags_of_the_daemon_alone() -> None:
    """Subscribers, other objects and anything that is no number or flag are left out, in `s2c` or without it."""
    push: dict[str, Any] = {"push_stream_healthy": True, "total_pushes_received": 7, "circuit_breaker_trips": "x"}
    told = {"push": push | {"subscribers": [{"acc_id": 1}]}, "qot_login": None, "clients": [{"acc_id": 1}]}
    kept = {"push": {"push_stream_healthy": True, "total_pushes_received": 7}, "qot_login": {}}
    for body, wanted in ((told, kept), ({"ret_type": 0, "s2c": told}, {"ret_type": 0, "s2c": kept})):
        cut = cut_members(json.dumps(body).encode(), DIAGNOSED)
        assert isinstance(cut, Cut)
        assert json.loads(cut.body) == wanted


HELD = {(1, "00700", 1), (1, "00700", 2), (11, "AAPL", 1)}


def is_held(market: int, code: str, sub_type: int) -> bool:
    """The lines of these tests."""
    return (market, code, sub_type) in HELD


def subscriptions(*lines: tuple[int, list[dict[str, Any]]], own: bool = True) -> dict[str, Any]:
    """What the daemon tells of one connection."""
    infos = [{"sub_type": kind, "security_list": rows} for kind, rows in lines]
    return {"sub_info_list": infos, "used_quota": 9, "is_own_conn_data": own}


def test_w18_subscriptions_are_cut_to_the_lines_that_a_key_holds() -> None:
    """By market, code and type together; other connections are not told of; the quota stays."""
    tencent, hsbc = {"market": 1, "code": "00700"}, {"market": 1, "code": "00005"}
    apple = {"market": 11, "code": "AAPL"}
    conns = [
        subscriptions((1, [tencent, hsbc, apple]), (2, [tencent, apple])),
        subscriptions((1, [tencent]), own=False),
    ]
    told = {
        "ret_type": 0,
        "others": conns,
        "s2c": {"conn_sub_info_list": conns, "total_used_quota": 9, "remain_quota": 91, "who": 1},
    }
    cut = cut_lines(json.dumps(told).encode(), is_held=is_held)
    assert isinstance(cut, Cut)
    kept = subscriptions((1, [tencent, apple]), (2, [tencent]))
    s2c = {"conn_sub_info_list": [kept], "total_used_quota": 9, "remain_quota": 91}
    assert json.loads(cut.body) == {"ret_type": 0, "s2c": s2c}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"s2c":7}', b'{"s2c":{"conn_sub_info_list":[7]}}', b"\xff"])
def test_subscriptions_that_cannot_be_read_are_not_shown(body: bytes) -> None:
    """502 rather than what others look at."""
    cut = cut_lines(body, is_held=is_held)
    assert isinstance(cut, Refusal)


def test_an_error_instead_of_subscriptions_is_told() -> None:
    """The daemon's own word stays."""
    for body in (b'{"ret_type":-1,"ret_msg":"no","s2c":null}', b'{"error":"forbidden"}'):
        assert cut_lines(body, is_held=is_held) == Cut(body)
