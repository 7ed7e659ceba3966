"""The simulated daemon on an ephemeral loopback port, and builders of requests to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any, Final, Literal

from aiohttp import web

from guard.clock import Clock
from guard.simulator import Simulator
from guard.simulator.app import application
from guard.simulator.contracts import find
from guard.simulator.instruments import Instrument
from guard.simulator.keys import Key
from guard.terms import Answer, Failure, Outbound

# The guard's own key at the daemon; guards are given it as GUARD_DAEMON_KEY.
LENT: Final = Key("guard", sha256(b"fc_test").hexdigest(), frozenset({"qot:read", "acc:read", "trade:simulate"}))


class ShowingRows(Simulator):
    """A simulator in whose list at `path` every row, under `member` of s2c, says `besides` too."""

    def __init__(self, path: str, member: str, besides: Mapping[str, Any], *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._list, self._member, self._besides = path, member, besides

    async def send(self, request: Outbound) -> Answer | Failure:
        """The ordinary answer, with what its rows say besides."""
        answer = await super().send(request)
        if request.path != self._list or isinstance(answer, Failure):
            return answer
        told = json.loads(answer.body)
        for row in told["s2c"][self._member]:
            row.update(self._besides)
        return Answer(answer.status, answer.content_type, json.dumps(told).encode())


class Busy(Simulator):
    """A daemon to which every connection is taken: orders wait for one, and are asked again before they leave."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting, self.free = asyncio.Event(), asyncio.Event()
        self.busy_for = frozenset[str]()

    async def send(self, request: Outbound) -> Answer | Failure:
        """As the client does it: wait, then look, then send."""
        if request.is_trade or request.path in self.busy_for:
            self.waiting.set()
            await self.free.wait()
            if request.may_leave is not None and not request.may_leave():
                return Failure("held", "it was withdrawn while it waited for a connection", is_sent=False)
        return await super().send(request)


@asynccontextmanager
async def running_simulator(simulator: Simulator, *, tick_s: float | None = None) -> AsyncIterator[str]:
    """The base URL of a simulator that runs meanwhile; time stands still but for `Simulator.tick()`."""
    runner = web.AppRunner(application(simulator, tick_s=tick_s), access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def ask(simulator: Simulator, path: str, body: Any = None, **members: Any) -> Answer | Failure:
    """Send one request in memory; a body makes it a POST."""
    method: Literal["GET", "POST"] = "GET" if body is None else "POST"
    raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    return await simulator.send(Outbound(method, path, raw, members.pop("timeout_s", 5.0), **members))


async def said(simulator: Simulator, path: str, body: Any = None, **members: Any) -> dict[str, Any]:
    """The parsed body of an answer with status 200."""
    answer = await ask(simulator, path, body, **members)
    assert isinstance(answer, Answer), answer
    assert answer.status == 200, answer.body
    parsed: dict[str, Any] = json.loads(answer.body)
    return parsed


async def s2c(simulator: Simulator, path: str, body: Any = None, **members: Any) -> dict[str, Any]:
    """The `s2c` of a success."""
    envelope = await said(simulator, path, body, **members)
    assert envelope["ret_type"] == 0, envelope
    found: dict[str, Any] = envelope["s2c"]
    return found


def listed(symbol: str) -> Instrument:
    """An instrument of the simulated world."""
    found = find(symbol)
    assert found is not None, symbol
    return found
