"""The client: pooled keep-alive connections to the one daemon, and exact knowledge of whether a byte has left.

`send` answers every request with an `Answer` or a `Failure` and raises nothing. `Failure.is_sent` is False only when
no byte of the request can have left. Nothing is retried but a request other than a trade whose connection closed
before its first byte. Redirects are answers, cookies are ignored. A cancelled `send` closes its connection.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.clock import Clock, SystemClock
from guard.terms import Answer, Failure, Outbound
from guard.upstream.connection import Connection
from guard.upstream.head import Heads
from guard.upstream.origin import parse_origin, tls_context
from guard.upstream.pool import Idle, Slots, urgency_of

ANSWER_BYTES_MAX: Final = 32 * 2**20
CLOSE_MAX_S: Final = 1.0  # how long `close` waits for the transports' last words
Observer = Callable[[Outbound, Answer | Failure], None]
_WITHDRAWN: Final = Failure("held", "it was withdrawn while it waited for a connection", is_sent=False)


class Link(Struct, frozen=True, kw_only=True):
    """How the daemon is reached. Times in seconds.

    `connect_timeout_s` covers name, connect and TLS handshake together. An idle connection is dropped after
    `idle_max_s`; `waiters_max` bounds each of the three queues for a slot (cancels, trades, the rest).
    """

    url: str = "http://127.0.0.1:22499"
    ca_file: str | None = None
    connect_timeout_s: float = 2.0
    connections_max: int = 64
    answer_bytes_max: int = ANSWER_BYTES_MAX
    idle_max_s: float = 15.0
    waiters_max: int = 1024


class Client:
    """The daemon behind a socket; implements `terms.Daemon`.

    Attributes:
        dials_total: connections tried since the start.
        observe: called with each request and its result; it must not raise.
    """

    def __init__(
        self, link: Link, *, key: str | None = None, public_key: str | None = None, clock: Clock | None = None
    ) -> None:
        self._link = link
        self._clock = clock or SystemClock()
        self._origin = parse_origin(link.url)
        self._tls: ssl.SSLContext | None = tls_context(self._origin, ca_file=link.ca_file)
        self._heads = Heads(self._origin.authority, key=key, public_key=public_key)
        self._slots = Slots(slots_max=link.connections_max, waiters_max=link.waiters_max)
        self._idle = Idle(idle_max_s=link.idle_max_s)
        self._open: set[Connection] = set()
        self._all_gone = asyncio.Event()
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.dials_total = 0
        self.observe: Observer | None = None

    @property
    def in_flight(self) -> int:
        """Requests that hold a slot: under way, or dialling."""
        return self._slots.in_use

    @property
    def connections(self) -> int:
        """Open connections, busy and idle."""
        return len(self._open)

    async def send(self, request: Outbound) -> Answer | Failure:
        """The daemon's answer, or what went wrong and whether a byte may have left; within `request.timeout_s`."""
        started_us = self._clock.mono_us()  # uvloop's own clock counts milliseconds
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # which is a system call
        deadline_s = self._loop.time() + request.timeout_s
        head = self._heads.render(request)
        result = await self._attempt(request, head, deadline_s=deadline_s)
        if isinstance(result, Failure) and result.kind == "reset" and not (result.is_sent or request.is_trade):
            result = await self._attempt(request, head, deadline_s=deadline_s)
        result = replace(result, duration_us=self._clock.mono_us() - started_us)
        if self.observe is not None:
            self.observe(request, result)
        return result

    async def close(self) -> None:
        """Drop every connection; requests under way fail as reset, waiting ones are held back."""
        self._is_closed = True
        self._slots.close()
        self._idle.close()
        for connection in tuple(self._open):
            connection.drop()
        if self._open:
            self._all_gone.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_MAX_S):
                    await self._all_gone.wait()

    async def _attempt(self, request: Outbound, data: bytes, *, deadline_s: float) -> Answer | Failure:
        urgency = urgency_of(request)
        has_waited = not self._slots.take_now(urgency)
        if has_waited:
            refused = await self._slots.take(urgency, deadline_s=deadline_s, owner=request.owner)
            if refused is not None:
                return refused
        connection: Connection | None = None
        try:
            if has_waited and not _may_leave(request):
                return _WITHDRAWN
            while (connection := self._idle.pick(is_trade=request.is_trade)) is not None:
                asked = connection.ask(data, deadline_s=deadline_s)
                if asked is not None:
                    return await asked
                connection.drop()  # it was found closed
            dialled = await self._dial(deadline_s=deadline_s)
            if isinstance(dialled, Failure):
                return dialled
            connection = dialled
            if not _may_leave(request):
                return _WITHDRAWN
            asked = connection.ask(data, deadline_s=deadline_s)
            if asked is None:
                return Failure("reset", "the daemon closed the connection before the request", is_sent=False)
            return await asked
        finally:
            # A cancelled request is still in flight on its connection, which is then not reusable and dropped.
            if connection is not None:
                self._put_back(connection)
            self._slots.give_back()

    async def _dial(self, *, deadline_s: float) -> Connection | Failure:
        """A new connection; every failure here is before the first byte."""
        if len(self._idle) + self._slots.in_use > self._link.connections_max:
            self._idle.drop_oldest()
        loop = asyncio.get_running_loop()
        connection = Connection(body_bytes_max=self._link.answer_bytes_max, on_lost=self._lost)
        self.dials_total += 1
        is_open = False
        try:
            async with asyncio.timeout_at(min(deadline_s, loop.time() + self._link.connect_timeout_s)):
                await loop.create_connection(
                    lambda: connection,
                    self._origin.host,
                    self._origin.port,
                    ssl=self._tls,
                    server_hostname=self._origin.host if self._tls else None,
                )
            is_open = not self._is_closed
            if connection.is_connected:
                self._open.add(connection)
        except TimeoutError:
            return Failure("timeout", "the daemon could not be connected to in time", is_sent=False)
        except OSError as error:
            return Failure("refused", f"the daemon cannot be connected to: {error}", is_sent=False)
        finally:
            if not is_open:
                connection.drop()
        if not is_open:
            return Failure("held", "the client is closed", is_sent=False)
        return connection

    def _put_back(self, connection: Connection) -> None:
        if connection.is_reusable and not self._is_closed:
            self._idle.put(connection)
        else:
            connection.drop()

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._idle.forget(connection)
        if not self._open:
            self._all_gone.set()


def _may_leave(request: Outbound) -> bool:
    """It had to wait for a connection, and is still wanted."""
    return request.may_leave is None or request.may_leave()
