"""Fills that the daemon shows only after it had called the order ended: charged as any fill is, once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guard.admin.change import Who
from guard.admin.health import degraded
from guard.errors import JournalFault
from guard.limits import ended
from guard.simulator.faults import Reset
from guard.simulator.faults import Stage as Call
from guard.simulator.orders import Status
from guard.terms import EPOCH, Answer, Failure
from tests.support.guards import operate, record, said
from tests.support.stage import MODIFY, ORDER, Stage, again, code_of, decision_of, is_passed, stage
from tests.support.tracked import LIMITS, at_daemon, fill, held, holds, round_trip

LIST, HISTORY = "/api/orders", "/api/history-orders"
PEOPLE = (record("bot"), record("other"), record("desk", owner="a person"))


async def cancelled(scene: Stage, **members: Any) -> str:
    """An order that the daemon has shown as cancelled, with nothing filled."""
    name = await scene.placed(**{"qty": 300} | members)
    await round_trip(scene)
    scene.daemon.world.end(at_daemon(scene, name), Status.CANCELLED_ALL)
    await round_trip(scene)
    return name


def filled_late(scene: Stage, name: str, qty: int, price: str = "200") -> None:
    """The daemon finds out that some of the order had been filled before it ended."""
    order = at_daemon(scene, name)
    order.status = Status.SUBMITTED
    fill(scene, name, qty, price)
    order.status = Status.CANCELLED_PART if order.fill_qty < order.qty else Status.FILLED_ALL


class Listed(msgspec.Struct, frozen=True):
    """The daemon lists its orders, but in other words."""

    edit: Callable[[list[dict[str, Any]]], object]

    async def play(self, stage: Call) -> Answer | Failure:
        """Act, and change what is answered."""
        answer = stage.act()
        told = msgspec.json.decode(answer.body)
        self.edit(told["s2c"]["order_list"])
        return msgspec.structs.replace(answer, body=msgspec.json.encode(told))


def logged(capsys: pytest.CaptureFixture[str]) -> int:
    """How often it was told, since this was asked last, that something was filled after its end."""
    return capsys.readouterr().out.count("filled_after_end")


async def test_a_fill_shown_after_the_cancel_is_charged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It was paid for: the day's budget knows, whoever asks for the decision is told, and so is the log, once."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        reply = await scene.place(qty=300)
        name = said(reply)["s2c"]["order_id_ex"]
        await round_trip(scene)
        scene.daemon.world.end(at_daemon(scene, name), Status.CANCELLED_ALL)
        await round_trip(scene)
        assert held(scene) == holds(0, 0, 0, 0)
        filled_late(scene, name, 200, "199")
        for _ in range(3):
            await round_trip(scene)
        assert held(scene) == holds(39_800, 0, 0, 0)
        told = said(await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}"))
        assert (told["status"], told["filled_qty"]) == ("cancelled_part", "200")
        late = [one for one in await scene.records("order") if one.get("filled_qty") == "200"]
        assert [(one["decision"], one["ended"]) for one in late] == [(decision_of(reply), True)]
        assert capsys.readouterr().out.count("filled_after_end") == 1
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        await round_trip(scene)
        assert held(scene) == holds(39_800, 0, 0, 0)


@pytest.mark.parametrize(
    ("op", "acts"),
    [
        (None, True),
        ({"qty": 400, "price": 250}, True),
        ({"qty": 400, "price": 250}, False),
        ({"op": "DISABLE"}, True),
        ({"op": "DISABLE"}, False),
    ],
    ids=["new", "change", "change that never came", "disable", "disable that never came"],
)
async def test_one_of_an_order_that_ended_while_a_step_of_it_was_in_doubt_is_charged(
    tmp_path: Path, op: dict[str, Any] | None, *, acts: bool
) -> None:
    """The list that shows its end settles the step, and the order is remembered as any is that ended."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        if op is None:
            scene.daemon.faults.add(Reset(acts), path=ORDER)
            assert code_of(await scene.place(qty=300)) == (504, "outcome_unknown")
            (name,) = scene.daemon.orders
        else:
            name = await scene.placed(qty=300)
            await round_trip(scene)
            scene.daemon.faults.add(Reset(acts=acts), path=MODIFY)
            assert code_of(await scene.modify(name, **op)) == (504, "outcome_unknown")
        scene.daemon.world.end(at_daemon(scene, name), Status.CANCELLED_ALL)
        for _ in range(8):
            await round_trip(scene)
        assert (held(scene), scene.guard.desk.state.steps) == (holds(0, 0, 0, 0), {})
        filled_late(scene, name, 200, "199")
        scene.guard.reconciler.traded(123456)
        await round_trip(scene)
        assert held(scene) == holds(39_800, 0, 0, 0)
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before


