"""Wakes the writer thread from any other: a self-pipe.

Writing to the pipe releases the interpreter lock for a moment, so the woken thread finds it free. The standard
library's queues and locks wake a thread while the lock is held: the thread wakes, finds it taken, sleeps again and is
woken once more, which makes five thread switches a record instead of two.
"""

import os
import select
from typing import Final

_WAKES_MAX: Final = 64  # read at once


class Wakeup:
    """Waited on by one thread, woken by any; a wake that came before the wait ends it at once."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._read_fd, select.POLLIN)

    def wake(self) -> None:
        """Wakes the thread. Only a few may be outstanding, since the pipe could fill up."""
        os.write(self._write_fd, b"\0")

    def wait(self, longest_s: float | None) -> None:
        """Returns when woken, or after `longest_s` seconds; None: only when woken."""
        if self._poll.poll(None if longest_s is None else 1000 * longest_s):
            os.read(self._read_fd, _WAKES_MAX)

    def close(self) -> None:
        """Closes the pipe; nobody may wait or wake any more."""
        os.close(self._read_fd)
        os.close(self._write_fd)
