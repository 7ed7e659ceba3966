"""keys.json on disk: safe modes, whole edits, and the two endings of each failure."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from guard.access.keyfile import EditFault, KeyfileDisk, add, load, revoke, rotate
from guard.errors import SettingsFault
from tests.support.keys import NOW, hash_of, record, text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A keys file of mode 0600 with the key "bot"."""
    file = tmp_path / "keys.json"
    file.write_bytes(text(record()))
    file.chmod(0o600)
    return file


def ids(path: Path) -> list[str]:
    """The ids in a file that loads."""
    return list(load(path).by_id)


def names(path: Path) -> list[str]:
    """Everything in the file's directory."""
    return sorted(entry.name for entry in path.parent.iterdir())


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_file_that_only_its_owner_writes_loads(path: Path, mode: int) -> None:
    """The group may read: a mounted secret needs it."""
    path.chmod(mode)

    assert ids(path) == ["bot"]


@pytest.mark.parametrize(
    ("mode", "word"),
    [
        (0o644, "read by everybody"),
        (0o660, "written"),
        (0o602, "written"),
        (0o666, "written by others than its owner and"),
    ],
)
def test_a_file_that_others_read_or_write_is_refused_with_the_chmod(path: Path, mode: int, word: str) -> None:
    """The mode and what is wrong inside are told together."""
    path.write_bytes(b"{}")
    path.chmod(mode)

    with pytest.raises(SettingsFault) as caught:
        load(path)

    assert word in caught.value.errors[0]
    assert f"chmod 600 {path}" in caught.value.errors[0]
    assert len(caught.value.errors) > 1


def test_b27_an_absent_or_unreadable_file_is_a_fault_and_never_no_keys(tmp_path: Path) -> None:
    """There is no mode without keys; a directory or a pipe is no file."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("absent.json", ".", "pipe", "absent/keys.json", "keys.json/x"):
        with pytest.raises(SettingsFault):
            load(tmp_path / name)


def test_a_file_that_was_replaced_behind_its_mount_is_a_fault_and_not_the_old_keys(path: Path) -> None:
    """A container with the file mounted by itself saw a revoked key for ever, and a reload said `unchanged`."""
    with path.open("rb") as mounted:
        behind = Path(f"/dev/fd/{mounted.fileno()}")
        assert ids(behind) == ["bot"]
        add(path, record("b"))
        with pytest.raises(SettingsFault, match="mount its folder"):
            load(behind)


def test_a_first_key_creates_the_file_with_mode_0600(tmp_path: Path) -> None:
    """Whatever the umask says."""
    old = os.umask(0)
    try:
        add(tmp_path / "keys.json", record())
    finally:
        os.umask(old)

    assert ids(tmp_path / "keys.json") == ["bot"]
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert names(tmp_path / "keys.json") == ["keys.json"]


def test_an_edit_keeps_that_the_group_may_read_and_nothing_wider(path: Path) -> None:
    """The guard may read the file as its owner or by its group; an edit, by root too, must not lock it out."""
    path.chmod(0o640)
    if os.geteuid() == 0:  # nobody else may give files away
        os.chown(path, 4321, 1234)
    before = path.stat()
    add(path, record("b"))

    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_edits_follow_each_other(path: Path) -> None:
    """Add, rotate, revoke: each starts from what is on disk."""
    add(path, record("b"))
    assert rotate(path, "bot", new_hash=hash_of("n"), now=NOW, overlap=timedelta(days=1)) == ("bot@2", "bot")
    assert revoke(path, "b") == (["b"], [])
    assert revoke(path, "bot") == (["bot"], ["bot@2"])
    assert ids(path) == ["bot@2"]
    assert revoke(path, "bot", is_whole_name=True) == (["bot@2"], [])
    assert ids(path) == []


def test_a_link_keeps_pointing_to_the_file_that_was_edited(path: Path) -> None:
    """The target is replaced, not the link."""
    link = path.with_name("link.json")
    link.symlink_to(path)
    add(link, record("b"))

    assert link.is_symlink()
    assert ids(path) == ["bot", "b"]


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda path: add(path, record()), "already"),
        (lambda path: add(path, record("b", scopes=["trade"])), "too wide"),
        (lambda path: add(path, record("bot@2", scopes=["acc:read"])), "differ in scopes"),
        (lambda path: add(path, record("b", hash=record()["hash"])), "has this hash already"),
        (lambda path: revoke(path, "x"), "no such key"),
    ],
)
def test_an_edit_that_would_not_load_is_not_written(path: Path, edit: Callable[[Path], Any], sentence: str) -> None:
    """The file stays byte for byte as it was."""
    before = path.read_bytes()

    with pytest.raises(EditFault, match=sentence) as caught:
        edit(path)

    assert not caught.value.is_written
    assert path.read_bytes() == before
    assert names(path) == ["keys.json"]


@pytest.mark.parametrize("edit", [lambda path: add(path, record("b")), lambda path: revoke(path, "bot")])
def test_a_file_that_does_not_load_is_not_edited(path: Path, edit: Callable[[Path], Any]) -> None:
    """An editor must not launder what a reader refuses."""
    path.write_bytes(text(record(scopes=["trade"])))
    with pytest.raises(SettingsFault, match="too wide"):
        edit(path)

    path.write_bytes(text(record()))
    path.chmod(0o644)
    with pytest.raises(SettingsFault, match="chmod"):
        edit(path)


@pytest.mark.parametrize(
    "edit", [lambda path: revoke(path, "bot"), lambda path: add(path.parent / "no" / "k.json", record())]
)
def test_nothing_is_made_where_there_is_nothing(tmp_path: Path, edit: Callable[[Path], Any]) -> None:
    """Only `add` creates a file, and nobody creates a directory."""
    with pytest.raises(SettingsFault):
        edit(tmp_path / "keys.json")

    assert list(tmp_path.iterdir()) == []


class Failing(KeyfileDisk):
    """A disk whose n-th sync, or whose rename, fails: before it happened, or after."""

    def __init__(self, *, sync: int = 0, rename: bool = False, happened: bool = False) -> None:
        self.syncs = 0
        self.fails_at = sync
        self.fails_renaming = rename
        self.happened = happened

    def sync(self, fd: int) -> None:
        """The n-th one fails."""
        self.syncs += 1
        if self.syncs == self.fails_at:
            raise OSError(errno.EIO, "Input/output error")
        super().sync(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Fails before or after it happened."""
        if not self.fails_renaming or self.happened:
            super().rename(source, target)
        if self.fails_renaming:
            raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(
    ("disk", "is_written"),
    [
        (Failing(sync=1), False),
        (Failing(rename=True), False),
        (Failing(rename=True, happened=True), True),
        (Failing(sync=2), True),
    ],
    ids=["file sync", "rename", "rename that happened", "directory sync"],
)
def test_a_failure_says_whether_the_edit_is_in_the_file(path: Path, disk: KeyfileDisk, is_written: bool) -> None:
    """Failed, and failed but it happened: the fault knows which, and no temporary file stays."""
    with pytest.raises(EditFault) as caught:
        add(path, record("b"), disk=disk)

    assert caught.value.is_written is is_written
    assert ("was not changed" in str(caught.value)) is not is_written
    assert ids(path) == (["bot", "b"] if is_written else ["bot"])
    assert names(path) == ["keys.json"]


