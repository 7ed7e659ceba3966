"""Orders after they were answered: fills, ends, and what stays charged; live, twice, and after a restart."""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode

from guard.errors import JournalFault
from guard.limits import Opening, State, Step, reserve, settle
from guard.simulator.faults import Reset
from guard.simulator.orders import Status
from guard.terms import EPOCH, LEDGER_UNIT, Outcome, Verdict
from guard.tracking import slices
from guard.tracking.places import Place
from tests.support.guards import OPEN_POLICY, operate, record, said
from tests.support.scripted_daemon import Talk, scripted
from tests.support.stage import TRADING, again, code_of, decision_of, is_passed, stage
from tests.support.stream import Visitor, frame, pushing, settings_for
from tests.support.tracked import LIMITS, at_daemon, fill, held, holds, round_trip


async def test_a_partial_fill_then_a_cancel_releases_only_the_rest(tmp_path: Path) -> None:
    """What was filled stays spent at the price it filled at; what was not is free again."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300)
        assert held(scene) == holds(60_000, 60_000, 300, 1)
        fill(scene, name, 100, "199")
        await round_trip(scene)
        assert held(scene) == holds(59_900, 40_000, 200, 1)
        assert is_passed(await scene.cancel(name))
        assert held(scene) == holds(59_900, 40_000, 200, 1)
        await round_trip(scene)
        assert held(scene) == holds(19_900, 0, 0, 0)
        assert scene.ledger()["holders"] == {}


async def test_an_order_that_changes_while_a_list_is_learned_is_left_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop goes on between one order and another; what a list says of terms that are no more is not learned."""
    monkeypatch.setattr(slices, "SLICE", 1)
    async with stage(tmp_path, policies=LIMITS) as scene:
        for qty in (200, 300, 400):
            fill(scene, await scene.placed(qty=qty), 100, "199")
        state = scene.guard.recorder.desk.state
        first, *_, last = state.holders.values()

        async def change() -> None:
            while not first.filled:  # noqa: ASYNC110 - it is the turn of the loop that counts
                await asyncio.sleep(0)
            reserve(state, Opening(step="change", claims=(), holder=last.id), t_us=scene.clock.t_us())

        changing = asyncio.ensure_future(change())
        await round_trip(scene)
        await changing
        assert first.filled == 100
        assert not last.filled
        settle(state, "change", Outcome(Verdict.NOT_SENT), t_us=scene.clock.t_us())
        await round_trip(scene)
        assert last.filled == 100


async def test_a_quantity_below_what_is_filled_is_refused(tmp_path: Path) -> None:
    """Also after a restart; down to what is filled, and above, it is the daemon's to say."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300)
        fill(scene, name, 200, "200")
        await round_trip(scene)
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        refused = await scene.modify(name, qty=100)
        assert code_of(refused) == (400, "bad_value")
        reason = said(refused)["guard"]["reasons"][0]
        assert (reason["observed"], reason["limit"]) == ("100", "200")
        assert code_of(await scene.modify(name, qty=100, who="desk")) == (403, "not_your_order")
        assert is_passed(await scene.modify(name, qty=400))


async def test_a_full_fill_stays_spent(tmp_path: Path) -> None:
    """An order that filled holds nothing open; the day's budget keeps what it really cost."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        reply = await scene.place(qty=200)
        name = said(reply)["s2c"]["order_id_ex"]
        fill(scene, name, 200, "199.5")
        await round_trip(scene)
        assert held(scene) == holds(39_900, 0, 0, 0)
        told = said(await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}"))
        assert (told["status"], told["filled_qty"]) == ("filled_all", "200")


async def test_a_fill_dearer_than_the_order_is_charged_in_truth(tmp_path: Path) -> None:
    """The budget counts money, not what somebody thought it would be."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=200)
        fill(scene, name, 200, "210")
        await round_trip(scene)
        assert scene.held() == 42_000


async def test_an_order_that_expires_gives_back_its_money(tmp_path: Path) -> None:
    """A day order that the exchange ends overnight is found among earlier orders."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        await scene.placed(qty=300)
        await round_trip(scene)
        scene.clock.advance(s=86_400)
        scene.daemon.tick(moves=False)
        await round_trip(scene)
        assert held(scene) == holds(0, 0, 0, 0)


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED_ALL])
async def test_an_order_that_fails_later_gives_back_its_money(tmp_path: Path, status: Status) -> None:
    """Accepted first and failed at the exchange: nothing is held, the order still counts as one of the day."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300)
        scene.daemon.world.end(at_daemon(scene, name), status)
        await round_trip(scene)
        assert held(scene) == holds(0, 0, 0, 0)


async def test_a_disabled_order_holds_only_what_it_has_spent(tmp_path: Path) -> None:
    """Once it has been shown so for a while; it stays a live order, and a restart finds the same."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300)
        fill(scene, name, 100, "199")
        await round_trip(scene)
        assert is_passed(await scene.cancel(name, op="DISABLE"))
        await round_trip(scene)
        assert held(scene) == holds(59_900, 40_000, 200, 1), "lists may lag for a minute"
        await round_trip(scene, s=60)
        assert held(scene) == holds(19_900, 0, 0, 0)
        before = scene.ledger()
        assert [holder["order_id_ex"] for holder in before["holders"].values()] == [name]
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        for _ in range(3):
            await round_trip(scene)
        assert held(scene) == holds(19_900, 0, 0, 0)


