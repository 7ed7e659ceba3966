"""`guard audit`: search the record, follow it, export it; verifying and proving it are told in `proof`.

Reads the files only, so it works while the guard runs, after a crash, and on a copy. Answers go to stdout, remarks to
stderr.
"""

import time
from collections import deque
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, NoReturn

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from guard.audit.engine import INSTALL, Engine, NoEngine
from guard.audit.export import FORMATS, ExportRequest, export
from guard.audit.find import Found, find
from guard.audit.rows import RecordRow, row
from guard.cli.consoles import fits, of_tables, put
from guard.cli.progress import progress
from guard.cli.proof import prove_record, rotate_key, verify_record, write_verifier
from guard.cli.report import report_record
from guard.cli.sources import AsJson
from guard.cli.statedir import Config, State, directory
from guard.cli.times import Since, Until, since_until
from guard.codes import Code
from guard.errors import JournalFault
from guard.journal.entries import RECORDS
from guard.journal.search import FoundRecord, Query, RecordReader, follow, search
from guard.markets import whole_code

OUTCOMES: Final = ("allow", "refuse", "accepted", "refused", "unknown", "not_sent")
_HEADS: Final = ("time (UTC)", *RecordRow._fields[1:])
_PAUSE_S: Final = 0.2
_SLOW_S: Final = 2.0  # a search that took longer says how to have it faster

app = typer.Typer(no_args_is_help=True)

app.command("verify")(verify_record)
app.command("prove")(prove_record)
app.command("rotate-key")(rotate_key)
app.command("report")(report_record)


