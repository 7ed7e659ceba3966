"""What decided, kept by hash: written once, and whole again after damage."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from guard.journal.configstore import ConfigStore
from tests.support.disk import Diary, FaultyDisk

BODY = b'{"a":1}'
NAME = hashlib.sha256(BODY).hexdigest()
SET = "5" * 64
EIO = OSError(errno.EIO, "Input/output error")


def test_what_is_there_stays(tmp_path: Path) -> None:
    """Texts of the same set that differ in a comment: the first that made it is kept."""
    store = ConfigStore(tmp_path / "config")
    store.put(SET, b'{"desk.toml":"# one"}')
    store.put(SET, b'{"desk.toml":"# two"}')
    assert store.get(SET) == b'{"desk.toml":"# one"}'


@pytest.mark.parametrize("damage", [b"", b"\x00" * 7, b'{"a":', b'{"a":2}', b"[" * 100_000])
def test_what_was_damaged_is_put_anew(tmp_path: Path, damage: bytes) -> None:
    """Cut off, zeroed, or other JSON than the hash names: the next start mends it instead of keeping it for ever."""
    store = ConfigStore(tmp_path / "config")
    store.put(NAME, BODY)
    (tmp_path / "config" / f"{NAME}.json").write_bytes(damage)
    store.put(NAME, BODY)
    assert store.get(NAME) == BODY


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What a link leads to is somebody else's file."""
    store = ConfigStore(tmp_path / "config")
    store.put(NAME, BODY)
    other, path = tmp_path / "other", tmp_path / "config" / f"{NAME}.json"
    other.write_bytes(b"mine")
    path.unlink()
    path.symlink_to(other)
    store.put(NAME, BODY)
    assert (store.get(NAME), other.read_bytes(), path.is_symlink()) == (BODY, b"mine", False)


def test_a_directory_in_its_place_is_told(tmp_path: Path) -> None:
    """Nothing is kept there, and whoever asks for it knows."""
    store = ConfigStore(tmp_path / "config")
    (tmp_path / "config" / f"{NAME}.json").mkdir(parents=True)
    with pytest.raises(OSError, match="irectory"):
        store.put(NAME, BODY)
    assert store.get(NAME) is None


def test_a_file_of_somebody_else_is_kept_as_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that root put back is whole, but only its owner may say that it is in use: new orders were refused."""

    def denied(_: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    store, path = ConfigStore(tmp_path / "config"), tmp_path / "config" / f"{SET}.json"
    store.put(SET, b'{"desk.toml":"# one"}')
    os.utime(path, (0, 0))
    with monkeypatch.context() as patched:
        patched.setattr(os, "utime", denied)
        store.put(SET, b'{"desk.toml":"# two"}')
    assert store.get(SET) == b'{"desk.toml":"# one"}'
    assert path.stat().st_mtime > 0


@pytest.mark.parametrize("how", ["fails", "anyway"])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_what_was_perhaps_not_kept_is_told_and_put_anew(tmp_path: Path, call: str, how: str) -> None:
    """Failed, or done and told as failed: whoever asks knows, and the next time it is written and not merely found."""
    disk = FaultyDisk()
    store = ConfigStore(tmp_path / "config", disk=disk)
    getattr(disk, how)[call] = EIO
    with pytest.raises(OSError, match="Input/output error"):
        store.put(NAME, BODY)
    getattr(disk, how).clear()
    renamed = disk.calls["rename"]
    store.put(NAME, BODY)
    assert disk.calls["rename"] == renamed + 1
    assert store.get(NAME) == BODY
    store.put(NAME, BODY)
    assert disk.calls["rename"] == renamed + 1, "it is kept now, and stays"


def test_the_name_of_what_is_found_is_on_the_medium(tmp_path: Path) -> None:
    """A run that was killed may have given it, and no more; where that cannot be had it is written anew."""
    ConfigStore(tmp_path / "config").put(NAME, BODY)
    disk = Diary()
    store = ConfigStore(tmp_path / "config", disk=disk)
    store.put(NAME, BODY)
    assert disk.done == [("fsync", "config")]
    disk.fails["fsync"] = EIO
    with pytest.raises(OSError, match="Input/output error"):
        store.put(NAME, BODY)
    assert store.get(NAME) == BODY


def test_another_text_of_a_set_that_is_perhaps_not_kept_does_not_take_its_place(tmp_path: Path) -> None:
    """The first that made it is kept, also where it had to be written twice."""
    disk = FaultyDisk()
    store = ConfigStore(tmp_path / "config", disk=disk)
    disk.anyway["rename"] = EIO
    with pytest.raises(OSError, match="Input/output error"):
        store.put(SET, b'{"desk.toml":"# one"}')
    disk.anyway.clear()
    store.put(SET, b'{"desk.toml":"# two"}')
    assert store.get(SET) == b'{"desk.toml":"# one"}'
