"""Order lists: read whole or not at all."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from guard.terms import Account, Answer, Env, Failure, Side
from guard.upstream import orderlist
from guard.upstream.orderlist import OrderRow, Status, is_logged_out, read_orders

HERE = Account(Env.REAL, 281756478875559548)
ROW: dict[str, Any] = {
    "trd_side": 1,
    "order_type": 1,
    "order_status": 10,
    "order_id": 9007199254740993,
    "order_id_ex": "FH1C",
    "code": "00700",
    "name": "Tencent",
    "qty": 300.0,
    "price": 200.5,
    "fill_qty": 100.0,
    "fill_avg_price": 199.5,
    "sec_market": 1,
    "create_timestamp": 1795340788.5,
    "update_timestamp": 1795340789,
    "remark": "g:01K",
    "currency": 1,
}


def answer(*rows: Any, status: int = 200, **members: Any) -> Answer:
    """A list as the daemon gives it; a member of None is left out."""
    header = {"trd_env": 1, "acc_id": HERE.acc_id, "trd_market": 1}
    s2c = {"header": header, "order_list": list(rows)} | members
    body = {"ret_type": 0, "s2c": {name: value for name, value in s2c.items() if value is not None}}
    return Answer(status, "application/json", json.dumps(body).encode())


def one(**members: Any) -> OrderRow:
    """The one row of a list."""
    rows = read_orders(answer(ROW | members), account=HERE)
    assert rows is not None
    return rows[0]


def test_a_row_is_read_exactly() -> None:
    """Ids beyond a double, decimals, times and the currency are what the daemon wrote."""
    assert one() == OrderRow(
        order_id="9007199254740993",
        order_id_ex="FH1C",
        code="00700",
        symbol="HK.00700",
        side=1,
        qty=Decimal(300),
        status=Status.FILLED_PART,
        price=Decimal("200.5"),
        filled=Decimal(100),
        fill_average=Decimal("199.5"),
        remark="g:01K",
        created=datetime.fromtimestamp(1795340788.5, UTC),
        updated=datetime.fromtimestamp(1795340789, UTC),
        currency="HKD",
        order_type=1,
    )


@pytest.mark.parametrize(
    ("members", "name", "value"),
    [
        ({"order_id": 0}, "order_id", None),
        ({"order_id_ex": ""}, "order_id_ex", None),
        ({"order_id_ex": "0"}, "order_id_ex", None),
        ({"order_status": 77}, "status", Status.UNKNOWN),
        ({"remark": ""}, "remark", None),
        ({"remark": "  "}, "remark", None),
        ({"fill_qty": None}, "filled", 0),
        ({"fill_avg_price": 0.0}, "fill_average", None),
        ({"create_timestamp": 0}, "created", None),
        ({"create_timestamp": 1e12}, "created", None),
        ({"sec_market": 99}, "symbol", None),
        ({"sec_market": 2, "code": "AAPL"}, "symbol", "US.AAPL"),
        ({"code": "HK.HSI2612"}, "symbol", "HK.HSI2612"),
        ({"code": "HK.HSI2612"}, "code", "HSI2612"),
        ({"code": "CN.600519", "sec_market": 31}, "symbol", "SH.600519"),
        ({"code": "US.AAPL", "sec_market": None}, "symbol", "US.AAPL"),
        ({"currency": 99}, "currency", None),
        ({"currency": None}, "currency", None),
        ({"remark": "x" * 256}, "remark", "x" * 256),
        ({"session": 0}, "session", 0),
        ({"order_type": True}, "order_type", None),
        ({"order_type": "1"}, "order_type", None),
        ({"order_type": -1}, "order_type", None),
        ({"order_type": 1_000}, "order_type", None),
        ({"order_id": 2**64 - 1}, "order_id", str(2**64 - 1)),
        ({"price": -3.5}, "price", Decimal("-3.5")),
    ],
)
def test_what_is_left_out_is_none(members: dict[str, Any], name: str, value: object) -> None:
    """Zero ids, blank remarks, times that are none: nothing, rather than a guess."""
    assert getattr(one(**members), name) == value


@pytest.mark.parametrize(
    "members",
    [
        {"order_id": 0, "order_id_ex": ""},
        {"order_id": 1.5},
        {"order_id": True},
        {"order_id": 2**64},
        {"order_status": -(2**63) - 1},
        {"order_id_ex": "a b"},
        {"order_id_ex": ["a"]},
        {"code": ""},
        {"code": 700},
        {"trd_side": 9},
        {"trd_side": "1"},
        {"qty": None},
        {"qty": "300"},
        {"qty": -1},
        {"qty": 1e30},
        {"fill_qty": -1},
        {"price": True},
        {"price": 1e18},
        {"price": 1e-21},
        {"order_status": None},
        {"order_status": "5"},
        {"remark": 5},
        {"remark": "x" * 257},
        {"create_timestamp": "now"},
    ],
)
def test_one_odd_row_makes_the_list_worthless(members: dict[str, Any]) -> None:
    """A list with a row that cannot be read cannot say what is not in it."""
    assert read_orders(answer(ROW | {"order_id_ex": "other"}, ROW | members), account=HERE) is None


def test_a_number_of_more_digits_than_any_price_has_makes_the_list_worthless() -> None:
    """Twenty digits are read as they stand, one more is none of the daemon's."""
    digits = "1.2345678901234567891"
    for number, is_read in ((digits, True), (digits + "1", False)):
        body = answer(ROW).body.replace(b"200.5", number.encode())
        rows = read_orders(Answer(200, "application/json", body), account=HERE)
        assert (rows is not None) is is_read
        assert rows is None or rows[0].price == Decimal(number)


