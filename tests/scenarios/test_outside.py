"""Orders that were placed elsewhere: seen, counted once, imported as nobody's, and followed to their end."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from guard.limits import NOBODY, Holder
from guard.simulator.faults import HttpError, Ids
from guard.simulator.orders import Order, Status
from guard.terms import OrderType
from tests.support.guards import OPEN_POLICY, operate, record, said
from tests.support.stage import (
    CANCEL_ALL,
    MODIFY,
    ORDER,
    Stage,
    account,
    again,
    code_of,
    is_passed,
    stage,
)
from tests.support.tracked import LIMITS, TOUCH, at_daemon, elsewhere, fill, held, holds, round_trip, seen

KEYS: Final = (record("bot"), record("other"), record("desk", owner="a person"))
LISTS: Final = "/api/orders"


def imported(scene: Stage) -> list[Holder]:
    """The live orders of nobody's."""
    return [holder for holder in scene.guard.desk.state.holders.values() if holder.key == NOBODY]


async def outside_total(scene: Stage) -> str:
    """The counter of orders that went round the guard."""
    exposed = (await operate(scene.guard, "/metrics"))[1]
    return str(next(line for line in exposed.splitlines() if line.startswith("guard_orders_outside_total")))


# ---------------------------------------------------------------- seen and followed


async def test_an_order_that_was_over_when_it_was_first_seen_is_known_by_its_id(tmp_path: Path) -> None:
    """Counted once and not followed; b33: an answer that names it is no new order's. A restart knows it too."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        name = await elsewhere(scene)
        fill(scene, name, 100, "200")
        for _ in range(2):
            await seen(scene)
        assert await outside_total(scene) == "guard_orders_outside_total 1.0"
        assert imported(scene) == []
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        await seen(scene)
        assert await outside_total(scene) == "guard_orders_outside_total 0.0"
        scene.daemon.faults.add(Ids(7, name), path=ORDER)
        assert code_of(await scene.place()) == (504, "outcome_unknown")


async def test_a_working_order_is_imported_with_what_the_fold_needs(tmp_path: Path) -> None:
    """Its record holds owner, account, market, terms and what it takes off a position; a restart finds the same."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        name = await elsewhere(scene, side="SELL", qty=300, price=400, remark="by hand")
        fill(scene, name, 100, "200")
        await seen(scene)
        (told,) = await scene.records("order")
        assert (told["owner"], told["environment"], told["account"]) == ("manual", "simulate", 123456)
        assert (told["market"], told["symbol"], told["order_id_ex"]) == ("HK", "HK.00700", name)
        assert told["targets"] == {"exits/account=simulate:123456|HK.00700|SELL": 2_000_000}
        assert (told["order"]["c2s"]["qty"], told["order"]["c2s"]["price"]) == (300, 400)
        assert held(scene) == holds(0, 0, 200, 0, per_day=0), "no key asked for it, so it is nobody's money"
        assert await outside_total(scene) == "guard_orders_outside_total 1.0"
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        assert [holder.order_id_ex for holder in imported(scene)] == [name]
        await round_trip(scene)
        assert len(await scene.records("order")) == 1
        assert await outside_total(scene) == "guard_orders_outside_total 0.0"


@pytest.mark.parametrize(
    "terms",
    [
        {"order_type": "STOP_LIMIT", "aux_price": 150},
        {"order_type": "TRAILING_STOP", "price": None, "trail_type": 1, "trail_value": 2},
        {"order_type": "TRAILING_STOP_LIMIT", "price": None, "trail_type": 2, "trail_value": 20, "trail_spread": 0},
    ],
    ids=lambda terms: terms["order_type"],
)
async def test_a_trigger_and_a_trail_are_imported_too(tmp_path: Path, terms: dict[str, Any]) -> None:
    """As they are listed, a spread of zero and the zeros of what an order has none of included."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        name = await elsewhere(scene, side="SELL", qty=300, **terms)
        listed = at_daemon(scene, name)
        for field in ("aux_price", "trail_type", "trail_value", "trail_spread"):
            setattr(listed, field, getattr(listed, field) or Decimal(0))
        await seen(scene)
        (told,) = await scene.records("order")
        named = {"order_type": OrderType[terms["order_type"]].value, "price": terms.get("price", 200)}
        wanted = {field: value for field, value in (terms | named).items() if value is not None}
        assert {field: told["order"]["c2s"].get(field) for field in wanted} == wanted
        assert [holder.order_id_ex for holder in imported(scene)] == [name]


@pytest.mark.parametrize("stamp", ["g:{}", "{}"])
async def test_the_stamp_of_another_order_hides_nothing(tmp_path: Path, stamp: str) -> None:
    """Who goes round the guard can read the stamp of an order in the daemon's list, and write it on his own."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        ours = await scene.placed(qty=100)
        (holder,) = scene.guard.desk.state.holders.values()
        name = await elsewhere(scene, qty=300, remark=stamp.format(holder.id))
        await round_trip(scene, s=61)
        await round_trip(scene)

        assert [each.order_id_ex for each in imported(scene)] == [name]
        assert await outside_total(scene) == "guard_orders_outside_total 1.0"
        assert scene.guard.desk.state.holders[holder.id].order_id_ex == ours


