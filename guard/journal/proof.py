"""Proofs that need no copy of the record: that one record is in the log, and that the log has only grown.

Both are C2SP formats: `c2sp.org/tlog-proof@v1` with the line itself as extra data, and the request to a witness
(c2sp.org/tlog-witness: old size, consistency proof, new checkpoint). Each proof is checked before it is handed out, so
an edited record proves nothing.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from guard.errors import JournalFault
from guard.journal.checkpoints import checkpoints_path, read_notes
from guard.journal.note import Checkpoint, Note, NoteError
from guard.journal.record import Line, decode
from guard.journal.resume import segment_start
from guard.journal.segments import read_lines
from guard.journal.tree import Stretch, consistency, inclusion, is_consistent, leaf, root_of_inclusion, roots

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_CHANGED: Final = "the record is not what its checkpoint signed: guard audit verify"


class Signed(NamedTuple):
    """A checkpoint and the note it came in."""

    note: str
    checkpoint: Checkpoint


def last_signed(state: Path) -> Signed:
    """The checkpoint of this directory with the largest tree. `JournalFault` without any."""
    path = checkpoints_path(state)
    try:
        found = [signed(note) for note in read_notes(path)]
    except (OSError, NoteError) as error:
        raise JournalFault(f"{path}: no checkpoint can be read: {error}") from error
    if not found:
        raise JournalFault(f"{path}: holds no checkpoint")
    return max(found, key=lambda one: one.checkpoint.head.size)


def signed(note: str) -> Signed:
    """A note's text as a checkpoint; `NoteError` where it is none. Signatures are not looked at."""
    return Signed(note, Checkpoint.read(Note.read(note).text))


def find(state: Path, decision: str) -> Line:
    """The decision's own record; `JournalFault` where it is not there."""
    mark = f'"id":"{decision}"'.encode()
    for raw in read_lines(state):
        if mark in raw and raw.endswith(b"\n"):
            try:
                line = decode(raw[:-1])
                is_it = line.type == "decision" and line.members().get("id") == decision
            except ValueError as error:
                raise JournalFault(f"{decision} stands in a line that is no record: guard audit verify") from error
            if is_it:
                return line
    raise JournalFault(f"no decision {decision} is in this record; guard audit search lists those that are")


def prove(state: Path, line: Line) -> str:
    """A proof that this record is in the log. `JournalFault` if no checkpoint covers it yet."""
    note, checkpoint = last_signed(state)
    size, index = checkpoint.head.size, line.seq - 1
    if index >= size:
        raise JournalFault(f"record {line.seq} is not under a checkpoint yet: one follows within a second")
    path = _hashes(state, inclusion(index, size))
    if root_of_inclusion(leaf(line.raw), path, index=index, size=size) != checkpoint.head.root:
        raise JournalFault(_CHANGED)
    extra = b64encode(line.raw).decode()
    return "\n".join([_HEADER, f"extra {extra}", f"index {index}", *_written(path), "", note])


def prove_growth(state: Path, held: str) -> str:
    """A proof that the log goes on from a checkpoint that was kept elsewhere."""
    note, new = last_signed(state)
    try:
        old = signed(held).checkpoint
    except NoteError as error:
        raise JournalFault(f"what was kept is no checkpoint: {error}") from error
    if old.head.size > new.head.size:
        raise JournalFault(f"the checkpoint is over {old.head.size} records, the last one here over {new.head.size}")
    path = _hashes(state, consistency(old.head.size, new.head.size))
    if old.origin != new.origin or not is_consistent(old.head, new.head, path):
        raise JournalFault("the log does not go on from this checkpoint: guard audit verify --held")
    return "\n".join([f"old {old.head.size}", *_written(path), "", note])


def _hashes(state: Path, stretches: Sequence[Stretch]) -> list[bytes]:
    lines = read_lines(state)
    first = next(lines, b"")
    try:
        return roots(stretches, _leaves(chain([first], lines)), start=segment_start(first[:-1]).tree)
    except ValueError as error:
        raise JournalFault(f"what the proof needs is not in the record any more: {error}") from error


def _leaves(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield leaf(line[:-1])


def _written(path: Sequence[bytes]) -> list[str]:
    return [b64encode(part).decode() for part in path]
