"""Counters built beside the ledger in slices, orders going on between them, come to what grafting at once comes to."""

from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from random import Random  # noqa: TID251 - seeded
from typing import Final

import msgspec
import pytest

from guard.limits import (
    Fills,
    Graft,
    Opening,
    Staging,
    State,
    TradingRule,
    Worth,
    adopt,
    days,
    end_order,
    fill_ended,
    give_up,
    graft,
    merge_grafts,
    missing_counters,
    note_filled,
    note_order_ids,
    post,
    promote,
    reserve,
    set_targets,
    set_trading,
    settle,
    split_graft,
)
from guard.limits import staging as module
from guard.limits.state import touch
from guard.terms import Account, Claim, Env, Outcome, Verdict
from tests.support.dump import dump
from tests.support.ledger import spend

ACCOUNT: Final = Account(Env.REAL, 1)
OLD: Final = "open_orders/key=bot"
SHADOW: Final = "open_value/shadow:key=bot|HKD"
MONEY: Final = (
    *(f"daily_value/account={n}|HKD|gtc" for n in range(4)),
    *(f"daily_value/key=bot|HKD|2026-11-2{n}@08:30 Asia/Hong_Kong" for n in range(4)),
)
RATES: Final = tuple(f"new_orders/account={n}" for n in range(6))  # counted by either, not always for as long
SEEN: Final = tuple(f"changes/shadow:key=bot{n}" for n in range(4))
PLAIN: Final = tuple(f"changes/key=bot{n}" for n in range(4))
STOPS: Final = tuple(f"breaker_unknowns/key=bot{n}" for n in range(2))
WORDS: Final = ("open_value", "changes")
WINDOWS_MS: Final = (5_000, 60_000, 300_000)
ENDS: Final = (Verdict.ACCEPTED, Verdict.REFUSED, Verdict.NOT_SENT, Verdict.UNKNOWN)


def old(amount: int) -> tuple[Claim, ...]:
    """What is claimed under the policies in force, one of them a shadow."""
    return Claim("count", OLD, 1), Claim("working", SHADOW, amount)


class Past:
    """The same things happening to the ledger in force and to the one that counts as it shall be."""

    def __init__(self, seed: int) -> None:
        self.dice, self.state, self.other = Random(seed), State(), State()
        self.at_us, self.turn = 0, 0

    def reserve(self, name: str, *, holder: str) -> None:
        """An order, or a change of one."""
        amount = self.dice.choice([50, 100, 300])
        money = Claim("spend", self.dice.choice(MONEY), amount)
        for state, sums in ((self.state, old(amount)), (self.other, (money,))):
            claims = *sums, *self.rates()
            if holder == name or holder in state.holders:
                worth = Worth(str(amount), "1")
                opening = Opening(name, claims, holder=holder, key="bot", account=ACCOUNT, worth=worth)
                reserve(state, opening, t_us=self.at_us)

    def rates(self) -> tuple[Claim, ...]:
        """Some rates, each for some window."""
        cells = self.dice.sample([*RATES, *SEEN, *PLAIN], self.dice.randrange(3))
        return tuple(Claim("rate", cell, 1, window_ms=self.dice.choice(WINDOWS_MS)) for cell in cells)

    def both(self, do: Callable[[State], None]) -> None:
        """Something that is told to both."""
        do(self.state)
        do(self.other)

    def ended(self) -> None:
        """What belongs to no live order: stamps of reads and of breakers, what orders that are over have spent."""
        dice, at_us = self.dice, self.at_us
        chosen = dice.choice([[self.state], [self.other], [self.state, self.other]])
        rule = TradingRule("active", keys=(f"bot{dice.randrange(2)}",))
        spent = Claim("spend", dice.choice([*MONEY, *SEEN, *PLAIN]), dice.choice([0, 40, 500]))
        claims = Claim("rate", dice.choice(STOPS), 1, window_ms=dice.choice(WINDOWS_MS)), *self.rates()
        what = dice.randrange(5)
        for state in chosen:
            match what:
                case 0:
                    set_trading(state, rule, t_us=at_us)
                case 1:
                    spend(state, f"over{self.turn}", spent, t_us=at_us)
                case _:
                    post(state, claims, t_us=at_us)

    def step(self) -> None:
        """One thing more."""
        dice, at_us = self.dice, self.at_us
        self.turn += 1
        self.at_us += dice.choice([0, 0, 0, 1, 9_000_000, 9_000_000, 200_000_000])
        idle = [name for name, holder in self.state.holders.items() if holder.step is None]
        steps = sorted(self.state.steps)
        match dice.randrange(16):
            case 0 if idle:
                self.reserve(f"c{self.turn}", holder=dice.choice(idle))
            case 1 | 2 | 3 if steps:
                name, outcome = dice.choice(steps), Outcome(dice.choice(ENDS), order_id=str(self.turn))
                self.both(lambda state: settle(state, name, outcome, t_us=at_us))
            case 4 if idle:
                name, cell = dice.choice(idle), dice.choice([*MONEY, SHADOW])
                set_targets(
                    self.state if cell == SHADOW else self.other, name, {cell: dice.choice([0, 70])}, t_us=at_us
                )
            case 5 if self.state.holders:
                name = dice.choice(list(self.state.holders))
                self.both(lambda state: end_order(state, name, t_us=at_us))
            case 6 if idle:
                note_filled(self.state, dice.choice(idle), Fills(Decimal(self.turn)), t_us=at_us)
            case 7 if idle:
                note_order_ids(
                    self.state, self.state.holders[dice.choice(idle)], order_id=None, order_id_ex=f"x{self.turn}"
                )
            case 8 if dice.random() < 0.5:
                opening = Opening(f"out{self.turn}", (), account=ACCOUNT)
                adopt(self.state, opening, {SHADOW: 5}, order_id=f"o{self.turn}", order_id_ex=None, t_us=at_us)
            case 9 | 10 | 11 | 12:
                self.ended()
            case 13 if idle:
                name = dice.choice(idle)
                self.both(lambda state: give_up(state, name, t_us=at_us))
            case _:
                self.reserve(f"o{self.turn}", holder=f"o{self.turn}")


