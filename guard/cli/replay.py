"""`guard policy replay`: the recorded past decided again, by the policies of the day or by those of a directory.

Reads the state directory only, so it works while the guard runs, and on a copy. Exit 0; 1 where the policies are wrong,
or the record does not come out as it is or cannot be decided again; 3 where these policies would have let something
through that was refused.
"""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from guard.cli.consoles import of_tables, show
from guard.cli.sources import AsJson
from guard.cli.statedir import Config, State, directory
from guard.cli.times import WHEN, moment_of
from guard.clock import SystemClock
from guard.errors import SettingsFault
from guard.policy import PolicyDoc
from guard.policyfiles import read_docs
from guard.replay import Options, Replay, replayed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.replay.past import Tell

LOOSER: Final = 3
SHOWN_MAX: Final = 20


def replay(
    *,
    since: Annotated[str, typer.Option(help=f"{WHEN} ago.")],
    policies: Annotated[
        Path | None,
        typer.Option(
            "--policies", readable=False, help="Decide under these instead; without them the record itself is checked."
        ),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Likewise; exclusive.")] = None,
    state: State = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Decide the recorded past again: what would these policies have refused, and what would they have allowed?"""
    options = Options(
        since=moment_of("--since", since),
        until=None if until is None else moment_of("--until", until),
        docs=None if policies is None else _docs(policies),
    )
    with _bar(is_shown=not as_json) as tell:
        found = replayed(directory(state, config), options, now=SystemClock().wall(), tell=tell)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found.told()), indent=2).decode())
    else:
        _show(found, is_compared=policies is not None)
    if found.newly_allowed:
        raise typer.Exit(LOOSER)
    if found.unlike or found.is_empty:
        raise typer.Exit(1)


def _docs(place: Path) -> list[PolicyDoc]:
    docs, errors = read_docs(place)
    if errors:
        raise SettingsFault([str(error) for error in errors])
    for doc in docs:
        if doc.policy.mode == "shadow":
            hint = 'mode = "enforce" in a copy decides by it'
            typer.echo(f"guard: {doc.file}: {doc.id} is in shadow and refuses nothing; {hint}", err=True)
    return docs


@contextmanager
def _bar(*, is_shown: bool) -> "Iterator[Tell]":
    console = Console(stderr=True)
    columns = (TextColumn("replay"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not (is_shown and console.is_terminal)) as bar:
        task = bar.add_task("replay", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(found: Replay, *, is_compared: bool) -> None:
    console = of_tables()
    console.print(found.headline)
    for broken in found.broken[:SHOWN_MAX]:
        console.print(f"  [red]{broken.decision}[/] {broken.ts}: {escape(broken.recorded)} → {escape(broken.replayed)}")
    for why, times in found.left_out.most_common():
        console.print(f"{times} not replayed: {escape(why)}")
    for note in sorted(found.notes):
        console.print(f"note: {escape(note)}")
    if not is_compared:
        return
    if found.groups:
        table = Table("", "policy", "rule", "key", "symbol", "certain", "path-dependent", box=None, pad_edge=False)
        for group, count in sorted(found.groups.items()):
            cells = (group.kind.replace("_", " "), group.policy, group.rule, group.key, group.symbol)
            table.add_row(*map(escape, cells), str(count.certain), str(count.path_dependent))
        show(table, console)
    for one in found.differences[:SHOWN_MAX]:
        word = "certain" if one.certain else "path-dependent"
        told = f"{one.ts} {one.decision} {one.key} {one.symbol}: {one.kind.replace('_', ' ')}, {word}: {one.message}"
        console.print(escape(told))
    if found.is_empty:
        console.print("these policies were held against nothing: what they would let through is not known")
    else:
        console.print(f"{found.newly_refused} newly refused, {found.newly_allowed} newly allowed")
