"""A daemon that keeps failing is left alone: refusals say so, cancels pass, and one answer is enough to go on."""

import asyncio
import json
from pathlib import Path

import pytest
from msgspec import structs

from guard.admin.health import KEYS_TOLD
from guard.simulator.faults import Fault, Hold, HttpError, Reset, Unreachable
from guard.terms import Answer, Failure, Outbound
from guard.upstream.circuit import SAMPLE_MIN
from guard.walk.desk import Desk
from guard.walk.visit import Situation
from tests.support.guards import operate, record
from tests.support.stage import MODIFY, ORDER, Stage, code_of, is_passed, stage

QUOTE = "/api/quote"
ASKED = {"symbols": ["HK.00700"]}


async def fail(scene: Stage, fault: Fault) -> None:
    """Enough orders and reads meet the fault for both circuits to open; from then on every request does."""
    assert is_passed(await scene.place(price=149))  # so that the accounts are known
    scene.daemon.faults.always(fault)
    for number in range(SAMPLE_MIN):
        await scene.place(price=150 + number)
    for _ in range(SAMPLE_MIN):
        await scene.ask(QUOTE, ASKED)
    assert len(scene.guard.desk.circuits.opened()) == 2


async def until_decided(scene: Stage) -> None:
    """A trade has been decided and is not sent yet."""
    while not scene.guard.desk.state.steps:  # noqa: ASYNC110 - nobody tells when a trade is decided
        await asyncio.sleep(0)


@pytest.mark.parametrize("fault", [Unreachable(), Reset(acts=False), HttpError(503)], ids=["refused", "reset", "503"])
async def test_orders_changes_and_reads_are_refused_with_their_wait(tmp_path: Path, fault: Fault) -> None:
    """503 `breaker_open` with Retry-After; nothing reaches the daemon, nothing is reserved, the record has it."""
    async with stage(tmp_path) as scene:
        resting = await scene.placed()
        await fail(scene, fault)
        seen = len(scene.daemon.requests)
        scene.clock.advance(s=1)
        replies = [await scene.place(), await scene.modify(resting), await scene.ask(QUOTE, ASKED)]
        for reply in replies:
            assert code_of(reply) == (503, "breaker_open")
            assert dict(reply.headers)["Retry-After"] == "4"
            assert json.loads(reply.body)["guard"]["retryable"] is True
        assert len(scene.daemon.requests) == seen
        assert [line["code"] for line in await scene.records("decision")][-3:] == ["breaker_open"] * 3


async def test_a_cancel_passes_and_closes_it_when_it_is_answered(tmp_path: Path) -> None:
    """With the circuit open a cancel is sent; a daemon that answers it is asked by everyone again."""
    async with stage(tmp_path) as scene:
        resting = await scene.placed()
        await fail(scene, Reset(acts=False))
        scene.daemon.faults.clear()
        assert code_of(await scene.place()) == (503, "breaker_open")
        assert is_passed(await scene.cancel(resting))
        assert not scene.guard.desk.circuits.trades.is_open
        assert is_passed(await scene.place())


async def test_one_request_tries_while_it_is_half_open(tmp_path: Path) -> None:
    """After the wait the first request is sent, a second one meanwhile is not, and after the answer all are."""
    async with stage(tmp_path) as scene:
        await fail(scene, Unreachable())
        scene.clock.advance(s=5)
        scene.daemon.faults.clear()
        gate = asyncio.Event()
        scene.daemon.faults.add(Hold(gate), path=QUOTE)
        trying = asyncio.ensure_future(scene.ask(QUOTE, ASKED))
        await asyncio.sleep(0)
        assert code_of(await scene.ask(QUOTE, ASKED)) == (503, "breaker_open")
        gate.set()
        assert is_passed(await trying)
        assert is_passed(await scene.ask(QUOTE, ASKED))


async def test_an_order_whose_turn_was_taken_is_not_sent_and_holds_nothing(tmp_path: Path) -> None:
    """The circuit opens between decision and sending: 503, outcome `not_sent`, everything given back."""
    async with stage(tmp_path) as scene:
        assert is_passed(await scene.place())
        placing = asyncio.ensure_future(scene.place(price=201))
        await until_decided(scene)
        circuit = scene.guard.desk.circuits.trades
        circuit.opened_us, circuit.why, circuit.blamed = scene.clock.mono_us(), "it was reset", {"bot"}
        reply = await placing
        assert code_of(reply) == (503, "breaker_open")
        assert dict(reply.headers)["Retry-After"] == "5"
        assert (await scene.outcome(reply))["verdict"] == "not_sent"
        assert len(scene.reached()) == 1


async def test_a_read_whose_turn_was_taken_is_told_how_long_to_wait(tmp_path: Path) -> None:
    """The circuit opens between its decision and its sending: nothing is sent, and the answer says until when."""
    async with stage(tmp_path) as scene:
        hooks, circuit = scene.guard.pipeline.hooks, scene.guard.desk.circuits.reads

        async def opened(desk: Desk, situation: Situation, outbound: Outbound) -> Answer | Failure:
            circuit.opened_us, circuit.why, circuit.blamed = scene.clock.mono_us(), "it was reset", {"bot"}
            scene.clock.advance(s=2)
            return await hooks.pass_on(desk, situation, outbound)

        scene.guard.pipeline.hooks = structs.replace(hooks, pass_on=opened)
        reply = await scene.ask(QUOTE, ASKED)
        assert code_of(reply) == (503, "breaker_open")
        assert json.loads(reply.body)["guard"]["retry_after_s"] == 3
        assert dict(reply.headers)["Retry-After"] == "3"
        assert "it was reset; nothing was sent" in json.loads(reply.body)["ret_msg"]
        assert scene.reached(QUOTE) == []


