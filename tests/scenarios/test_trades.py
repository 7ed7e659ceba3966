"""Orders and changes of callers' connections: no task each, and the same answers, records, faults and ends as else."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from guard.errors import JournalFault
from guard.limits import unknowns
from guard.simulator import Simulator
from guard.simulator.faults import Hold, Reset
from guard.terms import Call, Outcome, Reply
from guard.upstream import Client
from guard.walk.carrier import CARRYING, OnRecord
from guard.walk.closing import Closing
from guard.walk.desk import Desk
from guard.walk.hooks import HOOKS
from guard.walk.recorder import Recorder
from guard.walk.sending import Sending
from tests.support.batches import break_second, noting, quotes, told
from tests.support.clock import ManualClock
from tests.support.daemon import running_simulator
from tests.support.guards import Waiting, answered, begun, call, lay_out, made, order, said
from tests.support.journal import slow_disk
from tests.support.stage import DAILY, MODIFY, ORDER, Stage, change, code_of, decision_of, is_passed

HURRIED: Final = "[trading]\nenabled = true\n[bounds]\ndrain_timeout_s = 0.05\n"


def orders(count: int, **members: Any) -> list[Call]:
    """So many orders, each for one lot more than the one before."""
    return [call(ORDER, order(qty=100 * n, **members)) for n in range(1, count + 1)]


@asynccontextmanager
async def on_sockets(
    folder: Path, *, toml: str = "[trading]\nenabled = true\n", broker: str = "off", connections: int = 64
) -> AsyncIterator[Stage]:
    """A guard and a simulator behind a socket; one order has been placed, so a connection is open and rests."""
    clock = ManualClock()
    simulator = Simulator(clock=clock)
    async with asyncio.timeout(60), running_simulator(simulator) as url:
        daemon = f'[daemon]\nurl = "{url}"\nbroker_limits = "{broker}"\nconnections_max = {connections}\n'
        config = lay_out(folder, policies={"desk.toml": DAILY}, toml=toml + daemon)
        guard = made(config, clock=clock)
        await guard.start()
        scene = Stage(guard, simulator, clock, config)
        try:
            assert is_passed(await scene.place())
            yield scene
        finally:
            await guard.stop("over")


def client_of(scene: Stage) -> Client:
    """What sends to the daemon."""
    client = scene.guard._client
    assert client is not None
    return client


async def warm(scene: Stage, connections: int) -> None:
    """So many connections to the daemon are open, and rest."""
    go = asyncio.Event()
    scene.daemon.faults.add(Hold(go), path="/api/quote", times=connections)
    waiting = begun(scene.guard, *quotes(connections))
    await scene.until_reached("/api/quote", times=connections)
    go.set()
    await asyncio.gather(*waiting)


async def test_trades_of_one_turn_take_each_step_together_and_no_task(tmp_path: Path) -> None:
    """On connections that are open: each is recorded, sent once, settled and answered."""
    async with on_sockets(tmp_path) as scene:
        await warm(scene, 3)
        log = noting(scene.guard, "judge", "hold")
        waiting, before = begun(scene.guard, *orders(3)), asyncio.all_tasks()
        assert scene.guard.supervisor.in_flight == 3
        replies = await asyncio.gather(*waiting)
        assert all(map(is_passed, replies))
        assert {one for one in asyncio.all_tasks() - before if "Supervisor" in repr(one)} == set()
        assert log == ["judge", "hold"] * 3
        assert len(scene.reached()) == 4
        assert [(await scene.outcome(reply))["verdict"] for reply in replies] == ["accepted"] * 3
        assert scene.guard.supervisor.in_flight == 0
        assert scene.guard.desk.in_flight.under_way == {}
        assert scene.guard.desk.state.steps == {}


async def test_more_than_there_are_connections_are_sent_once_each(tmp_path: Path) -> None:
    """What finds none open goes on in a task."""
    async with on_sockets(tmp_path) as scene:
        replies = await answered(scene.guard, *orders(5))
        assert all(map(is_passed, replies))
        assert len({said(reply)["s2c"]["order_id"] for reply in replies}) == 5
        assert len(scene.reached()) == 6


async def test_a_cancel_does_not_wait_for_the_trades_that_came_before_it(tmp_path: Path) -> None:
    """In the same turn of the loop; nor does a trade wait for the reads that came before it."""
    async with on_sockets(tmp_path) as scene:
        mine = await scene.placed(price=200)
        log = noting(scene.guard, "own_orders_only", "judge", "judge_passing", "revoked")
        cancel = call(MODIFY, change(mine, op="CANCEL", qty=None, price=None))
        waiting = begun(scene.guard, *quotes(1), *orders(2), cancel)
        assert [reply.status for reply in await asyncio.gather(*waiting)] == [200] * 4
        assert log == ["revoked", "judge"] * 3 + ["revoked", "judge_passing"]
        endpoints = [line["endpoint"] for line in (await scene.records("decision"))[-3:]]
        assert endpoints == [MODIFY, ORDER, ORDER]


@pytest.mark.parametrize("head", [{}, {"who": "nobody"}, {"who": None}, {"idempotency_key": "k"}])
@pytest.mark.parametrize(
    "members", [{}, {"qty": -1}, {"qty": 10**9}, {"code": "99999"}, {"market": "US"}, {"acc_id": 7}, {"env": "real"}]
)
async def test_whoever_waits_is_answered_as_whoever_awaits(
    tmp_path: Path, members: dict[str, Any], head: dict[str, Any]
) -> None:
    """Status, fields and, but for the order's own id, length of the answer are the same; a repeat under a key too."""
    async with on_sockets(tmp_path) as scene:
        asked = call(ORDER, order(**members), **head)
        _, awaited = [await scene.guard.pipeline.handle(asked) for _ in range(2)]
        alike = 2 if is_passed(awaited) else 3
        for _ in range(2):
            (waited,) = await answered(scene.guard, asked)
            assert told(waited)[:alike] == told(awaited)[:alike]


