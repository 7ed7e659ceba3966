"""The journal's files: reading them, and recovering the last one."""

import io
import tracemalloc
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import pytest

from guard.errors import JournalFault, StateFault
from guard.journal import BrokenChain, JournalBounds, segments
from guard.journal.chain import ZEROS, ChainHead, digest
from guard.journal.disk import Disk
from guard.journal.entries import Recovered
from guard.journal.record import encode
from guard.journal.segments import first_line, read_lines, recover, replay, segment_numbers
from guard.journal.statedir import journal_dir
from guard.wholefile import opened
from tests.support.disk import FaultyDisk
from tests.support.journal import decision, file_of, open_journal

DISK = Disk()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with a closed journal of several segments."""
    journal = open_journal(tmp_path / "state", bounds=JournalBounds(segment_bytes_max=1200))
    for n in range(8):
        journal.append("decision", decision(f"01K{n}"))
    journal.shut()
    return tmp_path / "state"


def chained(head: ChainHead, text: str) -> bytes:
    """The next line after a head, newline included."""
    return encode({"text": text}, seq=head.seq + 1, ts_us=0, type_="x", prev=head.hash) + b"\n"


# ---------------------------------------------------------------- reading


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


# ---------------------------------------------------------------- recovery


def test_a_whole_record_needs_no_recovery(state: Path) -> None:
    """The end is where the last line ends, and nothing is touched."""
    last = segment_numbers(state)[-1]
    *_, line = replay(state)

    tail = recover(state, disk=DISK)

    assert (tail.head, tail.segment) == (ChainHead(line.seq, digest(line.raw)), last)
    assert (tail.size, tail.recovered) == (file_of(state, last).stat().st_size, ())


def test_no_record_yet_is_an_empty_tail(tmp_path: Path) -> None:
    """The first start begins the chain."""
    assert recover(tmp_path, disk=DISK).head == ChainHead(0, ZEROS)
    assert recover(tmp_path, disk=DISK).segment == 0


@pytest.mark.parametrize(
    "torn",
    [
        pytest.param(b'{"seq":', id="cut line"),
        pytest.param(b"\x00" * 5000, id="zeros"),
        pytest.param(b"\x00" * 40 + b"\n", id="zeros and a newline"),
        pytest.param(b"{}\n", id="an object that is no record"),
        pytest.param(b"\n", id="an empty line"),
    ],
)
def test_a_torn_tail_is_set_aside_byte_for_byte(state: Path, torn: bytes) -> None:
    """It is cut off, kept in a file beside, and described by its size and hash."""
    last = segment_numbers(state)[-1]
    whole = file_of(state, last).read_bytes()
    with file_of(state, last).open("ab") as file:
        file.write(torn)

    tail = recover(state, disk=DISK)

    name = f"{last:08d}.jsonl.torn"
    assert tail.recovered == (Recovered(len(torn), sha256(torn).hexdigest(), name),)
    assert (state / "journal" / name).read_bytes() == torn
    assert file_of(state, last).read_bytes() == whole
    assert tail.size == len(whole)
    assert recover(state, disk=DISK).recovered == ()


def test_a_last_line_that_lacks_only_its_newline_is_torn(state: Path) -> None:
    """It was never acknowledged: the write that brought it had not ended."""
    last = segment_numbers(state)[-1]
    whole = file_of(state, last).read_bytes()
    file_of(state, last).write_bytes(whole[:-1])
    *_, line, _torn = read_lines(state)

    tail = recover(state, disk=DISK)

    assert tail.head.hash == digest(line[:-1])
    assert tail.recovered[0].bytes == len(whole) - tail.size - 1


def test_a_second_torn_tail_does_not_overwrite_the_first(state: Path) -> None:
    """Each has a file of its own."""
    last = segment_numbers(state)[-1]
    names = []
    for torn in (b"one", b"two"):
        with file_of(state, last).open("ab") as file:
            file.write(torn)
        names.append(recover(state, disk=DISK).recovered[0].file)

    assert [(state / "journal" / name).read_bytes() for name in names] == [b"one", b"two"]


@pytest.mark.parametrize("left", [b"", b'{"seq":9,', b"\x00\n"])
def test_a_segment_in_which_nothing_whole_is_left_gives_way_to_the_one_before(state: Path, left: bytes) -> None:
    """A crash just after a rotation: the new file goes, what it held is kept beside."""
    before = recover(state, disk=DISK)
    file_of(state, before.segment + 1).write_bytes(left)

    tail = recover(state, disk=DISK)

    assert (tail.head, tail.segment, tail.size) == (before.head, before.segment, before.size)
    assert [r.bytes for r in tail.recovered] == ([len(left)] if left else [])
    assert not file_of(state, before.segment + 1).exists()


def test_two_broken_lines_at_the_end_are_no_crash(state: Path) -> None:
    """One write tears one line: more is somebody's doing, and the record is left as it is."""
    last = segment_numbers(state)[-1]
    with file_of(state, last).open("ab") as file:
        file.write(b"{}\n{}\n")
    before = file_of(state, last).read_bytes()

    with pytest.raises(JournalFault, match="audit verify"):
        recover(state, disk=DISK)
    assert file_of(state, last).read_bytes() == before


