"""What is learned of live orders later: absolute, so told twice or late it changes nothing."""

from decimal import Decimal

import pytest

from guard.limits import (
    Fills,
    Opening,
    State,
    change_in_flight,
    end_order,
    holder_of,
    note_filled,
    reserve,
    set_targets,
    settle,
    snapshot,
    unknowns,
)
from guard.terms import Outcome
from tests.support.dump import dump
from tests.support.ledger import ACCEPTED, REFUSED, UNKNOWN, change, new_order, sums

DAY, OPEN, COUNT = "daily_value/key=bot|HKD|2026-11-20", "open_value/key=bot|HKD", "open_orders/key=bot"


def with_order(spend: int = 100) -> State:
    """A working order `o` that spends, works and counts."""
    state = State()
    claims = (sums("spend", DAY, spend), sums("working", OPEN, spend), sums("count", COUNT, 1))
    reserve(state, new_order("o", *claims), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    return state


def test_a_fill_sets_what_is_held() -> None:
    """Half filled at a better price: the spend is the filled value and the rest, the working value the rest."""
    state = with_order()
    for t_us in (2, 3):
        set_targets(state, "o", {DAY: 95, OPEN: 50}, t_us=t_us)
        assert state.sums == {DAY: 95, OPEN: 50, COUNT: 1}


def test_what_is_held_again_is_of_the_kind_that_was_claimed() -> None:
    """An order that came to nothing on a cell and back lets go of it when it ends, as it would have before."""
    state = with_order()
    for t_us, amount in ((2, 0), (3, 1)):
        set_targets(state, "o", {OPEN: 50 * amount, COUNT: amount}, t_us=t_us)
    end_order(state, "o", t_us=4)
    assert state.sums == state.spent == {DAY: 100}


def test_what_was_paid_is_learned_late_and_never_forgotten() -> None:
    """A price that comes after its quantity is taken; the quantity told again without it, or a smaller one, is not."""
    state = with_order()
    told = [(40, None, None), (40, 80, 80), (40, None, 80), (30, 60, 80), (50, None, None)]
    for t_us, (qty, paid, known) in enumerate(told, start=2):
        fills = Fills(Decimal(qty), None if paid is None else Decimal(paid))
        note_filled(state, "o", fills, t_us=t_us)
        assert state.holders["o"].fills.paid == known


def test_a_fill_told_late_changes_nothing() -> None:
    """After the end nothing is left to set."""
    state = with_order()
    set_targets(state, "o", {DAY: 40}, t_us=2)
    end_order(state, "o", t_us=2)
    set_targets(state, "o", {DAY: 95, OPEN: 50}, t_us=2)
    end_order(state, "o", t_us=2)
    assert state.sums == state.spent == {DAY: 40}


def test_an_end_keeps_the_spend_and_frees_the_rest() -> None:
    """Partial fill, then cancel: only the filled value stays, and the order is forgotten."""
    state = with_order()
    set_targets(state, "o", {DAY: 30}, t_us=2)
    end_order(state, "o", t_us=3)
    assert state.sums == {DAY: 30}
    assert state.spent == {DAY: 30}
    assert state.holders == {}


@pytest.mark.parametrize("is_changing", [False, True])
@pytest.mark.parametrize("verdict", [ACCEPTED, REFUSED])
@pytest.mark.parametrize(
    "targets",
    [{DAY: 70, OPEN: 30, COUNT: 1, "other": 5}, {DAY: 0}, {DAY: 140, COUNT: 0}, {}],
    ids=["less", "none", "more", "nothing"],
)
def test_what_ends_with_a_fill_is_as_if_both_were_told_apart(
    targets: dict[str, int], verdict: Outcome, *, is_changing: bool
) -> None:
    """What the end frees need not be set first, and while a change is open everything is."""
    ended = []
    for ends in (False, True):
        state = with_order()
        if is_changing:
            reserve(state, change("c", "o", sums("spend", DAY, 200), sums("working", OPEN, 200)), t_us=2)
        set_targets(state, "o", targets, t_us=3, ends=ends)
        end_order(state, "o", t_us=3)
        settle(state, "c", verdict, t_us=4)
        ended.append((list(snapshot(state)), state.days))
        assert state.holders == {}
        assert OPEN not in state.sums
    assert ended[0] == ended[1]


def test_a_fill_moves_between_cells_in_one_call() -> None:
    """A GTC order's fill leaves the cell of the living and enters the day of the fill, as spend."""
    state = State()
    reserve(state, new_order("o", sums("spend", "d|gtc", 100)), t_us=0)
    settle(state, "o", ACCEPTED, t_us=1)
    set_targets(state, "o", {"d|gtc": 60, "d|2026-11-21": 40}, t_us=2)
    assert state.sums == {"d|gtc": 60, "d|2026-11-21": 40}
    set_targets(state, "o", {"d|gtc": 0}, t_us=3)
    end_order(state, "o", t_us=3)
    assert state.sums == {"d|2026-11-21": 40}


def test_what_an_order_never_claimed_it_has_spent() -> None:
    """It stays when the order ends."""
    state = with_order()
    set_targets(state, "o", {"daily_value/account=1": 100}, t_us=2)
    end_order(state, "o", t_us=4)
    assert state.sums == {DAY: 100, "daily_value/account=1": 100}


def test_an_open_step_keeps_its_claims_when_targets_are_told() -> None:
    """The room of a change on the wire is not given away, whatever is learned of the order as it was."""
    state = with_order()
    reserve(state, change("m", "o", sums("spend", DAY, 150)), t_us=2)
    set_targets(state, "o", {DAY: 80, OPEN: 40}, t_us=3)
    assert state.sums == {DAY: 150, OPEN: 40, COUNT: 1}
    settle(state, "m", REFUSED, t_us=4)
    assert state.sums == {DAY: 80, OPEN: 40, COUNT: 1}


def test_an_order_that_ends_during_a_change_waits_for_it() -> None:
    """It holds its spend only, and is forgotten once the change is settled, which moves no money."""
    state = with_order()
    reserve(state, change("m", "o", sums("spend", DAY, 150), sums("working", OPEN, 150)), t_us=2)
    set_targets(state, "o", {DAY: 100}, t_us=3)
    end_order(state, "o", t_us=3)
    assert state.sums == {DAY: 150}
    assert change_in_flight(state, "o") == "in_flight"
    settle(state, "m", ACCEPTED, t_us=4)
    assert state.holders == {}
    assert change_in_flight(state, "o") == "none"


def test_a_step_is_about_the_order_that_it_opens_changes_or_cancels() -> None:
    """A cancel, which holds nothing, names it as well; one of an order that nobody knows is about none."""
    state = with_order()
    reserve(state, new_order("p"), t_us=2)
    reserve(state, change("q", "o"), t_us=2)
    for step, of in (("r", "o"), ("s", None)):
        reserve(state, Opening(step, (), of=of), t_us=2)

    found = {name: holder_of(state, step) for name, step in state.steps.items()}

    assert {name: holder and holder.id for name, holder in found.items()} == {"p": "p", "q": "o", "r": "o", "s": None}


def test_unknowns_are_listed_oldest_first() -> None:
    """Steps in flight are not in doubt; unknown ones are, until settled."""
    state = State()
    for n in range(4):
        reserve(state, new_order(f"o{n}", sums("spend", "a", 1)), t_us=n)
    for n in (2, 1):
        settle(state, f"o{n}", UNKNOWN, t_us=9)
    assert [(step.id, step.t_us) for step in unknowns(state)] == [("o1", 1), ("o2", 2)]
    assert state.holders["o1"].status == "unknown"


def test_negative_amounts_are_bugs() -> None:
    """They raise before anything moved."""
    state = with_order()
    before = dump(state)
    with pytest.raises(AssertionError, match="target of -1"):
        set_targets(state, "o", {DAY: 5, OPEN: -1}, t_us=1)
    assert dump(state) == before
