"""New orders."""

from decimal import Decimal

import pytest

from guard.intent.orders import TRIGGERED
from guard.terms import PRICELESS, TRAILING, OrderType, Side, TimeInForce
from tests.support.bodies import ORDER, order, order_codes, read_as, why

TRAIL = {"trail_type": "RATIO", "trail_value": 5}


def _for(kind: OrderType) -> dict[str, object]:
    """What an order of this type needs beside the example."""
    needs: dict[str, object] = {"order_type": kind.name}
    if kind in TRIGGERED:
        needs["aux_price"] = 290
    if kind in TRAILING:
        needs |= TRAIL
    if kind is OrderType.TRAILING_STOP_LIMIT:
        needs["trail_spread"] = 1
    return needs


@pytest.mark.parametrize("remark", ["", "x" * 64, "é" * 32])
def test_a_remark_may_fill_its_room(remark: str) -> None:
    """64 bytes, however many characters they are."""
    assert order(remark=remark).remark == remark


def test_the_references_example() -> None:
    """A limit order for the day, in shares and the instrument's currency."""
    placed = order()

    assert (placed.market, placed.symbol, placed.code, placed.sec_market) == ("HK", "HK.00700", "00700", 1)
    assert (placed.side, placed.order_type, placed.time_in_force) == (Side.BUY, OrderType.NORMAL, TimeInForce.DAY)
    assert (placed.qty, placed.price) == (Decimal(100), Decimal(300))


@pytest.mark.parametrize("kind", list(OrderType))
def test_every_type_by_number_and_by_label(kind: OrderType) -> None:
    """Both spellings are the same order."""
    needs = _for(kind)

    assert order(**needs).order_type is kind
    assert order(**needs) == order(**needs | {"order_type": kind.value})
    assert order(**needs) == order(**needs | {"order_type": kind.name.lower()})


@pytest.mark.parametrize(
    ("label", "kind"),
    [("MARKETIF_TOUCHED", OrderType.MARKET_IF_TOUCHED), ("LIMITIF_TOUCHED", OrderType.LIMIT_IF_TOUCHED)],
)
def test_the_protos_own_spelling_of_touched_types(label: str, kind: OrderType) -> None:
    """OrderType_MarketifTouched in upper snake case is accepted too."""
    assert order(order_type=label, aux_price=290).order_type is kind


@pytest.mark.parametrize("kind", sorted(PRICELESS))
def test_w02_a_type_without_a_limit_price_keeps_none(kind: OrderType) -> None:
    """A tiny price on a market order is not kept, nor is its absence a fault."""
    needs = _for(kind)

    assert order(**needs | {"price": 0.01}).price is None
    assert order(**needs | {"price": -5}) == order(**needs | {"price": None})
    assert order_codes(**needs | {"price": "cheap"}) == ["bad_number"]


@pytest.mark.parametrize("kind", sorted(set(OrderType) - PRICELESS))
def test_a_type_with_a_limit_price_needs_one(kind: OrderType) -> None:
    """Absent or null, it is missing."""
    assert order_codes(**_for(kind) | {"price": None}) == ["missing_field"]


def test_what_is_missing_is_named_as_the_caller_may_have_written_it() -> None:
    """A flat body says `market`; told of trd_market alone, its author looked for a field that is not in the example."""
    told = why("/api/order", {})
    for words in ("trd_market (or market)", "trd_side (or side)", "code (or symbol)", "qty (or quantity)", "acc_id"):
        assert f"{words} is missing" in told


@pytest.mark.parametrize("kind", sorted(TRIGGERED))
def test_a_triggered_type_needs_its_trigger(kind: OrderType) -> None:
    """Stops and touched types have an aux_price."""
    assert order(**_for(kind)).aux_price == 290
    assert order_codes(**_for(kind) | {"aux_price": None}) == ["missing_field"]


@pytest.mark.parametrize("name", ["trail_type", "trail_value"])
@pytest.mark.parametrize("kind", sorted(TRAILING))
def test_a_trailing_type_needs_its_trail(kind: OrderType, name: str) -> None:
    """Type and distance; a trailing limit also its spread."""
    assert order_codes(**_for(kind) | {name: None}) == ["missing_field"]


def test_a_trailing_limit_needs_its_spread() -> None:
    """Its limit follows from the spread."""
    assert order_codes(**_for(OrderType.TRAILING_STOP_LIMIT) | {"trail_spread": None}) == ["missing_field"]


