"""Orders that only reduce a position, and what they are excused from."""

from decimal import Decimal
from typing import Any

import pytest

from guard.codes import Code
from guard.policy import exits_claim, exits_of, reducible
from guard.terms import Claim, Missing, OrderType, Side, Valuation
from tests.support.policy import PAPER, REAL, Book, asked, codes, order, policies
from tests.support.worlds import NOT_ASKED, position, quote, world


@pytest.mark.parametrize(
    ("side", "qty", "held", "exits", "expected"),
    [
        (Side.SELL, "100", "100", "0", True),
        (Side.SELL, "100.001", "100", "0", False),  # would flip
        (Side.SELL, "99", "100", "0", True),
        (Side.SELL, "100", "0", "0", False),  # flat
        (Side.SELL, "100", "-100", "0", False),  # adds to a short
        (Side.BUY, "100", "-100", "0", True),
        (Side.BUY, "101", "-100", "0", False),
        (Side.BUY, "100", "100", "0", False),
        (Side.SELL, "60", "100", "40", True),
        (Side.SELL, "61", "100", "40", False),  # working exits take the rest
        (Side.SELL, "1", "100", "140", False),
        (Side.SELL_SHORT, "1", "100", "0", False),
        (Side.BUY_BACK, "1", "-100", "0", False),
    ],
)
def test_an_exit_never_flips_a_position(side: Side, qty: str, held: str, exits: str, *, expected: bool) -> None:
    """Opposite side, at most the position less what other working exits take off it."""
    what = order(qty, side=side)

    assert (what.qty <= reducible(what, position(held), exits=Decimal(exits))) is expected


@pytest.mark.parametrize(
    "where",
    [None, NOT_ASKED, position("100", symbol="HK.00005"), position("100", age_ms=10_001)],
    ids=["unknown", "missing", "another", "old"],
)
def test_a_position_that_is_not_fresh_is_not_reduced(where: Any) -> None:
    """Not known, missing, of another symbol, or read too long ago."""
    assert reducible(order(side=Side.SELL), where, exits=Decimal(0)) == 0
    assert reducible(order(side=Side.SELL), position("100", age_ms=10_000), exits=Decimal(0)) == 100


def test_nothing_to_reduce_is_told_as_zero() -> None:
    """A buy against a flat position: 0, never the -0 of decimal arithmetic."""
    assert str(reducible(order(side=Side.BUY), position("0"), exits=Decimal(0))) == "0"


def test_every_order_counts_on_the_exits_of_its_side() -> None:
    """In quantity, uncapped, per account, symbol and side; fractions round up."""
    what = order("0.00001", side=Side.SELL)

    assert exits_claim(what, REAL) == Claim("working", "exits/account=real:1|HK.00700|SELL", amount=1)
    assert exits_claim(what, PAPER).counter == "exits/account=simulate:1|HK.00700|SELL"
    assert exits_of(exits_claim(order("100"), REAL).amount) == 100


FULL = """
[orders]
max_value = "100000 HKD"
[budgets]
daily_value = "0 HKD"
open_value = "0 HKD"
open_orders = 0
"""


def test_an_exit_is_counted_and_not_refused_for_exhausted_budgets() -> None:
    """daily_value, open_value and open_orders are claimed without a cap."""
    sale, held = order("100", "300", side=Side.SELL), world(position=position("100"))

    assert codes(asked(FULL, sale)) == [Code.DAILY_VALUE, Code.OPEN_ORDERS, Code.OPEN_VALUE]
    found = asked(FULL, sale, world=held)
    assert not found.reasons
    assert [(claim.counter.split("/")[0], claim.amount, claim.cap) for claim in found.claims] == [
        ("daily_value", 300_000_000, None),
        ("open_orders", 1, None),
        ("open_value", 300_000_000, None),
    ]
    assert not Book().place(found)


def test_an_exit_uses_what_it_is_counted_on() -> None:
    """What an exit spent is missing for the next order."""
    rules, book = policies('[budgets]\ndaily_value = "40000 HKD"'), Book()
    held = world(position=position("200"))

    assert not book.place(asked(rules, order("100", "300", side=Side.SELL), world=held))
    assert not book.place(asked(rules, order("100", "300", side=Side.SELL), world=held, exits=100))
    (reason,) = book.place(asked(rules, order("1", "1")))
    assert (reason.code, reason.observed) == (Code.DAILY_VALUE, "60001")


def test_max_value_still_binds_an_exit() -> None:
    """As do the lists, the rates and everything else."""
    held = world(position=position("1000"))
    rules = FULL + '[rates]\nnew_orders = "0/60s"\n[instruments]\nsymbols = []'

    assert codes(asked(rules, order("1000", "300", side=Side.SELL), world=held)) == [
        Code.SYMBOL,
        Code.MAX_ORDER_VALUE,
        Code.RATE,
    ]


