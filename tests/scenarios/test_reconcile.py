"""Trades whose outcome nobody knew: found, or released after two absences, or ended by a person; never sent again."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import Struct

from guard.admin.health import degraded
from guard.limits import NOBODY
from guard.recovery.readback import recover
from guard.simulator.faults import STUB_ORDER_ID, Garbage, Hold, HttpError, Ids, Reset, Unreachable
from guard.simulator.faults import Stage as Call
from guard.simulator.orders import Status
from guard.terms import Answer, Failure, Reply
from guard.walk import recent
from tests.support.clock import ManualClock
from tests.support.guards import operate, record, said
from tests.support.stage import (
    CANCEL_ALL,
    MODIFY,
    ORDER,
    Stage,
    account,
    again,
    code_of,
    decision_of,
    is_passed,
    ledger_of,
    stage,
)
from tests.support.tracked import elsewhere, round_trip

LIMITS: Final = """
[orders]
max_value = "1000000 HKD"
[budgets]
daily_value = "500000 HKD"
open_value = "400000 HKD"
[rates]
new_orders = "1000/60s"
"""
RECONFIRM: Final = "/api/reconfirm-order"
LISTS: Final = ("/api/orders", "/api/history-orders")


def unseen(scene: Stage) -> list[str]:
    """What is told of accepted orders that no list shows."""
    return [sentence for sentence in degraded(scene.guard.desk) if "in no list" in sentence]


async def doubted(scene: Stage, *, acts: bool, key: str | None = None, **members: Any) -> Reply:
    """A new order whose connection is reset, after or before the daemon took it."""
    scene.daemon.faults.add(Reset(acts), path=ORDER)
    reply = await scene.place(key=key, **members)
    assert code_of(reply) == (504, "outcome_unknown")
    return reply


async def verdict(scene: Stage, reply: Reply, *, who: str = "bot") -> Any:
    """What the caller is told of its decision now."""
    return said(await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}", who=who))["verdict"]


def strip(scene: Stage) -> None:
    """The daemon gives no remarks back."""
    for order in scene.daemon.orders.values():
        order.remark = None


@pytest.mark.parametrize("is_stripped", [False, True])
async def test_an_order_that_was_taken_is_found(tmp_path: Path, *, is_stripped: bool) -> None:
    """By its stamp, else by what it is: accepted with its ids, held on, and its Idempotency-Key answers with them."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        reply = await doubted(scene, acts=True, key="k")
        if is_stripped:
            strip(scene)
        await round_trip(scene, s=1)
        (name,) = scene.daemon.orders
        assert await verdict(scene, reply) == "accepted"
        assert scene.held() == scene.held("open_value") == 20_000
        again_told = await scene.place(key="k")
        assert said(again_told)["s2c"]["order_id_ex"] == name
        (written,) = await scene.records("reconciled")
        assert (written["verdict"], written["order_id_ex"], written["source"]) == ("accepted", name, "orders")
        assert ("stamp" in written["reason"]) is not is_stripped
        assert is_passed(await scene.cancel(name))
        assert len(scene.reached()) == 1


@pytest.mark.parametrize("is_live", [False, True])
async def test_a_step_in_doubt_is_asked_for_a_second_later_and_then_every_two(tmp_path: Path, *, is_live: bool) -> None:
    """Turns come twice a second: a doubt takes no more of the few questions an account has, nor waits for longer.

    Also where the list was asked for another order two seconds before.
    """
    async with stage(tmp_path, policies=LIMITS) as scene:
        if is_live:
            await scene.placed(price=201)
            await round_trip(scene, s=5)
            scene.clock.advance(us=2_500_000)
        asked = [len(scene.reached("/api/orders"))]
        assert asked == [is_live]
        await doubted(scene, acts=False)
        for _ in range(10):
            scene.clock.advance(us=500_000)
            await scene.guard.reconciler.turn()
            asked.append(len(scene.reached("/api/orders")))
        assert [count - is_live for count in asked] == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3]


async def test_an_order_that_was_not_taken_is_released_after_two_absences(tmp_path: Path) -> None:
    """Not before a minute, not on the first absence, and not before half a minute after it."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        reply = await doubted(scene, acts=False, key="k")
        for s in (1, 30, 28):
            await round_trip(scene, s=s)
            assert await verdict(scene, reply) == "unknown"
        await round_trip(scene, s=6)  # the first absence that counts
        assert code_of(await scene.place(key="k")) == (409, "outcome_unknown")
        await round_trip(scene, s=24)
        assert (await verdict(scene, reply), scene.held()) == ("unknown", Decimal(20_000))
        await round_trip(scene, s=6)
        assert (await verdict(scene, reply), scene.held(), scene.held("open_value")) == (
            "refused",
            Decimal(0),
            Decimal(0),
        )
        assert said(await scene.place(key="k"))["ret_type"] == -1
        assert len(scene.reached()) == 1
        assert scene.ledger()["steps"] == {}


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_that_is_not_whole_is_no_absence(tmp_path: Path, path: str) -> None:
    """While either list fails nothing is released, however long."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        reply = await doubted(scene, acts=False)
        scene.daemon.faults.always(HttpError(500), path=path)
        for _ in range(10):
            await round_trip(scene, s=60)
        assert (await verdict(scene, reply), scene.held()) == ("unknown", Decimal(20_000))
        scene.daemon.faults.always(None, path=path)
        for _ in range(3):
            await round_trip(scene, s=31)
        assert (await verdict(scene, reply), scene.held()) == ("refused", Decimal(0))


async def test_an_order_that_shows_late_is_found(tmp_path: Path) -> None:
    """Absent once, then there: it is taken, and the absence is forgotten."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        reply = await doubted(scene, acts=True)
        hidden = dict(scene.daemon.orders)
        scene.daemon.orders.clear()
        await round_trip(scene, s=61)
        assert await verdict(scene, reply) == "unknown"
        scene.daemon.orders.update(hidden)
        await round_trip(scene, s=10)
        assert await verdict(scene, reply) == "accepted"


async def test_a_restart_in_between_changes_nothing(tmp_path: Path) -> None:
    """The doubt is as old as its record says; absences are counted anew, and what was settled stays settled."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        absent = await doubted(scene, acts=False, remark="a")
        taken = await doubted(scene, acts=True, qty=200)
        await round_trip(scene, s=61)
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        assert (await verdict(scene, taken), await verdict(scene, absent)) == ("accepted", "unknown")
        await round_trip(scene, s=6)
        await round_trip(scene, s=31)
        assert await verdict(scene, absent) == "refused"
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        assert (await verdict(scene, taken), await verdict(scene, absent)) == ("accepted", "refused")
        assert len(scene.reached()) == 2


