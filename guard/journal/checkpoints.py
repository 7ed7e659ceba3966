"""`<state>/checkpoints`: signed notes one after the other, the latest one and one for each hour.

The last note is overwritten in place, with one call, so that the file does not grow every second; at the end of its
hour it stays, and the next one is put behind it. A crash can tear only the last note, and whatever follows the last
whole note is ignored. The file is synced each time, so that after a power cut the checkpoint is hardly older than the
record.
"""

import errno
import os
from pathlib import Path
from typing import Final

from guard.errors import JournalFault, StateFault
from guard.journal.disk import Disk, sync_directory
from guard.journal.note import Checkpoint, Note, NoteError, Verifier, split
from guard.journal.space import Space
from guard.journal.tree import TreeHead
from guard.wholefile import GIVEN_BYTES_MAX, read_whole, why

_READS_MAX: Final = 20
_SECONDS_PER_HOUR: Final = 3600


def checkpoints_path(state: Path) -> Path:
    """The file."""
    return state / "checkpoints"


def read_notes(path: Path) -> list[str]:
    """The whole notes of a file, also while a guard writes over the last; OSError where it cannot be read."""
    data = read_whole(path, bytes_max=GIVEN_BYTES_MAX)
    for _ in range(_READS_MAX):
        again = read_whole(path, bytes_max=GIVEN_BYTES_MAX)
        if again == data:
            break
        data = again
    return split(data.decode("utf-8", "replace"))[0]


def largest(state: Path) -> TreeHead | None:
    """The largest tree that any checkpoint of this directory covers, whoever signed it; None without any.

    For the start, which must not go on from less than was once signed. `StateFault` if the file cannot be read.
    """
    path = checkpoints_path(state)
    try:
        notes = _own_notes(path)
        heads = [Checkpoint.read(Note.read(note).text).head for note in notes]
    except FileNotFoundError:
        return None
    except (OSError, NoteError) as error:
        message = f"{path}: cannot be read ({why(error)}); without it a shortened record would not show"
        raise StateFault(
            f"{message}: restore it, or keep the whole directory as it is and start on the last backup"
        ) from error
    return max(heads, default=None)


def signed_by(state: Path, verifier: Verifier) -> int:
    """How many records the largest checkpoint signed by this key covers; 0 without any.

    Records behind these may have been added by anybody who can write the file. `StateFault` if it cannot be read.
    """
    try:
        notes = [Note.read(note) for note in _own_notes(checkpoints_path(state))]
        heads = sorted(((Checkpoint.read(note.text).head.size, note) for note in notes), reverse=True)
    except FileNotFoundError:
        return 0
    except (OSError, NoteError) as error:
        raise StateFault(f"{checkpoints_path(state)}: cannot be read ({why(error)})") from error
    return next((size for size, note in heads if _is_by(verifier, note)), 0)


def _is_by(verifier: Verifier, note: Note) -> bool:
    try:
        return bool(note.signers((verifier,)))
    except NoteError:
        return False


def _own_notes(path: Path) -> list[str]:
    if path.is_symlink():  # nor would it be written through one
        raise OSError(errno.ELOOP, "is a symbolic link")
    return read_notes(path)


class CheckpointFile:
    """The file, open for one guard."""

    def __init__(self, state: Path, *, disk: Disk, space: Space) -> None:
        self._path = checkpoints_path(state)
        self._disk, self._space = disk, space
        self._fd = -1
        self._begins = self._ends = 0  # of the last note
        self._hour: int | None = None  # of the last note; None where there is none

    def put(self, note: str, *, wall_s: int) -> None:
        """Makes this the last note, on the medium. `JournalFault` if the file is no longer the one that was opened."""
        if self._fd < 0:
            self._open()
        hour = wall_s // _SECONDS_PER_HOUR
        if self._hour not in {None, hour}:
            self._begins = self._write("\n", at=self._ends)
        self._hour = hour
        self._ends = self._write(note, at=self._begins)
        self._check()
        self._disk.fsync(self._fd)

    def close(self) -> None:
        """Gives the descriptor back."""
        if self._fd >= 0:
            self._disk.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        self._fd = self._disk.open(self._path, os.O_RDWR | os.O_CREAT)
        stat = self._disk.fstat(self._fd)
        data = os.pread(self._fd, stat.st_size, 0)
        notes, torn = split(data.decode("utf-8", "surrogateescape"))
        self._begins = self._ends = len(data) - len(torn.encode("utf-8", "surrogateescape"))
        if notes and not torn:
            last = notes[-1].encode("utf-8", "surrogateescape")
            self._begins = data.rindex(last)
            self._ends = self._begins + len(last)
            self._hour = int(stat.st_mtime) // _SECONDS_PER_HOUR
        sync_directory(self._disk, self._path.parent)

    def _write(self, text: str, *, at: int) -> int:
        data = text.encode()
        self._space.relieved(self._write_whole, data, at=at)
        return at + len(data)

    def _write_whole(self, data: bytes, *, at: int) -> None:
        """A full disk may take a part and say nothing: that is full too, and all is written once there is room."""
        if self._disk.pwrite(self._fd, data, at) != len(data):
            raise OSError(errno.ENOSPC, "a checkpoint was written in part")

    def _check(self) -> None:
        ours = self._disk.fstat(self._fd)
        try:
            named = self._disk.stat(self._path)
        except FileNotFoundError:
            raise JournalFault(f"{self._path} was deleted or moved while it was being written") from None
        if not os.path.samestat(ours, named):
            raise JournalFault(f"{self._path} was replaced by another file while it was being written")
        if ours.st_size > self._ends:
            self._disk.ftruncate(self._fd, self._ends)
