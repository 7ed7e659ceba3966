"""How much would have fitted."""

from decimal import Decimal
from typing import Any

import pytest

from guard.policy import Judgement, PolicySet, largest_qty
from guard.terms import OrderType, PlaceOrder, Side
from tests.support.policy import Book, asked, order, policies
from tests.support.worlds import option, position, quote, stock, world

FX = '\n[fx]\nUSDHKD = "7.8"\nas_of = 2026-11-20\nbuffer_percent = 1'


def largest(text: str, what: PlaceOrder, *, spent: str | None = None, **fields: Any) -> str | None:
    """What is told for an order, after another one of this value."""
    rules, book = policies(text), Book()
    if spent is not None:
        assert not book.place(asked(rules, order("1", spent)))
    found = book.largest(asked(rules, what, **fields))
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("text", "spent", "expected"),
    [
        ("[orders]\nmax_qty = 300", None, "300"),
        ("[orders]\nmax_qty = 300.5", None, "300"),
        ("[orders]\nmax_qty = 0", None, "0"),
        ('[orders]\nmax_value = "5000 HKD"', None, "500"),
        ('[orders]\nmax_value = "5009.9999 HKD"', None, "500"),
        ('[orders]\nmax_value = "9 HKD"', None, "0"),
        ('[orders]\nmax_value = "0 HKD"', None, "0"),
        ('[budgets]\ndaily_value = "5000 HKD"', None, "500"),
        ('[budgets]\ndaily_value = "5000 HKD"', "1000.01", "399"),
        ('[budgets]\ndaily_value = "5000 HKD"', "5000", "0"),
        ('[budgets]\ndaily_value = "0 HKD"', None, "0"),
        ('[budgets]\nopen_value = "5000 HKD"', "1000", "400"),
        ('[orders]\nmax_qty = 450\nmax_value = "5000 HKD"\n[budgets]\ndaily_value = "4700 HKD"', None, "450"),
        ('[orders]\nmax_value = "1000 USD"' + FX, None, "772"),
        ('[budgets]\ndaily_value = "1000 USD"' + FX, "78", "764"),
    ],
)
def test_the_tightest_limit_says_how_much(text: str, spent: str | None, expected: str) -> None:
    """Quantity, value, what is left of a budget, converted or not: whole shares, never rounded up."""
    assert largest(text, order("1000", "10"), spent=spent) == expected


@pytest.mark.parametrize(("lot", "expected"), [(None, "573"), (1, "573"), (100, "500"), (500, "500"), (1000, "0")])
def test_it_is_a_whole_number_of_lots(lot: int | None, expected: str) -> None:
    """Where the lot is known; whole shares otherwise."""
    where = world(what=stock(lot_size=lot))

    assert largest('[orders]\nmax_value = "5730 HKD"', order("1000", "10"), world=where) == expected


def test_a_market_order_and_an_option_are_measured_at_what_they_are_worth() -> None:
    """Buffer, multiplier and the underlying's value count."""
    market = order("1000", order_type=OrderType.MARKET)
    assert largest('[orders]\nmax_value = "31500 HKD"', market, world=world(quote("300"))) == "100"
    assert largest('[orders]\nmax_value = "31499 HKD"', market, world=world(quote("300"))) == "99"
    call = order("10", "5", market="US", code="AAPL260116C200000")
    where = world(what=option(), underlying=quote("230", symbol="US.AAPL"))
    assert largest('[orders]\nmax_premium = "1000 USD"', call, world=where) == "2"
    assert largest('[orders]\nmax_underlying_value = "69000 USD"', call, world=where) == "3"


@pytest.mark.parametrize(
    "text",
    [
        "[orders]\nsides = []\nmax_qty = 1",
        '[orders]\nmax_value = "1 USD"',
        '[orders]\nmax_value = "1 HKD"\n[rates]\nnew_orders = "0/60s"',
        '[orders]\nmax_value = "1 HKD"\n[budgets]\nopen_orders = 0',
        '[orders]\nmax_value = "1 HKD"\nper_day = 0',
    ],
)
def test_where_no_quantity_helps_nothing_is_told(text: str) -> None:
    """Another rule stands against the order as well, whatever its size."""
    assert largest(text, order("1000", "10")) is None


def test_a_count_that_is_full_is_no_matter_of_quantity() -> None:
    """The ledger refuses for the number of orders."""
    rules, book = policies('[orders]\nper_day = 1\nmax_value = "100000 HKD"'), Book()
    assert not book.place(asked(rules))

    assert book.largest(asked(rules)) is None


def test_what_passes_has_no_largest_quantity() -> None:
    """Nothing stands against it; a read has none either."""
    assert largest('[orders]\nmax_value = "10000 HKD"', order("1000", "10")) is None
    assert largest_qty(Judgement(), ()) is None


def test_without_cover_no_quantity_helps() -> None:
    """`no_policy` is no rule's reason."""
    rules = policies("[orders]\nmax_qty = 5", require_cover=True)

    assert Book().largest(asked(rules, order("1000", "10"))) is None


# ---------------------------------------------------------------- as an exit

EXHAUSTED = '[orders]\nmax_value = "3000 HKD"\n[budgets]\ndaily_value = "0 HKD"\nopen_orders = 0'


@pytest.mark.parametrize(
    ("rules", "qty", "held", "exits", "expected"),
    [
        ('[budgets]\ndaily_value = "0 HKD"', "1000", "250", "0", "250"),
        ('[budgets]\ndaily_value = "0 HKD"', "1000", "250", "100", "150"),
        ('[budgets]\ndaily_value = "0 HKD"', "1000", "250", "250", "0"),
        ('[budgets]\ndaily_value = "4000 HKD"', "1000", "250", "0", "400"),
        (EXHAUSTED, "1000", "250", "0", "250"),
        (EXHAUSTED, "1000", "900", "0", "300"),
        (EXHAUSTED + "\n[rates]\nnew_orders = '0/1s'", "1000", "250", "0", None),
    ],
)
def test_a_smaller_order_may_be_an_exit(rules: str, qty: str, held: str, exits: str, expected: str | None) -> None:
    """Up to the position no budget stops it, and its own value limit still does."""
    what = order(qty, "10", side=Side.SELL)
    found = largest(rules, what, world=world(position=position(held)), exits=exits)

    assert found == expected


def test_an_exit_over_its_value_limit_is_cut_to_it() -> None:
    """An order that is an exit already meets `max_value` alone."""
    found = largest(EXHAUSTED, order("1000", "10", side=Side.SELL), world=world(position=position("5000")))

    assert found == "300"


# ---------------------------------------------------------------- what is told is true


def passes(rules: PolicySet, what: PlaceOrder, book: Book, **fields: Any) -> bool:
    """Nothing stands against an order, not in the ledger either."""
    return not book.reasons(asked(rules, what, **fields))


def test_what_is_told_passes_and_one_more_does_not() -> None:
    """On the edge of a budget that is partly used."""
    rules, book = policies('[budgets]\ndaily_value = "5000 HKD"'), Book()
    assert not book.place(asked(rules, order("7", "3.333")))
    told = book.largest(asked(rules, order("1000", "6.789")))

    assert told == Decimal(733)
    assert passes(rules, order("733", "6.789"), book)
    assert not passes(rules, order("734", "6.789"), book)
