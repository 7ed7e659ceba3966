"""Which runs of snapshot records are whole, and where the record goes on behind them."""

from pathlib import Path

import pytest
from msgspec import Raw

from guard.errors import JournalFault
from guard.journal import Journal, JournalBounds, Snapshot
from guard.journal.record import decode
from guard.journal.runs import behind, runs
from guard.journal.segments import first_line, segment_numbers
from tests.support.clock import ManualClock
from tests.support.journal import decision, file_of


def part(at_seq: int, number: int, *, last: bool = False, text: str = "") -> Snapshot:
    """One part, telling which it is."""
    return Snapshot(at_seq, number, last, Raw(f'"{at_seq}.{number}{text}"'.encode()))


def recorded(state: Path, parts: list[Snapshot | None], *, segment_bytes_max: int = 10**6) -> None:
    """A journal with these parts in order; None is some other record."""
    journal = Journal.open(state, clock=ManualClock(), bounds=JournalBounds(segment_bytes_max=segment_bytes_max))
    for one in parts:
        journal.append(*(("decision", decision()) if one is None else ("snapshot", one)))
    journal.shut()


def told(state: Path, **how: int) -> list[tuple[int, list[str]]]:
    """The runs that are found."""
    return [(run.at_seq, [body.decode().strip('"') for body in run.bodies]) for run in runs(state, **how)]


def test_a_run_is_whole_with_its_last_part(tmp_path: Path) -> None:
    """Other records in between do not disturb it."""
    recorded(tmp_path / "s", [None, part(7, 0), None, part(7, 1), part(7, 2, last=True), None])

    assert told(tmp_path / "s") == [(7, ["7.0", "7.1", "7.2"])]


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [None],
        [part(7, 0)],
        [part(7, 0), part(7, 1)],
        [part(7, 1), part(7, 2, last=True)],
        [part(7, 0), part(7, 2, last=True)],
        [part(7, 0), part(8, 1, last=True)],
    ],
)
def test_what_lacks_a_part_counts_for_nothing(tmp_path: Path, parts: list[Snapshot | None]) -> None:
    """The beginning, the middle, the end, or all."""
    recorded(tmp_path / "s", [None, *parts])

    assert told(tmp_path / "s") == []


def test_a_run_that_was_begun_anew_does_not_mix_with_the_first_try(tmp_path: Path) -> None:
    """A crash cut the first one off; another version may have written other parts."""
    recorded(tmp_path / "s", [part(7, 0, text="a"), part(7, 1, text="a"), part(7, 0, text="b"), part(7, 1, last=True)])

    assert told(tmp_path / "s") == [(7, ["7.0b", "7.1"])]


def test_the_newest_run_comes_first(tmp_path: Path) -> None:
    """An older one is there in case the newer cannot be read."""
    recorded(tmp_path / "s", [part(3, 0, last=True), part(9, 0, last=True), part(12, 0)])

    assert [at for at, _ in told(tmp_path / "s")] == [9, 3]


def test_a_run_may_go_on_over_segments(tmp_path: Path) -> None:
    """Each is told once; what lies beyond the last segment asked for is not seen."""
    state = tmp_path / "s"
    recorded(state, [part(3, n, last=n == 9, text="x" * 200) for n in range(10)], segment_bytes_max=1500)
    recorded(state, [part(30, n, last=n == 9, text="y" * 200) for n in range(10)], segment_bytes_max=1500)

    assert [(at, len(bodies)) for at, bodies in told(state)] == [(30, 10), (3, 10)]
    assert told(state, last=segment_numbers(state)[-2]) == [(3, told(state)[1][1])]


def test_the_record_goes_on_where_a_segment_begins(tmp_path: Path) -> None:
    """With the hash that this segment's first line names."""
    state = tmp_path / "s"
    recorded(state, [None] * 12, segment_bytes_max=1500)
    numbers = segment_numbers(state)
    for number in numbers[1:]:
        line = decode(first_line(state, number)[:-1])
        goes = behind(state, line.seq - 1)
        assert (goes.segment, goes.head.seq, goes.head.hash) == (number, line.seq - 1, line.prev)
    with pytest.raises(JournalFault, match="no segment begins behind record 3"):
        behind(state, 3)
    file_of(state, numbers[-1]).write_bytes(b"torn")
    with pytest.raises(JournalFault, match="no segment begins"):
        behind(state, 10**6)


@pytest.mark.parametrize("damage", [b"}7.1}", b'"7.1', b"\xff"])
def test_a_part_that_was_damaged_is_none(tmp_path: Path, damage: bytes) -> None:
    """Its run is not whole; the one before is found, and nothing raises: who folds the record tells what is wrong."""
    recorded(tmp_path / "s", [part(3, 0), part(3, 1, last=True), part(7, 0), part(7, 1), part(7, 2, last=True)])
    path = file_of(tmp_path / "s")
    path.write_bytes(path.read_bytes().replace(b'"7.1"', damage))

    assert told(tmp_path / "s") == [(3, ["3.0", "3.1"])]
