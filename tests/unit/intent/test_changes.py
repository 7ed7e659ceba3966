"""Changes and cancels."""

from decimal import Decimal

import pytest

from guard.terms import CancelAll, CancelOrder, Env, Header, ModifyOrder, Op, Reconfirm
from tests.support.bodies import ACCOUNT, HEADER, codes, read_as

MODIFY = "/api/modify-order"
CANCEL_ALL = "/api/cancel-all-order"
CHANGE: dict[str, object] = ACCOUNT | {"order_id": "987", "op": "NORMAL", "qty": 200, "price": 310.5}
HEAD = Header(Env.SIMULATE, 123456, None, 1)


def test_a_change_has_a_new_quantity_and_price() -> None:
    """NORMAL, with whatever else may change."""
    change = read_as(MODIFY, CHANGE | {"aux_price": 300, "adjust_price": True, "adjust_side_and_limit": 0.01})

    assert change == ModifyOrder(
        HEAD,
        "987",
        None,
        Op.NORMAL,
        qty=Decimal(200),
        price=Decimal("310.5"),
        aux_price=Decimal(300),
        adjust_price=True,
        adjust_side_and_limit=Decimal("0.01"),
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"qty": None}, ["missing_field"]),
        ({"price": None}, ["missing_field"]),
        ({"qty": 0}, ["bad_value"]),
        ({"price": -0.001}, ["bad_value"]),
        ({"aux_price": 0}, ["bad_value"]),
        ({"price": 310.1234}, ["bad_number"]),
        ({"trail_type": 9}, ["bad_value"]),
        ({"op": None}, ["missing_field"]),
        ({"op": 0}, ["bad_value"]),
        ({"op": 6}, ["bad_value"]),
        ({"op": "CHANGE"}, ["bad_value"]),
        ({"order_id": None}, ["missing_field"]),
        ({"order_id": 0}, ["missing_field"]),
        ({"order_id": 0, "order_id_ex": "0"}, ["missing_field"]),
        ({"order_id": "9x"}, ["bad_number"]),
        ({"order_id": 987.0}, ["bad_number"]),
        ({"order_id": None, "order_id_ex": 7}, ["bad_value"]),
        ({"order_id_ex": "a b"}, ["bad_value"]),
        ({"order_id_ex": "x" * 65}, ["bad_value"]),
        ({"order_id_ex": 7}, ["bad_value"]),
        ({"market": None}, ["missing_field"]),
        ({"for_all": 1}, ["bad_value"]),
    ],
)
def test_what_is_no_change_is_refused(changes: dict[str, object], expected: list[str]) -> None:
    """Each fault with its code; op 0 is no op (B26)."""
    assert codes(MODIFY, {k: v for k, v in (CHANGE | changes).items() if v is not None}) == expected


def test_a_futures_change_may_be_negative() -> None:
    """Its header says so, the code is not in the message."""
    change = read_as(MODIFY, CHANGE | {"market": "FUTURES", "price": -37.123456789})

    assert isinstance(change, ModifyOrder)
    assert change.price == Decimal("-37.123456789")


@pytest.mark.parametrize(
    ("op", "number"), [("CANCEL", Op.CANCEL), ("DISABLE", Op.DISABLE), ("DELETE", Op.DELETE), (2, Op.CANCEL)]
)
@pytest.mark.parametrize(
    "junk",
    [
        {},
        {"qty": 0, "price": 0, "aux_price": 0, "trail_type": 0, "trail_value": 0, "trail_spread": 0},
        {"qty": "all", "price": [], "adjust_price": 3, "adjust_side_and_limit": 9},
    ],
)
def test_a_cancel_is_never_refused_for_a_price(op: object, number: Op, junk: dict[str, object]) -> None:
    """Quantity, price and trail of a cancel are ignored and dropped, zeros and nonsense included."""
    body = ACCOUNT | {"order_id": 987, "op": op} | junk

    assert read_as(MODIFY, body) == CancelOrder(HEAD, "987", None, number)


def test_b14_enable_is_a_change_and_no_cancel() -> None:
    """It brings exposure back; its numbers are dropped like a cancel's."""
    body = ACCOUNT | {"order_id_ex": "FH1C6647B149FF2000", "op": 4, "qty": 10**9, "price": 1}

    assert read_as(MODIFY, body) == ModifyOrder(HEAD, None, "FH1C6647B149FF2000", Op.ENABLE)


