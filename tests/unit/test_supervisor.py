"""The owner of background tasks."""

import asyncio
import gc
from typing import Never

import pytest

from guard import supervisor as supervisor_module
from guard.supervisor import Supervisor


async def _answer() -> int:
    await asyncio.sleep(0)
    return 42


async def _fail() -> Never:
    await asyncio.sleep(0)
    raise ValueError("broken")


async def _forever() -> None:
    await asyncio.Event().wait()


async def test_a_task_has_a_name_and_gives_its_result() -> None:
    """What is started can be awaited, and is let go of when it has ended."""
    supervisor = Supervisor()
    task = supervisor.start(_answer(), "answer")

    assert (task.get_name(), supervisor.in_flight) == ("answer", 1)
    assert await task == 42
    await asyncio.sleep(0)
    assert supervisor.in_flight == 0


async def test_a_task_that_nobody_holds_lives_on() -> None:
    """The supervisor's own reference keeps a task from being collected half-way."""
    supervisor, done = Supervisor(), asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set()

    _ = supervisor.start(work(), "work")
    gc.collect()

    await supervisor.drain(1)
    assert done.is_set()


async def test_a_caller_that_hangs_up_does_not_end_the_work() -> None:
    """Cancelling whoever waits behind a shield leaves the task running."""
    supervisor, go, done = Supervisor(), asyncio.Event(), asyncio.Event()

    async def settle() -> None:
        await go.wait()
        done.set()

    task = supervisor.start(settle(), "settle")

    async def request() -> None:
        await asyncio.shield(task)

    caller = supervisor.start(request(), "request")
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    go.set()

    assert await supervisor.drain(1) == ()
    assert done.is_set()


async def test_a_failure_is_heard_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception that nobody awaits is logged with the task's name, and the operator told by its first word."""
    supervisor = Supervisor()
    for decision in ("01K", "01L"):
        _ = supervisor.start(_fail(), f"settle {decision}")

    assert await supervisor.drain(1) == ()

    told = "settle: failed 2 times by a fault of the guard's own; see task_failed in its log, and report it"
    assert supervisor.concerns() == (told,)
    logged = capsys.readouterr().out
    assert "settle 01K" in logged
    assert "settle 01L" in logged