async def test_an_order_filled_and_over_is_found_among_earlier_ones(tmp_path: Path) -> None:
    """Nobody knew for a day; the history says that it filled, and that is what it cost."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        reply = await doubted(scene, acts=True)
        (order,) = scene.daemon.orders.values()
        scene.daemon.world.book.fill(order, qty=Decimal(100), price=Decimal(199), at=scene.clock.wall())
        scene.clock.advance(s=86_400)
        await round_trip(scene, s=2)
        assert await verdict(scene, reply) == "accepted"
        assert (scene.held(), scene.held("open_value")) == (Decimal(19_900), Decimal(0))


@pytest.mark.parametrize("days", [3, 40])
async def test_an_order_is_found_by_a_guard_whose_clock_was_set_back(tmp_path: Path, days: int) -> None:
    """The days that are on record are asked for, not those of the clock: what was bought is not given free."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        broker = scene.daemon.world.clock = ManualClock(scene.clock.wall())
        reply = await doubted(scene, acts=True)
        (order,) = scene.daemon.orders.values()
    scene.daemon.world.book.fill(order, qty=Decimal(100), price=Decimal(199), at=broker.wall())
    broker.advance(s=86_400)
    scene.clock.step_wall(s=-days * 86_400)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        for _ in range(5):
            await round_trip(scene, s=60)
        assert await verdict(scene, reply) == "accepted"


@pytest.mark.parametrize("days", [3, 40])
async def test_an_order_is_found_by_a_guard_whose_clock_is_days_behind_the_broker(tmp_path: Path, days: int) -> None:
    """What another order is listed as of says which days to ask for."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        broker = scene.daemon.world.clock = ManualClock(scene.clock.wall() + timedelta(days=days))
        reply = await doubted(scene, acts=True)
        (order,) = scene.daemon.orders.values()
        scene.daemon.world.book.fill(order, qty=Decimal(100), price=Decimal(199), at=broker.wall())
        broker.advance(s=86_400)
        await scene.placed(price=200)
        for _ in range(5):
            await round_trip(scene, s=60)
        assert await verdict(scene, reply) == "accepted"


async def test_a_clock_behind_the_broker_is_told(tmp_path: Path) -> None:
    """An order that is listed as of tomorrow: readiness says how far the clock is behind, until it is set."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        scene.daemon.world.clock = ManualClock(scene.clock.wall() + timedelta(days=1))
        await scene.placed(price=200)
        await round_trip(scene, s=10)
        (concern,) = scene.guard.reconciler.concerns()
        assert "this machine's clock is 23:59:00 behind" in concern
        scene.clock.step_wall(s=86_400)
        assert scene.guard.reconciler.concerns() == ()


async def test_what_may_be_meant_but_need_not_be_settles_nothing(tmp_path: Path) -> None:
    """Two keys, two equal orders, one row without remark: whose it is nobody knows, so both stay held."""
    async with stage(tmp_path, record("bot"), record("other"), policies=LIMITS) as scene:
        mine = await doubted(scene, acts=True)
        theirs = await doubted(scene, acts=False, who="other")
        strip(scene)
        for _ in range(5):
            await round_trip(scene, s=60)
        assert await verdict(scene, mine) == await verdict(scene, theirs, who="other") == "unknown"
        assert scene.held() == 40_000


async def test_equal_orders_of_one_key_share_as_many_rows(tmp_path: Path) -> None:
    """Both were taken: each gets a row of its own."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        replies = [await doubted(scene, acts=True) for _ in range(2)]
        strip(scene)
        await round_trip(scene, s=2)
        assert [await verdict(scene, reply) for reply in replies] == ["accepted", "accepted"]
        assert len({record["order_id_ex"] for record in await scene.records("reconciled")}) == 2


async def test_a_stub_is_released_when_no_such_order_comes(tmp_path: Path) -> None:
    """A simulated stub answer is unknown at first, and refused once the lists have twice not shown it."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        scene.daemon.faults.add(Ids(STUB_ORDER_ID, "0"), path=ORDER)
        reply = await scene.place()
        for _ in range(4):
            await round_trip(scene, s=31)
        assert (await verdict(scene, reply), scene.held()) == ("refused", Decimal(0))


# ---------------------------------------------------------------- changes and cancels


@pytest.mark.parametrize(("acts", "end", "held"), [(True, "accepted", 25_000), (False, "refused", 20_000)])
async def test_a_change_is_settled_by_the_terms_that_are_listed(
    tmp_path: Path, *, acts: bool, end: str, held: int
) -> None:
    """The new terms at once, the old ones only after two looks; the larger of both is held until then."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed()
        scene.daemon.faults.add(Reset(acts), path=MODIFY)
        reply = await scene.modify(name, price=250)
        assert scene.held() == 25_000
        await round_trip(scene, s=2)
        assert await verdict(scene, reply) == ("accepted" if acts else "unknown")
        for _ in range(3):
            await round_trip(scene, s=31)
        assert (await verdict(scene, reply), scene.held(), scene.held("open_value")) == (
            end,
            Decimal(held),
            Decimal(held),
        )
        assert is_passed(await scene.modify(name, price=210))


@pytest.mark.parametrize(("acts", "end"), [(True, "accepted"), (False, "refused")])
async def test_a_reconfirmation_is_settled_by_what_becomes_of_the_order(
    tmp_path: Path, *, acts: bool, end: str
) -> None:
    """An order that still waits was not confirmed; two looks later its owner may confirm it again, which is sent."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        scene.daemon.quirks.confirms_above = Decimal(10_000)
        opened = await scene.place()
        body = account(order_id=said(opened)["s2c"]["order_id"], reconfirm_reason=1)
        scene.daemon.faults.add(Reset(acts), path=RECONFIRM)
        reply = await scene.ask(RECONFIRM, body)
        assert code_of(reply) == (504, "outcome_unknown")
        await round_trip(scene, s=2)
        assert await verdict(scene, reply) == ("accepted" if acts else "unknown")
        for _ in range(3):
            await round_trip(scene, s=31)
        assert (await verdict(scene, reply), scene.held()) == (end, Decimal(20_000))
        again_asked = await scene.ask(RECONFIRM, body)
        assert is_passed(again_asked) is not acts
        assert len(scene.reached(RECONFIRM)) == 2


async def test_a_change_of_an_order_that_ended_is_settled_with_it(tmp_path: Path) -> None:
    """It filled on its old terms while the change was in doubt: refused at once, and only the fill stays charged."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed()
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        reply = await scene.modify(name, qty=300)
        order = scene.daemon.orders[name]
        scene.daemon.world.book.fill(order, qty=Decimal(100), price=Decimal(200), at=scene.clock.wall())
        await round_trip(scene, s=2)
        assert (await verdict(scene, reply), scene.held(), scene.held("open_value")) == (
            "refused",
            Decimal(20_000),
            Decimal(0),
        )


async def test_terms_that_are_neither_stay_in_doubt(tmp_path: Path) -> None:
    """Somebody changed the order elsewhere: what is held stays held until a person has looked."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed()
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        reply = await scene.modify(name, price=250)
        scene.daemon.orders[name].price = Decimal(220)
        for _ in range(4):
            await round_trip(scene, s=60)
        assert (await verdict(scene, reply), scene.held()) == ("unknown", Decimal(25_000))


