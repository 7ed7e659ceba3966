"""Free space on the journal's disk: two watermarks, and a ballast file for the last records.

Below the first mark the guard warns; below the second it takes no new orders, while cancels and outcomes are still
written. The ballast is made when space gets low and deleted when a write finds the disk full, so that what is under way
can still be recorded. All this belongs to the writer thread; `level` may be read by any thread.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar

from msgspec import Struct

from guard.journal.disk import FULL, Disk, sync_directory

_P = ParamSpec("_P")
_T = TypeVar("_T")

Level = Literal["ample", "low", "stop"]


class Marks(Struct, frozen=True):
    """The watermarks and the size of the ballast, in bytes; not in percent, which would be much on a large disk."""

    low_bytes: int = 2**30
    stop_bytes: int = 64 * 2**20
    ballast_bytes: int = 16 * 2**20


def ballast_path(state: Path) -> Path:
    """The ballast file."""
    return state / "ballast"


class Space:
    """Watches one directory.

    Attributes:
        level: what the last look found.
    """

    def __init__(self, state: Path, *, disk: Disk, marks: Marks) -> None:
        self.level: Level = "ample"
        self._path = ballast_path(state)
        self._disk, self._marks = disk, marks

    def look(self) -> None:
        """Finds the level anew, and makes the ballast if space is low."""
        try:
            free = self._disk.free_bytes(self._path.parent)
        except OSError:
            return  # the next write tells what is wrong
        if free < self._marks.stop_bytes:
            self.level = "stop"
        elif free < self._marks.low_bytes:
            self.level = "low"
            self._make()
        else:
            self.level = "ample"

    def relieved(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Calls it; if the disk is full, deletes the ballast and calls it again; a part it took is written anew."""
        try:
            return call(*args, **kwargs)
        except OSError as error:
            if error.errno not in FULL or not self._give_up():
                raise
            return call(*args, **kwargs)

    def _give_up(self) -> bool:
        self.level = "stop"
        try:
            self._disk.unlink(self._path)
            sync_directory(self._disk, self._path.parent)
        except OSError:
            return False
        return True

    def _make(self) -> None:
        """Makes the ballast with its blocks allocated; if that fails there is none.

        A shorter one was left by a kill, or a fault, between its name and its blocks: it would make no room.
        """
        with suppress(OSError):
            with suppress(FileNotFoundError):
                if self._disk.stat(self._path).st_size >= self._marks.ballast_bytes:
                    return
                self._disk.unlink(self._path)
            fd = self._disk.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                self._disk.allocate(fd, self._marks.ballast_bytes)
            except OSError:
                self._disk.unlink(self._path)
            finally:
                self._disk.close(fd)
