"""Cancels that are in no record: none is lost that the file of gaps ever had, whatever became of the file."""

import os
from pathlib import Path

import pytest

from guard.journal import gaps
from guard.journal.gaps import Missed
from guard.wholefile import GIVEN_BYTES_MAX
from tests.support.disk import Diary, FaultyDisk

ONE, TWO = Missed("2026-11-22T00:00:00.000000Z", "01A", "disk full"), Missed("2026-11-22T00:00:01.000000Z", "01B", "x")
EIO = OSError(5, "Input/output error")


def noted(state: Path, *cancels: Missed) -> Path:
    """The file of gaps with these."""
    for one in cancels:
        assert gaps.note(state, one)
    return state / gaps.NAME


def test_what_was_noted_is_told_once(tmp_path: Path) -> None:
    """Both cancels with their times; and nothing after the record has it."""
    noted(tmp_path, ONE, TWO)
    found = gaps.read(tmp_path)
    assert found is not None
    assert (found.reason, found.cancels, found.decisions) == ("disk full", 2, ("01A", "01B"))
    assert (found.since, found.until) == (ONE.ts, TWO.ts)
    gaps.forget(tmp_path)
    assert gaps.read(tmp_path) is None


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_that_was_cut_off_is_a_cancel_too(tmp_path: Path, cut: int) -> None:
    """A full disk took a part of the first; the second is told whole."""
    path = noted(tmp_path, ONE)
    os.truncate(path, path.stat().st_size - 1 - cut)
    noted(tmp_path, TWO)
    found = gaps.read(tmp_path)
    assert found is not None
    assert (found.cancels, found.decisions) == (2, ("01B",))
    assert "1 lines of gap.jsonl are no records" in found.reason


@pytest.mark.parametrize("content", [b"\x00" * 40, b"\xff\xfe\n", b"[]\n", b"{"])
def test_a_file_of_nothing_readable_is_told(tmp_path: Path, content: bytes) -> None:
    """How many cancels there were is not known, but that there were some is."""
    (tmp_path / gaps.NAME).write_bytes(content)
    found = gaps.read(tmp_path)
    assert found is not None
    assert (found.cancels, found.reason) == (1, "1 lines of gap.jsonl are no records")


@pytest.mark.parametrize("is_large", [False, True])
def test_a_file_that_cannot_be_read_is_told_and_stays(tmp_path: Path, *, is_large: bool) -> None:
    """What it holds is nowhere else."""
    path = tmp_path / gaps.NAME
    if is_large:
        path.touch()
        os.truncate(path, GIVEN_BYTES_MAX + 1)
    else:
        os.mkfifo(path)
    found = gaps.read(tmp_path)
    gaps.forget(tmp_path)
    assert found is not None
    assert f"gap.jsonl cannot be read: is {'larger than' if is_large else 'no regular file'}" in found.reason
    assert (tmp_path / gaps.NAME).exists()


@pytest.mark.parametrize("call", ["open", "write"])
def test_a_note_that_fails_is_said_to_be_in_the_log_alone(tmp_path: Path, call: str) -> None:
    """It fails, and nothing of it is there; or it fails and happened, and the record tells what the log tells."""
    for how, there in (("fails", None), ("anyway", 1 if call == "write" else None)):
        disk = FaultyDisk()
        getattr(disk, how)[call] = EIO
        assert not gaps.note(tmp_path, ONE, disk=disk)
        found = gaps.read(tmp_path)
        assert (None if found is None else found.cancels) == there


def test_a_note_that_a_full_disk_took_in_part_counts(tmp_path: Path) -> None:
    """Which cancel it was has the log."""
    disk = FaultyDisk()
    disk.write_bytes_left = 10
    assert not gaps.note(tmp_path, ONE, disk=disk)
    assert gaps.note(tmp_path, TWO)
    found = gaps.read(tmp_path)
    assert found is not None
    assert (found.cancels, found.decisions) == (2, ("01B",))


@pytest.mark.parametrize("call", ["unlink", "fsync"])
def test_what_cannot_be_forgotten_is_told_again_by_the_same_ids(tmp_path: Path, call: str) -> None:
    """Twice rather than never; where it was forgotten all the same it is told no more."""
    noted(tmp_path, ONE, TWO)
    for how in ("fails", "anyway"):
        before, disk = gaps.read(tmp_path), FaultyDisk()
        getattr(disk, how)[call] = EIO
        gaps.forget(tmp_path, disk=disk)
        if (call, how) == ("unlink", "fails"):
            assert gaps.read(tmp_path) == before
    assert gaps.read(tmp_path) is None


def test_what_is_forgotten_stays_so(tmp_path: Path) -> None:
    """A power cut does not bring it back."""
    noted(tmp_path, ONE)
    disk = Diary()
    gaps.forget(tmp_path, disk=disk)
    assert disk.done == [("unlink", gaps.NAME), ("fsync", tmp_path.name)]
    assert disk.left == {}
