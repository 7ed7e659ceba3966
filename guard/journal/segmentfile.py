"""The segment that is being written: append, sync, rotate. It belongs to the writer thread.

A sync counts only if the path still names this file and it is as long as what was written: programs have written their
audit log to a deleted file for days (hashicorp/vault#31718).
"""

import os
from pathlib import Path
from typing import Final

from guard.errors import JournalFault
from guard.journal.disk import Disk, sync_directory, write_some
from guard.journal.segments import segment_path
from guard.journal.space import Space
from guard.journal.tail import Tail

_CLOSED_MODE: Final = 0o440


class SegmentFile:
    """The last segment. `number` 0: no file yet."""

    def __init__(self, state: Path, tail: Tail, *, disk: Disk, space: Space) -> None:
        self.number = tail.segment
        self._state = state
        self._disk, self._space = disk, space
        self._size = tail.size
        self._full: list[int] = []  # earlier segments that are sealed once the next one is durable
        self._fd, self._path = -1, segment_path(state, tail.segment)
        if tail.segment > 0:
            self._fd = disk.open(self._path, os.O_WRONLY | os.O_APPEND)
            self._ours = disk.fstat(self._fd)

    def write(self, data: bytes) -> None:
        """Appends all of `data`; on a full disk the ballast is given up for it."""
        rest = memoryview(data)
        while rest:
            rest = self._space.relieved(write_some, self._disk, self._fd, rest)
        self._size += len(data)

    def sync(self) -> None:
        """Returns once all that was written is durable in the file that the path names; raises otherwise."""
        self._disk.fdatasync(self._fd)
        self._check()
        for fd in self._full:
            self._disk.fchmod(fd, _CLOSED_MODE)
            self._disk.close(fd)
        self._full.clear()

    def rotate(self, number: int) -> None:
        """Makes the old file durable and opens the next one, which must not exist yet.

        The old one becomes read-only only after the first sync of the new one: a crash in between must be able to go on
        in the old one.
        """
        if self._fd >= 0:
            self._disk.fdatasync(self._fd)
            self._check()
            self._full.append(self._fd)
            self._fd = -1
        path = segment_path(self._state, number)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._fd = self._space.relieved(self._disk.open, path, flags)
        self._ours = self._disk.fstat(self._fd)
        self.number, self._path, self._size = number, path, 0
        sync_directory(self._disk, path.parent)

    def close(self) -> None:
        """Gives the descriptors back."""
        for fd in (*self._full, self._fd):
            if fd >= 0:
                self._disk.close(fd)
        self._full.clear()
        self._fd = -1

    def _check(self) -> None:
        """Checks that the path still names this file, and that its size is right."""
        path = self._path
        try:
            named = self._disk.stat(path)
        except FileNotFoundError:
            raise JournalFault(f"{path} was deleted or moved while it was being written") from None
        if not os.path.samestat(self._ours, named):
            raise JournalFault(f"{path} was replaced by another file while it was being written")
        if named.st_size != self._size:
            raise JournalFault(
                f"{path} has {named.st_size} bytes where {self._size} were written: someone else changed it"
            )
