"""Notices that a file has changed, without reading it; and a loop that looks every half minute.

A mark changes when the file is written or its mode changes, and also when a mount swaps the link that leads to it or an
editor renames a new file over the old one. If the file is missing or may not be looked at, the mark says so.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

LOOK_S: Final = 30.0
REPLACED: Final = "was replaced or removed outside; this mount goes on showing the old one: mount its folder"

Mark = tuple[object, ...]


def mark_of(path: Path) -> Mark:
    """A value that changes whenever the file does. Blocks for a moment."""
    try:
        found = path.stat()
    except OSError as error:
        return type(error).__name__, error.errno
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def is_replaced(path: Path) -> bool:
    """Whether the file that `path` leads to has no name any more.

    A file that is mounted by itself stays what it was when another takes its name outside.
    """
    return path.stat().st_nlink == 0


class FileMarks:
    """The marks of some files at the last look."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._marks = self._now()

    def has_changed(self) -> bool:
        """Whether one of them has changed since the last look; this is the last look from now on."""
        before, self._marks = self._marks, self._now()
        return self._marks != before

    def _now(self) -> tuple[Mark, ...]:
        return tuple(map(mark_of, self._paths))


async def every_half_minute(look: Callable[[], Awaitable[None]]) -> None:
    """Looks for ever."""
    while True:
        await asyncio.sleep(LOOK_S)
        await look()
