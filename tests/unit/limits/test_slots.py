"""Slots: held for a time by one step, and at least as long as that step is open."""

import pytest

from guard.limits import State, find_slot, reserve, restore, settle, slot_bound_reached, slots, snapshot
from guard.terms import Outcome
from tests.support.ledger import ACCEPTED, NOT_SENT, REFUSED, SECOND, UNKNOWN, change, new_order, slot


def test_a_slot_is_held_with_its_digest_and_step() -> None:
    """Whoever looks learns who holds it, with what, and that the outcome is open."""
    state = State()
    reserve(state, new_order("s1", slot("k", "d1")), t_us=0)
    held = find_slot(state, "k", t_us=0)
    assert held is not None
    assert (held.value, held.step, held.until_us, held.outcome) == ("d1", "s1", 60 * SECOND, None)
    assert find_slot(state, "other", t_us=0) is None


@pytest.mark.parametrize("outcome", [ACCEPTED, REFUSED])
def test_the_answer_is_kept_until_the_slot_expires(outcome: Outcome) -> None:
    """An accepted or refused step leaves its outcome in the slot for exactly the lifetime from its taking."""
    state = State()
    reserve(state, new_order("s1", slot("k")), t_us=0)
    settle(state, "s1", outcome, t_us=SECOND)
    held = find_slot(state, "k", t_us=60 * SECOND - 1)
    assert held is not None
    assert held.outcome == outcome
    assert find_slot(state, "k", t_us=60 * SECOND) is None


def test_not_sent_frees_the_slot() -> None:
    """What never left may be asked again under the same key."""
    state = State()
    reserve(state, new_order("s1", slot("k")), t_us=0)
    settle(state, "s1", NOT_SENT, t_us=1)
    assert find_slot(state, "k", t_us=1) is None


@pytest.mark.parametrize("word", [None, UNKNOWN], ids=["in flight", "unknown"])
def test_an_open_step_keeps_its_slot_past_the_lifetime(word: Outcome | None) -> None:
    """While nobody knows what became of an order its key lets no second one through; settled, it is free at once."""
    state = State()
    reserve(state, new_order("s1", slot("k")), t_us=0)
    if word is not None:
        settle(state, "s1", word, t_us=1)
    late_us = 61 * SECOND
    held = find_slot(state, "k", t_us=late_us)
    assert held is not None
    assert held.outcome == word
    settle(state, "s1", ACCEPTED, t_us=late_us)
    assert state.slots == {}


def test_a_doubt_after_the_lifetime_keeps_the_slot() -> None:
    """An answer that is lost later than the slot would have lasted lets no second order through either."""
    state = State()
    reserve(state, new_order("s1", slot("k")), t_us=0)
    settle(state, "s1", UNKNOWN, t_us=61 * SECOND)
    held = find_slot(state, "k", t_us=62 * SECOND)
    assert held is not None
    assert (held.step, held.outcome) == ("s1", UNKNOWN)


def test_a_late_settle_leaves_a_slot_that_another_holds() -> None:
    """Freeing looks at who holds the slot."""
    state = State()
    reserve(state, new_order("s1", slot("k")), t_us=0)
    reserve(state, new_order("s2", slot("k", "d2")), t_us=1)
    settle(state, "s1", NOT_SENT, t_us=2)
    held = find_slot(state, "k", t_us=2)
    assert held is not None
    assert held.step == "s2"
    settle(state, "s2", NOT_SENT, t_us=3)
    assert state.slots == {}


def test_a_slot_that_was_freed_by_another_stays_free() -> None:
    """Whoever had it before has nothing to say of it any more, whatever becomes of its step."""
    state = State()
    reserve(state, new_order("s1", slot("k")), t_us=0)
    reserve(state, new_order("s2", slot("k", "d2")), t_us=1)
    settle(state, "s2", NOT_SENT, t_us=2)
    settle(state, "s1", ACCEPTED, t_us=3)
    assert state.slots == {}


def test_pitfall_6_a_released_change_leaves_the_orders_own_slot() -> None:
    """A change that was not sent frees its own slot, not the one the order was placed under."""
    state = State()
    reserve(state, new_order("o", slot("placed")), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    reserve(state, change("m", "o", slot("changed")), t_us=2)
    settle(state, "m", NOT_SENT, t_us=3)
    assert set(state.slots) == {"placed"}


def fill(state: State, *names: str) -> None:
    """These slots are taken, by orders that were accepted."""
    for name in names:
        reserve(state, new_order(name, slot(name)), t_us=0)
        settle(state, name, ACCEPTED, t_us=0)


def test_slots_are_bounded_and_an_expired_one_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many as there may be, a new one has no room until one is over; one that is held already always has."""
    monkeypatch.setattr(slots, "SLOTS_MAX", 2)
    monkeypatch.setattr(slots, "EACH_MIN", 0)
    state = State()
    for name in ("a", "b"):
        assert slot_bound_reached(state, name, t_us=0) is None
        fill(state, name)
    assert slot_bound_reached(state, "c", t_us=60 * SECOND - 1) == 2
    assert slot_bound_reached(state, "a", t_us=0) is None
    assert slot_bound_reached(state, "c", t_us=60 * SECOND) is None
    reserve(state, new_order("c", slot("c")), t_us=60 * SECOND)
    assert set(state.slots) == {"c"}
    assert state.kept == {"c": 1}


def test_a_slot_that_is_taken_anew_before_it_was_forgotten_is_one_slot() -> None:
    """A step forgets a few of what is over; one that it takes itself stands there once, as do its key's others."""
    state = State()
    fill(state, *(f"key=bot|{number}" for number in range(200)))
    reserve(state, new_order("again", slot("key=bot|199")), t_us=61 * SECOND)

    assert 100 < len(state.slots) < 200
    assert state.kept == {"key=bot": len(state.slots)}


def test_one_key_cannot_take_what_others_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key meets its own bound; when all is full, one that has less than its share still has room, and no more."""
    for name, number in (("SLOTS_MAX", 5), ("EACH_MAX", 3), ("EACH_MIN", 2)):
        monkeypatch.setattr(slots, name, number)
    state = State()
    fill(state, "key=odd|1", "key=odd|2", "key=odd|3")
    assert (slot_bound_reached(state, "key=odd|4", t_us=1), slot_bound_reached(state, "key=bot|1", t_us=1)) == (3, None)
    fill(state, "key=two|1", "key=two|2", "key=bot|1")
    assert (slot_bound_reached(state, "key=two|3", t_us=1), slot_bound_reached(state, "key=bot|2", t_us=1)) == (5, None)
    fill(state, "key=bot|2")
    assert slot_bound_reached(state, "key=bot|3", t_us=1) == 5
    assert state.kept == {"key=odd": 3, "key=two": 2, "key=bot": 2}

    assert restore(snapshot(state)).kept == state.kept
    reserve(state, new_order("n", slot("key=new|1")), t_us=2)
    settle(state, "n", NOT_SENT, t_us=3)
    assert "key=new" not in state.kept