@pytest.mark.parametrize("step", ["identify", "parse", "judge", "hold"])
async def test_a_fault_is_the_trades_alone_that_it_meets(tmp_path: Path, step: str) -> None:
    """Before it is decided: 503 `rule_error`, nothing is held or sent, and the others of its turn pass."""
    async with on_sockets(tmp_path) as scene:
        await warm(scene, 3)
        break_second(scene.guard, step)
        replies = await answered(scene.guard, *orders(3))
        assert [is_passed(reply) for reply in replies] == [True, False, True]
        assert code_of(replies[1]) == (503, "rule_error")
        assert len(scene.reached()) == 3
        assert scene.guard.supervisor.in_flight == 0
        assert scene.guard.desk.in_flight.under_way == {}
        assert scene.guard.desk.state.steps == {}
        assert is_passed((await answered(scene.guard, *orders(1)))[0])


def _broken(*_: Any) -> Any:
    raise RuntimeError


async def test_a_fault_before_the_disk_is_asked_sends_nothing(tmp_path: Path) -> None:
    """The decision stands, so it has an outcome: not sent, and nothing is held."""
    async with on_sockets(tmp_path) as scene:
        scene.guard.pipeline.hooks = replace(HOOKS, carrying=replace(CARRYING, when_recorded=_broken))
        (reply,) = await answered(scene.guard, *orders(1))
        assert code_of(reply) == (503, "rule_error")
        assert (await scene.outcome(reply))["verdict"] == "not_sent"
        assert (len(scene.reached()), scene.guard.supervisor.in_flight) == (1, 0)


async def test_a_fault_as_the_answer_is_judged_is_unknown(tmp_path: Path) -> None:
    """Of one of two: the other is settled with it and passes."""
    count = iter(range(2))

    def second(desk: Desk, *rest: Any) -> Outcome:
        if next(count):
            raise RuntimeError
        return CARRYING.verdict(desk, *rest)

    async with on_sockets(tmp_path) as scene:
        await warm(scene, 2)
        scene.guard.pipeline.hooks = replace(HOOKS, carrying=replace(CARRYING, verdict=second))
        replies = await answered(scene.guard, *orders(2))
        assert sorted(reply.status for reply in replies) == [200, 504]
        verdicts = {(await scene.outcome(reply))["verdict"] for reply in replies}
        assert verdicts == {"accepted", "unknown"}
        assert len(unknowns(scene.guard.desk.state)) == 1
        assert scene.guard.supervisor.in_flight == 0


async def test_a_connection_that_was_closed_costs_a_trade_nothing(tmp_path: Path) -> None:
    """It was not sent, and is sent once on a new one."""
    async with on_sockets(tmp_path) as scene:
        client = client_of(scene)
        for connection in tuple(client._open):
            connection.eof_received()
        (reply,) = await answered(scene.guard, *orders(1))
        assert is_passed(reply)
        assert len(scene.reached()) == 2


@pytest.mark.parametrize("acts", [True, False])
async def test_an_answer_that_is_lost_is_unknown_and_stays_held(tmp_path: Path, acts: bool) -> None:
    """Whether or not the daemon acted: nothing is sent twice."""
    async with on_sockets(tmp_path) as scene:
        before = scene.held()
        scene.daemon.faults.add(Reset(acts), path=ORDER)
        (reply,) = await answered(scene.guard, *orders(1))
        assert code_of(reply) == (504, "outcome_unknown")
        assert [step.id for step in unknowns(scene.guard.desk.state)] == [decision_of(reply)]
        assert len(scene.reached()) == 2
        assert scene.held() == before + 30_000