async def test_what_was_charged_at_the_end_is_not_charged_twice(tmp_path: Path) -> None:
    """Some fills were known; a list that shows less lowers nothing, one that shows more adds what is new."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300)
        fill(scene, name, 100, "200")
        await round_trip(scene)
        scene.daemon.world.end(at_daemon(scene, name), Status.CANCELLED_PART)
        await round_trip(scene)
        assert held(scene) == holds(20_000, 0, 0, 0)
        order = at_daemon(scene, name)
        known = order.fill_qty, order.fill_value
        filled_late(scene, name, 100)
        await round_trip(scene)
        assert held(scene) == holds(40_000, 0, 0, 0)
        order.fill_qty, order.fill_value = known
        await round_trip(scene)
        assert held(scene) == holds(40_000, 0, 0, 0)


async def test_it_is_charged_to_its_own_key_and_refuses_what_no_longer_fits(tmp_path: Path) -> None:
    """Each key has its own budget, and what another key's order holds stays as it is."""
    policy = LIMITS.replace("500000 HKD", "70000 HKD")
    async with stage(tmp_path, *PEOPLE, policies=policy) as scene:
        name = await cancelled(scene)
        other = await scene.placed(who="other", qty=100)
        filled_late(scene, name, 300)
        await round_trip(scene)
        assert code_of(await scene.place(qty=100)) == (403, "daily_value")
        assert is_passed(await scene.place(who="other", qty=200))
        assert at_daemon(scene, other).fill_qty == 0
        sums = scene.guard.desk.state.sums
        assert sorted(n for cell, n in sums.items() if cell.startswith("daily_value/")) == [600_000_000, 600_000_000]


async def test_a_start_in_between_charges_it_the_same(tmp_path: Path) -> None:
    """The order ended before the start, and its fill is shown after it."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await cancelled(scene)
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        filled_late(scene, name, 300)
        scene.guard.reconciler.traded(123456)
        await round_trip(scene)
        assert held(scene) == holds(60_000, 0, 0, 0)


async def test_one_that_a_full_disk_cannot_take_is_charged_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record first: nothing is in the ledger alone, and the next look at the list knows that it is still to do."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await cancelled(scene)
        filled_late(scene, name, 200, "199")
        journal = scene.guard.desk.journal
        with monkeypatch.context() as full:
            append, refused = journal.append, list[str]()

            def scarce(type_: str, *given: Any, **named: Any) -> int:
                if type_ == "order":
                    refused.append(type_)
                    raise JournalFault("No space left on device")
                return append(type_, *given, **named)

            full.setattr(journal, "append", scarce)
            before = scene.ledger()
            await round_trip(scene)
            assert refused
            assert scene.ledger() == before
        await round_trip(scene)
        assert held(scene) == holds(39_800, 0, 0, 0)
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before


@pytest.mark.parametrize("acts", [False, True])
async def test_a_list_that_fails_charges_nothing_and_the_next_one_does(tmp_path: Path, *, acts: bool) -> None:
    """The question is lost, or its answer is: either way the fill is charged once, by the next list."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await cancelled(scene)
        filled_late(scene, name, 300)
        scene.daemon.faults.add(Reset(acts=acts), path="/api/orders")
        scene.guard.reconciler.traded(123456)
        await round_trip(scene, s=0)
        assert held(scene) == holds(0, 0, 0, 0)
        await round_trip(scene)
        await round_trip(scene)
        assert held(scene) == holds(60_000, 0, 0, 0)


