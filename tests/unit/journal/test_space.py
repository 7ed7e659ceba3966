"""Free space: what is told, what is stopped, and the ballast for the last records."""

import asyncio
import errno
from pathlib import Path
from typing import Final

import pytest

from guard.journal import Journal, JournalBounds, read_lines
from guard.journal.space import Marks, Space, ballast_path
from tests.support.disk import NO_SPACE, Diary, FaultyDisk
from tests.support.journal import decision, open_journal, outcome, verify

MARKS: Final = Marks(low_bytes=1000, stop_bytes=100, ballast_bytes=64 * 1024)


def space_at(state: Path, free: int) -> tuple[Space, FaultyDisk]:
    """A look at a disk with so much free."""
    disk = FaultyDisk()
    disk.free = free
    space = Space(state, disk=disk, marks=MARKS)
    space.look()
    return space, disk


@pytest.mark.parametrize(
    ("free", "level"), [(10**9, "ample"), (1000, "ample"), (999, "low"), (100, "low"), (99, "stop"), (0, "stop")]
)
def test_two_marks_make_three_levels(tmp_path: Path, free: int, level: str) -> None:
    """Ample, low, stop."""
    assert space_at(tmp_path, free)[0].level == level


def test_the_level_follows_the_disk_both_ways(tmp_path: Path) -> None:
    """Somebody makes room, and orders pass again."""
    space, disk = space_at(tmp_path, 50)
    disk.free = 5000
    space.look()
    assert space.level == "ample"


def test_the_ballast_is_made_when_space_gets_low_and_not_before(tmp_path: Path) -> None:
    """With its blocks taken; where there is room it would be a waste, where there is none the last straw."""
    for free, there in ((10**9, False), (50, False), (500, True), (10**9, True)):
        space_at(tmp_path, free)
        assert ballast_path(tmp_path).exists() == there, free
    stat = ballast_path(tmp_path).stat()
    assert (stat.st_size, stat.st_mode & 0o777) == (MARKS.ballast_bytes, 0o600)
    assert stat.st_blocks * 512 >= MARKS.ballast_bytes


@pytest.mark.parametrize("call", ["open", "allocate"])
def test_a_ballast_that_cannot_be_made_leaves_nothing(tmp_path: Path, call: str) -> None:
    """The marks must do."""
    disk = FaultyDisk()
    disk.free, disk.fails[call] = 500, NO_SPACE
    space = Space(tmp_path, disk=disk, marks=MARKS)
    space.look()

    assert space.level == "low"
    assert not ballast_path(tmp_path).exists()


def test_a_look_that_fails_changes_nothing(tmp_path: Path) -> None:
    """The next write tells what is wrong."""
    space, disk = space_at(tmp_path, 500)
    disk.fails["free_bytes"] = OSError(5, "Input/output error")
    space.look()
    assert space.level == "low"


def test_a_full_disk_gives_up_its_ballast_once(tmp_path: Path) -> None:
    """The call is made once more; without a ballast it is not."""
    space, _ = space_at(tmp_path, 500)
    answers: list[OSError | None] = [NO_SPACE, None]

    def call() -> str:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return "done"

    assert space.relieved(call) == "done"
    assert space.level == "stop"
    assert not ballast_path(tmp_path).exists()
    answers = [NO_SPACE, None]
    with pytest.raises(OSError, match="No space"):
        space.relieved(call)
    assert answers == [None]


def test_another_fault_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    """It may have happened, and made again it would have happened twice; the ballast stays for the day it is for."""
    space, _ = space_at(tmp_path, 500)
    calls = []

    def call() -> None:
        calls.append(1)
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        space.relieved(call)
    assert (len(calls), space.level, ballast_path(tmp_path).exists()) == (1, "low", True)


@pytest.mark.parametrize("how", ["fails", "anyway"])
@pytest.mark.parametrize("call", ["unlink", "fsync"])
def test_a_ballast_that_is_not_surely_given_up_makes_no_room(tmp_path: Path, call: str, how: str) -> None:
    """The write stays failed, with its own fault, and orders stop."""
    space, disk = space_at(tmp_path, 500)
    getattr(disk, how)[call] = OSError(errno.EIO, "Input/output error")
    writes = []

    def write() -> None:
        writes.append(1)
        raise NO_SPACE

    with pytest.raises(OSError, match="No space"):
        space.relieved(write)
    assert (len(writes), space.level) == (1, "stop")