@pytest.mark.parametrize(
    ("prices", "amount"),
    [
        (quote("300", bid="299", age_ms=60_000, is_current=False), 31_500_000),
        (Missing(Code.PRICE_UNAVAILABLE, "no"), None),
        (Missing(Code.UNSUPPORTED_INSTRUMENT, "delisted"), None),
    ],
    ids=["old", "none", "delisted"],
)
def test_an_exit_is_not_refused_for_a_missing_price(prices: Any, amount: int | None) -> None:
    """It is counted at an old price where there is one, else not in money; in number always."""
    sale = order("10", None, side=Side.SELL, order_type=OrderType.MARKET)
    found = asked(FULL, sale, world=world(prices, position=position("10")))

    assert not found.reasons
    counted = {claim.counter.split("/")[0]: claim.amount for claim in found.claims}
    assert counted.pop("open_orders") == 1
    assert counted == ({} if amount is None else {"daily_value": amount, "open_value": amount})
    code = prices.code if isinstance(prices, Missing) else Code.PRICE_UNAVAILABLE
    assert code in codes(asked(FULL, sale, world=world(prices, position=position("9"))))


def test_max_value_binds_an_exit_at_an_old_price() -> None:
    """A price that is known, however old, is not missing."""
    old = quote("30000", age_ms=60_000)
    sale = order("10", None, side=Side.SELL, order_type=OrderType.MARKET)

    assert codes(asked(FULL, sale, world=world(old, position=position("10")))) == [Code.MAX_ORDER_VALUE]


def test_an_exit_in_a_currency_without_a_rate_meets_max_value_only() -> None:
    """Budgets cannot count it and do not stop it; an order's own limit that cannot be compared refuses."""
    sale = order("1", "1", side=Side.SELL, market="SG", code="D05")
    held = world(position=position("1", symbol="SG.D05"))

    assert not codes(asked('[budgets]\ndaily_value = "1 HKD"', sale, world=held))
    assert codes(asked('[orders]\nmax_value = "1 HKD"', sale, world=held)) == [Code.FX_UNAVAILABLE]


@pytest.mark.parametrize("as_of", ["2020-01-01", "2030-01-01"])
def test_an_exit_is_converted_at_the_last_rate_however_old(as_of: str) -> None:
    """No rate that has become old stops it: it counts at that rate, and the largest value binds it there."""
    value, budget = '[orders]\nmax_value = "1000 USD"\n', '[budgets]\ndaily_value = "0 USD"\n'
    rates = f'[fx]\nUSDHKD = "8"\nas_of = {as_of}\nbuffer_percent = 10'
    rules = value + budget + rates
    sale, held = order("100", "70", side=Side.SELL), world(position=position("200"))
    assert codes(asked(rules, sale)) == [Code.FX_UNAVAILABLE] * 2
    found = asked(rules, sale, world=held)
    assert not found.reasons
    ((kind, amount, cap),) = [(claim.kind, claim.amount, claim.cap) for claim in found.claims]
    assert (kind, amount, cap) == ("spend", 9_625_000, None)
    for worth in (asked(limits + rates, sale, world=held).worth for limits in (value, budget)):
        assert isinstance(worth, Valuation)
        assert [(one.as_of.isoformat(), one.rate) for one in worth.fx] == [(as_of, "USDHKD 8")]
    assert codes(asked(rules, order("200", "70", side=Side.SELL), world=held)) == [Code.MAX_ORDER_VALUE]


def test_an_exit_that_no_counter_can_hold_is_refused() -> None:
    """Uncapped or not, the ledger holds no more than it can."""
    sale = order("100000000000000", "1000000", side=Side.SELL)
    held = world(position=position("100000000000000"))

    assert codes(asked('[budgets]\ndaily_value = "1 HKD"', sale, world=held)) == [Code.DAILY_VALUE]


def test_the_largest_exit_is_told_at_old_rates_too() -> None:
    """It is refused at them, so a smaller one passes at them: 1000 USD are 8000 HKD less a buffer, at 70 each."""
    rules = (
        '[orders]\nmax_value = "1000 USD"\n[budgets]\ndaily_value = "0 USD"\n'
        '[fx]\nUSDHKD = "8"\nas_of = 2020-01-01\nbuffer_percent = 10'
    )
    refused = asked(rules, order("200", "70", side=Side.SELL), world=world(position=position("200")))
    assert codes(refused) == ["max_order_value"]
    assert Book().largest(refused) == 103
