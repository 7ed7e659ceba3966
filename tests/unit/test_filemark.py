"""Whether a file is another one than before."""

import os
import time
from pathlib import Path

import pytest

from guard.filemark import FileMarks, mark_of


@pytest.mark.parametrize("change", ["written", "renamed over", "swapped link", "other rights", "gone", "made anew"])
def test_a_file_that_is_another_one_is_seen_once(tmp_path: Path, change: str) -> None:
    """However it came there, though size and time are the same; and no second time."""
    path, other = tmp_path / "link" / "file", tmp_path / "other"
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("text")
    other.write_text("text")
    for each in (tmp_path / "one/file", tmp_path / "two/file", other):
        os.utime(each, ns=(1, 1))
    (tmp_path / "link").symlink_to("one")
    seen = FileMarks(tmp_path / "one/file", path)
    assert not seen.has_changed()

    match change:
        case "written":
            path.write_text("another")
        case "renamed over":
            other.replace(path)
        case "swapped link":
            (tmp_path / "new").symlink_to("two")
            (tmp_path / "new").replace(tmp_path / "link")
        case "other rights":
            time.sleep(0.05)  # older kernels tell such times by their tick
            path.chmod(0o600)
        case _:
            path.unlink()
    assert seen.has_changed()
    assert not seen.has_changed()
    if change == "made anew":
        path.write_text("text")
        assert seen.has_changed()


def test_where_nothing_can_be_looked_at_the_mark_says_why(tmp_path: Path) -> None:
    """A file that is missing is one thing, one that must not be looked at another."""
    (tmp_path / "file").touch()

    assert mark_of(tmp_path / "none") == ("FileNotFoundError", 2)
    assert mark_of(tmp_path / "file" / "none") == ("NotADirectoryError", 20)
