"""Who is listening: open sockets in circles of one key that are shown the same, and the frames on their way to them.

A frame is judged once for each circle, not for each socket, and what one turn of the loop brought is written to each
socket in one piece. A circle whose credential has ended is shown nothing more, however late its sockets are ended.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from guard.stream.bounds import Bounds
from guard.stream.caller import CallerSocket
from guard.stream.session import Frame, View
from guard.terms import Principal

Tally = Callable[[str, int], None]
Judge = Callable[[Principal | None, View, Frame], bool]
_Key = tuple[Principal | None, View]
RELAYED: Final = "relayed"


class _Circle:
    """Sockets of one principal and one view, and what waits for the end of this turn."""

    __slots__ = ("frames", "principal", "sockets", "view")

    def __init__(self, principal: Principal | None, view: View) -> None:
        self.principal = principal
        self.view = view
        self.sockets: set[CallerSocket] = set()
        self.frames: list[Frame] = []


class Audience:
    """All open sockets. `judge` says whether one is shown a frame; `tally(result, frames)` counts what was done.

    `now` is the wall clock, by which credentials end.
    """

    def __init__(self, bounds: Bounds, *, judge: Judge, tally: Tally, now: Callable[[], datetime]) -> None:
        self._bounds = bounds
        self._judge = judge
        self._tally = tally
        self._now = now
        self._circles: dict[_Key, _Circle] = {}
        self._circle_of: dict[CallerSocket, _Circle] = {}
        self._size = 0
        self._flushing: asyncio.Handle | None = None

    def __len__(self) -> int:
        return len(self._circle_of)

    def __iter__(self) -> Iterator[CallerSocket]:
        return iter(tuple(self._circle_of))

    def enter(self, socket: CallerSocket) -> None:
        """A socket has opened."""
        key = (socket.principal, socket.view)
        circle = self._circles.get(key)
        if circle is None:
            circle = self._circles[key] = _Circle(*key)
        circle.sockets.add(socket)
        self._circle_of[socket] = circle

    def leave(self, socket: CallerSocket) -> None:
        """A socket has ended; one that never opened is not missed."""
        circle = self._circle_of.pop(socket, None)
        if circle is None:
            return
        circle.sockets.discard(socket)
        if not circle.sockets:
            del self._circles[circle.principal, circle.view]

    def show(self, socket: CallerSocket, view: View) -> None:
        """From now on this is what the socket is shown; what was judged before goes out first."""
        if socket not in self._circle_of or socket.view == view:
            return
        self.flush()
        self.leave(socket)
        socket.view = view
        if socket.is_open:
            self.enter(socket)

    def hear(self, frame: Frame) -> None:
        """The daemon has sent a frame: it goes to whoever may see it, when this turn of the loop is over."""
        is_due = False
        for circle in self._circles.values():
            if self._judge(circle.principal, circle.view, frame):
                circle.frames.append(frame)
                is_due = True
            else:
                self._tally("filtered", len(circle.sockets))
        if not is_due:
            return
        self._size += len(frame.wire)
        if self._size >= self._bounds.write_bytes:
            self.flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what has been judged."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        self._size = 0
        for circle in tuple(self._circles.values()):
            if circle.frames:
                self._write(circle)

    def _write(self, circle: _Circle) -> None:
        frames, circle.frames = circle.frames, []
        until = None if circle.principal is None else circle.principal.until
        if until is not None and self._now() >= until:
            self._tally("filtered", len(frames) * len(circle.sockets))
            return
        joined = frames[0].wire if len(frames) == 1 else b"".join([frame.wire for frame in frames])
        written = 0
        for socket in tuple(circle.sockets):  # one that is too slow leaves in the middle of this
            written += socket.push(frames, joined)
        if written:
            self._tally(RELAYED, written)
