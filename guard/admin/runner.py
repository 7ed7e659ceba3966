"""The ops listener's connections are bounded in number and in time, so that the operator always gets in.

aiohttp takes as many as come and waits for each an hour. Each costs an open file, and files are what the journal,
callers and the daemon need too. So the oldest goes for the newest, and the first head, the time between two requests
(in which an answer is taken and the next head comes) and a body have the data listener's deadlines.

Nor is anything of a request logged or told. What aiohttp says of one that it cannot read quotes it, with a key that a
slip of the hand has left beside an odd character; and whoever reaches the door could fill the log with that.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final, cast

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import LineTooLong
from aiohttp.typedefs import Handler

from guard.admin.app import FAILED, REFUSED, SERVER
from guard.codes import Code
from guard.server import EdgeBounds, TlsServer, bound_sockets, socket_file
from guard.settings import address
from guard.terms import Refusal, refuse

CONNECTIONS_MAX: Final = 64
STOP_S: Final = 5.0  # what is asked for at the very end, after the drain, has so long to be answered
_NEVER: Final = float("inf")
_THEIRS: Final = (HttpProcessingError, web.RequestPayloadError, ConnectionError)  # what callers bring about
_UNREAD: Final = refuse(Code.BAD_HEADER, "no HTTP request can be read from these bytes")
_TOO_LONG: Final = refuse(Code.HEADERS_TOO_LARGE, "a line of the request's head is too long")
_log = structlog.get_logger("guard.admin")


class _Discreet(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp logs: faults of ours with their trace, and nothing of requests or of callers that have gone."""

    def log(self, level: int, msg: object, *_: object, **how: Any) -> None:
        """Says what failed where that says nothing of the request."""
        fault = how.get("exc_info")
        if level < logging.WARNING or isinstance(fault, _THEIRS):
            return
        _log.error("ops_failed", why=str(msg), exc_info=fault)


class _Discreetly(web.RequestHandler):
    """Answers what cannot be read, or what failed, as every refusal is answered, and then closes."""

    def __init__(self, server: web.Server, refused: Callable[[Refusal], web.Response], **how: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **how)
        self._refused = refused

    def handle_error(  # noqa: PLR0917 - aiohttp calls it by position
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Logged as aiohttp does; what it would say is left out."""
        super().handle_error(request, status, exc, message)
        is_theirs = status < HTTPStatus.INTERNAL_SERVER_ERROR
        response = self._refused(_TOO_LONG if isinstance(exc, LineTooLong) else _UNREAD if is_theirs else FAILED)
        response.force_close()
        response.headers["Server"] = SERVER
        return response


class _Bounded:
    """Makes the protocol of each new connection, and room for it before."""

    def __init__(self, server: web.Server, make: Callable[[web.Server], asyncio.Protocol]) -> None:
        self._server = server
        self._make = make

    def __call__(self) -> asyncio.Protocol:
        """As the server itself; connections that are being cut do not count twice."""
        held = self._server.connections
        for handler in held[: max(0, len(held) + 1 - CONNECTIONS_MAX)]:
            if handler.transport is not None:
                handler.transport.abort()
        return self._make(self._server)


class OpsRunner(web.AppRunner):
    """A runner whose sites serve a bounded number of connections altogether, each no longer than its deadlines."""

    def __init__(self, app: web.Application, bounds: EdgeBounds) -> None:
        app.middlewares.insert(0, self._while_answered)
        super().__init__(app, handle_signals=False, shutdown_timeout=STOP_S)
        logger = _Discreet(logging.getLogger("guard.admin"), {})
        self._make = partial(
            _Discreetly, refused=app[REFUSED], access_log=None, lingering_time=bounds.linger_timeout_s, logger=logger
        )
        self._bounds = bounds
        self._deadlines: dict[object, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """How many there are now."""
        server = super().server
        return 0 if server is None else len(server.connections)

    @property
    def is_answering(self) -> bool:
        """A request is being answered."""
        return _NEVER in self._deadlines.values()

    @property
    def server(self) -> web.Server | None:
        """What sites make their connections with."""
        server = super().server
        return None if server is None else cast("web.Server", _Bounded(server, self._make))

    async def setup(self) -> None:
        """Make the server and begin to look at its connections' deadlines."""
        await super().setup()
        self._sweep()

    async def cleanup(self, hurry: asyncio.Event | None = None) -> None:
        """End all of it; until then deadlines hold. What is under way has `STOP_S`, or until `hurry` is set."""
        hurried = asyncio.ensure_future((hurry or asyncio.Event()).wait())
        hurried.add_done_callback(lambda _: self._cut())
        try:
            await super().cleanup()
        finally:
            hurried.cancel()
            if self._timer is not None:
                self._timer.cancel()

    def _cut(self) -> None:
        server = super().server
        for handler in [] if server is None else server.connections:
            if handler.transport is not None:
                handler.transport.abort()

    @web.middleware
    async def _while_answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What the guard does takes as long as it takes; then the caller's time runs again."""
        self._deadlines[request.protocol] = _NEVER
        try:
            return await handler(request)
        finally:
            self._deadlines[request.protocol] = asyncio.get_running_loop().time() + self._bounds.idle_timeout_s

    def _sweep(self) -> None:
        """End every wait whose deadline has passed. One that was not seen before has come since the last look."""
        loop, server = asyncio.get_running_loop(), super().server
        now, held = loop.time(), [] if server is None else server.connections
        first = now + self._bounds.header_timeout_s
        self._deadlines = {handler: self._deadlines.get(handler, first) for handler in held}
        for handler in held:
            if self._deadlines[handler] <= now and handler.transport is not None:
                handler.transport.abort()
        self._timer = loop.call_later(self._bounds.sweep_s, self._sweep)


class TlsSite(web.BaseSite):
    """Where a runner listens with TLS: handshakes are bounded there as connections are."""

    def __init__(
        self, runner: web.AppRunner, sockets: Sequence[socket.socket], *, tls: SSLContext, bounds: EdgeBounds
    ) -> None:
        super().__init__(runner)
        self._sockets = sockets
        self._tls = tls
        self._bounds = bounds

    @property
    def name(self) -> str:
        """Where that is."""
        return f"https://{self._sockets[0].getsockname()}"

    async def start(self) -> None:
        """Listen."""
        await super().start()
        make = cast("Callable[[], asyncio.Protocol]", self._runner.server)
        server = TlsServer(
            self._sockets,
            make,
            self._tls,
            within_s=self._bounds.header_timeout_s,
            backlog=self._backlog,
            handshakes_max=CONNECTIONS_MAX,
        )
        self._server = cast("asyncio.AbstractServer", server)  # of which it is asked for `sockets` and `close`


def site_of(
    runner: web.AppRunner,
    listen: str,
    *,
    tls: SSLContext | None,
    bounds: EdgeBounds,
    given: socket.socket | None = None,
) -> web.BaseSite:
    """The ops listener's place: a TCP port, a socket file that is its owner's alone, or a socket handed over."""
    place = address(listen)
    is_file = isinstance(place, str) if given is None else given.family == socket.AF_UNIX
    if tls is not None and not is_file:
        sockets = [given] if given is not None else bound_sockets(*place) if isinstance(place, tuple) else []
        return TlsSite(runner, sockets, tls=tls, bounds=bounds)
    if given is not None:
        return web.SockSite(runner, given)
    if isinstance(place, str):
        return web.SockSite(runner, socket_file(Path(place)))
    return web.TCPSite(runner, *place)
