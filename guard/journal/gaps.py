"""Cancels that passed while the journal was broken: noted in a file beside it, and recorded at the next start."""

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from guard.journal import Disk, Gap
from guard.journal.disk import sync_directory
from guard.wholefile import GIVEN_BYTES_MAX, read_whole, why

NAME: Final = "gap.jsonl"
DECISIONS_MAX: Final = 1000
_DISK: Final = Disk()


class Missed(Struct):
    """One cancel that is in no record."""

    ts: str
    decision: str
    why: str


def note(state: Path, missed: Missed, *, disk: Disk = _DISK) -> bool:
    """Appends the cancel to the file; False if that fails too, and only the operational log surely has it."""
    with contextlib.suppress(OSError):
        fd = disk.open(state / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            line = b"\n" + msgspec.json.encode(missed) + b"\n"  # a full disk may have cut off the one before
            return disk.write(fd, memoryview(line)) == len(line)
        finally:
            disk.close(fd)
    return False


def read(state: Path) -> Gap | None:
    """The record that a start writes about the file of gaps; None without one.

    A line that was cut off counts as a cancel too. A file that cannot be read stays, and the record says so.
    """
    try:
        lines = read_whole(state / NAME, bytes_max=GIVEN_BYTES_MAX).split(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        return Gap(reason=f"{NAME} cannot be read: {why(error)}; it stays as it is", cancels=0)
    lines = [line for line in lines if line]
    rows = [row for row in map(_row, lines) if row is not None]
    if not lines:
        return None
    torn = len(lines) - len(rows)
    return Gap(
        reason="; ".join(
            [*(row.why for row in rows[:1]), *([f"{torn} lines of {NAME} are no records"] if torn else [])]
        ),
        cancels=len(lines),
        since=rows[0].ts if rows else None,
        until=rows[-1].ts if rows else None,
        decisions=tuple(row.decision for row in rows[:DECISIONS_MAX]),
    )


def _row(line: bytes) -> Missed | None:
    try:
        return msgspec.json.decode(line, type=Missed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def forget(state: Path, *, disk: Disk = _DISK) -> None:
    """Deletes the file, if it could be read: the record holds it now.

    What a crash, or a disk that fails, keeps there is told by the next start once more: twice rather than never.
    """
    with contextlib.suppress(OSError):
        read_whole(state / NAME, bytes_max=GIVEN_BYTES_MAX)
        disk.unlink(state / NAME)
        sync_directory(disk, state)
