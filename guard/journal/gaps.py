"""Cancels that passed while the journal was broken: kept beside it if possible, told at the next start."""

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from guard.journal import Gap

NAME: Final = "gap.jsonl"
DECISIONS_MAX: Final = 1000


class Missed(Struct):
    """One cancel that is in no record."""

    ts: str
    decision: str
    why: str


def note(state: Path, missed: Missed) -> bool:
    """Appends to the file of gaps; False where not even that can be written (the operational log has it)."""
    with contextlib.suppress(OSError):
        fd = os.open(state / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, msgspec.json.encode(missed) + b"\n")
        finally:
            os.close(fd)
        return True
    return False


def read(state: Path) -> Gap | None:
    """What the file of gaps tells, as the record that the next start writes; None without one."""
    try:
        lines = (state / NAME).read_bytes().splitlines()
    except OSError:
        return None
    rows = []
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError):
            rows.append(msgspec.json.decode(line, type=Missed))
    if not rows:
        return None
    return Gap(
        reason=rows[0].why,
        cancels=len(rows),
        since=rows[0].ts,
        until=rows[-1].ts,
        decisions=tuple(row.decision for row in rows[:DECISIONS_MAX]),
    )


def forget(state: Path) -> None:
    """The record tells it now."""
    with contextlib.suppress(OSError):
        (state / NAME).unlink()