@app.command("search")
def search_record(
    *,
    since: Since = None,
    until: Until = None,
    key: Annotated[str | None, typer.Option(help="Key id; NAME means NAME@2 and so on, too.")] = None,
    decision: Annotated[str | None, typer.Option(help="A decision and every record that belongs to it.")] = None,
    order: Annotated[
        str | None, typer.Option(help="One of the daemon's order ids, and every record that belongs to it.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="HK.00700")] = None,
    code: Annotated[str | None, typer.Option(help="Refusal code, primary or not.")] = None,
    policy: Annotated[str | None, typer.Option(help="Policy that gave a reason, in shadow mode too.")] = None,
    outcome: Annotated[str | None, typer.Option(help="allow, refuse, accepted, refused, unknown, not_sent.")] = None,
    min_value: Annotated[
        str | None, typer.Option(help="Orders worth that much or more: 100000, or 100000 HKD.")
    ] = None,
    max_value: Annotated[str | None, typer.Option(help="Orders worth that much or less.")] = None,
    types: Annotated[list[str] | None, typer.Option("--type", help="Type of record; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most this many of the latest; 0 means all.")] = 50,
    state: State = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Find records; --json prints the lines exactly as written."""
    _known("--code", code, tuple(Code))
    _known("--outcome", outcome, OUTCOMES)
    for name in types or ():
        _known("--type", name, tuple(RECORDS))
    least, currency = _amount("--min-value", min_value)
    most, other = _amount("--max-value", max_value)
    if currency and other and currency != other:
        _refuse("--max-value", f"is in {other}, and --min-value in {currency}")
    if least is not None and most is not None and most < least:
        _refuse("--max-value", f"{max_value!r} is less than --min-value {min_value!r}")
    _whole_symbol(symbol)
    begins, ends = since_until(since, until)
    query = Query(
        since=begins,
        until=ends,
        types=frozenset(types or ()),
        key=key,
        decision=decision,
        order=order,
        symbol=symbol,
        code=code,
        policy=policy,
        outcome=outcome,
        min_value=least,
        max_value=most,
        currency=currency or other,
    )
    found = _found(directory(state, config), query, limit=limit)
    if as_json:
        for record in found.records:  # one after the other: a whole year fits no memory
            _write(record.line.raw)
    elif found.total:
        _print(found.records)
    if not found.total:
        typer.echo("no record matches", err=True)
    if 0 < limit < found.total:
        typer.echo(f"the last {limit} of {found.total} records; --limit 0 shows all", err=True)
    _tell_skipped(found.skipped)


def _known(name: str, word: str | None, words: tuple[str, ...]) -> None:
    """A mistyped word must not look like a record in which there is nothing."""
    if word is not None and word not in words:
        near = get_close_matches(word, words, n=1)
        hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(words)}"
        _refuse(name, f"there is no {word!r}; {hint}")


def _whole_symbol(symbol: str | None) -> None:
    """As records have it: with its market, and a Hong Kong code with all its digits."""
    market, dot, code = (symbol or "HK.00700").upper().partition(".")
    if not market or not dot or not code:
        _refuse("--symbol", f"{symbol!r} lacks its market; write HK.00700, US.AAPL")
    whole = whole_code(market, code)
    if whole != code:
        _refuse("--symbol", f"there is no {symbol!r}; did you mean {market}.{whole}?")


def _found(state: Path, query: Query, *, limit: int) -> Found:
    """By DuckDB where it is installed and can read the record, else by reading every line here."""
    try:
        with progress("searching") as bar, Engine(bar) as engine:
            return find(engine, state, query, limit=limit)
    except NoEngine as why:
        reader, started_s = RecordReader(), time.monotonic()
        kept, total = deque[FoundRecord](maxlen=limit or None), 0
        for record in search(state, query, reader=reader):
            total += 1
            kept.append(record)
        if why.is_missing and time.monotonic() - started_s > _SLOW_S:
            typer.echo(f"(it took {time.monotonic() - started_s:.0f} s; faster, and with export: {INSTALL})", err=True)
        return Found(iter(kept), total, reader.skipped)


@app.command("export")
def export_record(
    *,
    out: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="Ends with .csv, .jsonl or .parquet.")],
    since: Since = None,
    until: Until = None,
    state: State = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Export the record as a table: CSV, JSON lines or Parquet, with a verifier script beside it.

    docs/record-columns.md lists the columns and types, which do not change.
    Each row holds its line as it was written. Needs DuckDB.
    """
    as_ = FORMATS.get(out.suffix.lower())
    if as_ is None:
        _refuse("FILE", f"{out.name}: the name ends with {', '.join(FORMATS)}")
    wanted = ExportRequest(directory(state, config), out, as_, *since_until(since, until))
    with progress("exporting") as bar, Engine(bar) as engine:
        count = export(engine, wanted)
    script = write_verifier(out.parent)
    if as_json:
        told = {"file": str(out), "records": count, "format": as_, "verifier": str(script)}
        typer.echo(msgspec.json.encode(told))
    else:
        typer.echo(
            f"{out}: {count} records; {script} checks the record itself, or a proof from it, with its verifier key"
        )


@app.command("tail")
def tail_record(
    *,
    last: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the latest records.")] = 20,
    is_following: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep printing new records; Ctrl-C ends.")
    ] = False,
    state: State = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the last records; --json prints the lines exactly as written."""
    reader = RecordReader()

    def pause() -> bool:
        if is_following:
            time.sleep(_PAUSE_S)
        return is_following

    def emit(record: FoundRecord) -> None:
        try:
            _write(record.line.raw) if as_json else typer.echo(_line(row(record)))
        except BrokenPipeError:  # whoever reads has seen enough; it is not the record that cannot be read
            raise typer.Exit(1) from None
        except OSError as error:
            raise JournalFault(f"standard output: cannot be written: {error.strerror}") from error

    try:
        follow(directory(state, config), last=last, reader=reader, emit=emit, pause=pause)
    except KeyboardInterrupt:
        raise typer.Exit from None
    _tell_skipped(reader.skipped)


def _refuse(name: str, message: str) -> NoReturn:
    raise typer.BadParameter(message, param_hint=name)


def _amount(name: str, text: str | None) -> tuple[Decimal | None, str | None]:
    """An amount such as 100000 HKD, and its currency where there is one."""
    if text is None:
        return None, None
    amount, _, currency = text.strip().partition(" ")
    try:
        found = Decimal(amount.replace(",", ""))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        _refuse(name, f"{text!r} is no amount; write 100000, or 100000 HKD")
    return found, currency.strip().upper() or None


def _print(records: Iterable[FoundRecord]) -> None:
    """A table; where the terminal is too narrow for it, the lines of `tail`."""
    console, rows = of_tables(), [row(record) for record in records]
    table = Table(*_HEADS, header_style="bold", box=None, pad_edge=False)
    for one in rows:
        table.add_row(*map(Text, one))
    if fits(console, table):
        put(table, console)
    else:
        typer.echo("\n".join(map(_line, rows)))


def _line(one: RecordRow) -> str:
    return "  ".join(part for part in one if part)


def _write(line: bytes) -> None:
    """The line byte for byte, so that its hash can be taken again."""
    typer.echo(line)


def _tell_skipped(lines: int) -> None:
    if lines:
        typer.echo(f"{lines} lines could not be read: guard audit verify", err=True)
