"""The format of a state directory: forward a step at a time, never backward, and never by guessing."""

import errno
from pathlib import Path

import pytest

from guard.errors import StateFault
from guard.journal.disk import Disk
from guard.journal.stateformat import FORMAT, Step, bring_forward, read
from tests.support.disk import NO_SPACE, FaultyDisk

DISK = Disk()


def steps(log: list[str], *, broken: int | None = None) -> dict[int, Step]:
    """Two steps that note what they did; one of them may fail."""

    def step(number: int) -> Step:
        def run(state: Path) -> None:
            log.append(f"{number} in {state.name}")
            if number == broken:
                raise OSError(errno.EIO, "the disk is ill")

        return run

    return {1: step(1), 2: step(2)}


def test_a_new_directory_and_one_without_a_number_get_the_present_one(tmp_path: Path) -> None:
    """The number is written once and read back; doing it again changes nothing."""
    for _ in range(2):
        bring_forward(tmp_path, disk=DISK)
        assert read(tmp_path) == FORMAT
    assert (tmp_path / "format").read_text() == f"{FORMAT}\n"


def test_an_older_one_is_brought_forward_a_step_at_a_time(tmp_path: Path) -> None:
    """From none at all through every format to the wanted one."""
    log: list[str] = []
    bring_forward(tmp_path, disk=DISK, steps=steps(log), to=3)

    assert log == [f"1 in {tmp_path.name}", f"2 in {tmp_path.name}"]
    assert read(tmp_path) == 3


def test_a_step_that_failed_is_told_and_taken_up_again(tmp_path: Path) -> None:
    """What was reached is kept: the next start begins with the step that failed."""
    log: list[str] = []
    with pytest.raises(StateFault, match="from format 2 to 3"):
        bring_forward(tmp_path, disk=DISK, steps=steps(log, broken=2), to=3)
    assert read(tmp_path) == 2
    bring_forward(tmp_path, disk=DISK, steps=steps(log), to=3)

    assert [line[0] for line in log] == ["1", "2", "2"]


@pytest.mark.parametrize(("how", "done"), [("fails", ["1", "1"]), ("anyway", ["1"])])
def test_a_step_whose_number_is_not_told_as_written_goes_by_the_disk(tmp_path: Path, how: str, done: list[str]) -> None:
    """The start stops either way; the next one repeats the step where its number is not there, and only then."""
    log: list[str] = []
    disk = FaultyDisk()
    getattr(disk, how)["rename"] = NO_SPACE
    with pytest.raises(StateFault, match="from format 1 to 2"):
        bring_forward(tmp_path, disk=disk, steps=steps(log), to=2)
    bring_forward(tmp_path, disk=DISK, steps=steps(log), to=2)

    assert [line[0] for line in log] == done
    assert read(tmp_path) == 2


def test_a_downgrade_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """A directory of a newer guard is not opened, whatever an older one could read of it."""
    (tmp_path / "format").write_text(f"{FORMAT + 1}\n")

    with pytest.raises(StateFault, match=f"newer guard \\(format {FORMAT + 1}\\)"):
        bring_forward(tmp_path, disk=DISK)
    assert (tmp_path / "format").read_text() == f"{FORMAT + 1}\n"


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "1.0", "9" * 40, "\u0661"])
def test_a_number_that_is_none_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    """Anything but a small positive number in ASCII digits is refused."""
    (tmp_path / "format").write_text(text)

    with pytest.raises(StateFault, match="format"):
        bring_forward(tmp_path, disk=DISK)


def test_a_full_disk_does_not_keep_a_guard_from_starting(tmp_path: Path) -> None:
    """The first number is written at a later start then; cancels need the guard now."""
    disk = FaultyDisk()
    disk.fails["write"] = NO_SPACE
    bring_forward(tmp_path, disk=disk)

    assert read(tmp_path) is None