async def test_what_a_list_showed_of_an_order_that_is_over_is_forgotten(tmp_path: Path) -> None:
    """Or the guard would grow with every order it has ever seen; while another is at work, too."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name, _ = await scene.placed(price=200), await scene.placed(price=201)
        await round_trip(scene)
        (step, *_) = scene.guard.desk.state.holders
        assert scene.guard.reconciler.disabled(step) is not None, "a list has just shown it"
        assert is_passed(await scene.cancel(name))
        await round_trip(scene)
        await round_trip(scene, s=1)
        assert step not in scene.guard.desk.state.holders
        assert scene.guard.reconciler.disabled(step) is None


async def test_an_order_that_was_enabled_elsewhere_holds_again_what_it_may_spend(tmp_path: Path) -> None:
    """Nobody asked the guard, so nothing could be refused; it counts as soon as a list shows it, and ends cleanly."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300)
        assert is_passed(await scene.cancel(name, op="DISABLE"))
        await round_trip(scene)
        await round_trip(scene, s=60)
        assert held(scene) == holds(0, 0, 0, 0)
        scene.daemon.world.end(at_daemon(scene, name), Status.SUBMITTED)
        await round_trip(scene)
        assert held(scene) == holds(60_000, 60_000, 300, 1)
        scene.daemon.world.end(at_daemon(scene, name), Status.CANCELLED_ALL)
        await round_trip(scene)
        assert held(scene) == holds(0, 0, 0, 0)


@pytest.mark.parametrize("per_day", [2, 0])
async def test_an_enabled_order_is_not_freed_by_a_list_that_lags(tmp_path: Path, per_day: int) -> None:
    """After an ENABLE the list may go on to show the order as disabled: that is no evidence for a minute.

    Also where it comes back on the very terms that it was on before: nothing of the day counts it again.
    """
    limits = LIMITS if per_day else LIMITS.replace("per_day = 50\n", "")
    async with stage(tmp_path, policies=limits) as scene:
        name = await scene.placed(qty=300)
        assert is_passed(await scene.cancel(name, op="DISABLE"))
        await round_trip(scene)
        await round_trip(scene, s=60)
        assert is_passed(await scene.modify(name, op="ENABLE", qty=None, price=None))
        at_daemon(scene, name).status = Status.DISABLED
        await round_trip(scene, s=5)
        for _ in range(9):
            await round_trip(scene)
        assert held(scene) == holds(60_000, 60_000, 300, 1, per_day=per_day)
        at_daemon(scene, name).status = Status.SUBMITTED
        await round_trip(scene)
        await round_trip(scene)
        assert held(scene) == holds(60_000, 60_000, 300, 1, per_day=per_day)


async def test_a_fill_told_twice_is_written_once(tmp_path: Path) -> None:
    """The same list again writes nothing, also after a restart."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300)
        fill(scene, name, 100, "200")
        for _ in range(3):
            await round_trip(scene)
        assert len(await scene.records("order")) == 1
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        await round_trip(scene)
        await round_trip(scene)
        assert len(await scene.records("order")) == 1


async def test_a_good_till_cancelled_fill_counts_in_the_period_of_the_fill(tmp_path: Path) -> None:
    """The rest stays on the cell without a period; each day is charged its own fills."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300, time_in_force="GTC")
        fill(scene, name, 100, "200")
        await round_trip(scene)
        scene.clock.advance(s=86_400)
        fill(scene, name, 100, "200")
        await round_trip(scene)
        cells = {cell: amount for cell, amount in scene.guard.desk.state.sums.items() if cell.startswith("daily")}
        assert sorted(cells.values()) == [200_000_000] * 3
        await scene.cancel(name)
        await round_trip(scene)
        cells = {cell: amount for cell, amount in scene.guard.desk.state.sums.items() if cell.startswith("daily")}
        assert sorted(cells.values()) == [200_000_000] * 2


