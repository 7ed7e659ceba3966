"""The journal's files, read in order."""

import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from guard.errors import JournalFault
from guard.journal import BrokenChain, segments
from guard.journal.chain import ChainHead, digest
from guard.journal.disk import Disk
from guard.journal.record import encode
from guard.journal.segments import first_line, read_lines, replay, segment_numbers
from guard.wholefile import opened
from tests.support.journal import file_of

DISK = Disk()


def chained(head: ChainHead, text: str) -> bytes:
    """The next line after a head, newline included."""
    return encode({"text": text}, seq=head.seq + 1, ts_us=0, type_="x", prev=head.hash) + b"\n"


def test_segments_are_read_in_order_as_one_record(state: Path) -> None:
    """Files that are none of ours are passed over."""
    (state / "journal" / "notes.txt").write_text("x")
    (state / "journal" / "00000001.jsonl.torn").write_text("x")

    assert len(segment_numbers(state)) > 1
    assert [line.seq for line in replay(state)] == list(range(1, 9 + len(segment_numbers(state))))


def test_reading_can_begin_at_a_later_segment(state: Path) -> None:
    """The first line read is that segment's own."""
    last = segment_numbers(state)[-1]

    assert next(read_lines(state, first=last)).startswith(file_of(state, last).read_bytes()[:10])


@pytest.mark.parametrize("read", [1, 3])
def test_what_retention_takes_meanwhile_is_no_edit(state: Path, read: int) -> None:
    """It takes the oldest: who has begun is told to run it again, instead of that the record is broken."""
    lines = replay(state)
    for _ in range(read):
        next(lines)
    for number in segment_numbers(state)[:3]:
        file_of(state, number).unlink()
    with pytest.raises(JournalFault, match="was deleted while the record was read; run it again") as found:
        list(lines)
    assert not isinstance(found.value, BrokenChain)


def test_what_goes_before_the_first_line_is_read_is_not_missed(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record then begins with the next segment."""

    def late(path: Path, **how: int) -> BinaryIO:
        file_of(state, 1).unlink(missing_ok=True)
        return opened(path, **how)

    with monkeypatch.context() as patched:
        patched.setattr(segments, "opened", late)
        lines = list(read_lines(state))
    assert lines == list(read_lines(state))


def test_a_segment_that_is_asked_for_and_gone_is_told(state: Path) -> None:
    """Not that there is no record."""
    file_of(state, 2).unlink()
    with pytest.raises(JournalFault, match=r"00000002.jsonl: was deleted"):
        next(read_lines(state, first=2, last=2))


def test_a_hole_is_left_to_the_chain(state: Path) -> None:
    """What lies before it is still there, so no retention took it."""
    file_of(state, 2).unlink()
    with pytest.raises(BrokenChain):
        list(replay(state))


def test_the_first_line_is_read_alone(state: Path) -> None:
    """Who looks after the record asks for it every five seconds: what follows it in a full file takes no memory."""
    with file_of(state, 1).open("ab") as file:
        file.write((b"x" * 99 + b"\n") * 10_000)
    tracemalloc.start()
    try:
        line, (_, peak) = first_line(state, 1), tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert line == file_of(state, 1).read_bytes().split(b"\n")[0] + b"\n"
    assert peak < 2 * io.DEFAULT_BUFFER_SIZE
    with pytest.raises(JournalFault, match="was deleted"):
        first_line(state, 99)


def test_a_journal_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    """A wrong path is no empty record."""
    with pytest.raises(JournalFault, match="no journal there"):
        next(read_lines(tmp_path))


def test_a_journal_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    """A file where the directory should be, a directory where a file should be."""
    (tmp_path / "journal").write_text("")
    with pytest.raises(JournalFault, match="cannot be read"):
        segment_numbers(tmp_path)

    (tmp_path / "other").mkdir(mode=0o700)
    file_of(tmp_path / "other").mkdir(parents=True)
    with pytest.raises(JournalFault, match="cannot be read"):
        next(read_lines(tmp_path / "other"))


def test_a_removed_segment_breaks_the_chain(state: Path) -> None:
    """The hole is named by the first seq that is missing."""
    first_missing = next(line.seq for line in replay(state) if line.type == "segment" and line.seq > 1)
    file_of(state, 2).unlink()

    with pytest.raises(BrokenChain, match=f"record {first_missing}"):
        list(replay(state))


def test_an_edited_segment_breaks_the_replay(state: Path) -> None:
    """A start does not fold an edited record in silence."""
    path = file_of(state, 1)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"trader", b"nobody", 1))

    with pytest.raises(BrokenChain) as broken:
        list(replay(state))
    assert broken.value.seq == 2


def test_a_line_that_is_being_written_is_waited_for(state: Path) -> None:
    """The reader is asked whether to look again, and gets the whole line then."""
    last = segment_numbers(state)[-1]
    head = ChainHead(*[(line.seq, digest(line.raw)) for line in replay(state)][-1])
    line = chained(head, "slow")
    asked: list[bool] = []
    with file_of(state, last).open("ab", buffering=0) as file:
        file.write(line[:20])

        def wait(is_torn: bool) -> bool:
            asked.append(is_torn)
            if len(asked) == 1:
                file.write(line[20:])
            return len(asked) < 2

        lines = list(read_lines(state, wait=wait))

    assert asked == [True, False]
    assert lines[-1] == line


def test_a_rotation_while_reading_loses_no_line(state: Path) -> None:
    """What was written between the last look at a file and the opening of the next one is read too."""
    last = segment_numbers(state)[-1]
    head = ChainHead(*[(line.seq, digest(line.raw)) for line in replay(state)][-1])
    tail = chained(head, "tail of the old file")
    begin = chained(ChainHead(head.seq + 1, digest(tail[:-1])), "begin of the new file")
    asked: list[bool] = []

    def wait(is_torn: bool) -> bool:
        asked.append(is_torn)
        if len(asked) == 1:
            with file_of(state, last).open("ab") as file:
                file.write(tail)
            file_of(state, last + 1).write_bytes(begin)
        return len(asked) < 2

    assert list(read_lines(state, wait=wait))[-2:] == [tail, begin]


def test_reading_is_lazy(state: Path) -> None:
    """A record of years is streamed, one line at a time."""
    lines = read_lines(state)

    assert isinstance(lines, Iterator)
    assert next(lines).startswith(b'{"seq":1,')
