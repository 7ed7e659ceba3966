"""Who may talk to the daemon next, and on which open connection. No sockets here.

Slots bound how many requests are under way. Cancels come before other trades, trades before everything else, each
kind in the order of arrival, and a few slots are kept free for those who come first: reads can never hold up a trade,
nor anything a cancel. A free slot is handed to its next owner in the step that frees it, so nobody overtakes.
"""

import asyncio
from collections import deque
from enum import IntEnum
from typing import Final

from guard.terms import Failure, Outbound
from guard.upstream.connection import Connection

RESERVED_MAX: Final = 2  # slots kept for cancels alone, and as many more for cancels and trades
TRADE_IDLE_MAX_S: Final = 2.0  # a trade travels on a connection that is new or was idle for less than this


class Urgency(IntEnum):
    """Whom a slot is given to first."""

    CANCEL = 0
    TRADE = 1
    OTHER = 2


def urgency_of(request: Outbound) -> Urgency:
    """The urgency of a request."""
    if request.is_cancel:
        return Urgency.CANCEL
    return Urgency.TRADE if request.is_trade else Urgency.OTHER


class Slots:
    """Leave to have a request under way: at most `slots_max` at once, `waiters_max` waiting of each urgency."""

    def __init__(self, *, slots_max: int, waiters_max: int) -> None:
        kept = min(RESERVED_MAX, (slots_max - 1) // 2)
        self._limits = (slots_max, slots_max - kept, slots_max - 2 * kept)
        self._waiters_max = waiters_max
        self._queues: tuple[deque[asyncio.Future[bool]], ...] = (deque(), deque(), deque())
        self._is_closed = False
        self.in_use = 0

    async def take(self, urgency: Urgency, *, deadline_s: float) -> Failure | None:
        """Wait for a slot, at most until `deadline_s` of the loop's clock; None when it was given."""
        if self._is_closed:
            return Failure("held", "the client is closed", is_sent=False)
        queue = self._queues[urgency]
        if not queue and self.in_use < self._limits[urgency]:
            self.in_use += 1
            return None
        if len(queue) >= self._waiters_max:
            return Failure("held", "too many requests are waiting for the daemon", is_sent=False)
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        queue.append(waiter)
        try:
            async with asyncio.timeout_at(deadline_s):
                is_given = await waiter
        except TimeoutError:
            self._withdraw(waiter, queue)
            return Failure("held", "no connection to the daemon became free in time", is_sent=False)
        except asyncio.CancelledError:
            self._withdraw(waiter, queue)
            raise
        return None if is_given else Failure("held", "the client is closed", is_sent=False)

    def give_back(self) -> None:
        """Return a slot; it goes to the first of the most urgent who may have it."""
        self.in_use -= 1
        for queue, limit in zip(self._queues, self._limits, strict=True):
            while queue and self.in_use < limit:
                waiter = queue.popleft()
                if not waiter.done():
                    self.in_use += 1
                    waiter.set_result(True)

    def close(self) -> None:
        """Refuse everyone who waits and everyone who comes."""
        self._is_closed = True
        for queue in self._queues:
            for waiter in queue:
                if not waiter.done():
                    waiter.set_result(False)
            queue.clear()

    def _withdraw(self, waiter: asyncio.Future[bool], queue: deque[asyncio.Future[bool]]) -> None:
        # The slot may have been given in the very turn in which its owner gave up.
        if waiter.done() and not waiter.cancelled() and waiter.result():
            self.give_back()
        elif waiter in queue:
            queue.remove(waiter)


class Idle:
    """Open connections without work, the longest idle first; dropped after `idle_max_s`."""

    def __init__(self, *, idle_max_s: float) -> None:
        self._idle_max_s = idle_max_s
        self._connections: deque[Connection] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def pick(self, *, is_trade: bool) -> Connection | None:
        """The connection used last, if it may carry such a request; ones found closed on the way are dropped."""
        now_s = asyncio.get_running_loop().time()
        idle_max_s = TRADE_IDLE_MAX_S if is_trade else self._idle_max_s
        while self._connections and now_s - self._connections[-1].idle_since_s < idle_max_s:
            connection = self._connections.pop()
            if connection.is_quiet():
                return connection
            connection.drop()
        return None

    def put(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        loop = asyncio.get_running_loop()
        connection.idle_since_s = loop.time()
        self._connections.append(connection)
        if self._timer is None:
            self._timer = loop.call_later(self._idle_max_s, self._sweep)

    def drop_oldest(self) -> None:
        """Make room for a new connection."""
        if self._connections:
            self._connections.popleft().drop()

    def forget(self, connection: Connection) -> None:
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
