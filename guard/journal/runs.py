"""Runs of `snapshot` records: the complete ones, newest first, and where the record goes on behind each.

A run begins with part 0 and is complete with the part that says it is the last; one that was cut off, or begun again,
is ignored.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from guard.errors import JournalFault
from guard.journal.chain import ChainHead
from guard.journal.entries import Snapshot
from guard.journal.record import decode
from guard.journal.segments import first_line, read_lines, segment_numbers

RECORD_BYTES: Final = 250  # of a record without its body, about
_MARK: Final = b'"type":"snapshot"'
_MARK_WITHIN: Final = 100  # bytes; seq and ts stand before the type


class Run(NamedTuple):
    """One whole snapshot: of the state behind record `at_seq`, in parts as they were written.

    `record_bytes`: how much of the record it takes, roughly.
    """

    at_seq: int
    bodies: tuple[bytes, ...]
    record_bytes: int


class Continuation(NamedTuple):
    """Where the record goes on: in which segment, behind which head."""

    segment: int
    head: ChainHead


def runs(state: Path, *, last: int | None = None) -> Iterator[Run]:
    """The complete runs in the segments up to `last`; those of the latest state first."""
    parts: list[Snapshot] = []
    told: set[int] = set()
    for number in reversed(segment_numbers(state)):
        if last is not None and number > last:
            continue
        parts = [*_parts(read_lines(state, first=number, last=number)), *parts]
        for run in sorted(_whole(parts), key=lambda run: run.at_seq, reverse=True):
            if run.at_seq not in told:
                told.add(run.at_seq)
                yield run


def behind(state: Path, seq: int) -> Continuation:
    """Where the record goes on after `seq`, the last record of a segment; `JournalFault` if no segment begins there."""
    for number in reversed(segment_numbers(state)):
        try:
            line = decode(first_line(state, number).removesuffix(b"\n"))
        except ValueError:
            continue
        if line.seq == seq + 1:
            return Continuation(number, ChainHead(seq, line.prev))
        if line.seq <= seq:
            break
    raise JournalFault(f"no segment begins behind record {seq}: guard audit verify")


def _parts(lines: Iterable[bytes]) -> Iterator[Snapshot]:
    """The parts that can be read; a run that lacks one is incomplete, and folding the record says what is wrong."""
    for raw in lines:
        if raw.find(_MARK, 0, _MARK_WITHIN) > 0 and raw.endswith(b"\n"):
            with suppress(ValueError):
                record = decode(raw[:-1]).typed()
                if isinstance(record, Snapshot):
                    yield record


def _whole(parts: Iterable[Snapshot]) -> Iterator[Run]:
    begun: list[Snapshot] = []
    for part in parts:
        if part.part == 0:
            begun = []
        elif not begun or (part.at_seq, part.part) != (begun[-1].at_seq, begun[-1].part + 1):
            begun = []
            continue
        begun.append(part)
        if part.last:
            bodies = tuple(bytes(one.body) for one in begun)
            yield Run(part.at_seq, bodies, sum(map(len, bodies)) + RECORD_BYTES * len(bodies))
