"""What waits for one caller who does not read as fast as frames come. Pure.

Snapshots of a symbol conflate: the newest takes the place of the one that waits, at its own place in the order. Events
(orders, fills, ticks, notifications) are kept, all of them and in order. What is kept is bounded by its owner.
"""

from collections import OrderedDict

from guard.stream.session import Frame


class Backlog:
    """Frames that wait, oldest first. `unsent_bytes` is what they amount to."""

    __slots__ = ("_events", "_waiting", "unsent_bytes")

    def __init__(self) -> None:
        self._waiting: OrderedDict[object, bytes] = OrderedDict()  # its front is popped in constant time
        self._events = 0
        self.unsent_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, frame: Frame) -> bool:
        """One more frame waits; True where it took the place of an older one of its slot."""
        older = None
        if frame.slot is None:
            self._events += 1
            self._waiting[self._events] = frame.wire
        else:
            older = self._waiting.pop(frame.slot, None)
            self._waiting[frame.slot] = frame.wire
        self.unsent_bytes += len(frame.wire) - (0 if older is None else len(older))
        return older is not None

    def take(self, bytes_max: int) -> tuple[bytes, int]:
        """The oldest frames, in one piece, up to the first that reaches `bytes_max`; and how many they are."""
        taken: list[bytes] = []
        size = 0
        while self._waiting and size < bytes_max:
            _, data = self._waiting.popitem(last=False)
            taken.append(data)
            size += len(data)
        self.unsent_bytes -= size
        return b"".join(taken), len(taken)

    def clear(self) -> int:
        """Forget everything; how many frames that were."""
        count = len(self._waiting)
        self._waiting.clear()
        self.unsent_bytes = 0
        return count
