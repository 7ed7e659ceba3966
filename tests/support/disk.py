"""A disk whose calls fail when a test says so."""

import errno
import os
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import Final

from guard.journal.disk import Disk

PAGE: Final = 4096
NO_SPACE: Final = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FaultyDisk(Disk):
    """The real disk, but for the calls named in `fails`.

    `fails["write"] = OSError(...)`: every later `write` raises it, and nothing happens. `anyway`: it raises although it
    happened. `write_bytes_max`: how much one `write` takes; `write_bytes_left`: how much the disk takes at all (then
    ENOSPC). `calls` counts.
    """

    def __init__(self) -> None:
        self.fails: dict[str, OSError] = {}
        self.anyway: dict[str, OSError] = {}
        self.write_bytes_max: int | None = None
        self.write_bytes_left: int | None = None
        self.free = 10**12
        self.allocated = 0
        self.calls: Counter[str] = Counter()

    def _before(self, call: str) -> None:
        self.calls[call] += 1
        if call in self.fails:
            raise self.fails[call]

    def _after(self, call: str) -> None:
        if call in self.anyway:
            raise self.anyway[call]

    def open(self, path: Path, flags: int) -> int:
        """Opens, unless told otherwise."""
        self._before("open")
        fd = super().open(path, flags)
        try:
            self._after("open")
        except OSError:
            super().close(fd)
            raise
        return fd

    def write(self, fd: int, data: memoryview) -> int:
        """Writes as much as the test lets it."""
        self._before("write")
        size = len(data) if self.write_bytes_max is None else min(len(data), self.write_bytes_max)
        if self.write_bytes_left is not None:
            if self.write_bytes_left == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            size = min(size, self.write_bytes_left)
            self.write_bytes_left -= size
        written = super().write(fd, data[:size])
        self._after("write")
        return written

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Writes in place, unless told otherwise."""
        self._before("pwrite")
        written = super().pwrite(fd, data, offset)
        self._after("pwrite")
        return written

    def fdatasync(self, fd: int) -> None:
        """Syncs, unless told otherwise."""
        self._before("fdatasync")
        super().fdatasync(fd)
        self._after("fdatasync")

    def fsync(self, fd: int) -> None:
        """Syncs, unless told otherwise."""
        self._before("fsync")
        super().fsync(fd)
        self._after("fsync")

    def lock(self, fd: int) -> None:
        """Locks, unless told otherwise."""
        self._before("lock")
        super().lock(fd)
        self._after("lock")

    def rename(self, path: Path, target: Path) -> None:
        """Renames, unless told otherwise."""
        self._before("rename")
        super().rename(path, target)
        self._after("rename")

    def fchmod(self, fd: int, mode: int) -> None:
        """Sets the mode, unless told otherwise."""
        self._before("fchmod")
        super().fchmod(fd, mode)
        self._after("fchmod")

    def ftruncate(self, fd: int, size: int) -> None:
        """Cuts, unless told otherwise."""
        self._before("ftruncate")
        super().ftruncate(fd, size)
        self._after("ftruncate")

    def allocate(self, fd: int, size: int) -> None:
        """Takes the blocks, unless told otherwise; they count against `write_bytes_left`."""
        self._before("allocate")
        super().allocate(fd, size)
        if self.write_bytes_left is not None:
            self.write_bytes_left -= size
        self.allocated = size

    def unlink(self, path: Path) -> None:
        """Removes the name, unless told otherwise; a ballast's blocks are free again."""
        self._before("unlink")
        super().unlink(path)
        if path.name == "ballast" and self.write_bytes_left is not None:
            self.write_bytes_left += self.allocated
        self._after("unlink")

    def free_bytes(self, path: Path) -> int:
        """What the test says."""
        self._before("free_bytes")
        return self.free


