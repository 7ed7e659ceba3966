"""Finding records, and following them as they come."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from msgspec import Raw

from guard.codes import Code
from guard.journal import Journal, JournalBounds, Snapshot
from guard.journal.search import FoundRecord, Query, RecordReader, follow, moment, search
from guard.terms import Money, Valuation, Verdict
from tests.support.clock import ManualClock
from tests.support.journal import decision, file_of, outcome, refusal

NOW: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
WORTH: Final = Valuation(Money(Decimal(30000), "HKD"), Decimal(300), "limit price")


@pytest.fixture
def clock() -> ManualClock:
    """Each record a minute after the one before."""
    return ManualClock(NOW)


@pytest.fixture
def state(tmp_path: Path, clock: ManualClock) -> Path:
    """An order placed, changed, filled; one refused; one of another key that nobody knows the end of."""
    journal = Journal.open(tmp_path / "state", clock=clock)
    records: list[tuple[str, object]] = [
        ("start", {"version": "0.1.0"}),
        ("decision", decision("A", symbol="HK.00700", valuation=WORTH)),
        ("outcome", outcome("A", order_id="900", order_id_ex="ex900")),
        ("decision", refusal("B", Code.RATE, symbol="US.AAPL")),
        ("decision", decision("C", of="A", symbol="HK.00700", order=Raw(b'{"order_id":900}'))),
        ("outcome", outcome("C", Verdict.REFUSED, message="too late")),
        ("decision", decision("D", key="agent-1", symbol="HK.00700")),
        ("outcome", outcome("D", Verdict.UNKNOWN)),
        ("order", {"decision": "A", "t": 9, "status": "filled", "source": "push"}),
        ("state", {"t": 10, "state": "locked", "reason": "drill"}),
    ]
    for type_, members in records:
        clock.advance(s=60)
        journal.append(type_, members)  # type: ignore[arg-type]
    journal.shut()
    return tmp_path / "state"


def found(state: Path, **query: object) -> list[int]:
    """The seqs that a query finds; seq 1 is the segment's, so record n of the fixture has n + 1."""
    return [record.line.seq for record in search(state, Query(**query), reader=RecordReader())]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ({}, list(range(1, 12))),
        ({"types": frozenset({"state", "start"})}, [2, 11]),
        ({"key": "trader"}, [3, 4, 5, 6, 7, 10]),
        ({"key": "agent-1"}, [8, 9]),
        ({"key": "nobody"}, []),
        ({"decision": "A"}, [3, 4, 6, 10]),
        ({"decision": "D"}, [8, 9]),
        ({"order": "900"}, [3, 4, 6, 7, 10]),
        ({"order": "ex900"}, [3, 4, 6, 10]),
        ({"order": "901"}, []),
        ({"symbol": "us.aapl"}, [5]),
        ({"symbol": "HK.00700", "types": frozenset({"outcome"})}, [4, 7, 9]),
        ({"code": "rate"}, [5]),
        ({"code": "scope"}, []),
        ({"outcome": "refuse"}, [5]),
        ({"outcome": "refused"}, [7]),
        ({"outcome": "unknown"}, [9]),
        ({"key": "trader", "outcome": "allow"}, [3, 6]),
    ],
)
def test_a_query_finds_what_meets_all_of_it(state: Path, query: dict[str, object], seqs: list[int]) -> None:
    """An outcome is found by its decision's key and symbol; an order by all that belongs to it."""
    assert found(state, **query) == seqs


@pytest.mark.parametrize(
    ("since", "until", "seqs"),
    [
        ("2026-11-22T12:09:00Z", None, [10, 11]),
        (None, "2026-11-22T12:02:00Z", [1, 2]),
        ("2026-11-22T20:03:00+08:00", "2026-11-22T12:05:00", [4, 5]),
        ("3m", None, list(range(1, 12))),
        ("2026-11-23", None, []),
    ],
)
def test_times_bound_a_search(state: Path, since: str | None, until: str | None, seqs: list[int]) -> None:
    """`since` is inclusive, `until` is not; zones are honoured."""
    bounds = {n: moment(text, now=NOW) for n, text in (("since", since), ("until", until)) if text is not None}

    assert found(state, **bounds) == seqs