async def test_a_service_that_fails_is_begun_anew_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What only a service does would never be done again: a temporary limit would not end, a doubt not be settled."""
    monkeypatch.setattr(supervisor_module, "AGAIN_S", 0.0)
    supervisor, runs, whole = Supervisor(), 0, asyncio.Event()

    async def service() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            await _fail()
        whole.set()
        await _forever()

    supervisor.keep(service, "sweep")
    assert supervisor.concerns() == ()
    await whole.wait()
    (told,) = supervisor.concerns()
    assert told.startswith("sweep: failed 2 times by a fault of the guard's own")
    assert capsys.readouterr().out.count("] service_failed") == 2
    assert await supervisor.drain(1) == ()


async def test_the_drain_waits_for_work_that_work_started() -> None:
    """A settlement that begins another one is not cut off."""
    supervisor, seen = Supervisor(), []

    async def second() -> None:
        await asyncio.sleep(0)
        seen.append("second")

    async def first() -> None:
        await asyncio.sleep(0)
        _ = supervisor.start(second(), "second")

    _ = supervisor.start(first(), "first")

    assert await supervisor.drain(1) == ()
    assert seen == ["second"]


async def test_work_that_does_not_end_in_time_is_cancelled_and_named() -> None:
    """The drain says what it cut off, in order of names."""
    supervisor = Supervisor()
    tasks = [supervisor.start(_forever(), name) for name in ("b", "a")]

    assert await supervisor.drain(0) == ("a", "b")
    assert all(task.cancelled() for task in tasks)
    assert not supervisor.concerns()


async def test_services_outlive_the_work_and_are_not_counted_as_cut_off() -> None:
    """A loop that never ends is told to stop after the last work is done."""
    supervisor, order = Supervisor(), []

    async def service() -> None:
        try:
            await _forever()
        finally:
            order.append("service")

    async def work() -> None:
        await asyncio.sleep(0)
        order.append("work")

    _ = supervisor.start(service(), "reconcile", service=True)
    _ = supervisor.start(work(), "settle")

    assert supervisor.in_flight == 1
    assert await supervisor.drain(1) == ()
    assert order == ["work", "service"]


async def test_a_task_that_refuses_to_end_is_left_behind_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """A cancellation that is swallowed does not hang the shutdown."""
    supervisor, release = Supervisor(cancel_grace_s=0.01), asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    task = supervisor.start(stubborn(), "stubborn")
    await asyncio.sleep(0)

    assert await supervisor.drain(0) == ("stubborn",)
    assert "task does not end" in capsys.readouterr().out
    release.set()
    await task


async def test_nothing_starts_after_the_drain() -> None:
    """A task that would never be waited for is a bug."""
    supervisor = Supervisor()
    await supervisor.drain(0)

    with pytest.raises(AssertionError, match="late"):
        _ = supervisor.start(_answer(), "late")


async def test_a_drain_is_seen_from_its_beginning() -> None:
    """A service that nobody will wait for need not be started."""
    supervisor = Supervisor()
    assert not supervisor.is_ending
    release = asyncio.Event()
    seen: list[bool] = []

    async def work() -> None:
        await release.wait()
        seen.append(supervisor.is_ending)

    task = supervisor.start(work(), "work")
    draining = asyncio.ensure_future(supervisor.drain(1.0))
    await asyncio.sleep(0)
    release.set()

    assert await draining == ()
    assert task.done()
    assert seen == [True]


async def test_hurry_ends_the_wait_for_work() -> None:
    """What is left when the hurry begins is cancelled and named; work that has ended by then is not."""
    supervisor, hurry = Supervisor(), asyncio.Event()
    _ = supervisor.start(_answer(), "quick")
    _ = supervisor.start(_forever(), "slow")
    draining = asyncio.ensure_future(supervisor.drain(3600, hurry=hurry))
    for _ in range(5):
        await asyncio.sleep(0)
    assert (draining.done(), supervisor.in_flight) == (False, 1)
    hurry.set()
    assert await draining == ("slow",)


async def test_hurry_that_began_before_waits_for_nothing() -> None:
    """A drain that is told to hurry from the start cancels at once; one without work ends at once all the same."""
    hurry = asyncio.Event()
    hurry.set()
    supervisor = Supervisor()
    _ = supervisor.start(_forever(), "slow")
    assert await supervisor.drain(3600, hurry=hurry) == ("slow",)
    assert await Supervisor().drain(3600, hurry=hurry) == ()


async def test_work_of_the_supervisors_own_is_seen_through_where_it_is() -> None:
    """No second task: the one that is there takes the name of what it does now, and what it raises is heard."""
    supervisor = Supervisor()
    seen: list[asyncio.Task[object] | None] = []

    async def inner() -> int:
        seen.append(asyncio.current_task())
        return 7

    async def outer() -> int:
        return await supervisor.see_through(inner(), "trade 1")

    task = supervisor.start(outer(), "request")
    assert await task == 7
    assert seen == [task]
    assert task.get_name() == "trade 1"


async def test_work_is_seen_through_though_a_stranger_who_waits_is_cancelled() -> None:
    """A task that is not the supervisor's may hang up; the work goes on in one that is."""
    supervisor, gate, done = Supervisor(), asyncio.Event(), asyncio.Event()

    async def inner() -> None:
        await gate.wait()
        done.set()

    stranger = asyncio.ensure_future(supervisor.see_through(inner(), "trade 1"))
    await asyncio.sleep(0)
    stranger.cancel()
    await asyncio.wait({stranger})
    gate.set()
    await asyncio.wait_for(done.wait(), 1)
    assert await supervisor.drain(1) == ()
