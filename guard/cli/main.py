"""The `guard` command: every subcommand, exit code 64 for wrong usage, faults as sentences instead of tracebacks."""

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any

import click
import typer
from rich.console import Console
from rich.table import Table

from guard import __version__
from guard.catalogue import ENDPOINTS
from guard.catalogue.page import COLUMNS, row
from guard.cli import audit, keys, policy
from guard.cli.check import check
from guard.cli.demo import demo
from guard.cli.serve import serve
from guard.cli.simulate import simulate
from guard.errors import GuardFault

EXIT_USAGE = 64

app = typer.Typer(
    name="guard",
    help="A policy-enforcing sidecar in front of the FutuOpenD-rs trading daemon.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(rich_help_panel="Run")(serve)
app.command(rich_help_panel="Run")(demo)
app.command(rich_help_panel="Run")(simulate)
app.command(rich_help_panel="Look")(check)
app.add_typer(keys.app, name="keys", help="Make, list, revoke and rotate the callers' keys.", rich_help_panel="Change")
app.add_typer(policy.app, name="policy", help="Check and reload policies.", rich_help_panel="Change")
app.add_typer(audit.app, name="audit", help="Verify, search and follow the record.", rich_help_panel="Look")


def _version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"opend-guard {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel="Look")
def endpoints(as_json: Annotated[bool, typer.Option("--json", help="A list for programs.")] = False) -> None:
    """Show the 68 endpoints: what each does, and which scope it asks."""
    rows = [row(endpoint) for endpoint in ENDPOINTS]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(*COLUMNS, header_style="bold", box=None, pad_edge=False)
    for entry in rows:
        table.add_row(*("-" if entry[name] is None else str(entry[name]) for name in COLUMNS))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def run(command: Callable[..., Any]) -> int:
    """Run a typer application; the exit code, with wrong usage as 64 and faults as one sentence on stderr."""
    try:
        result = command(standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return EXIT_USAGE
    except click.ClickException as error:
        error.show()
        return 1
    except click.exceptions.Abort:
        return 130
    except GuardFault as fault:
        typer.echo(f"guard: {fault}", err=True)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0


def main() -> None:
    """The entry point of the distribution."""
    sys.exit(run(app))
