"""Side, type, time in force, quantity and value, each at its bound."""

from typing import Any

import pytest

from guard.codes import Code
from guard.terms import Effect, OrderType, Side, TimeInForce
from tests.support.policy import asked, codes, order

CAP = '[orders]\nmax_value = ["100000 HKD", "12500 USD"]'


@pytest.mark.parametrize(
    ("text", "passes", "fails", "code"),
    [
        ('sides = ["BUY"]', {"side": Side.BUY}, {"side": Side.SELL}, Code.SIDE),
        ('types = ["STOP_LIMIT"]', {"order_type": OrderType.STOP_LIMIT}, {}, Code.ORDER_TYPE),
        ('time_in_force = ["DAY"]', {}, {"time_in_force": TimeInForce.GTC}, Code.TIME_IN_FORCE),
        ("sides = []", None, {}, Code.SIDE),
        ("types = []", None, {}, Code.ORDER_TYPE),
        ("time_in_force = []", None, {}, Code.TIME_IN_FORCE),
    ],
)
def test_only_what_is_listed_is_allowed(
    text: str, passes: dict[str, Any] | None, fails: dict[str, Any], code: Code
) -> None:
    """What stands on the list passes, all else is refused, and [] allows nobody."""
    rules = f"[orders]\n{text}"

    assert codes(asked(rules, order(**fails))) == [code]
    if passes is not None:
        assert not codes(asked(rules, order(**passes)))


@pytest.mark.parametrize(("qty", "is_allowed"), [("9999.999", True), ("10000", True), ("10000.001", False)])
def test_quantity_is_inclusive(qty: str, *, is_allowed: bool) -> None:
    """One step under and at the cap pass, one step over does not."""
    judgement = asked("[orders]\nmax_qty = 10000", order(qty))

    assert codes(judgement) == ([] if is_allowed else [Code.MAX_ORDER_QTY])


def test_a_quantity_may_be_a_fraction() -> None:
    """A cap of half a share is read exactly."""
    assert not codes(asked("[orders]\nmax_qty = 0.5", order("0.5")))
    assert codes(asked("[orders]\nmax_qty = 0.5", order("0.501"))) == [Code.MAX_ORDER_QTY]


@pytest.mark.parametrize(("price", "is_allowed"), [("999.999", True), ("1000", True), ("1000.001", False)])
def test_value_is_inclusive(price: str, *, is_allowed: bool) -> None:
    """One tick under and at the cap pass, one tick over does not."""
    assert codes(asked(CAP, order("100", price))) == ([] if is_allowed else [Code.MAX_ORDER_VALUE])


def test_a_refusal_tells_the_numbers() -> None:
    """Observed value, limit and unit stand in the reason, as plain text."""
    reason = asked(CAP, order("500", "300")).reasons[0]

    assert reason.message == "order value 150000 HKD is above 100000 HKD: 500 x 300 HKD = 150000 HKD"
    assert (reason.observed, reason.limit, reason.unit) == ("150000", "100000", "HKD")
    assert (reason.policy, reason.rule) == ("p0", "orders.max_value")


def test_w08_an_order_meets_the_amount_in_its_own_currency() -> None:
    """W08: 20,000 USD are not below 100,000 HKD, and a currency without an amount is refused by name."""
    assert codes(asked(CAP, order("100", "200", market="US", code="AAPL"))) == [Code.MAX_ORDER_VALUE]
    assert not codes(asked(CAP, order("100", "125", market="US", code="AAPL")))
    reason = asked(CAP, order("1", "1", market="JP", code="7203")).reasons[0]
    assert reason.code is Code.FX_UNAVAILABLE
    assert "JPY" in reason.message
    assert "HKD, USD" in reason.message


def test_w08_renminbi_counters_are_not_hong_kong_dollars() -> None:
    """W08: 80700 trades in CNH, so an amount in HKD does not speak of it."""
    assert codes(asked(CAP, order("1", "1", code="80700"))) == [Code.FX_UNAVAILABLE]


@pytest.mark.parametrize(
    "text", ["max_value = '0 HKD'", "max_qty = 0", "per_day = 0"], ids=["value", "quantity", "orders"]
)
def test_a_limit_of_zero_allows_nothing(text: str) -> None:
    """0 blocks, it does not switch the limit off."""
    judgement = asked(f"[orders]\n{text}", order("0.001", "0.001"))

    assert len(judgement.reasons) == 1
    assert not judgement.claims


def test_w04_a_change_is_judged_like_a_new_order() -> None:
    """W04, B02: quantity, price, side and symbol of the order as it will be meet every limit."""
    judgement = asked(
        CAP + '\nsides = ["SELL"]\n[instruments]\nsymbols = ["US.*"]', order("500", "300"), effect=Effect.ORDER_CHANGE
    )

    assert codes(judgement) == [Code.SYMBOL, Code.SIDE, Code.MAX_ORDER_VALUE]
