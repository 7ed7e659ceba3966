"""The file that is being written."""

import stat
from pathlib import Path

import pytest

from guard.errors import JournalFault
from guard.journal.segmentfile import SegmentFile
from guard.journal.space import Marks, Space
from guard.journal.statedir import prepare
from guard.journal.tail import Tail
from tests.support.disk import FaultyDisk
from tests.support.journal import file_of


@pytest.fixture
def disk() -> FaultyDisk:
    """A disk that does as told."""
    return FaultyDisk()


@pytest.fixture
def state(tmp_path: Path, disk: FaultyDisk) -> Path:
    """An empty state directory."""
    prepare(tmp_path / "state", disk=disk)
    return tmp_path / "state"


def begun(state: Path, disk: FaultyDisk) -> SegmentFile:
    """The first segment with one line in it, synced."""
    file = SegmentFile(state, Tail(), disk=disk, space=Space(state, disk=disk, marks=Marks()))
    file.rotate(1)
    file.write(b"line\n")
    file.sync()
    return file


def mode_of(path: Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_segment_is_the_owners_and_its_name_is_durable(state: Path, disk: FaultyDisk) -> None:
    """Mode 0600; the directory is synced after the file was made."""
    syncs = disk.calls["fsync"]
    begun(state, disk).close()

    assert mode_of(file_of(state)) == 0o600
    assert disk.calls["fsync"] == syncs + 1


def test_writing_goes_on_where_the_record_ended(state: Path, disk: FaultyDisk) -> None:
    """A restart appends to the last segment."""
    begun(state, disk).close()
    file = SegmentFile(state, Tail(segment=1, size=5), disk=disk, space=Space(state, disk=disk, marks=Marks()))
    file.write(b"more\n")
    file.sync()
    file.close()

    assert file_of(state).read_bytes() == b"line\nmore\n"


def test_a_full_segment_is_sealed_once_the_next_one_is_durable(state: Path, disk: FaultyDisk) -> None:
    """Until then a crash must be able to go on in the old one."""
    file = begun(state, disk)
    file.rotate(2)
    assert mode_of(file_of(state)) == 0o600

    file.write(b"next\n")
    file.sync()
    assert (mode_of(file_of(state)), mode_of(file_of(state, 2))) == (0o440, 0o600)
    file.close()


def test_a_segment_that_exists_already_is_not_written_to(state: Path, disk: FaultyDisk) -> None:
    """A file that turns up under the next name is somebody else's."""
    file = begun(state, disk)
    file_of(state, 2).write_text("theirs")

    with pytest.raises(FileExistsError):
        file.rotate(2)
    file.close()
    assert file_of(state, 2).read_text() == "theirs"


def test_a_file_that_was_deleted_does_not_sync(state: Path, disk: FaultyDisk) -> None:
    """Bytes in a file without a name are lost to every reader (hashicorp/vault#31718)."""
    file = begun(state, disk)
    file_of(state).unlink()
    file.write(b"lost\n")

    with pytest.raises(JournalFault, match="deleted or moved"):
        file.sync()
    file.close()


def test_a_file_that_was_replaced_does_not_sync(state: Path, disk: FaultyDisk) -> None:
    """A copy under the same name (an editor's, a log rotation's) is another file."""
    file = begun(state, disk)
    copy = file_of(state).with_suffix(".copy")
    copy.write_bytes(file_of(state).read_bytes())
    copy.rename(file_of(state))

    with pytest.raises(JournalFault, match="replaced"):
        file.sync()
    file.close()


@pytest.mark.parametrize("change", [b"", b"line\nforeign\n"])
def test_a_file_that_someone_else_changed_does_not_sync(state: Path, disk: FaultyDisk, change: bytes) -> None:
    """Truncated in place, or appended to: its size gives it away."""
    file = begun(state, disk)
    file_of(state).write_bytes(change)

    with pytest.raises(JournalFault, match="someone else changed it"):
        file.sync()
    file.close()


def test_a_hard_link_for_a_backup_is_no_harm(state: Path, disk: FaultyDisk) -> None:
    """A second name for the same file changes nothing."""
    file = begun(state, disk)
    backup = file_of(state).with_suffix(".backup")
    backup.hardlink_to(file_of(state))

    file.write(b"more\n")
    file.sync()
    file.close()

    assert file_of(state).read_bytes() == backup.read_bytes() == b"line\nmore\n"


def test_closing_twice_is_harmless(state: Path, disk: FaultyDisk) -> None:
    """Descriptors are given back once, those of sealed segments too."""
    file = begun(state, disk)
    file.rotate(2)
    file.close()
    file.close()

    assert file.number == 2
