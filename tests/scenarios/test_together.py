"""Trades of one turn of the loop are decided together, and settled together: as if one had come after the other."""

import asyncio
from decimal import Decimal
from pathlib import Path
from random import Random  # noqa: TID251 - a seed makes the same orders again
from typing import Any, Final

import pytest
from msgspec.structs import replace

from guard.activeconfig import load_keys
from guard.journal import Decision
from guard.limits import Opening, settle
from guard.simulator.faults import Delay
from guard.terms import LEDGER_UNIT, Call, Outcome, Refusal, Reply
from guard.walk import closing, recorder
from guard.walk.decisionrecord import record_of
from guard.walk.desk import Desk
from guard.walk.hooks import HOOKS
from guard.walk.judging import Assessment
from guard.walk.recorder import Recorder
from guard.walk.sending import Sending
from guard.walk.visit import Situation, Visit
from tests.support.guards import begun, call, codes, order, record, said, write_keys
from tests.support.journal import no_room_for_what_passes
from tests.support.stage import (
    ACCOUNTS,
    DAILY,
    MODIFY,
    ORDER,
    ROOM_FOR_THREE,
    Stage,
    account,
    change,
    code_of,
    decision_of,
    is_passed,
    stage,
)

QUOTE: Final = "/api/quote"
TENCENT: Final = {"symbol": "HK.00700"}
MANY: Final = 150  # more than are taken together
CANCEL: Final = call(MODIFY, change("1", op="CANCEL"))
"""Orders and reads that come in one turn with a cancel wait for it."""


def two(path: str, body: dict[str, Any]) -> list[Call]:
    """The same request twice, each with its own remark."""
    return [call(path, body | ({"remark": word} if path == ORDER else {})) for word in "ab"]


async def at_the_step(scene: Stage, *asked: Any) -> list[asyncio.Task[Reply]]:
    """These requests have come to their decision, and none is decided."""
    held, sent = scene.held(), len(scene.reached())
    tasks = [scene.guard.supervisor.start(one, "request") for one in asked]
    await asyncio.sleep(0)
    assert scene.held() == held
    assert len(scene.reached()) == sent
    return tasks