@pytest.mark.parametrize("years", [0, -50, 10, None])
async def test_a_fill_is_of_no_day_before_the_last_list_that_did_not_show_it(tmp_path: Path, years: int | None) -> None:
    """A daemon whose time of an order stays behind its fills, is odd or not told: they count today, not before."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300, time_in_force="GTC")
        placed = at_daemon(scene, name).updated
        await round_trip(scene)
        scene.clock.advance(s=86_400)
        await round_trip(scene)
        fill(scene, name, 200, "200")
        at_daemon(scene, name).updated = EPOCH if years is None else placed.replace(year=placed.year + years)
        await round_trip(scene)
        await scene.cancel(name)
        await round_trip(scene)
        (used,) = [
            limit["used"]
            for limit in said(await scene.ask("/guard/v1/me"))["limits"]
            if limit["rule"] == "budgets.daily_value" and "simulate" in limit["subject"]
        ]
        assert used == "40000"


async def test_a_fill_that_a_full_disk_kept_waiting_counts_in_its_own_period(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists showed it all the while; that it could not be learned from them makes none of a later day of it."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300, time_in_force="GTC")
        day_begins = datetime(2026, 11, 23, 0, 30, tzinfo=UTC)
        scene.clock.advance(s=int((day_begins - scene.clock.wall()).total_seconds()) - 30)
        await round_trip(scene)
        fill(scene, name, 300, "200")
        with monkeypatch.context() as full:
            full.setattr(scene.guard.desk.journal, "append", _no_room)
            for _ in range(20):
                await round_trip(scene)
        await round_trip(scene)
        (cell,) = [cell for cell in scene.guard.desk.state.sums if cell.startswith("daily_value/")]
        assert "|2026-11-22@" in cell


def _no_room(*_: object, **__: object) -> int:
    raise JournalFault("No space left on device")


async def test_a_change_under_other_policies_counts_where_the_order_stood_before(tmp_path: Path) -> None:
    """Counters that no policy in force has go by the accepted change too: they may be in force again the same day."""
    per_key = '[orders]\nmax_value = "1000000 HKD"\n[budgets]\nper = "key"\ndaily_value = "500000 HKD"'
    async with stage(tmp_path, record("bot"), record("desk", owner="Ada"), policies=per_key) as scene:
        desk, cell = tmp_path / "policies/desk.toml", "daily_value/key="
        less, more = await scene.placed(qty=300), await scene.placed(qty=100)
        desk.write_text(per_key.replace('"key"', '"account"'))
        await scene.guard.reload()
        await scene.modify(less, qty=100)
        await scene.modify(more, qty=200)
        await round_trip(scene)
        desk.write_text(per_key)
        await scene.guard.reload()
        sums = scene.guard.desk.state.sums
        assert [amount for name, amount in sums.items() if name.startswith(cell)] == [60_000 * LEDGER_UNIT]


async def test_a_change_is_followed_on_its_new_terms(tmp_path: Path) -> None:
    """After an accepted change the fills are a part of what the order is now."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300)
        await scene.modify(name, qty=400, price=210)
        fill(scene, name, 100, "205")
        await round_trip(scene)
        assert held(scene) == holds(83_500, 63_000, 300, 1)


async def test_a_stale_list_lowers_nothing(tmp_path: Path) -> None:
    """A list that still shows the order before an accepted change does not give back what the change took."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=300)
        await scene.modify(name, qty=400, price=200)
        at_daemon(scene, name).qty = Decimal(300)
        await round_trip(scene)
        assert held(scene) == holds(80_000, 80_000, 400, 1)


async def test_orders_placed_elsewhere_are_counted_once(tmp_path: Path) -> None:
    """They are recorded as manual with their account, also over a restart, and any trading key may cancel them."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        first = await scene.placed()
        other = await scene.placed(remark="elsewhere", qty=200)
        async with stage(_beside(tmp_path), policies=LIMITS, daemon=scene.daemon, clock=scene.clock) as stranger:
            mine = await stranger.placed(remark="mine", qty=500)
            for _ in range(2):
                await round_trip(stranger)
            found = await stranger.records("order")
            outside = [record for record in found if record.get("owner") == "manual"]
            assert {record["order_id_ex"] for record in outside} == {first, other}
            assert {(record["environment"], record["account"]) for record in outside} == {("simulate", 123456)}
            exposed = (await operate(stranger.guard, "/metrics"))[1]
            assert "guard_orders_outside_total 2.0" in exposed
            assert is_passed(await stranger.cancel(first))
            before = stranger.ledger()
        async with again(stranger.config, daemon=scene.daemon, clock=scene.clock) as stranger:
            assert stranger.ledger() == before
            await round_trip(stranger)
            assert "guard_orders_outside_total 0.0" in (await operate(stranger.guard, "/metrics"))[1]
            assert mine in {holder.order_id_ex for holder in stranger.guard.desk.state.holders.values()}


