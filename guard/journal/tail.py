"""Where the record ends: what a crash left behind its last whole line is set aside. For the owner of the lock alone."""

import mmap
import os
from pathlib import Path
from typing import Final

from msgspec import Struct

from guard.errors import JournalFault, StateFault
from guard.journal.chain import ChainHead, digest
from guard.journal.disk import FULL, Disk, pwrite_all, sync_directory, write_all
from guard.journal.entries import TornTail
from guard.journal.record import decode
from guard.journal.segments import first_line, segment_numbers, segment_path
from guard.wholefile import opened

_AT_ONCE_BYTES: Final = 2**20


class Tail(Struct, frozen=True):
    """Where the record ends: the chain's head, the last segment and its size. Segment 0: there is no record yet."""

    head: ChainHead = ChainHead()
    segment: int = 0
    size: int = 0
    recovered: tuple[TornTail, ...] = ()


def recover(state: Path, *, disk: Disk) -> Tail:
    """Finds the end of the record, and moves what follows the last whole line into a file beside it.

    A line is whole if it ends with a newline and is a record. One with a newline that is no record is moved too, since
    a power cut may keep the end of a batch and lose blocks before it, and a start must get over that (`verify`, which
    only reports, calls it an edit). If the line before it is broken as well it was no crash, and `JournalFault` is
    raised. A segment without any whole line is removed, and the one before goes on.
    """
    recovered: list[TornTail] = []
    for number in reversed(segment_numbers(state)):
        path = segment_path(state, number)
        try:
            head, end, torn = _last_record(path)
            if torn:
                recovered.append(_set_aside(path, end, torn, disk=disk))
            if end == 0:
                disk.unlink(path)
                sync_directory(disk, path.parent)
                continue
        except OSError as error:
            raise StateFault(f"{path}: cannot be recovered: {error.strerror}") from error
        return Tail(head, number, end, tuple(recovered))
    return Tail(recovered=tuple(recovered))


def write_anew(state: Path, tail: Tail, *, signed_seq: int, disk: Disk) -> None:
    """Writes what no checkpoint covers again, in its place, and syncs it. Raises OSError.

    After a sync that failed the kernel takes pages for clean that are on no medium, and gives them to whoever reads:
    a start would go on behind them, and a power cut would take them out of the middle of the record. Once written
    again they are dirty again, so that this sync tells the truth.
    """
    path = segment_path(state, tail.segment)
    with opened(path) as file:
        before = decode(first_line(state, tail.segment)[:-1]).seq - 1
        place = sum(len(file.readline()) for _ in range(signed_seq - before))
        fd = disk.open(path, os.O_WRONLY)
        try:
            while data := file.read(_AT_ONCE_BYTES):
                pwrite_all(disk, fd, data, at=place)
                place += len(data)
            disk.fsync(fd)
        finally:
            disk.close(fd)


def _last_record(path: Path) -> tuple[ChainHead, int, bytes]:
    """The last whole record's seq and hash, where it ends (0: there is none), and the bytes after it."""
    with opened(path) as file:
        if file.seek(0, os.SEEK_END) == 0:
            return ChainHead(), 0, b""
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            end = len(view)
            for newline_ends in (view.rfind(b"\n") + 1, _line_start(view, len(view))):
                if newline_ends == 0:
                    return ChainHead(), 0, view[:]
                begin = _line_start(view, newline_ends)
                if (head := _head(view[begin : newline_ends - 1])) is not None:
                    return head, newline_ends, view[newline_ends:end]
    raise JournalFault(f"{path}: its last two lines are no records: guard audit verify")


def _line_start(view: mmap.mmap, end: int) -> int:
    """Where the line begins whose newline is the byte before `end`."""
    return view.rfind(b"\n", 0, end - 1) + 1


def _head(line: bytes) -> ChainHead | None:
    try:
        return ChainHead(decode(line).seq, digest(line))
    except ValueError:
        return None


def _set_aside(path: Path, end: int, torn: bytes, *, disk: Disk) -> TornTail:
    """Copies the torn bytes to a new file, makes that durable, and only then cuts them off.

    A full disk, which probably tore the line, must not keep the guard and its cancels from starting: then only the hash
    of an unfinished line is kept.
    """
    name = ""
    try:
        name = _copied(_free_name(path), torn, disk=disk)
    except OSError as error:
        if error.errno not in FULL or b"\n" in torn:
            raise
    fd = disk.open(path, os.O_WRONLY)
    try:
        disk.ftruncate(fd, end)
        disk.fsync(fd)
    finally:
        disk.close(fd)
    return TornTail(len(torn), digest(torn), name)


def _copied(aside: Path, torn: bytes, *, disk: Disk) -> str:
    """Writes them to this new file, durably; its name."""
    fd = disk.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        write_all(disk, fd, torn)
        disk.fsync(fd)
    except OSError:
        disk.unlink(aside)
        raise
    finally:
        disk.close(fd)
    sync_directory(disk, aside.parent)
    return aside.name


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.torn{n or ''}") for n in range(10_000))
    return next(name for name in names if not name.exists())
