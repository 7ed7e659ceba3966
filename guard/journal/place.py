"""Where the next record goes: its seq, the hash it names, the segment it lies in. Pure.

A place is a value: whoever appends computes the next one, and takes it over only once the record is queued. That is why
a failed append uses up no seq.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from guard.errors import JournalFault
from guard.journal.chain import Head, digest
from guard.journal.entries import Segment
from guard.journal.record import LINE_BYTES_MAX, encode


class Entry(NamedTuple):
    """One line on its way to the disk, newline included. `is_lazy`: nobody waits for it."""

    seq: int
    segment: int
    line: bytes
    is_lazy: bool


class Place(NamedTuple):
    """The end of the record: behind which head, in which segment (0: none yet), and how many bytes that has."""

    head: Head
    segment: int
    size: int


class Wanted(NamedTuple):
    """A record that wants a place."""

    type_: str
    members: Struct | Mapping[str, object]
    ts_us: int
    is_lazy: bool


def settle(wanted: Wanted, place: Place, *, segment_bytes_max: int) -> tuple[list[Entry], Place]:
    """The record as an entry, led by the `segment` record of a new file where the old one is full; the place after it.

    `JournalFault` for what cannot be a line.
    """
    entry, after = _link(wanted, place)
    if place.segment > 0 and after.size <= segment_bytes_max:
        return [entry], after
    number = place.segment + 1
    opens = wanted._replace(type_="segment", members=Segment(number, entry.seq))
    opening, begun = _link(opens, Place(place.head, number, 0))
    entry, after = _link(wanted, begun)
    return [opening, entry], after


def _link(wanted: Wanted, place: Place) -> tuple[Entry, Place]:
    seq = place.head.seq + 1
    try:
        line = encode(wanted.members, seq=seq, ts_us=wanted.ts_us, type_=wanted.type_, prev=place.head.hash)
    except ValueError as error:
        raise JournalFault(f"a {wanted.type_} record cannot be written: {error}") from error
    if len(line) > LINE_BYTES_MAX:
        raise JournalFault(f"a {wanted.type_} record of {len(line)} bytes is longer than {LINE_BYTES_MAX}")
    after = Place(Head(seq, digest(line)), place.segment, place.size + len(line) + 1)
    return Entry(seq, place.segment, line + b"\n", wanted.is_lazy), after
