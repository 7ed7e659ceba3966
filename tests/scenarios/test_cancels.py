"""A cancel takes risk away: it passes whatever limits, hours or state say. Only identity, somebody else's ownership and
an explicit cancel rate stop it.
"""

import asyncio
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from guard.simulator.faults import Delay, Hold, HttpError, Reset, RetType
from guard.terms import Reply
from guard.walk.gather import CANCEL_WAIT_S
from tests.support.disk import NO_SPACE, FaultyDisk
from tests.support.guards import lines, record, said
from tests.support.halted import STATES, broken
from tests.support.stage import (
    ACCOUNTS,
    CANCEL_ALL,
    DAILY,
    MODIFY,
    ORDER,
    TRADING,
    account,
    again,
    change,
    code_of,
    decision_of,
    is_passed,
    stage,
)

PATIENT: Final = TRADING + "[daemon]\nread_timeout_s = 3600\n"


@pytest.mark.parametrize("name", STATES)
async def test_a_cancel_passes_in_every_state(tmp_path: Path, name: str) -> None:
    """Where a new order and a change are refused, every way to cancel passes and reaches the daemon."""
    enter, status, code = STATES[name]
    async with stage(tmp_path, policies=DAILY, disk=FaultyDisk()) as scene:
        orders = [await scene.placed(remark=f"n{n}") for n in range(4)]
        await enter(scene)
        assert code_of(await scene.place()) == (status, code)
        assert code_of(await scene.modify(orders[0], price=190)) == (status, code)

        assert is_passed(await scene.cancel(orders[0]))
        assert is_passed(await scene.cancel(orders[1], op="DISABLE"))
        assert is_passed(await scene.cancel(orders[1], op="DELETE"))
        assert is_passed(await scene.cancel(orders[2], qty=0, price=-1))  # what a cancel does not need is dropped
        assert is_passed(await scene.ask(CANCEL_ALL, account()))
        assert not [found for found in scene.daemon.orders.values() if found.is_open]


async def test_trading_that_is_off_lets_cancels_pass(tmp_path: Path) -> None:
    """Without [trading] enabled a cancel still goes."""
    async with stage(tmp_path) as scene:
        mine = await scene.placed()
    (tmp_path / "guard.toml").write_text('[listen]\ndata = "127.0.0.1:0"\nops = "127.0.0.1:0"\n')
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.modify(mine)) == (403, "trading_disabled")
        assert is_passed(await scene.cancel(mine))
        assert is_passed(await scene.ask(MODIFY, account(op="CANCEL", for_all=True)))


async def test_a_cancel_passes_a_change_that_is_under_way_or_unknown(tmp_path: Path) -> None:
    """Neither a change in flight nor one of unknown outcome stands before a cancel."""
    async with stage(tmp_path, policies=DAILY) as scene:
        mine, go = await scene.placed(), asyncio.Event()
        scene.daemon.faults.add(Hold(go, then=HttpError(500)), path=MODIFY)
        asked = asyncio.ensure_future(scene.modify(mine, price=210))
        await scene.until_reached(MODIFY)
        assert code_of(await scene.modify(mine, price=190)) == (409, "in_flight")
        assert is_passed(await scene.cancel(mine))
        go.set()
        assert code_of(await asked) == (504, "outcome_unknown")
        assert (await scene.cancel(mine)).status == 200


# ---------------------------------------------------------------- without the account list


@pytest.mark.parametrize(
    ("who", "body", "passes"),
    [
        (record("bot"), {}, True),
        (record("bot", allowed_acc_ids=[123456]), {}, True),
        (record("bot", allowed_acc_ids=[9032]), {}, False),
        (record("bot", allowed_acc_ids=[9032]), {"acc_id": 9032}, True),
        (record("bot", allowed_card_nums=["5678"]), {}, False),
        (record("bot"), {"acc_id": None, "card_num": "5678", "env": "real"}, False),
    ],
)
async def test_a_cancel_does_not_need_the_account_list(
    tmp_path: Path, who: dict[str, Any], body: dict[str, Any], passes: bool
) -> None:
    """Without the list a cancel passes for accounts that the key names; what only the list knows does not."""
    async with stage(tmp_path, who) as scene:
        scene.daemon.faults.always(HttpError(503), path=ACCOUNTS)
        reply = await scene.cancel("7571418", **body)

        if passes:
            assert reply.status == 200
            assert len(scene.reached(MODIFY)) == 1
        else:
            assert code_of(reply) == (503, "reference_unavailable")
        assert code_of(await scene.place()) == (503, "reference_unavailable")


async def test_an_order_of_its_own_can_be_cancelled_whatever_the_list_says(tmp_path: Path) -> None:
    """A restricted key whose accounts only the list knows still cancels what it placed."""
    async with stage(tmp_path, record("bot", allowed_card_nums=["5678"])) as scene:
        mine = await scene.placed(env="real")
    scene.daemon.faults.always(HttpError(503), path=ACCOUNTS)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert is_passed(await scene.cancel(mine, env="real"))


