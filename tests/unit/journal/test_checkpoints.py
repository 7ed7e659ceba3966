"""The file of checkpoints: what it keeps, and what a crash or an outsider does to it."""

import os
from pathlib import Path
from typing import Final

import pytest

from guard.errors import JournalFault, StateFault
from guard.journal.checkpoints import CheckpointFile, checkpoints_path, largest, read_notes
from guard.journal.note import Checkpoint, sign, split
from guard.journal.space import Marks, Space, ballast_path
from guard.journal.tree import EMPTY_ROOT, TreeHead
from tests.support.disk import Diary, FaultyDisk
from tests.support.signed import NEXT, OWN

HOUR: Final = 3600


def note(size: int, *, both: bool = False) -> str:
    """A checkpoint over so many lines."""
    return sign(Checkpoint("guard.test/1", TreeHead(size, EMPTY_ROOT)).text, [OWN, NEXT] if both else [OWN])


def opened(state: Path, disk: FaultyDisk | None = None) -> CheckpointFile:
    """The file, not written to yet."""
    disk = disk or FaultyDisk()
    return CheckpointFile(state, disk=disk, space=Space(state, disk=disk, marks=Marks()))


def put(state: Path, *sizes: int, at_s: int = 0) -> None:
    """One run of a guard that signs these, all at one time."""
    file = opened(state)
    for size in sizes:
        file.put(note(size), wall_s=at_s)
    file.close()


def kept(state: Path) -> list[int]:
    """The sizes in the file."""
    text = checkpoints_path(state).read_text()
    notes, torn = split(text)
    assert torn == ""
    return [Checkpoint.read(one[: one.index("\n\n") + 1]).head.size for one in notes]


def set_hour(state: Path, hour: int) -> None:
    """The file was written in that hour."""
    os.utime(checkpoints_path(state), (hour * HOUR, hour * HOUR))


