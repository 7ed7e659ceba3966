"""The program owns a trade, not its caller: hang-ups, shutdown and our own bugs never leave one without an outcome."""

import asyncio
import re
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from guard.limits import ledger, unknowns
from guard.policy.orders import MaxQty
from guard.simulator import Simulator
from guard.simulator.faults import Hold
from guard.terms import Answer, Failure, Outbound, Reply
from guard.walk import closing, judging, outgoing, sending
from guard.walk.hooks import HOOKS
from tests.support.disk import FaultyDisk
from tests.support.guards import codes, of_type, said
from tests.support.journal import once_durable, slow_disk
from tests.support.stage import (
    ACCOUNTS,
    DAILY,
    MODIFY,
    ORDER,
    TRADING,
    Stage,
    account,
    code_of,
    decision_of,
    is_passed,
    stage,
)


class Bug(RuntimeError):
    """Something of ours that breaks."""


async def in_flight(scene: Stage, asked: asyncio.Future[Reply], path: str) -> None:
    """The daemon holds the request."""
    await scene.until_reached(path)
    assert not asked.done()


async def hang_up(asked: asyncio.Future[Reply]) -> None:
    """The caller goes away."""
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def settled(scene: Stage) -> None:
    """Nothing is under way any more."""
    async with asyncio.timeout(60):
        while scene.guard.supervisor.in_flight:  # noqa: ASYNC110 - the work of others
            await asyncio.sleep(0)


# ---------------------------------------------------------------- callers that hang up


async def test_a_caller_that_hangs_up_at_the_daemon_changes_nothing(tmp_path: Path) -> None:
    """The order is at the daemon: it is settled, recorded and owned as if its caller had waited."""
    async with stage(tmp_path, policies=DAILY) as scene:
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ORDER)
        asked = asyncio.ensure_future(scene.place(key="k"))
        await in_flight(scene, asked, ORDER)
        await hang_up(asked)
        assert scene.held() == 20_000
        assert code_of(await scene.place(key="k")) == (409, "in_flight")
        go.set()
        await settled(scene)

        assert [found["verdict"] for found in await scene.records("outcome")] == ["accepted"]
        mine = said(await scene.place(key="k"))["s2c"]["order_id_ex"]
        assert is_passed(await scene.modify(mine, price=150))


