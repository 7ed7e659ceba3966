"""Open orders: how many, and what they are worth."""

import pytest

from guard.codes import Code
from guard.limits import end_order, set_targets, settle
from guard.policy import meters
from guard.terms import Claim, Effect, OrderType, Outcome, Verdict
from tests.support.policy import FRIDAY, PAPER, Book, asked, caller, codes, order, policies

OPEN = '[budgets]\nopen_orders = 2\nopen_value = ["1000 HKD", "100 USD"]'
AAPL = {"market": "US", "code": "AAPL"}


def test_open_orders_and_their_value_are_claimed_without_a_period() -> None:
    """They hold as long as the order lives, whatever day it is."""
    count, value = asked(OPEN).claims

    assert count == Claim("count", "open_orders/key=bot-a;real", amount=1, cap=2)
    assert value == Claim("working", "open_value/key=bot-a;real|HKD", amount=10_000_000, cap=10_000_000)


def test_so_many_orders_may_be_open() -> None:
    """The N-th passes, the next does not, until one of them ends."""
    rules, book = policies("[budgets]\nopen_orders = 2"), Book()
    assert not book.place(asked(rules))
    assert not book.place(asked(rules, order(**AAPL)))
    (reason,) = book.place(asked(rules))

    assert (reason.code, reason.rule, reason.observed, reason.limit, reason.unit) == (
        Code.OPEN_ORDERS,
        "budgets.open_orders",
        "3",
        "2",
        "orders",
    )
    assert reason.message == "3 open orders is above 2"
    end_order(book.state, "step-1", t_us=0)
    assert not book.place(asked(rules))


@pytest.mark.parametrize(("price", "is_allowed"), [("5.999", True), ("6", True), ("6.001", False)])
def test_so_much_money_may_be_open(price: str, *, is_allowed: bool) -> None:
    """Inclusive; a fill makes room."""
    rules, book = policies(OPEN), Book()
    assert not book.place(asked(rules, order("100", "4")))

    assert (book.reasons(asked(rules, order("100", price))) == ()) is is_allowed
    settle(book.state, "step-1", Outcome(Verdict.ACCEPTED, order_id="1"), t_us=0)
    set_targets(book.state, "step-1", {"open_value/key=bot-a;real|HKD": 0}, t_us=0)
    assert not book.place(asked(rules, order("100", "10")))


def test_a_refusal_tells_what_would_have_been_open() -> None:
    """In the currency of the cap."""
    rules, book = policies(OPEN), Book()
    book.place(asked(rules, order("100", "4")))
    (reason,) = book.place(asked(rules, order("100", "7")))

    assert (reason.code, reason.rule) == (Code.OPEN_VALUE, "budgets.open_value")
    assert reason.message == "the value of open orders would become 1100 HKD, above 1000 HKD"


def test_zero_allows_no_open_order() -> None:
    """0 refuses at once."""
    judgement = asked('[budgets]\nopen_orders = 0\nopen_value = "0 HKD"')

    assert codes(judgement) == [Code.OPEN_ORDERS, Code.OPEN_VALUE]
    assert not judgement.claims


def test_a_change_holds_one_order_at_its_new_value() -> None:
    """A target: the same claims as of a new order."""
    assert asked(OPEN, effect=Effect.ORDER_CHANGE).claims == asked(OPEN).claims


def test_paper_and_real_orders_are_open_apart() -> None:
    """A policy for both environments counts them apart."""
    rules, book = policies("[budgets]\nopen_orders = 1"), Book()

    assert not book.place(asked(rules))
    assert not book.place(asked(rules, account=PAPER))


def test_open_orders_have_meters() -> None:
    """A key sees how many it may still open, and for how much."""
    found = {(meter.rule, meter.unit): meter for meter in meters(policies(OPEN), caller(), wall=FRIDAY)}

    assert found["budgets.open_orders", "orders"].cap == 2
    assert found["budgets.open_value", "USD"].cap == 1_000_000
    assert found["budgets.open_value", "USD"].resets == ()


def test_w01_open_value_needs_a_value() -> None:
    """W01: an order that cannot be valued is not free."""
    assert codes(asked(OPEN, order(order_type=OrderType.MARKET))) == [Code.PRICE_UNAVAILABLE]