async def test_a_push_long_after_the_end_has_the_list_looked_at(tmp_path: Path) -> None:
    """A minute after the last end nobody asks any more, until something is traded on the account."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await cancelled(scene)
        for _ in range(12):
            await round_trip(scene)
        scene.guard.reconciler._idle_us = 2**63
        asked = len(scene.reached("/api/orders"))
        filled_late(scene, name, 300)
        for _ in range(3):
            await round_trip(scene)
        assert len(scene.reached("/api/orders")) == asked
        scene.guard.reconciler.traded(99)
        await round_trip(scene)
        assert len(scene.reached("/api/orders")) == asked
        scene.guard.reconciler.traded(123456)
        await round_trip(scene)
        assert held(scene) == holds(60_000, 0, 0, 0)


async def test_good_till_cancelled_it_counts_in_the_period_of_the_fill(tmp_path: Path) -> None:
    """What was filled on a day before stays that day's."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300, time_in_force="GTC")
        fill(scene, name, 100, "200")
        await round_trip(scene)
        scene.clock.advance(s=86_400)
        await round_trip(scene)
        scene.daemon.world.end(at_daemon(scene, name), Status.CANCELLED_PART)
        await round_trip(scene)
        filled_late(scene, name, 100)
        await round_trip(scene)
        sums = scene.guard.desk.state.sums
        days = sorted((cell.rpartition("|")[2], n) for cell, n in sums.items() if cell.startswith("daily_value/"))
        assert [amount for _, amount in days] == [200_000_000, 200_000_000]
        assert "gtc" not in dict(days)


@pytest.mark.parametrize("is_told", [False, True])
async def test_one_whose_time_cannot_be_counts_when_it_is_learned(tmp_path: Path, *, is_told: bool) -> None:
    """Good till cancelled, with a row that says nothing of when, or a time before lists that did not show the fill."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300, time_in_force="GTC")
        placed = at_daemon(scene, name).updated
        await round_trip(scene)
        scene.clock.advance(s=86_400)
        scene.daemon.world.end(at_daemon(scene, name), Status.CANCELLED_ALL)
        await round_trip(scene)
        filled_late(scene, name, 300)
        at_daemon(scene, name).updated = placed if is_told else EPOCH  # as a zero is read, which is no time
        await round_trip(scene)
        (day,) = [cell.rpartition("|")[2] for cell in scene.guard.desk.state.sums if cell.startswith("daily_value/")]
        assert day.startswith("2026-11-23@"), "the second day"


@pytest.mark.parametrize("is_at_start", [False, True])
async def test_learned_in_a_later_period_it_is_not_counted_anew_from_the_record(
    tmp_path: Path, *, is_at_start: bool
) -> None:
    """Good till cancelled, filled on the day before: new limits count it, and leave the others' days alone."""
    new = '[orders]\nmax_value = "1000000 HKD"\n[budgets]\nper = "policy"\ndaily_value = "90000 HKD"\n'
    async with stage(tmp_path, *PEOPLE, policies=LIMITS) as scene:
        name = await scene.placed(qty=300, time_in_force="GTC")
        await round_trip(scene)
        day_begins = datetime(2026, 11, 23, 0, 30, tzinfo=UTC)
        scene.clock.advance(s=int((day_begins - scene.clock.wall()).total_seconds()))
        scene.daemon.world.end(at_daemon(scene, name), Status.CANCELLED_ALL)
        await round_trip(scene)
        filled_late(scene, name, 300, "199")
        at_daemon(scene, name).updated = day_begins - timedelta(seconds=30)
        await round_trip(scene)
        before = {cell: n for cell, n in scene.ledger()["sums"].items() if cell.startswith("daily_value/")}
        assert list(before.values()) == [597_000_000]
        (tmp_path / "policies/new.toml").write_text(new)
        if not is_at_start:
            assert (await scene.guard.changes.policies.reload(Who("desk", "count"))).result == "applied"
        live = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        sums = scene.ledger()["sums"]
        assert is_at_start or scene.ledger() == live
        assert {cell: n for cell, n in sums.items() if cell.startswith("daily_value/key")} == before
        assert sum(n for cell, n in sums.items() if cell.startswith("daily_value/policy=new")) == 597_000_000


