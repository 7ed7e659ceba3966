"""One connection of the data listener: bytes in, one `Call` at a time to the walk, one write per answer.

The walk of a call belongs to the program; a caller that hangs up changes nothing about it. Deadlines are plain
numbers that the listener's one sweep checks, so a request costs no timer. After a refusal by the reader the connection
ends: what would come next on it cannot be trusted.
"""

import asyncio
from enum import Enum
from typing import Final, cast

import structlog

from guard.server.edge import NEVER, OVERLOADED, TOO_SLOW, WALK_FAILED, Cost, Edge, UpgradedProtocol, peer_of
from guard.server.reader import HttpRequest, Phase, Reader, ReadProgress
from guard.server.wire import CONTINUE, pieces
from guard.terms import Call, Refusal, Reply

_log = structlog.get_logger("guard.server")


class _State(Enum):
    """What a connection is doing. `READING` covers idle, head and body: the reader knows which.

    `HELD_BACK`: its refusal waits to be sent.
    """

    READING = "reading"
    ANSWERING = "answering"
    HELD_BACK = "held back"
    WRITING = "writing"
    LINGERING = "lingering"
    HANDED_OVER = "handed over"
    CLOSING = "closing"
    CLOSED = "closed"


# Met by every request: a look-up in a class of words costs ten times as much as one in a module.
_READING, _ANSWERING, _WRITING, _IDLE = _State.READING, _State.ANSWERING, _State.WRITING, Phase.IDLE
_OWING: Final = frozenset({_ANSWERING, _State.HELD_BACK, _WRITING})
_NOTHING_ASKED: Final = HttpRequest(Call("", "", {}, b"", ""), is_kept_alive=False)
_LEAST: Final = frozenset({_State.HELD_BACK, _WRITING, _State.LINGERING, _State.CLOSING, _State.CLOSED})


