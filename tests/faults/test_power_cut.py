"""A power cut tears the end of the record: what `verify` says of it and what the next start makes of it agree."""

import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from guard.errors import JournalFault
from guard.journal import Journal
from guard.journal.segments import segment_numbers, segment_path
from guard.recovery.snapshots import resume
from guard.terms import Verdict
from tests.support.clock import ManualClock
from tests.support.journal import outcome
from tests.support.recovered import SMALL, placed, told
from tests.support.signed import verdict

STRIDE: Final = 37  # bytes
LOST: Final = (b"\0" * 5000, b"\0\n", b"half a line", b"no record\n", b"\n")  # what a disk shows in place of a block


def begun(state: Path) -> bytes:
    """A record of some orders; signed, and two records more that no checkpoint covers. What its last segment holds."""
    ordered(state, range(9))
    signed = (state / "checkpoints").read_bytes()
    ordered(state, range(9, 10))
    (state / "checkpoints").write_bytes(signed)
    return end_of(state).read_bytes()


def ordered(state: Path, numbers: range) -> None:
    """Orders that were refused."""
    journal = Journal.open(state, clock=ManualClock(), bounds=SMALL)
    for number in numbers:
        journal.append("decision", placed(number))
        journal.append("outcome", outcome(f"01K{number:03d}", Verdict.REFUSED))
    journal.shut()


def end_of(state: Path) -> Path:
    """Its last segment."""
    return segment_path(state, segment_numbers(state)[-1])


def torn(state: Path, folder: Path, content: bytes) -> Path:
    """A copy that ends so."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(state, folder)
    end_of(folder).write_bytes(content)
    return folder


def started(state: Path) -> Any:
    """The ledger that a start finds; the record goes on then."""
    journal = Journal.open(state, clock=ManualClock(), bounds=SMALL)
    try:
        return told(resume(state)[0])["state"]
    finally:
        journal.shut()


def test_wherever_it_is_cut_verify_and_the_next_start_agree(tmp_path: Path) -> None:
    """Whole or torn, never edited; the start has what the whole lines tell, and the record verifies from then on."""
    whole = begun(tmp_path / "state")
    *_, last_but_one, last = whole.splitlines(keepends=True)
    ends = [len(whole) - len(last) - len(last_but_one), len(whole) - len(last), len(whole)]
    known = {end: started(torn(tmp_path / "state", tmp_path / "cut", whole[:end])) for end in ends}
    for cut in sorted({*range(ends[0], ends[2], STRIDE), *ends, *(end - 1 for end in ends[1:]), ends[1] + 1}):
        state = torn(tmp_path / "state", tmp_path / "cut", whole[:cut])
        found = verdict(state), started(state), verdict(state)
        assert found == ("ok" if cut in ends else "torn", known[max(end for end in ends if end <= cut)], "ok"), cut


@pytest.mark.parametrize("lost", LOST)
def test_what_a_disk_shows_in_place_of_a_lost_block_is_set_aside(tmp_path: Path, lost: bytes) -> None:
    """Behind a whole line or within one. `verify`, which only tells, calls what ends with a newline an edit."""
    whole = begun(tmp_path / "state")
    last = whole.splitlines(keepends=True)[-1]
    end = len(whole) - len(last)
    known = started(torn(tmp_path / "state", tmp_path / "cut", whole[:end]))
    for cut in (end, end + len(last) // 2):
        state = torn(tmp_path / "state", tmp_path / "cut", whole[:cut] + lost)
        found = verdict(state), started(state), verdict(state)
        assert found == ("edited" if lost.endswith(b"\n") else "torn", known, "ok"), cut


def test_two_lines_that_are_no_records_are_no_crash(tmp_path: Path) -> None:
    """Neither goes on from there."""
    whole = begun(tmp_path / "state")
    state = torn(tmp_path / "state", tmp_path / "cut", whole + b"one\ntwo\n")
    assert verdict(state) == "edited"
    with pytest.raises(JournalFault, match="guard audit verify"):
        started(state)
    assert end_of(state).read_bytes() == whole + b"one\ntwo\n"
