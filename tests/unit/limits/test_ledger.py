"""Reserve and settle: the table of kinds, targets, repetition, doubt."""

import pytest

from guard.limits import (
    Opening,
    State,
    change_in_flight,
    check_claims,
    end_order,
    find_slot,
    post,
    reserve,
    set_targets,
    settle,
    unknowns,
    used,
)
from guard.terms import Claim, Granted, Outcome
from tests.support.dump import dump
from tests.support.ledger import (
    ACCEPTED,
    NOT_SENT,
    REFUSED,
    SECOND,
    UNKNOWN,
    accepted,
    change,
    new_order,
    once,
    rate,
    slot,
    sums,
)

EVERY_KIND = (
    sums("spend", "day", 500),
    sums("working", "open", 400),
    sums("count", "n", 1),
    rate("r", 5, 60),
    once("same", 60),
    slot("key"),
)
WINDOWED = ("r", "same")


def standing(state: State) -> dict[str, int]:
    """What each of the counters of EVERY_KIND stands at; a slot as 1 while held."""
    found = {cell: used(state, cell, t_us=0) for cell in ("day", "open", "n")}
    found |= {cell: used(state, cell, t_us=0, window_ms=60_000) for cell in WINDOWED}
    return found | {"key": int(find_slot(state, "key", t_us=0) is not None)}


ALL = {"day": 500, "open": 400, "n": 1, "r": 1, "same": 1, "key": 1}
NONE = dict.fromkeys(ALL, 0)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (ACCEPTED, ALL),
        (UNKNOWN, ALL),
        (REFUSED, NONE | {"r": 1, "key": 1}),
        (NOT_SENT, NONE),
    ],
    ids=["accepted", "unknown", "refused", "not sent"],
)
def test_what_becomes_of_each_kind(outcome: Outcome, expected: dict[str, int]) -> None:
    """Accepted and unknown hold all; a refusal keeps the stamp and the answer; not sent gives everything back."""
    state = State()
    reserve(state, new_order("o", *EVERY_KIND), t_us=0)
    assert standing(state) == ALL
    settle(state, "o", outcome, t_us=1)
    assert standing(state) == expected


@pytest.mark.parametrize("final", [ACCEPTED, REFUSED, NOT_SENT])
def test_a_late_word_ends_an_unknown(final: Outcome) -> None:
    """Reconciliation or a person settles it exactly as if it had been known at once.

    But one that was given up is remembered, with nothing spent: it may come all the same.
    """
    doubted, direct = State(), State()
    for state in (doubted, direct):
        reserve(state, new_order("o", *EVERY_KIND), t_us=0)
    settle(doubted, "o", UNKNOWN, t_us=1)
    assert [step.id for step in unknowns(doubted)] == ["o"]
    for state in (doubted, direct):
        settle(state, "o", final, t_us=2)
    assert unknowns(doubted) == ()
    given_up = {name: holder["holds"] for name, holder in dump(doubted)["ended"].items()}
    assert given_up == ({} if final is ACCEPTED else {"o": {}})
    assert dump(doubted) | {"ended": {}} == dump(direct)


@pytest.mark.parametrize("outcome", [REFUSED, NOT_SENT])
def test_a_refused_order_is_dropped_at_once(outcome: Outcome) -> None:
    """Nothing of it is left to hold anything."""
    state = State()
    reserve(state, new_order("o", sums("spend", "a", 1)), t_us=0)
    settle(state, "o", outcome, t_us=1)
    assert (state.holders, state.steps, state.sums, state.spent) == ({}, {}, {}, {})


def test_a_new_order_remembers_what_it_is() -> None:
    """Whose it is and what it is comes back from the ledger."""
    state = State()
    reserve(state, new_order("o", sums("count", "n", 1), order=b'{"c2s":{}}'), t_us=0)
    order = state.holders["o"]
    assert (order.key, order.market, order.symbol, order.order) == ("bot", "HK", "HK.00700", b'{"c2s":{}}')
    assert order.status == "sent"
    settle(state, "o", accepted("7", "x7"), t_us=1)
    assert (order.status, order.order_id, order.order_id_ex, order.step) == ("working", "7", "x7", None)


BEFORE = b'{"order_type":1,"qty":100,"price":9}'
AFTER = b'{"order_type":2,"qty":150,"price":8}'


