"""What a second ledger counted is put into the first: orders, open steps, what is spent, windows; at most once."""

from random import Random  # noqa: TID251 - seeded
from typing import Final

import pytest

from guard.limits import (
    Graft,
    Opening,
    State,
    Worth,
    end_order,
    graft,
    grafting,
    merge_grafts,
    missing_counters,
    post,
    reserve,
    set_targets,
    settle,
    split_graft,
    split_long_logs,
    used,
)
from guard.limits.grafting import Held, StepClaims
from guard.limits.state import LogPart
from guard.terms import Account, Claim, Env, Outcome, Verdict
from tests.support.dump import dump

OLD: Final = (Claim("count", "open_orders/key=bot", 1),)
RATE: Final = "new_orders/account=1"
MONEY: Final = "daily_value/account=1|HKD|2026-11-22"
ACCOUNT: Final = Account(Env.REAL, 1)
ENDS: Final = (Verdict.ACCEPTED, Verdict.REFUSED, Verdict.NOT_SENT, Verdict.UNKNOWN)


def new(amount: int) -> tuple[Claim, ...]:
    """What the new policies claim of an order."""
    return (Claim("spend", MONEY, amount), Claim("rate", RATE, 1, window_ms=60_000))


class Worlds:
    """One past on three ledgers: under the old policies, under the new ones, and under both from the beginning."""

    def __init__(self) -> None:
        self.old, self.other, self.both = State(), State(), State()
        self.swapped = False

    def reserve(self, name: str, amount: int, *, holder: str, t_us: int) -> None:
        """An order, or a change of one."""
        worth = Worth(str(amount), "1")
        for state, claims in (
            (self.old, (*OLD, *new(amount)) if self.swapped else OLD),
            (self.other, new(amount)),
            (self.both, (*OLD, *new(amount))),
        ):
            opening = Opening(name, claims, holder=holder, key="bot", account=ACCOUNT, worth=worth)
            reserve(state, opening, t_us=t_us)

    def settle(self, name: str, verdict: Verdict, *, t_us: int) -> None:
        """What became of it."""
        for state in (self.old, self.other, self.both):
            settle(state, name, Outcome(verdict), t_us=t_us)

    def fill(self, name: str, amount: int, *, t_us: int) -> None:
        """What was learned of it."""
        for state in (self.old, self.other, self.both) if self.swapped else (self.other, self.both):
            set_targets(state, name, {MONEY: amount}, t_us=t_us)

    def end(self, name: str, *, t_us: int) -> None:
        """It works no longer."""
        for state in (self.old, self.other, self.both):
            end_order(state, name, t_us=t_us)

    def swap(self, *, t_us: int) -> None:
        """From now on the new policies are in force: there is one ledger."""
        graft(self.old, missing_counters(self.old, self.other), t_us=t_us)
        self.swapped = True


def told(state: State) -> dict[str, object]:
    """The ledger; what an order was a part of first, and in which order it holds its cells, says nothing."""
    found = dump(state)
    holders = {name: (one["holds"], one["status"], one["step"]) for name, one in found["holders"].items()}
    steps = {
        name: sorted((claim["counter"], before) for claim, before in zip(step["claims"], step["before"], strict=True))
        for name, step in found["steps"].items()
    }
    return {name: found[name] for name in ("at_us", "sums", "spent", "logs")} | {"holders": holders, "steps": steps}


@pytest.mark.parametrize("seed", range(60))
def test_after_the_graft_it_is_as_if_both_had_counted_all_along(seed: int) -> None:
    """Any past, a swap at any moment, any future: fills, ends, changes and doubts come to the same sums."""
    dice, worlds, at_us = Random(seed), Worlds(), 0
    names, open_steps = list[str](), dict[str, str]()
    swap_at = dice.randrange(60)
    for turn in range(60):
        at_us += dice.choice([0, 1, 9_000_000])
        if turn == swap_at:
            worlds.swap(t_us=at_us)
        live = [name for name in names if name in worlds.both.holders]
        idle = [name for name in live if worlds.both.holders[name].step is None]
        match dice.randrange(6):
            case 0 if idle:
                name, step = dice.choice(idle), f"c{turn}"
                worlds.reserve(step, dice.choice([50, 200]), holder=name, t_us=at_us)
                open_steps[step] = name
            case 1 | 2 if open_steps:
                step = dice.choice(sorted(open_steps))
                verdict = dice.choice(ENDS)
                worlds.settle(step, verdict, t_us=at_us)
                if verdict is not Verdict.UNKNOWN:
                    del open_steps[step]
            case 3 if idle:
                worlds.end(dice.choice(idle), t_us=at_us)
            case 4 if idle:
                worlds.fill(dice.choice(idle), dice.choice([70, 110]), t_us=at_us)
            case _:
                name = f"o{turn}"
                names.append(name)
                open_steps[name] = name
                worlds.reserve(name, dice.choice([100, 300]), holder=name, t_us=at_us)
        if turn >= swap_at:
            assert told(worlds.old) == told(worlds.both)


