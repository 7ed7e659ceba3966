"""Answers that their callers do not take: how much is held for all of them, and which connections end beyond that.

One caller holds at most one answer, but that may be large, and a key may have as many connections as there are. So all
of them share one bound: beyond it the connections that have not taken theirs for longest are ended. What was taken
meanwhile no longer counts. Pure.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

C = TypeVar("C")


class Unread(Generic[C]):
    """The connections whose answers wait to be taken, the longest first; at most `most_bytes`, or one answer.

    `size_of` says how much of its answer a connection still has to take.
    """

    def __init__(self, most_bytes: int, *, size_of: Callable[[C], int]) -> None:
        self._most_bytes = most_bytes
        self._size_of = size_of
        self._held: dict[C, int] = {}
        self.held_bytes = 0

    def enter(self, connection: C) -> list[C]:
        """This caller's answer waits now; removes and returns the others that have to go for it."""
        self.leave(connection)
        self._hold(connection)
        if self.held_bytes > self._most_bytes:
            for each in self._held:
                self._hold(each)
        gone: list[C] = []
        while self.held_bytes > self._most_bytes and len(self._held) > 1:
            oldest = next(iter(self._held))
            self.leave(oldest)
            gone.append(oldest)
        return gone

    def leave(self, connection: C) -> None:
        """It has taken its answer, or is gone."""
        self.held_bytes -= self._held.pop(connection, 0)

    def _hold(self, connection: C) -> None:
        size = self._size_of(connection)
        self.held_bytes += size - self._held.get(connection, 0)
        self._held[connection] = size
