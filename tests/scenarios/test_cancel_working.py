"""A trading state that also cancels what works in its scope: by whom, why, and through the same mechanism."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs

from guard.admin.change import Who
from guard.admin.stopping import cancel_scope
from guard.limits import TradingRule
from guard.recovery.readback import recover
from guard.simulator.faults import Hold, RetType
from guard.simulator.orders import Status
from tests.support.daemon import Busy
from tests.support.disk import NO_SPACE, FaultyDisk
from tests.support.guards import operate, record, said, write_keys
from tests.support.stage import (
    CANCEL_ALL,
    DAILY,
    MODIFY,
    ORDER,
    TRADING,
    Stage,
    account,
    again,
    code_of,
    is_passed,
    ledger_of,
    stage,
)

STATE: Final = "/admin/state"
KEYS: Final = (record("bot"), record("other"), record("desk", owner="Ada Lovelace"))


@asynccontextmanager
async def two_bots(folder: Path, **more: Any) -> AsyncIterator[tuple[Stage, dict[str, str]]]:
    """Two bots with orders on one account in Hong Kong, one of them in America too."""
    async with stage(folder, *KEYS, policies=DAILY, **more) as scene:
        names = {
            "bot": await scene.placed(),
            "other": await scene.placed(who="other", remark="2"),
            "late": await scene.placed(remark="3"),
            "us": await scene.placed(market="US", code="AAPL", qty=1, price=100),
        }
        yield scene, names


async def stop(scene: Stage, **members: Any) -> Any:
    """The operator's word, and the work that follows it done."""
    status, told = await operate(
        scene.guard, STATE, {"state": "cancel_only", "reason": "odd fills", "cancel_working": True} | members
    )
    assert status == 200, told
    async with asyncio.timeout(60):
        while scene.guard.supervisor.in_flight:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
    return told


def working(scene: Stage, names: dict[str, str]) -> set[str]:
    """Which of them still work."""
    return {word for word, name in names.items() if scene.daemon.orders[name].is_open}


@pytest.mark.parametrize(
    ("scope", "left", "ways"),
    [
        ({}, set(), {CANCEL_ALL: 1, MODIFY: 1}),
        ({"keys": ["bot"]}, {"other"}, {MODIFY: 3}),
        ({"keys": ["other"]}, {"bot", "late", "us"}, {MODIFY: 1}),
        ({"markets": ["HK"]}, {"us"}, {CANCEL_ALL: 1}),
        ({"keys": ["bot"], "markets": ["US"]}, {"bot", "other", "late"}, {MODIFY: 1}),
        ({"accounts": [123456]}, set(), {CANCEL_ALL: 1, MODIFY: 1}),
        ({"accounts": [9032]}, {"bot", "other", "late", "us"}, {}),
    ],
)
async def test_the_scopes_orders_end_and_no_other(
    tmp_path: Path, scope: dict[str, Any], left: set[str], ways: dict[str, int]
) -> None:
    """One by one where others work beside them, at once where an account's market is all within the scope."""
    async with two_bots(tmp_path) as (scene, names):
        await stop(scene, scope=scope)
        assert working(scene, names) == left
        assert {path: len(scene.reached(path)) for path in (CANCEL_ALL, MODIFY) if scene.reached(path)} == ways


async def test_a_revoked_keys_orders_end_by_its_name(tmp_path: Path) -> None:
    """Whoever takes a leaked key away first can cancel what it left working, and nobody else's; after a start too."""
    async with two_bots(tmp_path) as (scene, names):
        write_keys(tmp_path / "keys.json", *KEYS[1:])
        await scene.guard.changes.reload_keys(Who("desk", "leaked"))
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        await stop(scene, scope={"keys": ["bot"]})
        assert working(scene, names) == {"other"}


@pytest.mark.parametrize("drill", [False, True])
async def test_who_and_why_are_in_the_record(tmp_path: Path, *, drill: bool) -> None:
    """The state names a batch, and each cancel that batch, the operator's key, the reason, and that it was a drill."""
    async with two_bots(tmp_path) as (scene, names):
        told = await stop(scene, scope={"keys": ["bot"]}, drill=drill)
        (state,) = await scene.records("state")
        assert (state["by"], state["reason"], state["cancel_working"]) == ("Ada Lovelace", "odd fills", True)
        assert state.get("drill", False) is drill
        assert told["changes"][1] == f"3 working orders are being cancelled: batch {state['batch']} in the record"
        parts = [line for line in await scene.records("decision") if line.get("batch") == state["batch"]]
        assert [part["key"] for part in parts] == ["desk"] * 3
        assert {part["note"] for part in parts} == {
            f"{'drill: ' if drill else ''}cancel_only by Ada Lovelace: odd fills"
        }
        ended = {line["decision"]: line["verdict"] for line in await scene.records("outcome")}
        assert [ended[part["id"]] for part in parts] == ["accepted"] * 3
        assert working(scene, names) == {"other"}