def test_twice_is_once_and_nothing_is_lowered() -> None:
    """Put in again, nothing moves; a cell that stands higher keeps what it has, and no stamp is doubled."""
    state, other = State(), State()
    for each, amount in ((state, 300), (other, 100)):
        opening = Opening("a", new(amount), holder="a", key="bot", account=ACCOUNT)
        reserve(each, opening, t_us=1)
    opening = Opening("b", new(40), holder="b", key="bot", account=ACCOUNT)
    reserve(other, opening, t_us=2)
    reserve(state, Opening("b", OLD, holder="b", key="bot", account=ACCOUNT), t_us=2)
    found = missing_counters(state, other)
    assert found.counters == (MONEY, RATE)
    graft(state, found, t_us=2)
    once = dump(state)
    graft(state, found, t_us=2)

    assert dump(state) == once
    assert used(state, MONEY, t_us=2) == 340
    assert used(state, RATE, t_us=2, window_ms=60_000) == 2
    assert missing_counters(state, other).counters == ()


@pytest.mark.parametrize(
    ("here", "there", "together"),
    [
        ([], [1, 2], [1, 2]),
        ([1, 2], [1, 2], [1, 2]),
        ([2], [1, 2], [1, 2]),  # it only looks further back
        ([1], [1, 2], [1, 2]),
        ([1, 3], [2, 4], [1, 2, 3, 4]),
        ([1, 1], [1], [1, 1]),
        ([1], [1, 1, 2], [1, 1, 2]),
        ([1, 2], [2], [1, 2]),
    ],
)
def test_stamps_of_both_stand(here: list[int], there: list[int], together: list[int]) -> None:
    """Each as often as in the ledger that has it more often; what is told is told only where one is missing."""
    state, other = State(), State()
    for each, stamps in ((state, here), (other, there)):
        for t_us in stamps:
            post(each, (Claim("rate", RATE, 1, window_ms=60_000),), t_us=t_us)
    found = missing_counters(state, other)
    graft(state, found, t_us=5)
    assert [stamp for log in state.logs.values() for stamp in log.stamps] == together
    assert found.is_empty == (together == here)


def test_what_no_window_counts_any_more_is_not_told() -> None:
    """However wide it was: a limit that comes later begins with nothing."""
    state, other = State(), State()
    post(other, (Claim("rate", RATE, 1, window_ms=300_000),), t_us=1)
    post(state, (), t_us=300_000_000)
    assert missing_counters(state, other).counters == (RATE,)
    post(state, (), t_us=300_000_001)
    assert missing_counters(state, other).is_empty


def test_what_has_ended_since_is_left_out() -> None:
    """A graft for an order or a step that is there no more changes nothing but time."""
    state, other = State(), State()
    reserve(state, Opening("a", OLD, holder="a", key="bot", account=ACCOUNT), t_us=1)
    reserve(other, Opening("a", new(5), holder="a", key="bot", account=ACCOUNT), t_us=1)
    found = missing_counters(state, other)
    settle(state, "a", Outcome(Verdict.REFUSED), t_us=2)
    graft(state, found, t_us=3)

    assert (state.holders, state.steps, used(state, MONEY, t_us=3)) == ({}, {}, 0)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_window_is_forgotten_once_whether_it_was_kept_already_or_not(is_known: bool) -> None:
    """Orders go on after the stamps that were put in, and those that were there, are over."""
    state, other = State(), State()
    mark = (Claim("rate", RATE, 1, window_ms=1_000),)
    if is_known:
        post(state, mark, t_us=1)
    post(other, mark, t_us=2)
    graft(state, missing_counters(state, other), t_us=3)
    assert used(state, RATE, t_us=3, window_ms=1_000) == 1 + is_known
    for turn in range(9):
        opening = Opening(f"x{turn}", OLD, holder=f"x{turn}", key="bot", account=ACCOUNT)
        reserve(state, opening, t_us=200_000_000 + turn)

    assert (state.logs, state.due, state.turns) == ({}, {}, [])


