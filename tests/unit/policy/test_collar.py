"""The price collar: hard on the side that costs, exactly at the bound passes."""

from decimal import Decimal
from typing import Any

import pytest

from guard.codes import Code
from guard.terms import OrderType, Side
from tests.support.policy import asked, codes, order, policies
from tests.support.worlds import NOT_ASKED, future, option, position, quote, stock, world

T = OrderType
RULES = "[orders]\nprice_collar_percent = { stock = 10, option = 50, future = 5 }"
BOOK = quote("300", bid="290", ask="310")
CALL = {"market": "US", "code": "AAPL260116C200000"}
OIL = {"market": "FUTURES_US", "code": "CL2612"}


def found(rules: str, where: Any, **fields: Any) -> list[Code]:
    """What stands against an order at a price."""
    price = fields.pop("price", None)
    return codes(asked(rules, order("1", price, **fields), world=where))


@pytest.mark.parametrize(
    ("side", "limit", "is_inside"),
    [
        (Side.BUY, "340.999", True),
        (Side.BUY, "341", True),  # ask 310 + 10 %
        (Side.BUY, "341.001", False),
        (Side.BUY, "0.01", True),  # the other side only waits
        (Side.SELL, "261.001", True),
        (Side.SELL, "261", True),  # bid 290 - 10 %
        (Side.SELL, "260.999", False),
        (Side.SELL, "999999", True),
    ],
)
def test_a_limit_at_the_bound_passes_and_one_tick_beyond_does_not(side: Side, limit: str, *, is_inside: bool) -> None:
    """A BUY against the highest, a SELL against the lowest of touch and last; only the aggressive side is bound."""
    assert found(RULES, world(BOOK), price=limit, side=side) == ([] if is_inside else [Code.PRICE_COLLAR])


@pytest.mark.parametrize(
    ("side", "trigger", "is_inside"),
    [
        (Side.BUY, "341", True),
        (Side.BUY, "341.001", False),
        (Side.SELL, "261", True),
        (Side.SELL, "260.999", False),
    ],
)
@pytest.mark.parametrize("order_type", [T.STOP, T.STOP_LIMIT, T.MARKET_IF_TOUCHED, T.LIMIT_IF_TOUCHED])
def test_triggers_are_compared_too(order_type: OrderType, side: Side, trigger: str, *, is_inside: bool) -> None:
    """Whatever becomes of the order once it is touched."""
    fields = {"order_type": order_type, "side": side, "aux_price": Decimal(trigger), "price": "300"}

    assert found(RULES, world(BOOK), **fields) == ([] if is_inside else [Code.PRICE_COLLAR])


@pytest.mark.parametrize(
    ("side", "limit", "ratio", "is_inside"),
    [
        (Side.BUY, "310", "0.1", True),
        (Side.BUY, "310", "0.10001", False),
        (Side.BUY, "310", "-0.9", True),
        (Side.SELL, "290", "-0.1", True),
        (Side.SELL, "290", "-0.10001", False),
        (Side.SELL, "290", "0.9", True),
    ],
)
def test_w06_the_worst_adjusted_price_is_compared(side: Side, limit: str, ratio: str, *, is_inside: bool) -> None:
    """W06: what the daemon may make of the limit, on the side that costs."""
    fields = {"side": side, "price": limit, "adjust_side_and_limit": Decimal(ratio)}

    assert found(RULES, world(BOOK), **fields) == ([] if is_inside else [Code.PRICE_COLLAR])


@pytest.mark.parametrize(
    ("fields", "what", "last", "at", "beyond"),
    [
        (CALL, option(), "0.02", "0.03", "0.031"),
        (OIL, future(), "70", "73.5", "73.500000001"),
        (OIL, future(), "-40", "-38", "-37.999"),
        ({}, stock(kind="warrant"), "1", "1.1", "1.101"),
    ],
)
def test_each_class_has_its_own_collar(fields: Any, what: Any, last: str, at: str, beyond: str) -> None:
    """Options 50 %, futures 5 % (of the price's size, where it is negative), warrants as stocks."""
    where = world(quote(last), what=what)

    assert found(RULES, where, price=at, **fields) == []
    assert found(RULES, where, price=beyond, **fields) == [Code.PRICE_COLLAR]