async def test_nothing_is_asked_while_nothing_is_open(tmp_path: Path) -> None:
    """Without live orders and doubts the daemon is left alone; with one it is asked within five seconds."""
    async with stage(tmp_path, policies={"open.toml": OPEN_POLICY}) as scene:
        for _ in range(5):
            await round_trip(scene)
        assert scene.reached("/api/orders") == []
        await scene.placed()
        await round_trip(scene, s=4)
        assert scene.reached("/api/orders") == []
        await round_trip(scene, s=1)
        assert len(scene.reached("/api/orders")) == 1


async def test_a_push_asks_at_once_and_the_pace_is_kept(tmp_path: Path) -> None:
    """However often something happens, no more than eight questions leave in half a minute."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        await scene.placed()
        account = next(iter(scene.guard.desk.state.holders.values())).account
        for _ in range(300):
            scene.guard.reconciler.refresh_soon(account)
            await scene.guard.reconciler.turn()
            scene.clock.advance(us=100_000)
        assert 2 <= len(scene.reached("/api/orders")) <= 8


async def test_every_market_of_an_account_has_its_turn(tmp_path: Path) -> None:
    """The pace lets one question by every six seconds: orders in two markets are asked for in turn, none never."""
    async with stage(tmp_path, policies={"open.toml": OPEN_POLICY}) as scene:
        await scene.placed()
        await scene.placed(market="US", code="AAPL", qty=1, price=100)
        for _ in range(120):
            await scene.guard.reconciler.turn()
            scene.clock.advance(us=500_000)
        asked = [json.loads(each.body or b"")["c2s"]["header"]["trd_market"] for each in scene.reached("/api/orders")]
        assert len(asked) >= 10
        assert abs(asked.count(1) - asked.count(2)) <= 1


@pytest.mark.parametrize("is_poked", [False, True])
async def test_a_large_book_is_looked_through_only_when_a_list_may_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_poked: bool
) -> None:
    """While the pace says no, nobody looks for what to ask; the questions come no later for it."""
    monkeypatch.setattr("guard.tracking.reconciler.MANY", 0)
    async with stage(tmp_path, policies={"open.toml": OPEN_POLICY}) as scene:
        await scene.placed()
        account = next(iter(scene.guard.desk.state.holders.values())).account
        looks, wanted = 0, scene.guard.reconciler._places.wanted

        async def counted(state: State) -> dict[Place, list[Step]]:
            nonlocal looks
            looks += 1
            return await wanted(state)

        monkeypatch.setattr(scene.guard.reconciler._places, "wanted", counted)
        for _ in range(120):
            if is_poked:
                scene.guard.reconciler.refresh_soon(account)
            await scene.guard.reconciler.turn()
            scene.clock.advance(us=500_000)
        asked = len(scene.reached("/api/orders"))
        assert 10 <= asked <= 13
        assert asked <= looks <= asked + 2 + 12 * (not is_poked)  # until the first question there is nothing to go by


async def test_a_trade_push_asks_at_once_for_what_is_live_or_in_doubt(tmp_path: Path) -> None:
    """A frame of an account without live orders asks nothing; one of this account need not wait for its turn."""
    pushed = asyncio.Event()

    async def later(talk: Talk) -> None:
        await pushed.wait()
        for acc_id in (999, 123456):
            data = frame("trade", acc_id=acc_id, trd_market=1)
            await talk.say(Frame(Opcode.TEXT, data).serialize(mask=False, extensions=[]))
        await talk.hang()

    async with (
        scripted(default=pushing(then=later)) as daemon,
        stage(tmp_path, policies=LIMITS, toml=TRADING + settings_for(daemon.port)) as scene,
    ):
        caller = await Visitor(scene.guard).opened()
        scene.guard.reconciler.traded(123456)
        assert scene.guard.reconciler.poked == frozenset()
        await scene.placed()
        pushed.set()
        await caller.texts(2)
        assert {account.acc_id for account in scene.guard.reconciler.poked} <= {123456}
        await scene.until_reached("/api/orders")


async def test_a_trade_push_asks_for_orders_in_doubt(tmp_path: Path) -> None:
    """An order whose answer was lost has no id yet; a push of its account may be about it."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        scene.daemon.faults.add(Reset(acts=True), path="/api/order")
        assert (await scene.place()).status == 504
        scene.guard.reconciler.traded(123456)
        assert len(scene.guard.reconciler.poked) == 1


def _beside(path: Path) -> Path:
    found = path / "beside"
    found.mkdir()
    return found