async def test_the_guards_own_word_cancels_as_an_operators_does(tmp_path: Path) -> None:
    """A cancel that no key asked for is sent, settled and read back like any other."""
    async with two_bots(tmp_path) as (scene, names):
        rule = TradingRule("cancel_only", ("bot",), reason="odd", by="guard")
        cancel_scope(scene.guard.pipeline.cancelling, scene.guard.desk.state, rule, batch="b", by=None)
        async with asyncio.timeout(60):
            while scene.guard.supervisor.in_flight:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
        assert working(scene, names) == {"other"}
        await scene.written()
        assert ledger_of(recover(tmp_path / "state").state) == scene.ledger()


async def test_without_the_word_orders_stay(tmp_path: Path) -> None:
    """A state by itself cancels nothing."""
    async with two_bots(tmp_path) as (scene, names):
        await stop(scene, cancel_working=False)
        assert working(scene, names) == set(names)
        assert "batch" not in (await scene.records("state"))[0]


async def test_an_order_on_its_way_does_not_slip_through(tmp_path: Path) -> None:
    """What the daemon has but has not named is cancelled once it is named; what had not left is not sent."""
    go = asyncio.Event()
    async with two_bots(tmp_path) as (scene, names):
        scene.daemon.faults.add(Hold(go), path=ORDER)
        coming = asyncio.ensure_future(scene.place(remark="coming"))
        await scene.until_reached(times=5)
        asked = asyncio.ensure_future(stop(scene))
        async with asyncio.timeout(60):
            while not scene.guard.desk.state.trading:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
        assert code_of(await scene.place(remark="after")) == (423, "halted")
        go.set()
        assert is_passed(await coming)
        await asked
        assert not [order for order in scene.daemon.orders.values() if order.is_open]
        assert working(scene, names) == set()


async def test_a_daemon_that_will_not_cancel_all_is_asked_one_by_one(tmp_path: Path) -> None:
    """A refusal of the request for all ends nothing, so each order is cancelled by itself."""
    async with two_bots(tmp_path) as (scene, names):
        scene.daemon.faults.always(RetType(-1, "not supported"), path=CANCEL_ALL)
        await stop(scene)
        assert working(scene, names) == set()
        assert len(scene.reached(MODIFY)) == 4


async def test_a_broken_journal_keeps_no_cancel_back(tmp_path: Path) -> None:
    """The state cannot be recorded and says so; the orders end all the same."""
    disk = FaultyDisk()
    async with two_bots(tmp_path, disk=disk, toml=TRADING) as (scene, names):
        disk.fails["write"] = NO_SPACE
        assert code_of(await scene.place(remark="breaks")) == (503, "journal_unavailable")
        status, told = await operate(scene.guard, STATE, {"state": "locked", "reason": "disk", "cancel_working": True})
        assert (status, told["result"]) == (503, "unrecorded")
        assert "4 working orders are being cancelled" in told["changes"][0]
        async with asyncio.timeout(60):
            while scene.guard.supervisor.in_flight:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
        assert working(scene, names) == set()


async def test_a_revoked_keys_own_cancel_of_all_does_not_swallow_the_operators(tmp_path: Path) -> None:
    """What a key was cancelling when it was revoked is cancelled on the operator's word, who came later."""
    go = asyncio.Event()
    async with stage(tmp_path, *KEYS, policies=DAILY) as scene:
        names = {"other": await scene.placed(who="other", remark="theirs")}
        names |= {f"n{n}": await scene.placed(remark=f"n{n}") for n in range(12)}
        scene.daemon.faults.always(Hold(go), path=MODIFY)
        own = asyncio.ensure_future(scene.ask(CANCEL_ALL, account()))
        await scene.until_reached(MODIFY, times=8)
        write_keys(scene.config.parent / "keys.json", KEYS[1], KEYS[2])
        assert (await operate(scene.guard, "/admin/keys/reload", {}))[0] == 200
        asked = asyncio.ensure_future(stop(scene))
        async with asyncio.timeout(60):
            while not scene.guard.desk.state.trading:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
        go.set()
        await asked
        await own
        assert working(scene, names) == set()


