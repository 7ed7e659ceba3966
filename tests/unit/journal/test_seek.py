"""A decision found again by its time and id, over real segments."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import JournalFault
from guard.journal import Journal, JournalBounds, timestamp
from guard.journal.seek import decision_at
from guard.journal.segments import segment_numbers, segment_path
from tests.support.clock import ManualClock
from tests.support.journal import decision, outcome

NOW: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)


def written(state: Path, gaps_s: list[int], *, segment_bytes: int = 3000) -> list[tuple[str, str]]:
    """A decision and an outcome for each gap of time before it, over several files; their times and ids."""
    clock = ManualClock(NOW)
    journal = Journal.open(state, clock=clock, bounds=JournalBounds(segment_bytes_max=segment_bytes))
    found = []
    for number, gap_s in enumerate(gaps_s):
        clock.advance(s=gap_s)
        found.append((timestamp(clock.wall_us()), f"D{number}"))
        journal.append("decision", decision(f"D{number}"))
        journal.append("outcome", outcome(f"D{number}"))
    journal.shut()
    return found


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0, 0, 1, 3600, 50_000]), min_size=1, max_size=30))
def test_every_decision_is_found_and_no_other(gaps_s: list[int]) -> None:
    """Whatever shares its time, in whichever file; and nothing for an id of another time, or one that is not there."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        rows = written(state, gaps_s)
        for ts, name in rows:
            line = decision_at(state, ts, name)
            assert line is not None
            assert (line.ts, line.members()["id"]) == (ts, name)
            assert decision_at(state, ts, "D999") is None
        assert decision_at(state, timestamp(0), "D0") is None
        assert decision_at(state, "2099-01-01T00:00:00.000000Z", "D0") is None
        others = [ts for ts, _ in rows if ts != rows[0][0]]
        assert all(decision_at(state, ts, "D0") is None for ts in others)


def test_a_decision_is_found_among_lines_that_are_later_and_were_written_before_it(tmp_path: Path) -> None:
    """An order has the time at which it came; an outcome or a cancel of the same turn of the loop is written before."""
    clock, rows = ManualClock(NOW), []
    journal = Journal.open(tmp_path / "state", clock=clock, bounds=JournalBounds(segment_bytes_max=3000))
    for number in range(60):
        clock.advance(us=1000)
        came_us = clock.wall_us() - (number * 7919) % 600_000
        rows.append((timestamp(came_us), f"D{number}"))
        journal.append("decision", decision(f"D{number}"), wall_us=came_us)
        journal.append("outcome", outcome(f"D{number}"))
    journal.shut()
    assert [name for ts, name in rows if decision_at(tmp_path / "state", ts, name) is None] == []


def test_a_line_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    """A torn tail hides nothing that is whole."""
    rows = written(tmp_path / "state", [0, 60, 60])
    path = segment_path(tmp_path / "state", segment_numbers(tmp_path / "state")[-1])
    with path.open("ab") as file:
        file.write(b'{"seq":99,"ts":"2026')
    assert decision_at(tmp_path / "state", *rows[-1]) is not None


def test_what_is_pruned_is_not_there_and_what_is_broken_is_a_fault(tmp_path: Path) -> None:
    """None for a record whose file is gone; a fault that names the file for lines that are no records."""
    state = tmp_path / "state"
    rows = written(state, [0, 60, 60, 60, 60, 60], segment_bytes=1500)
    first, *_, last = segment_numbers(state)
    segment_path(state, first).unlink()
    assert decision_at(state, *rows[0]) is None
    segment_path(state, last).write_bytes(b"nothing of ours\n")
    with pytest.raises(JournalFault, match=segment_path(state, last).name):
        decision_at(state, *rows[-1])
    segment_path(state, last).write_bytes(b"")
    with pytest.raises(JournalFault, match=segment_path(state, last).name):
        decision_at(state, *rows[-1])