async def test_a_disk_that_fails_sends_nothing(tmp_path: Path) -> None:
    """503 `journal_unavailable`, and nothing is held."""
    async with on_sockets(tmp_path) as scene:
        before = scene.held()
        scene.guard.journal._backlog.fail(OSError("no disk"))
        (reply,) = await answered(scene.guard, *orders(1))
        assert code_of(reply)[1] == "journal_unavailable"
        assert (len(scene.reached()), scene.held()) == (1, before)
        assert scene.guard.supervisor.in_flight == 0


async def test_a_disk_that_fails_under_those_that_wait_for_it_sends_none_of_them(tmp_path: Path) -> None:
    """Decided and held, and the sync fails: each is told so, nothing left, and its room and place are free again."""
    async with on_sockets(tmp_path) as scene:
        await warm(scene, 2)
        before = scene.held()
        waiting = begun(scene.guard, *orders(2))
        assert scene.held() == before + 90_000
        scene.guard.journal._backlog.fail(OSError("no space left on the device"))
        for reply in await asyncio.gather(*waiting):
            assert code_of(reply)[1] == "journal_unavailable"
        assert len(scene.reached()) == 1
        assert scene.held() == before
        assert scene.guard.supervisor.in_flight == 0
        assert scene.guard.desk.state.steps == {}


async def test_trades_keep_the_brokers_gap_without_a_task(tmp_path: Path) -> None:
    """Each waits for its own time; all are sent, in the order in which they were decided."""
    async with on_sockets(tmp_path, broker="documented") as scene:
        log = noting(scene.guard, "hold")
        replies = await answered(scene.guard, *orders(3))
        assert all(map(is_passed, replies))
        assert log == ["hold"] * 3
        assert [json.loads(one.body or b"")["c2s"]["qty"] for one in scene.reached()[1:]] == [100, 200, 300]


async def test_a_guard_that_stops_waits_for_trades(tmp_path: Path) -> None:
    """They are answered and recorded first, and nothing is unfinished."""
    async with on_sockets(tmp_path) as scene:
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ORDER)
        (waiting,) = begun(scene.guard, *orders(1))
        await scene.until_reached(times=2)
        stopping = asyncio.ensure_future(scene.guard.supervisor.drain(3600))
        await asyncio.sleep(0.01)
        assert not stopping.done()
        go.set()
        assert await stopping == ()
        assert is_passed(await waiting)


async def ended(scene: Stage, waiting: asyncio.Future[Reply]) -> tuple[str, str]:
    """A drain cuts off the one trade that waits: what its outcome is, and its message."""
    decision = (await scene.records("decision"))[-1]["id"]
    assert await scene.guard.supervisor.drain(0.01) == (f"trade {decision}",)
    assert waiting.cancelled()
    assert scene.guard.supervisor.in_flight == 0
    assert scene.guard.desk.in_flight.under_way == {}
    found = (await scene.records("outcome"))[-1]
    assert found["decision"] == decision
    return found["verdict"], found["message"]


async def test_what_is_at_the_daemon_when_the_guard_stops_is_unknown(tmp_path: Path) -> None:
    """It is named, recorded and held; its caller hears nothing, and an answer that comes late changes nothing."""
    async with on_sockets(tmp_path) as scene:
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ORDER)
        (waiting,) = begun(scene.guard, *orders(1))
        await scene.until_reached(times=2)
        assert await ended(scene, waiting) == ("unknown", "the guard was stopped")
        outcomes = len(await scene.records("outcome"))
        go.set()
        await asyncio.sleep(0.05)
        assert len(await scene.records("outcome")) == outcomes


async def test_what_waits_for_the_disk_when_the_guard_stops_was_not_sent(tmp_path: Path) -> None:
    """Nothing of it is held, and it is not sent when the disk comes back."""
    async with on_sockets(tmp_path) as scene:
        before, go = scene.held(), slow_disk(scene.guard.journal)
        (waiting,) = begun(scene.guard, *orders(1))
        assert await ended(scene, waiting) == ("not_sent", "the guard was stopped")
        go.set()
        await asyncio.sleep(0.05)
        assert (len(scene.reached()), scene.held()) == (1, before)


class Counting(Waiting):
    """Somebody who waits, and counts how often that ends."""

    ends = 0

    def answer(self, reply: Reply) -> None:
        """Once."""
        self.ends += 1
        super().answer(reply)

    def cut(self) -> None:
        """Or that."""
        self.ends += 1
        super().cut()


async def until(is_so: Callable[[], object]) -> None:
    """Looked at once in each turn of the loop."""
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


