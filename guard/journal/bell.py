"""A bell on which one thread sleeps and which others ring: a pipe.

Writing to the pipe releases the interpreter lock for a moment, so the woken thread finds it free. The standard
library's queues and locks wake a thread while the lock is held: the thread wakes, finds it taken, sleeps again and is
woken once more, which makes five thread switches a record instead of two.
"""

import os
import select
from typing import Final

_RINGS_MAX: Final = 64  # heard at once


class Bell:
    """Rung by any thread, slept on by one; a ring that came before the sleep ends it at once."""

    def __init__(self) -> None:
        self._heard_fd, self._rung_fd = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._heard_fd, select.POLLIN)

    def ring(self) -> None:
        """Wakes the sleeper. No more than a few rings may be unheard, since the pipe could fill up."""
        os.write(self._rung_fd, b"\0")

    def sleep(self, longest_s: float | None) -> None:
        """Returns when it rings, or after `longest_s` seconds; None: only when it rings."""
        if self._poll.poll(None if longest_s is None else 1000 * longest_s):
            os.read(self._heard_fd, _RINGS_MAX)

    def close(self) -> None:
        """Closes the pipe; nobody may sleep or ring any more."""
        os.close(self._heard_fd)
        os.close(self._rung_fd)