@pytest.mark.parametrize(
    ("text", "ts"),
    [
        ("2026-11-22", "2026-11-22T00:00:00.000000Z"),
        ("2026-11-22T09:30:00+08:00", "2026-11-22T01:30:00.000000Z"),
        ("2026-11-22T09:46:28.123456Z", "2026-11-22T09:46:28.123456Z"),
        ("90s", "2026-11-22T11:58:30.000000Z"),
        ("15m", "2026-11-22T11:45:00.000000Z"),
        ("2h", "2026-11-22T10:00:00.000000Z"),
        ("7d", "2026-11-15T12:00:00.000000Z"),
    ],
)
def test_a_moment_is_a_time_or_how_long_ago(text: str, ts: str) -> None:
    """What people type becomes what `ts` is written like."""
    assert moment(text, now=NOW) == ts


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7w", "-1d", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    """A typing error must not quietly widen a search."""
    with pytest.raises(ValueError, match=r".*"):
        moment(text, now=NOW)


def test_lines_that_are_no_records_are_counted_and_passed_over(state: Path) -> None:
    """A damaged line hides nothing behind it; a line that is being written is none."""
    whole = file_of(state).read_bytes().splitlines(keepends=True)
    file_of(state).write_bytes(b"".join([*whole[:3], b"{}\n", *whole[3:], b'{"seq":']))
    reader = RecordReader()

    assert len(list(search(state, Query(), reader=reader))) == len(whole)
    assert reader.skipped == 1


def test_decisions_are_remembered_for_a_while_only() -> None:
    """A long record does not fill the memory."""
    reader = RecordReader()
    reader._decisions.update((str(n), {"key": "old"}) for n in range(20_000))
    lines = [b'{"seq":1,"ts":"","type":"decision","id":"new","key":"k","prev":""}\n']

    assert next(reader.read(lines)).members["key"] == "k"
    assert len(reader._decisions) == 20_000
    assert "0" not in reader._decisions


# ---------------------------------------------------------------- follow


def followed(state: Path, last: int, pause: Callable[[], bool]) -> list[int]:
    """The seqs that are emitted."""
    seen: list[FoundRecord] = []
    follow(state, last=last, reader=RecordReader(), emit=seen.append, pause=pause)
    return [record.line.seq for record in seen]


@pytest.mark.parametrize(("last", "seqs"), [(0, []), (2, [10, 11]), (100, list(range(1, 12)))])
def test_the_tail_is_the_last_records(state: Path, last: int, seqs: list[int]) -> None:
    """As many as there are, at most as many as asked for."""
    assert followed(state, last, lambda: False) == seqs


def test_following_goes_on_as_records_come(state: Path, clock: ManualClock) -> None:
    """New records are shown each once, over a rotation too."""
    journal = Journal.open(state, clock=clock, bounds=JournalBounds(segment_bytes_max=3000))
    rounds = iter(range(4))

    def pause() -> bool:
        number = next(rounds)
        for _ in range(5 if number < 3 else 0):
            journal.append("decision", decision())
        journal.flush()
        return number < 3

    seqs = followed(state, 2, pause)
    journal.shut()

    assert seqs == list(range(10, journal.last_seq + 1))
    assert file_of(state, 3).exists()


def test_the_tail_reaches_back_over_segments(tmp_path: Path) -> None:
    """Small segments do not make it shorter."""
    journal = Journal.open(tmp_path / "state", clock=ManualClock(), bounds=JournalBounds(segment_bytes_max=700))
    for _ in range(6):
        journal.append("decision", decision())
    journal.shut()

    assert followed(tmp_path / "state", 7, lambda: False) == list(range(journal.last_seq - 6, journal.last_seq + 1))


def test_parts_of_snapshots_are_found_by_their_name_only(tmp_path: Path, clock: ManualClock) -> None:
    """They are the guard's own memory, and many."""
    journal = Journal.open(tmp_path / "state", clock=clock)
    journal.append("decision", decision("A"))
    journal.append("snapshot", Snapshot(1, 0, last=True, body=Raw(b"{}")))
    journal.shut()

    def found(query: Query) -> list[str]:
        return [record.line.type for record in search(tmp_path / "state", query, reader=RecordReader())]

    assert found(Query()) == ["segment", "decision"]
    assert found(Query(types=frozenset({"snapshot"}))) == ["snapshot"]
