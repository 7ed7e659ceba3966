"""The `guard` command with every subcommand."""

import json
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import typer
from rich.table import Table

from guard.catalogue import ENDPOINTS
from guard.catalogue.page import COLUMNS
from guard.catalogue.page import row as row_of
from guard.cli import audit, keys, policy
from guard.cli.check import check
from guard.cli.consoles import fits, of_tables, show
from guard.cli.demo import demo
from guard.cli.explain import explain, me
from guard.cli.init import init
from guard.cli.running import root, run
from guard.cli.selftest import selftest
from guard.cli.serve import serve
from guard.cli.settle import settle
from guard.cli.simulate import simulate
from guard.cli.sources import AsJson, StateOption, UnusedConfig

app = root()
app.command(rich_help_panel="Run")(serve)
app.command(rich_help_panel="Run")(init)
app.command(rich_help_panel="Run")(demo)
app.command(rich_help_panel="Run")(simulate)
app.command(rich_help_panel="Look")(check)
app.command(rich_help_panel="Look")(selftest)
app.command(rich_help_panel="Change")(settle)
app.command(rich_help_panel="Look")(explain)
app.command(rich_help_panel="Look")(me)
app.add_typer(keys.app, name="keys", help="Make, list, revoke and rotate the callers' keys.", rich_help_panel="Change")
app.add_typer(
    policy.app,
    name="policy",
    help="Check, test, compare, replay and reload policies; suggest limits.",
    rich_help_panel="Change",
)
app.add_typer(audit.app, name="audit", help="Verify, prove, search and follow the record.", rich_help_panel="Look")


@app.command(rich_help_panel="Look")
def endpoints(
    as_json: AsJson = False,
    config: UnusedConfig = None,
    state: StateOption = None,
) -> None:
    """List the 68 endpoints: what each does, and which scope it needs."""
    del config, state
    rows = [row_of(endpoint) for endpoint in ENDPOINTS]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    console = of_tables()
    table = Table(*COLUMNS, header_style="bold", box=None, pad_edge=False)
    for entry in rows:
        table.add_row(*("-" if entry[name] is None else str(entry[name]) for name in COLUMNS))
    show(table if fits(console, table) else narrow(rows), console)


def narrow(rows: Sequence[Mapping[str, object]]) -> Table:
    """What fits 80 columns: without proto_id and record, and the scope that is really asked for where it is another."""
    table = Table("method", "path", "effect", "scope", header_style="bold", box=None, pad_edge=False)
    for group, members in groupby(rows, key=itemgetter("group")):
        table.add_row("", f"[bold]{group}[/]")
        for row in members:
            really = "" if row["scope"] == row["runtime_scope"] else f", really {row['runtime_scope']}"
            table.add_row(str(row["method"]), str(row["path"]), str(row["effect"]), f"{row['scope']}{really}")
    table.caption = "proto_id and record: on a wider terminal, in a file, or with --json"
    table.caption_justify = "left"
    return table


def main() -> None:
    """The command, with the words of the call; `guard.cli.entry` begins here."""
    sys.exit(run(app, sys.argv[1:]))
