"""Listening with TLS, with a bound on the number and time of handshakes under way.

asyncio's own TLS server reports a connection only once its handshake is done: a peer that never completes one would
hold an open file that nobody counts. Here each is known from its first moment. Beyond `handshakes_max` the newest
replaces the oldest of the address that has most of them, so that no address shuts the others out.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from ssl import SSLContext
from typing import Final

import structlog

RETRY_S: Final = 1.0  # without a file for a new connection, the next look is so much later
_log = structlog.get_logger("guard.server")


class TlsServer:
    """A listener as `loop.create_server` makes one. `make` is asked for a protocol for each connection."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        make: Callable[[], asyncio.BaseProtocol],
        tls: SSLContext,
        *,
        within_s: float,
        backlog: int,
        handshakes_max: int,
    ) -> None:
        self.sockets = tuple(sockets)
        self.handshakes = 0
        self._make = make
        self._tls = tls
        self._within_s = within_s
        self._most = handshakes_max
        self._backlog = backlog
        self._by_address: dict[str, dict[socket.socket, None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        for each in self.sockets:
            each.settimeout(0)
            each.listen(backlog)
            self._listen(each)

    def close(self) -> None:
        """Accept no more, and end handshakes under way."""
        for each in self.sockets:
            if each.fileno() >= 0:
                self._loop.remove_reader(each)
                each.close()
        for held in [*self._by_address.values()]:
            for raw in [*held]:
                _hang_up(raw)

    async def wait_closed(self) -> None:
        """Return once no handshake is under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _listen(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(self._backlog):
            try:
                raw, name = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.error("accept_failed", why=str(error))
                self._loop.remove_reader(listening)
                self._loop.call_later(RETRY_S, self._listen, listening)
                return
            raw.settimeout(0)
            address = str(name[0]) if isinstance(name, tuple) else "unix"
            self._enter(raw, address)
            task = self._loop.create_task(self._shake(raw, address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _shake(self, raw: socket.socket, address: str) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._make, raw, ssl=self._tls, ssl_handshake_timeout=self._within_s
            )
        except (OSError, TimeoutError):  # no TLS, none of ours, too slow, hung up: ssl.SSLError is an OSError
            raw.close()
        finally:
            self._leave(raw, address)

    # ------------------------------------------------------------ how many

    def _enter(self, raw: socket.socket, address: str) -> None:
        self._by_address.setdefault(address, {})[raw] = None
        self.handshakes += 1
        if self.handshakes > self._most:
            most = max(self._by_address, key=lambda one: len(self._by_address[one]))
            oldest = next(iter(self._by_address[most]))
            self._leave(oldest, most)
            _hang_up(oldest)

    def _leave(self, raw: socket.socket, address: str) -> None:
        held = self._by_address.get(address, {})
        if raw in held:
            del held[raw]
            self.handshakes -= 1
        if not held:
            self._by_address.pop(address, None)


def _hang_up(raw: socket.socket) -> None:
    """Its handshake meets the end of what it reads, and gives the file back."""
    with contextlib.suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)


def bound_sockets(host: str, port: int) -> list[socket.socket]:
    """A bound socket for each address that the name stands for, as `loop.create_server` binds them. Raises OSError."""
    found: list[socket.socket] = []
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, proto, _, place in dict.fromkeys(rows):
            one = socket.socket(family, kind, proto)
            found.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(place)
    except OSError:
        for one in found:
            one.close()
        raise
    return found
