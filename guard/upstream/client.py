"""The client: pooled keep-alive connections to the one daemon, and exact knowledge of whether a byte has left.

`send` answers every request with an `Answer` or a `Failure` and raises nothing. `Failure.is_sent` is False only when
no byte of the request can have left. Nothing is retried but what cannot have left: on an open connection that was found
closed, or, unless it is a trade, on a new one that closed. Redirects are answers, cookies are ignored. A cancelled
`send` closes its connection.

While other requests are under way, a request that is no cancel is written at the end of the loop's turn (`departures`).
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from guard.clock import Clock, SystemClock
from guard.terms import Answer, Failure, Outbound
from guard.upstream.answer import ByteBudget, ParsedAnswer
from guard.upstream.circuit import Circuits, Pass
from guard.upstream.circuited import WITHDRAWN, CircuitLog
from guard.upstream.connection import UNSENT, DaemonConnection, Future, Waiter
from guard.upstream.departures import Departures, leave_now
from guard.upstream.head import Heads
from guard.upstream.origin import brief
from guard.upstream.pool import IdleConnections, RequestSlots, urgency_of
from guard.upstream.trust import Trust

Sent = tuple[DaemonConnection, Future]  # a request on its way, and its answer to be
ANSWER_BYTES_MAX: Final = 32 * 2**20
ANSWERS_BYTES_MAX: Final = 256 * 2**20  # of all connections together; one answer of whatever size is let in
Told = Callable[[Answer | Failure | None], None]
CLOSE_MAX_S: Final = 1.0  # how long `close` waits for the transports' last words
_log = structlog.get_logger("guard")


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


class _Trip(Struct, gc=False):
    """A request that `ask` has sent, and what has come of it. `connection`: on which; None until it has one."""

    way: Pass
    started_us: int
    told: Told
    come: Callable[["_Trip"], None]
    is_trade: bool
    connection: DaemonConnection | None = None
    found: ParsedAnswer | Failure | None = None

    def done(self) -> bool:
        return self.found is not None

    def set_result(self, result: ParsedAnswer | Failure, /) -> None:
        self.found = result
        self.come(self)


class Client:
    """The daemon behind a socket and its circuits; implements `terms.Daemon`.

    Attributes:
        dials_total: connections tried since the start.
    """

    def __init__(
        self,
        link: Link,
        *,
        key: str | None = None,
        public_key: str | None = None,
        clock: Clock | None = None,
        circuits: Circuits | None = None,
        trust: Trust | None = None,
    ) -> None:
        self._link = link
        self._clock = clock or SystemClock()
        self._circuits = circuits or Circuits()
        self._circuit_log = CircuitLog(self._circuits)
        self._trust = trust or Trust(link.url, ca_file=link.ca_file)
        self._trust.changed = self._retire
        self._origin = self._trust.origin
        self._heads = Heads(self._origin.authority, key=key, public_key=public_key)
        self._slots = RequestSlots(slots_max=link.connections_max, waiters_max=link.waiters_max)
        self._idle = IdleConnections(idle_max_s=link.idle_max_s)
        self._room = ByteBudget(max(ANSWERS_BYTES_MAX, link.answer_bytes_max))
        self._open: set[DaemonConnection] = set()
        self._departures = Departures()
        self._come: list[_Trip] = []
        self._all_gone = asyncio.Event()
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.dials_total = 0

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
        is_trade, circuits = request.is_trade, self._circuits
        circuit = circuits.trades if is_trade else circuits.reads
        started_us = self._clock.mono_us()  # uvloop's own clock counts milliseconds
        way = circuit.enter(started_us, is_cancel=request.is_cancel, owner=request.owner)
        if way is None:
            return circuit.refusal()
        sent: Sent | Failure | None = None
        result: Answer | Failure | None = None
        took_us = 0
        try:
            if self._loop is None:
                self._loop = asyncio.get_running_loop()  # which is a system call
            data, deadline_s = self._heads.render(request), self._loop.time() + request.timeout_s
            sent = self._at_once(request, data, deadline_s)
            found = UNSENT if sent is None else await sent[1]
            if found is UNSENT:
                if sent is not None:
                    self._slots.give_back()
                sent = None
                sent = await self._in_turn(request, data, deadline_s)
                found = sent if isinstance(sent, Failure) else await sent[1]
            took_us = self._clock.mono_us() - started_us
            if isinstance(found, ParsedAnswer):
                result = Answer(found.status, found.content_type, found.body, took_us, found.retry_after_s)
            else:
                result = replace(found, duration_us=took_us)
            return result
        finally:
            # A cancelled request is still in flight on its connection, which is then not reusable and dropped.
            if isinstance(sent, tuple):
                self._put_back(sent[0])
                self._slots.give_back()
            if circuits.leave(way, result, is_trade=is_trade, now_us=started_us + took_us):
                self._circuit_log.tell()

    def ask(self, request: Outbound, told: Told) -> bool:
        """Sends it in this turn, if a slot and an open connection are free; False: nothing was done.

        `told` hears, after the answers of that turn have come in, what `send` would have returned; None where nothing
        was sent since the connection was found closed. It must not raise.
        """
        is_trade, loop, now_us = request.is_trade, self._loop, self._clock.mono_us()
        circuit = self._circuits.trades if is_trade else self._circuits.reads
        if circuit.is_open or loop is None:
            return False
        way = circuit.enter(now_us, is_cancel=request.is_cancel, owner=request.owner)
        data, deadline_s = self._heads.render(request), loop.time() + request.timeout_s
        if way is None or not self._slots.take_now(urgency_of(request)):
            return False
        trip = _Trip(way, now_us, told, self._has_come, is_trade)
        trip.connection = self._placed(request, data, deadline_s, waiter=trip)
        return trip.connection is not None

    def _has_come(self, trip: _Trip) -> None:
        if not self._come:
            asyncio.get_running_loop().call_soon(self._tell)
        self._come.append(trip)

    def _tell(self) -> None:
        """Tells all that asked what has come in this turn."""
        come, self._come = self._come, []
        now_us = self._clock.mono_us()
        for trip in come:
            found, took_us = trip.found, now_us - trip.started_us
            result: Answer | Failure | None = None
            if isinstance(found, ParsedAnswer):
                result = Answer(found.status, found.content_type, found.body, took_us, found.retry_after_s)
            elif found is not None and (found is not UNSENT or self._is_closed):
                result = replace(found, duration_us=took_us)
            if trip.connection is not None:
                self._put_back(trip.connection)
            self._slots.give_back()
            if self._circuits.leave(trip.way, result, is_trade=trip.is_trade, now_us=now_us):
                self._circuit_log.tell()
            try:
                trip.told(result)
            except Exception:  # noqa: BLE001 - a bug of ours is one request's alone, and the others hear
                _log.exception("telling_failed")

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

    def _at_once(self, request: Outbound, data: bytes, deadline_s: float) -> Sent | None:
        """Sends it in this turn, with a slot and an open connection; None: one is not free, and neither is held.

        The answer is `UNSENT` if the connection was found closed.
        """
        if not self._slots.take_now(urgency_of(request)):
            return None
        waiter: Future = asyncio.get_running_loop().create_future()
        connection = self._placed(request, data, deadline_s, waiter=waiter)
        return None if connection is None else (connection, waiter)

    def _placed(self, request: Outbound, data: bytes, deadline_s: float, *, waiter: Waiter) -> DaemonConnection | None:
        """Sends it in this turn with the slot that it has; None: no connection is open, and its slot is given back."""
        connection, is_placed = None, False
        try:
            connection = self._idle.pick(is_trade=request.is_trade)
            if connection is None or not connection.keep(data, deadline_s, waiter):
                return None
            is_placed = True
        finally:
            if not is_placed:
                self._slots.give_back()
                if connection is not None:
                    connection.drop()  # it was found closed
        if request.is_cancel or self._slots.in_use == 1:
            leave_now(connection, request.may_leave)
        else:
            self._departures.add(connection, request.may_leave)
        return connection

    async def _in_turn(self, request: Outbound, data: bytes, deadline_s: float) -> Sent | Failure:
        """Sends it once it has a slot and a connection; or says why it was not sent, and holds neither."""
        urgency = urgency_of(request)
        has_waited = not self._slots.take_now(urgency)
        if has_waited:
            refused = await self._slots.take(urgency, deadline_s=deadline_s, owner=request.owner)
            if refused is not None:
                return refused
        found: Sent | Failure | None = None
        try:
            if not _may_leave(request):
                return WITHDRAWN
            found = self._on_idle(request, data, deadline_s)
            if found is None:
                found = await self._on_new(request, data, deadline_s)
            if isinstance(found, Failure) and found.kind == "reset" and not request.is_trade:
                found = await self._on_new(request, data, deadline_s)
            return found
        finally:
            if not isinstance(found, tuple):
                self._slots.give_back()

    def _on_idle(self, request: Outbound, data: bytes, deadline_s: float) -> Sent | None:
        """Sends it on the most recently used connection that is still open."""
        while (connection := self._idle.pick(is_trade=request.is_trade)) is not None:
            asked = None
            try:
                asked = connection.ask(data, deadline_s)
            finally:
                if asked is None:
                    connection.drop()  # it was found closed
            if asked is not None:
                return connection, asked
        return None

    async def _on_new(self, request: Outbound, data: bytes, deadline_s: float) -> Sent | Failure:
        """Sends it on a new connection; every failure here is before the first byte."""
        connection = await self._dial(deadline_s=deadline_s)
        if isinstance(connection, Failure):
            return connection
        asked = None
        try:
            if not _may_leave(request):
                return WITHDRAWN
            asked = connection.ask(data, deadline_s)
        finally:
            if asked is None:
                self._put_back(connection)
        if asked is None:
            return UNSENT
        return connection, asked

    async def _dial(self, *, deadline_s: float) -> DaemonConnection | Failure:
        """A new connection; every failure here is before the first byte."""
        if len(self._idle) + self._slots.in_use > self._link.connections_max:
            self._idle.drop_oldest()
        loop, tls = asyncio.get_running_loop(), self._trust.context
        connection = DaemonConnection(body_bytes_max=self._link.answer_bytes_max, on_lost=self._lost, room=self._room)
        self.dials_total += 1
        is_open = False
        try:
            async with asyncio.timeout_at(min(deadline_s, loop.time() + self._link.connect_timeout_s)):
                await loop.create_connection(
                    lambda: connection,
                    self._origin.host,
                    self._origin.port,
                    ssl=tls,
                    server_hostname=self._origin.host if tls else None,
                )
            is_open = not self._is_closed
            if connection.is_connected:
                self._open.add(connection)
        except TimeoutError:
            return Failure("timeout", "the daemon could not be connected to in time", is_sent=False)
        except OSError as error:
            return Failure("refused", f"the daemon cannot be connected to: {brief(error)}", is_sent=False)
        finally:
            if not is_open:
                connection.drop()
        if not is_open:
            return Failure("held", "the client is closed", is_sent=False)
        if tls is not self._trust.context:  # those by which it was let through count no more
            connection.drop()
            return await self._dial(deadline_s=deadline_s)
        return connection

    def _retire(self) -> None:
        """Authorities have changed: connections under the old ones are asked nothing more, but may still answer."""
        self._idle.close()
        for connection in tuple(self._open):
            connection.retire()

    def _put_back(self, connection: DaemonConnection) -> None:
        if connection.is_reusable and not self._is_closed:
            self._idle.put(connection)
        else:
            connection.drop()

    def _lost(self, connection: DaemonConnection) -> None:
        self._open.discard(connection)
        self._idle.forget(connection)
        if not self._open:
            self._all_gone.set()


def _may_leave(request: Outbound) -> bool:
    return request.may_leave is None or request.may_leave()
