"""The ledger against a model that stores no sums, and against its own record: replay equals live (W10)."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from guard.limits import (
    Opening,
    State,
    advance,
    change_in_flight,
    check_claims,
    end_order,
    find_slot,
    give_up,
    post,
    reserve,
    restore,
    set_targets,
    settle,
    snapshot,
    unknowns,
    used,
)
from guard.terms import Claim, Full, Granted, Outcome, Shortfall, Taken, Verdict
from tests.support.dump import dump
from tests.support.ledger import (
    ACCEPTED,
    NOT_SENT,
    REFUSED,
    SECOND,
    UNKNOWN,
    change,
    new_order,
    once,
    rate,
    slot,
    sums,
    through_json,
)

CAPS: Final = {"day|1": 100, "day|2": 60, "open": 80, "n": 6}
KINDS: Final = {"day|1": "spend", "day|2": "spend", "open": "working", "n": "count"}
RATES: Final = ((4, 10), (9, 30))  # cap, seconds: two windows on one cell
ONCE_S: Final = 5
SLOT_S: Final = 20

amounts = st.integers(0, 40)
gaps = st.one_of(st.integers(-10 * SECOND, 12 * SECOND), st.sampled_from([0, SECOND, 5 * SECOND, 40 * SECOND]))
finals = st.sampled_from([ACCEPTED, REFUSED, NOT_SENT])
verdicts = st.sampled_from([ACCEPTED, REFUSED, NOT_SENT, UNKNOWN])


class Order:
    """A live order as the model sees it: what it holds by itself, and what its open step asks for on top."""

    def __init__(self) -> None:
        self.base: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.told: set[str] = set()
        self.step: str | None = None
        self.is_over = False

    def held(self, cell: str) -> int:
        """The larger of the two."""
        return max(self.base.get(cell, 0), self.asked.get(cell, 0))


class Ask:
    """A step as the model sees it: its order, its windowed claims, and when it was reserved."""

    def __init__(self, opening: Opening, t_us: int) -> None:
        self.opening, self.t_us = opening, t_us
        self.word: Outcome | None = None


class Model:
    """Every order, step and stamp; sums and counts are worked out anew for each question."""

    def __init__(self) -> None:
        self.at_us = 0
        self.orders: dict[str, Order] = {}
        self.spent: dict[str, int] = {}
        self.open: dict[str, Ask] = {}
        self.stamps: list[tuple[str, str, int]] = []  # cell, step, time
        self.slots: dict[str, tuple[Claim, str, int]] = {}

    def total(self, cell: str) -> int:
        """What ended orders spent and live ones hold."""
        return self.spent.get(cell, 0) + sum(order.held(cell) for order in self.orders.values())

    def count(self, cell: str, window_ms: int, now_us: int) -> int:
        """The stamps in (t-w, t]."""
        return sum(c == cell and now_us - window_ms * 1000 < t <= now_us for c, _, t in self.stamps)

    def holder_of(self, cell: str, now_us: int) -> tuple[Claim, str, int] | None:
        """Who holds the slot: for its lifetime, or as long as the step is open."""
        found = self.slots.get(cell)
        if found is None or (now_us >= found[2] and found[1] not in self.open):
            return None
        return found

    def look(self, claims: tuple[Claim, ...], now_us: int, holder: str | None) -> Granted | Full | Taken:
        """What the ledger must answer."""
        for claim in claims:
            taken = self.holder_of(claim.counter, now_us) if claim.kind == "slot" else None
            if taken is not None:
                return Taken(taken[0].value, taken[1])
        counts = tuple(self._used(claim, now_us, holder) for claim in claims)
        short = tuple(
            Shortfall(index, count, self._free_at(claim, now_us))
            for index, (claim, count) in enumerate(zip(claims, counts, strict=True))
            if claim.cap is not None and count + claim.amount > claim.cap
        )
        return Full(counts, short) if short else Granted(counts)

    def _used(self, claim: Claim, now_us: int, holder: str | None) -> int:
        if claim.kind == "slot":
            return 0
        if claim.kind in {"rate", "once"}:
            return self.count(claim.counter, claim.window_ms, now_us)
        own = self.orders[holder].held(claim.counter) if holder in self.orders and holder is not None else 0
        return self.total(claim.counter) - own

    def _free_at(self, claim: Claim, now_us: int) -> int | None:
        if claim.kind not in {"rate", "once"} or claim.cap is None:
            return None
        leaves = sorted(t + claim.window_ms * 1000 for cell, _, t in self.stamps if cell == claim.counter)
        return next(t for t in leaves if t > now_us and self.count(claim.counter, claim.window_ms, t) < claim.cap)

    def reserve(self, opening: Opening) -> None:
        """The order asks for more, the step stamps and takes slots."""
        self.open[opening.step] = Ask(opening, self.at_us)
        if opening.holder is not None:
            order = self.orders.setdefault(opening.holder, Order())
            order.step, order.told = opening.step, set()
            order.asked = {c.counter: c.amount for c in opening.claims if c.counter in CAPS}
        for cell in {c.counter for c in opening.claims if c.kind in {"rate", "once"}}:
            self.stamps.append((cell, opening.step, self.at_us))
        for claim in opening.claims:
            if claim.kind == "slot":
                self.slots[claim.counter] = (claim, opening.step, self.at_us + claim.window_ms * 1000)

    def settle(self, step: str, outcome: Outcome) -> None:
        """The table of the ledger, kind by kind."""
        if step not in self.open:
            return
        self.open[step].word = outcome
        if outcome.verdict is Verdict.UNKNOWN:
            return
        opening = self.open.pop(step).opening
        gone = {Verdict.NOT_SENT: {"rate", "once"}, Verdict.REFUSED: {"once"}}.get(outcome.verdict, set())
        cells = {c.counter for c in opening.claims if c.kind in gone}
        self.stamps = [s for s in self.stamps if not (s[0] in cells and s[1] == step)]
        if outcome.verdict is Verdict.NOT_SENT:
            self.slots = {cell: held for cell, held in self.slots.items() if held[1] != step}
        if opening.holder is not None:
            self._settle_order(opening, is_accepted=outcome.verdict is Verdict.ACCEPTED)

    def _settle_order(self, opening: Opening, *, is_accepted: bool) -> None:
        assert opening.holder is not None
        order = self.orders[opening.holder]
        if is_accepted:
            for cell, amount in order.asked.items():
                order.base[cell] = max(amount, order.base.get(cell, 0)) if cell in order.told else amount
        order.asked, order.step = {}, None
        if order.is_over or (opening.holder == opening.step and not is_accepted):
            del self.orders[opening.holder]

    def end(self, name: str) -> None:
        """What is spent stays, all else is free."""
        order = self.orders[name]
        for cell in CAPS:
            if KINDS[cell] == "spend":
                self.spent[cell] = self.spent.get(cell, 0) + order.held(cell)
        order.base, order.asked, order.is_over = {}, {}, True
        if order.step is None:
            del self.orders[name]


class Ledger(RuleBasedStateMachine):
    """Orders, changes, cancels, fills, ends, lost answers and late words, in any order and by a moody clock."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.model = State(), Model()
        self.record: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
        self.prints: dict[int, dict[str, Any]] = {}
        self.words: list[tuple[str, Outcome]] = []
        self.serial = 0

    def do(self, function: Callable[..., Any], *args: Any, gap: int, **named: Any) -> None:
        """Runs a change live and keeps it, as the journal would; every seventh state is remembered too."""
        t_us = max(0, self.model.at_us + gap)
        self.model.at_us = max(self.model.at_us, t_us)
        named["t_us"] = t_us
        function(self.state, *args, **named)
        self.record.append((function, args, named))
        if len(self.record) % 7 == 0:
            self.prints[len(self.record)] = dump(self.state)

    def ask(self, opening: Opening, gap: int) -> None:
        """Looks, compares with the model, and reserves what is granted."""
        t_us = max(0, self.model.at_us + gap)
        found = check_claims(self.state, opening.claims, t_us=t_us, holder=opening.holder)
        assert found == self.model.look(opening.claims, max(t_us, self.model.at_us), opening.holder)
        if isinstance(found, Granted):
            self.do(reserve, opening, gap=gap)
            self.model.reserve(opening)

    def name(self, letter: str) -> str:
        """A new id."""
        self.serial += 1
        return f"{letter}{self.serial}"

    def free_orders(self) -> list[str]:
        """The orders that may be changed now."""
        return [name for name, order in self.model.orders.items() if order.step is None]

    @rule(
        day=st.sampled_from(["day|1", "day|2"]), value=amounts, same=st.integers(0, 3), key=st.integers(0, 4), gap=gaps
    )
    def place(self, day: str, value: int, same: int, key: int, gap: int) -> None:
        """A new order with every kind of claim, now and then without an idempotency key."""
        money = (sums("spend", day, value, CAPS[day]), sums("working", "open", value, CAPS["open"]))
        counts = (sums("count", "n", 1, CAPS["n"]), *(rate("r", cap, window_s) for cap, window_s in RATES))
        keyed = (slot(f"key/{key}", f"digest{value}", SLOT_S),) if key else ()
        self.ask(new_order(self.name("o"), *money, *counts, once(f"same/{same}", ONCE_S), *keyed), gap)

    @precondition(lambda self: self.free_orders())
    @rule(data=st.data(), day=st.sampled_from(["day|1", "day|2"]), value=amounts, gap=gaps)
    def modify(self, data: st.DataObject, day: str, value: int, gap: int) -> None:
        """A change up or down, on the same day or another."""
        name = data.draw(st.sampled_from(self.free_orders()))
        money = (sums("spend", day, value, CAPS[day]), sums("working", "open", value, CAPS["open"]))
        self.ask(change(self.name("m"), name, *money, *(rate("r", cap, window_s) for cap, window_s in RATES)), gap)

    @rule(key=st.integers(1, 4), gap=gaps)
    def cancel(self, key: int, gap: int) -> None:
        """A cancel counts, and is stopped by nothing but its own idempotency key."""
        claims = (rate("cancels", None, 10), slot(f"key/{key}", "cancel", SLOT_S))
        self.ask(Opening(self.name("c"), claims), gap)

    @precondition(lambda self: self.model.open)
    @rule(data=st.data(), outcome=verdicts, gap=gaps)
    def settle(self, data: st.DataObject, outcome: Outcome, gap: int) -> None:
        """Any open step gets a word: at once, or after it was unknown for long."""
        step = data.draw(st.sampled_from(sorted(self.model.open)))
        self.do(settle, step, outcome, gap=gap)
        self.model.settle(step, outcome)
        self.words.append((step, outcome))

    @precondition(lambda self: self.words)
    @rule(data=st.data(), gap=gaps)
    def settle_again(self, data: st.DataObject, gap: int) -> None:
        """A word whose answer was lost is said again, perhaps long after; a final one changes nothing."""
        step, outcome = data.draw(st.sampled_from(self.words))
        self.do(settle, step, outcome, gap=gap)
        self.model.settle(step, outcome)

    @precondition(lambda self: self.model.open)
    @rule(data=st.data(), gap=gaps)
    def reserve_again(self, data: st.DataObject, gap: int) -> None:
        """A reserve whose answer was lost is sent again."""
        ask = self.model.open[data.draw(st.sampled_from(sorted(self.model.open)))]
        self.do(reserve, ask.opening, gap=gap)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data(), gap=gaps)
    def learn(self, data: st.DataObject, gap: int) -> None:
        """A fill: the order holds less here or there, told twice."""
        name = data.draw(st.sampled_from(sorted(self.model.orders)))
        order = self.model.orders[name]
        cells = data.draw(st.sets(st.sampled_from(sorted(CAPS)), min_size=1))
        targets = {cell: data.draw(st.integers(0, order.held(cell))) for cell in sorted(cells)}
        for _ in range(2):
            self.do(set_targets, name, targets, gap=gap)
        if not order.is_over:
            order.base |= targets
            order.told |= set(targets)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data(), gap=gaps)
    def end(self, data: st.DataObject, gap: int) -> None:
        """An order ends, told twice."""
        name = data.draw(st.sampled_from(sorted(self.model.orders)))
        for _ in range(2):
            self.do(end_order, name, gap=gap)
        if not self.model.orders[name].is_over:
            self.model.end(name)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data(), gap=gaps)
    def give_up(self, data: st.DataObject, gap: int) -> None:
        """An order was never there, told twice; while a step of it is open nothing happens."""
        name = data.draw(st.sampled_from(sorted(self.model.orders)))
        for _ in range(2):
            self.do(give_up, name, gap=gap)
        if self.model.orders[name].step is None:
            del self.model.orders[name]

    @rule(gap=gaps)
    def read(self, gap: int) -> None:
        """A read is stamped without a step."""
        self.do(post, (rate("reads", None, 30),), gap=gap)
        self.model.stamps.append(("reads", "", self.model.at_us))

    @rule(gap=gaps)
    def refuse(self, gap: int) -> None:
        """A refusal uses nothing, but its record moves the time."""
        self.do(advance, gap=gap)

    @invariant()
    def sums_are_what_orders_hold(self) -> None:
        """Every sum is what ended orders spent and live ones hold, and within its cap."""
        for cell, cap in CAPS.items():
            assert used(self.state, cell, t_us=0) == self.model.total(cell) <= cap
        assert {cell for cell, amount in self.model.spent.items() if amount} == set(self.state.spent)

    @invariant()
    def windows_and_slots_are_exact(self) -> None:
        """Every window counts as brute force does, every slot is held by whom the model says."""
        now_us = self.model.at_us
        for cell, window_s in (("r", 10), ("r", 30), ("reads", 30), ("cancels", 10), ("same/0", 5), ("same/1", 5)):
            expected = self.model.count(cell, window_s * 1000, now_us)
            assert used(self.state, cell, t_us=now_us, window_ms=window_s * 1000) == expected
        for key in range(1, 5):
            held, expected_held = (
                find_slot(self.state, f"key/{key}", t_us=now_us),
                self.model.holder_of(f"key/{key}", now_us),
            )
            assert (held and (held.value, held.step)) == (expected_held and (expected_held[0].value, expected_held[1]))
        assert self.state.kept == Counter(counter.partition("|")[0] for counter in self.state.slots)

    @invariant()
    def no_rate_is_passed(self) -> None:
        """No window on a capped rate ever holds more than its cap."""
        for cap, window_s in RATES:
            assert self.model.count("r", window_s * 1000, self.model.at_us) <= cap

    @invariant()
    def nothing_leaks(self) -> None:
        """There are exactly the model's orders and open steps, and exactly its doubts."""
        assert set(self.state.holders) == set(self.model.orders)
        assert set(self.state.steps) == set(self.model.open)
        in_doubt = {step for step, ask in self.model.open.items() if ask.word is not None}
        assert {step.id for step in unknowns(self.state)} == in_doubt
        for name, order in self.model.orders.items():
            expected = "none" if order.step is None else "unknown" if order.step in in_doubt else "in_flight"
            assert change_in_flight(self.state, name) == expected

    def teardown(self) -> None:
        """W10: the record alone gives the same state, at the end and at every place where a crash could cut it.

        So does a snapshot with the rest of the record, wherever it is taken, and a snapshot of that.
        """
        replayed, restored = State(), State()
        for n, (function, args, named) in enumerate(self.record, start=1):
            function(replayed, *args, **named)
            function(restored, *args, **named)
            if n in self.prints:
                assert dump(replayed) == self.prints[n]
                restored = restore(through_json(snapshot(restored)))
                assert dump(restored) == self.prints[n]
        assert dump(replayed) == dump(restored) == dump(self.state)
        self.close_everything()

    def close_everything(self) -> None:
        """When all is settled and ended, only what was spent is left."""
        for step in sorted(self.model.open):
            settle(self.state, step, ACCEPTED, t_us=0)
        for name in sorted(self.state.holders):
            end_order(self.state, name, t_us=0)
        assert self.state.sums == self.state.spent
        assert set(self.state.sums) <= {"day|1", "day|2"}
        assert (self.state.holders, self.state.steps) == ({}, {})


