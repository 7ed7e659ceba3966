"""The owner of background tasks, and the only place that creates them.

asyncio keeps only weak references to tasks, so one may be garbage-collected half-way, with an exception that nobody
sees. Here every task has a strong reference and a name, and a fault is logged and reported. *Work* (a settlement) is
waited for at shutdown; a *service* (a loop that never ends by itself) is cancelled after the work is done, and started
again after a fault. Creating and ending a task costs more than a short piece of work such as a request, so such work is
given to an idle task that has finished its own.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar

import structlog

_T = TypeVar("_T")
_CANCEL_GRACE_S: Final = 1.0
AGAIN_S: Final = 5.0  # after a fault of a service
RESTING_MAX: Final = 256  # tasks that wait for the next piece of work

_log = structlog.get_logger(__name__)


class Held(Protocol):
    """A piece of work that no task sees to its end. By identity."""

    @property
    def name(self) -> str:
        """What it is called where it has to be cut off."""
        ...

    def cut(self) -> bool:
        """The program ends; False: it was over."""
        ...


class Supervisor:
    """Starts tasks, holds them, sees their exceptions, and ends them in order. Used on one event loop."""

    def __init__(self, *, cancel_grace_s: float = _CANCEL_GRACE_S) -> None:
        """`cancel_grace_s`: how long a cancelled task may take to clean up."""
        self._faults: Counter[str] = Counter()  # by the first word of a name, of which there are few
        self._events: dict[str, str] = {}  # by the same word, the line of the log
        self._kept_names: set[str] = set()
        self._cancel_grace_s = cancel_grace_s
        self._work: set[asyncio.Task[Any]] = set()
        self._services: set[asyncio.Task[Any]] = set()
        self._resting: dict[asyncio.Task[Any], asyncio.Future[Coroutine[Any, Any, None]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held: set[Held] = set()
        self._none_held: asyncio.Future[None] | None = None
        self._is_ending = False
        self._is_closed = False

    @property
    def in_flight(self) -> int:
        """How many pieces of work are under way; services do not count."""
        return len(self._work) + len(self._held)

    @property
    def is_ending(self) -> bool:
        """`drain` was called: a service need not be started any more."""
        return self._is_ending

    def start(self, coro: Coroutine[Any, Any, _T], name: str, *, service: bool = False) -> asyncio.Task[_T]:
        """Runs `coro` as a task that no caller's hang-up can cancel.

        To wait for its result, await `asyncio.shield(task)`: awaiting the task itself would pass a cancellation on.
        Starting anything after `drain` has ended is a bug.
        """
        if self._is_closed:
            coro.close()
            raise AssertionError(f"task {name} started after the drain")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # which is a system call
        task = self._loop.create_task(coro, name=name)
        (self._services if service else self._work).add(task)
        task.add_done_callback(self._ended)
        return task

    def take(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        """As `start`, for frequent short work whose result nobody asks for: an idle task takes it, if there is one.

        A fault ends that task.
        """
        if not self._resting or self._is_ending:
            task = self.start(self._one_by_one(coro), name)
            task.add_done_callback(lambda _: coro.close())  # it may be cancelled before it began
            return
        task, wanted = self._resting.popitem()  # the last to rest
        task.set_name(name)
        self._work.add(task)
        wanted.set_result(coro)

    async def _one_by_one(self, coro: Coroutine[Any, Any, None]) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        if task is None:
            raise AssertionError("work is done in a task")
        while True:
            await coro
            if self._is_ending or len(self._resting) >= RESTING_MAX:
                return
            self._work.discard(task)
            wanted = self._resting[task] = loop.create_future()
            try:
                coro = await wanted
            except asyncio.CancelledError:
                if wanted.done() and not wanted.cancelled():
                    wanted.result().close()  # it was taken, and never began
                raise

    def hold(self, held: Held) -> None:
        """A piece of work has begun that no task sees to its end: a drain waits for its `release` too."""
        self._held.add(held)

    def release(self, held: Held) -> None:
        """It is over, or goes on in a task."""
        self._held.discard(held)
        if not self._held and self._none_held is not None and not self._none_held.done():
            self._none_held.set_result(None)

    def keep(self, begin: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Runs a service that the guard needs: after a fault, which is reported, it is started again."""
        self._kept_names.add(name)
        _ = self.start(self._kept(begin, name), name, service=True)

    async def _kept(self, begin: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        while True:
            try:
                return await begin()
            except Exception:  # noqa: BLE001 - temporary limits would never end, doubts never be settled
                self._faults[name] += 1
                _log.exception("service_failed", service=name, hint=f"begun anew in {AGAIN_S:.0f} s")
            await asyncio.sleep(AGAIN_S)

    def fault(self, name: str, *, event: str) -> None:
        """Counts a fault that was handled where it arose; `event` is its name in the log."""
        self._faults[name] += 1
        self._events[name] = event

    def concerns(self) -> tuple[str, ...]:
        """For the operator: faults of the guard's own since the start, each of them a defect."""
        return tuple(self._told(name, count) for name, count in self._faults.items())

    def _told(self, name: str, count: int) -> str:
        is_kept = name in self._kept_names
        after, event = (" and was begun anew", "service_failed") if is_kept else ("", "task_failed")
        event = self._events.get(name, event)
        often = "once" if count == 1 else f"{count} times"
        return f"{name}: failed {often} by a fault of the guard's own{after}; see {event} in its log, and report it"

    def see_through(self, coro: Coroutine[Any, Any, _T], name: str) -> Awaitable[_T]:
        """To be awaited at once: runs `coro` so that no caller's hang-up can cancel it.

        Within the supervisor's own work, which nobody cancels, that is the coroutine itself; elsewhere a task of its
        own, which whoever waits may abandon.
        """
        task = asyncio.current_task(self._loop)
        if task is None or task not in self._work:
            return asyncio.shield(self.start(coro, name))
        task.set_name(name)
        return coro

    async def drain(self, timeout_s: float, *, hurry: asyncio.Event | None = None) -> tuple[str, ...]:
        """Waits for the work, for at most `timeout_s` or until `hurry` is set; then cancels what is left, and services.

        Returns the names of the work that had to be cancelled; none is a clean end.
        """
        self._is_ending = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        hurried = loop.create_task(hurry.wait()) if hurry is not None else loop.create_future()
        while self.in_flight and (left_s := deadline - loop.time()) > 0 and not hurried.done():
            self._none_held = loop.create_future()
            ends: set[asyncio.Future[Any]] = {hurried, *self._work}
            if self._held:
                ends.add(self._none_held)
            await asyncio.wait(ends, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)  # work may start more work
        hurried.cancel()
        cut_off = [held.name for held in tuple(self._held) if self._cut(held)]
        unfinished = tuple(sorted((*(task.get_name() for task in self._work), *cut_off)))
        await self._cancel(self._work)
        await self._cancel(self._services | self._resting.keys())
        self._is_closed = True
        return unfinished

    def _cut(self, held: Held) -> bool:
        try:
            return held.cut()
        except Exception:  # noqa: BLE001 - the others are cut off all the same
            _log.exception("cutting_failed", name=held.name)
            return True

    async def _cancel(self, tasks: set[asyncio.Task[Any]]) -> None:
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        _, stubborn = await asyncio.wait(tasks, timeout=self._cancel_grace_s)
        for task in stubborn:
            _log.error("task_does_not_end", task=task.get_name())

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        self._services.discard(task)
        _ = self._resting.pop(task, None)
        if task.cancelled() or (error := task.exception()) is None:
            return
        self._faults[task.get_name().partition(" ")[0]] += 1
        _log.error("task_failed", task=task.get_name(), error=repr(error), exc_info=error)