class CallerConnection(asyncio.Protocol):
    """One caller's connection; `deadline` is when its present wait ends, by the edge's `now`."""

    __slots__ = (
        "_edge",
        "_has_ended",
        "_held",
        "_is_fresh",
        "_is_going",
        "_is_proven",
        "_is_write_blocked",
        "_owed",
        "_peer",
        "_phase",
        "_reader",
        "_request",
        "_state",
        "_telling",
        "_transport",
        "_upgraded",
        "deadline",
    )

    _transport: asyncio.Transport
    _reader: Reader

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._state = _READING
        self._phase = _IDLE
        self._is_fresh = True
        self._held = b""
        self._has_ended = False
        self._is_going = False
        self._is_proven = False
        self._is_write_blocked = False
        self._request = _NOTHING_ASKED
        self._upgraded: UpgradedProtocol | None = None
        self._owed: tuple[bytes, ...] = ()
        self._telling: asyncio.TimerHandle | None = None
        self._peer = ""
        self.deadline = NEVER

    @property
    def is_idle(self) -> bool:
        """No request has begun and none is being answered."""
        return self._state is _READING and self._phase is _IDLE

    @property
    def is_fresh(self) -> bool:
        """It was accepted, and its first request is still to come."""
        return self.is_idle and self._is_fresh

    @property
    def cost(self) -> Cost:
        """What would be lost with it now."""
        if self._is_going:
            return Cost.PLACE
        if self._upgraded is not None:
            return Cost.NOTHING if self._upgraded.is_over else Cost.PLACE
        if self._state in _LEAST:
            return Cost.NOTHING
        if self._state is not _READING or not self._is_proven:
            return Cost.PLACE
        return Cost.CONNECTION if self._phase is _IDLE else Cost.BEGINNING

    @property
    def untaken_bytes(self) -> int:
        """So much was answered that its caller has not taken yet."""
        return self._transport.get_write_buffer_size()

    # ------------------------------------------------------------ what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or answer that there are too many."""
        edge = self._edge
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=edge.bounds.answer_buffer_bytes_max)
        self._peer = peer_of(self._transport)
        self._reader = Reader(edge.bounds, peer=self._peer)
        self.deadline = edge.now() + edge.bounds.header_timeout_s
        admission = edge.admit(self, self._peer)
        if admission == "told":
            self._is_going = True
            self._refuse(OVERLOADED)
        elif admission == "cut":
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read on, or keep for later what arrives during an answer."""
        if self._state is _READING:
            self._read(data)
        elif self._upgraded is not None:
            self._upgraded.data_received(data)
        elif self._state in _OWING:
            # One chunk at most arrives after the pause; what is cut off here is refused with the rest of it.
            self._held = (self._held + data)[: self._edge.bounds.held_bytes_max]
            self._transport.pause_reading()

    def eof_received(self) -> bool | None:
        """The caller sends no more: an answer still goes out, half a request is dropped."""
        if self._upgraded is not None:
            return self._upgraded.eof_received()
        self._edge.flush()
        self._has_ended = True
        return self._state in _OWING and self._transport.can_write_eof()  # TLS cannot stay half open

    def pause_writing(self) -> None:
        """The caller does not take its answer as fast as we write it."""
        self._is_write_blocked = True
        if self._upgraded is not None:
            self._upgraded.pause_writing()
            return
        self._edge.wait_for_taking(self)
        if self.is_idle:
            self._edge.unproven.leave(self, address=self._peer)  # an answer is on its way to it
            self._wait_for_taking()

    def resume_writing(self) -> None:
        """The caller has taken enough of its answer for the next request to be read."""
        self._is_write_blocked = False
        self._edge.unread.leave(self)
        if self._upgraded is not None:
            self._upgraded.resume_writing()
        elif self._state is _WRITING:
            self._read_next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; a walk that is under way goes on."""
        self._state = _State.CLOSED
        self.deadline = NEVER
        self._take_owed()
        self._edge.leave(self)
        self._edge.unread.leave(self)
        self._edge.unproven.leave(self, address=self._peer)
        if self._upgraded is not None:
            self._upgraded.connection_lost(exc)

    # ------------------------------------------------------------ what the listener tells

    def expire(self) -> None:
        """The deadline has passed: an idle connection ends silently, half a request gets 408, a stuck one is cut."""
        if self._state is not _READING or self._transport.is_closing():
            self._transport.abort()
        elif self._phase is _IDLE:
            self.close()
        else:
            self._edge.counts.timed_out += 1
            self._refuse(TOO_SLOW)

    def close(self) -> None:
        """End the connection once what was written is out."""
        self._edge.flush()
        self._state = _State.CLOSING
        self.deadline = self._edge.now() + self._edge.bounds.write_timeout_s
        self._transport.close()

    def make_way(self) -> None:
        """End it for a newer one; a refusal that is held back is sent first."""
        self._is_going = True
        owed = self._take_owed()
        if owed:
            self._edge.flush()
            self._transport.writelines(owed)
        if owed or (self._is_proven and self.is_idle):
            self.close()
        else:
            self.abort()

    def abort(self) -> None:
        """End the connection now; of what was answered, as much is written as goes out at once."""
        self._edge.flush()
        self._transport.abort()

    # ------------------------------------------------------------ a request and its answer

    def _read(self, data: bytes) -> None:
        outcome = self._reader.feed(data)
        if isinstance(outcome, HttpRequest):
            self._dispatch(outcome)
        elif isinstance(outcome, Refusal):
            self._refuse(outcome)
        else:
            if outcome is ReadProgress.CONTINUE:
                self._edge.flush()
                self._transport.write(CONTINUE)
            self._note_phase()

    def _note_phase(self) -> None:
        phase, before = self._reader.phase, self._phase
        if phase is not before:
            self._phase = phase
            self.deadline = self._edge.deadline(self.deadline, before=before, phase=phase)

    def _dispatch(self, request: HttpRequest) -> None:
        self.deadline = NEVER
        self._phase, self._is_fresh = _IDLE, False
        if not self._is_proven:
            self._edge.unproven.leave(self, address=self._peer)
        wiring = self._edge.wiring
        if request.raw_head is not None and wiring.upgrade is not None:
            self._state = _State.HANDED_OVER
            self._edge.flush()
            self._upgraded = wiring.upgrade(request.call, self._transport, request.raw_head)
            return
        self._state, self._request = _ANSWERING, request
        self._edge.ask(self)

    # ------------------------------------------------------------ what the walk tells

    @property
    def call(self) -> Call:
        """What is being asked."""
        return self._request.call

    def answer(self, reply: Reply) -> None:
        """Write the answer, unless the caller has hung up."""
        edge, request = self._edge, self._request
        call = request.call
        try:
            self._is_proven = self._is_proven or call.is_known
            is_closing = reply.close or self._has_ended or edge.is_draining or not request.is_kept_alive
            answer = pieces(reply, date=edge.date(), is_closing=is_closing, is_head=call.method == "HEAD")
        except Exception:  # noqa: BLE001 - a reply that cannot be written
            self.fail()
            return
        self._end(answer, call.wait_s, is_closing=is_closing)

    def fail(self) -> None:
        """Tell the caller that the walk failed, and the log why."""
        call, decision = self._request.call, self._edge.wiring.new_id()
        _log.exception("walk_failed", decision=decision, path=call.path)
        try:
            told, _ = self._edge.refusal(WALK_FAILED, peer=self._peer, decision=decision)
        except Exception:  # noqa: BLE001 - it ends at least
            _log.exception("refusal_failed", decision=decision, path=call.path)
            self.cut()
            return
        self._end((told,), call.wait_s, is_closing=True)

    def cut(self) -> None:
        """End the connection: its request will have no answer."""
        self._edge.answering -= 1
        self._request = _NOTHING_ASKED
        self._transport.abort()

    def _end(self, answer: tuple[bytes, ...], wait_s: float, *, is_closing: bool) -> None:
        self._edge.answering -= 1
        self._request = _NOTHING_ASKED
        try:
            if wait_s:
                self._hold_back(answer, wait_s, is_closing=is_closing)
            else:
                self._write(answer, is_closing=is_closing)
        except Exception:  # noqa: BLE001 - whoever answers others in the same step goes on
            _log.exception("answering_failed")
            self._transport.abort()

    def _hold_back(self, answer: tuple[bytes, ...], wait_s: float, *, is_closing: bool) -> None:
        """Sends a refusal later. Meanwhile its connection has no more right to its place than a silent one."""
        if self._state is not _ANSWERING:  # the caller has hung up
            return
        self._state, self._owed = _State.HELD_BACK, answer
        self._telling = asyncio.get_running_loop().call_later(wait_s, self._release, is_closing)
        if not self._is_proven:
            self._edge.wait_for_proof(self, self._peer)

    def _release(self, is_closing: bool) -> None:  # noqa: FBT001 - the loop calls it
        self._edge.unproven.leave(self, address=self._peer)
        self._state = _ANSWERING
        self._write(self._take_owed(), is_closing=is_closing)

    def _take_owed(self) -> tuple[bytes, ...]:
        """Takes the refusal that is held back, so that nobody else sends it."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        owed, self._owed = self._owed, ()
        return owed

    def _write(self, answer: tuple[bytes, ...], *, is_closing: bool) -> None:
        if self._state is not _ANSWERING:  # the caller has hung up
            return
        self._edge.send(self._transport, answer)
        if is_closing:
            self.close()
        elif self._is_write_blocked:
            self._wait_for_taking()
        else:
            self._read_next()

    def _wait_for_taking(self) -> None:
        self._state = _WRITING
        self.deadline = self._edge.now() + self._edge.bounds.write_timeout_s

    def _read_next(self) -> None:
        if self._has_ended or self._edge.is_draining or self._transport.is_closing():
            self.close()
            return
        edge = self._edge
        self._state = _READING
        self.deadline = edge.now() + edge.bounds.idle_timeout_s
        if not self._is_proven:
            edge.wait_for_proof(self, self._peer)
        if self._held:
            held, self._held = self._held, b""
            self._transport.resume_reading()
            self._read(held)

    # ------------------------------------------------------------ refusals of the edge's own

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, stop sending, and drain what still comes: closing now could cause a reset that loses the answer."""
        answer, wait_s = self._edge.refusal(refusal, peer=self._peer)
        self._state, self._owed = _State.LINGERING, (answer,)
        self.deadline = self._edge.now() + wait_s + self._edge.bounds.linger_timeout_s
        if wait_s:
            self._telling = asyncio.get_running_loop().call_later(wait_s, self._tell)
        else:
            self._tell()

    def _tell(self) -> None:
        owed = self._take_owed()
        if self._state is not _State.LINGERING or self._transport.is_closing():
            return
        self._edge.flush()
        self._transport.writelines(owed)
        if self._transport.can_write_eof():
            self._transport.write_eof()
