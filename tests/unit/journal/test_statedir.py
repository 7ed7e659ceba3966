"""The state directory: made, refused, locked."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from guard.errors import StateFault
from guard.journal.disk import Disk
from guard.journal.statedir import journal_dir, lock, prepare
from tests.support.disk import FaultyDisk

DISK = Disk()


def mode_of(path: Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_an_absent_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    """State and journal have mode 0700; doing it again changes nothing."""
    state = tmp_path / "var" / "state"
    prepare(state, disk=DISK)
    prepare(state, disk=DISK)

    assert (mode_of(state), mode_of(journal_dir(state))) == (0o700, 0o700)


def test_each_directory_that_is_made_is_synced_in_its_parent(tmp_path: Path) -> None:
    """A power cut takes the state with any parent whose name is not on the medium; what was there is not synced."""

    class Watched(FaultyDisk):
        synced: list[str] = []  # noqa: RUF012 - one test's

        def fsync(self, fd: int) -> None:
            super().fsync(fd)
            self.synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()).removeprefix(str(tmp_path)))

    disk = Watched()
    prepare(tmp_path / "srv" / "guard" / "state", disk=disk)
    assert disk.synced == ["", "/srv", "/srv/guard", "/srv/guard/state"]
    prepare(tmp_path / "srv" / "guard" / "state", disk=disk)
    assert len(disk.synced) == 4


@pytest.mark.parametrize("how", ["fails", "anyway"])
def test_a_directory_whose_name_may_not_be_on_the_medium_does_not_stay(tmp_path: Path, how: str) -> None:
    """The next start would take it for one that was there, and a power cut would take it with all orders in it."""
    disk = FaultyDisk()
    getattr(disk, how)["fsync"] = OSError(errno.EIO, "Input/output error")
    for _ in range(2):
        with pytest.raises(StateFault, match="Input/output error"):
            prepare(tmp_path / "srv" / "state", disk=disk)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o770, 0o750, 0o707, 0o720, 0o702, 0o740])
@pytest.mark.parametrize("name", ["state", "state/journal"])
def test_a_directory_that_others_may_read_or_write_is_refused_with_the_chmod(
    tmp_path: Path, mode: int, name: str
) -> None:
    """The message is the command that helps."""
    state = tmp_path / "state"
    prepare(state, disk=DISK)
    (tmp_path / name).chmod(mode)

    with pytest.raises(StateFault, match=f"{mode:04o}.*chmod 700 {tmp_path / name}"):
        prepare(state, disk=DISK)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A file in its place is named."""
    (tmp_path / "state").write_text("")

    with pytest.raises(StateFault, match="state"):
        prepare(tmp_path / "state", disk=DISK)


def test_a_link_to_a_state_directory_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    """A volume may be linked; its own mode counts."""
    prepare(tmp_path / "volume", disk=DISK)
    (tmp_path / "state").symlink_to(tmp_path / "volume")

    prepare(tmp_path / "state", disk=DISK)
    (tmp_path / "volume").chmod(0o755)
    with pytest.raises(StateFault, match="0755"):
        prepare(tmp_path / "state", disk=DISK)


def test_a_second_guard_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    """The lock is exclusive until its descriptor is closed; then it is free at once."""
    first = lock(tmp_path, disk=DISK)

    with pytest.raises(StateFault, match=f"in use by another guard \\(process {os.getpid()}\\)"):
        lock(tmp_path, disk=DISK)
    os.close(first)
    os.close(lock(tmp_path, disk=DISK))
    assert mode_of(tmp_path / "lock") == 0o600


def test_a_lock_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """A link in its place too."""
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StateFault, match="cannot be opened"):
        lock(tmp_path, disk=DISK)


@pytest.mark.parametrize("is_recreated", [True, False])
def test_a_lock_file_that_was_removed_meanwhile_does_not_count(tmp_path: Path, is_recreated: bool) -> None:
    """A lock on a file without a name would let a second guard in."""

    class Meddled(FaultyDisk):
        def open(self, path: Path, flags: int) -> int:
            fd = super().open(path, flags)
            path.unlink()
            if is_recreated:
                path.touch()
            return fd

    with pytest.raises(StateFault, match="replaced"):
        lock(tmp_path, disk=Meddled())


def test_a_guard_that_takes_over_waits_for_the_other_to_end(tmp_path: Path) -> None:
    """With a wait the lock is had as soon as it is let go of; when it is not, the refusal is the same."""
    first = lock(tmp_path, disk=DISK)
    with pytest.raises(StateFault, match="in use by another guard"):
        lock(tmp_path, disk=DISK, wait_s=0.05)
    ended = threading.Timer(0.1, os.close, (first,))
    ended.start()

    os.close(lock(tmp_path, disk=DISK, wait_s=30.0))
    ended.join()


@pytest.mark.parametrize("how", ["fails", "anyway"])
def test_a_file_system_without_locks_is_not_told_as_another_guard(tmp_path: Path, how: str) -> None:
    """Nobody is to be stopped; what was locked all the same is free again."""
    disk = FaultyDisk()
    getattr(disk, how)["lock"] = OSError(errno.ENOLCK, "No locks available")

    with pytest.raises(StateFault, match="cannot be locked: No locks available"):
        lock(tmp_path, disk=disk, wait_s=30.0)
    os.close(lock(tmp_path, disk=DISK))
