"""The same search as `journal.search`, by DuckDB: first which records meet the query, then their lines as written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from guard.audit.engine import Engine, picked
from guard.journal.record import decode
from guard.journal.search import INHERITED, STATE_TYPE, FoundRecord, Query
from guard.journal.segments import read_lines, segment, segment_numbers

_CHUNK_BYTES: Final = 2**20
_PATHS: Final = (
    "seq", "ts", "type", "id", "decision", "of", "key", "endpoint", "symbol", "effect", "outcome", "verdict", "result",
    "code", "reasons", "shadow", "valuation.value.amount", "valuation.value.currency", "order_id", "order_id_ex",
    "order.c2s.order_id", "order.c2s.order_id_ex", "order.order_id", "order.order_id_ex",
)  # fmt: skip
_AT: Final = {path: f"fields[{place}]" for place, path in enumerate(_PATHS, 1)}
_ORDER_IDS: Final = [name for name in _PATHS if "order_id" in name]
_NARROW: Final = f"""
CREATE TEMP TABLE narrow AS
SELECT TRY_CAST({_AT["seq"]} AS BIGINT) AS seq, {_AT["ts"]} AS ts, {_AT["type"]} AS type, {_AT["id"]} AS id,
    {_AT["decision"]} AS decision, {_AT["of"]} AS "of", {_AT["key"]} AS key, {_AT["endpoint"]} AS endpoint,
    {_AT["symbol"]} AS symbol, {_AT["effect"]} AS effect, {_AT["code"]} AS code,
    [{_AT["outcome"]}, {_AT["verdict"]}, {_AT["result"]}] AS outcomes, {_AT["reasons"]} AS reasons,
    {_AT["shadow"]} AS shadow,
    TRY_CAST({_AT["valuation.value.amount"]} AS DECIMAL(38,9)) AS amount, {_AT["valuation.value.currency"]} AS currency,
    [{", ".join(_AT[name] for name in _ORDER_IDS)}] AS orders, CAST(parse_filename(file, true) AS BIGINT) AS segment
FROM {{lines}}
"""  # noqa: S608 - constants of this module
_FOUND: Final = """
WITH found AS (SELECT r.*, count(*) OVER () AS total FROM narrow r {joined}
    WHERE r.seq IS NOT NULL AND {wanted} ORDER BY r.seq DESC {limit})
SELECT r.seq, r.segment, d.key, d.endpoint, d.symbol, d.effect, r.total FROM found r
LEFT JOIN narrow d ON r.type <> 'decision' AND d.type = 'decision' AND d.id = r.decision ORDER BY r.seq DESC
"""
_OF_ORDER: Final = """list_has_any([r.id, r.decision, r.of], (SELECT list(DISTINCT one) FROM
    (SELECT unnest([id, decision, "of"]) AS one FROM narrow WHERE list_contains(orders, ?)) WHERE one IS NOT NULL))"""
_JOINED: Final = "LEFT JOIN narrow d ON r.type <> 'decision' AND d.type = 'decision' AND d.id = r.decision"


class Found(NamedTuple):
    """The records of one search, in order, how many meet the query altogether, and how many lines were no records."""

    records: Iterator[FoundRecord]
    total: int
    skipped: int


def find(engine: Engine, state: Path, query: Query, *, limit: int) -> Found:
    """The last `limit` records that meet the query; 0 is all. Raises `NoEngine` where DuckDB cannot read them."""
    engine.run(_NARROW.format(lines=picked(state, _PATHS)))
    wanted, values = _conditions(query)
    joined = _JOINED if "d." in wanted else ""
    question = _FOUND.format(wanted=wanted, joined=joined, limit=f"LIMIT {limit:d}" if limit else "")
    rows = engine.rows(question, values)
    inherited = {seq: dict(zip(INHERITED, rest, strict=True)) for seq, _, *rest, _ in rows}
    total = rows[0][-1] if rows else 0
    segments = sorted({segment for _, segment, *_ in rows})
    return Found(_lines(state, segments, inherited), total, _skipped(engine, state))


def _skipped(engine: Engine, state: Path) -> int:
    """Whole lines that are no records; what was appended since the question is none of them."""
    ((records, last),) = engine.rows("SELECT count(*), coalesce(max(segment), 0) FROM narrow WHERE seq IS NOT NULL")
    lines = sum(_newlines(state, number) for number in segment_numbers(state) if number <= last)
    return max(lines - int(records), 0)


def _newlines(state: Path, number: int) -> int:
    with segment(state, number) as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(_CHUNK_BYTES), b""))


def _lines(state: Path, segments: list[int], inherited: dict[int, dict[str, object]]) -> Iterator[FoundRecord]:
    for number in segments:
        for raw in read_lines(state, first=number, last=number):
            try:
                line = decode(raw[:-1])
                if raw.endswith(b"\n") and line.seq in inherited:
                    given = {name: value for name, value in inherited[line.seq].items() if value is not None}
                    yield FoundRecord(line, given | line.members())
            except ValueError:
                continue


def _conditions(query: Query) -> tuple[str, list[object]]:
    """The query as SQL with places for values, and the values."""
    codes, policies, shadows = (
        f"json_extract_string(r.{names})"
        for names in ("reasons, '$[*].code'", "reasons, '$[*].policy'", "shadow, '$[*].policy'")
    )
    asked: list[tuple[object, str]] = [
        (query.since, "r.ts >= ?"),
        (query.until, "r.ts < ?"),
        (query.decision, "list_contains([r.id, r.decision, r.of], ?)"),
        (query.key, "? IN (coalesce(r.key, d.key), split_part(coalesce(r.key, d.key), '@', 1))"),
        (None if query.symbol is None else query.symbol.upper(), "upper(coalesce(r.symbol, d.symbol)) = ?"),
        (query.outcome, "list_contains(r.outcomes, ?)"),
        (query.policy, f"list_contains(concat({policies}, {shadows}), ?)"),
        (query.currency, "r.currency = ?"),
        (query.min_value, "r.amount >= ?"),
        (query.max_value, "r.amount <= ?"),
        (
            query.order,
            _OF_ORDER,
        ),
    ]
    parts = [part for value, part in asked if value is not None]
    values = [value for value, _ in asked if value is not None]
    if query.code is not None:
        parts.append(f"(r.code = ? OR (r.reasons IS NOT NULL AND list_contains({codes}, ?)))")
        values += [query.code, query.code]
    if query.types:
        parts.append("list_contains(?, r.type)")
        values.append(sorted(query.types))
    else:
        parts.append(f"r.type <> '{STATE_TYPE}'")
    return " AND ".join(f"({part})" for part in parts), values
