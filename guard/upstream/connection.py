"""One connection to the daemon: at most one request in flight, and after anything unexpected never used again.

The one fact that everything else stands on is decided in `leave`: until it hands the request to the transport no byte
can have left, and every failure says so; from that moment on the request counts as sent.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Final, Protocol, cast

from guard.terms import Failure, FailureKind
from guard.upstream.answer import AnswerReader, ByteBudget, ParsedAnswer

Future = asyncio.Future[ParsedAnswer | Failure]
UNSENT: Final = Failure("reset", "the daemon closed the connection before the request", is_sent=False)
_SERVER_ERROR: Final = 500  # whatever went wrong over there, nothing else is asked on that connection


class Waiter(Protocol):
    """What waits for an answer; a future does."""

    def done(self) -> bool:
        """It waits no more."""
        ...

    def set_result(self, result: ParsedAnswer | Failure, /) -> None:
        """The answer, or why there is none."""
        ...


class DaemonConnection(asyncio.Protocol):
    """An open connection, or one that is being opened. `on_lost` is told once when it is gone.

    Attributes:
        is_reusable: nothing is in flight, and nothing has happened that forbids another request.
        idle_since_s: set by whoever keeps it idle; 0 where something was sent since.
    """

    def __init__(
        self, *, body_bytes_max: int, on_lost: Callable[["DaemonConnection"], None], room: ByteBudget | None = None
    ) -> None:
        self._reader = AnswerReader(body_bytes_max=body_bytes_max, room=room)
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._probe: select.poll | None = None
        self._waiter: Waiter | None = None
        self._unsent: bytes | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deadline_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rings_s = 0.0
        self._is_spent = False
        self.is_reusable = False
        self.idle_since_s = 0.0

    @property
    def is_connected(self) -> bool:
        """It has a transport."""
        return self._transport is not None

    def ask(self, request: bytes, deadline_s: float) -> Future | None:
        """Send a request; its answer or failure comes in the future. None: nothing was sent, and nothing will be."""
        waiter: Future = asyncio.get_running_loop().create_future()
        return waiter if self.keep(request, deadline_s, waiter) and self.leave() else None

    def keep(self, request: bytes, deadline_s: float, waiter: Waiter) -> bool:
        """Keep a request for `leave`; `waiter` hears of it, once, by `deadline_s` of the loop's clock.

        False: nothing can be sent here. Called when something is in flight: a bug.
        """
        if self._waiter is not None:
            raise AssertionError("one request at a time")
        if not self.is_reusable:
            return False
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()  # which is a system call
        self._waiter = waiter
        self._unsent = request
        self.is_reusable = False
        self._deadline_s = deadline_s
        if self._timer is None or self._rings_s > deadline_s:
            self._ring_at(loop, deadline_s)
        return True

    def leave(self) -> bool:
        """Send what was kept, unless it has failed since. False: nothing was sent, and nothing will be.

        Nothing is sent to a peer that has closed or said anything unasked, down to the kernel. A close that the loop
        has not yet seen would make a false *unknown* of a trade, and bytes that came before the request would be taken
        for its answer. Under TLS the kernel's buffer may hold records that are no answer (session tickets), so there
        only what the loop has seen counts.
        """
        request, transport = self._unsent, self._transport
        if request is None or transport is None:
            return False
        if transport.is_closing() or (self._probe is not None and self._probe.poll(0)):
            self.drop()
            return False
        self._unsent, self.idle_since_s = None, 0.0
        transport.write(request)
        return True

    def keep_back(self, why: Failure) -> None:
        """Discards what was kept; something else may be sent."""
        waiter, self._waiter, self._unsent = self._waiter, None, None
        self.is_reusable = not self._is_spent
        if waiter is not None and not waiter.done():
            waiter.set_result(why)

    def retire(self) -> None:
        """A request in flight may finish; nothing more is sent."""
        self._is_spent, self.is_reusable = True, False
        if self._unsent is not None:
            self.drop()

    def drop(self) -> None:
        """Close at once; a request in flight fails as reset."""
        self._fail("reset", "the connection was dropped")

    # ------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is ready."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_reusable = not self._is_spent
        if transport.get_extra_info("ssl_object") is None:
            self._probe = select.poll()
            self._probe.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer; unsolicited ones end the connection."""
        waiter = self._waiter
        if waiter is None or self._unsent is not None:
            self.drop()
            return
        result = self._reader.feed(data)
        if isinstance(result, ParsedAnswer):
            is_good = result.is_reusable and result.status < _SERVER_ERROR
            self._waiter, self.is_reusable = None, is_good and not self._is_spent
            if not waiter.done():
                waiter.set_result(result)
        elif result is not None:
            self._fail(result.kind, f"the daemon's answer {result.message}")

    def eof_received(self) -> bool:
        """The daemon has closed its side; the transport closes itself."""
        self._end_of_stream()
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        self._end_of_stream()
        self._transport = None
        self._on_lost(self)

    # ------------------------------------------------------------ inside

    def _end_of_stream(self) -> None:
        if self._reader.has_begun:
            self._fail("bad_answer", "the daemon's answer ended in the middle")
        else:
            self._fail("reset", "the daemon closed the connection without an answer")

    def _ring_at(self, loop: asyncio.AbstractEventLoop, at_s: float) -> None:
        """One timer serves all requests: it fires no later than the deadline of the present one."""
        if self._timer is not None:
            self._timer.cancel()
        self._rings_s, self._timer = at_s, loop.call_at(at_s, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._deadline_s > self._rings_s:  # a later request's
            self._ring_at(loop, self._deadline_s)
        else:
            self._fail("timeout", "the daemon did not answer in time")

    def _fail(self, kind: FailureKind, message: str) -> None:
        self._is_spent, self.is_reusable = True, False
        self._reader.let_go()
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        waiter, self._waiter = self._waiter, None
        unsent, self._unsent = self._unsent, None
        if waiter is None or waiter.done():
            return
        is_lost = unsent is not None and kind == "reset"
        waiter.set_result(UNSENT if is_lost else Failure(kind, message, is_sent=unsent is None))