@pytest.mark.parametrize(("acts", "end"), [(True, "accepted"), (False, "refused")])
async def test_a_cancel_is_settled_by_the_end_of_its_order(tmp_path: Path, *, acts: bool, end: str) -> None:
    """Ended: accepted, and its money is free; still working after two looks: refused, and held on."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed()
        scene.daemon.faults.add(Reset(acts), path=MODIFY)
        reply = await scene.cancel(name)
        for _ in range(4):
            await round_trip(scene, s=31)
        assert (await verdict(scene, reply), scene.held("open_value")) == (end, Decimal(0) if acts else Decimal(20_000))
        assert scene.ledger()["steps"] == {}


@pytest.mark.parametrize(("acts", "end"), [(True, "accepted"), (False, "refused")])
async def test_a_cancel_of_an_order_placed_elsewhere_is_settled_too(tmp_path: Path, *, acts: bool, end: str) -> None:
    """No order of ours is named: the list is looked up by the ids that were sent."""
    homes = [tmp_path / name for name in ("home", "other")]
    for home in homes:
        home.mkdir()
    async with stage(homes[0], policies=LIMITS) as scene:
        name = await scene.placed()
        async with stage(homes[1], policies=LIMITS, daemon=scene.daemon, clock=scene.clock) as stranger:
            scene.daemon.faults.add(Reset(acts), path=MODIFY)
            reply = await stranger.cancel(name)
            for _ in range(4):
                await round_trip(stranger, s=31)
            assert await verdict(stranger, reply) == end
            assert stranger.ledger()["steps"] == {}


@pytest.mark.parametrize(("acts", "end"), [(True, "accepted"), (False, "refused")])
async def test_an_order_is_disabled_as_the_list_shows_it(tmp_path: Path, *, acts: bool, end: str) -> None:
    """Nobody heard whether it was put aside: disabled is done, still at work after two looks is not."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed()
        await round_trip(scene, s=6)
        scene.daemon.faults.add(Reset(acts=acts), path=MODIFY)
        reply = await scene.cancel(name, op="DISABLE")
        assert code_of(reply) == (504, "outcome_unknown")
        for _ in range(3):
            await round_trip(scene, s=31)
        assert await verdict(scene, reply) == end
        assert scene.ledger()["steps"] == {}


async def test_a_cancel_of_an_order_that_nobody_knows_is_settled_by_two_absences(tmp_path: Path) -> None:
    """As a new order is: not before a minute, nor on the first absence."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        reply = await scene.cancel("FH404")
        for s in (31, 30):
            await round_trip(scene, s=s)
            assert await verdict(scene, reply) == "unknown"
        await round_trip(scene, s=31)
        assert await verdict(scene, reply) == "refused"
        assert scene.ledger()["steps"] == {}


@pytest.mark.parametrize(("was_listed", "end", "held"), [(True, "accepted", 0), (False, "refused", 20_000)])
async def test_a_cancel_of_an_order_that_vanished_is_settled(
    tmp_path: Path, *, was_listed: bool, end: str, held: int
) -> None:
    """With the order, if a list had shown that; else by two absences, and the order stays held: it may be there yet."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed()
        if was_listed:
            await round_trip(scene, s=6)
        del scene.daemon.orders[name]
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        reply = await scene.cancel(name)
        for s in (31, 30):
            await round_trip(scene, s=s)
            assert await verdict(scene, reply) == "unknown"
        for _ in range(2):
            await round_trip(scene, s=31)
        assert (await verdict(scene, reply), scene.held("open_value")) == (end, Decimal(held))
        assert (await operate(scene.guard, "/status"))[1]["unknown"] == []


@pytest.mark.parametrize(
    ("acts", "end", "why", "working"),
    [
        (True, "accepted", "lists the order as ended", 0),
        (False, "refused", "still lists the order as working", 40_000),
    ],
)
async def test_a_cancel_of_all_is_settled_by_what_still_works(
    tmp_path: Path, *, acts: bool, end: str, why: str, working: int
) -> None:
    """Nothing works, a disabled order neither: accepted; one still works after two looks: refused."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        names = [await scene.placed(qty=qty) for qty in (100, 200)]
        scene.daemon.faults.add(Reset(acts), path=CANCEL_ALL)
        reply = await scene.ask(CANCEL_ALL, account())
        assert code_of(reply) == (504, "outcome_unknown")
        scene.daemon.orders[names[0]].status = Status.DISABLED
        await round_trip(scene, s=2)
        assert await verdict(scene, reply) == ("accepted" if acts else "unknown")
        for _ in range(3):
            await round_trip(scene, s=31)
        (written,) = await scene.records("reconciled")
        assert (written["verdict"], written["reason"]) == (end, f"the daemon {why}")
        assert scene.held("open_value") == working
        assert scene.ledger()["steps"] == {}


async def test_a_cancel_whose_order_ended_before_its_answer_was_lost_is_settled_by_that(tmp_path: Path) -> None:
    """It filled while the cancel was under way: no list need show it again."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name, go = await scene.placed(), asyncio.Event()
        await round_trip(scene, s=6)
        scene.daemon.faults.add(Hold(go, then=Reset(acts=False)), path=MODIFY)
        asking = asyncio.ensure_future(scene.cancel(name))
        await scene.until_reached(MODIFY)
        order = scene.daemon.orders[name]
        scene.daemon.world.book.fill(order, qty=Decimal(100), price=Decimal(200), at=scene.clock.wall())
        await round_trip(scene, s=6)
        assert scene.guard.desk.state.holders == {}
        go.set()
        reply = await asking
        assert await verdict(scene, reply) == "unknown"
        scene.daemon.orders.clear()
        await round_trip(scene, s=2)
        assert await verdict(scene, reply) == "accepted"
        assert scene.ledger()["steps"] == {}


# ---------------------------------------------------------------- a person


async def test_a_person_settles_what_the_lists_cannot(tmp_path: Path) -> None:
    """Recorded with who and why, durable, and only for what is in doubt."""
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=LIMITS) as scene:
        reply = await doubted(scene, acts=False, key="k")
        path = f"/admin/decisions/{decision_of(reply)}/settle"
        word = {"verdict": "refused", "reason": "the broker says so on the phone"}
        assert (await operate(scene.guard, path, word | {"reason": " "}))[0] == 422
        assert (await operate(scene.guard, path, word | {"order_id_ex": "1"}))[0] == 422
        for name in ("", " ", "FH1 ", "F H", 'F"H', "x" * 65, "FH\u00e9", "FH\n"):
            odd = {"verdict": "accepted", "order_id_ex": name}
            assert (await operate(scene.guard, path, word | odd))[0] == 422
        assert (await operate(scene.guard, path, word | {"verdict": "maybe"}))[0] == 400
        assert (await operate(scene.guard, path, word, who="bot"))[0] == 403
        assert (await operate(scene.guard, "/admin/decisions/nothing/settle", word))[0] == 422
        status, told = await operate(scene.guard, path, word)
        assert (status, told["result"], told["verdict"]) == (200, "applied", "refused")
        assert (await operate(scene.guard, path, word))[0] == 422
        (written,) = await scene.records("reconciled")
        assert (written["by"], written["reason"], written["source"]) == ("a person", word["reason"], "person")
        assert written["by_key"] == "desk"
        assert (await verdict(scene, reply), scene.held()) == ("refused", Decimal(0))
        told = said(await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}", who="bot"))
        assert told["message"] == word["reason"]
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        assert await verdict(scene, reply) == "refused"


