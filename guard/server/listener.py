"""The data listener: a socket, its connections, one sweep of their deadlines, and an orderly end."""

import asyncio
import os
import socket
import stat
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from ssl import SSLContext
from typing import Final

from guard.server.bounds import EdgeBounds
from guard.server.edge import Edge, EdgeCounts, Wiring
from guard.server.handshake import TlsServer, bound_sockets
from guard.server.protocol import CallerConnection

FRESH_S: Final = 0.25  # how long the first request of a connection may take to come once no more are accepted
_OWNER_ONLY: Final = 0o177  # umask under which a socket file is made


class Listener:
    """A listener that serves. Made by `serve`, ended by `close`."""

    def __init__(self, server: asyncio.Server | TlsServer, edge: Edge, *, path: Path | None) -> None:
        self._server = server
        self._edge = edge
        self._path = path
        self._sweep()

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The listening sockets; ask them for the port when 0 was given."""
        return tuple(self._server.sockets)

    @property
    def counts(self) -> EdgeCounts:
        """Connections open, seen, turned away, timed out and handed over."""
        return self._edge.counts

    async def close(self, *, grace_s: float, hurry: asyncio.Event | None = None) -> None:
        """Accept no more, let what has begun be answered, cut what is left after `grace_s` or once `hurry` is set.

        Connections that were handed over belong to the stream, which ends them itself within the same time.
        """
        self._edge.is_draining = True
        self._server.close()
        for connection in [each for each in self._edge.connections if each.is_idle and not each.is_fresh]:
            connection.close()
        # What was accepted in the last moment is about to ask: it would otherwise be hung up on unheard.
        await self._until_empty(min(FRESH_S, grace_s), hurry)
        for connection in [each for each in self._edge.connections if each.is_idle]:
            connection.close()
        await self._until_empty(max(0.0, grace_s - FRESH_S), hurry)
        for connection in tuple(self._edge.connections):
            connection.abort()
        await self._until_empty(self._edge.bounds.sweep_s)
        self._timer.cancel()
        await self._server.wait_closed()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    async def _until_empty(self, limit_s: float, hurry: asyncio.Event | None = None) -> None:
        """Return as soon as no connection is left, at the latest after `limit_s`."""
        if not self._edge.connections:
            return
        waits = [asyncio.ensure_future(event.wait()) for event in (self._edge.emptied, hurry) if event is not None]
        await asyncio.wait(waits, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _sweep(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._edge.bounds.sweep_s, self._sweep)
        self._edge.sweep()


async def serve(
    wiring: Wiring,
    *,
    at: tuple[str, int] | Path | socket.socket,
    bounds: EdgeBounds,
    tls: SSLContext | None = None,
) -> Listener:
    """Listen at a (host, port), at a socket file that only its owner may use, or on an inherited socket.

    Raises OSError.
    """
    loop = asyncio.get_running_loop()
    edge = Edge(wiring, bounds, now=loop.time)
    path = at if isinstance(at, Path) else None
    given = socket_file(at) if isinstance(at, Path) else at if isinstance(at, socket.socket) else None
    make = partial(CallerConnection, edge)
    server: asyncio.Server | TlsServer
    if tls is not None:
        sockets = bound_sockets(*at) if isinstance(at, tuple) else [given] if given is not None else []
        server = private(sockets, make, tls=tls, bounds=bounds)
    elif given is not None:
        listen = loop.create_unix_server if given.family == socket.AF_UNIX else loop.create_server
        server = await listen(make, sock=given, backlog=bounds.backlog)
    else:
        host, port = at if isinstance(at, tuple) else ("", 0)
        server = await loop.create_server(make, host, port, backlog=bounds.backlog)
    for each in server.sockets:
        _keep_unsent_here(each, bounds)
    return Listener(server, edge, path=path)


def _keep_unsent_here(listening: socket.socket, bounds: EdgeBounds) -> None:
    """Bounds what the kernel buffers of an answer beyond what is in flight to its caller, where the platform can.

    Otherwise megabytes of every untaken answer lie there uncounted. Accepted connections inherit the option.
    """
    if listening.family != socket.AF_UNIX and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, bounds.answer_buffer_bytes_max)


def private(
    sockets: Sequence[socket.socket], make: Callable[[], asyncio.BaseProtocol], *, tls: SSLContext, bounds: EdgeBounds
) -> TlsServer:
    """A listener with TLS at these sockets, within these bounds."""
    return TlsServer(
        sockets,
        make,
        tls,
        within_s=bounds.header_timeout_s,
        backlog=bounds.backlog,
        handshakes_max=bounds.turned_away_max,
    )


def socket_file(path: Path) -> socket.socket:
    """A bound socket file of mode 0600. One that a dead process left behind is replaced, a live one is left alone."""
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _is_answered(path):
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(_OWNER_ONLY)
    try:
        bound.bind(str(path))
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(before)
    return bound


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True
