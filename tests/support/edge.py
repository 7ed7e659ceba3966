"""A listener of the edge on a real socket whose walk echoes, and callers that speak raw bytes to it."""

import asyncio
import json
import ssl
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

import pytest
import uvloop

from guard.clock import SystemClock
from guard.server import Asker, Begin, EdgeBounds, Listener, Wiring, answered, serve
from guard.terms import Call, Reply

Loop = Callable[[], asyncio.AbstractEventLoop]
Scenario = Callable[["Echo"], Awaitable[None]]

LOOPS: Final = pytest.mark.parametrize(
    "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
# asyncio's own transport never says that a caller does not read what was written by `writelines` (CVE-2024-12254). The
# guard runs on uvloop.
_NEVER_PAUSES: Final = (3, 12) <= sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2)
PAUSING_LOOPS: Final = pytest.mark.parametrize(
    "loop",
    [
        pytest.param(
            asyncio.new_event_loop, marks=pytest.mark.skipif(_NEVER_PAUSES, reason="CVE-2024-12254"), id="asyncio"
        ),
        pytest.param(uvloop.new_event_loop, id="uvloop"),
    ],
)
PATIENCE_S: Final = 60.0


Start = Callable[[Coroutine[Any, Any, None], str], object]
"""Runs a coroutine as a task, under this name."""


def each_in_a_task(handler: Callable[[Call], Awaitable[Reply]], start: Start) -> Begin:
    """Has each request answered by `handler` in a task of its own."""

    def begin(askers: Sequence[Asker]) -> None:
        for asker in askers:
            start(answered(asker, partial(handler, asker.call)), "request")

    return begin


class Echo:
    """A listener whose walk answers with the call that it got, and callers that speak raw bytes to it."""

    listener: Listener

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.tasks: set[asyncio.Future[None]] = set()

    async def handle(self, call: Call) -> Reply:
        """Answer with what was asked, once the gate is open."""
        self.calls.append(call)
        await self.gate.wait()
        seen = {"method": call.method, "path": call.path, "token": call.token, "head": dict(call.head)}
        return Reply(200, json.dumps({**seen, "body": call.body.hex()}).encode())

    def start(self, walk: Coroutine[Any, Any, None], name: str) -> None:
        """Run the walk under its name."""
        task = asyncio.ensure_future(walk)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        assert name == "request"

    async def listen(self, bounds: EdgeBounds, tls: ssl.SSLContext | None) -> None:
        """Open the door."""
        wiring = Wiring(each_in_a_task(self.handle, self.start), SystemClock().new_id)
        self.listener = await serve(wiring, at=("127.0.0.1", 0), bounds=bounds, tls=tls)

    async def connect(self, tls: ssl.SSLContext | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A caller's connection."""
        port = self.listener.sockets[0].getsockname()[1]
        return await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None)


def run(
    loop: Loop,
    scenario: Scenario,
    *,
    bounds: EdgeBounds | None = None,
    tls: ssl.SSLContext | None = None,
    echo: Echo | None = None,
) -> None:
    """The scenario on a loop of its own, within its time, with nothing left over."""

    async def play() -> None:
        stage = echo or Echo()
        await stage.listen(bounds or EdgeBounds(), tls)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await scenario(stage)
        finally:
            await stage.listener.close(grace_s=1.0)
            assert stage.listener.counts.open == 0

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(play())


async def until(is_so: Callable[[], bool]) -> None:
    """Return as soon as it is so."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + PATIENCE_S
    while not is_so():
        assert loop.time() < end_s, "it never was so"
        await asyncio.sleep(0.001)


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    """One final answer: its status, its fields and its JSON."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    if head.startswith("HTTP/1.1 100 "):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *lines = head.rstrip().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(fields["content-length"]))
    return int(line.split()[1]), fields, json.loads(body)
