"""`guard policy suggest`: limits from real use, as policies in shadow, and the past orders they would have refused.

Reads the state directory only. Prints the files, or writes them into `--out`; exit 1 where nothing was traded.
"""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from guard.cli.sources import AsJson, print_json
from guard.cli.statedir import Config, State, directory
from guard.cli.times import WHEN, moment_of
from guard.clock import SystemClock
from guard.replay.suggested import Suggestion, suggested

SHOWN_MAX: Final = 20


def suggest(
    *,
    since: Annotated[str, typer.Option(help=f"The start of the use to look at: {WHEN} ago.")],
    keys: Annotated[str, typer.Option(help="Only these keys, separated by commas.")] = "",
    out: Annotated[Path | None, typer.Option(readable=False, help="Write the files here; overwrites nothing.")] = None,
    state: State = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Suggest limits from what was really traded, with percentiles, and show what they would have refused."""
    now = SystemClock().wall()
    wanted = frozenset(filter(None, keys.split(",")))
    found = suggested(directory(state, config), since=moment_of("--since", since), keys=wanted, now=now)
    if as_json:
        print_json(found)
    else:
        _show(found, out)
    if not found:
        typer.echo("guard: no order was let through since then", err=True)
        raise typer.Exit(1)


def _show(found: tuple[Suggestion, ...], out: Path | None) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for one in found:
        if out is None:
            typer.echo(f"# ---- {one.file}\n{one.text}")
        else:
            _write(out / one.file, one.text)
        console.print(f"{one.file}: would have refused {len(one.refused)} of {one.orders}")
        for past in one.refused[:SHOWN_MAX]:
            told = f"{past.ts} {past.decision} {past.key} {past.symbol}: {past.message}"
            console.print(f"  {escape(told)}{'' if past.certain else ' (depends on the path)'}")
        if len(one.refused) > SHOWN_MAX:
            console.print(f"  and {len(one.refused) - SHOWN_MAX} more")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(path, text)
    except OSError as error:
        typer.echo(f"guard: {path}: not written: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"wrote {path}")


def _write_new(path: Path, text: str) -> None:
    """Whole, or not at all: half a policy may load, and be another one."""
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise
