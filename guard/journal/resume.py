"""Where a start goes on: the end of the record with its tree, checked against the last checkpoint.

Only the last segment is read: its `segment` record tells the tree before it, for which the checkpoint vouches. A start
does not go on from a record that is shorter than was signed, or different.
"""

from datetime import date
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from guard.errors import JournalFault, StateFault
from guard.journal.checkpoints import checkpoints_path, largest
from guard.journal.entries import Segment
from guard.journal.record import decode
from guard.journal.recordend import RecordEnd
from guard.journal.segments import read_lines, segment_path
from guard.journal.tail import Tail
from guard.journal.tree import Tree, TreeHead, leaf
from guard.terms import EPOCH


class SegmentStart(NamedTuple):
    """What the first record of a segment says: the tree before it, and the UTC day, counted from 1970."""

    tree: Tree
    day: int


def segment_start(line: bytes) -> SegmentStart:
    """Reads the first line of a segment, without its newline; `ValueError` where it is no `segment` record."""
    head = decode(line)
    record = head.typed()
    if not isinstance(record, Segment) or record.tree_size != head.seq - 1:
        raise ValueError("its first record does not say what came before")
    day = date.fromisoformat(head.ts[:10]) - EPOCH.date()
    return SegmentStart(Tree.read(record.tree_size, record.compact), day.days)


def resume(state: Path, tail: Tail) -> RecordEnd:
    """The end of the record. `StateFault` if the record is not what the last checkpoint signed."""
    signed = largest(state)
    if signed is not None and tail.head.seq < signed.size:
        raise StateFault(_shorter(state, tail.head.seq, signed))
    if tail.segment == 0:
        return RecordEnd()
    path = segment_path(state, tail.segment)
    lines = read_lines(state, first=tail.segment)
    try:
        first = next(lines)
        tree, day = segment_start(first[:-1])
    except ValueError as error:
        raise JournalFault(f"{path}: {error}: guard audit verify") from error
    leaves, found = (leaf(line[:-1]) for line in chain([first], lines)), None
    if signed is not None and tree.size <= signed.size:
        tree = tree.grown_by(islice(leaves, signed.size - tree.size))
        found = tree.root() if tree.size == signed.size else None
    tree = tree.grown_by(leaves)
    if tree.size != tail.head.seq:
        raise JournalFault(f"{path}: it has not as many lines as its last record says: guard audit verify")
    if signed is not None and found is not None and found != signed.root:
        raise StateFault(f"{state}: the record was changed after it was signed: guard audit verify shows where")
    return RecordEnd(tail.head.hash, tail.segment, tail.size, day, tree)


def _shorter(state: Path, records: int, signed: TreeHead) -> str:
    what = f"holds {records} records" if records else "is gone"
    return (
        f"{state}: the journal {what}, but {checkpoints_path(state).name} signed {signed.size}: records were cut off. "
        "Put the journal back; or keep this directory as evidence and start on the last backup (--state DIR): an empty "
        "directory knows nothing of what was spent today"
    )
