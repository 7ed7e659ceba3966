"""Searching with DuckDB finds what reading every line finds."""

import os
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guard.audit.engine import Engine, NoEngine
from guard.audit.find import find
from guard.codes import Code
from guard.errors import JournalFault
from guard.journal import Journal, read_lines
from guard.journal.search import Query, RecordReader, search
from guard.terms import Reason
from tests.support.clock import ManualClock
from tests.support.journal import decision, file_of, outcome
from tests.support.reviewed import OTHER_SHA, reviewed

QUERIES: tuple[dict[str, object], ...] = (
    {},
    {"key": "bot-pairs"},
    {"key": "nobody"},
    {"decision": f"01M{7:023d}"},
    {"order": f"E01M{9:023d}"},
    {"order": "nothing"},
    {"symbol": "hk.00700"},
    {"code": "rate"},
    {"policy": "agents"},
    {"outcome": "refuse"},
    {"outcome": "accepted"},
    {"outcome": "applied"},
    {"min_value": Decimal(30000), "currency": "HKD"},
    {"max_value": Decimal(20000)},
    {"currency": "USD"},
    {"since": "2026-11-03", "until": "2026-11-04"},
    {"types": frozenset({"state", "gap"})},
    {"key": "agent-research", "outcome": "allow", "symbol": "US.AAPL"},
)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days."""
    return reviewed(tmp_path_factory.mktemp("record") / "state")


@pytest.mark.parametrize("asked", QUERIES, ids=",".join)
def test_both_searches_find_the_same(state: Path, asked: dict[str, object]) -> None:
    """Every filter: the same records in the same order, the same columns inherited, the same count."""
    query = Query(**asked)  # type: ignore[arg-type]
    plain = list(search(state, query, reader=RecordReader()))
    with Engine() as engine:
        found = find(engine, state, query, limit=0)
        records = list(found.records)

    assert [record.line.raw for record in records] == [record.line.raw for record in plain]
    assert [dict(record.members) for record in records] == [dict(record.members) for record in plain]
    assert (found.total, found.skipped) == (len(plain), 0)


def test_a_policy_in_shadow_is_found_by_what_it_would_have_refused(tmp_path: Path) -> None:
    """The order passed: neither search found it, and the runbook sends people there for what a shadow diverges on."""
    state = tmp_path / "state"
    would = Reason(Code.MAX_ORDER_VALUE, "30050 HKD is above 1000 HKD", policy="small")
    journal = Journal.open(state, clock=ManualClock())
    for id_, shadow in (("01A", ()), ("01B", (would,))):
        journal.append("decision", decision(id_, shadow=shadow))
    journal.shut()

    query = Query(policy="small")
    assert [record.members["id"] for record in search(state, query, reader=RecordReader())] == ["01B"]
    with Engine() as engine:
        assert [record.members["id"] for record in find(engine, state, query, limit=0).records] == ["01B"]


def test_a_name_finds_what_its_rotated_records_did_and_a_rotated_id_only_its_own(tmp_path: Path) -> None:
    """Who asked for a caller missed, unsaid, everything after its key was rotated. For both searches."""
    journal = Journal.open(tmp_path / "state", clock=ManualClock())
    for id_, key in (("A", "bot"), ("B", "bot@2"), ("C", "bot-2")):
        journal.append("decision", decision(id_, key=key))
    journal.append("outcome", outcome("B"))
    journal.shut()

    for key, seqs in (("bot", [2, 3, 5]), ("bot@2", [3, 5]), ("bot-2", [4]), ("None", [])):
        plain = search(tmp_path / "state", Query(key=key), reader=RecordReader())
        assert [record.line.seq for record in plain] == seqs
        with Engine() as engine:
            told = find(engine, tmp_path / "state", Query(key=key), limit=0).records
            assert [record.line.seq for record in told] == seqs


def test_a_limit_gives_the_last_and_the_count_of_all(state: Path) -> None:
    """As a person sees them: in order, the last at the end."""
    plain = list(search(state, Query(key="bot-pairs"), reader=RecordReader()))
    with Engine() as engine:
        found = find(engine, state, Query(key="bot-pairs"), limit=3)

        assert [record.line.seq for record in found.records] == [record.line.seq for record in plain[-3:]]
        assert found.total == len(plain) > 3


def test_a_spoiled_line_is_counted_and_a_torn_one_is_not(tmp_path: Path) -> None:
    """Neither stops a search, and none becomes a record."""
    state = reviewed(tmp_path / "state", days=1, orders=5)
    whole = list(read_lines(state))
    first = file_of(state).read_bytes().splitlines(keepends=True)
    file_of(state).write_bytes(b"".join([first[0], b"nonsense\n", b'{"a":1}\n', b"\xff\xfe\n", *first[1:]]))
    with file_of(state, 2).open("ab") as file:
        file.write(first[-1][:40])
    with Engine() as engine:
        found = find(engine, state, Query(), limit=0)

        assert [record.line.raw + b"\n" for record in found.records] == whole
        assert (found.total, found.skipped) == (len(whole), 3)


def test_what_a_caller_wrote_is_a_value_never_sql(state: Path) -> None:
    """A quote in a query finds nothing and breaks nothing."""
    with Engine() as engine:
        assert find(engine, state, Query(key="' OR 1=1 --"), limit=0).total == 0


def test_without_the_engine_it_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is named, by a name that does not depend on where the guard came from."""
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)

    with pytest.raises(NoEngine, match="pip install duckdb"):
        Engine()


