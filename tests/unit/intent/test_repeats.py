"""Orders like one that was read before."""

import json
from decimal import Decimal
from itertools import permutations

import pytest

from guard.intent import repeats
from guard.intent.repeats import keep, like
from guard.intent.strict import Members
from guard.terms import PlaceOrder
from tests.support.bodies import ORDER, order, order_codes, read_as

BODY: Members = {**ORDER, "price": Decimal("300.0")}


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests have read orders like these in the same process."""
    monkeypatch.setattr(repeats, "_rests", {})
    monkeypatch.setattr(repeats, "_orders", {})


def test_an_order_that_differs_in_quantity_price_and_remark_is_known() -> None:
    """The three are read each time, whatever else the order says is what it said before."""
    body = BODY | {"remark": "one"}
    keep(body, order(remark="one"))

    assert like(body | {"qty": 7, "price": Decimal("1.5"), "remark": "two"}) == order(qty=7, price=1.5, remark="two")


@pytest.mark.parametrize(
    "change",
    [
        {"env": "real"},
        {"acc_id": 1},
        {"acc_id": "123456"},
        {"acc_id": Decimal(123456)},
        {"side": "SELL"},
        {"market": "US"},
        {"code": "00005"},
        {"side": True},
        {"qty": "100"},
        {"price": None},
        {"order_type": "NORMAL"},
        {"qty": {"acc_id": 1}},
    ],
)
def test_an_order_that_differs_in_anything_else_is_not(change: Members) -> None:
    """Also where a value only equals the known one, being of another type."""
    keep(BODY, order())

    assert like(BODY | change) is None


def test_a_true_is_no_one() -> None:
    """What equals a known value in Python need not be the same in JSON."""
    keep(BODY | {"side": 1}, order(side=1))

    assert like(BODY | {"side": 1}) == order()
    assert like(BODY | {"side": True}) is None
    assert order_codes(side=True) == ["bad_value"]


@pytest.mark.parametrize("change", [{"qty": 0}, {"qty": 10**15}, {"price": -1}, {"remark": "\0"}])
def test_a_wrong_number_is_told_by_whoever_reads_the_whole_body(change: Members) -> None:
    """A known order does not make it right, and everything else that is wrong has to be told beside it."""
    body = BODY | {"remark": "x"}
    keep(body, order(remark="x"))

    assert like(body | change) is None
    assert order_codes(**change) != []


def test_what_is_nested_or_spelled_otherwise_is_not_kept() -> None:
    """Such a body is read whole each time."""
    bodies: list[Members] = [{"c2s": BODY}, BODY | {"packet_id": {"conn_id": 1}}, {"quantity": 1, "price": 1}]
    for body in bodies:
        keep(body, order())
        assert like(body) is None


def test_an_order_of_a_long_body_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number may have as many zeros behind its point as a body has room for: thousands of them would be 100 MB."""
    orders: dict[object, PlaceOrder] = {}
    monkeypatch.setattr(repeats, "_orders", orders)
    body = json.dumps(ORDER | {"order_type": "STOP_LIMIT"})[:-1] + ', "aux_price": 1.%s}'
    longest = repeats.ORDER_BYTES_MAX - len(body % "")

    assert isinstance(read_as("/api/order", body % ("0" * (longest + 1))), PlaceOrder)
    assert not orders
    assert isinstance(read_as("/api/order", body % ("0" * longest)), PlaceOrder)
    assert len(orders) == 1


def test_no_more_orders_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of bodies with one layout, and of layouts; the room is then made anew, and what comes next is kept."""
    monkeypatch.setattr(repeats, "ORDERS_MAX", 3)
    monkeypatch.setattr(repeats, "LAYOUTS_MAX", 2)
    orders: dict[object, PlaceOrder] = {}
    layouts: dict[object, object] = {}
    monkeypatch.setattr(repeats, "_orders", orders)
    monkeypatch.setattr(repeats, "_rests", layouts)

    for names in permutations(BODY, len(BODY)):
        for acc_id in range(5):
            body = {name: BODY[name] for name in names} | {"acc_id": acc_id}
            keep(body, order())
            assert isinstance(like(body), PlaceOrder)
            assert len(orders) <= 3
            assert len(layouts) <= 2
        if names[0] != next(iter(BODY)):
            break
