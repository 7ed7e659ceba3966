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
    assert "task_does_not_end" in capsys.readouterr().out
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
    await asyncio.wait_for(done.wait(), 60)
    assert await supervisor.drain(1) == ()


async def test_work_is_taken_by_the_task_that_rests() -> None:
    """One after the other takes no second task; what is under way counts, under its own name, until it ends."""
    supervisor = Supervisor()
    seen: list[tuple[asyncio.Task[object] | None, str, int]] = []

    async def work() -> None:
        await asyncio.sleep(0)
        task = asyncio.current_task()
        seen.append((task, "" if task is None else task.get_name(), supervisor.in_flight))

    for name in ("first", "second"):
        supervisor.take(work(), name)
        assert supervisor.in_flight == 1
        for _ in range(3):
            await asyncio.sleep(0)
        assert supervisor.in_flight == 0

    (one, *first), (other, *second) = seen
    assert one is other
    assert (first, second) == (["first", 1], ["second", 1])
    assert await supervisor.drain(1) == ()
    assert one is not None
    assert one.done()


async def test_work_that_is_under_way_at_once_has_a_task_each() -> None:
    """Nobody waits for somebody else's work to end, and no more tasks rest than may."""
    supervisor, gate = Supervisor(), asyncio.Event()
    tasks: set[asyncio.Task[object] | None] = set()

    async def work() -> None:
        tasks.add(asyncio.current_task())
        await gate.wait()

    many = supervisor_module.RESTING_MAX + 2
    for _ in range(many):
        supervisor.take(work(), "request")
    await asyncio.sleep(0)
    assert (len(tasks), supervisor.in_flight) == (many, many)
    gate.set()
    for _ in range(4):
        await asyncio.sleep(0)

    assert supervisor.in_flight == 0
    assert sum(task is not None and task.done() for task in tasks) == 2
    assert await supervisor.drain(1) == ()


async def test_what_is_taken_after_a_fault_has_no_part_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The fault is logged and told under the name of the work that it met; the next is done."""
    supervisor, done = Supervisor(), asyncio.Event()

    async def work() -> None:
        done.set()

    supervisor.take(_fail(), "settle 01K")
    for _ in range(3):
        await asyncio.sleep(0)
    supervisor.take(work(), "request")

    assert await supervisor.drain(1) == ()
    assert done.is_set()
    told = "settle: failed once by a fault of the guard's own; see task_failed in its log, and report it"
    assert supervisor.concerns() == (told,)
    assert "settle 01K" in capsys.readouterr().out


async def test_the_drain_waits_for_what_was_taken_and_no_longer() -> None:
    """Also for what comes meanwhile; who has done its work then rests no more, or the drain would wait for it."""
    supervisor, seen = Supervisor(), []

    async def work() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    supervisor.take(work(), "first")
    draining = asyncio.ensure_future(supervisor.drain(3600))
    await asyncio.sleep(0)
    supervisor.take(work(), "second")

    assert await asyncio.wait_for(draining, 60) == ()
    assert len(seen) == 2
    assert all(task is not None and task.done() for task in seen)


async def test_what_was_taken_and_does_not_end_is_cancelled_and_named() -> None:
    """As any other work; nobody who rests takes more once all of them are to end."""
    supervisor, seen = Supervisor(), []

    async def work() -> None:
        seen.append(1)

    async def service() -> None:
        try:
            await _forever()
        finally:
            supervisor.take(work(), "late")

    _ = supervisor.start(service(), "service", service=True)
    supervisor.take(work(), "rests")
    supervisor.take(_forever(), "stays")
    await asyncio.sleep(0)

    assert await supervisor.drain(0) == ("stays",)
    assert seen == [1, 1]
    assert not supervisor.concerns()


async def test_what_is_cancelled_before_it_began_never_began() -> None:
    """As with a task of its own: it was taken, and the drain ended in the same turn."""
    supervisor, seen = Supervisor(), []

    async def work() -> None:
        seen.append(1)

    supervisor.take(work(), "first")
    await asyncio.sleep(0)
    for name in ("by who rests", "by another"):
        supervisor.take(work(), name)

    assert await supervisor.drain(0) == ("by another", "by who rests")
    assert seen == [1]
    gc.collect()  # a coroutine that nobody ended would say so here
