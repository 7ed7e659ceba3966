"""`guard audit`: verify the record's chain, search it, follow it.

Reads the files only, so it works while the guard runs, after a crash, and on a copy. Exit codes of `verify`: 0 ok ·
1 edited · 3 cannot verify · 4 torn tail. Answers go to stdout, remarks to stderr.
"""

import sys
import time
from collections import deque
from pathlib import Path
from typing import Annotated, Final, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guard.clock import SystemClock
from guard.errors import GuardFault, SettingsFault
from guard.journal import read_lines
from guard.journal.chain import Verified, verify
from guard.journal.search import Query, Row, View, Views, follow, moment, row, search
from guard.settings import parse_settings

EDITED: Final = 1
CANNOT_VERIFY: Final = 3
TORN: Final = 4
_PAUSE_S: Final = 0.2
_TORN_LOOKS: Final = 5  # a line that is being written is whole after one pause; a torn one stays so
_TORN_PAUSE_S: Final = 0.02
_WIDTH: Final = 200  # columns where the output is no terminal
_LIMITS: Final = "edits of the last record, and records cut off at the end, do not show in a chain of hashes"

app = typer.Typer(no_args_is_help=True)

State = Annotated[
    Path | None, typer.Option("--state", envvar="GUARD_STATE", help="The state directory (else the settings').")
]
Config = Annotated[Path | None, typer.Option("--config", help="The settings file (else guard.toml where it exists).")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


class Report(msgspec.Struct, frozen=True):
    """What `verify --json` prints. `head` is the SHA-256 of the last good record; keep it elsewhere and compare."""

    result: str
    records: int
    head: str
    first_bad_seq: int | None
    message: str
    first_ts: str | None = None
    last_ts: str | None = None


@app.command("verify")
def verify_record(state: State = None, config: Config = None, as_json: AsJson = False) -> None:
    """Check that nobody edited, removed, added or moved a record.

    Exits 0 if the chain is whole, 1 if it was edited (with the first bad seq), 3 if it cannot be verified, 4 if only
    the last line is torn, as a crash leaves it.
    """
    try:
        report, code = _judge(verify(read_lines(_directory(state, config), wait=_Patience())))
    except GuardFault as fault:
        report, code = Report("cannot_verify", 0, "", None, str(fault)), CANNOT_VERIFY
    if as_json:
        typer.echo(msgspec.json.encode(report))
    else:
        typer.echo(report.message, err=code == CANNOT_VERIFY)
    raise typer.Exit(code)


@app.command("search")
def search_record(
    since: Annotated[str | None, typer.Option(help="2026-11-22, 2026-11-22T09:30:00Z, or 15m, 2h, 7d ago.")] = None,
    until: Annotated[str | None, typer.Option(help="The same; this moment itself is left out.")] = None,
    key: Annotated[str | None, typer.Option(help="Key id.")] = None,
    decision: Annotated[str | None, typer.Option(help="A decision and all that belongs to it.")] = None,
    order: Annotated[str | None, typer.Option(help="An order id of the daemon's, and all that belongs to it.")] = None,
    symbol: Annotated[str | None, typer.Option(help="HK.00700")] = None,
    code: Annotated[str | None, typer.Option(help="Refusal code, primary or not.")] = None,
    outcome: Annotated[str | None, typer.Option(help="allow, refuse, accepted, refused, unknown, not_sent.")] = None,
    types: Annotated[list[str] | None, typer.Option("--type", help="Type of record; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="The last so many; 0 is all.")] = 50,
    state: State = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Find records; --json prints the lines as they are written."""
    query = Query(
        since=_moment("--since", since),
        until=_moment("--until", until),
        types=frozenset(types or ()),
        key=key,
        decision=decision,
        order=order,
        symbol=symbol,
        code=code,
        outcome=outcome,
    )
    views = Views()
    found, total = deque[View](maxlen=limit or None), 0
    for view in search(_directory(state, config), query, views=views):
        total += 1
        if as_json and limit == 0:
            _write(view.line.raw)  # a whole year fits no memory
        else:
            found.append(view)
    _print(found, as_json=as_json)
    if 0 < limit < total:
        typer.echo(f"the last {len(found)} of {total} records; --limit 0 shows all", err=True)
    _tell_skipped(views)


@app.command("tail")
def tail_record(
    last: Annotated[int, typer.Option("-n", "--lines", min=0, help="The last so many records.")] = 20,
    is_following: Annotated[bool, typer.Option("--follow", "-f", help="Go on as records come; Ctrl-C ends.")] = False,
    state: State = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the last records; --json prints the lines as they are written."""
    views = Views()

    def pause() -> bool:
        if is_following:
            time.sleep(_PAUSE_S)
        return is_following

    def emit(view: View) -> None:
        _write(view.line.raw) if as_json else typer.echo("  ".join(part for part in row(view) if part))

    try:
        follow(_directory(state, config), last=last, views=views, emit=emit, pause=pause)
    except KeyboardInterrupt:
        raise typer.Exit from None
    _tell_skipped(views)


class _Patience:
    """At the end of the record: looks again a few times while the last line is still being written."""

    def __init__(self) -> None:
        self._looks_left = _TORN_LOOKS

    def __call__(self, is_torn: bool) -> bool:
        self._looks_left -= 1
        if not is_torn or self._looks_left < 0:
            return False
        time.sleep(_TORN_PAUSE_S)
        return True


def _judge(found: Verified) -> tuple[Report, int]:
    records, fault = found.head.seq, found.fault
    span = {"first_ts": found.first_ts, "last_ts": found.last_ts}
    if fault is None:
        message = f"ok: {records} records, {found.first_ts} to {found.last_ts}, head {found.head.hash}\n({_LIMITS})"
        return Report("ok", records, found.head.hash, None, message, **span), 0
    if fault.is_torn:
        message = f"torn tail: after {records} good records the last line is not whole; the next start sets it aside"
        return Report("torn", records, found.head.hash, fault.seq, message, **span), TORN
    message = f"EDITED: {fault}; first bad seq {fault.seq}"
    return Report("edited", records, found.head.hash, fault.seq, message, **span), EDITED


def _directory(state: Path | None, config: Path | None) -> Path:
    if state is not None:
        return state
    path = config or Path("guard.toml")
    try:
        text = path.read_text(encoding="utf-8") if config is not None or path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsFault([f"{path}: cannot be read: {error}"]) from error
    settings, errors = parse_settings(text, origin=str(path), root=str(path.parent.absolute()))
    if errors:
        raise SettingsFault(errors)
    return settings.path(settings.state.dir)


def _moment(name: str, text: str | None) -> str | None:
    try:
        return None if text is None else moment(text, now=SystemClock().wall())
    except (ValueError, OverflowError):
        _refuse(name, f"{text!r} is no time; write 2026-11-22, 2026-11-22T09:30:00Z, or 15m, 2h, 7d")


def _refuse(name: str, message: str) -> NoReturn:
    raise typer.BadParameter(message, param_hint=name)


def _print(views: deque[View], *, as_json: bool) -> None:
    if as_json:
        for view in views:
            _write(view.line.raw)
        return
    table = Table(*Row._fields, header_style="bold", box=None, pad_edge=False)
    for view in views:
        table.add_row(*(Text(part) for part in row(view)))
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)


def _write(line: bytes) -> None:
    """The line byte for byte, so that its hash can be taken again."""
    typer.echo(line)


def _tell_skipped(views: Views) -> None:
    if views.skipped:
        typer.echo(f"{views.skipped} lines could not be read: guard audit verify", err=True)