def at_once(state: State, new: Graft, *, t_us: int) -> State:
    """What a start makes of the record."""
    promote(state, WORDS, t_us=t_us)
    graft(state, new, t_us=t_us)
    return state


def told(state: State) -> tuple[object, object]:
    """The ledger, and its orders in their order with all they are."""
    return dump(state), [(name, msgspec.structs.asdict(holder)) for name, holder in state.holders.items()]


@pytest.mark.parametrize("seed", range(150))
def test_built_in_slices_it_is_what_grafting_at_once_makes_of_it(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders come, settle, fill, change and end between slices; live and from the parts on record: one ledger."""
    monkeypatch.setattr(module, "ORDERS_MAX", 3)
    monkeypatch.setattr(module, "CELLS_MAX", 12)
    monkeypatch.setattr(module, "STAMPS_MAX", 2)
    monkeypatch.setattr(module, "AGAIN_MAX", 3)
    monkeypatch.setattr(days, "DAYS_KEPT", 1)
    past = Past(seed)
    for _ in range(past.dice.randrange(10, 80)):
        past.step()
    staging, parts = Staging(past.state, past.other, WORDS), list[Graft]()
    while (part := staging.build()) is not None:
        parts.append(part)
        for _ in range(past.dice.randrange(3)):
            past.step()
    for _ in range(past.dice.randrange(4)):
        past.step()
        parts.append(staging.build_again(count=past.dice.randrange(1, 4)))
    for _ in range(past.dice.randrange(6)):
        past.step()

    was = deepcopy(past.state)
    once = at_once(deepcopy(was), missing_counters(was, past.other), t_us=past.at_us)
    rest = staging.rest()
    assert told(past.state) == told(was)  # nothing is in force yet
    on_record = [msgspec.json.decode(msgspec.json.encode(part), type=Graft) for part in (*parts, rest)]
    before = staging.take_over(rest, t_us=past.at_us)
    staging.close()

    assert list(before) == list(was.holders)
    assert told(past.state) == told(once)
    assert told(past.state) == told(at_once(was, merge_grafts(on_record), t_us=past.at_us))
    assert (past.state.touched, past.other.touched) == (None, None)


def a_rate(cell: str) -> tuple[Claim, ...]:
    """One stamp."""
    return (Claim("rate", cell, 1, window_ms=60_000),)


@pytest.mark.parametrize("what", ["a stamp is given back", "a breaker begins anew"])
def test_a_stamp_that_goes_in_the_last_moment_is_missing_again(what: str) -> None:
    """Both had it when they were looked at: what the ledger in force lets go of meanwhile, the other one tells."""
    state, other, cell = State(), State(), RATES[0] if what == "a stamp is given back" else STOPS[0]
    opening = Opening("a", a_rate(RATES[0]), holder="a", account=ACCOUNT)
    reserve(state, opening, t_us=7)
    post(other, a_rate(RATES[0]), t_us=7)
    for each in (state, other):
        post(each, a_rate(STOPS[0]), t_us=8)
    staging = Staging(state, other, ())
    while staging.build() is not None:
        pass
    if what == "a stamp is given back":
        settle(state, "a", Outcome(Verdict.NOT_SENT), t_us=9)
    else:
        set_trading(state, TradingRule("active", keys=("bot0",)), t_us=9)
    rest = staging.rest()

    assert rest == missing_counters(state, other)
    assert rest.counters == (cell,)


def staged(state: State, other: State) -> tuple[Staging, list[Graft]]:
    """All of it built, and what was told meanwhile."""
    staging, parts = Staging(state, other, ()), list[Graft]()
    while (part := staging.build()) is not None:
        parts.append(part)
    return staging, parts


def test_stamps_are_told_before_the_step_of_the_change() -> None:
    """However many counters a new rate has, that step has none of them left: here one that both know, and a new one."""
    state, other = State(), State()
    post(state, a_rate(RATES[0]), t_us=9)
    for t_us in range(7, 11):
        post(other, a_rate(RATES[0]), t_us=t_us)
        post(other, a_rate(RATES[1]), t_us=t_us)
    staging, parts = staged(state, other)
    was, rest = deepcopy(state), staging.rest()
    _ = staging.take_over(rest, t_us=11)

    assert (rest, staging.stirred) == (Graft(), 0)
    assert [(cell, list(state.logs[cell].stamps)) for cell in RATES[:2]] == [
        (cell, [7, 8, 9, 10]) for cell in RATES[:2]
    ]
    assert told(state) == told(at_once(was, merge_grafts(parts), t_us=11))
    post(state, a_rate("another"), t_us=200_000_000)
    assert set(state.logs) == {"another"}, "what nobody counts any more is forgotten as ever"


@pytest.mark.parametrize("passed_us", [0, 70_000_000])
def test_stamps_that_were_told_are_taken_back(passed_us: int) -> None:
    """One that its order gave back after all, or that no window counts any more by then: neither is missing."""
    state, other = State(), State()
    reserve(other, Opening("a", a_rate(RATES[0]), holder="a", account=ACCOUNT), t_us=7)
    staging, parts = staged(state, other)
    assert merge_grafts(parts).logs[RATES[0]].stamps == [7]
    if not passed_us:
        settle(other, "a", Outcome(Verdict.NOT_SENT), t_us=8)
    was, t_us = deepcopy(state), 9 + passed_us
    rest = staging.rest()
    _ = staging.take_over(rest, t_us=t_us)
    for ledger in (state, at_once(was, merge_grafts((*parts, rest)), t_us=t_us)):
        assert (ledger.logs, ledger.due, ledger.turns) == ({}, {}, [])


def test_what_looks_further_back_itself_is_left_to_the_step() -> None:
    """By then it would count stamps that the new rate, which is narrower, counts no more and never told."""
    state, other = State(), State()
    post(state, (Claim("rate", RATES[0], 1, window_ms=300_000),), t_us=2)
    post(other, a_rate(RATES[0]), t_us=1)
    staging, parts = staged(state, other)
    assert merge_grafts(parts).logs == {}
    assert list(staging.rest().logs) == [RATES[0]]


def test_a_long_log_that_goes_on_is_told_once_before_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told again with each stamp more, 100,000 stamps came to 140 MB of the record while 1,700 orders came."""
    monkeypatch.setattr(module, "AGAIN_MAX", 2)
    state, other = State(), State()
    for t_us in range(1, 4):
        post(other, a_rate(RATES[0]), t_us=t_us)
    staging, parts = staged(state, other)
    assert merge_grafts(parts).logs[RATES[0]].stamps == [1, 2, 3]
    for t_us in range(4, 8):
        post(other, a_rate(RATES[0]), t_us=t_us)
        parts.append(staging.build_again())
    assert [[len(log.stamps) for log in part.logs.values()] for part in parts[-4:]] == [[0], [], [], []]
    was, rest = deepcopy(state), staging.rest()
    assert rest.logs[RATES[0]].stamps == [*range(1, 8)]
    _ = staging.take_over(rest, t_us=7)
    assert told(state) == told(at_once(was, merge_grafts((*parts, rest)), t_us=7))


def test_a_shadow_that_is_forgotten_meanwhile_is_not_gone_on_from() -> None:
    """Nobody counts its stamps any more, so the cell does not get them, however far back it looks itself."""
    state = State()
    post(state, a_rate(SEEN[0]), t_us=1)
    post(state, (Claim("rate", PLAIN[0], 1, window_ms=300_000),), t_us=2)
    staging = Staging(state, State(), WORDS)
    while staging.build() is not None:
        pass
    post(state, a_rate(RATES[0]), t_us=62_000_000)
    assert SEEN[0] not in state.logs
    was = deepcopy(state)
    _ = staging.take_over(staging.rest(), t_us=62_000_000)
    assert told(state) == told(at_once(was, Graft(), t_us=62_000_000))
    assert list(state.logs[PLAIN[0]].stamps) == [2]


@pytest.mark.parametrize("more", [0, 3])
def test_what_a_shadow_has_spent_is_taken_as_of_the_last_moment(more: int) -> None:
    """It was looked at when it stood at nine."""
    state = State()
    spend(state, "before", Claim("spend", SEEN[0], 9), Claim("spend", PLAIN[0], 1), t_us=1)
    staging = Staging(state, State(), WORDS)
    while staging.build() is not None:
        pass
    spend(state, "meanwhile", Claim("spend", SEEN[0], more), t_us=2)
    _ = staging.take_over(staging.rest(), t_us=3)
    assert state.spent[PLAIN[0]] == state.sums[PLAIN[0]] == 9 + more


def test_a_late_fill_that_costs_nothing_more_is_kept() -> None:
    """It is learned after the ended order was built anew, which must not put back what was known before."""
    state = State()
    reserve(state, Opening("a", old(5), holder="a", key="bot", account=ACCOUNT), t_us=1)
    settle(state, "a", Outcome(Verdict.ACCEPTED, order_id="1"), t_us=2)
    end_order(state, "a", t_us=3)
    staging = Staging(state, State(), WORDS)
    while staging.build() is not None:
        pass
    fill_ended(state, "a", {}, fills=Fills(Decimal(7)), t_us=4)
    _ = staging.take_over(staging.rest(), t_us=5)
    assert state.ended["a"].fills == Fills(Decimal(7))


def test_what_is_given_up_changes_nothing() -> None:
    """A change that is not recorded after all leaves the ledger as it would have been."""
    past, same = Past(1), Past(1)
    for each in (past, same):
        for _ in range(30):
            each.step()
    staging = Staging(past.state, past.other, WORDS)
    _ = staging.build(), staging.build()
    past.step()
    same.step()
    _ = staging.rest()
    staging.close()
    assert told(past.state) == told(same.state)


def test_a_slice_ends_where_its_orders_hold_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """With many counters an order, fewer orders are built in one go."""
    monkeypatch.setattr(module, "CELLS_MAX", 4)
    past = Past(0)
    for n in range(9):
        past.reserve(f"o{n}", holder=f"o{n}")
    staging = Staging(past.state, past.other, ())
    sizes = []
    while (part := staging.build()) is not None:
        sizes.append(len(part.holders))
    assert sizes[:6] == [0, 2, 2, 2, 2, 1], "the table is laid out at first"
    assert set(sizes[6:]) == {0}, "then the cells are looked at"
    assert (staging.changed, staging.stirred) == (0, 0)
    touch(past.state, "o1", [OLD, SHADOW])
    assert (staging.changed, staging.stirred) == (1, 2)
    _ = staging.build_again()
    assert (staging.changed, staging.stirred) == (0, 0)


def test_a_slice_ends_where_some_logs_were_put_together() -> None:
    """To look at a cell on which nothing is missing costs a tenth of it."""
    state, other = State(), State()
    cells = [f"new_orders/key=bot{n}" for n in range(2 * module.LOGS_MAX)]
    post(other, tuple(claim for cell in cells for claim in a_rate(cell)), t_us=7)
    staging, parts = staged(state, other)
    post(state, tuple(claim for cell in cells for claim in a_rate(cell)), t_us=8)
    parts += [staging.build_again(), staging.build_again()]
    assert [len(part.logs) for part in parts] == [module.LOGS_MAX] * 4
    assert staging.rest() == Graft()


@pytest.mark.parametrize("seed", range(5))
def test_parts_are_the_whole(seed: int) -> None:
    """A graft taken apart and put together is the same; no part but the last has more than was asked for."""
    past = Past(seed)
    for _ in range(60):
        past.step()
    whole = missing_counters(past.state, past.other)
    parts = list(split_graft(whole, size=4, stamps=1))
    assert merge_grafts(parts) == whole
    assert not any(part.spent or part.steps for part in parts[:-1])
    assert all(len(part.holders) <= 4 and len(part.logs) <= 1 for part in parts)
