"""The chain over the lines: each names the SHA-256 of the one before. Pure.

What it proves: any changed, lost, inserted or reordered line shows, apart from the last. What it does not: a change in
the last line shows only if that is no longer a record with the right `seq` and `prev`. Lines that were cut off at the
end, and a chain that was computed anew, do not show at all; that takes a signed checkpoint kept elsewhere.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from io import BytesIO
from itertools import chain, islice
from typing import Final, TypeVar

from msgspec import Struct

from guard.errors import JournalFault
from guard.journal.record import Entry, Line, decode, folded, folded_all

_OPENS, _CLOSES = b"{}"
ZEROS: Final = "0" * 64  # `prev` of the first line ever


class ChainHead(Struct, frozen=True):
    """The end of a chain: the last line's seq and hash. The default is the chain without lines."""

    seq: int = 0
    hash: str = ZEROS


class BrokenChain(JournalFault):
    """The lines are not what was written.

    Attributes:
        seq: the first record that the chain does not vouch for.
        is_torn: only the very last line is wrong and has no newline: a crash, not an edit. A last line with a newline
            that is no record counts as an edit, although blocks lost in a power cut can look the same.
    """

    def __init__(self, seq: int, why: str, *, is_torn: bool = False) -> None:
        super().__init__(f"record {seq}: {why}")
        self.seq = seq
        self.is_torn = is_torn


def digest(line: bytes) -> str:
    """The lower-case hex SHA-256 of a line without its newline."""
    return sha256(line).hexdigest()


_E = TypeVar("_E", bound=Entry)


def walk(lines: Iterable[bytes], *, head: ChainHead | None = None) -> Iterator[Line]:
    """The lines with their heads read, each checked against the one before; `BrokenChain` at the first that is wrong.

    `lines` come as they stand in the file, with newlines. A line is handed out before its successor has vouched for it;
    whoever must not act on an edited record has to read to the end first. `head`: the chain before the first line, if
    that is not the first line ever.
    """
    return walk_as(decode, lines, head=head)


def walk_as(read: Callable[[bytes], _E], lines: Iterable[bytes], *, head: ChainHead | None = None) -> Iterator[_E]:
    """The same with `read` in place of `decode`; it raises `ValueError` for a line that is no record."""
    rest = iter(lines)
    seq, last = (0, ZEROS) if head is None else (head.seq, head.hash)
    for raw in rest:
        body = raw[:-1] if raw.endswith(b"\n") else b""
        try:
            line = read(body)
        except ValueError as error:
            is_torn = not raw.endswith(b"\n") and next(rest, None) is None
            raise BrokenChain(seq + 1, "its line is not a whole record", is_torn=is_torn) from error
        seq += 1
        if line.seq != seq:
            raise BrokenChain(seq, f"its place is taken by a record that says seq {line.seq}")
        if line.prev != last:
            raise _blame(seq, body, rest)
        yield line
        last = sha256(body).hexdigest()


def lines_of(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Their lines, each with its newline."""
    return chain.from_iterable(map(BytesIO, blocks))


def walk_blocks(blocks: Iterable[bytes], *, head: ChainHead | None = None) -> Iterator[list[Entry]]:
    """`walk_as(folded, ...)` a block of whole lines at a time; a torn line is a block of its own.

    All lines of a block are decoded in one go. Where that is not clearly what each says by itself, they are walked one
    by one.
    """
    rest = iter(blocks)
    head = head or ChainHead()
    for block in rest:
        entries = folded_all(block)
        if (linked := _linked(entries, block, head=head)) is not None:
            yield entries
            head = linked
            continue
        lines = list(BytesIO(block))
        for entry in islice(walk_as(folded, chain(lines, lines_of(rest)), head=head), len(lines)):
            yield [entry]
        head = ChainHead(head.seq + len(lines), digest(lines[-1][:-1]))


def _linked(entries: list[Entry], block: bytes, *, head: ChainHead) -> ChainHead | None:
    """The chain behind these lines; None where one does not fit, or is perhaps not exactly the record decoded."""
    seq, last, view, begin = head.seq, head.hash, memoryview(block), 0
    for entry in entries:
        seq += 1
        end = block.find(b"\n", begin)
        if end < 0 or entry.seq != seq or entry.prev != last or block[begin] != _OPENS or block[end - 1] != _CLOSES:
            return None
        last, begin = sha256(view[begin:end]).hexdigest(), end + 1
    return ChainHead(seq, last) if begin == len(block) else None


def _blame(seq: int, body: bytes, rest: Iterator[bytes]) -> BrokenChain:
    """Which of two lines that do not fit was changed? The earlier, if the line after them vouches for the later."""
    following = next(rest, None)
    is_vouched_for = following is None or f'"{digest(body)}"'.encode() in following
    if is_vouched_for and seq > 1:
        return BrokenChain(seq - 1, f"its bytes are not those whose hash record {seq} names")
    return BrokenChain(seq, "it names another hash than that of the line before")