def test_a_negative_price_is_bounded_below_for_a_seller() -> None:
    """5 % below -40 is -42."""
    where = world(quote("-40"), what=future())

    assert found(RULES, where, price="-42", side=Side.SELL, **OIL) == []
    assert found(RULES, where, price="-42.001", side=Side.SELL, **OIL) == [Code.PRICE_COLLAR]


def test_a_class_without_a_percentage_has_no_collar() -> None:
    """A limit left out does not exist, and wants no price."""
    assert found("[orders]\nprice_collar_percent = { option = 1 }", None, price="999999") == []


def test_a_collar_of_zero_allows_the_reference_price_and_better() -> None:
    """Exactly at the reference price passes."""
    rules = "[orders]\nprice_collar_percent = { stock = 0 }"

    assert found(rules, world(BOOK), price="310") == []
    assert found(rules, world(BOOK), price="310.001") == [Code.PRICE_COLLAR]


@pytest.mark.parametrize("order_type", [T.MARKET, T.AUCTION, T.TRAILING_STOP, T.TWAP_MARKET])
def test_an_order_without_a_price_has_nothing_to_compare(order_type: OrderType) -> None:
    """Its value is bounded instead; a `price` that means nothing is not looked at."""
    assert found(RULES, None, price="999999", order_type=order_type) == []


@pytest.mark.parametrize(
    ("where", "code"),
    [
        (None, Code.PRICE_UNAVAILABLE),
        (world(NOT_ASKED), Code.REFERENCE_UNAVAILABLE),
        (world(quote(age_ms=5001)), Code.PRICE_UNAVAILABLE),
        (world(quote(None)), Code.PRICE_UNAVAILABLE),
    ],
)
def test_without_a_reference_price_the_order_is_refused_or_the_collar_skipped(where: Any, code: Code) -> None:
    """`price_collar_missing`: "refuse" by default."""
    assert found(RULES, where, price="300") == [code]
    assert found(RULES + '\n[reference]\nprice_collar_missing = "refuse"', where, price="300") == [code]
    assert found(RULES + '\n[reference]\nprice_collar_missing = "skip"', where, price="300") == []


def test_skipping_is_for_missing_prices_only() -> None:
    """A price that is known still binds."""
    rules = RULES + '\n[reference]\nprice_collar_missing = "skip"'

    assert found(rules, world(BOOK), price="400") == [Code.PRICE_COLLAR]


def test_an_exit_is_not_refused_for_a_missing_price() -> None:
    """It only reduces a fresh position; a price that is known still binds it."""
    stale = quote(age_ms=5001)

    assert found(RULES, world(stale, position=position("1")), price="1", side=Side.SELL) == []
    assert found(RULES, world(stale, position=position("0.5")), price="1", side=Side.SELL) == [Code.PRICE_UNAVAILABLE]
    assert found(RULES, world(BOOK, position=position("1")), price="1", side=Side.SELL) == [Code.PRICE_COLLAR]


def test_yesterdays_price_may_be_compared_with() -> None:
    """Only an order that takes any price needs one of this session."""
    assert found(RULES, world(quote("300", is_current=False)), price="331") == [Code.PRICE_COLLAR]


def test_a_refusal_tells_price_bound_and_reference() -> None:
    """With source and age of the reference price."""
    reason = asked(RULES, order("1", "341.001"), world=world(BOOK)).reasons[0]

    assert (reason.rule, reason.observed, reason.limit, reason.unit) == (
        "orders.price_collar_percent",
        "341.001",
        "341",
        "price",
    )
    assert reason.message == ("BUY limit 341.001 is above 341: 10 % from the reference price (ask 310, 0.4 s old)")


def test_a_collar_that_cannot_be_worked_out_refuses() -> None:
    """Numbers beyond exact arithmetic."""
    where = world(quote("9." + "9" * 59))

    assert found("[orders]\nprice_collar_percent = { stock = 9.9 }", where, price="1") == [Code.BAD_NUMBER]


def test_a_collar_stands_for_another_only_where_it_is_as_tight_for_every_class() -> None:
    """Two policies: the tighter one on shares says nothing of options, so the other one's is asked as well."""
    rules = policies(
        *(f"[orders]\nprice_collar_percent = {{ {text} }}" for text in ("stock = 5", "stock = 10, option = 50"))
    )
    seen = world(quote("0.02", symbol="US.AAPL260116C200000"), what=option())
    (reason,) = asked(rules, order("1", "9", **CALL), world=seen).reasons
    assert (reason.code, reason.policy) == (Code.PRICE_COLLAR, "p1")
