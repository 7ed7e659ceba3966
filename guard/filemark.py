"""Whether a file is another one than before, told without reading it; and the look at it every half minute.

A mark changes when the file is written or given other rights, and also when a mount swaps the link that leads to it, or
an editor renames a new file over the old one. Where there is no file, or none that may be looked at, the mark says why.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

LOOK_S: Final = 30.0

Mark = tuple[object, ...]


def mark_of(path: Path) -> Mark:
    """What changes whenever the file of this name does. Blocking, for a moment."""
    try:
        found = path.stat()
    except OSError as error:
        return type(error).__name__, error.errno
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Seen:
    """Some files as they were when last looked at."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._marks = self._now()

    def has_changed(self) -> bool:
        """Whether one of them is another than at the last look, which this is from now on."""
        before, self._marks = self._marks, self._now()
        return self._marks != before

    def _now(self) -> tuple[Mark, ...]:
        return tuple(map(mark_of, self._paths))


async def every_half_minute(look: Callable[[], Awaitable[None]]) -> None:
    """Looks for ever."""
    while True:
        await asyncio.sleep(LOOK_S)
        await look()
