"""The end of the record, where the next one goes: its seq, the hash it names, its segment, the tree it grows. Pure.

It is a value. Whoever appends computes the next one and adopts it only once the record is queued, so a failed append
uses up no seq.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

from msgspec import Struct

from guard.errors import JournalFault
from guard.journal.chain import ZEROS
from guard.journal.entries import Segment
from guard.journal.record import LINE_BYTES_MAX, encode
from guard.journal.tree import Tree

DAY_US: Final = 86_400_000_000
_UNBOUNDED: Final = 2**63
Members = Struct | Mapping[str, object]
Timed = tuple[Members, int]
"""A record, and its time in µs."""


class RecordEnd(Struct, frozen=True, gc=False):
    """The end of the record: the hash of its last line, in which segment (0: none yet), and how many bytes that has.

    `day`: the UTC day, counted from 1970, on which the segment was begun. `tree`: of all lines so far.
    """

    hash: str = ZEROS
    segment: int = 0
    size: int = 0
    day: int = 0
    tree: Tree = Tree()

    @property
    def seq(self) -> int:
        """The last record's number: leaf *i* is record *i+1*."""
        return self.tree.size


def appended(
    end: RecordEnd, type_: str, members: Members, *, ts_us: int, segment_bytes_max: int
) -> tuple[bytes, RecordEnd]:
    """The record as a line, and the end after it; if a new file is due, its `segment` record comes before it.

    The result has no newline at its end and lies in the segment of the new end. A new file is begun when the old one is
    full and with each UTC day, but not when the clock goes back. `JournalFault` for what cannot be a line.
    """
    lines, after = appended_all(end, type_, ((members, ts_us),), segment_bytes_max=segment_bytes_max)
    if lines:
        return lines[0], after
    try:
        bytes_ = len(encode(members, seq=end.seq + 1, ts_us=ts_us, type_=type_, prev=end.hash))
    except ValueError as error:
        raise JournalFault(f"a {type_} record cannot be written: {error}") from error
    if bytes_ > LINE_BYTES_MAX:
        raise JournalFault(f"a {type_} record of {bytes_} bytes is longer than {LINE_BYTES_MAX}")
    return _begin(end, type_, members, ts_us=ts_us)


def appended_all(
    end: RecordEnd, type_: str, records: Iterable[Timed], *, segment_bytes_max: int
) -> tuple[list[bytes], RecordEnd]:
    """Several records in their order: their lines, and the end after the last of them.

    They stop before the first record that begins a new file or cannot be a line; what becomes of it says `appended`.
    """
    lines: list[bytes] = []  # `list[bytes]()` takes thirty times as long
    leaves: list[bytes] = []
    hash_, size, seq = end.hash, end.size, end.tree.size
    for members, ts_us in records:
        seq += 1
        try:
            line = encode(members, seq=seq, ts_us=ts_us, type_=type_, prev=hash_)
        except ValueError:
            break
        bytes_ = len(line)
        if bytes_ > LINE_BYTES_MAX or size + bytes_ >= segment_bytes_max or ts_us // DAY_US > end.day:
            break
        if not end.segment:
            break
        size += bytes_ + 1
        hash_ = sha256(line).hexdigest()
        leaves.append(sha256(b"\x00" + line).digest())  # the leaf inlined, since this is the hot path
        lines.append(line)
    return lines, RecordEnd(hash_, end.segment, size, end.day, end.tree.grown_by(leaves)) if lines else end


def _begin(end: RecordEnd, type_: str, members: Members, *, ts_us: int) -> tuple[bytes, RecordEnd]:
    """The same in a new file, which takes its first record whatever its size."""
    number, tree = end.segment + 1, end.tree
    opens = Segment(number, tree.size + 1, tree.size, tree.written())
    begun = RecordEnd(end.hash, number, 0, ts_us // DAY_US, tree)
    opening, begun = appended(begun, "segment", opens, ts_us=ts_us, segment_bytes_max=_UNBOUNDED)
    line, after = appended(begun, type_, members, ts_us=ts_us, segment_bytes_max=_UNBOUNDED)
    return opening + b"\n" + line, after