async def test_what_was_answered_in_the_turn_in_which_the_guard_stops_is_over(tmp_path: Path) -> None:
    """It was to be closed with the others of that turn: it is settled by its answer, counted and told of once."""
    async with on_sockets(tmp_path) as scene:
        await warm(scene, 2)
        go, supervisor = asyncio.Event(), scene.guard.supervisor
        scene.daemon.faults.add(Hold(go), path=ORDER)
        first, second = [Counting(each) for each in orders(2)]
        scene.guard.pipeline.begin([first, second])
        await until(lambda: ended_now(scene))
        [over] = [held for held in supervisor._held if ended_now(scene) == [getattr(held, "closing", None)]]
        over.cut()
        assert supervisor.in_flight == 1
        assert scene.guard.desk.in_flight.under_way == {"bot": 1}
        assert {(each.ends, each.reply.done()) for each in (first, second)} == {(1, True), (0, False)}
        [reply] = [each.reply.result() for each in (first, second) if each.ends]
        assert is_passed(reply)
        assert (await scene.outcome(reply))["verdict"] == "accepted"
        go.set()
        assert is_passed(await first.reply)
        assert is_passed(await second.reply)


async def test_a_stop_does_not_name_what_is_over(tmp_path: Path) -> None:
    """Of two trades one is answered in the very turn in which the guard stops: the other alone was cut off."""
    async with on_sockets(tmp_path) as scene:
        await warm(scene, 2)
        scene.daemon.faults.add(Hold(asyncio.Event()), path=ORDER)
        asked = begun(scene.guard, *orders(2))
        await until(lambda: ended_now(scene))
        names = {held.name for held in scene.guard.supervisor._held}
        (over,) = [f"trade {each.sending.visit.id}" for each in ended_now(scene)]
        assert await scene.guard.supervisor.drain(0) == tuple(names - {over})
        assert sorted(each.cancelled() for each in asked) == [False, True]


def ended_now(scene: Stage) -> list[Closing]:
    """What was answered in this turn."""
    return scene.guard.pipeline.carrier._ended


async def test_nothing_leaves_that_was_cut_off(tmp_path: Path) -> None:
    """The first of two has left at once; the other, to be written at the end of the turn, is settled and stays here."""
    async with on_sockets(tmp_path) as scene:
        await warm(scene, 2)
        client = client_of(scene)
        waiting = begun(scene.guard, *orders(2))
        await until(lambda: client._departures.asked)
        assert len(await scene.guard.supervisor.drain(0)) == 2
        await asyncio.sleep(0.05)
        assert len(scene.reached()) == 2
        assert all(each.cancelled() for each in waiting)
        verdicts = [one["verdict"] for one in await scene.records("outcome")]
        assert (verdicts[0], sorted(verdicts[1:])) == ("accepted", ["not_sent", "unknown"])


async def test_what_waits_for_a_connection_when_the_guard_stops_was_not_sent(tmp_path: Path) -> None:
    """Nothing of it is held, and the slot that comes free does not send it; what is at the daemon is unknown."""
    async with on_sockets(tmp_path, connections=3) as scene:
        before, go = scene.held(), asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ORDER, times=2)
        _ = begun(scene.guard, *orders(3))
        await scene.until_reached(times=3)
        assert len(await scene.guard.supervisor.drain(0)) == 3
        verdicts = [one["verdict"] for one in await scene.records("outcome")]
        assert sorted(verdicts[1:]) == ["not_sent", "unknown", "unknown"]
        assert scene.held() == before + 30_000 + 60_000
        go.set()
        await asyncio.sleep(0.05)
        assert len(scene.reached()) == 3


async def test_nothing_is_sent_anew_that_was_cut_off(tmp_path: Path) -> None:
    """Nor is the second where its connection is found closed in that turn."""
    async with on_sockets(tmp_path) as scene:
        await warm(scene, 2)
        client = client_of(scene)
        _ = begun(scene.guard, *orders(2))
        await until(lambda: client._departures.asked)
        for connection in tuple(client._open):
            connection.eof_received()
        await scene.guard.supervisor.drain(0)
        await asyncio.sleep(0.05)
        assert len(scene.reached()) == 2
        assert len(await scene.records("outcome")) == 3


async def test_a_trade_is_closed_once_whatever_is_heard_of_it(tmp_path: Path) -> None:
    """Here it is told twice that its record may not be on the disk, beside another trade."""

    def twice(recorder: Recorder, sending: Sending, on_record: OnRecord) -> None:
        for _ in range(2):
            on_record(JournalFault("torn"))

    async with on_sockets(tmp_path) as scene:
        scene.guard.pipeline.hooks = replace(HOOKS, carrying=replace(CARRYING, when_recorded=twice))
        _ = scene.guard.supervisor.start(asyncio.sleep(0.1), "another's")
        replies = await answered(scene.guard, *orders(2))
        assert [code_of(reply)[1] for reply in replies] == ["journal_unavailable"] * 2
        assert len(await scene.records("outcome")) == 3
        assert len(scene.reached()) == 1
