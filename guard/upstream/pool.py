"""Who may talk to the daemon next, and on which open connection. No sockets here.

Slots bound how many requests are under way. Cancels come before other trades, trades before everything else, and a few
slots are kept free for those who come first: reads can never hold up a trade, nor anything a cancel. Among requests of
one kind their owners take turns, each in its order of arrival, so one key's thousand wait behind each other and not
before another's one; where the line is full the latest of whoever has most waiting makes room. A free slot is handed to
its next owner in the step that frees it, so nobody overtakes.
"""

import asyncio
from bisect import insort
from collections import deque
from enum import IntEnum
from operator import attrgetter
from typing import Final

from guard.terms import Failure, Outbound
from guard.upstream.connection import DaemonConnection

RESERVED_MAX: Final = 2  # slots kept for cancels alone, and as many more for cancels and trades
_CLOSED: Final = Failure("held", "the client is closed", is_sent=False)
_TOO_MANY: Final = Failure("held", "too many requests are waiting for the daemon", is_sent=False)
_IDLE_SINCE: Final = attrgetter("idle_since_s")
TRADE_IDLE_MAX_S: Final = 2.0  # a trade travels on a connection that is new or was idle for less than this


class Urgency(IntEnum):
    """Who gets a slot first."""

    CANCEL = 0
    TRADE = 1
    OTHER = 2


def urgency_of(request: Outbound) -> Urgency:
    """The urgency of a request."""
    if request.is_cancel:
        return Urgency.CANCEL
    return Urgency.TRADE if request.is_trade else Urgency.OTHER


SlotWaiter = asyncio.Future[bool]


class WaitQueue:
    """The requests of one urgency that wait: a queue for each owner, owners served in turn; `count` of them in all."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[SlotWaiter]] = {}
        self.count = 0

    def append(self, waiter: SlotWaiter, owner: str) -> None:
        """Adds it behind the others of its owner."""
        self._queues.setdefault(owner, deque()).append(waiter)
        self.count += 1

    def popleft(self) -> SlotWaiter:
        """Takes the first of the owner whose turn it is, and moves that owner to the end."""
        owner = next(iter(self._queues))
        queue = self._queues.pop(owner)
        waiter = queue.popleft()
        self.count -= 1
        if queue:
            self._queues[owner] = queue
        return waiter

    def give_way(self, owner: str) -> SlotWaiter | None:
        """Takes out the latest of the owner with most waiting; None if `owner` would have as many."""
        longest: deque[SlotWaiter] = max(self._queues.values(), key=len, default=deque())
        if len(longest) < len(self._queues.get(owner, ())) + 2:
            return None
        self.count -= 1
        return longest.pop()

    def remove(self, waiter: SlotWaiter, owner: str) -> None:
        """Takes it out, if it is still there."""
        queue = self._queues.get(owner, deque())
        if waiter in queue:
            queue.remove(waiter)
            self.count -= 1
            if not queue:
                del self._queues[owner]


class RequestSlots:
    """Leave to have a request under way: at most `slots_max` at once, `waiters_max` waiting of each urgency."""

    def __init__(self, *, slots_max: int, waiters_max: int) -> None:
        kept = min(RESERVED_MAX, (slots_max - 1) // 2)
        self._limits = (slots_max, slots_max - kept, slots_max - 2 * kept)
        self._waiters_max = waiters_max
        self._lines = (WaitQueue(), WaitQueue(), WaitQueue())
        self._places = tuple(zip(self._lines, self._limits, strict=True))
        self._is_waited_for = False  # somebody may be in a line
        self._is_closed = False
        self.in_use = 0

    def take_now(self, urgency: Urgency) -> bool:
        """Take a slot if one is free for this urgency and no request of it waits."""
        if self.in_use >= self._limits[urgency] or self._is_closed:
            return False
        if self._is_waited_for and self._lines[urgency].count:
            return False
        self.in_use += 1
        return True

    async def take(self, urgency: Urgency, *, deadline_s: float, owner: str = "") -> Failure | None:
        """Wait for a slot, at most until `deadline_s` of the loop's clock; None when it was given."""
        if self._is_closed:
            return _CLOSED
        if self.take_now(urgency):
            return None
        line = self._lines[urgency]
        if line.count >= self._waiters_max:
            last = line.give_way(owner)
            if last is None:
                return _TOO_MANY
            if not last.done():
                last.set_result(False)
        waiter: SlotWaiter = asyncio.get_running_loop().create_future()
        line.append(waiter, owner)
        self._is_waited_for = True
        try:
            async with asyncio.timeout_at(deadline_s):
                is_given = await waiter
        except TimeoutError:
            self._withdraw(waiter, line, owner)
            return Failure("held", "no connection to the daemon became free in time", is_sent=False)
        except asyncio.CancelledError:
            self._withdraw(waiter, line, owner)
            raise
        return None if is_given else self._turned_away()

    def give_back(self) -> None:
        """Return a slot; it goes to the first of the most urgent who may have it."""
        self.in_use -= 1
        if not self._is_waited_for:
            return
        self._is_waited_for = any(line.count for line in self._lines)
        for line, limit in self._places:
            while line.count and self.in_use < limit:
                waiter = line.popleft()
                if not waiter.done():
                    self.in_use += 1
                    waiter.set_result(True)

    def close(self) -> None:
        """Refuse everyone who waits and everyone who comes."""
        self._is_closed = True
        for line in self._lines:
            while line.count:
                waiter = line.popleft()
                if not waiter.done():
                    waiter.set_result(False)

    def _turned_away(self) -> Failure:
        """Why a waiting request was given no slot."""
        return _CLOSED if self._is_closed else _TOO_MANY

    def _withdraw(self, waiter: SlotWaiter, line: WaitQueue, owner: str) -> None:
        # The slot may have been given in the very turn in which its owner gave up.
        if not waiter.cancelled() and waiter.result():
            self.give_back()
        else:
            line.remove(waiter, owner)


class IdleConnections:
    """Open connections without work, the longest idle first; dropped after `idle_max_s`."""

    def __init__(self, *, idle_max_s: float) -> None:
        self._idle_max_s = idle_max_s
        self._connections: deque[DaemonConnection] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def pick(self, *, is_trade: bool) -> DaemonConnection | None:
        """The connection used last, if it may carry such a request; whether it is still open, only it knows."""
        connections = self._connections
        if not connections or self._loop is None:
            return None
        longest_s = TRADE_IDLE_MAX_S if is_trade else self._idle_max_s
        return connections.pop() if self._loop.time() - connections[-1].idle_since_s < longest_s else None

    def put(self, connection: DaemonConnection) -> None:
        """Keep a connection for the next request. One on which nothing was sent has been idle since it was put here."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # which is a system call
        if connection.idle_since_s:
            insort(self._connections, connection, key=_IDLE_SINCE)
        else:
            connection.idle_since_s = self._loop.time()
            self._connections.append(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(self._idle_max_s, self._sweep)

    def drop_oldest(self) -> None:
        """Make room for a new connection."""
        if self._connections:
            self._connections.popleft().drop()

    def forget(self, connection: DaemonConnection) -> None:
        """The connection is gone."""
        if connection in self._connections:
            self._connections.remove(connection)

    def close(self) -> None:
        """Drop them all."""
        while self._connections:
            self.drop_oldest()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._connections and loop.time() - self._connections[0].idle_since_s >= self._idle_max_s:
            self.drop_oldest()
        if self._connections:
            self._timer = loop.call_at(self._connections[0].idle_since_s + self._idle_max_s, self._sweep)
