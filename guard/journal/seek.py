"""Finds a decision by its time and id with a binary search, since lines stand in the order of their times.

It reads a few dozen lines of one segment and needs no index. If the wall clock was set back a record may be missed;
whoever needs certainty reads the whole record (`search`).
"""

import mmap
from pathlib import Path
from typing import Final

from guard.errors import JournalFault
from guard.journal.record import Line, decode
from guard.journal.segments import segment_numbers, segment_path
from guard.wholefile import opened

SAME_TIME_MAX: Final = 10_000  # lines of one microsecond that are looked through


def decision_at(state: Path, ts: str, decision: str) -> Line | None:
    """The `decision` record of this id, written at `ts`; None where it is not (any more). `JournalFault`: unreadable.

    Blocking. A record that is still on its way to the file is not there yet.
    """
    for number in reversed(segment_numbers(state)):
        path = segment_path(state, number)
        try:
            with opened(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                at = _first_at(data, ts)
                found = _among(data, at, ts=ts, decision=decision)
        except FileNotFoundError:  # pruned a moment ago, and all before it
            return None
        except (OSError, ValueError) as error:  # an empty file cannot be mapped; what is no record has no time
            raise JournalFault(f"{path}: cannot be read: {error}") from error
        if found is not None or at > 0:
            return found  # with earlier lines before it, nothing of that time lies in an earlier file
    return None


def _first_at(data: mmap.mmap, ts: str) -> int:
    """Where the first line begins that is not earlier than `ts`; the end of the whole lines where all are."""
    low, high = 0, data.rfind(b"\n") + 1
    while low < high:
        middle = (low + high) // 2
        begin = max(low, data.rfind(b"\n", low, middle) + 1)
        end = data.find(b"\n", middle)
        if decode(data[begin:end]).ts < ts:
            low = end + 1
        else:
            high = begin
    return low


def _among(data: mmap.mmap, at: int, *, ts: str, decision: str) -> Line | None:
    """The decision among the lines of this very time."""
    needle = f'"id":"{decision}"'.encode()
    for _ in range(SAME_TIME_MAX):
        end = data.find(b"\n", at)
        if end < 0:
            return None
        line = decode(data[at:end])
        if line.ts != ts:
            return None
        if line.type == "decision" and needle in line.raw and line.members().get("id") == decision:
            return line
        at = end + 1
    return None