def test_without_a_folder_for_temporary_files_it_says_how_to_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container whose root is read-only. A search then reads every line by itself, as without the engine."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))

    with pytest.raises(NoEngine, match=r"set TMPDIR .* --tmpfs /tmp") as told:
        Engine()
    assert not told.value.is_missing


def test_no_record_and_an_odd_path_are_told(tmp_path: Path) -> None:
    """An empty directory, and one whose name DuckDB would take for a pattern."""
    with Engine() as engine, pytest.raises(JournalFault, match="no record"):
        find(engine, tmp_path, Query(), limit=0)
    with Engine() as engine, pytest.raises(NoEngine, match="copy the record"):
        find(engine, reviewed(tmp_path / "st[a]te", days=1, orders=1), Query(), limit=0)


def test_a_guard_that_writes_meanwhile_disturbs_nothing(tmp_path: Path) -> None:
    """Whole records only, and the hashes of policies in them."""
    state = reviewed(tmp_path / "state", days=1, orders=5)
    journal = Journal.open(state, clock=ManualClock())
    try:
        for n in range(200):
            journal.append("x", {"n": n})
            if n % 50 == 0:
                with Engine() as engine:
                    found = find(engine, state, Query(), limit=0)
                    seqs = [record.line.seq for record in found.records]
                    assert seqs == list(range(1, len(seqs) + 1))
    finally:
        journal.shut()
    assert OTHER_SHA.encode() in file_of(state).read_bytes()


def test_a_pipe_in_the_place_of_a_segment_is_told(tmp_path: Path) -> None:
    """DuckDB would wait for whoever writes into it, for ever."""
    state = reviewed(tmp_path / "state")
    file_of(state, 2).unlink()
    os.mkfifo(file_of(state, 2))
    with Engine() as engine, pytest.raises(JournalFault, match=r"00000002.jsonl: cannot be read: is no regular file"):
        find(engine, state, Query(), limit=0)


def test_a_segment_that_is_deleted_meanwhile_is_told(tmp_path: Path) -> None:
    """Between the question and the lines that are shown, whoever asked is told to ask again."""
    state = reviewed(tmp_path / "state")

    class Late(Engine):
        def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
            found = super().rows(sql, parameters)
            file_of(state, 1).unlink(missing_ok=True)
            return found

    with Late() as engine, pytest.raises(JournalFault, match=r"00000001.jsonl: was deleted .* run it again"):
        list(find(engine, state, Query(), limit=0).records)