async def test_a_persons_accepted_order_is_followed_by_its_id(tmp_path: Path) -> None:
    """The id that the person gave is the order's from then on: its fills are learned, and it can be cancelled."""
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=LIMITS) as scene:
        reply = await doubted(scene, acts=True)
        (name,) = scene.daemon.orders
        word = {"verdict": "accepted", "reason": "seen in the app", "order_id_ex": name}
        assert (await operate(scene.guard, f"/admin/decisions/{decision_of(reply)}/settle", word))[0] == 200
        assert is_passed(await scene.cancel(name))
        await round_trip(scene, s=6)
        assert scene.held() == scene.held("open_value") == 0


async def test_a_person_cannot_give_an_order_the_id_of_another(tmp_path: Path) -> None:
    """The other one would keep it, and the one in doubt, told as applied, would be followed by no id at all."""
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=LIMITS) as scene:
        other = await scene.place()
        reply = await doubted(scene, acts=True, price=201)
        first, second = scene.daemon.orders
        path = f"/admin/decisions/{decision_of(reply)}/settle"
        word = {"verdict": "accepted", "reason": "seen in the app"}
        status, told = await operate(scene.guard, path, word | {"order_id_ex": first})
        assert status == 422
        assert f"it is the working order of {decision_of(other)}" in str(told["errors"])
        assert await verdict(scene, reply) == "unknown"
        assert (await operate(scene.guard, path, word | {"order_id_ex": second}))[0] == 200
        assert is_passed(await scene.cancel(second))
        assert is_passed(await scene.cancel(first))


async def test_a_person_gives_up_an_accepted_order_that_no_list_shows(tmp_path: Path) -> None:
    """Not before a day, nor while a list may show it or a change of it is in doubt; then all that it holds is free."""
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=LIMITS) as scene:
        scene.daemon.faults.add(Ids(77, "77", acts=False), path=ORDER)
        reply, listed = await scene.place(time_in_force="GTC", qty=200), await scene.place(time_in_force="GTC")
        word = {"verdict": "refused", "reason": "the broker knows of no such order"}

        async def settled(name: str = decision_of(reply), **more: str) -> str:
            _, told = await operate(scene.guard, f"/admin/decisions/{name}/settle", word | more)
            return str(told.get("errors") or told["result"])

        await round_trip(scene, s=86_390)
        assert "not in doubt" in await settled()
        await round_trip(scene, s=10)
        for other in ("accepted", "not_sent"):
            assert "it was sent and accepted" in await settled(verdict=other)
        assert "not in doubt" in await settled(decision_of(listed))
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        change = decision_of(await scene.modify("77", qty=300))
        assert f"its change {change} is under way or in doubt" in await settled()
        assert scene.held("open_value") == 80_000
        assert await settled(change, verdict="not_sent") == "applied"
        assert scene.held("open_value") == scene.held() == 60_000
        assert await settled() == "applied"
        assert "not in doubt" in await settled()
        assert (await verdict(scene, reply), unseen(scene)) == ("refused", [])
        assert scene.held("open_value") == scene.held() == 20_000
        written = (await scene.records("reconciled"))[-1]
        assert (written["decision"], written["by"], written["by_key"]) == (decision_of(reply), "a person", "desk")
        assert (written["order_id"], written["order_id_ex"]) == ("77", "77")
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        await round_trip(scene, s=6)
        assert "not in doubt" in await settled()
        assert scene.ledger()["holders"].keys() == {decision_of(listed)}


async def test_a_list_that_is_not_whole_makes_no_order_one_that_a_person_may_give_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart that knows no more than that it was accepted, a daemon that remembers nothing shows nothing."""
    monkeypatch.setattr(recent, "RECENT_MAX", 1)
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=LIMITS) as scene:
        name = await scene.placed(time_in_force="GTC")
        await round_trip(scene, s=6)
        await scene.placed(remark="later")
        (first, _) = scene.guard.desk.state.holders
    order = scene.daemon.orders.pop(name)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        word = {"verdict": "refused", "reason": "the broker knows of no such order"}
        scene.daemon.faults.always(HttpError(503), path="/api/history-orders")
        for s in (86_400, 61, 61):
            await round_trip(scene, s=s)
            assert unseen(scene) == []
            assert (await operate(scene.guard, f"/admin/decisions/{first}/settle", word))[0] == 422
        scene.daemon.faults.clear()
        for s in (61, 61):
            await round_trip(scene, s=s)
        assert len(unseen(scene)) == 1
        scene.daemon.orders[name] = order
        await round_trip(scene, s=61)
        assert unseen(scene) == []


async def test_a_person_cannot_name_what_is_another_order(tmp_path: Path) -> None:
    """The other side of the market, an order of ours that has ended, one that is just being cancelled, no id at all."""
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=LIMITS) as scene:
        scene.daemon.faults.add(Ids(77, "77", acts=False), path=ORDER)
        reply = await scene.place(time_in_force="GTC", remark="mine")
        ended = await scene.placed(price=201, time_in_force="GTC", remark="own")
        assert is_passed(await scene.cancel(ended))
        other_side = await elsewhere(scene, side="SELL", price=400, time_in_force="GTC")
        doubtful = await elsewhere(scene, price=199, time_in_force="GTC")
        for s in (86_400, 61, 61):
            await round_trip(scene, s=s)
        assert len(unseen(scene)) == 1
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        assert code_of(await scene.cancel(doubtful)) == (504, "outcome_unknown")
        word = {"verdict": "accepted", "reason": "seen in the app"}
        before = scene.ledger()
        for name, why in [
            (ended, "that of an order that has ended"),
            (other_side, "the working order of"),
            (doubtful, "the working order of"),
            ("0", "not the 0 that the daemon writes for none"),
        ]:
            status, told = await operate(
                scene.guard, f"/admin/decisions/{decision_of(reply)}/settle", word | {"order_id_ex": name}
            )
            assert (status, why in str(told["errors"])) == (422, True), name
        assert scene.ledger() == before


@pytest.mark.parametrize("tif", ["DAY", "GTC"])
@pytest.mark.parametrize("settled", ["accepted", "refused"])
async def test_an_order_whose_change_is_in_doubt_holds_what_it_is_shown_at(
    tmp_path: Path, tif: str, settled: str
) -> None:
    """It was changed elsewhere to terms of neither before nor after: more than either may cost, and never less."""
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=LIMITS) as scene:
        name = await scene.placed(qty=200, time_in_force=tif)
        order, book = scene.daemon.orders[name], scene.daemon.world.book
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        reply = await scene.modify(name, qty=100)
        order.qty = Decimal(400)
        for filled in (0, 50):
            if filled:
                book.fill(order, qty=Decimal(filled), price=Decimal(200), at=scene.clock.wall())
            for _ in range(2):
                await round_trip(scene, s=61)
                assert scene.held("open_value") == 80_000
                assert scene.held() >= 80_000
        assert await verdict(scene, reply) == "unknown"
        word = {"verdict": settled, "reason": "seen in the app"}
        assert (await operate(scene.guard, f"/admin/decisions/{decision_of(reply)}/settle", word))[0] == 200
        for _ in range(2):
            await round_trip(scene, s=6)
        assert scene.held("open_value") == 350 * 200
        assert scene.held() == 80_000
        await scene.written()
        assert ledger_of(recover(tmp_path / "state").state) == scene.ledger()


async def test_a_person_tells_by_which_id_an_accepted_order_is_listed(tmp_path: Path) -> None:
    """B33: its answer named a stranger's, its remark is the caller's own, and its row was taken for one of outside."""
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=LIMITS) as scene:
        scene.daemon.faults.add(Ids(77, "77", acts=True), path=ORDER)
        reply = await scene.place(time_in_force="GTC", remark="mine", side="SELL", price=400)
        (name,) = scene.daemon.orders
        other = await scene.placed(price=201, time_in_force="GTC")
        strange = await elsewhere(scene, code="00005", qty=400, price=30, time_in_force="GTC")
        for s in (86_400, 6):
            await round_trip(scene, s=s)
        ours, theirs, outside, _ = scene.guard.desk.state.holders.values()
        assert (ours.id, theirs.order_id_ex, outside.key) == (decision_of(reply), other, NOBODY)
        assert (outside.order_id_ex, scene.held("exits")) == (name, Decimal(700))
        word = {"verdict": "accepted", "reason": "seen in the app"}

        async def settled(**more: str) -> str:
            _, told = await operate(scene.guard, f"/admin/decisions/{decision_of(reply)}/settle", word | more)
            return str(told.get("errors") or told["result"])

        assert "under which id it is" in await settled()
        assert f"the working order of {theirs.id}" in await settled(order_id_ex=other)
        assert "the working order of" in await settled(order_id_ex=strange)
        assert await settled(order_id_ex=name) == "applied"
        assert "not in doubt" in await settled(verdict="refused")
        assert scene.held("exits") == 600
        await round_trip(scene, s=6)
        assert (unseen(scene), len(scene.guard.desk.state.holders)) == ([], 3)
        order = scene.daemon.orders[name]
        scene.daemon.world.book.fill(order, qty=Decimal(50), price=Decimal(400), at=scene.clock.wall())
        assert is_passed(await scene.cancel(name))
        await round_trip(scene, s=6)
        assert (scene.held("open_value"), scene.held()) == (Decimal(20_100), Decimal(20_100 + 20_000))
        await scene.written()
        assert ledger_of(recover(tmp_path / "state").state) == scene.ledger()


async def test_what_was_filled_of_an_order_is_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list has shown it, if so long ago that only its fills tell: it vanishes, and what it may have cost stays."""
    monkeypatch.setattr(recent, "RECENT_MAX", 1)
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=LIMITS) as scene:
        name = await scene.placed(time_in_force="GTC", qty=200)
        order = scene.daemon.orders[name]
        scene.daemon.world.book.fill(order, qty=Decimal(100), price=Decimal(199), at=scene.clock.wall())
        await round_trip(scene, s=6)
        await scene.placed(remark="later")
        (first, _) = scene.guard.desk.state.holders
    del scene.daemon.orders[name]
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        word = {"verdict": "refused", "reason": "the broker knows of no such order"}
        for s in (86_400, 61, 61):
            await round_trip(scene, s=s)
            assert unseen(scene) == []
            assert (await operate(scene.guard, f"/admin/decisions/{first}/settle", word))[0] == 422
        assert (scene.held(), scene.held("open_value")) == (Decimal(19_900 + 20_000 + 20_000), Decimal(20_000))


