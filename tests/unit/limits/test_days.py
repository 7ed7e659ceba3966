"""What ended orders spent on days long over is forgotten: at the same point of the record, whoever folds it."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.limits import (
    Staging,
    State,
    end_order,
    missing_counters,
    reserve,
    restore,
    set_targets,
    settle,
    snapshot,
)
from guard.limits.days import DAYS_KEPT, days_over, note_day
from guard.policy.notation import Reset
from guard.policy.periods import RESETS, period_name
from tests.support.dump import dump
from tests.support.ledger import ACCEPTED, new_order, spend, sums, through_json

COUNTER: Final = "daily_value/key=bot|HKD"
HONG_KONG: Final = "08:30 Asia/Hong_Kong"
FIRST: Final = date(2026, 1, 1)


def cell_of(day: int, *, counter: str = COUNTER, reset: str = HONG_KONG) -> str:
    """The counter's cell of that day."""
    return f"{counter}|{FIRST + timedelta(days=day)}@{reset}"


def spends(state: State, name: str, *cells: str) -> None:
    """An order that ends with one unit spent on each."""
    spend(state, name, *(sums("spend", cell, 1) for cell in cells))


@pytest.mark.parametrize("reset", RESETS)
def test_the_days_of_every_reset_are_told_from_their_names(reset: Reset) -> None:
    """As policies name them, alone or for all markets; what lasts for good, or has no period, is no day's."""
    days: dict[str, list[str]] = {}
    name = period_name(reset, datetime(2026, 11, 22, 12, tzinfo=UTC))
    for cell in (f"{COUNTER}|{name}", f"{COUNTER}|{name},all"):
        note_day(days, cell)
    assert list(map(len, days.values())) == [1, 1]
    for cell in (
        f"{COUNTER}|gtc",
        f"{COUNTER}|gtc@{reset},all",
        "open_value/key=bot|HKD",
        "orders",
        "new_orders/key=@1",
    ):
        note_day(days, cell)
        assert days_over(days, cell) == []
    assert len(days) == 2


def test_years_leave_no_more_than_the_latest_days() -> None:
    """Of each counter and each reset by itself, also where many days were left out."""
    state = State()
    for day in [*range(400), *range(500, 2000, 7)]:
        spends(state, f"o{day}", cell_of(day), cell_of(day, counter="daily_value/key=bot|USD"))
    spends(state, "us", cell_of(0, reset="04:00 America/New_York"), f"{COUNTER}|gtc")
    assert len(state.spent) == 2 * (DAYS_KEPT + 1) + 2
    assert state.sums == state.spent
    assert set(state.spent) == {*(cell for cells in state.days.values() for cell in cells), f"{COUNTER}|gtc"}


def test_a_clock_that_was_wrong_takes_no_days_money_away() -> None:
    """A day far ahead ends no more than the next one does, and a day long ago ends none."""
    state = State()
    days = [*range(100, 101 + DAYS_KEPT)]
    for day in days:
        spends(state, f"o{day}", cell_of(day))
    spends(state, "ahead", cell_of(9_000))
    spends(state, "behind", cell_of(3))
    kept = [cell_of(day) for day in days[1:]]
    assert set(state.spent) == {cell_of(3), *kept, cell_of(9_000)}
    spends(state, "right again", cell_of(days[-1]))
    assert state.spent[cell_of(days[-1])] == 2


def test_what_a_live_order_holds_on_a_day_long_over_stays() -> None:
    """Only what ended orders spent there goes; what it leaves itself goes with the next day."""
    state = State()
    reserve(state, new_order("live", sums("spend", cell_of(0), 5)), t_us=0)
    settle(state, "live", ACCEPTED, t_us=0)
    for day in range(DAYS_KEPT + 2):
        spends(state, f"o{day}", cell_of(day))
    assert (state.sums[cell_of(0)], cell_of(0) in state.spent) == (5, False)
    end_order(state, "live", t_us=0)
    assert state.spent[cell_of(0)] == 5
    spends(state, "next", cell_of(DAYS_KEPT + 2))
    assert cell_of(0) not in state.sums
    assert len(state.spent) == DAYS_KEPT + 1


def test_counters_built_beside_the_ledger_are_told_of_it() -> None:
    """Both had the day when it was looked at: what the ledger in force forgets meanwhile, the other one still tells."""
    state, other = State(), State()
    for day in range(DAYS_KEPT + 1):
        for each in (state, other):
            spends(each, f"o{day}", cell_of(day))
    staging = Staging(state, other, ())
    while staging.build() is not None:
        pass
    spends(state, "next", cell_of(DAYS_KEPT + 1))
    rest = staging.rest()
    assert rest == missing_counters(state, other)
    assert rest.counters == (cell_of(0),)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["ends", "lives"])), max_size=60),
    st.integers(1, 9),
)
def test_it_is_the_same_ledger_from_any_snapshot(past: list[tuple[int, str]], every: int) -> None:
    """Days in any order: against a model, from the record, and from snapshots taken on the way."""
    model: dict[int, int] = {}
    live, restored = State(), State()
    for n, (day, what) in enumerate(past):
        for state in (live, restored):
            if what == "lives":
                reserve(state, new_order(f"o{n}", sums("spend", cell_of(day), 1)), t_us=n)
                set_targets(state, f"o{n}", {cell_of(day): 1}, t_us=n)
            else:
                spends(state, f"o{n}", cell_of(day))
        if what == "ends":
            is_first = day not in model
            model[day] = model.get(day, 0) + 1
            for past_day in sorted(one for one in model if one < day)[:-DAYS_KEPT] if is_first else ():
                del model[past_day]
        if n % every == 0:
            restored = restore(through_json(snapshot(restored)))
    assert live.spent == {cell_of(day): amount for day, amount in model.items()}
    assert dump(restored) == dump(live)
    assert restored.days == live.days
