"""Idempotency-Key: what was sent once is not sent again, and its first answer is given again."""

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest

from guard.limits import slots
from guard.replay.explained import Explanation, explained
from guard.simulator.faults import Hold, HttpError, RetType, Unreachable
from tests.support.guards import codes, order, record, said, write_keys
from tests.support.stage import (
    CANCEL_ALL,
    DAILY,
    MODIFY,
    ORDER,
    account,
    again,
    change,
    code_of,
    decision_of,
    is_passed,
    stage,
)

CHECK: Final = "/guard/v1/check"
DAY_S: Final = 86_400


async def test_the_first_answer_is_given_again(tmp_path: Path) -> None:
    """The same key and the same order: the same ids under the first decision, and nothing is sent."""
    async with stage(tmp_path, policies=DAILY) as scene:
        first, second = await scene.place(key="k"), await scene.place(key="k")

        assert first.status == second.status == 200
        assert said(second)["ret_type"] == 0
        for name in ("order_id", "order_id_ex", "header"):
            assert said(second)["s2c"][name] == said(first)["s2c"][name]
        assert decision_of(second) == decision_of(first)
        assert len(scene.reached()) == 1
        assert scene.held() == 20_000
        assert scene.stamps("new_orders") == 1


async def test_a_cancel_passes_although_no_more_keys_can_be_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order with one more Idempotency-Key is refused; a cancel with one is sent, and its key is not remembered."""
    for name in ("SLOTS_MAX", "EACH_MAX", "EACH_MIN"):
        monkeypatch.setattr(slots, name, 1)
    async with stage(tmp_path, policies=DAILY) as scene:
        order_id_ex = await scene.placed(key="k")
        refused = await scene.place(key="l", remark="2")
        assert code_of(refused) == (503, "overloaded")
        assert said(refused)["guard"]["reasons"][0]["rule"] == "idempotency"
        assert is_passed(await scene.place(remark="3"))
        cancelled = await scene.ask(MODIFY, change(order_id_ex, op="CANCEL"), idempotency_key="m")
        assert is_passed(cancelled)
        assert "claims" not in await scene.decision(cancelled)
        assert len(scene.guard.desk.state.slots) == 1


async def test_a_repeat_is_recorded_as_one(tmp_path: Path) -> None:
    """The record of a repeat names the decision whose answer it got, and moves no counter at the next start."""
    async with stage(tmp_path, policies=DAILY) as scene:
        first = await scene.place(key="k")
        await scene.place(key="k")
        repeats = [found for found in await scene.records("decision") if found.get("replays")]
        assert [found["replays"] for found in repeats] == [decision_of(first)]
        told = explained(tmp_path / "state", repeats[0]["id"], now=scene.clock.wall())
        assert isinstance(told, Explanation)
        assert told.note == f"{decision_of(first)} was answered again, for the same Idempotency-Key: nothing was sent"
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before


async def test_spelling_does_not_matter_meaning_does(tmp_path: Path) -> None:
    """The same order in another spelling is a repeat; any other meaning under the same key is a conflict."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.place(key="k")
        header = {"trd_env": 0, "acc_id": 123456, "trd_market": 1}
        same = {"c2s": {"header": header, "trd_side": "BUY", "code": "HK.00700", "qty": 1e2, "price": 200.0}}
        assert is_passed(await scene.ask(ORDER, same, idempotency_key="k"))
        for other in (
            {"qty": 200},
            {"price": 201},
            {"side": "SELL"},
            {"env": "real"},
            {"acc_id": 9032},
            {"remark": "x"},
        ):
            reply = await scene.place(key="k", **other)
            assert code_of(reply) == (409, "idempotency_conflict")
            assert codes(reply) == ["idempotency_conflict"]
        assert len(scene.reached()) == 1


async def test_of_500_at_once_one_is_sent(tmp_path: Path) -> None:
    """Whoever asks with the same key while the first is under way is told so; one order leaves."""
    async with stage(tmp_path, policies=DAILY) as scene:
        replies = await asyncio.gather(*(scene.place(key="k") for _ in range(500)))

        passed = [reply for reply in replies if is_passed(reply)]
        assert len({reply.body for reply in passed}) == 1, "once answered, the same key gets the answer"
        assert {code_of(reply) for reply in replies if not is_passed(reply)} == {(409, "in_flight")}
        assert len(scene.reached()) == 1


