"""Memory stays bounded although every order brings cells of its own."""

from guard.limits import State, find_slot, post, reserve, settle, used
from guard.limits.sweep import SWEPT_MAX, TURN_US, remember, sweep
from tests.support.dump import dump
from tests.support.ledger import ACCEPTED, NOT_SENT, SECOND, UNKNOWN, new_order, once, rate, slot


def entries(state: State) -> list[str]:
    """The cells that are looked at again."""
    assert sorted(state.turns) == sorted(state.due)
    return [cell for cells in state.due.values() for cell in cells]


def test_cells_of_past_orders_are_forgotten() -> None:
    """Ten thousand orders with a duplicate mark and a key of their own leave no more than a window of them."""
    state = State()
    for n in range(10_000):
        reserve(state, new_order(f"o{n}", once(f"dup/{n}", 5), slot(f"key/{n}", window_s=10)), t_us=n * SECOND)
        settle(state, f"o{n}", NOT_SENT if n % 3 else ACCEPTED, t_us=n * SECOND)
    assert len(state.logs) <= 10
    assert len(state.slots) <= 10
    assert len(entries(state)) <= 30


def test_a_busy_log_is_looked_at_again_and_kept() -> None:
    """A log with a younger stamp outlives its first turn, with exactly one entry."""
    state = State()
    for t_s in range(100):
        post(state, (rate("r", None, 10),), t_us=t_s * SECOND)
    assert used(state, "r", t_us=99 * SECOND, window_ms=10_000) == 10
    assert len(state.logs["r"].stamps) <= 60 * 8 / 7 + 1
    assert len(entries(state)) == 1
    post(state, (rate("other", None, 1),), t_us=200 * SECOND)
    assert set(state.logs) == {"other"}


def test_a_wide_rate_loses_its_stamps_but_not_its_window() -> None:
    """An hour's window is remembered without a stamp, with one entry, and is exact for narrow claims."""
    state = State()
    post(state, (rate("r", None, 3600),), t_us=0)
    for t_s in (4000, 8000):
        post(state, (rate("other", None, 1),), t_us=t_s * SECOND)
    assert list(state.logs["r"].stamps) == []
    assert dump(state)["logs"]["r"] == {"widest_us": 3600 * SECOND, "stamps": []}
    for t_s in (9000, 9100, 9200):
        post(state, (rate("r", None, 1),), t_us=t_s * SECOND)
    assert used(state, "r", t_us=9200 * SECOND, window_ms=3_600_000) == 3
    assert entries(state).count("r") == 1


def test_an_emptied_log_is_forgotten_in_its_turn() -> None:
    """A log whose only stamp was given back does not come up in a dump and goes when it is due."""
    state = State()
    reserve(state, new_order("o", rate("r", 1, 10)), t_us=0)
    settle(state, "o", NOT_SENT, t_us=1)
    assert dump(state)["logs"] == {}
    post(state, (rate("other", None, 1),), t_us=10 * SECOND)
    assert set(state.logs) == {"other"}


def test_a_sweep_with_nothing_due_does_nothing() -> None:
    """Neither no entries nor later ones cost more than a look."""
    state = State()
    sweep(state, t_us=5, claims=1)
    reserve(state, new_order("o", *(once(f"dup/{n}", 5) for n in range(10))), t_us=0)
    sweep(state, t_us=10 * SECOND, claims=1)
    assert len(entries(state)) == 10 - SWEPT_MAX


def test_what_is_due_in_one_turn_waits_for_its_end() -> None:
    """Nothing is looked at early, and a mark waits a turn at most."""
    state = State()
    for n, due_us in enumerate((1, TURN_US - 1, TURN_US, TURN_US + 1)):
        remember(state, due_us, f"key/{n}")
    sweep(state, t_us=TURN_US - 1, claims=9)
    assert len(entries(state)) == 4
    sweep(state, t_us=TURN_US, claims=9)
    assert (entries(state), state.turns) == (["key/3"], [2 * TURN_US])


def test_the_slot_of_an_open_step_is_not_swept() -> None:
    """Its turn passes by an unknown order's slot; the settlement lets it go."""
    state = State()
    reserve(state, new_order("o", slot("k", window_s=1)), t_us=0)
    settle(state, "o", UNKNOWN, t_us=1)
    post(state, (rate("r", None, 1),), t_us=60 * SECOND)
    assert find_slot(state, "k", t_us=60 * SECOND) is not None
    settle(state, "o", ACCEPTED, t_us=60 * SECOND)
    assert state.slots == {}


def test_a_slot_taken_again_outlives_the_first_ones_turn() -> None:
    """The entry of a freed slot does not end the next one's time."""
    state = State()
    reserve(state, new_order("a", slot("k", window_s=10)), t_us=0)
    settle(state, "a", NOT_SENT, t_us=1)
    reserve(state, new_order("b", slot("k", window_s=10)), t_us=5 * SECOND)
    settle(state, "b", ACCEPTED, t_us=5 * SECOND)
    post(state, (rate("r", None, 1),), t_us=11 * SECOND)
    held = find_slot(state, "k", t_us=11 * SECOND)
    assert held is not None
    assert held.step == "b"
