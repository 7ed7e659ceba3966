"""Which segments may go, and what is recorded of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guard.journal import Journal, JournalBounds, read_lines
from guard.journal.note import Checkpoint, Note, Verifier
from guard.journal.offline import EDITED, read_keys, record
from guard.journal.retention import delete, outlived, prune_record
from guard.journal.segments import segment_numbers
from guard.journal.tree import Tree, leaf
from tests.support.clock import ManualClock
from tests.support.disk import Diary, FaultyDisk
from tests.support.journal import decision, file_of
from tests.support.signed import verdict

BEGIN = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEEK, MONTH = timedelta(days=7), timedelta(days=30)


def shipped(state: Path, vkey: str) -> object:
    """What the verifier that is shipped beside an export says."""
    with pytest.raises(SystemExit) as ended:
        record(state, "", read_keys(vkey))
    return ended.value.code


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Six days, a segment each."""
    clock = ManualClock(BEGIN)
    journal = Journal.open(tmp_path / "state", clock=clock, bounds=JournalBounds())
    for n in range(6):
        journal.append("decision", decision(f"01K{n}"))
        journal.append("decision", decision(f"01L{n}"))
        clock.advance(s=86_400)
    journal.shut()
    return tmp_path / "state"


@pytest.mark.parametrize(
    ("days", "needed", "gone"),
    [
        (0, 99, ()),
        (1, 99, ()),
        (2, 99, (1,)),
        (3, 99, (1, 2)),
        (100, 99, (1, 2, 3, 4, 5)),
        (100, 3, (1, 2)),
        (100, 1, ()),
    ],
)
def test_segments_go_by_age_and_never_before_their_time(
    state: Path, days: int, needed: int, gone: tuple[int, ...]
) -> None:
    """A segment was over when the next began; the last one stays, and so does what the state needs."""
    moment = BEGIN + timedelta(days=days, hours=-1)

    assert outlived(state, now=moment + WEEK, retention=WEEK, needed=needed) == (gone, ())


def test_a_segment_of_today_stays_though_the_next_was_begun_under_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """The next one seems older than the retention, and so the first one over since long ago."""
    clock = ManualClock(BEGIN)
    journal = Journal.open(tmp_path / "s", clock=clock, bounds=JournalBounds(segment_bytes_max=1))
    for step_s in (-400 * 86_400, 400 * 86_400, 0):
        journal.append("a", {})
        clock.step_wall(s=step_s)
    journal.shut()

    assert len(segment_numbers(tmp_path / "s")) == 3
    assert outlived(tmp_path / "s", now=BEGIN, retention=MONTH, needed=99) == ((), ())


def test_the_record_must_show_the_age_too(state: Path) -> None:
    """Its six days and a week beyond them are what it shows of a time that the clock calls a century."""
    now = BEGIN + timedelta(days=36_500)

    assert outlived(state, now=now, retention=timedelta(days=13), needed=99) == ((), (1, 2, 3, 4, 5))
    assert outlived(state, now=now, retention=timedelta(days=10), needed=99) == ((1, 2), (3, 4, 5))
    assert outlived(state, now=now, retention=timedelta(days=7), needed=99) == ((1, 2, 3, 4, 5), ())


def test_a_record_of_one_segment_keeps_it(tmp_path: Path) -> None:
    """However old."""
    journal = Journal.open(tmp_path / "s", clock=ManualClock())
    journal.append("a", {})
    journal.shut()

    assert outlived(tmp_path / "s", now=BEGIN + 999 * MONTH, retention=MONTH, needed=99) == ((), ())
    assert outlived(tmp_path / "none", now=BEGIN, retention=MONTH, needed=99) == ((), ())


def test_the_record_of_a_deletion_stands_for_what_is_gone(state: Path) -> None:
    """Root and signed note are the tree's over exactly the deleted lines; the rest verifies."""
    tree = Tree()
    for line in read_lines(state, last=3):
        tree = tree.grown(leaf(line[:-1]))
    journal = Journal.open(state, clock=ManualClock(BEGIN + timedelta(days=6)))
    pruned = prune_record(state, (1, 2, 3), sign=journal.sign_tree)
    journal.append("prune", pruned)
    journal.flush()
    disk = Diary()
    delete(state, (1, 2, 3), disk=disk)
    journal.shut()

    gone = [("unlink", file_of(state, number).name) for number in (1, 2, 3)]
    assert disk.done == [*gone, ("fsync", file_of(state, 1).parent.name)]
    assert disk.left == {}

    assert (pruned.first_seq, pruned.root, pruned.segments) == (tree.size + 1, tree.root().hex(), (1, 2, 3))
    assert pruned.last_ts.startswith("2026-11-25T12")
    note = Note.read(pruned.note)
    assert note.signers([Verifier.read(journal.vkey)])
    assert Checkpoint.read(note.text).head == (tree.size, tree.root())
    assert segment_numbers(state)[0] == 4
    assert verdict(state) == "ok"
    assert shipped(state, journal.vkey) == 0

    file_of(state, 4).unlink()
    assert verdict(state) == "edited", "nothing on record says that this one should go"
    assert shipped(state, journal.vkey) == EDITED


@pytest.mark.parametrize(("happened", "left"), [(False, [2, 3, 4, 5, 6]), (True, [3, 4, 5, 6])])
def test_files_go_oldest_first_so_that_a_fault_leaves_no_hole(state: Path, happened: bool, left: list[int]) -> None:
    """What is left is a record with a shorter prefix missing, also where a file went though that was told as failed."""

    class Stubborn(FaultyDisk):
        def unlink(self, path: Path) -> None:
            if path != file_of(state, 2) or happened:
                super().unlink(path)
            if path == file_of(state, 2):
                raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        delete(state, (1, 2, 3), disk=Stubborn())
    assert segment_numbers(state) == left
