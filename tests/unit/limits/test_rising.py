"""What comes onto a cell while somebody watches it."""

import pytest

from guard.limits import State, end_order, reserve, rising, set_targets, settle
from tests.support.ledger import ACCEPTED, NOT_SENT, REFUSED, UNKNOWN, change, new_order, sums


def test_it_tells_what_came_whatever_has_gone_since() -> None:
    """New orders and changes that ask for more; other cells do not count, nor what came before."""
    state = State()
    reserve(state, new_order("a", sums("working", "exits", 7)), t_us=1)
    settle(state, "a", ACCEPTED, t_us=2)
    with rising(state, "exits", but=None) as first:
        reserve(state, new_order("b", sums("working", "exits", 100), sums("working", "other", 1)), t_us=3)
        settle(state, "b", ACCEPTED, t_us=4)
        with rising(state, "exits", but=None) as second:
            reserve(state, change("c", "a", sums("working", "exits", 17)), t_us=5)
            settle(state, "c", ACCEPTED, t_us=6)
            set_targets(state, "a", {"exits": 0}, t_us=7)
            assert (first(), second()) == (110, 10)
            set_targets(state, "a", {"exits": 2}, t_us=8)
        assert first() == 112
    assert state.rising == {}


def test_what_was_refused_never_came_and_an_order_may_be_left_out() -> None:
    """A refusal is evidence; whoever changes an order does not stand in his own way."""
    state = State()
    reserve(state, new_order("a", sums("working", "exits", 7)), t_us=1)
    settle(state, "a", ACCEPTED, t_us=2)
    with rising(state, "exits", but=None) as all_, rising(state, "exits", but="a") as others:
        for step, outcome in (("b", REFUSED), ("c", NOT_SENT)):
            reserve(state, new_order(step, sums("working", "exits", 100)), t_us=3)
            settle(state, step, outcome, t_us=4)
        reserve(state, change("d", "a", sums("working", "exits", 17)), t_us=5)
        assert (all_(), others()) == (10, 0)


def test_what_may_have_worked_came_whatever_is_said_of_it_later() -> None:
    """In doubt for a while, listed before its refusal, or over before its yes: it may have come off the position."""
    state = State()
    with rising(state, "exits", but=None) as risen:
        reserve(state, new_order("a", sums("working", "exits", 100)), t_us=1)
        settle(state, "a", UNKNOWN, t_us=2)
        settle(state, "a", REFUSED, t_us=3)
        assert risen() == 100

        reserve(state, new_order("b", sums("working", "exits", 100)), t_us=4)
        set_targets(state, "b", {"exits": 40}, t_us=5)
        settle(state, "b", REFUSED, t_us=6)
        assert risen() == 200

        reserve(state, new_order("c", sums("working", "exits", 100)), t_us=7)
        end_order(state, "c", t_us=8)
        settle(state, "c", ACCEPTED, t_us=9)
        assert (risen(), state.holders) == (300, {})


def test_nobody_watches_after_a_fault() -> None:
    """A wait that fails ends it as well."""
    state = State()
    with pytest.raises(OSError, match="away"), rising(state, "exits", but=None):
        raise OSError("away")
    assert state.rising == {}
