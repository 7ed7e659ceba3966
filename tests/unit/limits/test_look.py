"""The look: every shortfall, exact times, and no change at all."""

import pytest

from guard.limits import State, advance, check_claims, free_in_us, post, reserve, settle, used
from guard.terms import Claim, Full, Granted, Shortfall, Taken
from tests.support.dump import dump
from tests.support.ledger import ACCEPTED, SECOND, UNKNOWN, change, new_order, once, rate, slot, sums


def test_what_fits_is_granted_with_what_was_used() -> None:
    """Reaching the cap exactly fits; `used` is one number a claim."""
    state = State(sums={"a": 60})
    claims = (sums("spend", "a", 40, 100), rate("r", 1, 1), slot("s"), sums("count", "n", 1))
    assert check_claims(state, claims, t_us=0) == Granted((60, 0, 0, 0))


def test_every_claim_that_does_not_fit_is_named() -> None:
    """Nothing stops at the first; sums have no time at which they are free."""
    state = State(sums={"a": 61, "n": 5})
    post(state, (rate("r", None, 10),), t_us=3 * SECOND)
    claims = (sums("spend", "a", 40, 100), sums("working", "w", 1, 1), rate("r", 1, 10), sums("count", "n", 1, 5))
    assert check_claims(state, claims, t_us=4 * SECOND) == Full(
        (61, 0, 1, 5), (Shortfall(0, 61), Shortfall(2, 1, 13 * SECOND), Shortfall(3, 5))
    )


def test_without_a_cap_nothing_is_refused() -> None:
    """A cancel counts and passes."""
    state = State(sums={"a": 10**15})
    assert check_claims(state, (sums("spend", "a", 10**15), rate("r", None, 1)), t_us=0) == Granted((10**15, 0))


@pytest.mark.parametrize(
    "claim", [sums("spend", "a", 0, 0), sums("count", "a", 1, 0), rate("r", 0, 60), Claim("once", "o", 1, 0, 1000)]
)
def test_a_cap_of_zero_refuses_always(claim: Claim) -> None:
    """A limit of 0 allows nothing, and no time makes room."""
    assert check_claims(State(), (claim,), t_us=0) == Full((0,), (Shortfall(0, 0, None),))


def test_the_holders_own_part_is_left_out() -> None:
    """A change meets the cap with what others use and what the order shall hold, up or down."""
    state = State()
    reserve(state, new_order("o", sums("spend", "a", 60, 100)), t_us=0)
    reserve(state, new_order("p", sums("spend", "a", 30, 100)), t_us=0)
    assert check_claims(state, (sums("spend", "a", 70, 100),), t_us=0, holder="o") == Granted((30,))
    assert check_claims(state, (sums("spend", "a", 71, 100),), t_us=0, holder="o") == Full((30,), (Shortfall(0, 30),))
    assert check_claims(state, (sums("spend", "a", 10, 100),), t_us=0, holder="nobody") == Granted((90,))


def test_other_cells_count_against_the_cap() -> None:
    """`also` cells count whole for sums and in the claim's window for rates."""
    state = State(sums={"day": 30, "gtc": 50})
    post(state, (rate("orders", None, 10),), t_us=1)
    post(state, (rate("changes", None, 10),), t_us=2)
    claims = (sums("spend", "day", 21, 100, "gtc"), rate("orders", 2, 10, "changes"))
    assert check_claims(state, claims, t_us=3) == Full((80, 2), (Shortfall(0, 80), Shortfall(1, 2, 10 * SECOND + 1)))


def test_one_rate_cell_is_looked_at_through_each_window() -> None:
    """Several windows on one cell are each checked by itself, against the same stamps."""
    state = State()
    for t_s in (0, 8, 9):
        post(state, (rate("r", None, 30),), t_us=t_s * SECOND)
    claims = (rate("r", 3, 30), rate("r", 2, 5), rate("r", 9, 1))
    expected = Full((3, 2, 1), (Shortfall(0, 3, 30 * SECOND), Shortfall(1, 2, 13 * SECOND)))
    assert check_claims(state, claims, t_us=9 * SECOND) == expected


def test_a_tightened_cap_is_free_only_when_enough_have_left() -> None:
    """With three used and a cap of one, all three must leave."""
    state = State()
    for t_s in (0, 1, 2):
        post(state, (rate("r", None, 10),), t_us=t_s * SECOND)
    assert check_claims(state, (rate("r", 1, 10),), t_us=2 * SECOND) == Full((3,), (Shortfall(0, 3, 12 * SECOND),))
    assert check_claims(state, (rate("r", 1, 10),), t_us=12 * SECOND) == Granted((0,))


