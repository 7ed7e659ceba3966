"""`guard audit`: search the record, follow it; verifying and proving it are told in `proof`.

Reads the files only, so it works while the guard runs, after a crash, and on a copy. Answers go to stdout, remarks to
stderr.
"""

import sys
import time
from collections import deque
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guard.cli.proof import prove_record, rotate_key, verify_record
from guard.cli.statedir import AsJson, Config, State, directory
from guard.clock import SystemClock
from guard.journal.search import Query, Row, View, Views, follow, moment, row, search

_PAUSE_S: Final = 0.2
_WIDTH: Final = 200  # columns where the output is no terminal

app = typer.Typer(no_args_is_help=True)

app.command("verify")(verify_record)
app.command("prove")(prove_record)
app.command("rotate-key")(rotate_key)


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
    for view in search(directory(state, config), query, views=views):
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
        follow(directory(state, config), last=last, views=views, emit=emit, pause=pause)
    except KeyboardInterrupt:
        raise typer.Exit from None
    _tell_skipped(views)


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