@pytest.mark.parametrize(
    ("word", "body"), [(ACCEPTED, AFTER), (REFUSED, BEFORE), (NOT_SENT, BEFORE), (UNKNOWN, BEFORE)]
)
def test_an_order_becomes_what_it_was_changed_to(word: Outcome, body: bytes) -> None:
    """Once the change is accepted the next one starts from the changed order; a refused one leaves it as it was."""
    state = State()
    reserve(state, new_order("o", sums("spend", "a", 100), order=BEFORE), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    reserve(state, Opening("m", (sums("spend", "a", 150),), "o", order=AFTER), t_us=2)
    settle(state, "m", word, t_us=3)
    assert state.holders["o"].order == body


def changed(amount: int, outcome: Outcome | None, *, told: int | None = None) -> tuple[int, int]:
    """What an order of 100 holds during a change to `amount`, and after it."""
    state = State()
    reserve(state, new_order("o", sums("spend", "a", 100)), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    reserve(state, change("m", "o", sums("spend", "a", amount), sums("working", "w", 5)), t_us=2)
    if told is not None:
        set_targets(state, "o", {"a": told}, t_us=3)
    during = used(state, "a", t_us=3)
    if outcome is not None:
        settle(state, "m", outcome, t_us=4)
    return during, used(state, "a", t_us=4)


@pytest.mark.parametrize(
    ("amount", "outcome", "expected"),
    [
        (150, ACCEPTED, (150, 150)),
        (150, REFUSED, (150, 100)),
        (150, NOT_SENT, (150, 100)),
        (150, UNKNOWN, (150, 150)),
        (60, ACCEPTED, (100, 60)),
        (60, REFUSED, (100, 100)),
        (60, UNKNOWN, (100, 100)),
        (0, ACCEPTED, (100, 0)),
    ],
)
def test_a_change_holds_the_larger_until_it_is_known(amount: int, outcome: Outcome, expected: tuple[int, int]) -> None:
    """An increase is reserved before sending, a decrease counts only once confirmed."""
    assert changed(amount, outcome) == expected


@pytest.mark.parametrize(
    ("amount", "told", "outcome", "expected"),
    [
        (150, 90, None, (150, 150)),
        (150, 90, REFUSED, (150, 90)),
        (150, 90, ACCEPTED, (150, 150)),
        (60, 90, ACCEPTED, (90, 90)),
        (60, 90, REFUSED, (90, 90)),
        (60, 40, ACCEPTED, (60, 60)),
        (150, 170, ACCEPTED, (170, 170)),
    ],
)
def test_a_fill_learned_during_a_change_is_not_lost(
    amount: int, told: int, outcome: Outcome | None, expected: tuple[int, int]
) -> None:
    """A refusal goes back to what was learned; an acceptance keeps the larger of it and the target."""
    assert changed(amount, outcome, told=told) == expected


def test_a_change_may_claim_cells_the_order_did_not_hold() -> None:
    """A change on another day claims that day's cell; refused, it leaves there nothing and the first day alone."""
    state = State()
    reserve(state, new_order("o", sums("spend", "d|1", 100)), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    reserve(state, change("m", "o", sums("spend", "d|2", 120)), t_us=2)
    assert state.sums == {"d|1": 100, "d|2": 120}
    settle(state, "m", REFUSED, t_us=3)
    assert state.sums == {"d|1": 100}
    assert state.holders["o"].holds.cells == ("d|1",)


def test_pitfall_6_a_released_change_touches_its_own_claims_only() -> None:
    """A change that is not sent leaves the order's own duplicate mark, stamps and parts."""
    state = State()
    reserve(state, new_order("o", *EVERY_KIND), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    before = standing(state)
    reserve(state, change("m", "o", sums("spend", "day", 900), rate("r", 5, 60), slot("key2")), t_us=2)
    settle(state, "m", NOT_SENT, t_us=3)
    assert standing(state) == before


@pytest.mark.parametrize(("word", "expected"), [(None, "in_flight"), (UNKNOWN, "unknown")])
def test_pitfall_7_one_change_of_an_order_at_a_time(word: Outcome | None, expected: str) -> None:
    """Two open steps would have no right value to go back to: the caller is told, and held to it."""
    state = State()
    reserve(state, new_order("o", sums("spend", "a", 100)), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    assert change_in_flight(state, "o") == "none"
    reserve(state, change("m", "o", sums("spend", "a", 150)), t_us=2)
    if word is not None:
        settle(state, "m", word, t_us=3)
    assert change_in_flight(state, "o") == expected
    with pytest.raises(AssertionError, match="m is not settled"):
        reserve(state, change("m2", "o", sums("spend", "a", 170)), t_us=4)
    settle(state, "m", REFUSED, t_us=5)
    assert change_in_flight(state, "o") == "none"
    assert state.sums == {"a": 100}


def test_a_cancel_passes_a_change_in_flight() -> None:
    """A cancel is a step of no order's: it stamps, and neither waits for the change nor disturbs it."""
    state = State()
    reserve(state, new_order("o", sums("spend", "a", 100)), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    reserve(state, change("m", "o", sums("spend", "a", 150)), t_us=2)
    reserve(state, Opening("c", (rate("cancels", None, 60), slot("k")), of="o"), t_us=3)
    settle(state, "c", UNKNOWN, t_us=4)
    assert change_in_flight(state, "o") == "in_flight"
    assert [(step.id, step.of, step.holder) for step in unknowns(state)] == [("c", "o", None)]
    settle(state, "c", ACCEPTED, t_us=5)
    settle(state, "m", ACCEPTED, t_us=5)
    assert state.sums == {"a": 150}
    assert used(state, "cancels", t_us=5, window_ms=60_000) == 1


@pytest.mark.parametrize("word", [ACCEPTED, UNKNOWN, REFUSED])
def test_repeating_a_call_changes_nothing(word: Outcome) -> None:
    """A reserve or settle whose answer was lost is simply sent again."""
    state = State()
    opening = new_order("o", *EVERY_KIND)
    reserve(state, opening, t_us=1)
    once_reserved = dump(state)
    reserve(state, opening, t_us=1)
    assert dump(state) == once_reserved
    settle(state, "o", word, t_us=2)
    once_settled = dump(state)
    settle(state, "o", word, t_us=2)
    assert dump(state) == once_settled
    if word is not REFUSED:
        reserve(state, opening, t_us=2)
        assert dump(state) == once_settled


def test_repeating_a_change_changes_nothing() -> None:
    """Its own open step does not stand in its way, and stamps once."""
    state = State()
    reserve(state, new_order("o", sums("spend", "a", 100)), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    opening = change("m", "o", sums("spend", "a", 150), rate("r", 5, 60))
    reserve(state, opening, t_us=2)
    once_reserved = dump(state)
    reserve(state, opening, t_us=2)
    assert dump(state) == once_reserved


def test_a_settled_step_is_settled_for_good() -> None:
    """A contradicting word comes too late."""
    state = State()
    reserve(state, new_order("o", *EVERY_KIND), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    settle(state, "o", NOT_SENT, t_us=1)
    assert standing(state) == ALL


def test_one_stamp_a_step_on_a_cell_with_several_windows() -> None:
    """Two windows on one rate cell are one request."""
    state = State()
    reserve(state, new_order("o", rate("r", 15, 30), rate("r", 100, 3600)), t_us=0)
    assert list(state.logs["r"].stamps) == [0]
    assert state.logs["r"].widest_us == 3600 * SECOND
    settle(state, "o", NOT_SENT, t_us=1)
    assert list(state.logs["r"].stamps) == []


def test_posting_stamps_rates_without_a_step() -> None:
    """Reads are counted by one light call."""
    state = State()
    post(state, (rate("reads", 2, 60), rate("reads", 9, 1)), t_us=5)
    assert used(state, "reads", t_us=5, window_ms=60_000) == 1
    assert (state.steps, state.at_us) == ({}, 5)


@pytest.mark.parametrize(
    ("opening", "says"),
    [
        (Opening("c", (sums("spend", "a", 1),)), "for no order"),
        (Opening("n", (sums("spend", "a", 1),), "n"), "without an account"),
        (change("m", "gone", sums("spend", "a", 1)), "not a live order"),
        (new_order("n", sums("spend", "a", 1), sums("spend", "a", 2)), "two claims on one cell"),
    ],
)
def test_openings_that_make_no_sense_are_bugs(opening: Opening, says: str) -> None:
    """They raise before anything moved."""
    state = State()
    with pytest.raises(AssertionError, match=says):
        reserve(state, opening, t_us=0)
    assert dump(state) == dump(State())


@pytest.mark.parametrize("claim", [sums("spend", "a", 1), once("o", 1), slot("s")])
def test_only_rates_are_posted_without_a_step(claim: Claim) -> None:
    """What may have to be given back needs a step."""
    with pytest.raises(AssertionError, match="needs a step"):
        post(State(), (claim,), t_us=0)


def test_what_was_given_back_fits_again() -> None:
    """Room, window and duplicate mark of an order that never left are there for the next."""
    state = State()
    claims = (sums("spend", "a", 100, 100), rate("r", 1, 60), once("o", 60), slot("k"))
    reserve(state, new_order("a", *claims), t_us=0)
    settle(state, "a", NOT_SENT, t_us=1)
    assert check_claims(state, claims, t_us=1) == Granted((0, 0, 0, 0))


@pytest.mark.parametrize("word", [ACCEPTED, REFUSED, NOT_SENT])
def test_an_order_that_ended_before_its_answer_waits_for_it(word: Outcome) -> None:
    """A fill that arrives before the daemon's answer is spent; the answer then changes no money."""
    state = State()
    reserve(state, new_order("o", sums("spend", "a", 100), sums("working", "w", 100)), t_us=0)
    set_targets(state, "o", {"a": 97, "w": 0}, t_us=1)
    end_order(state, "o", t_us=1)
    settle(state, "o", UNKNOWN, t_us=2)
    assert state.holders["o"].status == "done"
    assert [step.id for step in unknowns(state)] == ["o"]
    settle(state, "o", word, t_us=3)
    assert state.holders == {}
    assert state.sums == state.spent
