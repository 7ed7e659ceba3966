"""`guard selftest`: the bypass matrix, where every limit is and on the operator's own configuration."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from guard import logs
from guard.cli import flags
from guard.cli.consoles import of_tables
from guard.cli.consoles import show as show_table
from guard.cli.serve import ready
from guard.cli.sources import AsJson
from guard.selftest import ELSEWHERE, CaseRow, against, drill
from guard.settingsfile import Overrides
from guard.terms import KeyLimits

_COLOURS: Final = {"held": "green", "open": "yellow", "failed": "red"}
_TEXT_MAX: Final = 160


@flags.takes_limits
def selftest(
    *,
    config: flags.Config = None,
    keys: flags.Keys = None,
    policies: flags.Policies = None,
    state: flags.State = None,
    as_json: AsJson = False,
    enable_trading: flags.Trading = None,
    limits: KeyLimits,
    errors: list[str],
) -> None:
    """Try every known way around a limit, on guards that it starts itself.

    First with a configuration that has every limit: there each case must hold.
    Then with yours: your settings and policies, and keys like yours with new
    secrets. It asks the daemon nothing and touches no state directory.

    Exits 0 if all held, 1 otherwise. docs/bypass-matrix.md has the table.
    """
    logs.silence()
    over = Overrides(
        keys=keys,
        policies=policies,
        state=str(state) if state else None,
        enable_trading=enable_trading,
        limits=limits,
    )
    settings = ready(config, over, errors, asks_daemon=False)  # it brings a daemon of its own
    rows = [*asyncio.run(drill()), *asyncio.run(against(settings))]
    if as_json:
        typer.echo(told_as_json(rows))
    else:
        show(rows, of_tables())
    raise typer.Exit(0 if is_ok(rows) else 1)


def is_ok(rows: Sequence[CaseRow]) -> bool:
    """Nothing got through."""
    return all(row.result != "failed" for row in rows)


def told_as_json(rows: Sequence[CaseRow]) -> str:
    """Everything, for programs."""
    told = {"ok": is_ok(rows), "rows": rows, "elsewhere": ELSEWHERE}
    return msgspec.json.format(msgspec.json.encode(told), indent=1).decode()


def show(rows: Sequence[CaseRow], console: Console) -> None:
    """One line a case; then one line a case for all keys of the operator's that it ended alike for."""
    table = Table("case", "result", "on", "what does not get through", box=None, pad_edge=False, header_style="bold")
    for row in (row for row in rows if not row.key):
        told = _plain(row.told or row.sentence)
        table.add_row(row.case, f"[{_COLOURS[row.result]}]{row.result}[/]", "every limit", told)
    alike: dict[tuple[str, str], list[CaseRow]] = {}
    for row in rows:
        if row.key:
            alike.setdefault((row.case, row.result), []).append(row)
    for (case, result), some in alike.items():
        told = some[0].sentence if result == "held" else some[0].told
        table.add_row(case, f"[{_COLOURS[result]}]{result}[/]", ", ".join(row.key for row in some), _plain(told))
    show_table(table, console)
    failed = sum(row.result == "failed" for row in rows)
    console.print(f"{len(rows)} tried, {failed} failed; {len(ELSEWHERE)} shown elsewhere (docs/bypass-matrix.md)")


def _plain(text: str) -> str:
    return text[:_TEXT_MAX].replace("[", "\\[")