async def test_while_the_first_is_under_way(tmp_path: Path) -> None:
    """In flight is 409, retryable; once answered the same key gets the answer."""
    async with stage(tmp_path, policies=DAILY) as scene:
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ORDER)
        asked = asyncio.ensure_future(scene.place(key="k"))
        await scene.until_reached()
        waiting = await scene.place(key="k")
        assert code_of(waiting) == (409, "in_flight")
        assert said(waiting)["guard"]["retryable"] is True
        assert code_of(await scene.place(key="k", qty=200)) == (409, "idempotency_conflict")
        go.set()
        first = await asked
        assert said(await scene.place(key="k"))["s2c"]["order_id"] == said(first)["s2c"]["order_id"]


async def test_w20_an_unknown_outcome_stays_in_the_way(tmp_path: Path) -> None:
    """While nobody knows what became of the first, the key answers 409 outcome_unknown, also after its time is over."""
    async with stage(tmp_path, policies=DAILY) as scene:
        scene.daemon.faults.add(HttpError(500, acts=True), path=ORDER)
        first = await scene.place(key="k")
        for _ in range(2):
            second = await scene.place(key="k")
            assert code_of(second) == (409, "outcome_unknown")
            assert decision_of(first) in said(second)["ret_msg"]
            scene.clock.advance(s=2 * DAY_S)
        assert len(scene.reached()) == 1


async def test_a_daemons_refusal_is_remembered(tmp_path: Path) -> None:
    """What the daemon refused was sent: the refusal is told again, with code and status, also after a restart."""
    async with stage(tmp_path, policies=DAILY) as scene:
        told = {}
        for key, fault in [
            ("number", RetType(-1, "market closed", err_code=17)),
            ("text", RetType(-1, "market closed", err_code=17, is_text=True)),
            ("none", RetType(-1, "market closed")),
        ]:
            scene.daemon.faults.add(fault, path=ORDER)
            told[key] = await scene.place(key=key)
        scene.daemon.faults.add(HttpError(403, "forbidden"), path=ORDER)
        await scene.place(key="l")

        for key, first in told.items():
            second = await scene.place(key=key)
            assert (second.status, said(second)) == (200, said(first))
        assert [said(first)["err_code"] for first in told.values()] == [17, "17", None]
        assert (await scene.place(key="l")).status == 403
        assert len(scene.reached()) == 4
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert [said(await scene.place(key=key))["err_code"] for key in told] == [17, "17", None]


async def test_only_what_was_sent_is_remembered(tmp_path: Path) -> None:
    """A refusal of the guard's own, and an order that never left, free the key."""
    async with stage(tmp_path, policies=DAILY) as scene:
        assert code_of(await scene.place(key="k", qty=10_000)) == (403, "max_order_value")
        scene.daemon.faults.add(Unreachable(), path=ORDER)
        assert code_of(await scene.place(key="k")) == (502, "daemon_unreachable")
        assert is_passed(await scene.place(key="k"))


async def test_b18_a_key_belongs_to_one_caller_and_one_endpoint(tmp_path: Path) -> None:
    """Two callers may use the same key, and so may one caller for an order and for its change."""
    async with stage(tmp_path, record("bot"), record("bot@2"), record("other"), policies=DAILY) as scene:
        mine = await scene.placed(key="k")
        assert await scene.placed(key="k", who="other") != mine
        assert await scene.placed(key="k", who="bot@2") == mine  # the same principal, rotated
        assert is_passed(await scene.modify(mine, key="k", price=201))
        assert is_passed(await scene.ask(CANCEL_ALL, account(market="US"), idempotency_key="k"))
        assert (len(scene.reached()), len(scene.reached(MODIFY)), len(scene.reached(CANCEL_ALL))) == (2, 1, 1)


@pytest.mark.parametrize("op", ["NORMAL", "CANCEL"])
async def test_changes_and_cancels_are_idempotent_too(tmp_path: Path, op: str) -> None:
    """A change or cancel under the same key is sent once, also while another change is under way."""
    async with stage(tmp_path, policies=DAILY) as scene:
        mine = await scene.placed()
        body: dict[str, Any] = change(mine, op=op)
        first = await scene.ask(MODIFY, body, idempotency_key="k")
        assert is_passed(first)
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=MODIFY)
        asked = asyncio.ensure_future(scene.modify(mine, price=199))
        await scene.until_reached(MODIFY, times=2)
        second = await scene.ask(MODIFY, body, idempotency_key="k")
        assert said(second)["s2c"]["order_id_ex"] == mine
        assert decision_of(second) == decision_of(first)
        go.set()
        await asked
        assert len(scene.reached(MODIFY)) == 2


