"""Reads of callers' connections: no task each, and the same answers, refusals, faults and ends as by any other way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from guard.terms import Reply
from guard.walk.floods import Floods
from tests.support.batches import QUOTE, TENCENT, break_second, noting, quotes, told
from tests.support.clock import ManualClock
from tests.support.guards import answered, begun, call, guarded, order, said
from tests.support.scripted_daemon import Talk, answer
from tests.support.stage import MODIFY, change, stage


async def test_reads_of_one_turn_take_each_step_together_and_no_task(tmp_path: Path) -> None:
    """On connections that are open; what has none goes on in a task, and is answered too."""
    async with guarded(tmp_path) as (guard, daemon):
        log = noting(guard, "parse", "judge_passing", "pass_on", "answer_view")
        assert {reply.status for reply in await answered(guard, *quotes(3))} == {200}
        assert log.count("pass_on") == 3
        log.clear()
        waiting, before = begun(guard, *quotes(3)), asyncio.all_tasks()
        assert guard.desk.supervisor.in_flight == 3
        assert {reply.status for reply in await asyncio.gather(*waiting)} == {200}
        assert asyncio.all_tasks() <= before
        assert log == ["parse"] * 3 + ["judge_passing"] * 3 + ["answer_view"] * 3
        assert guard.desk.supervisor.in_flight == 0
        assert guard.desk.in_flight.under_way == {}
        assert len(daemon.requests) == 6


async def test_a_cancel_does_not_wait_for_the_reads_that_came_before_it(tmp_path: Path) -> None:
    """In the same turn of the loop."""
    async with stage(tmp_path) as scene:
        placed = said(await scene.place())["s2c"]["order_id_ex"]
        log = noting(scene.guard, "judge", "judge_passing")
        cancel = call(MODIFY, change(placed, op="CANCEL", qty=None, price=None))
        found = await answered(scene.guard, *quotes(3), cancel)
        assert [reply.status for reply in found] == [200] * 4
        assert log == ["judge"] + ["judge_passing"] * 3


async def test_requests_of_one_turn_have_one_now(tmp_path: Path) -> None:
    """By wall clock and by the guard's own; their ids differ, in their order."""
    async with guarded(tmp_path) as (guard, _):
        visits = guard.desk.open_visits(quotes(50))
        assert len({(visit.wall, visit.wall_us, visit.t_us, visit.started_us) for visit in visits}) == 1
        ids = [visit.id for visit in visits]
        assert ids == sorted(set(ids))


async def test_a_fault_as_a_turn_is_opened_answers_each_of_its_requests(tmp_path: Path) -> None:
    """Nobody can be told an id: each is told that the walk failed, and the next turn is like any other."""

    class Broken(ManualClock):
        is_broken = False

        def new_id(self) -> str:
            """No randomness is to be had."""
            if self.is_broken:
                raise OSError("getrandom")
            return super().new_id()

    clock = Broken()
    async with stage(tmp_path, clock=clock) as scene:
        clock.is_broken = True
        asked = begun(scene.guard, *quotes(3), call("/api/order", order()))
        failed = await asyncio.gather(*asked, return_exceptions=True)
        assert [str(fault) for fault in failed] == ["the walk failed"] * 4
        clock.is_broken = False
        assert [reply.status for reply in await answered(scene.guard, *quotes(3))] == [200] * 3


@pytest.mark.parametrize("head", [{}, {"who": "nobody"}, {"who": None}])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (QUOTE, TENCENT),
        (QUOTE, {"symbol": 7}),
        (QUOTE, b"{"),
        ("/api/ping", None),
        ("/api/no-such-thing", None),
        ("/guard/v1/me", None),
        ("/api/subscribe", {"symbols": ["HK.00700"], "sub_types": [1]}),
        ("/api/order", order() | {"qty": -1}),
    ],
)
async def test_whoever_waits_is_answered_as_whoever_awaits(
    tmp_path: Path, path: str, body: Any, head: dict[str, Any]
) -> None:
    """Status, fields and length of the answer are the same, for the first request and one on an open connection."""
    async with guarded(tmp_path) as (guard, _):
        awaited = [told(await guard.pipeline.handle(call(path, body, **head))) for _ in range(2)]
        waited = [told(one) for _ in range(2) for one in await answered(guard, call(path, body, **head))]
        assert waited == awaited


