"""Faults on demand: what happens to one request instead of, before or after the ordinary answer.

Each fault is a small frozen class with one method. `acts` says whether the daemon does what it was asked although the
caller never learns of it: every remote call can fail, and can fail after it happened. A fault is put into a queue, for
one path or for any, and is used up by the requests that meet it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from msgspec import Struct

from guard.simulator.refusals import JSON, failed, plain, succeeded
from guard.terms import Answer, Failure

STUB_ORDER_ID: Final = 206158430256


class Stage(Struct):
    """Where a fault plays: `act` does what was asked, `sleep` waits, `timeout_s` is the caller's patience."""

    act: Callable[[], Answer]
    sleep: Callable[[float], Awaitable[None]]
    timeout_s: float | None


class Fault(Protocol):
    """Something that goes wrong with one request."""

    async def play(self, stage: Stage) -> Answer | Failure:
        """The answer that the caller gets, or the failure that it meets."""
        ...


class Delay(Struct, frozen=True):
    """The answer takes `seconds`; longer than the caller waits is a timeout, and the daemon acts all the same."""

    seconds: float
    then: Fault | None = None

    async def play(self, stage: Stage) -> Answer | Failure:
        """Wait, then go on; a caller whose patience ends first is answered with a timeout."""
        patience = stage.timeout_s
        is_late = patience is not None and self.seconds >= patience
        await stage.sleep(self.seconds if patience is None else min(self.seconds, patience))
        result = stage.act() if self.then is None else await self.then.play(stage)
        return Failure("timeout", "no answer in time", is_sent=True) if is_late else result


class Hold(Struct, frozen=True):
    """The daemon waits for an event before it acts: for tests that do something meanwhile."""

    until: asyncio.Event
    then: Fault | None = None

    async def play(self, stage: Stage) -> Answer | Failure:
        """Wait for the event, then go on."""
        await self.until.wait()
        return stage.act() if self.then is None else await self.then.play(stage)


class Unreachable(Struct, frozen=True):
    """Nobody listens: not a byte is sent."""

    async def play(self, stage: Stage) -> Answer | Failure:  # noqa: ARG002 - the shape of every fault
        """Refuse the connection."""
        return Failure("refused", "connection refused", is_sent=False)


class Reset(Struct, frozen=True):
    """The connection is reset after the request was read; with `acts` after it was carried out."""

    acts: bool

    async def play(self, stage: Stage) -> Answer | Failure:
        """Act or not, and say nothing."""
        if self.acts:
            stage.act()
        return Failure("reset", "connection reset by peer", is_sent=True)


class HttpError(Struct, frozen=True):
    """An HTTP status with `{"error": …}`."""

    status: int
    message: str = "internal error"
    acts: bool = False

    async def play(self, stage: Stage) -> Answer | Failure:
        """Act or not, and answer the status."""
        if self.acts:
            stage.act()
        return plain(self.status, {"error": self.message})


class RetType(Struct, frozen=True):
    """An envelope with another `ret_type`: -1 refused, -100 timed out, -200 disconnected, -400 unknown."""

    ret_type: int
    message: str = "simulated"
    err_code: int | None = None
    acts: bool = False
    is_text: bool = False

    async def play(self, stage: Stage) -> Answer | Failure:
        """Act or not, and answer the envelope."""
        if self.acts:
            stage.act()
        return failed(self.ret_type, self.message, self.err_code, is_text=self.is_text)


class Ids(Struct, frozen=True):
    """Success that names these order ids: a stub by default, empty ids or those of another order at will."""

    order_id: int = STUB_ORDER_ID
    order_id_ex: str = "0"
    acts: bool = False

    async def play(self, stage: Stage) -> Answer | Failure:
        """Act or not, and answer success with the ids."""
        if self.acts:
            stage.act()
        return succeeded({"order_id": self.order_id, "order_id_ex": self.order_id_ex})


class Garbage(Struct, frozen=True):
    """A 200 with a body that is no envelope."""

    body: bytes = b"\x00<html>"
    content_type: str = JSON
    acts: bool = False

    async def play(self, stage: Stage) -> Answer | Failure:
        """Act or not, and answer the bytes."""
        if self.acts:
            stage.act()
        return Answer(200, self.content_type, self.body)


class Faults:
    """Faults that wait for a request: for a path, or for any."""

    def __init__(self) -> None:
        self._queues: dict[str | None, deque[Fault]] = {}
        self._standing: dict[str | None, Fault] = {}

    def add(self, fault: Fault, *, path: str | None = None, times: int = 1) -> None:
        """The next `times` requests (to `path`) meet this fault; those added earlier come first."""
        self._queues.setdefault(path, deque()).extend([fault] * times)

    def always(self, fault: Fault | None, *, path: str | None = None) -> None:
        """Every request (to `path`) meets this fault, until it is set to None."""
        if fault is None:
            self._standing.pop(path, None)
        else:
            self._standing[path] = fault

    def clear(self) -> None:
        """No more faults."""
        self._queues.clear()
        self._standing.clear()

    def take(self, path: str) -> Fault | None:
        """The fault that this request meets; a path's own ones before those for any."""
        for place in (path, None):
            if self._queues.get(place):
                return self._queues[place].popleft()
        return self._standing.get(path) or self._standing.get(None)
