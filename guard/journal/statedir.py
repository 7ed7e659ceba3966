"""The state directory: made when absent, refused when others may read or write it, locked against a second guard."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from guard.errors import StateFault
from guard.journal.disk import Disk, sync_directory

_OTHERS: Final = 0o066  # read or write for group or others; search alone shows nothing
_PID_BYTES_MAX: Final = 20
_LOCK_PAUSE_S: Final = 0.02


def journal_dir(state: Path) -> Path:
    """Where the segments lie."""
    return state / "journal"


def prepare(state: Path, *, disk: Disk) -> None:
    """`<state>` and `<state>/journal` exist, and nobody else may read or write them; `StateFault` if not."""
    for directory in (state, journal_dir(state)):
        try:
            for absent in reversed([each for each in (directory, *directory.parents) if not each.is_dir()]):
                absent.mkdir(mode=0o700 if absent == directory else 0o777, exist_ok=True)
                _sync_name(disk, absent)
            mode = disk.stat(directory.resolve()).st_mode & 0o777
        except OSError as error:
            raise StateFault(f"{directory}: cannot be used as a state directory: {error.strerror}") from error
        if mode & _OTHERS:
            raise StateFault(f"{directory}: mode {mode:04o} lets others read or write it: chmod 700 {directory}")


def _sync_name(disk: Disk, made: Path) -> None:
    try:
        sync_directory(disk, made.parent)
    except OSError:
        with suppress(OSError):  # left there, it would count as there from then on, and never be synced
            made.rmdir()
        raise


def lock(state: Path, *, disk: Disk, wait_s: float = 0.0) -> int:
    """Locks `<state>/lock` exclusively while the descriptor is open; `StateFault` if another guard holds it.

    The kernel releases the lock when the process dies, however it dies. The file holds the owner's process id, for
    people. `wait_s`: how long a guard that takes over from another waits for that one to end.
    """
    until_s = time.monotonic() + wait_s
    while True:
        fd, fault = _try_lock(state, disk=disk)
        if fault is None:
            break
        if time.monotonic() >= until_s:
            raise fault
        time.sleep(_LOCK_PAUSE_S)
    with suppress(OSError):  # a full disk must not keep the guard, and so the cancels, from starting
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _try_lock(state: Path, *, disk: Disk) -> tuple[int, StateFault | None]:
    """The locked descriptor, or the fault that waiting may cure. Raises any other."""
    path = state / "lock"
    try:
        fd = disk.open(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StateFault(f"{path}: cannot be opened: {error.strerror}") from error
    try:
        disk.lock(fd)
    except BlockingIOError:
        owner = os.pread(fd, _PID_BYTES_MAX, 0).decode("ascii", "replace").strip()
        disk.close(fd)
        by = f"another guard (process {owner or 'unknown'})"
        return -1, StateFault(f"{state}: in use by {by}: stop that one first")
    except OSError as error:
        disk.close(fd)
        raise StateFault(f"{path}: cannot be locked: {error.strerror}") from error
    if not _is_named(fd, path, disk=disk):
        disk.close(fd)
        return -1, StateFault(f"{path}: was replaced while it was being locked: start again")
    return fd, None


def _is_named(fd: int, path: Path, *, disk: Disk) -> bool:
    # A lock on a file that was deleted meanwhile keeps nobody out.
    try:
        return os.path.samestat(disk.fstat(fd), disk.stat(path))
    except FileNotFoundError:
        return False