@pytest.mark.parametrize("extra", [{"aux_price": 290}, TRAIL, {"trail_spread": 1}, {"aux_price": 0}])
def test_an_order_that_looks_like_a_stop_is_not_sent_as_a_plain_one(extra: dict[str, object]) -> None:
    """A trigger or trail on a type without one is refused."""
    assert set(order_codes(**extra)) == {"bad_value"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"qty": None}, ["missing_field"]),
        ({"qty": 0}, ["bad_value"]),
        ({"qty": -1}, ["bad_value"]),
        ({"qty": "100"}, ["bad_number"]),
        ({"qty": True}, ["bad_number"]),
        ({"qty": 1e15}, ["bad_number"]),
        ({"price": 0}, ["bad_value"]),
        ({"price": -1}, ["bad_value"]),
        ({"price": "300"}, ["bad_number"]),
        ({"price": 300.1234}, ["bad_number"]),
        ({"side": None}, ["missing_field"]),
        ({"side": 3}, ["bad_value"]),
        ({"side": "SELL_SHORT"}, ["bad_value"]),
        ({"side": "BUY_BACK"}, ["bad_value"]),
        ({"side": 0}, ["bad_value"]),
        ({"code": None}, ["missing_field"]),
        ({"code": 700}, ["bad_value"]),
        ({"code": "US.AAPL"}, ["bad_value"]),
        ({"order_type": 3}, ["bad_value"]),
        ({"order_type": "LIMIT"}, ["bad_value"]),
        ({"time_in_force": 2}, ["bad_value"]),
        ({"time_in_force": "IOC"}, ["bad_value"]),
        ({"sec_market": 91}, ["bad_value"]),
        ({"sec_market": "CN_SH"}, ["bad_value"]),
        ({"fill_outside_rth": 1}, ["bad_value"]),
        ({"session": 5}, ["bad_value"]),
        ({"position_id": "x"}, ["bad_number"]),
        ({"remark": 5}, ["bad_value"]),
        ({"remark": "x" * 65}, ["bad_value"]),
        ({"remark": "é" * 33}, ["bad_value"]),
        ({"remark": "a\nb"}, ["bad_value"]),
        ({"remark": "a\u2028b"}, ["bad_value"]),
        ({"remark": "a\x9bb"}, ["bad_value"]),
        ({"adjust_price": 1}, ["bad_value"]),
        ({"adjust_price": True, "adjust_side_and_limit": 1}, ["bad_value"]),
        ({"order_type": "TRAILING_STOP", "trail_type": 3, "trail_value": 5}, ["bad_value"]),
        ({"order_type": "TRAILING_STOP", "trail_type": 1, "trail_value": 101}, ["bad_value"]),
        ({"order_type": "TRAILING_STOP", "trail_type": 2, "trail_value": 0}, ["bad_value"]),
        ({"packet_id": {"conn_id": "x"}}, ["bad_number"]),
    ],
)
def test_what_is_no_order_is_refused(changes: dict[str, object], expected: list[str]) -> None:
    """Each fault with its code."""
    assert order_codes(**changes) == expected


def test_all_faults_at_once() -> None:
    """A caller learns everything that is wrong in one answer."""
    faults = order_codes(qty=0, price="x", side="HOLD", acc_id=None, time_in_force=9)

    assert faults == ["missing_field", "bad_number", "bad_value", "bad_value", "bad_value"]


def test_a_trailing_spread_is_not_negative() -> None:
    """Below zero the limit would be on the wrong side."""
    assert order_codes(**_for(OrderType.TRAILING_STOP_LIMIT) | {"trail_spread": -1}) == ["bad_value"]


def test_what_an_order_may_carry() -> None:
    """Everything else of the message, typed."""
    placed = order(
        time_in_force="GTC",
        fill_outside_rth=True,
        session="RTH",
        position_id="18446744073709551615",
        remark="strategy 7 é",
        adjust_price=True,
        adjust_side_and_limit=-0.015,
        packet_id={"conn_id": 7, "serial_no": 9},
    )

    assert (placed.time_in_force, placed.fill_outside_rth, placed.session) == (TimeInForce.GTC, True, 1)
    assert (placed.position_id, placed.remark) == (2**64 - 1, "strategy 7 é")
    assert (placed.adjust_price, placed.adjust_side_and_limit) == (True, Decimal("-0.015"))
    assert placed.packet_id == (7, 9)


def test_w06_an_adjustment_that_is_off_is_none() -> None:
    """A limit without the flag would do nothing and is not kept."""
    assert order(adjust_price=False, adjust_side_and_limit=0.5) == order()
    assert order(adjust_side_and_limit=0.5) == order()


def test_futures_have_nine_decimals_and_may_be_negative() -> None:
    """A spread may trade at zero or below."""
    future: dict[str, object] = {"market": "FUTURES", "code": "US.CL2606"}

    assert order(**future, price=-37.63).price == Decimal("-37.63")
    assert order(**future, price=0).price == 0
    assert order(**future, price=1.123456789).price == Decimal("1.123456789")
    assert order_codes(**future, price=1.1234567891) == ["bad_number"]


def test_decimals_that_are_zero_do_not_count() -> None:
    """300.0000 is 300, 3e2 is 300."""
    body = '{"market":"HK","acc_id":123456,"env":"simulate","side":"BUY","code":"00700","qty":1e2,"price":300.00000}'

    assert read_as("/api/order", body) == order()


def test_messages_name_the_field_and_what_would_pass() -> None:
    """A refusal helps."""
    assert why("/api/order", ORDER | {"side": "HOLD"}) == "trd_side 'HOLD' is none of BUY, SELL"