@pytest.mark.parametrize(
    ("call", "how"),
    [("ftruncate", "fails"), *((call, "anyway") for call in ("open", "write", "fsync", "ftruncate"))],
)
def test_a_recovery_that_was_broken_off_loses_no_torn_byte(state: Path, call: str, how: str) -> None:
    """Wherever it ended, done or not: they stand there still or in a copy, and the next start has a whole record."""
    last = segment_numbers(state)[-1]
    before = file_of(state, last).read_bytes()
    with file_of(state, last).open("ab") as file:
        file.write(b"torn")
    disk = FaultyDisk()
    getattr(disk, how)[call] = OSError(5, "Input/output error")

    with pytest.raises(StateFault, match="Input/output error"):
        recover(state, disk=disk)
    recover(state, disk=DISK)
    assert file_of(state, last).read_bytes() == before
    assert b"torn" in [path.read_bytes() for path in journal_dir(state).glob("*.torn*")]


@pytest.mark.parametrize("call", ["open", "write", "fsync"])
def test_a_recovery_that_fails_leaves_the_torn_bytes_where_they_were(state: Path, call: str) -> None:
    """They are cut off only after their copy is durable; the next start tries again."""
    last = segment_numbers(state)[-1]
    with file_of(state, last).open("ab") as file:
        file.write(b"torn")
    disk = FaultyDisk()
    disk.fails[call] = OSError(5, "Input/output error")

    with pytest.raises(StateFault, match="Input/output error"):
        recover(state, disk=disk)
    assert file_of(state, last).read_bytes().endswith(b"torn")
    assert recover(state, disk=DISK).recovered[0].bytes == 4


@pytest.mark.parametrize("left", [0, 2])
def test_on_a_full_disk_a_torn_line_is_known_by_its_hash(state: Path, left: int) -> None:
    """The guard that the disk stopped comes up again on it; no part of a copy stays."""
    last = segment_numbers(state)[-1]
    before = file_of(state, last).read_bytes()
    with file_of(state, last).open("ab") as file:
        file.write(b"torn")
    disk = FaultyDisk()
    disk.write_bytes_left = left

    (found,) = recover(state, disk=disk).recovered
    assert (found.bytes, found.sha256, found.file) == (4, sha256(b"torn").hexdigest(), "")
    assert file_of(state, last).read_bytes() == before
    assert not list(journal_dir(state).glob("*.torn*"))


def test_on_a_full_disk_a_whole_line_that_is_no_record_is_not_cut_off(state: Path) -> None:
    """It may be evidence."""
    last = segment_numbers(state)[-1]
    with file_of(state, last).open("ab") as file:
        file.write(b"{}\n")
    disk = FaultyDisk()
    disk.write_bytes_left = 0

    with pytest.raises(StateFault, match="No space left"):
        recover(state, disk=disk)
    assert file_of(state, last).read_bytes().endswith(b"{}\n")


def test_reading_is_lazy(state: Path) -> None:
    """A record of years is streamed, one line at a time."""
    lines = read_lines(state)

    assert isinstance(lines, Iterator)
    assert next(lines).startswith(b'{"seq":1,')
