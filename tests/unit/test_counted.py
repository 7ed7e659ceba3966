"""Counters that a process of its own made, put together from what it printed."""

import msgspec
import pytest

from guard.limits import State, reserve, snapshot
from guard.replay.counted import put_together
from tests.support.dump import dump
from tests.support.ledger import new_order, sums


def printed() -> tuple[State, list[bytes]]:
    """A ledger with some orders, and the lines that tell it."""
    state = State()
    for n in range(100):
        reserve(state, new_order(f"{n:026}", sums("count", "open", 1)), t_us=n)
    parts = [msgspec.json.encode(part) + b"\n" for part in snapshot(state)]
    return state, [b"7\n", *parts, b"\n", b"\n"]


def test_it_is_taken_out_of_the_lines_one_by_one() -> None:
    """The ledger is what it was, and nothing is left that would have to be let go of at once."""
    state, lines = printed()
    found = put_together(lines)
    assert (dump(found.state), found.left_out) == (dump(state), 7)
    assert dump(found.traffic) == dump(State())
    assert lines == []


def test_what_is_cut_off_is_told() -> None:
    """Wherever it ends: a process that was ended in the middle counted nothing."""
    _, lines = printed()
    for count in range(len(lines)):
        with pytest.raises(ValueError, match=r".*"):
            put_together(lines[:count])