@pytest.mark.parametrize(("spent", "counters"), [(299, ()), (300, ()), (301, (MONEY,))])
def test_what_ended_orders_spent_is_told_where_it_is_more(spent: int, counters: tuple[str, ...]) -> None:
    """What both ledgers have is not told again."""
    state, other = State(), State()
    for each, amount in ((state, 300), (other, spent)):
        reserve(each, Opening("a", new(amount)[:1], holder="a", key="bot", account=ACCOUNT), t_us=1)
        settle(each, "a", Outcome(Verdict.ACCEPTED), t_us=2)
        end_order(each, "a", t_us=3)

    assert missing_counters(state, other).counters == counters


@pytest.mark.parametrize(("orders", "sizes"), [(0, [0]), (1, [1]), (2, [2]), (3, [2, 1]), (4, [2, 2]), (5, [2, 2, 1])])
def test_parts_are_full_but_for_the_last(orders: int, sizes: list[int]) -> None:
    """There is always one, for what is not the orders'; none but a lonely one is empty."""
    state, other = State(), State()
    for place in range(orders):
        reserve(state, Opening(f"{place}", OLD, holder=f"{place}", key="bot", account=ACCOUNT), t_us=1)
        reserve(other, Opening(f"{place}", new(1), holder=f"{place}", key="bot", account=ACCOUNT), t_us=1)
    whole: Graft = missing_counters(state, other)

    parts = list(split_graft(whole, size=2, stamps=2))
    assert [len(part.holders) for part in parts] == sizes
    assert merge_grafts(parts) == whole


@pytest.mark.parametrize("stamps", [1, 2, 3, 4, 5])
def test_a_long_log_comes_in_pieces_that_are_it_together(monkeypatch: pytest.MonkeyPatch, stamps: int) -> None:
    """Each piece is short enough for a record; the last part is what is left, also where that is nothing."""
    monkeypatch.setattr(grafting, "PIECE_STAMPS", 2)
    whole = Graft(spent={MONEY: 1}, logs={"r": LogPart(list(range(stamps)), 60), "s": LogPart([7], 60)})
    for parts in (list(split_long_logs(whole)), list(split_graft(whole, size=2, stamps=2))):
        assert merge_grafts(parts) == whole
        told = [
            *(part.logs.values() for part in parts),
            *([LogPart(s, 0) for s in part.more.values()] for part in parts),
        ]
        assert max(len(log.stamps) for logs in told for log in logs) <= 2
    assert merge_grafts([*split_long_logs(whole), *split_long_logs(whole)]) == whole


def test_stamps_without_those_before_them_do_not_fit() -> None:
    """Their log was told by no part: to take them for all of it would count too little."""
    with pytest.raises(ValueError, match="r: stamps come without those before them"):
        merge_grafts([Graft(more={"r": [2]})])


@pytest.mark.parametrize(
    "found",
    [
        Graft(holders={"o": Held((MONEY,), (1,), "s")}),
        Graft(steps={"s": StepClaims((), ())}),
        Graft(spent={MONEY: 1}),
        Graft(logs={"r": LogPart([1], 60)}),
        Graft(more={"r": [1]}),
    ],
    ids=["orders", "steps", "spent", "stamps", "more stamps"],
)
def test_whatever_moves_anything_is_not_empty(found: Graft) -> None:
    """Any one of its parts has to be on record before what hangs on it decides."""
    assert not found.is_empty
    assert Graft().is_empty


def test_stamps_that_are_put_in_do_not_narrow_what_is_kept() -> None:
    """The second ledger looks back a minute, this one an hour: what fell out of that counts for the hour still."""
    minute, hour = Claim("rate", RATE, 1, window_ms=60_000), Claim("rate", RATE, 1, window_ms=3_600_000)
    state, other = State(), State()
    post(state, (hour,), t_us=1)
    post(other, (minute,), t_us=1_800_000_000)
    graft(state, missing_counters(state, other), t_us=1_800_000_000)

    assert list(state.logs[RATE].stamps) == [1, 1_800_000_000]
    assert used(state, RATE, t_us=1_800_000_001, window_ms=3_600_000) == 2
