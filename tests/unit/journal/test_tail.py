"""The end of the record after a crash: what is set aside, and what is not."""

from hashlib import sha256
from pathlib import Path

import pytest

from guard.errors import JournalFault, StateFault
from guard.journal.chain import ZEROS, ChainHead, digest
from guard.journal.disk import Disk
from guard.journal.entries import TornTail
from guard.journal.segments import read_lines, replay, segment_numbers
from guard.journal.statedir import journal_dir
from guard.journal.tail import recover
from tests.support.disk import Diary, FaultyDisk
from tests.support.journal import file_of

DISK = Disk()


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
    assert tail.recovered == (TornTail(len(torn), sha256(torn).hexdigest(), name),)
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


def test_torn_bytes_are_cut_off_once_their_copy_would_outlive_the_power(state: Path) -> None:
    """The copy, then its name, then the cut, each on the medium; and nothing stays open."""
    path = file_of(state, segment_numbers(state)[-1])
    with path.open("ab") as file:
        file.write(b"torn")
    disk = Diary()
    recover(state, disk=disk)

    copy, directory = ("fsync", f"{path.name}.torn"), ("fsync", path.parent.name)
    assert disk.done == [copy, directory, ("ftruncate", path.name), ("fsync", path.name)]
    assert disk.left == {}


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
