"""What stops a cancel: who asks, whose the order is, and the one rate that is written for cancels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from guard.limits import note_outside
from guard.simulator.faults import HttpError, Reset
from guard.simulator.orders import Status
from guard.terms import Account, Env
from tests.support.guards import order, record, said
from tests.support.stage import (
    CANCEL_ALL,
    DAILY,
    MODIFY,
    ORDER,
    Stage,
    account,
    change,
    code_of,
    is_passed,
    stage,
)

OWNERS: Final = (record("bot"), record("other"))


async def _locked(scene: Stage) -> None:
    await scene.set_state("locked")


async def _no_policies(scene: Stage) -> None:
    scene.lose_policies()


async def test_strangers_cannot_cancel(tmp_path: Path) -> None:
    """No key, a wrong key, a key without a trade scope or for the other environment cancels nothing."""
    keys = (*OWNERS, record("reader", scopes=["acc:read"]), record("real", scopes=["trade:real"]))
    async with stage(tmp_path, *keys) as scene:
        mine = await scene.placed()
        assert code_of(await scene.cancel(mine, who=None)) == (401, "unauthenticated")
        assert code_of(await scene.cancel(mine, who="nobody")) == (401, "unauthenticated")
        assert code_of(await scene.cancel(mine, who="reader")) == (403, "scope")
        assert code_of(await scene.cancel(mine, who="real")) == (403, "environment")
        assert scene.reached(MODIFY) == []


@pytest.mark.parametrize("enter", [_locked, _no_policies])
async def test_somebody_elses_order_is_not_cancelled(tmp_path: Path, enter: Callable[[Stage], Any]) -> None:
    """Under touch = "own", which is the default, another key's order stays; also while nothing else may pass."""
    async with stage(tmp_path, *OWNERS) as scene:
        mine = await scene.placed()
        await enter(scene)
        for op in ("CANCEL", "DISABLE", "DELETE"):
            assert code_of(await scene.cancel(mine, who="other", op=op)) == (403, "not_your_order")
        assert scene.reached(MODIFY) == []


async def test_somebody_elses_order_has_no_other_name(tmp_path: Path) -> None:
    """Whichever of its names is used, in whichever field, beside whichever other name: it is somebody else's order."""
    async with stage(tmp_path, *OWNERS) as scene:
        theirs = scene.daemon.orders[await scene.placed()]
        mine = scene.daemon.orders[await scene.placed(who="other", remark="mine")]
        names: list[tuple[Any, Any]] = [
            (theirs.order_id, None),
            (int(theirs.order_id_ex), None),
            (None, str(theirs.order_id)),
            (theirs.order_id, theirs.order_id_ex),
            (theirs.order_id, "FH0000"),
        ]
        for order_id, order_id_ex in names:
            body = change(order_id_ex, op="CANCEL", order_id=order_id)
            assert code_of(await scene.ask(MODIFY, body, who="other"))[1] in {"not_your_order", "conflicting_fields"}
        for order_id, order_id_ex in [
            (mine.order_id, theirs.order_id_ex),
            (theirs.order_id, mine.order_id_ex),
            (mine.order_id, "7570000"),
            (7570000, mine.order_id_ex),
        ]:
            for op in ("CANCEL", "NORMAL"):
                body = change(order_id_ex, op=op, order_id=order_id)
                assert code_of(await scene.ask(MODIFY, body, who="other")) == (400, "conflicting_fields")
        assert scene.reached(MODIFY) == []


async def test_somebody_elses_order_is_not_cancelled_as_one_of_another_account(tmp_path: Path) -> None:
    """Whether the daemon would find it there or not; its owner is not stopped, nor who may touch that account's."""
    keys = (*OWNERS, record("desk"), record("one", allowed_acc_ids=[9032]))
    touch = {"desk.toml": DAILY, "touch.toml": '[applies_to]\nkeys = ["desk"]\n[rights]\ntouch = "account"\n'}
    async with stage(tmp_path, *keys, policies=touch) as scene:
        theirs, beside = [scene.daemon.orders[await scene.placed(qty=qty)] for qty in (100, 200)]
        named = (theirs.order_id_ex, None), (None, theirs.order_id), (None, int(theirs.order_id_ex))
        for who in ("other", "one"):
            for name, number in (*named, (theirs.order_id_ex, beside.order_id)):
                body = change(name, op="CANCEL", order_id=number, acc_id=9032)
                assert code_of(await scene.ask(MODIFY, body, who=who)) == (403, "not_your_order")
        assert scene.reached(MODIFY) == []
        for who in ("bot", "desk"):
            await scene.cancel(theirs.order_id_ex, who=who, acc_id=9032)
        assert len(scene.reached(MODIFY)) == 2
        assert theirs.is_open