def test_the_daemons_way_of_leaving_an_id_out() -> None:
    """0 and "" name nothing; the other id does."""
    body = ACCOUNT | {"op": "CANCEL"}

    assert read_as(MODIFY, body | {"order_id": 0, "order_id_ex": "AB1"}) == CancelOrder(HEAD, None, "AB1")
    assert read_as(MODIFY, body | {"order_id": "987", "order_id_ex": ""}) == CancelOrder(HEAD, "987", None)


def test_w12_for_all_is_a_cancel_of_everything() -> None:
    """modify-order with for_all is the same intent as cancel-all-order, also with a zero order id."""
    everything = CancelAll(HEAD)

    assert read_as(CANCEL_ALL, ACCOUNT) == everything
    assert read_as(MODIFY, ACCOUNT | {"for_all": True, "op": "CANCEL"}) == everything
    assert read_as(MODIFY, ACCOUNT | {"for_all": True, "op": 2, "order_id": 0}) == everything
    assert read_as(MODIFY, CHANGE | {"for_all": False}) == read_as(MODIFY, CHANGE)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (MODIFY, {"for_all": True}, ["missing_field"]),
        (MODIFY, {"for_all": True, "op": "NORMAL", "qty": 1, "price": 1}, ["bad_value"]),
        (MODIFY, {"for_all": True, "op": "ENABLE"}, ["bad_value"]),
        (MODIFY, {"for_all": True, "op": "CANCEL", "order_id": 987}, ["bad_value"]),
        (CANCEL_ALL, {"for_all": False}, ["bad_value"]),
        (CANCEL_ALL, {"op": 4}, ["bad_value"]),
        (CANCEL_ALL, {"op": 0}, ["bad_value"]),
        (CANCEL_ALL, {"order_id_ex": "AB1"}, ["bad_value"]),
        (CANCEL_ALL, {"market": None}, ["missing_field"]),
        (CANCEL_ALL, {"acc_id": None}, ["missing_field"]),
    ],
)
def test_b26_a_cancel_of_everything_says_nothing_else(path: str, body: dict[str, object], expected: list[str]) -> None:
    """Another op, a named order, or for_all false beside the path is refused."""
    assert codes(path, {k: v for k, v in (ACCOUNT | body).items() if v is not None}) == expected


@pytest.mark.parametrize("path", [MODIFY, CANCEL_ALL])
def test_w12_the_markets_of_message_and_header_agree(path: str) -> None:
    """A cancel of everything cannot name one market in the header and another beside it."""
    body = {"header": HEADER, "modify_order_op": 2, "for_all": True}

    assert codes(path, {"c2s": body | {"trd_market": 2}}) == ["bad_value"]
    assert read_as(path, {"c2s": body | {"trd_market": 1}}) == CancelAll(HEAD, 1)


def test_a_change_keeps_to_the_headers_market_too() -> None:
    """trd_market beside a header of another market is refused for a single order."""
    body = {"header": HEADER, "order_id": 987, "modify_order_op": 2, "trd_market": "US"}

    assert codes(MODIFY, {"c2s": body}) == ["bad_value"]


def test_the_callers_packet_id_is_kept_for_the_record() -> None:
    """In every trade."""
    packet = {"packet_id": {"conn_id": 1, "serial_no": 2}}

    for path, body in (
        (MODIFY, CHANGE),
        (MODIFY, CHANGE | {"op": 2}),
        (MODIFY, CHANGE | {"op": 4}),
        (CANCEL_ALL, ACCOUNT),
    ):
        intent = read_as(path, body | packet)
        assert isinstance(intent, ModifyOrder | CancelOrder | CancelAll)
        assert intent.packet_id == (1, 2)


@pytest.mark.parametrize("reason", [0, 1, 2**31 - 1])
def test_w17_a_reconfirmation_names_order_and_reason(reason: int) -> None:
    """Nothing else is in the message."""
    body = ACCOUNT | {"order_id": "987", "reconfirm_reason": reason}

    assert read_as("/api/reconfirm-order", body) == Reconfirm(HEAD, "987", reason)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"order_id": None, "reconfirm_reason": None}, ["missing_field", "missing_field"]),
        ({"order_id": 0}, ["bad_value"]),
        ({"reconfirm_reason": -1}, ["bad_value"]),
        ({"reconfirm_reason": 2**31}, ["bad_value"]),
        ({"reconfirm_reason": 1.5}, ["bad_number"]),
        ({"reconfirm_reason": "1"}, ["bad_number"]),
    ],
)
def test_what_is_no_reconfirmation_is_refused(changes: dict[str, object], expected: list[str]) -> None:
    """Order and reason must be said."""
    body = ACCOUNT | {"order_id": "987", "reconfirm_reason": 1} | changes

    assert codes("/api/reconfirm-order", {k: v for k, v in body.items() if v is not None}) == expected