async def test_a_given_up_order_that_was_there_after_all_is_charged_for_its_fills(tmp_path: Path) -> None:
    """The person was wrong: it is not held again, but what it costs is on the day of the fill."""
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=LIMITS) as scene:
        name = await scene.placed(time_in_force="GTC")
        order = scene.daemon.orders.pop(name)
        for s in (86_400, 6):
            await round_trip(scene, s=s)
        (holder,) = scene.guard.desk.state.holders
        word = {"verdict": "refused", "reason": "the broker knows of no such order"}
        assert (await operate(scene.guard, f"/admin/decisions/{holder}/settle", word))[0] == 200
        assert scene.held() == 0
        scene.daemon.orders[name] = order
        scene.daemon.world.book.fill(order, qty=Decimal(100), price=Decimal(199), at=scene.clock.wall())
        await round_trip(scene, s=6)
        assert (scene.held(), scene.held("open_value")) == (Decimal(19_900), Decimal(0))


# ---------------------------------------------------------------- what must not happen


async def test_an_order_under_way_is_never_taken_for_one_placed_elsewhere(tmp_path: Path) -> None:
    """A list that shows our order before its answer came does not make the answer an old one (B33)."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        await scene.placed(remark="first")
        go = asyncio.Event()

        class Late:
            async def play(self, stage: Any) -> Any:
                answer = stage.act()
                await go.wait()
                return answer

        scene.daemon.faults.add(Late(), path=ORDER)
        asked = asyncio.ensure_future(scene.place(remark="own words", qty=200))
        await scene.until_reached(times=2)
        await round_trip(scene, s=6)
        assert len(scene.reached("/api/orders")) == 1
        go.set()
        reply = await asked
        assert is_passed(reply)
        assert await verdict(scene, reply) == "accepted"


@pytest.mark.parametrize("words", [None, "of the lost one"])
@pytest.mark.parametrize("remark", [None, "own words"])
async def test_b33_an_answer_that_names_an_order_in_doubt_is_set_right(
    tmp_path: Path, words: str | None, remark: str | None
) -> None:
    """The answer that was lost is given to the next order: each is found in the list, and each holds what it costs."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        lost = await doubted(scene, acts=True, remark=words)
        (first,) = scene.daemon.orders
        names = Ids(scene.daemon.orders[first].order_id, first, acts=True)
        scene.daemon.faults.add(names, path=ORDER)
        reply = await scene.place(qty=200, price=190, remark=remark)
        second = list(scene.daemon.orders)[1]
        for _ in range(12):
            await round_trip(scene, s=10)
        assert await verdict(scene, lost) == await verdict(scene, reply) == "accepted"
        assert scene.held() == scene.held("open_value") == 20_000 + 38_000
        holders = scene.guard.desk.state.holders
        assert [holders[decision_of(one)].order_id_ex for one in (lost, reply)] == [first, second]
        await scene.written()
        assert ledger_of(recover(scene.config.parent / "state").state) == scene.ledger()

        scene.daemon.world.end(scene.daemon.orders[first], Status.CANCELLED_ALL)
        await round_trip(scene, s=6)
        assert scene.held() == scene.held("open_value") == 38_000
        assert is_passed(await scene.cancel(second))
        await round_trip(scene, s=6)
        assert scene.held() == scene.held("open_value") == 0


@pytest.mark.parametrize("is_read_first", [False, True])
@pytest.mark.parametrize("remark", [None, "one for all"])
async def test_b33_an_answer_that_names_an_order_in_doubt_of_another_market_is_set_right(
    tmp_path: Path, remark: str | None, *, is_read_first: bool
) -> None:
    """Whichever of the two lists is read first: another symbol is another order."""
    limits = (
        '[orders]\nmax_value = ["1000000 HKD", "100000 USD"]\n[budgets]\nopen_value = ["9000000 HKD", "100000 USD"]'
    )
    async with stage(tmp_path, policies=limits) as scene:
        lost = await doubted(scene, acts=True, remark=remark)
        (first,) = scene.daemon.orders
        scene.daemon.faults.add(Ids(scene.daemon.orders[first].order_id, first, acts=True), path=ORDER)
        reply = await scene.place(market="US", code="AAPL", qty=10, price=190, remark=remark)
        second = list(scene.daemon.orders)[1]
        holders = scene.guard.desk.state.holders
        if is_read_first:
            scene.clock.advance(s=1)
            await scene.guard.reconciler.refresh(holders[decision_of(reply)].account, trd_market=2, jp_acc_type=None)
        for _ in range(12):
            await round_trip(scene, s=10)
        assert await verdict(scene, lost) == await verdict(scene, reply) == "accepted"
        assert [holders[decision_of(one)].order_id_ex for one in (lost, reply)] == [first, second]
        await scene.written()
        assert ledger_of(recover(scene.config.parent / "state").state) == scene.ledger()


