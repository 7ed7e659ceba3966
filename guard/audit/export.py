"""The record as a file for other programs: CSV, JSON lines or Parquet, with the columns of `columns`.

One segment after the other, so that a year fits a small memory; the file is written beside its place and put there
whole. A cell of a CSV that a spreadsheet would take for a formula gets an apostrophe before it: half of what is in a
record was written by callers.
"""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from guard.audit.columns import COLUMNS, PATHS, SQL_TYPES, Column, expressions
from guard.audit.engine import Engine, NoEngine, literal, picked, texts
from guard.errors import JournalFault
from guard.journal.segments import deleted, segment_numbers

Format = Literal["csv", "jsonl", "parquet"]
FORMATS: Final[dict[str, Format]] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
# What a spreadsheet reads as the beginning of a formula, after any blanks; also full-width (U+FF1D …), as some do.
FORMULA: Final = "^\\s*[=+\\-@|%\uff1d\uff0b\uff0d\uff20]|^[\\t\\r\\n]"
_OPTIONS: Final[dict[Format, str]] = {
    "csv": "FORMAT csv, FORCE_QUOTE *",
    "jsonl": "FORMAT json, ARRAY false",
    "parquet": "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 8192",  # small groups need little memory
}


class ExportRequest(Struct, frozen=True):
    """What is exported, and to where. `since` (inclusive) and `until` as `ts` is written."""

    state: Path
    out: Path
    format: Format
    since: str | None = None
    until: str | None = None


def export(engine: Engine, wanted: ExportRequest) -> int:
    """Writes every record of the time between; how many. Snapshots, the guard's own memory, are left out."""
    numbers = segment_numbers(wanted.state)
    try:
        return _exported(engine, wanted, numbers)
    except NoEngine:
        gone = sorted({*numbers} - {*segment_numbers(wanted.state)})
        if gone:  # whatever DuckDB says of it
            raise deleted(wanted.state, gone[0]) from None
        raise


def _exported(engine: Engine, wanted: ExportRequest, numbers: list[int]) -> int:
    """The segments one after the other."""
    out = wanted.out
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    engine.run(f"CREATE TEMP TABLE opened AS {_opened(wanted.state)}")
    parts, count = [], 0
    for place, number in enumerate(numbers):
        engine.stage = (place / len(numbers), 1 / len(numbers))
        parts.append(engine.spill / f"{number:08d}")
        header = f", HEADER {place == 0}" if wanted.format == "csv" else ""
        ((rows,),) = engine.rows(
            f"COPY ({_segment(wanted, number)}) TO {literal(str(parts[-1]))} ({_OPTIONS[wanted.format]}{header})"
        )
        count += rows
    try:
        _join(engine, parts, beside, as_=wanted.format)
        beside.replace(out)
    except OSError as error:
        raise JournalFault(f"{out}: cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
    return count


def _join(engine: Engine, parts: list[Path], out: Path, *, as_: Format) -> None:
    """The parts as one file."""
    if as_ == "parquet":
        source = f"read_parquet({texts(str(part) for part in parts)})"
        engine.run(f"COPY (FROM {source}) TO {literal(str(out))} ({_OPTIONS[as_]})")
        return
    with out.open("xb") as file:
        for part in parts:
            with part.open("rb") as rows:
                shutil.copyfileobj(rows, file)


def _segment(wanted: ExportRequest, number: int) -> str:
    """The records of one segment, in order, with what they have from their decisions."""
    cells = ", ".join(f"{sql} AS {_quoted(name)}" for name, sql in expressions("fields").items())
    shown = ", ".join(_cell(column, wanted.format) for column in COLUMNS)
    bounds = ["r.seq IS NOT NULL", "r.type <> 'snapshot'"]
    bounds += [f"r.ts >= {literal(wanted.since)}::TIMESTAMPTZ"] if wanted.since else []
    bounds += [f"r.ts < {literal(wanted.until)}::TIMESTAMPTZ"] if wanted.until else []
    return (
        f"SELECT {shown} FROM (SELECT {cells} FROM {picked(wanted.state, PATHS, number)}) r "  # noqa: S608 - as above
        f"LEFT JOIN opened d ON r.type <> 'decision' AND d.id = r.decision WHERE {' AND '.join(bounds)} ORDER BY r.seq"
    )


def _opened(state: Path) -> str:
    """What a record has from the decision that it belongs to."""
    columns = [column for column in COLUMNS if column.inherited]
    paths = ("id", "type", *(column.paths[0] for column in columns))
    given = ", ".join(
        f"any_value(TRY_CAST(fields[{place}] AS {SQL_TYPES[column.kind]})) AS {_quoted(column.name)}"
        for place, column in enumerate(columns, 3)
    )
    return f"SELECT fields[1] AS id, {given} FROM {picked(state, paths)} WHERE fields[2] = 'decision' GROUP BY 1"  # noqa: S608 - as above


def _cell(column: Column, as_: Format) -> str:
    """A column as the format holds it: typed where it has types, else text that loses nothing."""
    name = _quoted(column.name)
    value = f"coalesce(r.{name}, d.{name})" if column.inherited else f"r.{name}"
    if as_ != "parquet" and column.kind == "time":
        value = f"strftime({value}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    elif as_ != "parquet" and column.kind == "decimal":  # no reader's double can change it
        value = f"CASE WHEN {value} IS NOT NULL THEN rtrim(rtrim(CAST({value} AS VARCHAR), '0'), '.') END"
    elif as_ == "csv" and column.kind == "text":
        value = f"CASE WHEN regexp_matches({value}, {literal(FORMULA)}) THEN chr(39) || {value} ELSE {value} END"
    return f"{value} AS {name}"


def _quoted(name: str) -> str:
    return f'"{name}"'
