"""The caller's side of one socket: an asyncio protocol around `websockets`' sans-I/O `ServerProtocol` (RFC 6455).

It belongs to one connection of the edge, which has read the handshake and hands on everything that happens to the
transport from then on. Frames go out, nothing comes in: a data frame of the caller ends the socket. Frames that come
while the transport is full wait in a backlog: snapshots conflate, events do not, and a caller that leaves more than its
bound unread is cut off. Every end is told once to its observer; afterwards nothing more is sent.
"""

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Protocol, cast

from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from guard.server import UpgradedProtocol
from guard.stream.backlog import Backlog
from guard.stream.bounds import StreamBounds
from guard.stream.ending import LINGER_S, End, Ending
from guard.stream.session import NOTHING, CallerView, Frame
from guard.terms import Principal

# The edge has checked the handshake already; what `websockets` is shown of it holds no credential and no other header.
_HANDSHAKE: Final = (
    "GET /ws HTTP/1.1\r\nHost: guard\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n"
)
_SWITCHING: Final = 101
_MESSAGES: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})

Write = Callable[[bytes], object]


class Stage(Enum):
    """Where a socket stands: before its answer, open, or ended (bytes may still be on their way out)."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    ENDED = "ended"


class SocketObserver(Protocol):
    """What a socket reports to its owner."""

    def ended(self, socket: "CallerSocket", ending: Ending) -> None:
        """It has ended, or its caller hung up before it was answered; called once."""
        ...

    def tally(self, result: str, frames: int) -> None:
        """How many waiting frames were `relayed` in the end, `conflated`, or `dropped` because the socket ended."""
        ...

    def turned(self, socket: "CallerSocket") -> None:
        """Its `is_ready` may have changed while it is open."""
        ...


class CallerSocket(UpgradedProtocol):
    """One caller's socket.

    Attributes:
        principal: whose it is, None for nobody's; set before it opens.
        view: what it is shown; renewed while it lives.
        decision: the id under which it was let in.
        task: what relays to it; the owner's.
        is_hasty: the caller sent bytes before the handshake was answered (RFC 6455 §4.1 forbids it).
        is_refused: its handshake is, and the answer may still wait.
        write: hands whole frames to the transport; for whoever has seen that the socket `is_ready`.
    """

    def __init__(self, transport: asyncio.Transport, bounds: StreamBounds, observer: SocketObserver) -> None:
        self.principal: Principal | None = None
        self.view: CallerView = NOTHING
        self.decision = ""
        self.task: asyncio.Task[None] | None = None
        self.is_hasty = False
        self.is_refused = False
        self.stage = Stage.HANDSHAKE
        self.write: Write = transport.write
        self._transport = transport
        self._bounds = bounds
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._loop.time()
        self._asked_s: float | None = None
        self._controls = 0
        self._is_full = False
        self._backlog: Backlog | None = None
        self._cut: asyncio.TimerHandle | None = None
        # No extensions, no subprotocols: what a caller offers of them is declined by not being answered.
        self._frames = ServerProtocol(max_size=bounds.message_bytes_max)

    @property
    def is_open(self) -> bool:
        """Frames may be sent."""
        return self.stage is Stage.OPEN

    @property
    def is_over(self) -> bool:
        """It was refused or has ended: nothing but last words is lost with it."""
        return self.is_refused or self.stage is Stage.ENDED

    # ------------------------------------------------------------ the answer to the handshake

    def accept(self, key: str, *, decision: str) -> None:
        """Answer 101: the socket is open. `key` is the caller's Sec-WebSocket-Key, whose form the edge has checked."""
        self._frames.receive_data(_HANDSHAKE.format(key).encode("ascii"))
        (request,) = self._frames.events_received()
        response = self._frames.accept(cast("Request", request))
        if response.status_code != _SWITCHING:
            raise AssertionError("a handshake that the edge let through is refused by the protocol")
        response.headers["Guard-Decision"] = decision
        self._frames.send_response(response)
        self.decision = decision
        self.stage = Stage.OPEN
        self._heard_s = self._loop.time()
        self._flush()

    def refuse(self, answer: bytes) -> None:
        """Answer the handshake with these bytes instead, and close."""
        if self.stage is not Stage.HANDSHAKE:
            return
        self.stage = Stage.ENDED
        self._transport.write(answer)
        self._close_side()
        self._cut_after(LINGER_S)

    def drop(self) -> None:
        """Cut a handshake off unanswered; anything later is left alone."""
        if self.stage is Stage.HANDSHAKE:
            self.stage = Stage.ENDED
            self._transport.abort()

    # ------------------------------------------------------------ while it is open

    @property
    def is_ready(self) -> bool:
        """Nothing waits, and the transport takes more: frames go out by `write`. Otherwise `keep` them."""
        return self.stage is Stage.OPEN and not self._is_full and self._backlog is None

    def keep(self, frames: Sequence[Frame]) -> None:
        """Keeps these frames until the caller reads on; cuts it off instead if too much waits."""
        if self.stage is not Stage.OPEN:
            return
        if self._backlog is None:
            self._backlog = Backlog()
        conflated = sum([self._backlog.put(frame) for frame in frames])
        if conflated:
            self._observer.tally("conflated", conflated)
        self._check_unsent()

    def _check_unsent(self) -> None:
        waiting = 0 if self._backlog is None else self._backlog.unsent_bytes
        if waiting + self._transport.get_write_buffer_size() > self._bounds.unsent_bytes_max:
            self.end(End.SLOW.value)

    def pause_writing(self) -> None:
        """The transport holds enough: frames wait here from now on."""
        self._is_full = True
        self._observer.turned(self)

    def resume_writing(self) -> None:
        """The caller has read: what waits goes out, oldest first, until the transport is full again."""
        self._is_full = False
        self._drain()

    def _drain(self) -> None:
        """Writes a part per turn of the loop: a transport says that it is full only after it has tried to write."""
        if self._is_full or self.stage is not Stage.OPEN:
            return
        if self._backlog is not None:
            data, count = self._backlog.take(self._bounds.drain_bytes)
            if self._backlog:
                self._loop.call_soon(self._drain)
            else:
                self._backlog = None
            self._transport.write(data)
            self._observer.tally("relayed", count)
        self._observer.turned(self)

    def keep_alive(self) -> None:
        """Ask a silent caller whether it is there; end one that did not answer."""
        if self.stage is not Stage.OPEN:
            return
        self._controls = 0
        now_s = self._loop.time()
        if self._asked_s is not None:  # a guard that stood still meanwhile has asked nobody
            if now_s - self._asked_s >= self._bounds.pong_within_s:
                self.end(End.SILENT.value)
        elif now_s - self._heard_s >= self._bounds.ping_every_s:
            self._asked_s = now_s
            self._frames.send_ping(b"")
            self._flush()

    def end(self, ending: Ending) -> None:
        """End an open socket: tell the caller, send no more, and cut the connection if it stays open too long.

        Our side of the connection is closed when the caller has answered (RFC 6455 §7.1.1): some clients lose the
        close code otherwise.
        """
        if self.stage is not Stage.OPEN:
            return
        self.stage = Stage.ENDED
        self._controls = 0
        self._drop_backlog()
        if ending.code is not None and self._frames.state is State.OPEN:
            self._frames.send_close(ending.code, ending.text)
        self._flush()
        self._cut_after(ending.linger_s)
        self._observer.ended(self, ending)

    def _drop_backlog(self) -> None:
        if self._backlog is not None:
            self._observer.tally("dropped", self._backlog.clear())
            self._backlog = None

    # ------------------------------------------------------------ what the transport tells

    def data_received(self, data: bytes) -> None:
        """Control frames are answered by the book; anything else ends the socket."""
        if self._frames.state is State.CONNECTING:
            self.is_hasty = True
            return
        self._heard_s = self._loop.time()
        self._asked_s = None
        for begin in range(0, len(data), self._bounds.read_bytes):
            self._hear(data[begin : begin + self._bounds.read_bytes])
            if self._transport.is_closing():
                return

    def _hear(self, data: bytes) -> None:
        self._frames.receive_data(data)
        events = self._frames.events_received()
        self._controls += len(events)
        if self.stage is not Stage.OPEN:
            self._hear_out()
        elif any(getattr(event, "opcode", None) in _MESSAGES for event in events):
            self.end(End.MESSAGE.value)
        elif self._frames.state is not State.OPEN:
            self.end((End.BY_CALLER if self._frames.parser_exc is None else End.BAD_FRAMES).value)
        elif self._controls > self._bounds.controls_max:
            self.end(End.FLOOD.value)
        else:
            self._flush()
            self._check_unsent()  # pings whose pongs are not read

    def _hear_out(self) -> None:
        """Waits for the answer to our close, whatever comes before it, up to a bound."""
        if self._controls > self._bounds.controls_max:
            self._transport.abort()
        else:
            self._flush()

    def eof_received(self) -> bool:
        """The caller closed its side of the connection: ours follows, within the time that an end may take."""
        self.end(End.HUNG_UP.value)
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why makes no difference here
        """The connection is gone, whoever ended it."""
        if self._cut is not None:
            self._cut.cancel()
        was_ended, self.stage = self.stage is Stage.ENDED, Stage.ENDED
        if not was_ended:
            self._drop_backlog()
            self._observer.ended(self, End.HUNG_UP.value)

    # ------------------------------------------------------------ bytes

    def _flush(self) -> None:
        for data in self._frames.data_to_send():
            if data == SEND_EOF:
                self._close_side()
            elif not self._transport.is_closing():
                self._transport.write(data)

    def _close_side(self) -> None:
        """Close our side and read away what still comes: closing both at once could reset the last words away."""
        if not self._transport.can_write_eof() or self._transport.is_closing():
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:  # asyncio's own transports shut the socket down at once, and it may have been reset
            self._transport.abort()

    def _cut_after(self, linger_s: float) -> None:
        self._cut = self._loop.call_later(linger_s, self._transport.abort)