async def test_b33_an_order_in_doubt_that_may_have_given_its_id_to_another_is_held(tmp_path: Path) -> None:
    """One remark for both, and other terms: the row is one's or the other's, changed. A person says which."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        lost = await doubted(scene, acts=True, remark="one for all")
        (first,) = scene.daemon.orders
        scene.daemon.faults.add(Ids(scene.daemon.orders[first].order_id, first, acts=True), path=ORDER)
        assert is_passed(await scene.place(qty=200, price=190, remark="one for all"))
        for _ in range(12):
            await round_trip(scene, s=10)
        assert await verdict(scene, lost) == "unknown"
        assert scene.held() == scene.held("open_value") >= 20_000 + 38_000


async def mixed_up(scene: Stage, remarks: tuple[str | None, str | None]) -> dict[int, Reply]:
    """Two orders at once, each of which is told the other's ids: the answers by quantity."""
    go, mixed = asyncio.Event(), list[Any]()

    class Mixed:
        async def play(self, stage: Any) -> Any:
            own = len(mixed)
            mixed.append(stage.act())
            await go.wait()
            return mixed[1 - own]

    scene.daemon.faults.always(Mixed(), path=ORDER)
    told = zip((100, 200), remarks, strict=True)
    asked = [asyncio.ensure_future(scene.place(qty=qty, remark=remark)) for qty, remark in told]
    await scene.until_reached(times=2)
    go.set()
    replies = {qty: await one for qty, one in zip((100, 200), asked, strict=True)}
    assert all(map(is_passed, replies.values()))
    scene.daemon.faults.clear()
    return replies


@pytest.mark.parametrize("remarks", [(None, None), ("one", "another"), ("one", None)])
@pytest.mark.parametrize("was_listed", [False, True])
@pytest.mark.parametrize("ends", [100, 200])
async def test_b33_two_orders_that_got_each_others_answer_hold_what_each_costs(
    tmp_path: Path, *, remarks: tuple[str | None, str | None], was_listed: bool, ends: int
) -> None:
    """Each follows the row with its remark, and is known by that row's ids: the end of one is not the other's."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        replies = await mixed_up(scene, remarks)
        orders, holders = scene.daemon.orders, scene.guard.desk.state.holders
        true = {decision_of(replies[int(order.qty)]): name for name, order in orders.items()}
        if was_listed:
            for _ in range(2):
                await round_trip(scene, s=6)
            assert {name: holder.order_id_ex for name, holder in holders.items()} == true
            for reply in replies.values():
                told_now = said(await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}"))
                assert told_now["order_id_ex"] == true[decision_of(reply)]
                assert told_now["order_id"] == str(orders[told_now["order_id_ex"]].order_id)
        scene.daemon.world.end(next(order for order in orders.values() if order.qty == ends), Status.CANCELLED_ALL)
        left = decision_of(replies[300 - ends])
        for _ in range(3):
            await round_trip(scene, s=6)
            assert scene.held() == scene.held("open_value") == (300 - ends) * 200
            assert {name: holder.order_id_ex for name, holder in holders.items()} == {left: true[left]}
        await scene.written()
        assert ledger_of(recover(scene.config.parent / "state").state) == scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        await round_trip(scene, s=6)
        assert scene.held("open_value") == (300 - ends) * 200
        assert is_passed(await scene.cancel(true[left]))
        await round_trip(scene, s=6)
        assert scene.held("open_value") == 0


@pytest.mark.parametrize("remarks", [(None, None), ("one", "another"), ("one", None)])
@pytest.mark.parametrize("changed", [0, 1])
async def test_b33_two_orders_that_got_each_others_answer_are_told_apart_with_a_change_in_doubt(
    tmp_path: Path, *, remarks: tuple[str | None, str | None], changed: int
) -> None:
    """Its step is settled by the row that is its own, and neither is taken for a stranger's."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        replies = await mixed_up(scene, remarks)
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        name = said(list(replies.values())[changed])["s2c"]["order_id_ex"]
        reply = await scene.modify(name, qty=500)
        for _ in range(2):
            await round_trip(scene, s=61)
        assert await verdict(scene, reply) == "refused"
        assert scene.held() == scene.held("open_value") == 60_000
        assert len(scene.guard.desk.state.holders) == 2
        await scene.written()
        assert ledger_of(recover(scene.config.parent / "state").state) == scene.ledger()


@pytest.mark.parametrize("remarks", [(None, None), ("one", "another"), ("one", None), (None, "another")])
@pytest.mark.parametrize("changed", [0, 1])
async def test_b33_two_orders_that_got_each_others_answer_are_told_apart_after_a_change(
    tmp_path: Path, *, remarks: tuple[str | None, str | None], changed: int
) -> None:
    """It was judged for one and reached the other: from the first list on each holds what it works for at least."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        replies = await mixed_up(scene, remarks)
        orders, holders = scene.daemon.orders, scene.guard.desk.state.holders
        true = {decision_of(replies[int(order.qty)]): name for name, order in orders.items()}
        assert is_passed(await scene.modify(list(orders)[changed], qty=400))
        for _ in range(3):
            await round_trip(scene, s=6)
            assert {name: holder.order_id_ex for name, holder in holders.items()} == true
            assert scene.held("open_value") >= sum(order.qty for order in orders.values()) * 200
        await scene.written()
        assert ledger_of(recover(scene.config.parent / "state").state) == scene.ledger()


@pytest.mark.parametrize("remark", [None, "own words"])
async def test_b33_an_order_whose_answer_named_one_that_was_given_up_does_not_end_with_that(
    tmp_path: Path, remark: str | None
) -> None:
    """Its stamp says whose row it is, though that decision holds nothing any more."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        lost = await doubted(scene, acts=True)
        ((name, order),) = scene.daemon.orders.items()
        del scene.daemon.orders[name]
        for _ in range(6):
            await round_trip(scene, s=31)
        assert await verdict(scene, lost) == "refused"
        scene.daemon.faults.add(Ids(order.order_id, name, acts=True), path=ORDER)
        assert is_passed(await scene.place(qty=200, price=190, remark=remark))
        scene.daemon.orders[name] = order
        await round_trip(scene, s=6)
        scene.daemon.world.end(order, Status.CANCELLED_ALL)
        for _ in range(2):
            await round_trip(scene, s=6)
            assert scene.held() == scene.held("open_value") == 38_000
        await scene.written()
        assert ledger_of(recover(scene.config.parent / "state").state) == scene.ledger()


