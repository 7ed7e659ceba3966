"""What an order is worth."""

from decimal import Decimal
from typing import Any

import pytest

from guard.codes import Code
from guard.policy import value
from guard.terms import Missing, Money, OrderType, PlaceOrder, Side
from tests.support.policy import asked, codes, order, policies, worth

LIMIT_TYPES = (
    OrderType.NORMAL,
    OrderType.ABSOLUTE_LIMIT,
    OrderType.AUCTION_LIMIT,
    OrderType.SPECIAL_LIMIT,
    OrderType.SPECIAL_LIMIT_ALL,
    OrderType.STOP_LIMIT,
    OrderType.LIMIT_IF_TOUCHED,
    OrderType.TWAP_LIMIT,
    OrderType.VWAP_LIMIT,
)
PRICELESS_TYPES = tuple(sorted(set(OrderType) - set(LIMIT_TYPES)))


def missing(what: PlaceOrder) -> Code:
    """The code of what cannot be had."""
    found = value(what)
    assert isinstance(found, Missing)
    return found.code


@pytest.mark.parametrize("order_type", LIMIT_TYPES)
@pytest.mark.parametrize("side", Side)
def test_a_limit_order_is_worth_quantity_times_limit(order_type: OrderType, side: Side) -> None:
    """Every type with a limit price, bought or sold, is valued at its limit."""
    found = worth(order("500", "300.125", order_type=order_type, side=side))

    assert found.value == Money(Decimal("150062.500"), "HKD")
    assert (found.price, found.source) == (Decimal("300.125"), "limit")
    assert found.arithmetic == "500 x 300.125 HKD = 150062.5 HKD"


@pytest.mark.parametrize("order_type", PRICELESS_TYPES)
@pytest.mark.parametrize("price", [None, "0.01", "1000000"])
def test_w02_a_market_like_order_is_never_valued_from_its_price_field(order_type: OrderType, price: str | None) -> None:
    """W02: whatever `price` such an order carries, it has no value yet."""
    assert missing(order("500", price, order_type=order_type)) is Code.PRICE_UNAVAILABLE


@pytest.mark.parametrize(
    "text", ['[orders]\nmax_value = "1000000 HKD"', '[budgets]\ndaily_value = "1000000 HKD"'], ids=["order", "day"]
)
@pytest.mark.parametrize("order_type", PRICELESS_TYPES)
def test_w01_price_less_orders_do_not_evade_money_limits(text: str, order_type: OrderType) -> None:
    """W01: where a money limit applies, an order without a value is refused, not skipped."""
    assert codes(asked(text, order("1", "0.01", order_type=order_type))) == [Code.PRICE_UNAVAILABLE]


def test_w01_without_a_money_limit_a_price_less_order_passes() -> None:
    """Where nothing speaks of money and no cover is required, a market order needs no price."""
    assert not codes(asked('[orders]\ntypes = ["MARKET"]', order(order_type=OrderType.MARKET)))
    assert codes(asked(policies(require_cover=True), order(order_type=OrderType.MARKET))) == [Code.NO_POLICY]


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"adjust_side_and_limit": Decimal("0.015")}, "101.5"),
        ({"adjust_side_and_limit": Decimal("0.5"), "adjust_price": True}, "150"),
        ({"adjust_side_and_limit": Decimal("0.5"), "adjust_price": False}, "150"),
        ({"adjust_side_and_limit": Decimal("-0.5")}, "100"),
        ({"adjust_price": True}, "100"),
    ],
)
def test_w06_the_worst_adjusted_price_counts(fields: dict[str, Any], price: str) -> None:
    """W06: what the daemon may make of the price is what the order is valued at; downwards never helps."""
    found = worth(order("10", "100", **fields))

    assert found.price == Decimal(price)
    assert found.value.amount == 10 * Decimal(price)


def test_w06_an_adjusted_price_says_so() -> None:
    """W06: source and arithmetic show the adjustment."""
    found = worth(order("10", "100", adjust_side_and_limit=Decimal("0.015")))

    assert found.source == "limit, adjusted"
    assert found.arithmetic == "10 x 101.5 HKD = 1015 HKD; the limit 100 may be moved by 0.015"


@pytest.mark.parametrize(
    ("market", "code"),
    [
        ("US", "AAPL260116C200000"),
        ("HK", "TCH261230C500000"),
        ("FUTURES_HK", "HSI2612"),
        ("FUTURES_US", "ES2612"),
        ("FUTURES_SG", "XX2612"),
    ],
)
def test_w07_contracts_are_not_valued_without_their_multiplier(market: str, code: str) -> None:
    """W07: quantity times premium is not what an option is worth."""
    what = order("1", "1", market=market, code=code)

    assert missing(what) is Code.REFERENCE_UNAVAILABLE
    assert "multiplier" in value(what).message  # type: ignore[union-attr]
    assert codes(asked('[orders]\nmax_value = ["1000000 HKD", "1000000 USD"]', what)) == [Code.REFERENCE_UNAVAILABLE]


@pytest.mark.parametrize("price", [None, "0", "-1"])
def test_a_limit_order_needs_a_limit(price: str | None) -> None:
    """A limit of nothing, zero or less is no price."""
    assert missing(order("1", price)) is Code.PRICE_UNAVAILABLE


def test_a_market_without_a_currency_is_not_valued() -> None:
    """Where the currency is not known there is no amount to compare."""
    assert missing(order("1", "1", market="XX")) is Code.REFERENCE_UNAVAILABLE


@pytest.mark.parametrize("qty", ["1E+80", "1." + "3" * 60])
def test_what_cannot_be_worked_out_exactly_is_missing(qty: str) -> None:
    """A number beyond exact arithmetic is refused, never rounded and never a crash."""
    assert missing(order(qty, "1.1")) is Code.BAD_NUMBER


def test_fractional_shares_are_exact() -> None:
    """A thousandth of a share at a price of many digits is worth exactly that."""
    assert worth(order("0.001", "123.456", market="US", code="BRK.A")).value == Money(Decimal("0.123456"), "USD")
