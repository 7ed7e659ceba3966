"""Finds a decision by its time and id, or the place of the latest so many, without reading the whole record.

By time it is a binary search, since lines stand nearly in the order of their times. A decision has the time at which
its request came, and is written when the turn of the loop decides it: what was written before it may be later by
`APART_US`. It needs no index. If the wall clock was set back a record may be missed; whoever needs certainty reads the
whole record (`search`).
"""

import mmap
from datetime import datetime
from pathlib import Path
from typing import Final

from guard.errors import JournalFault
from guard.journal.record import Line, decode, timestamp
from guard.journal.segments import segment_numbers, segment_path
from guard.terms import us_of
from guard.wholefile import opened

APART_US: Final = 1_000_000  # by how much a line may be later than one behind it; a turn of the loop is far shorter
LOOKED_AT_MAX: Final = 16 * 2**20  # bytes of about the time asked for
COUNTED_MAX: Final = 256 * 2**20  # bytes in which the latest decisions are counted
_AT_ONCE: Final = 2**20
_DECISION: Final = b'"type":"decision","id":"'
_OF_NOBODY: Final = b'"key":null,"endpoint":"'


def decision_at(state: Path, ts: str, decision: str) -> Line | None:
    """The `decision` record of this id, written at `ts`; None where it is not (any more). `JournalFault`: unreadable.

    Blocking. A record that is still on its way to the file is not there yet.
    """
    at_us = us_of(datetime.fromisoformat(ts))
    since, until = timestamp(max(0, at_us - APART_US)), timestamp(at_us + APART_US)
    for number in reversed(segment_numbers(state)):
        path = segment_path(state, number)
        try:
            with opened(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                at = _first_at(data, since)
                lines = data[at : min(_first_at(data, until), at + LOOKED_AT_MAX)]
                found = _among(lines, ts=ts, decision=decision)
        except FileNotFoundError:  # pruned a moment ago, and all before it
            return None
        except (OSError, ValueError) as error:  # an empty file cannot be mapped; what is no record has no time
            raise JournalFault(f"{path}: cannot be read: {error}") from error
        if found is not None or at > 0:
            return found  # with earlier lines before it, nothing of that time lies in an earlier file
    return None


def latest_from(state: Path, decisions: int, *, last: int) -> int:
    """The seq from which on at least so many decisions of keys stand, up to segment `last`; 0: all may be among them.

    They are counted by how they begin, and texts in the record may look alike: whoever relies on it counts what he got.
    """
    left, room = decisions, COUNTED_MAX
    for number in reversed([number for number in segment_numbers(state) if number <= last]):
        path = segment_path(state, number)
        try:
            with opened(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                begin = len(data)
                while begin and room > 0:
                    begin, end = max(0, begin - _AT_ONCE), begin
                    left -= _begun_in(data[begin:end])
                    room -= end - begin
                    if left <= 0:
                        start = data.rfind(b"\n", 0, begin) + 1
                        return decode(data[start : data.find(b"\n", start)]).seq
        except (OSError, ValueError):  # gone, empty, no record: whoever reads all of it is told
            return 0
    return 0


def _begun_in(block: bytes) -> int:
    """How many decisions of keys begin in it, or fewer; that one of nobody's is cut in two does not count for a key."""
    return max(0, block.count(_DECISION) - block.count(_OF_NOBODY) - 1)


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


def _among(lines: bytes, *, ts: str, decision: str) -> Line | None:
    """The decision of this very time among the lines."""
    needle, at = f'"id":"{decision}"'.encode(), 0
    while (at := lines.find(needle, at)) >= 0:
        begin, end = lines.rfind(b"\n", 0, at) + 1, lines.find(b"\n", at)
        if end < 0:
            return None
        line = decode(lines[begin:end])
        if line.ts == ts and line.type == "decision" and line.members().get("id") == decision:
            return line
        at = end + 1
    return None