@pytest.mark.parametrize("is_known", [False, True])
async def test_b33_an_answer_that_names_no_order_of_the_account_is_set_right_by_the_stamp(
    tmp_path: Path, *, is_known: bool
) -> None:
    """It names one that nobody knows, or another account's. Its own is followed, has its name, and is no stranger's."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        theirs = Ids(77, "77", acts=True)
        if is_known:
            name = await scene.placed(acc_id=9032)
            theirs = Ids(scene.daemon.orders[name].order_id, name, acts=True)
        scene.daemon.faults.add(theirs, path=ORDER)
        reply = await scene.place()
        assert is_passed(reply)
        order = list(scene.daemon.orders.values())[-1]
        await round_trip(scene, s=6)
        holders = scene.guard.desk.state.holders
        assert holders[decision_of(reply)].order_id_ex == order.order_id_ex
        assert not [one for one in holders.values() if not one.key]
        await scene.written()
        assert ledger_of(recover(scene.config.parent / "state").state) == scene.ledger()
        assert is_passed(await scene.cancel(order.order_id_ex))
        await round_trip(scene, s=6)
        assert scene.held() == scene.held("open_value") == (20_000 if is_known else 0)


async def test_a_cancel_all_in_doubt_of_a_market_that_its_account_does_not_have_ends(tmp_path: Path) -> None:
    """No list of it can be read, and nothing is there; it stayed in the status until a person settled it."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        scene.daemon.faults.add(Reset(acts=False), path=CANCEL_ALL)
        scene.daemon.faults.always(HttpError(500), path="/api/orders")
        elsewhere = await scene.ask(CANCEL_ALL, account(acc_id=9032, market="SG"))
        scene.daemon.faults.add(Reset(acts=False), path=CANCEL_ALL)
        here = await scene.ask(CANCEL_ALL, account(acc_id=9032))
        assert code_of(elsewhere) == code_of(here) == (504, "outcome_unknown")
        for _ in range(2):
            await round_trip(scene, s=61)
        assert await verdict(scene, elsewhere) == "refused"
        assert await verdict(scene, here) == "unknown"


async def test_no_daemon_no_harm(tmp_path: Path) -> None:
    """While nobody answers, nothing is learned, nothing fails, and readiness does not wait."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        reply = await doubted(scene, acts=True)
        scene.daemon.faults.always(Unreachable())
        for _ in range(3):
            await round_trip(scene, s=60)
        assert await verdict(scene, reply) == "unknown"
        assert (await operate(scene.guard, "/readyz"))[0] == 200
        assert not scene.guard.supervisor.concerns()
        scene.daemon.faults.clear()
        await round_trip(scene, s=10)
        assert await verdict(scene, reply) == "accepted"


async def test_an_order_that_vanishes_is_not_held_for_ever(tmp_path: Path) -> None:
    """It was listed, and twice it is in neither list: it works no longer; what it may have cost stays charged."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed()
        await round_trip(scene, s=6)
        scene.daemon.world.end(scene.daemon.orders[name], Status.CANCELLED_ALL)
        scene.daemon.world.end(scene.daemon.orders[name], Status.DELETED)
        await round_trip(scene, s=30)
        assert scene.held("open_value") == 20_000
        await round_trip(scene, s=31)
        await round_trip(scene, s=31)
        assert (scene.held("open_value"), scene.held()) == (Decimal(0), Decimal(20_000))


async def test_an_order_that_was_back_between_two_absences_is_held(tmp_path: Path) -> None:
    """Lists that miss a working order now and then free nothing: only two absences in a row do."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed()
        await round_trip(scene, s=6)
        for _ in range(3):
            missed = scene.daemon.orders.pop(name)
            for _ in range(2):
                await round_trip(scene, s=31)
                assert scene.held("open_value") == 20_000
            scene.daemon.orders[name] = missed
            await round_trip(scene, s=6)
        del scene.daemon.orders[name]
        for _ in range(3):
            await round_trip(scene, s=31)
        assert scene.held("open_value") == 0


@pytest.mark.parametrize("tif", ["DAY", "GTC"])
@pytest.mark.parametrize(("qty", "acts"), [(300, True), (300, False), (100, True), (100, False)])
async def test_one_that_vanishes_with_a_change_in_doubt_is_not_held_for_ever(
    tmp_path: Path, *, qty: int, acts: bool, tif: str
) -> None:
    """Nobody will ever know whether it was changed: the larger value stays charged, for a day, and all else is free."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=200, time_in_force=tif)
        await round_trip(scene, s=6)
        scene.daemon.faults.add(Reset(acts=acts), path=MODIFY)
        reply = await scene.modify(name, qty=qty)
        del scene.daemon.orders[name]
        for s in (31, 28):
            await round_trip(scene, s=s)
            assert (await verdict(scene, reply), scene.held("open_value")) == ("unknown", Decimal(max(qty, 200) * 200))
        for _ in range(4):
            await round_trip(scene, s=31)
        assert scene.held("open_value") == scene.held("exits") == 0
        assert scene.held() == max(qty, 200) * 200
        assert not [cell for cell in scene.guard.desk.state.sums if "gtc" in cell]
        assert (await operate(scene.guard, "/status"))[1]["unknown"] == []
        await scene.written()
        assert ledger_of(recover(tmp_path / "state").state) == scene.ledger()


@pytest.mark.parametrize("tif", ["DAY", "GTC"])
@pytest.mark.parametrize("qty", [300, 100])
async def test_one_that_vanishes_with_another_keys_change_in_doubt_keeps_the_larger_on_each_counter(
    tmp_path: Path, qty: int, tif: str
) -> None:
    """The change counts for the key that asked for it; what its owner's counter gives up may have been filled."""
    per_key = LIMITS + '[rights]\ntouch = "account"\n'
    async with stage(tmp_path, policies=per_key) as scene:
        name = await scene.placed(qty=200, time_in_force=tif)
        await round_trip(scene, s=6)
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        assert code_of(await scene.modify(name, who="desk", qty=qty)) == (504, "outcome_unknown")
        del scene.daemon.orders[name]
        for _ in range(6):
            await round_trip(scene, s=31)
        sums = scene.guard.desk.state.sums
        spent = {who: sum(sums[cell] for cell in sums if f"key={who};" in cell) for who in ("bot", "desk")}
        assert spent == {"bot": max(qty, 200) * 200 * 10_000, "desk": qty * 200 * 10_000}
        assert scene.held("open_value") == 0
        await scene.written()
        assert ledger_of(recover(tmp_path / "state").state) == scene.ledger()


async def test_one_that_no_list_has_ever_shown_stays_held_with_its_change(tmp_path: Path) -> None:
    """It may be there yet, as it was or as it was to become."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed()
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        reply = await scene.modify(name, qty=300)
        del scene.daemon.orders[name]
        for _ in range(6):
            await round_trip(scene, s=31)
        assert (await verdict(scene, reply), scene.held("open_value")) == ("unknown", Decimal(60_000))


@pytest.mark.parametrize(("time_in_force", "held"), [("DAY", 0), ("GTC", 20_000)])
async def test_a_day_order_that_no_list_ever_showed_is_not_held_for_ever(
    tmp_path: Path, time_in_force: str, held: int
) -> None:
    """It was accepted: two weeks later it cannot work, and two whole lists say so. Till cancelled it may work yet."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        scene.daemon.faults.add(Ids(77, "77", acts=False), path=ORDER)
        assert is_passed(await scene.place(time_in_force=time_in_force))
        for s in (6, 61, 61, 13 * 86_400):
            await round_trip(scene, s=s)
            assert scene.held("open_value") == 20_000
        scene.clock.advance(s=86_400)
        for _ in range(3):
            await round_trip(scene, s=61)
        assert scene.held("open_value") == held
        assert scene.held() > 0
        await scene.written()
        assert ledger_of(recover(scene.config.parent / "state").state) == scene.ledger()


