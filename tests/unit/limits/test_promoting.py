"""A shadow's counters taken over: orders, what they spent, windows; once or twice, it comes to the same."""

from typing import Final

from guard.limits import Opening, State, Worth, end_order, promote, reserve, settle, used
from guard.limits.promoting import promoted_log, promoted_spent
from guard.terms import Account, Claim, Env, Outcome, Verdict
from tests.support.dump import dump

MONEY: Final = "daily_value/{}key=bot;real|HKD|2026-11-22"
RATE: Final = "new_orders/{}key=bot"
OPEN: Final = "open_orders/{}key=bot;real"
SHADOW: Final = "shadow:"
ACCOUNT: Final = Account(Env.REAL, 1)


def opened(state: State, name: str, amount: int, *, t_us: int, mark: str = SHADOW) -> None:
    """One order that was taken, on counters with this mark."""
    claims = (
        Claim("spend", MONEY.format(mark), amount),
        Claim("count", OPEN.format(mark), 1),
        Claim("rate", RATE.format(mark), 1, window_ms=30_000),
    )
    opening = Opening(name, claims, holder=name, key="bot", account=ACCOUNT, worth=Worth("1", "1"))
    reserve(state, opening, t_us=t_us)
    settle(state, name, Outcome(Verdict.ACCEPTED), t_us=t_us)


def test_live_orders_ended_ones_and_windows_are_taken_over() -> None:
    """What stands on the shadow's cells stands on the plain ones, also once an order ends; the shadow's stay."""
    state = State()
    opened(state, "a", 100, t_us=1)
    opened(state, "b", 20, t_us=1)
    end_order(state, "a", t_us=2)
    promote(state, {"daily_value", "open_orders", "new_orders"}, t_us=3)

    for mark in ("", SHADOW):
        assert used(state, MONEY.format(mark), t_us=3) == 120
        assert used(state, OPEN.format(mark), t_us=3) == 1
        assert used(state, RATE.format(mark), t_us=3, window_ms=30_000) == 2
    end_order(state, "b", t_us=4)
    assert (used(state, MONEY.format(""), t_us=4), used(state, OPEN.format(""), t_us=4)) == (120, 0)


def test_twice_is_once() -> None:
    """Repeated, nothing moves; a plain cell that stands higher keeps what it has; other words are left alone."""
    state = State()
    opened(state, "a", 100, t_us=1)
    opened(state, "b", 300, t_us=1, mark="")
    promote(state, {"daily_value", "new_orders"}, t_us=2)
    once = dump(state)
    promote(state, {"daily_value", "new_orders"}, t_us=2)

    assert dump(state) == once
    assert used(state, MONEY.format(""), t_us=2) == 400
    assert used(state, OPEN.format(""), t_us=2) == 1
    assert used(state, RATE.format(""), t_us=2, window_ms=30_000) == 1


def test_a_window_that_was_kept_already_is_forgotten_once() -> None:
    """Orders go on after both the shadow's marks and the plain ones are over."""
    state = State()
    marks = tuple(Claim("once", cell, 1, window_ms=1_000) for cell in ("duplicate/key=b|d", "duplicate/shadow:key=b|d"))
    reserve(state, Opening("a", marks, holder="a", key="b", account=ACCOUNT), t_us=1)
    promote(state, {"duplicate"}, t_us=2)
    for turn in range(9):
        claim = Claim("count", OPEN.format(""), 1)
        reserve(state, Opening(f"x{turn}", (claim,), holder=f"x{turn}", key="b", account=ACCOUNT), t_us=9_000_000)

    assert (state.logs, state.due, state.turns) == ({}, {}, [])


def test_what_was_taken_over_makes_no_difference_any_more() -> None:
    """A cell that stands as its shadow does has nothing to be put in again."""
    state = State()
    opened(state, "a", 100, t_us=1)
    end_order(state, "a", t_us=2)
    money, rate = MONEY.format(""), RATE.format("")
    assert (promoted_spent(state, money), promoted_log(state, rate) is None) == (100, False)
    promote(state, {"daily_value", "new_orders"}, t_us=3)

    assert (promoted_spent(state, money), promoted_log(state, rate)) == (0, None)
