"""Who is listening: open sockets, grouped in circles that are shown the same, and the frames on their way to them.

A frame is judged once for each circle, and an order once for each key in it, never for each socket; what one turn of
the loop brought is written to each socket in one piece. Only a turn with a frame that some keys of a circle may not
see, or after a credential has ended, is put together key by key. Whose credential has ended is shown nothing more,
however late its sockets are ended. Sockets that keep up are kept apart: a frame costs them little more than its write.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

from guard.stream.bounds import StreamBounds
from guard.stream.caller import CallerSocket, Write
from guard.stream.session import CallerView, Frame
from guard.terms import Principal

_Sockets = tuple[list[Write], list[CallerSocket]]  # those that keep up, and those for which frames wait

RELAYED: Final = "relayed"
FILTERED: Final = "filtered"


class _Group:
    """The sockets of one key with one view: those that keep up, and those for which frames wait."""

    __slots__ = ("behind", "principal", "ready", "until")

    def __init__(self, principal: Principal | None) -> None:
        self.principal = principal
        self.until = None if principal is None else principal.until
        self.ready: dict[CallerSocket, Write] = {}
        self.behind: set[CallerSocket] = set()

    def __len__(self) -> int:
        return len(self.ready) + len(self.behind)

    def place(self, socket: CallerSocket) -> None:
        """Where it stands now."""
        if socket.is_ready:
            self.behind.discard(socket)
            self.ready[socket] = socket.write
        else:
            self.ready.pop(socket, None)
            self.behind.add(socket)


class _Circle:
    """The keys with one view, and what waits for the end of this turn.

    `lacking` says of a frame, by its place, whom of the circle it is not for. No credential ends before `soonest`.
    `everybody` is who keeps up and who does not, of all groups; None once one of its sockets has come, gone or turned.
    """

    __slots__ = ("everybody", "frames", "groups", "lacking", "soonest", "view")

    def __init__(self, view: CallerView) -> None:
        self.view = view
        self.groups: dict[Principal | None, _Group] = {}
        self.soonest: datetime | None = None
        self.frames: list[Frame] = []
        self.lacking: dict[int, AbstractSet[_Group]] = {}
        self.everybody: _Sockets | None = None

    def __len__(self) -> int:
        return sum([len(group) for group in self.groups.values()])

    def group_of(self, principal: Principal | None) -> _Group:
        """A key's own, which is made for its first socket."""
        group = self.groups.get(principal)
        if group is None:
            group = self.groups[principal] = _Group(principal)
            if group.until is not None and (self.soonest is None or group.until < self.soonest):
                self.soonest = group.until
        return group

    def ended(self, now: Callable[[], datetime]) -> AbstractSet[_Group]:
        """Whose credential has ended."""
        if self.soonest is None or (wall := now()) < self.soonest:
            return frozenset()
        untils = {group: group.until for group in self.groups.values() if group.until is not None}
        self.soonest = min(untils.values(), default=None)  # of those that are still here
        return {group for group, until in untils.items() if until <= wall}

    def write(self, ended: AbstractSet[_Group]) -> tuple[int, int]:
        """What waits, to whom it is for: how many frames went out at once, and how many were not for who is there."""
        frames, self.frames = self.frames, []
        lacking, self.lacking = self.lacking, {}
        joined = _joined(frames)
        if not lacking and not ended:
            return _send(self._all(), frames, joined), 0
        relayed = filtered = 0
        for group in [*self.groups.values()]:
            seen = [] if group in ended else frames
            if lacking and seen:
                seen = [each for place, each in enumerate(frames) if group not in lacking.get(place, ())]
            filtered += (len(frames) - len(seen)) * len(group)
            if seen:
                sockets = [*group.ready.values()], [*group.behind]
                relayed += _send(sockets, seen, joined if seen is frames else _joined(seen))
        return relayed, filtered

    def _all(self) -> _Sockets:
        if self.everybody is None:
            groups = self.groups.values()
            writes = [write for group in groups for write in group.ready.values()]
            self.everybody = writes, [socket for group in groups for socket in group.behind]
        return self.everybody