@pytest.mark.parametrize("has_ended", [False, True])
async def test_a_cancel_whose_key_ends_before_it_leaves_is_sent_in_the_name_of_who_else_asked(
    tmp_path: Path, has_ended: bool
) -> None:
    """It waits for a connection when its key is revoked; unless a list shows that there is nothing left to cancel."""
    daemon = Busy()
    daemon.free.set()
    async with stage(tmp_path, *KEYS, policies=DAILY, daemon=daemon) as scene:
        names = {"bot": await scene.placed(), "other": await scene.placed(who="other", remark="theirs")}
        await scene.guard.reconciler.turn()
        daemon.free.clear()
        daemon.waiting.clear()
        own = asyncio.ensure_future(scene.ask(CANCEL_ALL, account()))
        await daemon.waiting.wait()
        asked = asyncio.ensure_future(stop(scene, scope={"keys": ["bot"]}))
        async with asyncio.timeout(60):
            while not scene.guard.desk.state.trading:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
        write_keys(scene.config.parent / "keys.json", KEYS[1], KEYS[2])
        await scene.guard.reload()
        if has_ended:
            daemon.world.end(daemon.orders[names["bot"]], Status.CANCELLED_ALL)
            scene.clock.advance(s=6)
            await scene.guard.reconciler.turn()
        daemon.free.set()
        await asked

        (result,) = said(await own)["s2c"]["results"]
        assert result["outcome"] == ("ended" if has_ended else "accepted")
        verdicts = {record["decision"]: record["verdict"] for record in await scene.records("outcome")}
        cancels = [record for record in await scene.records("decision") if record["endpoint"] == MODIFY]
        told = [(record["key"], verdicts[record["id"]]) for record in cancels]
        assert told == [("bot", "not_sent"), ("desk", "accepted")][: 1 if has_ended else 2]
        assert working(scene, names) == {"other"}
        assert len(scene.reached(MODIFY)) == (0 if has_ended else 1)


async def test_a_reload_of_the_operators_limits_does_not_stop_what_he_has_cancelled(tmp_path: Path) -> None:
    """The word was given by a key that still stands, so all of it is carried out."""
    go = asyncio.Event()
    async with stage(tmp_path, *KEYS, policies=DAILY) as scene:
        names = {"other": await scene.placed(who="other", remark="theirs")}
        names |= {f"n{n}": await scene.placed(remark=f"n{n}") for n in range(12)}
        scene.daemon.faults.always(Hold(go), path=MODIFY)
        asked = asyncio.ensure_future(stop(scene, scope={"keys": ["bot"]}))
        await scene.until_reached(MODIFY, times=8)
        write_keys(
            scene.config.parent / "keys.json", *KEYS[:2], record("desk", owner="Ada Lovelace", max_order_value=1)
        )
        assert (await operate(scene.guard, "/admin/keys/reload", {}, who="desk"))[1]["result"] == "applied"
        go.set()
        await asked
        assert working(scene, names) == {"other"}


async def test_an_operators_one_request_for_all_meets_no_order_outside_its_scope(tmp_path: Path) -> None:
    """An order that is out of scope and came in between: each is cancelled by itself, and that one stays."""
    async with stage(tmp_path, *KEYS, policies=DAILY) as scene:
        names = {f"n{n}": await scene.placed(remark=f"n{n}") for n in range(3)}
        state, cancelling = scene.guard.desk.state, scene.guard.pipeline.cancelling
        rule = TradingRule("cancel_only", ("bot",), reason="odd", by="Ada")
        cancel_scope(cancelling, state, rule, batch="b", by=scene.guard.desk.config.keyring.principals["desk"])
        first = next(iter(state.holders.values()))
        state.holders["late"] = structs.replace(
            first, id="late", about=structs.replace(first.about, key="other")
        )  # as a decision's reservation does
        async with asyncio.timeout(60):
            while scene.guard.supervisor.in_flight:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
        del state.holders["late"]
        assert (scene.reached(CANCEL_ALL), len(scene.reached(MODIFY)), working(scene, names)) == ([], 3, set())
