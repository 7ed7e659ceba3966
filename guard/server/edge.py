"""What the connections of one listener share: wiring, bounds, counts, one clock and date.

Decisions that need to know all connections are made here: whose wait is over, and who makes room for whom. So is the
form of a refusal by the edge itself.
"""

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from enum import IntEnum
from itertools import islice
from typing import Final, Literal, Protocol

from msgspec import Struct

from guard.codes import Code
from guard.server.asking import Asker, Begin
from guard.server.bounds import EdgeBounds
from guard.server.fields import NO_HANDSHAKE
from guard.server.reader import Phase
from guard.server.replies import refusal_reply
from guard.server.unproven import Unproven
from guard.server.unread import Unread
from guard.server.wire import encode
from guard.terms import Call, Refusal, refuse

Admission = Literal["read", "told", "cut"]
"""What becomes of a connection that has come: it is read, told that there are too many, or ended without a word."""

NEVER: Final = float("inf")
OVERLOADED: Final = refuse(Code.OVERLOADED, "the guard has as many connections as it may; try again")
TOO_SLOW: Final = refuse(Code.REQUEST_TIMEOUT, "the request did not arrive in time")
# Not `overloaded`: that says "try again", and nobody here knows how far the walk came before it failed.
WALK_FAILED: Final = refuse(
    Code.RULE_ERROR, "the guard failed on this request; look at the record before you send it again"
)
_WS_VERSIONS: Final = (("Sec-WebSocket-Version", "13"),)  # RFC 6455 §4.4
AT_ONCE_MAX: Final = 64  # the data of so many requests still fits the processor's caches
ROOM_AT_ONCE: Final = 64  # of what nothing is lost with: whoever floods does not make each newcomer's look a long one


class Cost(IntEnum):
    """What is lost when a connection ends to make room for a newer one, least first."""

    NOTHING = 0  # it was refused or has ended, or its caller does not take the answer
    CONNECTION = 1  # a key was verified over it, and its caller asks for nothing now
    BEGINNING = 2  # half a request of a known caller's
    PLACE = 3  # a request is being answered, a stream is open, or nobody knows yet whose it is


class UpgradedProtocol(asyncio.Protocol):
    """Whatever a connection was handed over to with its handshake: it hears all that happens from then on."""

    @property
    def is_over(self) -> bool:
        """It was refused or has ended: nothing but last words is lost with it."""
        return False


class Wiring(Struct, frozen=True):
    """What a listener is connected to.

    `begin` takes the requests that came in one turn of the loop, at most `AT_ONCE_MAX`, to the walk.
    `upgrade(call, transport, raw_head)` takes a WebSocket handshake over: the protocol it returns is told everything
    that happens to the transport from then on, and must write the answer itself. Without it, a handshake is an ordinary
    call. `refused(decision, refusal, peer)` hears of every request that the edge refused by itself, and says for
    how many seconds the answer waits.
    """

    begin: Begin
    new_id: Callable[[], str]
    upgrade: Callable[[Call, asyncio.Transport, bytes], UpgradedProtocol] | None = None
    refused: Callable[[str, Refusal, str], float] | None = None


class EdgeCounts(Struct):
    """What a listener has seen. `open` is now, the rest since the start.

    `timed_out` are requests cut off half-way, `evicted` connections that made room for newer ones, `untaken` those
    whose answers lay there longest when there were too many of them.
    """

    open: int = 0
    total: int = 0
    overloaded: int = 0
    timed_out: int = 0
    evicted: int = 0
    untaken: int = 0

    @property
    def cut(self) -> dict[str, int]:
        """Connections that their callers would have kept, by why they ended."""
        return {
            "overloaded": self.overloaded,
            "timed_out": self.timed_out,
            "evicted": self.evicted,
            "untaken": self.untaken,
        }


class Connected(Protocol):
    """What the edge asks of a connection; `deadline` is when its present wait ends, by the edge's `now`."""

    deadline: float

    @property
    def is_idle(self) -> bool:
        """No request has begun and none is being answered."""
        ...

    @property
    def is_fresh(self) -> bool:
        """It was accepted, and its first request is still to come."""
        ...

    @property
    def cost(self) -> Cost:
        """What would be lost if it ended now."""
        ...

    @property
    def untaken_bytes(self) -> int:
        """How many bytes of answers its caller has not taken yet."""
        ...

    def make_way(self) -> None:
        """End for a newer one."""
        ...

    def expire(self) -> None:
        """The deadline has passed."""
        ...

    def close(self) -> None:
        """End once what was written is out."""
        ...

    def abort(self) -> None:
        """End now."""
        ...