async def test_a_key_is_free_again_after_a_day(tmp_path: Path) -> None:
    """A key is remembered for 24 hours, to the microsecond."""
    async with stage(tmp_path, policies=DAILY) as scene:
        mine = await scene.placed(key="k")
        scene.clock.advance(s=DAY_S - 1, us=999_999)
        assert await scene.placed(key="k") == mine
        scene.clock.advance(us=1)
        assert await scene.placed(key="k") != mine


async def test_a_repeat_is_answered_in_every_state(tmp_path: Path) -> None:
    """A repeat sends nothing, so neither a HALT file nor a full window keeps its answer back."""
    async with stage(tmp_path, record("bot", max_orders_per_minute=1), policies=DAILY) as scene:
        mine = await scene.placed(key="k")
        (scene.guard.directory / "HALT").touch()
        assert await scene.placed(key="k") == mine
        assert codes(await scene.place(key="l")) == ["halted", "rate"]


async def test_a_repeat_is_answered_for_whoever_may_still_use_the_account(tmp_path: Path) -> None:
    """A key that was restricted since then is refused as for the order itself; else it needs no account list anew."""
    async with stage(tmp_path, policies=DAILY) as scene:
        first = await scene.place(key="k")
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        scene.daemon.faults.add(Unreachable(), path="/api/accounts", times=9)
        for restricted in ({}, {"allowed_acc_ids": [123456]}):
            write_keys(tmp_path / "keys.json", record("bot", **restricted))
            await scene.guard.reload()
            assert decision_of(await scene.place(key="k")) == decision_of(first)
        write_keys(tmp_path / "keys.json", record("bot", allowed_acc_ids=[9032]))
        await scene.guard.reload()
        assert code_of(await scene.place(key="k")) == (503, "reference_unavailable")
        scene.daemon.faults.clear()
        scene.clock.advance(s=60)
        assert code_of(await scene.place(key="k")) == (403, "account")
        assert len(scene.reached()) == 1


async def test_the_key_itself_is_nowhere(tmp_path: Path) -> None:
    """Neither record nor ledger holds a caller's key, only its hash; nor does the daemon get it."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ORDER, order(), idempotency_key="canary-key")
        await scene.written()
        assert "canary-key" not in str(scene.ledger())
        assert b"canary-key" not in b"".join(path.read_bytes() for path in (tmp_path / "state/journal").iterdir())
        assert all(request.idempotency_key != "canary-key" for request in scene.daemon.requests)


async def test_a_dry_run_tells_what_the_same_key_would_meet(tmp_path: Path) -> None:
    """A free key, one under way, one of another order, the answer again, one in doubt: as the order itself meets it."""
    async with stage(tmp_path, policies=DAILY) as scene:

        async def check(key: str, **other: object) -> Any:
            body = order(**{"price": 200} | other)
            told = said(await scene.ask(CHECK, {"path": ORDER, "body": body}, idempotency_key=key))
            return told["outcome"], told["status"], told["guard"]["code"], told["guard"].get("replays")

        assert await check("k") == ("allow", 200, None, None)
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ORDER)
        asked = asyncio.ensure_future(scene.place(key="k"))
        await scene.until_reached()
        assert await check("k") == ("refuse", 409, "in_flight", None)
        assert await check("k", qty=200) == ("refuse", 409, "idempotency_conflict", None)
        go.set()
        first = await asked
        assert await check("k") == ("allow", 200, None, decision_of(first))

        scene.daemon.faults.add(HttpError(403, "forbidden"), path=ORDER)
        declined = await scene.place(key="no")
        assert await check("no") == ("allow", 403, None, decision_of(declined))
        scene.daemon.faults.add(HttpError(500), path=ORDER)
        await scene.place(key="lost", qty=300)
        before = scene.ledger()
        assert await check("lost", qty=300) == ("refuse", 409, "outcome_unknown", None)
        assert (scene.ledger(), len(scene.reached())) == (before, 3)
