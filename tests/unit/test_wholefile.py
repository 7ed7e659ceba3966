"""Files that are read while the guard runs: whole, regular, bounded."""

import errno
import os
from pathlib import Path

import pytest

from guard.wholefile import read_given, read_newest, read_text, read_whole, why


def test_a_file_is_read_whole_up_to_its_bound(tmp_path: Path) -> None:
    """As many bytes as may be are read; one more is refused with the bound."""
    (tmp_path / "a").write_bytes(b"12345")

    assert read_whole(tmp_path / "a", bytes_max=5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_whole(tmp_path / "a", bytes_max=4)


def test_a_file_without_an_end_is_read_no_further_than_its_bound(tmp_path: Path) -> None:
    """A sparse file of a terabyte takes no more memory than is asked for."""
    with (tmp_path / "a").open("wb") as file:
        file.truncate(2**40)

    with pytest.raises(OSError, match="larger than 4096 bytes"):
        read_whole(tmp_path / "a", bytes_max=4096)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_refused_leaves_nothing_open(tmp_path: Path, kind: str) -> None:
    """A folder among the policies cost a descriptor at every reload, until there was none left for callers."""
    path = tmp_path / "a.toml"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(OSError, match="is no regular file"):
            read_whole(path, bytes_max=10)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to, a device, a folder: refused at once, in words."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")

    for name in ("pipe", "folder", "zero"):
        with pytest.raises(OSError, match=r"regular file|directory") as caught:
            read_whole(tmp_path / name, bytes_max=10)
        assert str(tmp_path) not in why(caught.value)


def test_a_file_that_was_replaced_behind_its_mount_is_not_read(tmp_path: Path) -> None:
    """A reload took the keys of a token issuer, or policies, as they were before the edit, and said `unchanged`."""
    path, new = tmp_path / "jwks.json", tmp_path / "new"
    path.write_bytes(b"old")
    with path.open("rb") as mounted:
        behind = Path(f"/dev/fd/{mounted.fileno()}")
        assert read_newest(behind, bytes_max=10) == b"old"
        new.write_bytes(b"new")
        new.replace(path)
        with pytest.raises(OSError, match="mount its folder"):
            read_newest(behind, bytes_max=10)
    assert read_newest(path, bytes_max=10) == b"new"


def test_a_text_is_read_like_any_whole_file(tmp_path: Path) -> None:
    """Regular, bounded, UTF-8."""
    (tmp_path / "a").write_text("é", encoding="utf-8")
    (tmp_path / "b").write_bytes(b"\xff")
    os.mkfifo(tmp_path / "pipe")

    assert read_text(tmp_path / "a") == "é"
    with pytest.raises(UnicodeDecodeError):
        read_text(tmp_path / "b")
    with pytest.raises(OSError, match="regular file"):
        read_text(tmp_path / "pipe")
    with pytest.raises(OSError, match="larger than 1 bytes"):
        read_text(tmp_path / "a", bytes_max=1)


def test_what_a_person_names_may_be_a_pipe_but_has_an_end(tmp_path: Path) -> None:
    """A pipe is read to its end; a device that has none no further than the bound."""
    ours, theirs = os.pipe()
    os.write(theirs, b"note")
    os.close(theirs)

    assert read_given(Path(f"/dev/fd/{ours}")) == b"note"
    os.close(ours)
    with pytest.raises(OSError, match="larger than 4096 bytes"):
        read_given(Path("/dev/zero"), bytes_max=4096)
    with pytest.raises(FileNotFoundError):
        read_given(tmp_path / "gone")


def test_a_fault_is_told_without_its_number() -> None:
    """The words of the system alone; of any other error its own."""
    assert why(FileNotFoundError(2, "No such file or directory", "/x")) == "No such file or directory"
    assert why(ValueError("no UTF-8")) == "no UTF-8"


def test_who_may_not_read_a_file_is_named() -> None:
    """In a container it is the user that the image names, and not the one who wrote the file."""
    assert why(PermissionError(errno.EACCES, "Permission denied", "/a")) == f"Permission denied to uid {os.geteuid()}"
