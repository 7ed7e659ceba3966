"""The end of the record, where the next one goes: its seq, the hash it names, its segment, the tree it grows. Pure.

A place is a value. Whoever appends computes the next place and adopts it only once the record is queued, so a failed
append uses up no seq.
"""

from collections.abc import Mapping
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


class Place(Struct, frozen=True, gc=False):
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


def settle(
    place: Place, type_: str, members: Struct | Mapping[str, object], *, ts_us: int, segment_bytes_max: int
) -> tuple[bytes, Place]:
    """The record as a line, and the place after it; if a new file is due, its `segment` record comes before it.

    The result has no newline at its end and lies in the segment of the new place. A new file is begun when the old one
    is full and with each UTC day, but not when the clock goes back. `JournalFault` for what cannot be a line.
    """
    day, before = ts_us // DAY_US, place.tree
    try:
        line = encode(members, seq=before.size + 1, ts_us=ts_us, type_=type_, prev=place.hash)
    except ValueError as error:
        raise JournalFault(f"a {type_} record cannot be written: {error}") from error
    bytes_ = len(line)
    if bytes_ > LINE_BYTES_MAX:
        raise JournalFault(f"a {type_} record of {bytes_} bytes is longer than {LINE_BYTES_MAX}")
    size = place.size + bytes_ + 1
    if size > segment_bytes_max or day > place.day or not place.segment:
        return _begin(place, type_, members, ts_us=ts_us)
    tree = before.grown(sha256(b"\x00" + line).digest())  # leaf and digest inlined, since this is the hot path
    return line, Place(sha256(line).hexdigest(), place.segment, size, place.day, tree)


def _begin(place: Place, type_: str, members: Struct | Mapping[str, object], *, ts_us: int) -> tuple[bytes, Place]:
    """The same in a new file, which takes its first record whatever its size."""
    number, tree = place.segment + 1, place.tree
    opens = Segment(number, tree.size + 1, tree.size, tree.written())
    begun = Place(place.hash, number, 0, ts_us // DAY_US, tree)
    opening, begun = settle(begun, "segment", opens, ts_us=ts_us, segment_bytes_max=_UNBOUNDED)
    line, after = settle(begun, type_, members, ts_us=ts_us, segment_bytes_max=_UNBOUNDED)
    return opening + b"\n" + line, after