@pytest.mark.parametrize("step", ["identify", "parse", "judge_passing", "answer_view"])
async def test_a_fault_is_the_reads_alone_that_it_meets(tmp_path: Path, step: str) -> None:
    """Wherever it is: 503 `rule_error`, and the others of its turn are answered."""
    async with guarded(tmp_path) as (guard, _):
        assert {reply.status for reply in await answered(guard, *quotes(3))} == {200}
        break_second(guard, step)
        found = await answered(guard, *quotes(3))
        assert sorted(reply.status for reply in found) == [200, 200, 503]
        assert b"rule_error" in next(reply.body for reply in found if reply.status == 503)
        assert guard.desk.supervisor.in_flight == 0
        assert guard.desk.in_flight.under_way == {}
        assert {reply.status for reply in await answered(guard, *quotes(3))} == {200}


async def test_a_connection_that_was_closed_costs_a_read_nothing(tmp_path: Path) -> None:
    """It was not sent, and is sent on a new one."""
    async with guarded(tmp_path) as (guard, daemon):
        assert [reply.status for reply in await answered(guard, *quotes(1))] == [200]
        for writer in daemon.writers:
            writer.close()
            await writer.wait_closed()
        assert [reply.status for reply in await answered(guard, *quotes(2))] == [200, 200]
        assert guard.desk.supervisor.in_flight == 0


async def test_a_daemon_that_breaks_off_is_told_of(tmp_path: Path) -> None:
    """An answer that ends in the middle is 502, by this way too."""

    async def once(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer())
        await talk.request()
        await talk.say(answer()[:-1])

    async with guarded(tmp_path, once) as (guard, _):
        assert [reply.status for reply in await answered(guard, *quotes(1))] == [200]
        (reply,) = await answered(guard, *quotes(1))
        assert (reply.status, b"daemon_bad_answer" in reply.body) == (502, True)
        assert guard.desk.supervisor.in_flight == 0


async def test_a_guard_that_stops_waits_for_reads(tmp_path: Path) -> None:
    """They are answered first, and nothing is unfinished; a hurry leaves them, by name."""
    slow = asyncio.Event()

    async def later(talk: Talk) -> None:
        while await talk.request():
            await talk.say(answer())
            await slow.wait()

    for is_hurried in (False, True):
        slow.clear()
        folder = tmp_path / str(is_hurried)
        folder.mkdir()
        async with guarded(folder, later) as (guard, _):
            assert [reply.status for reply in await answered(guard, *quotes(1))] == [200]
            (waiting,) = begun(guard, *quotes(1))
            stopping = asyncio.ensure_future(guard.supervisor.drain(3600.0, hurry=guard.hurry))
            await asyncio.sleep(0)
            assert not stopping.done()
            (guard.hurry if is_hurried else slow).set()
            assert await stopping == (("request",) if is_hurried else ())
            assert waiting.done() is not is_hurried
            slow.set()
            assert (await waiting).status == 200


class Unsummed(Floods):
    """A fault that meets every refusal, that of a fault too."""

    def is_below(self, *_: Any) -> bool:
        """Never told."""
        raise RuntimeError


@pytest.mark.parametrize("step", ["find", "identify", "parse", "answer_view"])
async def test_a_fault_in_the_refusal_of_a_fault_is_one_requests_alone(tmp_path: Path, step: str) -> None:
    """Its caller is told that the walk failed, the others are answered, and nothing is held."""
    async with guarded(tmp_path) as (guard, _):
        assert {reply.status for reply in await answered(guard, *quotes(3))} == {200}
        break_second(guard, step)
        guard.recorder.floods = Unsummed(guard.journal)
        found = await asyncio.gather(*begun(guard, *quotes(3)), return_exceptions=True)
        assert [each.status for each in found if isinstance(each, Reply)] == [200, 200]
        assert guard.desk.supervisor.in_flight == 0
        assert guard.desk.in_flight.under_way == {}
