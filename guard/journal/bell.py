"""A bell that one thread sleeps on and the others ring.

Who rings gives the interpreter away for that instant, so that who is woken finds it free. What the standard library has
for it, a queue or a lock, wakes a thread while it holds the interpreter: the thread comes, finds it taken, sleeps again
and is woken once more, five changes of threads a record in place of two.
"""

import os
import select
from typing import Final

_RINGS_MAX: Final = 64  # heard at once


class Bell:
    """Rung by anybody, heard by one; a ring that comes before the sleep ends it at once."""

    def __init__(self) -> None:
        self._heard_fd, self._rung_fd = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._heard_fd, select.POLLIN)

    def ring(self) -> None:
        """Wakes who sleeps. A few at most may be rung that nobody has heard yet."""
        os.write(self._rung_fd, b"\0")

    def sleep(self, longest_s: float | None) -> None:
        """Returns when it rings, or when so many seconds are over; None: only when it rings."""
        if self._poll.poll(None if longest_s is None else 1000 * longest_s):
            os.read(self._heard_fd, _RINGS_MAX)

    def close(self) -> None:
        """Gives the descriptors back; nobody sleeps or rings any more."""
        os.close(self._heard_fd)
        os.close(self._rung_fd)
