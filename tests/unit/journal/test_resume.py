"""Where a start goes on, and when it must not."""

from pathlib import Path

import pytest

from guard.errors import JournalFault, StateFault
from guard.journal import JournalBounds
from guard.journal.checkpoints import checkpoints_path
from guard.journal.disk import Disk
from guard.journal.recordend import RecordEnd
from guard.journal.resume import resume
from guard.journal.segments import read_lines, segment_numbers
from guard.journal.tail import recover
from guard.journal.tree import Tree, leaf
from tests.support.clock import START_US
from tests.support.journal import decision, file_of, open_journal
from tests.support.signed import signed_state

DAY_US = 86_400_000_000


def place_of(state: Path) -> RecordEnd:
    """Recovery and resumption as a start does them."""
    return resume(state, recover(state, disk=Disk()))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A closed journal of several segments with its checkpoint."""
    journal = open_journal(tmp_path / "state", bounds=JournalBounds(segment_bytes_max=1500))
    for n in range(12):
        journal.append("decision", decision(f"01K{n}"))
    journal.shut()
    assert len(segment_numbers(tmp_path / "state")) > 3
    return tmp_path / "state"


def test_the_place_is_behind_the_last_record_with_the_tree_of_all(state: Path) -> None:
    """Though only the last segment is read."""
    tree = Tree()
    for line in read_lines(state):
        tree = tree.grown(leaf(line[:-1]))
    for number in segment_numbers(state)[:-1]:
        file_of(state, number).unlink()

    place = place_of(state)
    assert (place.tree, place.seq, place.day) == (tree, tree.size, START_US // DAY_US)
    assert (place.segment, place.size) == (max(segment_numbers(state)), file_of(state, place.segment).stat().st_size)


def test_nothing_at_all_is_a_beginning(tmp_path: Path) -> None:
    """No record and no checkpoint: the first start ever."""
    assert place_of(tmp_path) == RecordEnd()


def test_checkpoints_without_a_journal_allow_no_start(state: Path) -> None:
    """Somebody took the record away."""
    for path in (state / "journal").iterdir():
        path.unlink()

    with pytest.raises(StateFault, match=r"the journal is gone, but checkpoints signed \d+.* start on the last backup"):
        place_of(state)


@pytest.mark.parametrize("cut", [1, 2])
def test_a_record_shorter_than_its_checkpoint_allows_no_start(tmp_path: Path, cut: int) -> None:
    """Records that were signed are missing; the message says how many there are and what to do."""
    state = signed_state(tmp_path / "state")
    lines = file_of(state).read_bytes().splitlines(keepends=True)
    file_of(state).write_bytes(b"".join(lines[:-cut]))

    with pytest.raises(StateFault, match=f"holds {4 - cut} records, but checkpoints signed 4"):
        open_journal(state)


def test_a_record_that_was_changed_after_it_was_signed_allows_no_start(tmp_path: Path) -> None:
    """Also where no hash vouches for the change: in the last line."""
    state = signed_state(tmp_path / "state")
    file_of(state).write_bytes(file_of(state).read_bytes().replace(b"US.AAPL", b"US.AAPX"))

    with pytest.raises(StateFault, match="guard audit verify"):
        open_journal(state)


def test_a_forged_beginning_of_a_segment_allows_no_start(state: Path) -> None:
    """Its compact range is checked by the root that it leads to."""
    last = max(segment_numbers(state))
    text = file_of(state, last).read_text()
    first = text.index('"compact":["') + len('"compact":["')
    file_of(state, last).write_text(text[:first] + "00" * 8 + text[first + 16 :])

    with pytest.raises(StateFault, match="changed after it was signed"):
        place_of(state)


@pytest.mark.parametrize("damage", ["no segment record", "another size", "no compact range", "a line too many"])
def test_a_last_segment_that_cannot_be_gone_on_from_is_a_fault(state: Path, damage: str) -> None:
    """Where the tree before it is not told, or its lines are not as many as it says."""
    last = max(segment_numbers(state))
    lines = file_of(state, last).read_bytes().splitlines(keepends=True)
    match damage:
        case "no segment record":
            lines[0] = lines[0].replace(b'"type":"segment"', b'"type":"sagment"')
        case "another size":
            lines[0] = lines[0].replace(b'"tree_size":', b'"tree_size":1')
        case "no compact range":
            lines[0] = lines[0].replace(b'"compact":["', b'"compact":["00","')
        case _:
            lines.insert(1, lines[1])
    file_of(state, last).write_bytes(b"".join(lines))

    with pytest.raises(JournalFault, match="guard audit verify"):
        place_of(state)


def test_an_older_checkpoint_is_no_hindrance(state: Path) -> None:
    """One from before the last segment cannot be compared here; the full reading does that."""
    journal = open_journal(state, bounds=JournalBounds(segment_bytes_max=1500))
    old = checkpoints_path(state).read_bytes()
    for n in range(12):
        journal.append("decision", decision(f"01L{n}"))
    journal.shut()
    checkpoints_path(state).write_bytes(old)

    assert place_of(state).seq > 12


def test_without_checkpoints_a_record_goes_on(state: Path) -> None:
    """A crash before the first one is no truncation; `verify` says that it cannot verify."""
    checkpoints_path(state).unlink()

    assert place_of(state).tree.size == place_of(state).seq