async def test_it_is_followed_to_its_end(tmp_path: Path) -> None:
    """Each fill leaves less to come, a change elsewhere more or less, and its end nothing."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        name = await elsewhere(scene, qty=300)
        await seen(scene)
        fill(scene, name, 200, "200")
        await round_trip(scene)
        assert held(scene) == holds(0, 0, 100, 0, per_day=0)
        at_daemon(scene, name).qty = Decimal(1000)
        await round_trip(scene)
        assert held(scene) == holds(0, 0, 800, 0, per_day=0)
        scene.daemon.world.end(at_daemon(scene, name), Status.CANCELLED_PART)
        await round_trip(scene)
        assert held(scene) == holds(0, 0, 0, 0, per_day=0)
        assert scene.ledger()["holders"] == {}
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before


async def test_one_of_ours_that_comes_back_is_followed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It had ended by the daemon's own word: what it may sell counts again, its key cancels it, a start knows it."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        other = await scene.placed(qty=100, price=200)  # so that its lists are looked at every few seconds
        name = await scene.placed(side="SELL", qty=300, price=400)
        order = at_daemon(scene, name)
        order.status = Status.CANCELLED_ALL
        await round_trip(scene)
        stands = held(scene)
        assert stands == holds(20_000, 20_000, 100, 1, per_day=2)
        order.status = Status.SUBMITTED
        for _ in range(2):
            await round_trip(scene)
        assert held(scene) == stands, "a list may lag"
        for _ in range(10):
            await round_trip(scene)
        assert held(scene) == stands | {"exits": Decimal(400)}
        assert [holder.order_id_ex for holder in imported(scene)] == [name]
        assert capsys.readouterr().out.count("order_came_back") == 1
        assert await outside_total(scene) == "guard_orders_outside_total 0.0"
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        assert is_passed(await scene.cancel(name))
        for _ in range(2):
            await round_trip(scene)
        assert imported(scene) == []
        assert held(scene) == stands
        assert is_passed(await scene.cancel(other))


async def test_one_that_comes_back_and_cannot_be_followed_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no room for it: one line and one record, not one for each list that shows it."""
    monkeypatch.setattr("guard.tracking.outside.IMPORTED_MAX", 0)
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        await scene.placed(qty=100, price=200)
        name = await scene.placed(side="SELL", qty=300, price=400)
        order = at_daemon(scene, name)
        order.status = Status.CANCELLED_ALL
        await round_trip(scene)
        order.status = Status.SUBMITTED
        for _ in range(14):
            await round_trip(scene)
        assert capsys.readouterr().out.count("order_came_back") == 1
        assert [one["order_id_ex"] for one in await scene.records("order") if "owner" in one] == [name]


async def test_what_had_ended_is_only_counted(tmp_path: Path) -> None:
    """An order that is over holds nothing; its ids are known, so that no answer that names them is believed (B33)."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        name = await elsewhere(scene)
        scene.daemon.world.end(at_daemon(scene, name), Status.CANCELLED_ALL)
        await seen(scene)
        assert await outside_total(scene) == "guard_orders_outside_total 1.0"
        assert imported(scene) == []


async def test_a_kind_that_nobody_could_place_here_is_only_counted(tmp_path: Path) -> None:
    """What cannot be expressed as an order is not followed; it can be cancelled as any order of nobody's."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        name = await elsewhere(scene)
        at_daemon(scene, name).order_type = 99  # type: ignore[assignment] # of a later daemon
        await seen(scene)
        assert await outside_total(scene) == "guard_orders_outside_total 1.0"
        assert imported(scene) == []
        at_daemon(scene, name).order_type = 1  # type: ignore[assignment]
        assert is_passed(await scene.cancel(name))