def test_a_ballast_is_not_held_open(tmp_path: Path) -> None:
    """Its room would not come free with its name."""
    disk = Diary()
    disk.free = 500
    Space(tmp_path, disk=disk, marks=MARKS).look()
    assert ballast_path(tmp_path).exists()
    assert disk.left == {}


# ---------------------------------------------------------------- in the journal


def open_on(state: Path, disk: FaultyDisk) -> Journal:
    """A journal that looks at its disk all the time."""
    return open_journal(state, disk=disk, bounds=JournalBounds(look_s=0.01, marks=MARKS))


async def test_the_journal_looks_also_when_nothing_is_recorded(tmp_path: Path) -> None:
    """Others fill disks too; and what they delete counts as well."""
    disk = FaultyDisk()
    journal = open_on(tmp_path / "state", disk)
    for free, level in ((500, "low"), (50, "stop"), (10**9, "ample")):
        disk.free = free
        async with asyncio.timeout(60):
            while journal.space != level:  # noqa: ASYNC110 - a thread looks
                await asyncio.sleep(0.005)
    await journal.close()


def test_the_level_is_known_before_the_first_order(tmp_path: Path) -> None:
    """A start on an almost full disk takes none."""
    disk = FaultyDisk()
    disk.free = 50
    journal = open_on(tmp_path / "state", disk)
    assert journal.space == "stop"
    journal.shut()


async def test_the_last_records_are_written_into_the_ballasts_room(tmp_path: Path) -> None:
    """The disk is full in the middle of an order: its outcome is recorded all the same, and new orders stop."""
    state, disk = tmp_path / "state", FaultyDisk()
    disk.free, disk.write_bytes_left = 500, 100_000
    journal = open_on(state, disk)
    assert ballast_path(state).exists()
    await journal.durable(journal.append("decision", decision("01A")))
    disk.free, disk.write_bytes_left = 0, 40  # it fills up within the next line

    await journal.durable(journal.append("outcome", outcome("01A")))
    assert journal.failed is None
    assert journal.space == "stop"
    assert not ballast_path(state).exists()
    await journal.close()
    head, fault = verify(read_lines(state))
    assert (fault, head.seq) == (None, 3)


async def test_a_full_disk_without_ballast_closes_the_journal(tmp_path: Path) -> None:
    """What cannot be written is not said to be."""
    state, disk = tmp_path / "state", FaultyDisk()
    journal = open_on(state, disk)
    await journal.durable(journal.append("decision", decision("01A")))
    disk.write_bytes_left = 0
    journal.append("decision", decision("01B"))

    async with asyncio.timeout(60):
        while not journal.failed:  # noqa: ASYNC110 - a thread writes
            await asyncio.sleep(0.005)
    assert "No space left" in str(journal.failed)
    await journal.close()


@pytest.mark.parametrize("bytes_", [0, 4096])
def test_a_ballast_that_a_kill_left_half_made_is_made_anew(tmp_path: Path, bytes_: int) -> None:
    """Between its name and its blocks a guard can be killed; such a file would make no room on the day it is for."""
    ballast_path(tmp_path).write_bytes(bytes(bytes_))
    space, _ = space_at(tmp_path, 500)
    assert ballast_path(tmp_path).stat().st_size == MARKS.ballast_bytes
    space.look()
    assert ballast_path(tmp_path).stat().st_size == MARKS.ballast_bytes


def test_a_ballast_whose_name_was_made_though_that_was_told_as_failed_is_made_anew(tmp_path: Path) -> None:
    """The next look finds a name without blocks, and does not take it for room."""
    disk = FaultyDisk()
    disk.free, disk.anyway["open"] = 500, OSError(errno.EIO, "Input/output error")
    space = Space(tmp_path, disk=disk, marks=MARKS)
    space.look()
    disk.anyway.clear()
    space.look()
    assert ballast_path(tmp_path).stat().st_size == MARKS.ballast_bytes