async def test_a_caller_that_hangs_up_while_the_record_is_written_changes_nothing(tmp_path: Path) -> None:
    """Once decided the order goes, whoever is still listening."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        go = slow_disk(scene.guard.journal)
        asked = asyncio.ensure_future(scene.place())
        await asyncio.sleep(0.01)
        assert scene.held() == 20_000
        await hang_up(asked)
        go.set()
        await settled(scene)
        assert len(scene.daemon.orders) == 1
        assert [found["verdict"] for found in await scene.records("outcome")] == ["accepted"]


@pytest.mark.parametrize(("stood_s", "sent"), [(10, 1), (11, 0), (3600, 0)])
async def test_an_order_that_a_disk_held_up_is_not_sent_long_after_it_was_judged(
    tmp_path: Path, stood_s: int, sent: int
) -> None:
    """Its price, the hours and whoever waited for it may be gone: 503, nothing held; a cancel is sent all the same."""
    async with stage(tmp_path, policies=DAILY) as scene:
        mine, before = await scene.placed(), scene.held()
        go = slow_disk(scene.guard.journal)
        asked = [asyncio.ensure_future(scene.place(price=190)), asyncio.ensure_future(scene.modify(mine, price=180))]
        await asyncio.sleep(0.01)
        scene.clock.advance(s=stood_s)
        cancelled = await scene.cancel(mine)
        go.set()
        placed, changed = await asyncio.gather(*asked)

        assert is_passed(cancelled)
        assert len(scene.reached()) - 1 == sent
        if not sent:
            assert [code_of(reply) for reply in (placed, changed)] == [(503, "overloaded")] * 2
            assert "Retry-After" in dict(placed.headers)
            assert f"decided {stood_s} s ago" in said(placed)["ret_msg"]
            assert {(await scene.outcome(reply))["verdict"] for reply in (placed, changed)} == {"not_sent"}
            assert scene.held() <= before


async def test_an_order_is_as_old_as_the_wall_says_where_the_machine_slept(tmp_path: Path) -> None:
    """The monotonic clock stands still in a sleep; the market does not."""
    async with stage(tmp_path) as scene:
        await scene.ask(ACCOUNTS)
        once_durable(scene.guard.journal, partial(scene.clock.step_wall, s=60))
        assert code_of(await scene.place()) == (503, "overloaded")
        assert scene.reached() == []


async def test_a_caller_that_hangs_up_before_the_decision_leaves_nothing(tmp_path: Path) -> None:
    """Nobody waits for an order that was not decided: no record, no counter, nothing sent."""
    async with stage(tmp_path, policies=DAILY) as scene:
        scene.has_tasks = True
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ACCOUNTS)
        asked = asyncio.ensure_future(scene.place())
        await in_flight(scene, asked, ACCOUNTS)
        await hang_up(asked)
        go.set()
        await settled(scene)
        assert scene.reached() == []
        assert await scene.records("decision") == []
        assert scene.ledger()["holders"] == {}
        assert is_passed(await scene.place())  # and the account list that it had asked for is here


@pytest.mark.parametrize("has_tasks", [True, False])
@pytest.mark.parametrize("turns", range(40))
async def test_at_whichever_turn_a_caller_hangs_up_the_books_agree(tmp_path: Path, turns: int, has_tasks: bool) -> None:
    """Cancelled after any number of turns of the loop: every decision has an outcome, every order at the daemon too."""
    async with stage(tmp_path, policies=DAILY) as scene:
        scene.has_tasks = has_tasks
        asked = asyncio.ensure_future(scene.place(key="k"))
        for _ in range(turns):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await settled(scene)
        decisions, outcomes = await scene.records("decision"), await scene.records("outcome")
        assert len(decisions) == len(outcomes) == len(scene.daemon.orders) == len(scene.reached())
        assert scene.held() == 20_000 * len(decisions)
        assert scene.guard.desk.state.steps == {}


async def test_a_cancel_whose_caller_hangs_up_is_carried_out(tmp_path: Path) -> None:
    """A cancel is owned by the program as well."""
    async with stage(tmp_path) as scene:
        mine, go = await scene.placed(), asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=MODIFY)
        asked = asyncio.ensure_future(scene.cancel(mine))
        await in_flight(scene, asked, MODIFY)
        await hang_up(asked)
        go.set()
        await settled(scene)
        assert not scene.daemon.orders[mine].is_open


# ---------------------------------------------------------------- shutdown


async def test_shutdown_waits_for_what_is_under_way(tmp_path: Path) -> None:
    """A stop while an order is at the daemon ends after its outcome is on record, and says that nothing was cut off."""
    async with stage(tmp_path) as scene:
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ORDER)
        asked = asyncio.ensure_future(scene.place())
        await in_flight(scene, asked, ORDER)
        stopping = asyncio.ensure_future(scene.guard.stop("SIGTERM"))
        await asyncio.sleep(0.01)
        assert not stopping.done()
        assert code_of(await scene.place(remark="2")) == (503, "draining")
        go.set()
        assert is_passed(await asked)
        assert await stopping == ()
        assert [line["verdict"] for line in of_type(scene.config, "outcome")] == ["accepted"]
        assert "unfinished" not in of_type(scene.config, "stop")[0]
        scene.guard.stop = _nothing  # type: ignore[method-assign]


async def _nothing(reason: str) -> tuple[str, ...]:
    del reason
    return ()


async def test_what_shutdown_cuts_off_is_unknown_and_named(tmp_path: Path) -> None:
    """After drain_timeout_s an order that the daemon still holds is recorded as unknown, and the stop names it."""
    toml = f"{TRADING}[bounds]\ndrain_timeout_s = 0.05\n"
    async with stage(tmp_path, policies=DAILY, toml=toml) as scene:
        scene.daemon.faults.add(Hold(asyncio.Event()), path=ORDER)
        asked = asyncio.ensure_future(scene.place(key="k"))
        await in_flight(scene, asked, ORDER)
    assert [line["verdict"] for line in of_type(scene.config, "outcome")] == ["unknown"]
    decision = of_type(scene.config, "decision")[0]["id"]
    assert of_type(scene.config, "stop")[0]["unfinished"] == [f"trade {decision}"]
    await asyncio.gather(asked, return_exceptions=True)
    async with stage(tmp_path, policies=DAILY, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.held() == 20_000
        assert code_of(await scene.place(key="k")) == (409, "outcome_unknown")


async def test_a_stop_with_a_broken_journal_ends_all_the_same(tmp_path: Path) -> None:
    """Nothing is raised where the stop itself cannot be recorded."""
    disk = FaultyDisk()
    async with stage(tmp_path, disk=disk) as scene:
        disk.fails["write"] = OSError(28, "No space left on device")
        await scene.place()
    async with stage(tmp_path, daemon=scene.daemon, clock=scene.clock) as scene:
        assert is_passed(await scene.place())


# ---------------------------------------------------------------- bugs of our own


class Raising(Simulator):
    """A daemon whose port breaks its promise never to raise, before or after it acted."""

    def __init__(self, *, acts: bool) -> None:
        super().__init__()
        self.acts = acts

    async def send(self, request: Outbound) -> Answer | Failure:
        """Raises for orders."""
        if request.path != ORDER:
            return await super().send(request)
        if self.acts:
            await super().send(request)
        raise Bug


@pytest.mark.parametrize("acts", [True, False])
async def test_an_exception_while_sending_is_unknown(tmp_path: Path, acts: bool) -> None:
    """A bug in our own client proves nothing: 504 outcome_unknown, held, one decision and one outcome on record."""
    async with stage(tmp_path, policies=DAILY, daemon=Raising(acts=acts)) as scene:
        reply = await scene.place()
        assert code_of(reply) == (504, "outcome_unknown")
        assert scene.held() == 20_000
        assert [step.id for step in unknowns(scene.guard.desk.state)] == [decision_of(reply)]
        assert (await scene.outcome(reply))["verdict"] == "unknown"
        assert [found["outcome"] for found in await scene.records("decision")] == ["allow"]


def raising(*_: Any, **__: Any) -> Any:
    """A function with a bug."""
    raise Bug


Place: Final[list[tuple[Any, str, tuple[int, str], int, str | None]]] = [
    (closing, "outcome_of", (504, "outcome_unknown"), 1, "unknown"),
    (sending, "late_objection", (503, "rule_error"), 0, "not_sent"),
    (closing, "reserve", (503, "rule_error"), 0, None),  # before its decision is written, so that is a refusal
    (ledger, "_stamp", (503, "rule_error"), 0, None),  # with its money taken
    (judging, "check_claims", (503, "rule_error"), 0, None),
    (outgoing, "encode", (503, "rule_error"), 0, None),
]


@pytest.mark.parametrize(("module", "name", "told", "sent", "verdict"), Place)
async def test_a_bug_anywhere_refuses_or_is_unknown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    told: tuple[int, str],
    sent: int,
    verdict: str | None,
) -> None:
    """Wherever our code breaks: never 500, never let through; a decided order has an outcome, and the next one goes."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask(ACCOUNTS)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, raising)
            reply = await scene.place()
        assert code_of(reply) == told
        assert len(scene.reached()) == sent
        assert scene.held() == 20_000 * sent
        assert [found["verdict"] for found in await scene.records("outcome")] == ([verdict] if verdict else [])
        assert [found["id"] for found in await scene.records("decision")].count(decision_of(reply)) == 1
        (concern,) = scene.guard.supervisor.concerns()  # what /readyz tells
        assert re.fullmatch(r"(request|trade): failed once by a fault of .* see (walk|sending)_failed in .*", concern)
        assert is_passed(await scene.place(remark="next"))
    async with stage(tmp_path, policies=DAILY, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.held() == 20_000 * (sent + 1)


async def test_a_rule_that_breaks_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception inside one rule is 503 rule_error beside the reasons of all others, and nothing is sent."""
    monkeypatch.setattr(MaxQty, "judge", raising)
    policies = '[orders]\nmax_qty = 5\nmax_value = "1 HKD"\n'
    async with stage(tmp_path, policies=policies) as scene:
        reply = await scene.place()
        assert codes(reply) == ["max_order_value", "rule_error"]
        assert is_passed(await scene.ask("/api/funds", account()))
        assert scene.reached() == []


async def test_a_bug_on_a_read_is_told_without_a_second_decision(tmp_path: Path) -> None:
    """A read that passed and then broke is 503 rule_error; its record stays one decision."""
    async with stage(tmp_path) as scene:
        scene.guard.pipeline.hooks = replace(HOOKS, answer_view=raising)
        reply = await scene.ask("/api/funds", account())
        assert code_of(reply) == (503, "rule_error")
        assert [found["outcome"] for found in await scene.records("decision")] == ["allow"]