def test_a_temporary_file_of_a_crash_does_not_stand_in_the_way(path: Path) -> None:
    """A process of the same number may have died here."""
    path.with_name(f".keys.json.{os.getpid()}.new").write_text("old")
    add(path, record("b"))

    assert names(path) == ["keys.json"]


class Meddling(KeyfileDisk):
    """Somebody without a lock writes the file just before the rename."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def sync(self, fd: int) -> None:
        """The file is written by another hand."""
        self.path.write_bytes(text(record("theirs")))


def test_an_editor_without_a_lock_wins_and_we_say_so(path: Path) -> None:
    """What was written since we read is not lost."""
    with pytest.raises(EditFault, match="somebody else meanwhile"):
        add(path, record("b"), disk=Meddling(path))

    assert ids(path) == ["theirs"]
    assert names(path) == ["keys.json"]


def test_two_editors_lose_no_edit(path: Path) -> None:
    """Twelve writers at once, twelve records."""
    writers = [Thread(target=add, args=(path, record(f"k{n}"))) for n in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert sorted(ids(path)) == sorted(["bot", *(f"k{n}" for n in range(12))])


class Impatient(KeyfileDisk):
    """Waits for no lock."""

    lock_wait_s = 0.0


def test_the_wait_for_another_editor_is_bounded(path: Path) -> None:
    """A lock that is never let go is told, not waited for."""
    fd = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(EditFault, match="nothing was changed"):
            add(path, record("b"), disk=Impatient())
    finally:
        os.close(fd)

    assert ids(path) == ["bot"]


class Unlockable(KeyfileDisk):
    """A file system without locks; or one that locks and fails all the same."""

    def __init__(self, *, happened: bool) -> None:
        self.happened = happened

    def lock(self, fd: int) -> None:
        """Fails before or after it happened."""
        if self.happened:
            super().lock(fd)
        raise OSError(errno.ENOLCK, "No locks available")


@pytest.mark.parametrize("happened", [False, True])
def test_a_lock_that_fails_is_a_sentence_and_is_let_go(path: Path, *, happened: bool) -> None:
    """Nothing is edited without it, and the next editor does not wait."""
    with pytest.raises(EditFault, match="cannot be locked: No locks available; nothing was changed"):
        add(path, record("b"), disk=Unlockable(happened=happened))
    assert ids(path) == ["bot"]

    add(path, record("b"), disk=Impatient())
    assert ids(path) == ["bot", "b"]
