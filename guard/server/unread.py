"""Answers that their callers do not take: how much is held for all of them together, and who goes when it is too much.

One caller holds at most one answer, but that may be large, and a key may have as many connections as there are. So all
of them share one bound: beyond it the connections that have not taken theirs for longest are ended. Pure.
"""

from typing import Generic, TypeVar

C = TypeVar("C")


class Unread(Generic[C]):
    """The connections whose answers wait to be taken, the longest first; at most `most_bytes`, or one answer."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: dict[C, int] = {}
        self.held_bytes = 0

    def enter(self, connection: C, size: int) -> list[C]:
        """So much waits for this caller now; the others that have to go for it, which are no longer among them."""
        self.leave(connection)
        self._held[connection] = size
        self.held_bytes += size
        gone: list[C] = []
        while self.held_bytes > self._most_bytes and len(self._held) > 1:
            oldest = next(iter(self._held))
            self.leave(oldest)
            gone.append(oldest)
        return gone

    def leave(self, connection: C) -> None:
        """It has taken its answer, or is gone."""
        self.held_bytes -= self._held.pop(connection, 0)
