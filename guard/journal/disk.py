"""The file calls that the journal makes of the operating system: a port, so that tests can make any of them fail.

Every method raises `OSError` as the call does.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
# Without fdatasync (macOS) fsync does more, never less.
_sync_data: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)


class Disk:
    """The real disk. A test derives from it and overrides the call that shall fail."""

    def open(self, path: Path, flags: int) -> int:
        """A descriptor that no child process inherits and no symbolic link redirects; a new file has mode 0600."""
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def write(self, fd: int, data: memoryview) -> int:
        """Writes some of `data` and says how many bytes."""
        return os.write(fd, data)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Writes some of `data` at a place in the file and says how many bytes."""
        return os.pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        """Returns once the file's data, and its size, are on the medium."""
        _sync_data(fd)

    def fsync(self, fd: int) -> None:
        """Returns once file or directory and all its attributes are on the medium."""
        os.fsync(fd)

    def fstat(self, fd: int) -> os.stat_result:
        """The state of the open file."""
        return os.fstat(fd)

    def stat(self, path: Path) -> os.stat_result:
        """The state of what the path names now, links not followed."""
        return path.lstat()

    def fchmod(self, fd: int, mode: int) -> None:
        """Sets the mode of the open file."""
        os.fchmod(fd, mode)

    def ftruncate(self, fd: int, size: int) -> None:
        """Cuts the open file to `size` bytes."""
        os.ftruncate(fd, size)

    def lock(self, fd: int) -> None:
        """Locks the open file against every other opening of it; `BlockingIOError` where one has the lock."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def rename(self, path: Path, target: Path) -> None:
        """Gives the file another name; what had that name is gone."""
        path.rename(target)

    def unlink(self, path: Path) -> None:
        """Removes the name."""
        path.unlink()

    def allocate(self, fd: int, size: int) -> None:
        """Allocates blocks for `size` bytes, so that deleting the file frees that much."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)
        else:
            write_all(self, fd, bytes(size))

    def close(self, fd: int) -> None:
        """Gives the descriptor back."""
        os.close(fd)

    def free_bytes(self, path: Path) -> int:
        """What an ordinary user may still write to the file system of `path`."""
        free = os.statvfs(path)
        return free.f_bavail * free.f_frsize


def write_all(disk: Disk, fd: int, data: bytes) -> None:
    """Writes all of `data`, however short the single writes are."""
    rest = memoryview(data)
    while rest:
        rest = write_some(disk, fd, rest)


def pwrite_all(disk: Disk, fd: int, data: bytes, *, at: int) -> None:
    """The same at a place in the file, which must not be open for appending."""
    done = 0
    while done < len(data):
        done += _some(disk.pwrite(fd, data[done:], at + done))


def write_some(disk: Disk, fd: int, data: memoryview) -> memoryview:
    """One write; what is left to write after it, less than before."""
    return data[_some(disk.write(fd, data)) :]


def _some(written: int) -> int:
    if written <= 0:
        raise OSError(errno.EIO, "the disk took no byte and gave no reason")
    return written


def replace_file(disk: Disk, path: Path, data: bytes, *, like: os.stat_result | None = None) -> None:
    """Replaces the file atomically: whatever happens, it holds `data` or what it held before.

    Mode 0600, or owner, group and mode of the file that it is `like`: an edit by root locks nobody out who reads it.
    That one lies among files of people, who may have one by any name: its draft has a name of this process alone.
    """
    draft = path.with_name(f"{path.name}.new" if like is None else f".{path.name}.{os.getpid()}.new")
    try:
        fd = disk.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            write_all(disk, fd, data)
            if like is not None:
                _make_like(disk, fd, like)
            disk.fsync(fd)
        finally:
            disk.close(fd)
        disk.rename(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            disk.unlink(draft)
        raise
    sync_directory(disk, path.parent)


def _make_like(disk: Disk, fd: int, like: os.stat_result) -> None:
    new = disk.fstat(fd)
    if (like.st_uid, like.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(fd, like.st_uid, like.st_gid)
    disk.fchmod(fd, stat.S_IMODE(like.st_mode))


def sync_directory(disk: Disk, directory: Path) -> None:
    """Makes names that were created in, or removed from, the directory survive a power cut."""
    fd = disk.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        disk.fsync(fd)
    finally:
        disk.close(fd)