@pytest.mark.parametrize("is_promoted", [False, True])
async def test_limits_that_came_after_the_end_count_it_too(tmp_path: Path, *, is_promoted: bool) -> None:
    """What a reload made count from the record, or from a shadow, counts the late fill of an earlier order."""
    plain = '[orders]\nmax_value = "1000000 HKD"\n'
    shadow = LIMITS + '[policy]\nmode = "shadow"\n'
    files = {"desk.toml": plain} | ({"tight.toml": shadow} if is_promoted else {})
    async with stage(tmp_path, *PEOPLE, policies=files) as scene:
        name = await cancelled(scene)
        (tmp_path / "policies/tight.toml").write_text(LIMITS)
        assert (await scene.guard.changes.policies.reload(Who("desk", "count"))).result == "applied"
        filled_late(scene, name, 300)
        await round_trip(scene)
        enforced = [n for cell, n in scene.guard.desk.state.sums.items() if cell.startswith("daily_value/key")]
        assert enforced == [600_000_000]
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before


async def test_so_many_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest ones: a late fill of one before them is in the list and nowhere else."""
    monkeypatch.setattr(ended, "ENDED_MAX", 1)
    async with stage(tmp_path, policies=LIMITS) as scene:
        first = await cancelled(scene)
        second = await cancelled(scene, qty=200)
        assert len(scene.guard.desk.state.ended) == 1
        filled_late(scene, first, 300)
        filled_late(scene, second, 200)
        await round_trip(scene)
        assert held(scene) == holds(40_000, 0, 0, 0, per_day=2)


@pytest.mark.parametrize("end", [Status.FILLED_ALL, Status.CANCELLED_PART])
async def test_what_was_given_up_and_comes_all_the_same_is_charged(tmp_path: Path, end: Status) -> None:
    """It was in no list for a minute and a half, so it was let go; what is filled of it was paid for."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        scene.daemon.faults.add(Reset(acts=True), path=ORDER)
        reply = await scene.place(qty=300)
        hidden = dict(scene.daemon.orders)
        scene.daemon.orders.clear()
        for _ in range(4):
            await round_trip(scene, s=31)
        assert held(scene) == holds(0, 0, 0, 0, per_day=0)
        scene.daemon.orders.update(hidden)
        filled_late(scene, next(iter(hidden)), 300 if end is Status.FILLED_ALL else 100)
        for _ in range(3):
            await round_trip(scene)
        assert held(scene)["daily_value"] == (60_000 if end is Status.FILLED_ALL else 20_000)
        told = said(await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}"))
        assert (told["verdict"], told["status"]) == ("refused", end.name.lower())
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        await round_trip(scene)
        assert scene.ledger() == before


def _priced(rows: list[dict[str, Any]]) -> None:
    """Nothing is filled, and it has an average price all the same."""
    for row in rows:
        row |= {"fill_qty": 0, "fill_avg_price": 199}