async def test_4xx_and_refusals_of_the_daemon_never_open_it(tmp_path: Path) -> None:
    """A daemon that says no is well."""
    async with stage(tmp_path) as scene:
        scene.daemon.faults.always(HttpError(404), path=QUOTE)
        for _ in range(3 * SAMPLE_MIN):
            assert (await scene.ask(QUOTE, ASKED)).status == 404
        assert not scene.guard.desk.circuits.opened()


async def test_reads_that_fail_stop_nobody_from_trading(tmp_path: Path) -> None:
    """A key whose reads time out is told to wait; orders of everybody pass. That nobody listens is true for both."""
    async with stage(tmp_path) as scene:
        assert is_passed(await scene.place())
        scene.daemon.faults.always(HttpError(504), path=QUOTE)
        for _ in range(SAMPLE_MIN):
            await scene.ask(QUOTE, ASKED)
        assert code_of(await scene.ask(QUOTE, ASKED)) == (503, "breaker_open")
        assert is_passed(await scene.place(price=201))
        assert [name for name, _ in scene.guard.desk.circuits.opened()] == ["reads"]
        scene.clock.advance(s=60)
        scene.daemon.faults.always(Unreachable())
        for number in range(SAMPLE_MIN):
            await scene.place(price=150 + number)
        assert len(scene.guard.desk.circuits.opened()) == 2


async def test_a_repeat_of_an_order_is_answered_all_the_same(tmp_path: Path) -> None:
    """What an Idempotency-Key has already brought about needs no daemon."""
    async with stage(tmp_path) as scene:
        assert is_passed(await scene.place(key="k"))
        await fail(scene, Unreachable())
        assert is_passed(await scene.place(key="k"))


async def test_health_says_it_in_words(tmp_path: Path) -> None:
    """Ready but degraded, with the fault and the next probe; a gauge for the pager; a dry run says so too."""
    async with stage(tmp_path) as scene:
        await fail(scene, HttpError(502))
        status, told = await operate(scene.guard, "/readyz")
        assert (status, told["degraded"]) == (200, True)
        words = [sentence for sentence in told["reasons"] if sentence.startswith("daemon:")]
        assert len(words) == 2
        assert all("it answered 502" in one and "next probe is in 5 s" in one for one in words)
        assert "guard_breaker_open 1.0" in (await operate(scene.guard, "/metrics"))[1]
        status = (await operate(scene.guard, "/status"))[1]
        assert status["daemon"]["left_alone"] == ["new orders and changes", "reads"]
        dry = await scene.ask("/guard/v1/check", {"path": QUOTE, "body": ASKED})
        assert json.loads(dry.body)["guard"]["code"] == "breaker_open"
        scene.clock.advance(s=5)
        assert "the next request is a probe" in str((await operate(scene.guard, "/readyz"))[1])


async def test_what_one_key_provokes_keeps_nobody_else_from_trading(tmp_path: Path) -> None:
    """A daemon that breaks at one key's cancels: that key's orders wait, another's passes and ends it for both."""
    async with stage(tmp_path, record("bot"), record("odd"), record("desk", owner="a person")) as scene:
        names = [await scene.placed(who="odd", price=150 + number) for number in range(SAMPLE_MIN)]
        scene.clock.advance(s=60)
        scene.daemon.faults.always(HttpError(500), path=MODIFY)
        for name in names:
            await scene.cancel(name, who="odd")
        scene.daemon.faults.clear()
        assert code_of(await scene.place(who="odd", price=170)) == (503, "breaker_open")
        said_of = [told for told in (await operate(scene.guard, "/readyz"))[1]["reasons"] if "keeps failing" in told]
        assert ["new orders and changes of odd are refused" in told for told in said_of] == [True]
        assert is_passed(await scene.cancel(names[0], who="odd"))
        assert not scene.guard.desk.circuits.opened()
        scene.daemon.faults.always(HttpError(500), path=MODIFY)
        for name in names[1:] * 2:
            await scene.cancel(name, who="odd")
        assert is_passed(await scene.place(who="bot", price=171))
        assert is_passed(await scene.place(who="odd", price=172))


@pytest.mark.parametrize("count", [KEYS_TOLD, KEYS_TOLD + 1])
async def test_of_many_keys_that_are_held_back_the_first_are_named(tmp_path: Path, count: int) -> None:
    """Readiness stays a sentence that can be read; it says when it leaves some out."""
    people = [f"bot-{number}" for number in range(count)]
    async with stage(tmp_path, *map(record, people), record("desk", owner="a person")) as scene:
        assert is_passed(await scene.place(who=people[0], price=149))
        scene.daemon.faults.always(HttpError(500), path=ORDER)
        for number in range(SAMPLE_MIN):
            await scene.place(who=people[number % count], price=150 + number)
        (told,) = [one for one in (await operate(scene.guard, "/readyz"))[1]["reasons"] if "keeps failing" in one]
        named = ", ".join(people[:KEYS_TOLD]) + (" and others" if count > KEYS_TOLD else "")
        assert f"new orders and changes of {named} are refused" in told