class Audience:
    """All open sockets.

    `sees(view, frame)` says whether a view shows a frame; of the orders that it shows, `sees_order(principal, frame)`
    whether this key sees them. `tally(result, frames)` counts what was done. `now` is the wall clock, by which
    credentials end.
    """

    def __init__(
        self,
        bounds: StreamBounds,
        *,
        sees: Callable[[CallerView, Frame], bool],
        sees_order: Callable[[Principal | None, Frame], bool],
        tally: Callable[[str, int], None],
        now: Callable[[], datetime],
    ) -> None:
        self._bounds = bounds
        self._sees = sees
        self._sees_order = sees_order
        self._tally = tally
        self._now = now
        self._circles: dict[CallerView, _Circle] = {}
        self._places: dict[CallerSocket, tuple[_Circle, _Group]] = {}
        self._size = 0
        self._flushing: asyncio.Handle | None = None

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[CallerSocket]:
        return iter(tuple(self._places))

    def enter(self, socket: CallerSocket) -> None:
        """A socket has opened; what was heard before is not for it."""
        self.flush()
        circle = self._circles.get(socket.view)
        if circle is None:
            circle = self._circles[socket.view] = _Circle(socket.view)
        group = circle.group_of(socket.principal)
        group.place(socket)
        circle.everybody = None
        self._places[socket] = circle, group

    def leave(self, socket: CallerSocket) -> None:
        """A socket has ended; one that never opened is not missed."""
        circle, group = self._places.pop(socket, (None, None))
        if circle is None or group is None:
            return
        circle.everybody = None
        group.ready.pop(socket, None)
        group.behind.discard(socket)
        if group:
            return
        del circle.groups[group.principal]
        if not circle.groups:
            del self._circles[circle.view]

    def turned(self, socket: CallerSocket) -> None:
        """A socket has fallen behind, or caught up."""
        circle, group = self._places.get(socket, (None, None))
        if circle is not None and group is not None:
            circle.everybody = None
            group.place(socket)

    def show(self, socket: CallerSocket, view: CallerView) -> None:
        """From now on this is what the socket is shown; what was judged before goes out first."""
        if socket not in self._places or socket.view == view:
            return
        self.flush()
        self.leave(socket)
        socket.view = view
        if socket.is_open:
            self.enter(socket)

    def hear(self, frame: Frame) -> None:
        """The daemon has sent a frame: it goes to whoever may see it, when this turn of the loop is over."""
        hidden, is_due = 0, False
        for circle in self._circles.values():
            lacking = self._lacking(circle, frame)
            if lacking is None:
                hidden += len(circle)
                continue
            if lacking:
                circle.lacking[len(circle.frames)] = lacking
            circle.frames.append(frame)
            is_due = True
        if hidden:
            self._tally(FILTERED, hidden)
        if not is_due:
            return
        self._size += len(frame.wire)
        if self._size >= self._bounds.write_bytes:
            self.flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self.flush)

    def _lacking(self, circle: _Circle, frame: Frame) -> AbstractSet[_Group] | None:
        """Whom of a circle the frame is not for; None where it is for nobody."""
        if not self._sees(circle.view, frame):
            return None
        if frame.kind != "trade":
            return frozenset()
        lacking = {each for each in circle.groups.values() if not self._sees_order(each.principal, frame)}
        return lacking if len(lacking) < len(circle.groups) else None

    def flush(self) -> None:
        """Write what has been judged."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if not self._size:
            return
        self._size = 0
        relayed = filtered = 0
        for circle in tuple(self._circles.values()):
            if circle.frames:
                written, withheld = circle.write(circle.ended(self._now))
                relayed += written
                filtered += withheld
        for result, frames in ((RELAYED, relayed), (FILTERED, filtered)):
            if frames:
                self._tally(result, frames)


def _send(sockets: _Sockets, frames: Sequence[Frame], joined: bytes) -> int:
    """To each of them; how many frames went out at once.

    In the middle of this a transport says that it is full, and one that is too slow leaves.
    """
    writes, behind = sockets
    for write in writes:
        write(joined)
    for socket in behind:
        socket.keep(frames)
    return len(writes) * len(frames)


def _joined(frames: Sequence[Frame]) -> bytes:
    return frames[0].wire if len(frames) == 1 else b"".join([frame.wire for frame in frames])
