"""The simulated daemon over a socket: the same core behind aiohttp, and the pushes of `/ws`.

A failure of the core becomes what it is on a wire: the connection is aborted without an answer. Time passes by a timer:
every `tick_s` seconds prices move and orders fill.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import WSCloseCode, web

from guard.catalogue import BY_PATH
from guard.simulator.core import Received, Simulator, parsed
from guard.simulator.keys import Caller, bearer_in
from guard.simulator.world import Push
from guard.terms import Answer, Failure

BODY_BYTES_MAX: Final = 1 << 20
FRAMES_WAITING_MAX: Final = 1000
STOP_S: Final = 1.0  # how long one that is told to stop waits for answers under way; then streams are cut
_SIMULATOR: Final = web.AppKey("simulator", Simulator)
_SCOPE_OF: Final = {"quote": "qot:read", "notify": "qot:read", "trade": "acc:read"}


def application(simulator: Simulator, *, tick_s: float | None = 1.0) -> web.Application:
    """The aiohttp application of a simulator; `tick_s` None: time stands still but for `Simulator.tick()`."""
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app[_SIMULATOR] = simulator
    app.router.add_get("/ws", _pushes)
    app.router.add_route("*", "/{path:.*}", _any)
    if tick_s is not None:
        app.cleanup_ctx.append(_Timer(tick_s))
    return app


class _Timer:
    """Ticks while the application runs."""

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self._next: asyncio.TimerHandle | None = None

    async def __call__(self, app: web.Application) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()

        def tick() -> None:
            app[_SIMULATOR].tick()
            self._next = loop.call_later(self._tick_s, tick)

        self._next = loop.call_later(self._tick_s, tick)
        yield
        self._next.cancel()


# ---------------------------------------------------------------- requests


async def _received(request: web.Request) -> Received:
    body = await request.read()
    return Received(
        method=request.method,
        path=request.raw_path.partition("?")[0],
        body=body or None,
        json=parsed(body),
        bearer=_bearer(request),
        idempotency_key=request.headers.get("Idempotency-Key"),
        headers={name.lower(): value for name, value in request.headers.items()},
    )


def _bearer(request: web.Request) -> str | None:
    return bearer_in(request.headers.get("Authorization"))


async def _any(request: web.Request) -> web.StreamResponse:
    result = await request.app[_SIMULATOR].handle(await _received(request))
    if isinstance(result, Failure):
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)  # never leaves: the transport is gone
    return _response(result)


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type}
    if answer.status == web.HTTPUnauthorized.status_code:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(status=answer.status, body=answer.body, headers=headers)


# ---------------------------------------------------------------- pushes


def _may_see(caller: Caller, push: Push) -> bool:
    return caller.scopes is None or _SCOPE_OF[push.type] in caller.scopes


async def _pushes(request: web.Request) -> web.StreamResponse:
    simulator = request.app[_SIMULATOR]
    endpoint = BY_PATH["/ws"][0]
    bearer = request.query.get("token") or _bearer(request)
    caller = simulator.door.admit(endpoint, bearer, now=simulator.world.now())
    if isinstance(caller, Answer):
        return _response(caller)
    socket = web.WebSocketResponse(heartbeat=30)
    await socket.prepare(request)
    await _relay(socket, simulator, caller)
    return socket


async def _relay(socket: web.WebSocketResponse, simulator: Simulator, caller: Caller) -> None:
    waiting: asyncio.Queue[Push] = asyncio.Queue(FRAMES_WAITING_MAX)
    is_slow = asyncio.Event()

    def listen(push: Push) -> None:
        if not _may_see(caller, push):
            return
        if waiting.full():
            is_slow.set()
        else:
            waiting.put_nowait(push)

    simulator.world.listeners.append(listen)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_send_all(socket, waiting)),
                group.create_task(_close_when(is_slow, socket)),
            ]
            await _drain(socket)
            for task in tasks:
                task.cancel()
    finally:
        simulator.world.listeners.remove(listen)


async def _send_all(socket: web.WebSocketResponse, waiting: asyncio.Queue[Push]) -> None:
    while not socket.closed:
        push = await waiting.get()
        try:
            await socket.send_str(push.frame())
        except ConnectionError:
            return


async def _close_when(event: asyncio.Event, socket: web.WebSocketResponse) -> None:
    await event.wait()
    await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too slow")


async def _drain(socket: web.WebSocketResponse) -> None:
    """Read until the caller is gone; what callers say is not listened to."""
    message: Any
    async for message in socket:  # noqa: B007 - the stream is server to client
        pass