async def test_a_cancel_passes_where_the_order_may_be_its_accounts_own(tmp_path: Path) -> None:
    """Ids can repeat: an order under way may get this one, one that ended had it, and two accounts tell nothing."""
    async with stage(tmp_path, *OWNERS) as scene:
        theirs = await scene.placed()
        scene.daemon.faults.add(Reset(acts=False), path=ORDER)
        assert (await scene.place(who="other", acc_id=9032)).status == 504
        await scene.cancel(theirs, who="other", acc_id=9032)
        assert len(scene.reached(MODIFY)) == 1

    (tmp_path / "ended").mkdir()
    async with stage(tmp_path / "ended", *OWNERS) as scene:
        theirs = await scene.placed()
        note_outside(scene.guard.desk.state, Account(Env.SIMULATE, 9032), order_id=None, order_id_ex=theirs)
        await scene.cancel(theirs, who="other", acc_id=9032)
        assert len(scene.reached(MODIFY)) == 1


async def test_a_cancel_goes_out_under_the_daemons_own_names(tmp_path: Path) -> None:
    """Whichever name the caller used, the daemon is sent both under which it once answered."""
    async with stage(tmp_path) as scene:
        mine = scene.daemon.orders[await scene.placed()]
        assert is_passed(await scene.ask(MODIFY, change(None, op="CANCEL", order_id=int(mine.order_id_ex))))

        sent = scene.reached(MODIFY)[0].json["c2s"]
        assert (sent["order_id"], sent["order_id_ex"]) == (mine.order_id, mine.order_id_ex)
        assert {"qty", "price"}.isdisjoint(sent)


async def test_under_touch_account_keys_may_cancel_for_each_other(tmp_path: Path) -> None:
    """A policy that says touch = "account" opens the account's orders to its keys."""
    async with stage(tmp_path, *OWNERS, policies=DAILY + '[rights]\ntouch = "account"\n') as scene:
        mine = await scene.placed()
        assert is_passed(await scene.cancel(mine, who="other"))


async def test_an_order_of_nobody_may_be_cancelled(tmp_path: Path) -> None:
    """An order that was placed elsewhere has no owner here: any trading key of the account may cancel it."""
    async with stage(tmp_path) as scene:
        await scene.ask(ORDER, order(price=200))
        elsewhere = next(iter(scene.daemon.orders))
        scene.guard.desk.state.holders.clear()
        scene.guard.desk.state.ids.clear()
        assert is_passed(await scene.cancel(elsewhere))
        assert scene.daemon.orders[elsewhere].status is Status.CANCELLED_ALL


async def test_the_explicit_cancel_rate_binds(tmp_path: Path) -> None:
    """rates.cancels is the one limit that a cancel meets, with an exact time; orders and changes do not use it up."""
    async with stage(tmp_path, policies=DAILY.replace("[rates]", '[rates]\ncancels = "2/60s"')) as scene:
        orders = [await scene.placed(remark=f"n{n}") for n in range(3)]
        assert is_passed(await scene.cancel(orders[0]))
        assert is_passed(await scene.ask(CANCEL_ALL, account()))
        refused = await scene.cancel(orders[2])
        assert code_of(refused) == (429, "rate")
        assert said(refused)["guard"]["retry_after_s"] == 60
        scene.clock.advance(s=60)
        assert (await scene.cancel(orders[2])).status == 200


async def test_w09_a_burst_of_orders_does_not_lock_the_exit(tmp_path: Path) -> None:
    """Whatever orders and changes used up, a cancel finds its way free."""
    async with stage(tmp_path, record("bot", max_orders_per_minute=3), policies=DAILY) as scene:
        mine = await scene.placed()
        for n in range(10):
            await scene.place(remark=f"n{n}")
        assert code_of(await scene.modify(mine)) == (429, "rate")
        assert is_passed(await scene.cancel(mine))


@pytest.mark.parametrize("is_told", [True, False])
async def test_an_order_in_doubt_is_its_own_keys_to_cancel(tmp_path: Path, is_told: bool) -> None:
    """Another key that reads its id from a list is refused, also before it has a name here; without one it passes."""
    async with stage(tmp_path, record("bot"), record("other"), policies=DAILY) as scene:
        scene.daemon.faults.add(Reset(acts=True), path=ORDER)
        assert (await scene.place(who="other")).status == 504
        (name,) = scene.daemon.orders
        if not is_told:
            scene.daemon.faults.always(HttpError(503), path="/api/orders")
        reply = await scene.cancel(name)

        assert code_of(reply) == (403, "not_your_order") if is_told else is_passed(reply)
        assert scene.daemon.orders[name].is_open is is_told
        assert is_passed(await scene.cancel(name, who="other")) is is_told