TestLedger = Ledger.TestCase
TestLedger.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("cap_claim", [sums("count", "n", 1, 10), sums("spend", "a", 7, 76), rate("r", 10, 60)])
def test_five_hundred_against_ten_admit_exactly_ten(cap_claim: Claim) -> None:
    """However many stand at the door, as many get in as there is room for, and the others are told so."""
    state, admitted = State(), 0
    for n in range(500):
        found = check_claims(state, (cap_claim,), t_us=n)
        if isinstance(found, Granted):
            reserve(state, new_order(f"o{n}", cap_claim), t_us=n)
            admitted += 1
        else:
            assert isinstance(found, Full)
    assert admitted == 10


@settings(max_examples=50, deadline=None)
@given(chances=st.binary(min_size=500, max_size=500), verdict=finals)
def test_five_hundred_with_answers_in_any_order_never_pass_ten(chances: bytes, verdict: Outcome) -> None:
    """Answers in between give room back only where nothing came of the order."""
    state, open_steps, standing = State(), list[str](), 0
    claim = sums("count", "n", 1, 10)
    for n, chance in enumerate(chances):
        if isinstance(check_claims(state, (claim,), t_us=n), Granted):
            reserve(state, new_order(f"o{n}", claim), t_us=n)
            open_steps.append(f"o{n}")
            standing += 1
        if open_steps and chance < 80:
            settle(state, open_steps.pop(chance % len(open_steps)), verdict, t_us=n)
            standing -= verdict is not ACCEPTED
        assert used(state, "n", t_us=n) == standing <= 10
    assert len(state.holders) == standing