def test_the_file_keeps_the_last_note_and_one_an_hour(tmp_path: Path) -> None:
    """Within an hour each note takes the place of the one before."""
    file = opened(tmp_path)
    for size in range(1, 300):
        file.put(note(size), wall_s=size * 60)
    file.close()

    assert kept(tmp_path) == [59, 119, 179, 239, 299]
    assert checkpoints_path(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_note_and_the_name_of_its_file_are_on_the_medium(tmp_path: Path) -> None:
    """The name once, each note; a file that was never written to is closed like any other."""
    disk = Diary()
    file = opened(tmp_path, disk)
    file.close()
    file.put(note(1), wall_s=0)
    file.put(note(2), wall_s=0)
    file.close()

    name = checkpoints_path(tmp_path).name
    assert disk.done == [("fsync", tmp_path.name), ("fsync", name), ("fsync", name)]
    assert disk.left == {}


@pytest.mark.parametrize("target", ["elsewhere", "nowhere", "checkpoints"])
def test_a_link_in_its_place_allows_no_start(tmp_path: Path, target: str) -> None:
    """Also one that leads nowhere, which is not taken for a directory without checkpoints."""
    put(tmp_path, 5)
    checkpoints_path(tmp_path).rename(tmp_path / "elsewhere")
    checkpoints_path(tmp_path).symlink_to(tmp_path / target)
    with pytest.raises(StateFault, match="is a symbolic link"):
        largest(tmp_path)


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    """A start that waits for ever is no answer."""
    os.mkfifo(checkpoints_path(tmp_path))
    with pytest.raises(StateFault, match="is no regular file"):
        largest(tmp_path)


def test_a_restart_goes_on_in_the_same_hour(tmp_path: Path) -> None:
    """Starts do not add notes; an hour that has passed meanwhile does."""
    put(tmp_path, 5, at_s=HOUR)
    set_hour(tmp_path, 1)
    put(tmp_path, 7, at_s=HOUR + 10)
    assert kept(tmp_path) == [7]

    set_hour(tmp_path, 1)
    put(tmp_path, 9, at_s=2 * HOUR)
    assert kept(tmp_path) == [7, 9]


def test_a_shorter_note_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    """After the run that signs with two keys comes one that signs with one."""
    file = opened(tmp_path)
    file.put(note(5, both=True), wall_s=0)
    file.put(note(6), wall_s=1)
    file.close()

    assert checkpoints_path(tmp_path).read_text() == note(6)


@pytest.mark.parametrize("torn", ["log\n9", note(9)[:-5], "\n", "\x00" * 40])
def test_a_torn_last_note_counts_for_nothing_and_is_written_over(tmp_path: Path, torn: str) -> None:
    """The whole ones before it stay."""
    put(tmp_path, 5)
    with checkpoints_path(tmp_path).open("a") as file:
        file.write(torn)

    assert [one[:1] for one in read_notes(checkpoints_path(tmp_path))] == ["g"]
    set_hour(tmp_path, 0)
    put(tmp_path, 10, at_s=HOUR)
    assert kept(tmp_path) == [5, 10]


def test_the_largest_tree_is_what_a_start_must_not_fall_short_of(tmp_path: Path) -> None:
    """Whoever signed it; none without a file or a note."""
    assert largest(tmp_path) is None
    checkpoints_path(tmp_path).write_text("")
    assert largest(tmp_path) is None
    checkpoints_path(tmp_path).write_text(note(3) + "\n" + note(8) + "\n" + note(5))
    assert largest(tmp_path) == TreeHead(8, EMPTY_ROOT)


@pytest.mark.parametrize("text", ["guard.test/1\nmany\nroot\n\n— guard.test/1 AAAAAAAA\n", None])
def test_checkpoints_that_cannot_be_read_allow_no_start(tmp_path: Path, text: str | None) -> None:
    """A shortened record would not show; the message says what to do."""
    if text is None:
        checkpoints_path(tmp_path).mkdir()
    else:
        checkpoints_path(tmp_path).write_text(text)

    with pytest.raises(StateFault, match=r"restore it, or keep .* start on the last backup"):
        largest(tmp_path)


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_file_that_is_no_longer_ours_is_a_fault(tmp_path: Path, how: str) -> None:
    """Signatures into a file without a name are lost to every reader."""
    file = opened(tmp_path)
    file.put(note(1), wall_s=0)
    checkpoints_path(tmp_path).unlink()
    if how == "replaced":
        checkpoints_path(tmp_path).write_text(note(1))

    with pytest.raises(JournalFault, match=how):
        file.put(note(2), wall_s=1)
    file.close()
    file.close()


def test_a_note_that_is_written_in_part_is_a_fault(tmp_path: Path) -> None:
    """A short write is no checkpoint."""

    class Short(FaultyDisk):
        def pwrite(self, fd: int, data: bytes, offset: int) -> int:
            return super().pwrite(fd, data[:10], offset)

    with pytest.raises(OSError, match="in part"):
        opened(tmp_path, Short()).put(note(1), wall_s=0)


def test_a_note_that_a_full_disk_took_in_part_is_written_once_the_ballast_is_gone(tmp_path: Path) -> None:
    """It says nothing of being full: the part that it takes is all that fits."""

    class Full(FaultyDisk):
        def pwrite(self, fd: int, data: bytes, offset: int) -> int:
            return super().pwrite(fd, data[:10] if ballast_path(tmp_path).exists() else data, offset)

    ballast_path(tmp_path).write_bytes(b"0")
    file = opened(tmp_path, Full())
    file.put(note(12), wall_s=0)
    file.close()
    assert kept(tmp_path) == [12]


def test_a_reader_never_sees_half_of_two_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is read until it stands still."""
    found = iter([note(100).encode()[:30], note(100).encode(), note(100).encode()])
    monkeypatch.setattr("guard.journal.checkpoints.read_whole", lambda *_, **__: next(found))
    assert read_notes(checkpoints_path(tmp_path)) == [note(100)]
