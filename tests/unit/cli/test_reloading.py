"""The file of a policy that is promoted: written whole or not at all, and a fault knows which."""

from pathlib import Path

import pytest

from guard.cli import reloading
from guard.errors import SettingsFault
from tests.support.disk import NO_SPACE, FaultyDisk


@pytest.mark.parametrize(
    ("how", "call", "is_changed"),
    [
        *(("fails", call, False) for call in ("open", "write", "fchmod", "fsync", "rename")),
        *(("anyway", call, False) for call in ("open", "write", "fchmod", "fsync")),
        ("anyway", "rename", True),
    ],
)
def test_a_fault_says_whether_the_file_is_changed(tmp_path: Path, how: str, call: str, *, is_changed: bool) -> None:
    """Failed, and failed but it happened: nobody is told that a file was not written which the next start enforces."""
    path, disk = tmp_path / "desk.toml", FaultyDisk()
    path.write_text("old")
    getattr(disk, how)[call] = NO_SPACE

    with pytest.raises(SettingsFault) as caught:
        reloading._replace(path, "new", disk=disk)

    assert path.read_text() == ("new" if is_changed else "old")
    assert ("is changed, which a power cut may undo" in str(caught.value)) is is_changed
    assert ("cannot be written" in str(caught.value)) is not is_changed
    assert [each.name for each in tmp_path.iterdir()] == ["desk.toml"]


def test_a_directory_that_is_not_synced_is_told_with_the_change(tmp_path: Path) -> None:
    """The last step fails: the name is there, and may not outlive the power."""

    class Late(FaultyDisk):
        def rename(self, path: Path, target: Path) -> None:
            super().rename(path, target)
            self.fails["fsync"] = NO_SPACE

    path = tmp_path / "desk.toml"
    path.write_text("old")
    with pytest.raises(SettingsFault, match="is changed, which a power cut may undo: No space"):
        reloading._replace(path, "new", disk=Late())
    assert path.read_text() == "new"


def test_a_draft_of_a_persons_own_stays(tmp_path: Path) -> None:
    """What lies beside a policy as `desk.toml.new` is somebody's next version, and no draft of this command."""
    path, mine = tmp_path / "desk.toml", tmp_path / "desk.toml.new"
    path.write_text("old")
    mine.write_text("mine")

    reloading._replace(path, "new", disk=FaultyDisk())

    assert (path.read_text(), mine.read_text()) == ("new", "mine")