async def test_those_of_one_turn_take_room_one_after_the_other(tmp_path: Path) -> None:
    """Three fit: the first three. Each record says what those before it hold, and a start finds the same ledger."""
    async with stage(tmp_path, policies=ROOM_FOR_THREE) as scene:
        await scene.ask(ACCOUNTS)
        replies = await asyncio.gather(*[scene.place(remark=f"n{number}") for number in range(MANY)])
        assert [is_passed(reply) for reply in replies] == [True] * 3 + [False] * (MANY - 3)
        assert {tuple(codes(reply)) for reply in replies[3:]} == {("daily_value",)}
        assert len(scene.reached(ORDER)) == 3
        told = [decision_of(reply) for reply in replies]
        records = [record for record in await scene.records("decision") if record["endpoint"] == ORDER]
        assert [record["id"] for record in records][:3] == told[:3]
        assert [spent(record) for record in records][:4] == [0, 20_000, 40_000, 60_000]
        ledger = scene.ledger()
    async with stage(tmp_path, policies=ROOM_FOR_THREE, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == ledger


async def test_an_exit_meets_those_of_its_turn(tmp_path: Path) -> None:
    """Weighed before the first of them took its room, each is judged with what the others take off the position."""
    async with stage(tmp_path, policies=DAILY) as scene:
        scene.hold(300)
        assert is_passed(await scene.sell(100))  # and the price that is asked for is at hand
        tasks = await at_the_step(scene, *[scene.place(side="SELL", price=400, remark=name) for name in "ab"])
        assert all(map(is_passed, await asyncio.gather(*tasks)))
        assert [world.get("exits", 0) for world in await worlds(scene)] == [0, 100 * LEDGER_UNIT, 200 * LEDGER_UNIT]


async def test_no_exit_is_taken_twice_in_one_turn(tmp_path: Path) -> None:
    """Two exits that are more than the position: one of them passes."""
    async with stage(tmp_path) as scene:
        scene.hold(200)
        await scene.set_state("reduce_only")
        assert is_passed(await scene.sell(100))
        replies = await asyncio.gather(*[scene.place(side="SELL", price=400, remark=name) for name in "ab"])
        assert sorted(map(is_passed, replies)) == [False, True]
        assert [code_of(reply) for reply in replies if not is_passed(reply)] == [(403, "reduce_only")]


def spent(record: dict[str, Any]) -> Decimal:
    """What stood on the day's counter before, as its record says."""
    cells = [claim["counter"] for claim in record["claims"]]
    (place,) = [place for place, cell in enumerate(cells) if cell.startswith("daily_value/")]
    return Decimal(record["used"][place]) / LEDGER_UNIT


async def worlds(scene: Stage) -> list[dict[str, Any]]:
    """What the rules were told of the world, in the order of the record."""
    decisions = await scene.records("decision")
    return [record["world"] for record in decisions if record["endpoint"] == ORDER and record.get("world")]


async def test_a_fault_is_the_trades_alone_that_it_meets(tmp_path: Path) -> None:
    """The others of its turn are decided, and those that are settled with it are settled."""

    def judge(desk: Desk, visit: Visit, situation: Situation) -> Assessment:
        if situation.order is not None and situation.order.remark == "bad":
            raise RuntimeError
        return HOOKS.judge(desk, visit, situation)

    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        scene.guard.pipeline.hooks = replace(HOOKS, judge=judge)
        good, bad, other = await asyncio.gather(*[scene.place(remark=word) for word in ("good", "bad", "other")])
        assert [is_passed(reply) for reply in (good, other)] == [True, True]
        assert code_of(bad) == (503, "rule_error")
        assert scene.held() == 40_000


async def test_a_fault_while_settling_is_the_trades_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its caller is told that nobody knows; the other one is told what the daemon said."""
    met: list[str] = []

    def breaking(state: Any, step: str, outcome: Outcome, *, t_us: int) -> None:
        met.append(step)
        if len(met) == 1:
            raise RuntimeError
        settle(state, step, outcome, t_us=t_us)

    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        with monkeypatch.context() as patch:
            patch.setattr(closing, "settle", breaking)
            replies = await asyncio.gather(*[scene.place(remark=word) for word in "ab"])
        by_step = {decision_of(reply): reply for reply in replies}
        assert code_of(by_step[met[0]]) == (504, "outcome_unknown")
        assert is_passed(by_step[met[1]])
        assert [record["decision"] for record in await scene.records("outcome")] == [met[1]]


async def test_what_cannot_be_recorded_gives_its_room_back(tmp_path: Path) -> None:
    """Room is taken before the record has its place; a record that finds none sends nothing, and holds nothing."""
    async with stage(tmp_path, policies=DAILY) as scene:
        name = await scene.placed()
        sent, stamps = len(scene.reached()), scene.stamps("new_orders")
        with no_room_for_what_passes():
            replies = await asyncio.gather(*[scene.place(remark=word) for word in "ab"])
            assert [code_of(reply) for reply in replies] == [(503, "journal_unavailable")] * 2
            assert is_passed(await scene.cancel(name))
        assert len(scene.reached()) == sent
        assert (int(scene.held()), scene.stamps("new_orders"), scene.guard.desk.state.steps) == (20_000, stamps, {})
        assert is_passed(await scene.place(remark="later"))


async def test_a_bug_while_it_is_recorded_gives_its_room_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent, nothing held; the other one of its turn goes."""
    met = list[str]()

    def breaking(visit: Visit, refusal: Refusal | None, *args: Any, **named: Any) -> Decision:
        met.append(visit.id)
        if visit.id == met[0] and refusal is None:
            raise RuntimeError
        return record_of(visit, refusal, *args, **named)

    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        with monkeypatch.context() as patch:
            patch.setattr(recorder, "record_of", breaking)
            first, second = await asyncio.gather(*[scene.place(remark=word) for word in "ab"])
        assert code_of(first) == (503, "rule_error")
        assert is_passed(second)
        assert (int(scene.held()), len(scene.reached())) == (20_000, 1)


async def test_what_comes_in_force_before_the_step_binds_it(tmp_path: Path) -> None:
    """A reload that lands while orders wait behind the cancel of their turn: they are decided by the new policies."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        loose = scene.guard.desk.config
        (tmp_path / "policies" / "desk.toml").write_text('[orders]\nmax_value = "10 HKD"\n')
        await scene.guard.reload()
        tight, scene.guard.desk.config = scene.guard.desk.config, loose
        assert tight.policy_sha256 != loose.policy_sha256
        *asked, _ = begun(scene.guard, *two(ORDER, order(price=200)), CANCEL)
        scene.guard.desk.config = tight
        for reply in await asyncio.gather(*asked):
            assert code_of(reply) == (403, "max_order_value")
            assert (await scene.decision(reply))["policy_sha256"] == tight.policy_sha256


async def test_what_comes_in_force_while_reads_wait_for_the_accounts_binds_them(tmp_path: Path) -> None:
    """The same for what is no trade: once the list of accounts is there, the new policies let one read pass."""
    async with stage(tmp_path, policies=DAILY) as scene:
        loose = scene.guard.desk.config
        (tmp_path / "policies" / "desk.toml").write_text(f'{DAILY}reads = "1/60s"\n')
        await scene.guard.reload()
        tight, scene.guard.desk.config = scene.guard.desk.config, loose
        assert tight.policy_sha256 != loose.policy_sha256
        scene.daemon.faults.add(Delay(0.05), path=ACCOUNTS)
        tasks = await at_the_step(scene, scene.ask("/api/funds", account()), scene.ask("/api/funds", account()))
        scene.guard.desk.config = tight
        assert [reply.status for reply in await asyncio.gather(*tasks)] == [200, 429]


async def test_what_comes_in_force_before_reads_are_looked_at_binds_them(tmp_path: Path) -> None:
    """The same in the turn of the loop in which they come to the step: the new policies let one more read pass."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        loose = scene.guard.desk.config
        (tmp_path / "policies" / "desk.toml").write_text(f'{DAILY}reads = "2/60s"\n')
        await scene.guard.reload()
        tight, scene.guard.desk.config = scene.guard.desk.config, loose
        assert tight.policy_sha256 != loose.policy_sha256
        *asked, _ = begun(scene.guard, *two("/api/funds", account()), CANCEL)
        scene.guard.desk.config = tight
        assert [reply.status for reply in await asyncio.gather(*asked)] == [200, 429]


async def test_a_key_that_is_revoked_before_the_step_orders_nothing(tmp_path: Path) -> None:
    """It was known when its orders came, and they wait behind the cancel of their turn: refused, nothing is held."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
        keyring, _ = load_keys(scene.guard.settings)
        *asked, _ = begun(scene.guard, *two(ORDER, order(price=200)), CANCEL)
        scene.guard.desk.config = replace(scene.guard.desk.config, keyring=keyring)
        for reply in await asyncio.gather(*asked):
            assert code_of(reply) == (401, "unauthenticated")
        assert (scene.reached(), int(scene.held())) == ([], 0)
        decided = [one["outcome"] for one in await scene.records("decision") if one["endpoint"] == ORDER]
        assert decided == ["refuse"] * 2


async def test_a_fault_is_the_reads_alone_that_it_meets(tmp_path: Path) -> None:
    """The others of its turn are judged and sent."""

    def judge_passing(desk: Desk, visit: Visit, situation: Situation) -> Assessment:
        if visit.call.head.get("x-request-id") == "bad":
            raise RuntimeError
        return HOOKS.judge_passing(desk, visit, situation)

    async with stage(tmp_path, policies=DAILY) as scene:
        scene.guard.pipeline.hooks = replace(HOOKS, judge_passing=judge_passing)
        asked = [scene.ask(QUOTE, TENCENT, x_request_id=word) for word in ("good", "bad", "other")]
        good, bad, other = await asyncio.gather(*asked)
        assert [reply.status for reply in (good, other)] == [200, 200]
        assert code_of(bad) == (503, "rule_error")


async def test_what_was_written_before_an_order_that_came_first_does_not_hide_it(tmp_path: Path) -> None:
    """What is refused at once is on record before an order that waits for its turn; `record` was null."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        tasks = await at_the_step(scene, scene.place(), scene.place(remark="other"))
        scene.clock.advance(us=700)
        refused = await scene.ask(ORDER, {"symbol": "HK.00700"})
        for reply in (*await asyncio.gather(*tasks), refused):
            told = said(await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}"))
            assert told["record"] is not None


async def test_a_cancel_waits_for_nobody(tmp_path: Path) -> None:
    """It is decided where it comes, before the orders of its turn that came before it."""
    held: list[str] = []

    def hold(recorder: Recorder, found: Sending, opening: Opening) -> None:
        held.append(found.visit.call.path)
        HOOKS.hold(recorder, found, opening)

    async with stage(tmp_path, policies=DAILY) as scene:
        name = await scene.placed()
        scene.guard.pipeline.hooks = replace(HOOKS, hold=hold)
        replies = await asyncio.gather(scene.place(remark="a"), scene.place(remark="b"), scene.cancel(name))
        assert all(map(is_passed, replies))
        assert held == ["/api/modify-order", ORDER, ORDER]


@pytest.mark.parametrize("is_same", [True, False])
async def test_one_idempotency_key_twice_in_one_turn(tmp_path: Path, *, is_same: bool) -> None:
    """One order; the other one is under way, or another request."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        asked = [scene.place(key="k", remark="a"), scene.place(key="k", remark="a" if is_same else "b")]
        first, second = await asyncio.gather(*asked)
        assert is_passed(first)
        assert code_of(second)[1] == ("in_flight" if is_same else "idempotency_conflict")
        assert (int(scene.held()), len(scene.reached())) == (20_000, 1)


TIGHT: Final = """
[orders]
max_value = "50000 HKD"
max_qty = 300
per_day = 9
duplicate_window_s = 60
[budgets]
daily_value = "5000000 HKD"
[rates]
new_orders = ["7/1s", "12/60s"]
"""


def drawn(dice: Random) -> dict[str, Any]:
    """An order that one of the limits may meet, and for which nothing has to be asked."""
    price, qty = dice.choice([100, 120, 150, 200]), dice.choice([100, 200, 300, 400])
    return {"who": dice.choice(["bot", "desk"]), "price": price, "qty": qty, "remark": dice.choice("abcdef")}


async def came_to(scene: Stage, orders: list[dict[str, Any]], *, at_once: bool) -> list[Any]:
    """What becomes of the orders, what each met on which counters, and what stands on these then."""
    assert codes(await scene.place(qty=400)) == ["max_order_qty", "max_order_value"]  # and its lot is known
    if at_once:
        replies = await asyncio.gather(*[scene.place(**each) for each in orders])
    else:
        replies = [await scene.place(**each) for each in orders]
    told = [(reply.status, [] if is_passed(reply) else codes(reply)) for reply in replies]
    records = [record for record in await scene.records("decision") if record["endpoint"] == ORDER]
    return [told, [(record["used"], record["claims"]) for record in records], scene.guard.desk.state.sums]


@pytest.mark.parametrize("seed", range(8))
async def test_it_is_as_if_one_had_come_after_the_other(tmp_path: Path, seed: int) -> None:
    """Random orders of two keys against tight limits: the same answers, records and counters, together or in turn."""
    dice = Random(seed)
    orders, found = [drawn(dice) for _ in range(40)], list[list[Any]]()
    for at_once in (True, False):
        folder = tmp_path / str(at_once)
        folder.mkdir()
        async with stage(folder, policies=TIGHT) as scene:
            found.append(await came_to(scene, orders, at_once=at_once))
    for together, in_turn in zip(*found, strict=True):
        assert together == in_turn
    assert {code for _, told in found[0][0] for code in told} >= {"max_order_value", "duplicate_order"}
    assert 5 < [status for status, _ in found[0][0]].count(200) < len(orders)


async def test_a_change_and_an_order_of_one_turn_share_the_same_room(tmp_path: Path) -> None:
    """Room for 20,000 more: whichever comes first takes it, the other one is refused, and nothing more is sent."""
    for change_first in (True, False):
        folder = tmp_path / str(change_first)
        folder.mkdir()
        async with stage(folder, policies=ROOM_FOR_THREE) as scene:
            name = await scene.placed(qty=200)
            sent = len(scene.reached(MODIFY)), len(scene.reached(ORDER))
            asked = [scene.modify(name, qty=300), scene.place(remark="more")]
            replies = await asyncio.gather(*(asked if change_first else asked[::-1]))
            assert [is_passed(reply) for reply in replies] == [True, False]
            assert codes(replies[1]) == ["daily_value"]
            assert scene.held() == 60_000
            more = len(scene.reached(MODIFY)) - sent[0], len(scene.reached(ORDER)) - sent[1]
            assert more == ((1, 0) if change_first else (0, 1))


async def test_of_two_changes_of_one_order_in_one_turn_the_second_is_in_the_way(tmp_path: Path) -> None:
    """It is refused until the answer of the first is there; what is held is what the first one asked for."""
    async with stage(tmp_path, policies=DAILY) as scene:
        name = await scene.placed()
        replies = await asyncio.gather(scene.modify(name, qty=200), scene.modify(name, qty=300))
        assert is_passed(replies[0])
        assert code_of(replies[1]) == (409, "in_flight")
        assert (int(scene.held()), len(scene.reached(MODIFY))) == (40_000, 1)