class HeldDisk(FaultyDisk):
    """A disk that syncs only while `let` is set; `is_syncing` is set while the writer stands in front of it.

    It waits a minute at most, lest a test that fails never ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.is_syncing = threading.Event()

    def fdatasync(self, fd: int) -> None:
        """Waits to be let through."""
        self.is_syncing.set()
        self.let.wait(60)
        super().fdatasync(fd)


class PagedDisk(FaultyDisk):
    """A disk behind the kernel's cache: what is read is the cache, and what a power cut leaves is what syncs took.

    As Linux has it, a page whose sync failed is clean all the same: the next sync does not take it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[int, Path] = {}
        self._dirty: defaultdict[Path, set[int]] = defaultdict(set)
        self._medium: defaultdict[Path, bytearray] = defaultdict(bytearray)

    def open(self, path: Path, flags: int) -> int:
        """Opens, and notes the name."""
        fd = super().open(path, flags)
        self._names[fd] = path
        return fd

    def write(self, fd: int, data: memoryview) -> int:
        """Appends; its pages are dirty then."""
        written = super().write(fd, data)
        self._soil(fd, os.fstat(fd).st_size - written, written)
        return written

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Writes in place; its pages are dirty then."""
        written = super().pwrite(fd, data, offset)
        self._soil(fd, offset, written)
        return written

    def fdatasync(self, fd: int) -> None:
        """Takes what is dirty, unless told otherwise."""
        dirty = self._dirty.pop(self._names[fd], set())
        super().fdatasync(fd)
        self._take(fd, dirty)

    def fsync(self, fd: int) -> None:
        """Takes what is dirty, unless told otherwise."""
        dirty = self._dirty.pop(self._names[fd], set())
        super().fsync(fd)
        self._take(fd, dirty)

    def ftruncate(self, fd: int, size: int) -> None:
        """Cuts; the page that it cuts through is dirty then."""
        super().ftruncate(fd, size)
        self._soil(fd, size, 1)

    def rename(self, path: Path, target: Path) -> None:
        """Renames, at once on the medium too; what was not synced is nothing there, under either name."""
        self._before("rename")
        Disk.rename(self, path, target)
        self._medium[target], self._dirty[target] = self._medium.pop(path, bytearray()), self._dirty.pop(path, set())
        self._after("rename")

    def has(self, path: Path) -> None:
        """What is in the file is on the medium."""
        self._medium[path] = bytearray(path.read_bytes())

    def cut_power(self, path: Path) -> None:
        """The file is what is on the medium of it."""
        path.write_bytes(self._medium[path])

    def _soil(self, fd: int, offset: int, size: int) -> None:
        self._dirty[self._names[fd]].update(range(offset // PAGE, (offset + size - 1) // PAGE + 1))

    def _take(self, fd: int, dirty: set[int]) -> None:
        if not dirty:
            return
        cache, medium = self._names[fd].read_bytes(), self._medium[self._names[fd]]
        medium.extend(bytes(max(0, len(cache) - len(medium))))
        del medium[len(cache) :]
        for page in dirty:
            place = slice(page * PAGE, (page + 1) * PAGE)
            medium[place] = cache[place]


class Diary(FaultyDisk):
    """A disk that notes in `done` what was synced, cut or removed, by name and in order, and in `left` what is open."""

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[int, str] = {}
        self.done: list[tuple[str, str]] = []

    def open(self, path: Path, flags: int) -> int:
        """Opens, and notes the name."""
        fd = super().open(path, flags)
        self.left[fd] = path.name
        return fd

    def close(self, fd: int) -> None:
        """Closes; what is closed twice is a KeyError."""
        del self.left[fd]
        super().close(fd)

    def fsync(self, fd: int) -> None:
        """Syncs, and notes it."""
        super().fsync(fd)
        self.done.append(("fsync", self.left[fd]))

    def ftruncate(self, fd: int, size: int) -> None:
        """Cuts, and notes it."""
        super().ftruncate(fd, size)
        self.done.append(("ftruncate", self.left[fd]))

    def unlink(self, path: Path) -> None:
        """Removes, and notes it."""
        super().unlink(path)
        self.done.append(("unlink", path.name))


def open_descriptors() -> int:
    """How many this process has, where the system tells."""
    place = Path("/dev/fd")
    return sum(1 for _ in place.iterdir()) if place.is_dir() else 0