async def test_an_average_of_nothing_is_no_fill(tmp_path: Path) -> None:
    """It teaches nothing: what else the list shows is learned, nothing is charged and nothing fails."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        await cancelled(scene)
        scene.daemon.faults.always(Listed(_priced), path=LIST)
        await round_trip(scene)
        assert held(scene) == holds(0, 0, 0, 0)


async def test_a_list_that_cannot_be_learned_from_keeps_no_cancel_from_passing(tmp_path: Path) -> None:
    """The list is looked at first. A fault of the guard's own in that is told, and refuses a change but no cancel."""
    async with stage(tmp_path, *PEOPLE, policies=LIMITS) as scene:
        scene.daemon.faults.add(Reset(acts=True), path=ORDER)
        assert code_of(await scene.place(who="other")) == (504, "outcome_unknown")
        scene.guard.reconciler._late.learn = lambda _: 1 / 0  # type: ignore[method-assign, assignment]
        assert said(await scene.cancel("FH7777"))["ret_type"] != 0
        assert [word for word in degraded(scene.guard.desk) if word.startswith("look: failed once")]
        scene.clock.advance(s=31)
        assert code_of(await scene.modify("FH7777", who="bot"))[0] != 200
        assert len(scene.reached(MODIFY)) == 1
        assert len(scene.reached(MODIFY)) == 1


def _taken_back(rows: list[dict[str, Any]]) -> None:
    """Every order is over, for its fills were cancelled."""
    for row in rows:
        row |= {"order_status": 24, "fill_qty": 0, "fill_avg_price": 0}


async def test_fills_that_were_taken_back_and_come_again_are_charged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The order ended as one whose fills were cancelled, and cost nothing; then it is shown filled as it was before."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300)
        fill(scene, name, 100, "200")
        await round_trip(scene)
        scene.daemon.faults.always(Listed(_taken_back), path=LIST)
        await round_trip(scene)
        assert held(scene) == holds(0, 0, 0, 0)
        at_daemon(scene, name).status = Status.CANCELLED_PART
        scene.daemon.faults.clear()
        await round_trip(scene)
        assert held(scene) == holds(20_000, 0, 0, 0)
        await round_trip(scene)
        assert logged(capsys) == 1


async def test_an_average_that_is_set_right_is_no_fill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dearer one is charged, a cheaper one changes nothing; and is neither told nor recorded."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await cancelled(scene)
        filled_late(scene, name, 200, "200")
        await round_trip(scene)
        before, order = await scene.records("order"), at_daemon(scene, name)
        assert logged(capsys) == 1
        order.fill_value = order.fill_qty * 199
        await round_trip(scene)
        assert (await scene.records("order"), logged(capsys)) == (before, 0)
        order.fill_value = order.fill_qty * 201
        await round_trip(scene)
        assert (held(scene), logged(capsys)) == (holds(40_200, 0, 0, 0), 1)


def _twice(rows: list[dict[str, Any]]) -> None:
    """Every order is shown a second time under its number alone, at another price."""
    rows += [row | {"order_id_ex": None, "fill_avg_price": 198} for row in rows]


async def test_an_order_that_is_shown_twice_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two rows that differ are one fill at the dearer price, not a new one at every look."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await cancelled(scene)
        scene.daemon.faults.always(Listed(_twice), path=LIST)
        filled_late(scene, name, 200, "199")
        for _ in range(4):
            await round_trip(scene)
        assert (held(scene), logged(capsys)) == (holds(39_800, 0, 0, 0), 1)


# ---------------------------------------------------------------- for how long it is looked for