async def test_imports_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it orders are counted, and not followed."""
    monkeypatch.setattr("guard.tracking.outside.IMPORTED_MAX", 2)
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        for n in range(4):
            await elsewhere(scene, remark=f"n{n}", qty=100 + 100 * n)
        await seen(scene)
        assert len(imported(scene)) == 2
        assert await outside_total(scene) == "guard_orders_outside_total 4.0"
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        _ = await elsewhere(scene, remark="n5", qty=700)
        await round_trip(scene)
        assert await outside_total(scene) == "guard_orders_outside_total 1.0"
        assert len(imported(scene)) == 2
        assert is_passed(await scene.cancel(str(imported(scene)[0].order_id_ex)))
        await seen(scene)
        assert len(imported(scene)) == 1
        name = await elsewhere(scene, remark="n6", qty=800)
        await seen(scene)
        assert [holder.order_id_ex for holder in imported(scene)][1:] == [name]


async def test_every_market_is_looked_at_while_nothing_is_going_on(tmp_path: Path) -> None:
    """A minute an account, one market after another: what goes round the guard at night is seen within minutes."""
    async with stage(tmp_path, *KEYS, policies={"open.toml": OPEN_POLICY}) as scene:
        await elsewhere(scene)
        await elsewhere(scene, market="US", code="AAPL", qty=1, price=100)
        for _ in range(6):
            await seen(scene)
        assert {holder.market for holder in imported(scene)} == {"HK", "US"}


async def test_one_that_vanished_while_the_guard_was_down_is_let_go(tmp_path: Path) -> None:
    """Orders of outside are known from lists alone, so one that no list shows any more works no longer."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        name = await elsewhere(scene)
        await seen(scene)
        assert len(imported(scene)) == 1
    del scene.daemon.orders[name]
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert len(imported(scene)) == 1
        for _ in range(4):
            await round_trip(scene, s=31)
        assert imported(scene) == []


async def test_one_that_a_list_has_just_shown_is_not_gone_for_the_next_one_that_does_not(tmp_path: Path) -> None:
    """A minute after it was shown at the soonest, however long the guard runs: the list may be behind."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        name = await elsewhere(scene)
        scene.clock.advance(s=61)
        await scene.guard.reconciler.turn()
        assert scene.guard.reconciler.disabled(imported(scene)[0].id) is None  # nobody has looked at that yet
        del scene.daemon.orders[name]
        for s in (28, 31):
            scene.clock.advance(s=s)
            await scene.guard.reconciler.turn()
            assert len(imported(scene)) == 1
        for _ in range(2):
            await round_trip(scene, s=31)
        assert imported(scene) == []


async def test_an_order_of_ours_is_never_taken_for_one_of_outside(tmp_path: Path) -> None:
    """Not while its answer is on the way, nor when it was lost, with or without the stamp."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        scene.daemon.faults.add(HttpError(500, acts=True), path=ORDER)
        assert (await scene.place()).status == 504
        await elsewhere(scene, qty=200)
        await round_trip(scene, s=3)
        await round_trip(scene)
        (stranger,) = imported(scene)
        assert b'"qty":200' in stranger.order
        assert {holder.key for holder in scene.guard.desk.state.holders.values()} == {NOBODY, "bot"}


# ---------------------------------------------------------------- who may do what with it


@pytest.mark.parametrize("is_known", [False, True])
async def test_any_trading_key_of_the_account_may_cancel_it(tmp_path: Path, *, is_known: bool) -> None:
    """Whether a list has shown it already or not; a key of another account may not."""
    keys = (*KEYS, record("away", allowed_acc_ids=[9032]))
    async with stage(tmp_path, *keys, policies=LIMITS) as scene:
        name = await elsewhere(scene)
        if is_known:
            await seen(scene)
        assert code_of(await scene.cancel(name, who="away")) == (403, "account")
        reply = await scene.cancel(name, who="other")
        assert is_passed(reply)
        assert ("of" in await scene.decision(reply)) is is_known


async def test_a_change_finds_it_at_the_daemon(tmp_path: Path) -> None:
    """An order that the ledger does not know is looked for in the daemon's list before it is refused."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        name = await elsewhere(scene)
        assert code_of(await scene.modify(name, price=190)) == (403, "not_your_order")
        (asked,) = scene.reached(LISTS)
        assert asked.json["c2s"]["refresh_cache"] is True, "the daemon's memory may lack what was placed elsewhere"
        assert code_of(await scene.modify("7000000", price=190)) == (403, "unknown_order")
        scene.daemon.faults.always(HttpError(500), path=LISTS)
        scene.clock.advance(s=7)
        assert code_of(await scene.modify("7000000", price=190)) == (403, "unknown_order")
        assert scene.reached(MODIFY) == []


async def test_nonsense_leaves_the_lists_of_live_orders_their_turn(tmp_path: Path) -> None:
    """Changes of orders that do not exist ask little, and never for the last question that is left."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        for n in range(300):
            assert code_of(await scene.modify(f"70000{n}", price=190)) == (403, "unknown_order")
            scene.clock.advance(us=100_000)
        assert len(scene.reached(LISTS)) <= 8
        place = next(iter(scene.guard.reconciler._looked_us))
        assert scene.guard.reconciler._lists.may_ask(place)