def test_a_slot_answers_alone() -> None:
    """A replayed order is told of its slot, not that the budget is full."""
    state = State(sums={"a": 100})
    reserve(state, new_order("o", slot("k", "d1")), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    claims = (sums("spend", "a", 1, 100), slot("free"), slot("k", "d2"))
    assert check_claims(state, claims, t_us=2) == Taken("d1", "o")


def test_a_duplicate_does_not_fit_until_its_window_is_over() -> None:
    """The same order again is a full claim with the exact time at which it passes."""
    state = State()
    reserve(state, new_order("o", once("same", 5)), t_us=0)
    assert check_claims(state, (once("same", 5),), t_us=SECOND) == Full((1,), (Shortfall(0, 1, 5 * SECOND),))
    assert check_claims(state, (once("same", 5),), t_us=5 * SECOND) == Granted((0,))


def test_an_unknown_order_still_uses_its_room() -> None:
    """Nobody else gets what an unknown order may have spent."""
    state = State()
    reserve(state, new_order("o", sums("spend", "a", 100, 100)), t_us=0)
    settle(state, "o", UNKNOWN, t_us=1)
    assert check_claims(state, (sums("spend", "a", 1, 100),), t_us=1) == Full((100,), (Shortfall(0, 100),))


def test_two_claims_on_one_sum_are_a_bug() -> None:
    """The caller folds them to the tighter cap first."""
    with pytest.raises(AssertionError, match="two claims on one cell: a"):
        check_claims(State(), (sums("spend", "a", 1, 5), sums("spend", "a", 1, 9)), t_us=0)


def test_pitfall_5_a_look_changes_nothing() -> None:
    """Looks at any time, far ahead too, leave the state byte for byte as it was."""
    state = State()
    claims = (sums("spend", "a", 1, 5), rate("r", 5, 1), once("o", 1), slot("s", window_s=1))
    reserve(state, new_order("o", *claims), t_us=SECOND)
    settle(state, "o", ACCEPTED, t_us=SECOND)
    reserve(state, change("m", "o", sums("spend", "a", 4, 5)), t_us=SECOND)
    before, raw = dump(state), repr(state)
    for t_us in (0, SECOND, 10**12):
        check_claims(state, claims, t_us=t_us)
        check_claims(state, claims, t_us=t_us, holder="o")
        used(state, "r", t_us=t_us, window_ms=1000)
    assert dump(state) == before
    assert repr(state) == raw


def test_used_is_the_sum_or_the_windows_stamps() -> None:
    """Without a window it is the sum; with one the stamps in (t-w, t]."""
    state = State(sums={"a": 7})
    post(state, (rate("r", None, 60),), t_us=0)
    post(state, (rate("r", None, 60),), t_us=30 * SECOND)
    assert used(state, "a", t_us=0) == 7
    assert used(state, "absent", t_us=0) == used(state, "absent", t_us=0, window_ms=1) == 0
    assert used(state, "r", t_us=59 * SECOND, window_ms=60_000) == 2
    assert used(state, "r", t_us=60 * SECOND, window_ms=60_000) == 1
    assert used(state, "r", t_us=60 * SECOND, window_ms=30_000) == 0


def test_some_quota_returns_when_the_oldest_stamp_leaves() -> None:
    """The time is counted from now, and is zero where nothing is used."""
    state = State()
    assert free_in_us(state, "r", t_us=0, window_us=10_000_000) == 0
    for t_s in (1, 4):
        post(state, (rate("r", None, 10),), t_us=t_s * SECOND)
    assert free_in_us(state, "r", t_us=5 * SECOND, window_us=10_000_000) == 6 * SECOND
    assert free_in_us(state, "r", t_us=11 * SECOND, window_us=10_000_000) == 3 * SECOND
    assert free_in_us(state, "r", t_us=14 * SECOND, window_us=10_000_000) == 0


def test_pitfall_8_what_has_left_does_not_come_back() -> None:
    """A window that was over by the record's time stays over when the clock is set back."""
    state = State()
    post(state, (rate("r", None, 10),), t_us=0)
    advance(state, t_us=20 * SECOND)
    assert check_claims(state, (rate("r", 1, 10),), t_us=5 * SECOND) == Granted((0,))


def test_pitfall_8_a_clock_that_goes_backwards_stands_still() -> None:
    """A look at an earlier time sees the state's own time, so no stamp lies in the future."""
    state = State()
    post(state, (rate("r", None, 10),), t_us=100 * SECOND)
    post(state, (rate("r", None, 10),), t_us=50 * SECOND)
    assert list(state.logs["r"].stamps) == [100 * SECOND, 100 * SECOND]
    assert check_claims(state, (rate("r", 2, 10),), t_us=0) == Full((2,), (Shortfall(0, 2, 110 * SECOND),))
    assert used(state, "r", t_us=0, window_ms=10_000) == 2
