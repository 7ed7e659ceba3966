"""The record as CSV, JSON lines and Parquet."""

import csv
import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from guard.audit.columns import COLUMNS, SQL_TYPES
from guard.audit.engine import Engine
from guard.audit.export import FORMATS, FORMULA, ExportRequest, Format, export
from guard.errors import JournalFault
from guard.journal import read_lines
from tests.support.journal import file_of
from tests.support.reviewed import SPREADSHEET, reviewed

NAMES = [column.name for column in COLUMNS]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days."""
    return reviewed(tmp_path_factory.mktemp("record") / "state")


def exported(state: Path, out: Path, **bounds: Any) -> int:
    """Exports by the name's ending."""
    with Engine() as engine:
        return export(engine, ExportRequest(state, out, FORMATS[out.suffix], **bounds))


def lines(state: Path) -> list[str]:
    """The record as it is written."""
    return [line.decode().rstrip("\n") for line in read_lines(state)]


def test_a_csv_has_every_record_and_no_formula(state: Path, tmp_path: Path) -> None:
    """Columns as documented, the line as written in the last; what a spreadsheet would run has an apostrophe."""
    count = exported(state, tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert list(rows[0]) == NAMES
    assert [row["line"] for row in rows] == lines(state)
    assert count == len(rows)
    assert {row["intent"] for row in rows} == {"", "hedge of the gap", f"'{SPREADSHEET}"}
    assert not any(re.match(FORMULA, cell) for row in rows for cell in row.values())


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", " =1", "\r=1", "|cmd", "%0A", "\uff1d1", "\n=1"])
def test_every_beginning_of_a_formula_is_known(text: str) -> None:
    """OWASP's list, blanks before it, and the full-width signs."""
    assert re.match(FORMULA, text)


def test_json_lines_and_csv_say_the_same(state: Path, tmp_path: Path) -> None:
    """One object a line, decimals and times as text, numbers as numbers, nothing where there is nothing."""
    exported(state, tmp_path / "all.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]

    assert [list(row) for row in rows] == [NAMES] * len(rows)
    first = next(row for row in rows if row["effect"] == "order_new")
    kept = json.loads(first["line"])
    assert first["ts"] == kept["ts"]
    assert first["account"] == 281756478875559548
    assert Decimal(first["value"]) == Decimal(kept["valuation"]["value"]["amount"])
    assert first["side"] in {"BUY", "SELL"}
    assert (first["order_type"], first["time_in_force"]) == ("NORMAL", "DAY")


def test_parquet_has_the_documented_types_and_outcomes_their_decisions_columns(state: Path, tmp_path: Path) -> None:
    """Names and types come from one table; an outcome needs no join."""
    exported(state, tmp_path / "all.parquet")
    table = duckdb.read_parquet(str(tmp_path / "all.parquet"))
    types = {name: str(type_) for name, type_ in zip(table.columns, table.types, strict=True)}

    told = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
    assert types == {c.name: told.get(SQL_TYPES[c.kind], SQL_TYPES[c.kind]) for c in COLUMNS}
    assert table.filter("type = 'outcome' AND (key IS NULL OR endpoint IS NULL)").fetchall() == []
    total = table.filter("type = 'decision'").aggregate("sum(value)::VARCHAR").fetchall()[0][0]
    amounts = [json.loads(line).get("valuation", {}).get("value", {}).get("amount", "0") for line in lines(state)]
    assert Decimal(total) == sum(map(Decimal, amounts))


def test_times_bound_an_export(state: Path, tmp_path: Path) -> None:
    """`since` is inclusive, `until` is not."""
    bounds = {"since": "2026-11-03T00:00:00.000000Z", "until": "2026-11-04T00:00:00.000000Z"}
    count = exported(state, tmp_path / "day.jsonl", **bounds)

    days = {json.loads(line)["ts"][:10] for line in (tmp_path / "day.jsonl").read_text().splitlines()}
    assert days == {"2026-11-03"}
    assert count == sum('"ts":"2026-11-03' in line for line in lines(state))


@pytest.mark.parametrize("folder", ["nowhere", "file"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_file_that_cannot_be_written_is_told_and_nothing_is_left(
    state: Path, tmp_path: Path, name: str, folder: str
) -> None:
    """The name of the file, and no half of it; also where its folder is none."""
    (tmp_path / "file").write_text("")
    as_: Format = FORMATS[Path(name).suffix]
    with Engine() as engine, pytest.raises(JournalFault):
        export(engine, ExportRequest(state, tmp_path / folder / name, as_))

    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_pipe_in_the_place_of_a_segment_is_told(tmp_path: Path) -> None:
    """DuckDB would wait for whoever writes into it, for ever."""
    state = reviewed(tmp_path / "state")
    file_of(state, 2).unlink()
    os.mkfifo(file_of(state, 2))
    with pytest.raises(JournalFault, match=r"00000002.jsonl: cannot be read: is no regular file"):
        exported(state, tmp_path / "all.csv")


def test_a_segment_that_is_deleted_meanwhile_is_told(tmp_path: Path) -> None:
    """In the midst of it, and between a look at the file and DuckDB's own: one sentence, nothing left behind."""
    state = reviewed(tmp_path / "state")
    first, kept = file_of(state, 1), file_of(state, 1).read_bytes()

    def late(self: Engine, sql: str) -> None:
        first.unlink()
        Engine.run(self, sql)

    def later(self: Engine, sql: str, parameters: Any = ()) -> Any:
        first.unlink(missing_ok=True)
        return Engine.rows(self, sql, parameters)

    for name, method in (("run", late), ("rows", later)):
        first.touch(mode=0o600)
        first.write_bytes(kept)
        kind = type("Late", (Engine,), {name: method})
        with kind() as engine, pytest.raises(JournalFault, match=r"00000001.jsonl: was deleted .* run it again"):
            export(engine, ExportRequest(state, tmp_path / "all.csv", "csv"))
    assert list(tmp_path.iterdir()) == [state]