class Edge:
    """What the connections of one listener share: wiring, bounds, counts, `now` in seconds, the date of this second."""

    def __init__(self, wiring: Wiring, bounds: EdgeBounds, *, now: Callable[[], float]) -> None:
        self.wiring = wiring
        self.bounds = bounds
        self.now = now
        self.counts = EdgeCounts()
        self.connections: set[Connected] = set()
        self.unproven = Unproven[Connected](bounds.unproven_per_address_max)
        self.unread = Unread[Connected](bounds.unread_bytes_max, size_of=lambda each: each.untaken_bytes)
        self.answering = 0
        self.is_draining = False
        self.emptied = asyncio.Event()
        self._is_gathering = False
        self._asking: list[Asker] = []
        self._unsent: list[tuple[asyncio.Transport, tuple[bytes, ...]]] = []
        self._date = ""
        self._date_second = -1

    def ask(self, asker: Asker) -> None:
        """Hand a request to the walk: the first of a turn at once if no other is under way, the rest together.

        That none is under way is not enough: what is answered in the very step that begins it, as refusals are, never
        is, however many of them come in one turn.
        """
        self.answering += 1
        if not self._is_gathering:
            self._is_gathering = True
            asyncio.get_running_loop().call_soon(self._begin)
            if self.answering == 1:
                self.wiring.begin([asker])
                return
        self._asking.append(asker)

    def _begin(self) -> None:
        now, self._asking = self._asking[:AT_ONCE_MAX], self._asking[AT_ONCE_MAX:]
        self._is_gathering = bool(self._asking)
        if self._is_gathering:
            asyncio.get_running_loop().call_soon(self._begin)
        if now:
            self.wiring.begin(now)

    def send(self, transport: asyncio.Transport, answer: tuple[bytes, ...]) -> None:
        """Write an answer: at once if no other request is under way, else together with the other answers of this turn.

        Each write wakes a waiting program; writes made one right after another cost the wake-up once.
        """
        if not self.answering:
            self.flush()
            transport.writelines(answer)
            return
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self.flush)
        self._unsent.append((transport, answer))

    def flush(self) -> None:
        """Write what waits for the end of this turn. Called before anything else is written or a connection ended."""
        if not self._unsent:
            return
        unsent, self._unsent = self._unsent, []
        for transport, answer in unsent:
            if not transport.is_closing():
                transport.writelines(answer)

    def date(self) -> str:
        """The `Date` field, made anew once a second."""
        second = int(self.now())
        if second != self._date_second:
            self._date_second, self._date = second, formatdate(usegmt=True)
        return self._date

    def admit(self, connection: Connected, address: str) -> Admission:
        """Count a connection that has come, and say what becomes of it."""
        counts, bounds = self.counts, self.bounds
        self.connections.add(connection)
        self.emptied.clear()
        counts.open = len(self.connections)
        counts.total += 1
        is_crowded = counts.open > bounds.connections_max + bounds.turned_away_max
        has_room = counts.open <= bounds.connections_max or self.make_room()
        if has_room and not is_crowded:  # what has made room may still be on its way out
            self.wait_for_proof(connection, address)
            return "read"
        counts.overloaded += 1
        return "cut" if is_crowded else "told"

    def leave(self, connection: Connected) -> None:
        """Count a connection that has gone; `emptied` says when it was the last."""
        self.connections.discard(connection)
        self.counts.open = len(self.connections)
        if not self.connections:
            self.emptied.set()

    def wait_for_proof(self, connection: Connected, address: str) -> None:
        """A connection without a verified key waits; the oldest of these from its address may have to go."""
        evicted = self.unproven.enter(connection, address=address)
        if evicted is not None:
            self._end(evicted)

    def wait_for_taking(self, connection: Connected) -> None:
        """An answer waits for its caller; those that have not taken theirs for longest may have to go."""
        for each in self.unread.enter(connection):
            self.counts.untaken += 1
            each.make_way()

    def make_room(self) -> bool:
        """Ends connections for a newer one; False: all are at work.

        Where most wait without proof, one of those; else what costs least, so that no key can hold them all.
        """
        if 2 * len(self.unproven) >= self.counts.open and self._end_stranger():
            return True
        costs = [(each.cost, each) for each in self.connections]
        idle = [each for cost, each in costs if cost is Cost.NOTHING]
        if idle:
            for each in islice(idle, ROOM_AT_ONCE):
                self._end(each)
            return True
        known = [(cost, each.deadline, each) for cost, each in costs if cost < Cost.PLACE]
        if not known:
            return self._end_stranger()
        self._end(min(known, key=lambda one: one[:2])[2])
        return True

    def _end_stranger(self) -> bool:
        stranger = self.unproven.take_one()
        if stranger is not None:
            self._end(stranger)
        return stranger is not None

    def _end(self, connection: Connected) -> None:
        self.counts.evicted += 1
        connection.make_way()

    def deadline(self, present: float, *, before: Phase, phase: Phase) -> float:
        """When the present phase must be over: a head counts from its first byte, a body from its head.

        Both have one limit together, and no byte that arrives moves a deadline.
        """
        bounds, now = self.bounds, self.now()
        begun = present - bounds.header_timeout_s if before is Phase.HEAD else now
        limit_s = bounds.body_timeout_s if phase is Phase.BODY else bounds.header_timeout_s
        return min(now + limit_s, begun + bounds.request_timeout_s)

    def sweep(self) -> None:
        """End every wait whose deadline has passed."""
        now = self.now()
        for connection in [each for each in self.connections if each.deadline <= now]:
            connection.expire()

    def refusal(self, refusal: Refusal, *, peer: str, decision: str = "") -> tuple[bytes, float]:
        """The bytes of a refusal by the edge itself, which is counted and recorded here, and how long it waits."""
        decision, wait_s = decision or self.wiring.new_id(), 0.0
        if self.wiring.refused is not None:
            wait_s = self.wiring.refused(decision, refusal, peer)
        extra = _WS_VERSIONS if refusal is NO_HANDSHAKE else ()
        reply = refusal_reply(refusal, decision=decision, policy_sha256=None, headers=extra)
        return encode(reply, date=self.date(), is_closing=True), wait_s


def peer_of(transport: asyncio.Transport) -> str:
    """The caller's address without its port, as records carry it; `unix` on a socket file."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else "unix"