async def test_a_start_looks_for_a_minute(tmp_path: Path) -> None:
    """What ended shortly before it may be filled all the same, and nobody pushes that again; then it is over."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        first = await cancelled(scene)
        second = await cancelled(scene, qty=200)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        filled_late(scene, first, 300)
        await round_trip(scene)
        assert held(scene) == holds(60_000, 0, 0, 0, per_day=2)
        scene.clock.advance(s=60)
        scene.guard.reconciler._idle_us = 2**63
        await round_trip(scene)
        filled_late(scene, second, 200)
        await round_trip(scene)
        assert held(scene) == holds(60_000, 0, 0, 0, per_day=2)


async def test_what_a_person_gave_up_is_looked_for(tmp_path: Path) -> None:
    """No list could be read meanwhile: its end was learned from none."""
    async with stage(tmp_path, *PEOPLE, policies=LIMITS) as scene:
        scene.daemon.faults.add(Reset(acts=True), path=ORDER)
        reply = await scene.place(qty=300)
        word = {"verdict": "refused", "reason": "the broker says so on the phone"}
        path = f"/admin/decisions/{decision_of(reply)}/settle"
        assert (await operate(scene.guard, path, word))[0] == 200
        assert held(scene) == holds(0, 0, 0, 0, per_day=0)
        fill(scene, next(iter(scene.daemon.orders)), 300, "200")
        await round_trip(scene)
        assert held(scene)["daily_value"] == 60_000


async def test_a_trade_has_no_list_asked_where_nothing_ended_of_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account traded in two markets; only one of them has an order that is remembered."""
    monkeypatch.setattr(ended, "ENDED_MAX", 1)
    async with stage(tmp_path, policies='[orders]\nmax_value = ["1000000 HKD", "100000 USD"]\n') as scene:
        await cancelled(scene)
        await cancelled(scene, market="US", code="AAPL", qty=1, price=100)
        scene.clock.advance(s=61)
        scene.guard.reconciler._idle_us = 2**63
        asked = len(scene.reached(LIST))
        for _ in range(6):
            scene.guard.reconciler.traded(123456)
            await round_trip(scene)
        later = scene.reached(LIST)[asked:]
        assert {each.json["c2s"]["header"]["trd_market"] for each in later} == {2}


async def test_an_order_that_today_lacks_is_sought_among_earlier_ones_for_a_minute(tmp_path: Path) -> None:
    """Others end at the place later, and each is sought for itself alone."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        await cancelled(scene)
        scene.daemon.orders.clear()
        for _ in range(3):
            await cancelled(scene, qty=200)
            await round_trip(scene)
        assert len(scene.reached(HISTORY)) >= 2
        for _ in range(3):
            scene.clock.advance(s=10)
            await cancelled(scene, qty=200)
        asked = len(scene.reached(HISTORY))
        for _ in range(3):
            await cancelled(scene, qty=200)
            await round_trip(scene)
        assert len(scene.reached(HISTORY)) == asked


@pytest.mark.parametrize("why", ["pace", "fault"])
async def test_the_last_look_is_one_at_the_end_of_the_minute(tmp_path: Path, why: str) -> None:
    """No list may have come meanwhile, as the pace or the daemon let none through: then one does later, once."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await cancelled(scene)
        scene.guard.reconciler._idle_us = 2**63
        if why == "fault":
            for _ in range(12):
                scene.daemon.faults.add(Reset(acts=False), path=LIST)
                scene.clock.advance(s=6)
                await scene.guard.reconciler.turn()
            scene.daemon.faults.clear()
        scene.clock.advance(s=70)
        filled_late(scene, name, 300)
        for _ in range(2):
            await round_trip(scene)
        assert held(scene) == holds(60_000, 0, 0, 0)
        asked = len(scene.reached(LIST))
        for _ in range(4):
            await round_trip(scene)
        assert len(scene.reached(LIST)) == asked


async def test_a_list_that_never_comes_is_not_asked_for_for_ever(tmp_path: Path) -> None:
    """Ten minutes more, and the place is left alone."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        await cancelled(scene)
        scene.guard.reconciler._idle_us = 2**63
        scene.daemon.faults.always(Reset(acts=False), path=LIST)
        scene.clock.advance(s=650)
        asked = len(scene.reached(LIST))
        await round_trip(scene)
        assert len(scene.reached(LIST)) > asked
        scene.clock.advance(s=15)
        asked = len(scene.reached(LIST))
        for _ in range(4):
            await round_trip(scene)
        assert len(scene.reached(LIST)) == asked
