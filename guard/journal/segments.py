"""The journal's files: their names, and reading them in order, also while a guard writes.

Reading needs no lock, no event loop and no write permission.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from guard.errors import JournalFault
from guard.journal.chain import ChainHead, lines_of, walk, walk_blocks
from guard.journal.record import Entry, Line, decode
from guard.journal.statedir import journal_dir
from guard.wholefile import opened

NUMBER_MAX: Final = 99_999_999
_READ_BYTES: Final = 2**16  # read at a time; into more, the allocator would give fresh pages each time
_FOLDED_BYTES: Final = 2**15  # read before it is folded; more would leave the processor's caches again
_NAME: Final = re.compile(r"([0-9]{8})\.jsonl")


def segment_path(state: Path, number: int) -> Path:
    """The file of a segment; the first one is 00000001.jsonl."""
    return journal_dir(state) / f"{number:08d}.jsonl"


def segment_numbers(state: Path) -> list[int]:
    """The segments that exist, in order; empty where there is no journal."""
    try:
        names = [path.name for path in journal_dir(state).iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalFault(f"{journal_dir(state)}: cannot be read: {error.strerror}") from error
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


def bytes_in(state: Path, numbers: Iterable[int]) -> int:
    """The bytes of these segments, for progress bars; a segment that is gone meanwhile counts as empty."""
    total = 0
    for number in numbers:
        with suppress(OSError):
            total += segment_path(state, number).stat().st_size
    return total


def no_journal(state: Path) -> JournalFault:
    """The fault for a directory without a journal."""
    return JournalFault(f"{journal_dir(state)}: no journal there; name the guard's state directory (--state)")


def deleted(state: Path, number: int) -> JournalFault:
    """The fault for a segment that has gone meanwhile: retention may delete the oldest at any moment."""
    return JournalFault(f"{segment_path(state, number)}: was deleted while the record was read; run it again")


# ---------------------------------------------------------------- reading


def read_lines(
    state: Path, *, first: int = 1, last: int = NUMBER_MAX, wait: Callable[[bool], bool] = lambda _: False
) -> Iterator[bytes]:
    """Every line of the segments `first` to `last`, in order, its newline included; only a torn one lacks it.

    At the end of the last segment `wait(is_torn)` is called (`is_torn`: a line has begun and not ended); it may sleep,
    and returns True to look again. Raises `JournalFault` if there is no journal or it cannot be read.
    """
    return lines_of(_blocks(state, first=first, last=last, wait=wait))


def _blocks(
    state: Path, *, first: int, last: int, wait: Callable[[bool], bool] = lambda _: False, at_once: int = _READ_BYTES
) -> Iterator[bytes]:
    """The same as blocks of whole lines, of about `at_once` bytes; a torn line is a block of its own."""
    begun = _begun(state, first, last)
    following: int | None = begun
    before, is_begun = begun - 1, False
    while following is not None:
        if following > before + 1 and begun not in segment_numbers(state):  # no hole: what was read first is gone too
            raise deleted(state, before + 1)
        number, following = following, None
        before = number
        try:
            with opened(segment_path(state, number), at_once=0) as file:
                reading, is_begun = _Reading(file, at_once), True
                while following is None:
                    yield from reading.blocks()
                    following = _after(state, number, last)
                    if following is None and not wait(bool(reading.torn)):
                        break
                yield from reading.blocks()  # what was written between the last look and the opening of the next file
                if reading.torn:
                    yield b"".join(reading.torn)
        except FileNotFoundError as error:
            following = _after(state, number, last)
            if is_begun or first > 1 or following is None:
                raise deleted(state, number) from error
            begun, before = following, following - 1  # the record begins later than a moment ago
        except OSError as error:
            raise JournalFault(f"{segment_path(state, number)}: cannot be read: {error.strerror}") from error


def replay(state: Path, *, first: int = 1, last: int = NUMBER_MAX, head: ChainHead | None = None) -> Iterator[Line]:
    """The record in order, chain-checked from its first line; `BrokenChain` at the first line that is wrong.

    For the start, after `Journal.open` (which sets a torn tail aside) and before the first append. Records are decoded
    by the caller (`Line.typed`). `head`: the chain before segment `first`, if that is not the very first.
    """
    return walk(read_lines(state, first=first, last=last), head=head)


def replay_typed(
    state: Path, *, first: int = 1, last: int = NUMBER_MAX, head: ChainHead | None = None
) -> Iterator[list[Entry]]:
    """The same some records at a time, each decoded where this guard knows its type (`record.folded`).

    What was read before a line that is wrong comes before `BrokenChain` is raised.
    """
    return walk_blocks(_blocks(state, first=first, last=last, at_once=_FOLDED_BYTES), head=head)


def segment(state: Path, number: int) -> BinaryIO:
    """A segment, opened for reading; `JournalFault` if it cannot be read, or has gone since it was listed."""
    path = segment_path(state, number)
    try:
        return opened(path)
    except FileNotFoundError:
        raise deleted(state, number) from None
    except OSError as error:
        raise JournalFault(f"{path}: cannot be read: {error.strerror}") from error


def first_line(state: Path, number: int) -> bytes:
    """The first line of a segment with its newline; empty if there is none yet. Nothing more is read."""
    try:
        with segment(state, number) as file:
            return file.readline()
    except OSError as error:
        raise JournalFault(f"{segment_path(state, number)}: cannot be read: {error.strerror}") from error


def head_of(state: Path, number: int) -> ChainHead:
    """The chain before a segment, as its first line tells it; an empty chain if that is no record."""
    try:
        line = decode(first_line(state, number).removesuffix(b"\n"))
    except ValueError:
        return ChainHead()
    return ChainHead(line.seq - 1, line.prev)


class _Reading:
    """One file, read as far as it goes by now; `torn`: the parts of a line that has begun and not ended."""

    def __init__(self, file: BinaryIO, at_once: int) -> None:
        self._file, self._at_once = file, at_once
        self.torn: list[bytes] = []

    def blocks(self) -> Iterator[bytes]:
        while read := self._file.read(self._at_once):
            whole, newline, begun = read.rpartition(b"\n")
            if newline:
                yield b"".join((*self.torn, whole, newline))
                self.torn.clear()
            if begun:
                self.torn.append(begun)


def _begun(state: Path, first: int, last: int) -> int:
    """The segment to begin with: `first`, or the first that is still there if all are wanted."""
    found = _after(state, first - 1, last)
    if found is None or (first > 1 and found != first):
        raise deleted(state, first) if segment_numbers(state) else no_journal(state)
    return found


def _after(state: Path, number: int, last: int) -> int | None:
    return next((n for n in segment_numbers(state) if number < n <= last), None)
