"""The port to the operating system's file calls."""

import os
import stat
from pathlib import Path
from typing import Final

import pytest

from guard.journal.disk import Disk, replace_file, sync_directory, write_all
from tests.support.disk import NO_SPACE, FaultyDisk, open_descriptors

NEW: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL


def test_a_new_file_is_the_owners_alone_and_no_child_inherits_it(tmp_path: Path) -> None:
    """Mode 0600, close-on-exec."""
    disk = Disk()
    fd = disk.open(tmp_path / "a", NEW)

    assert stat.S_IMODE(disk.fstat(fd).st_mode) == 0o600
    assert not os.get_inheritable(fd)
    disk.close(fd)


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """A link laid in the way cannot redirect the record."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match=r"symbolic|loop|links"):
        Disk().open(tmp_path / "link", os.O_WRONLY | os.O_CREAT)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_short_writes_are_carried_on(tmp_path: Path, at_once: int) -> None:
    """All bytes arrive, in order, however few the disk takes at once."""
    disk = FaultyDisk()
    disk.write_bytes_max = at_once
    fd = disk.open(tmp_path / "a", NEW)

    write_all(disk, fd, b"0123456789")

    assert (tmp_path / "a").read_bytes() == b"0123456789"
    disk.close(fd)


def test_a_disk_that_takes_nothing_is_a_fault_not_a_loop(tmp_path: Path) -> None:
    """Zero bytes written without a reason raises."""
    disk = FaultyDisk()
    disk.write_bytes_max = 0
    fd = disk.open(tmp_path / "a", NEW)

    with pytest.raises(OSError, match="no byte"):
        write_all(disk, fd, b"x")
    disk.close(fd)


def test_a_directory_is_synced_through_a_descriptor_that_is_given_back(tmp_path: Path) -> None:
    """Also when the sync fails."""
    disk = FaultyDisk()
    before = open_descriptors()
    sync_directory(disk, tmp_path)
    disk.fails["fsync"] = OSError(5, "gone")
    with pytest.raises(OSError, match="gone"):
        sync_directory(disk, tmp_path)

    assert open_descriptors() == before


def test_the_rest_of_the_port_does_what_its_calls_do(tmp_path: Path) -> None:
    """Truncate, chmod, stat, unlink, free space."""
    disk = Disk()
    path = tmp_path / "a"
    fd = disk.open(path, NEW)
    disk.write(fd, memoryview(b"12345"))
    disk.fdatasync(fd)
    disk.ftruncate(fd, 2)
    disk.fchmod(fd, 0o440)

    assert disk.stat(path).st_size == 2
    assert stat.S_IMODE(disk.stat(path).st_mode) == 0o440
    assert disk.free_bytes(tmp_path) > 0
    disk.close(fd)
    disk.unlink(path)
    assert not path.exists()


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_a_file_that_is_not_replaced_is_what_it_was_and_leaves_no_draft(tmp_path: Path, call: str) -> None:
    """A disk that is full is not filled further by what was not written."""
    disk, path = FaultyDisk(), tmp_path / "a"
    replace_file(disk, path, b"old")
    disk.fails[call] = NO_SPACE

    with pytest.raises(OSError, match="No space"):
        replace_file(disk, path, b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a", b"old")]


def test_a_file_that_is_like_another_is_read_by_whoever_read_that(tmp_path: Path) -> None:
    """Owner, group and mode; without one it is the owner's alone."""
    disk, path = Disk(), tmp_path / "a"
    replace_file(disk, path, b"old")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    if os.geteuid() == 0:  # nobody else may give files away
        os.chown(path, 4321, 1234)
    before = path.stat()

    replace_file(disk, path, b"new", like=before)

    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert path.read_bytes() == b"new"
