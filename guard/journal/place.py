"""Where the next record goes: its seq, the hash it names, the segment it lies in, the tree it grows. Pure.

A place is a value: whoever appends computes the next one, and takes it over only once the record is queued. That is why
a failed append uses up no seq.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.errors import JournalFault
from guard.journal.chain import Head, digest
from guard.journal.entries import Segment
from guard.journal.record import LINE_BYTES_MAX, encode
from guard.journal.tree import Tree, leaf

DAY_US: Final = 86_400_000_000


class Place(Struct, frozen=True, gc=False):
    """The end of the record: behind which head, in which segment (0: none yet), and how many bytes that has.

    `day`: the UTC day, counted from 1970, on which the segment was begun. `tree`: of all lines so far.
    """

    head: Head = Head()
    segment: int = 0
    size: int = 0
    day: int = 0
    tree: Tree = Tree()


class Wanted(Struct, frozen=True, gc=False):
    """A record that wants a place."""

    type_: str
    members: Struct | Mapping[str, object]
    ts_us: int


def settle(wanted: Wanted, place: Place, *, segment_bytes_max: int) -> tuple[list[bytes], Place]:
    """The record as a line, led by the `segment` record of a new file where one is due; the place after it.

    Lines have no newline. All are of the segment of that place. A new file begins where the old one is full, and with
    each UTC day. A clock that goes back begins none. `JournalFault` for what cannot be a line.
    """
    line, after = _link(wanted, place)
    day = wanted.ts_us // DAY_US
    if place.segment > 0 and after.size <= segment_bytes_max and day <= place.day:
        return [line], after
    number, tree = place.segment + 1, place.tree
    opens = replace(wanted, type_="segment", members=Segment(number, place.head.seq + 1, tree.size, tree.written()))
    opening, begun = _link(opens, Place(place.head, number, 0, day, tree))
    line, after = _link(wanted, begun)
    return [opening, line], after


def _link(wanted: Wanted, place: Place) -> tuple[bytes, Place]:
    head, type_ = place.head, wanted.type_
    seq = head.seq + 1
    try:
        line = encode(wanted.members, seq=seq, ts_us=wanted.ts_us, type_=type_, prev=head.hash)
    except ValueError as error:
        raise JournalFault(f"a {type_} record cannot be written: {error}") from error
    size = len(line)
    if size > LINE_BYTES_MAX:
        raise JournalFault(f"a {type_} record of {size} bytes is longer than {LINE_BYTES_MAX}")
    tree = place.tree.grown(leaf(line))
    return line, Place(Head(seq, digest(line)), place.segment, place.size + size + 1, place.day, tree)