@pytest.mark.parametrize(("side", "placed"), [(1, Side.BUY), (2, Side.SELL), (3, Side.SELL), (4, Side.BUY)])
def test_a_short_sale_was_placed_as_a_sale_and_its_end_as_a_purchase(side: int, placed: Side) -> None:
    """The daemon has four words for what an order has two for."""
    assert (one(trd_side=side).side, one(trd_side=side).direction) == (side, placed)


def test_a_list_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row more and it says nothing."""
    monkeypatch.setattr(orderlist, "ROWS_MAX", 2)
    rows = [ROW | {"order_id_ex": name} for name in ("A", "B", "C")]
    assert read_orders(answer(*rows[:2]), account=HERE) is not None
    assert read_orders(answer(*rows), account=HERE) is None


@pytest.mark.parametrize(
    "given",
    [
        Failure("timeout", "late", is_sent=True),
        answer(ROW, status=500),
        answer("row"),
        answer(order_list="rows"),
        answer(ROW, header={"trd_env": 0}),
        answer(ROW, header={"acc_id": 5}),
        answer(ROW, header={"acc_id": [5]}),
        answer(ROW, ROW | {"qty": 5}),
        Answer(200, "application/json", b'{"ret_type":-1,"s2c":{"order_list":[]}}'),
        Answer(200, "application/json", b'{"ret_type":true,"s2c":{"order_list":[]}}'),
        Answer(200, "application/json", b'{"ret_type":0,"s2c":null}'),
        Answer(200, "application/json", b"[]"),
        Answer(200, "application/json", b"\x00<html>"),
        Answer(200, "application/json", b'{"ret_type":0,"ret_type":0,"s2c":{}}'),
    ],
)
def test_an_answer_that_is_no_whole_list_says_nothing(given: Answer | Failure) -> None:
    """Failures, other accounts, rows that contradict each other, envelopes that are none."""
    assert read_orders(given, account=HERE) is None


def test_lists_that_are_empty_or_repeat_themselves() -> None:
    """No orders are no orders; the same row twice is one; ids may be digits in a text, the header may be missing."""
    assert read_orders(answer(), account=HERE) == ()
    assert read_orders(answer(order_list=None), account=HERE) == ()
    assert len(read_orders(answer(ROW, ROW, header={"acc_id": str(HERE.acc_id)}), account=HERE) or ()) == 1
    assert read_orders(answer(header=None), account=HERE) == ()


def test_ends_are_final_and_a_disabled_order_is_none() -> None:
    """Filled, cancelled, failed, deleted: over. Unknown, timed out, disabled: not."""
    over = {status for status in Status if status.is_over}
    assert {status.word for status in over} == {
        "submit_failed",
        "filled_all",
        "cancelled_part",
        "cancelled_all",
        "failed",
        "deleted",
        "fill_cancelled",
    }


@pytest.mark.parametrize(
    ("body", "is_out"),
    [
        (b'{"ret_type":0,"s2c":{"qot_logined":true,"trd_logined":false}}', True),
        (b'{"ret_type":0,"s2c":{"qot_logined":false,"trd_logined":true}}', False),
        (b'{"ret_type":0,"s2c":{"qot_logined":false}}', False),
        (b'{"ret_type":0,"s2c":{"trd_logined":0}}', False),
        (b'{"ret_type":-1,"s2c":{"trd_logined":false}}', False),
        (b"ready", False),
    ],
)
def test_b20_only_the_daemons_own_word_says_that_it_is_logged_out(body: bytes, *, is_out: bool) -> None:
    """B20: whatever else it answers, or that it answers nothing, says nothing of its lists."""
    assert is_logged_out(Answer(200, "application/json", body)) is is_out
    assert not is_logged_out(Answer(403, "application/json", body))
    assert not is_logged_out(Failure("reset", "gone", is_sent=True))


def test_orders_with_one_id_alone_are_told_apart_by_it() -> None:
    """Two of them are two rows of one list."""
    named = read_orders(answer(*(ROW | {"order_id": None, "order_id_ex": name} for name in ("A", "B"))), account=HERE)
    counted = read_orders(answer(*(ROW | {"order_id": number, "order_id_ex": None} for number in (7, 8))), account=HERE)
    assert [row.order_id_ex for row in named or ()] == ["A", "B"]
    assert [row.order_id for row in counted or ()] == ["7", "8"]