async def test_a_cancel_waits_a_second_for_a_list_that_hangs(tmp_path: Path) -> None:
    """A daemon that does not answer about accounts holds a cancel up for a second, not for its whole timeout."""
    assert CANCEL_WAIT_S <= 1
    async with stage(tmp_path, toml=PATIENT) as scene:
        scene.daemon.faults.always(Delay(3600), path=ACCOUNTS)
        async with asyncio.timeout(60):
            assert (await scene.cancel("7571418")).status == 200
        scene.daemon.faults.clear()


# ---------------------------------------------------------------- the record of a cancel


async def test_cancels_that_pass_a_broken_journal_are_told_at_the_next_start(tmp_path: Path) -> None:
    """What no record could hold becomes one gap record, with every decision, once."""
    disk = FaultyDisk()
    async with stage(tmp_path, policies=DAILY, disk=disk) as scene:
        orders = [await scene.placed(remark=f"n{n}") for n in range(3)]
        await broken(scene)
        replies = [await scene.cancel(mine) for mine in orders]
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        gaps = await scene.records("gap")
        assert [gap["cancels"] for gap in gaps] == [3]
        assert gaps[0]["decisions"] == list(map(decision_of, replies))


async def test_a_cancel_in_the_batch_that_fails_is_told_as_well(tmp_path: Path) -> None:
    """A cancel waits for no disk: it passes, and when the disk then fails to take its record, a gap says so."""
    disk = FaultyDisk()
    async with stage(tmp_path, policies=DAILY, disk=disk) as scene:
        mine = await scene.placed()
        disk.fails["write"] = NO_SPACE
        reply: Reply = await scene.cancel(mine)
        assert is_passed(reply)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert [gap["decisions"] for gap in await scene.records("gap")] == [[decision_of(reply)]]


async def test_a_cancel_is_recorded_with_its_order(tmp_path: Path) -> None:
    """The record of a cancel names the decision that opened the order, and what became of it."""
    async with stage(tmp_path) as scene:
        opened = await scene.place()
        reply = await scene.cancel(said(opened)["s2c"]["order_id_ex"])

        decision = await scene.decision(reply)
        assert (decision["of"], decision["effect"]) == (decision_of(opened), "order_cancel")
        assert (await scene.outcome(reply))["verdict"] == "accepted"
    assert [line["seq"] for line in lines(scene.config)] == list(range(1, len(lines(scene.config)) + 1))


async def test_a_cancel_that_the_daemon_refused_holds_nothing(tmp_path: Path) -> None:
    """Whatever becomes of a cancel, what its order holds does not move by it."""
    async with stage(tmp_path, policies=DAILY, toml=TRADING) as scene:
        mine = await scene.placed()
        for fault in (RetType(-1), RetType(-100), HttpError(500)):
            scene.daemon.faults.add(fault, path=MODIFY)
            await scene.cancel(mine)
            assert scene.held() == 20_000


@pytest.mark.parametrize("acts", [True, False])
async def test_a_cancel_of_which_nobody_knows_is_sent_again(tmp_path: Path, *, acts: bool) -> None:
    """Its caller is told to: it does no harm twice. Under the same Idempotency-Key it would not pass."""
    async with stage(tmp_path, policies=DAILY) as scene:
        mine = await scene.placed()
        body = change(mine, op="CANCEL", qty=None, price=None)
        scene.daemon.faults.add(Reset(acts), path=MODIFY)
        lost = await scene.ask(MODIFY, body, idempotency_key="k")
        same = await scene.ask(MODIFY, body, idempotency_key="k")

        assert (code_of(lost), code_of(same)) == ((504, "outcome_unknown"), (409, "outcome_unknown"))
        for reply in (lost, same):
            assert "without" in said(reply)["ret_msg"]
            assert "Do not" not in said(reply)["ret_msg"]
        assert (await scene.ask(MODIFY, body)).status == 200
        assert len(scene.reached(MODIFY)) == 2


async def test_a_cancel_by_card_goes_by_the_last_list_where_no_new_one_comes(tmp_path: Path) -> None:
    """The daemon hangs on its account list: the one of a minute ago names the account well enough to cancel."""
    async with stage(tmp_path, toml=PATIENT) as scene:
        by_card = {"acc_id": None, "card_num": "5678", "env": "real"}
        assert (await scene.cancel("7571418", **by_card)).status == 200
        scene.daemon.faults.always(Delay(3600), path=ACCOUNTS)
        scene.clock.advance(s=61)
        async with asyncio.timeout(60):
            reply = await scene.cancel("7571419", **by_card)
        scene.daemon.faults.clear()
        assert (reply.status, len(scene.reached(MODIFY))) == (200, 2)


async def test_only_a_cancel_goes_by_the_last_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that ends with a fault refuses an order; the list of a minute ago is no reason to send it."""
    async with stage(tmp_path) as scene:
        await scene.placed()

        async def rows() -> NoReturn:
            raise TimeoutError

        scene.clock.advance(s=61)
        monkeypatch.setattr(scene.guard.desk.accounts, "rows", rows)
        assert code_of(await scene.place(qty=200)) == (503, "rule_error")
        assert len(scene.reached(ORDER)) == 1