async def test_lasting_orders_that_no_list_shows_for_a_day_are_told(tmp_path: Path) -> None:
    """They may not exist, and hold their room for ever: a person finds out. What a list shows again is not told."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        placed = [await scene.placed(time_in_force="GTC") for _ in range(6)]
        hidden = {name: scene.daemon.orders.pop(name) for name in placed}
        await round_trip(scene, s=86_390)
        assert unseen(scene) == []
        await round_trip(scene, s=10)
        (told,) = unseen(scene)
        named = [f"{holder.order_id_ex} (decision {name})" for name, holder in scene.guard.desk.state.holders.items()]
        begin, end = "orders: accepted more than a day ago, holding room, and in no list: ", "; see guard settle"
        assert told == f"{begin}{', '.join(named[:5])} and 1 more{end}"
        scene.daemon.orders.update(dict(list(hidden.items())[1:]))
        await round_trip(scene, s=10)
        assert unseen(scene) == [begin + named[0] + end]
        scene.daemon.orders.update(hidden)
        await round_trip(scene, s=10)
        assert unseen(scene) == []


@pytest.mark.parametrize("qty", [300, 100])
async def test_a_day_order_that_no_list_ever_showed_is_not_held_for_ever_with_its_change_in_doubt(
    tmp_path: Path, qty: int
) -> None:
    """Two weeks later neither can work, as it was or as it was to become; the larger stays charged to its day."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed(qty=200)
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        reply = await scene.modify(name, qty=qty)
        del scene.daemon.orders[name]
        scene.clock.advance(s=13 * 86_400)
        for _ in range(4):
            await round_trip(scene, s=61)
        assert scene.held("open_value") == max(qty, 200) * 200
        scene.clock.advance(s=86_400)
        for _ in range(4):
            await round_trip(scene, s=61)
        assert (scene.held("open_value"), scene.held()) == (Decimal(0), Decimal(max(qty, 200) * 200))
        assert await verdict(scene, reply) != "unknown"
        await scene.written()
        assert ledger_of(recover(scene.config.parent / "state").state) == scene.ledger()


async def test_a_day_order_that_no_list_shows_is_held_though_the_clock_is_set_ahead(tmp_path: Path) -> None:
    """Its day is not over: the wall stepped, time did not go by."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        scene.daemon.faults.add(Ids(77, "77", acts=True), path=ORDER)
        assert is_passed(await scene.place(remark="own words"))
        scene.clock.step_wall(s=20 * 86_400)
        for _ in range(4):
            await round_trip(scene, s=61)
        assert scene.held("open_value") == 20_000


async def test_b20_what_a_daemon_without_its_login_does_not_list_is_there_all_the_same(tmp_path: Path) -> None:
    """B20: a success without a row proves nothing then, neither of an order in doubt nor of one that was listed."""
    nothing, logged_out = b'{"ret_type":0,"s2c":{"order_list":[]}}', b'{"ret_type":0,"s2c":{"trd_logined":false}}'
    async with stage(tmp_path, policies=LIMITS) as scene:
        await scene.placed()
        await round_trip(scene, s=6)
        lost = await doubted(scene, acts=True, qty=200)
        for path in LISTS:
            scene.daemon.faults.always(Garbage(nothing), path=path)
        scene.daemon.faults.always(Garbage(logged_out), path="/api/global-state")
        for _ in range(6):
            await round_trip(scene, s=61)
        assert (scene.held("open_value"), await verdict(scene, lost)) == (Decimal(60_000), "unknown")
        scene.daemon.faults.clear()
        await round_trip(scene, s=61)
        assert (scene.held("open_value"), await verdict(scene, lost)) == (Decimal(60_000), "accepted")


async def test_b20_what_the_daemons_memory_does_not_list_is_there_all_the_same(tmp_path: Path) -> None:
    """B20: the broker is asked before anything is let go: a daemon that has just started remembers no orders."""

    class Forgetful(Struct, frozen=True):
        async def play(self, stage: Call) -> Answer | Failure:
            """What the broker says, to whoever wants the broker asked; else nothing."""
            answer = stage.act()
            is_fresh = scene.reached("/api/orders")[-1].json["c2s"].get("refresh_cache")
            return answer if is_fresh else Answer(200, "application/json", b'{"ret_type":0,"s2c":{"order_list":[]}}')

    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed()
        await round_trip(scene, s=6)
        scene.daemon.faults.always(Forgetful(), path="/api/orders")
        for _ in range(8):
            await round_trip(scene, s=31)
        assert (scene.held("open_value"), scene.held()) == (Decimal(20_000), Decimal(20_000))
        assert is_passed(await scene.modify(name, qty=200))
        del scene.daemon.orders[name]
        for _ in range(5):
            await round_trip(scene, s=31)
        assert scene.held("open_value") == 0


async def test_an_order_that_vanished_while_the_guard_was_down_is_not_held_for_ever(tmp_path: Path) -> None:
    """It was listed before the start and is in neither list after it: twice, a minute after it at the soonest."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await scene.placed()
        await round_trip(scene, s=6)
    del scene.daemon.orders[name]
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        await round_trip(scene, s=59)
        await round_trip(scene, s=29)
        assert scene.held("open_value") == 20_000
        await round_trip(scene, s=31)
        await round_trip(scene, s=31)
        assert (scene.held("open_value"), scene.held()) == (Decimal(0), Decimal(20_000))
        await scene.written()
        assert ledger_of(recover(tmp_path / "state").state) == scene.ledger()


async def test_an_accepted_order_that_no_list_has_ever_shown_stays_held(tmp_path: Path) -> None:
    """Only what was listed can vanish, before a restart and after it."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        del scene.daemon.orders[await scene.placed()]
        for _ in range(4):
            await round_trip(scene, s=31)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        for _ in range(5):
            await round_trip(scene, s=31)
        assert (scene.held("open_value"), scene.held()) == (Decimal(20_000), Decimal(20_000))


async def test_what_is_filled_stays_told_while_a_change_in_doubt_holds_more(tmp_path: Path) -> None:
    """Whoever asks for the decision, and whoever reads the record, is told the fills with what is held."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        placed = await scene.place(qty=200)
        name = said(placed)["s2c"]["order_id_ex"]
        order, book = scene.daemon.orders[name], scene.daemon.world.book
        book.fill(order, qty=Decimal(50), price=Decimal(200), at=scene.clock.wall())
        await round_trip(scene, s=6)
        path = f"/guard/v1/decisions/{decision_of(placed)}"
        assert said(await scene.ask(path))["filled_qty"] == "50"
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        await scene.modify(name, qty=100)
        order.qty = Decimal(400)
        await round_trip(scene, s=61)
        await round_trip(scene, s=61)
        assert scene.held("open_value") == 350 * 200
        assert said(await scene.ask(path))["filled_qty"] == "50"
