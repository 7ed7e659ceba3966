"""Accounts, cash and holdings."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.simulator.accounts import Holding, Ledger, cost_of
from guard.terms import Account, Env
from tests.support.daemon import listed

REAL = Account(Env.REAL, 123456)


def test_the_examples_account_is_in_both_environments() -> None:
    """And the second pair has a card in one of them."""
    pairs = {(row.account.env.word, row.account.acc_id) for row in Ledger().rows}

    assert pairs == {("real", 123456), ("simulate", 123456), ("real", 281756478875559548), ("simulate", 9032)}


@pytest.mark.parametrize(
    ("env", "card", "acc_id"),
    [
        (Env.REAL, "1001200130017680", 281756478875559548),
        (Env.REAL, "7680", 281756478875559548),
        (Env.REAL, "5678", 123456),
        (Env.SIMULATE, "7680", None),
        (Env.REAL, "0000", None),
        (Env.REAL, "", None),
    ],
)
def test_a_card_names_an_account_or_nobody(env: Env, card: str, acc_id: int | None) -> None:
    """The whole number or its last four digits."""
    found = Ledger().of_card(env, card)

    assert (found and found.acc_id) == acc_id


def test_an_ambiguous_card_names_nobody() -> None:
    """Two accounts with one suffix."""
    ledger = Ledger()
    ledger.rows += tuple(row for row in ledger.rows if row.card_num)
    assert ledger.of_card(Env.REAL, "7680") is not None
    twin = Account(Env.REAL, 5)
    ledger.rows += (type(ledger.rows[0])(twin, "9999999999997680"),)

    assert ledger.of_card(Env.REAL, "7680") is None


def test_buying_and_selling_moves_cash_cost_and_profit() -> None:
    """Average cost on the way in, realized profit on the way out, and through zero into a short position."""
    ledger, tencent = Ledger(), listed("HK.00700")
    start = ledger.balance(REAL, "HKD")
    for qty, price in ((100, 300), (100, 310), (-50, 325), (-200, 320)):
        ledger.book(REAL, tencent, qty=Decimal(qty), price=Decimal(price))

    held = ledger.holding(REAL, tencent)
    assert (held.qty, held.cost, held.realized) == (Decimal(-50), Decimal(320), Decimal(3250))
    assert ledger.balance(REAL, "HKD") == start - 61000 + 16250 + 64000
    assert ledger.held_by(REAL) == [held]
    assert ledger.holding(REAL, listed("US.AAPL")).qty == 0


def test_futures_move_cash_by_their_profit_only() -> None:
    """Ten points of the index are five hundred dollars."""
    ledger, index = Ledger(), listed("HK.HSImain")
    start = ledger.balance(REAL, "HKD")
    ledger.book(REAL, index, qty=Decimal(1), price=Decimal(25000))
    assert ledger.balance(REAL, "HKD") == start

    ledger.book(REAL, index, qty=Decimal(-1), price=Decimal(25010))
    assert ledger.balance(REAL, "HKD") == start + 500


def test_orders_cost_their_value_or_their_margin() -> None:
    """Options by a hundred, futures a tenth of their notional."""
    assert cost_of(listed("HK.00700"), Decimal(100), Decimal(300)) == 30000
    assert cost_of(listed("US.AAPL261218C200000"), Decimal(2), Decimal(5)) == 1000
    assert cost_of(listed("HK.HSImain"), Decimal(1), Decimal(25000)) == 125000


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(-9, 9).filter(bool), st.integers(1, 9)), max_size=20))
def test_profit_and_cost_account_for_every_fill(fills: list[tuple[int, int]]) -> None:
    """At any mark, realized and unrealized profit together are what the fills are worth."""
    held, mark = Holding(listed("US.AAPL")), Decimal(7)
    for qty, price in fills:
        held.take(Decimal(qty), Decimal(price))

    truth = sum(((mark - price) * qty for qty, price in fills), Decimal(0))
    assert abs(held.realized + (mark - held.cost) * held.qty - truth) < Decimal("1e-20")