async def test_it_is_changed_only_with_the_right_to_all_orders_and_in_full(tmp_path: Path) -> None:
    """Under touch = "account" the order as it shall be meets every rule, and counts for the key that changes it."""
    async with stage(tmp_path, *KEYS, policies=TOUCH) as scene:
        name = await elsewhere(scene)
        assert code_of(await scene.modify(name, qty=6000)) == (403, "max_order_value")
        reply = await scene.modify(name, qty=200, price=210)
        assert is_passed(reply)
        assert (await scene.decision(reply))["of"] == imported(scene)[0].id
        assert held(scene) == holds(42_000, 42_000, 200, 1, per_day=0)
        fill(scene, name, 200, "209")
        await round_trip(scene)
        assert held(scene) == holds(41_800, 0, 0, 0, per_day=0)
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before


async def test_what_was_filled_of_it_before_it_was_first_seen_is_known(tmp_path: Path) -> None:
    """It cannot be changed to less than that, nor after a start."""
    async with stage(tmp_path, *KEYS, policies=TOUCH) as scene:
        name = await elsewhere(scene, qty=300)
        fill(scene, name, 200, "200")
        scene.clock.advance(s=61)
        await scene.guard.reconciler.turn()
        (mine,) = imported(scene)
        assert mine.filled == Decimal(200)
        assert code_of(await scene.modify(name, qty=100, price=200)) == (400, "bad_value")
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.modify(name, qty=100, price=200)) == (400, "bad_value")
        assert is_passed(await scene.modify(name, qty=300, price=201))


async def test_a_cancel_of_all_means_ones_own(tmp_path: Path) -> None:
    """Beside an order of nobody's a cancel of all goes one by one, and leaves it; the account's exit takes it too."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        theirs = await elsewhere(scene)
        await seen(scene)
        mine = await scene.placed(remark="mine")
        reply = await scene.ask(CANCEL_ALL, account())
        assert [result["order_id_ex"] for result in said(reply)["s2c"]["results"]] == [mine]
        assert at_daemon(scene, theirs).is_open
        body = {"state": "cancel_only", "reason": "who was that", "cancel_working": True}
        assert (await operate(scene.guard, "/admin/state", body))[0] == 200
        async with asyncio.timeout(60):
            while at_daemon(scene, theirs).is_open:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)


# ---------------------------------------------------------------- exits


async def test_what_it_takes_off_a_position_is_not_taken_twice(tmp_path: Path) -> None:
    """Under reduce_only an exit counts beside those that were placed elsewhere, also before a list has shown them."""
    async with stage(tmp_path, *KEYS) as scene:
        scene.hold(300)
        await scene.set_state("reduce_only")
        await elsewhere(scene, side="SELL", qty=200, price=400)
        assert code_of(await scene.sell(200)) == (403, "reduce_only")
        assert is_passed(await scene.sell(100))
        assert code_of(await scene.sell(100)) == (403, "reduce_only")


# ---------------------------------------------------------------- enabled again


def shown(scene: Stage, name: str) -> Order:
    """The order at the daemon."""
    return at_daemon(scene, name)


ENABLE: Final[dict[str, Any]] = {"op": "ENABLE", "qty": None, "price": None}


async def test_w05_an_order_that_was_changed_elsewhere_does_not_come_back_unseen(tmp_path: Path) -> None:
    """What would come back are the daemon's terms: on others than the ledger's it is refused until it is changed."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        name = await scene.placed()
        assert is_passed(await scene.cancel(name, op="DISABLE"))
        shown(scene, name).qty = Decimal(10_000)
        assert code_of(await scene.modify(name, **ENABLE)) == (403, "unknown_order")
        shown(scene, name).qty = Decimal(100)
        scene.clock.advance(s=7)
        assert is_passed(await scene.modify(name, **ENABLE))


async def test_w05_without_a_list_nothing_comes_back(tmp_path: Path) -> None:
    """What is to be enabled has to be shown; a cancel needs nothing of the kind."""
    async with stage(tmp_path, *KEYS, policies=LIMITS) as scene:
        name = await scene.placed()
        assert is_passed(await scene.cancel(name, op="DISABLE"))
        scene.daemon.faults.always(HttpError(500), path=LISTS)
        assert code_of(await scene.modify(name, **ENABLE)) == (503, "reference_unavailable")
        assert is_passed(await scene.cancel(name))
