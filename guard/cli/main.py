"""The `guard` command: every subcommand, exit code 64 for wrong usage, faults as sentences instead of tracebacks."""

import errno
import json
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from guard import __version__
from guard.catalogue import ENDPOINTS
from guard.catalogue.page import COLUMNS, row
from guard.cli import audit, keys, policy
from guard.cli.check import check
from guard.cli.consoles import show
from guard.cli.demo import demo
from guard.cli.explain import explain, me
from guard.cli.init import init
from guard.cli.selftest import selftest
from guard.cli.serve import serve
from guard.cli.settle import settle
from guard.cli.simulate import simulate
from guard.cli.sources import AsJson, StateOption, UnusedConfig
from guard.errors import GuardFault
from guard.serving.handover import sentences, tell
from guard.wholefile import why

EXIT_USAGE: Final = 64
EXIT_INTERRUPTED: Final = 130
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_JSON: Final = "--json"
_TYPER_USAGE: Final = 2  # what typer itself would exit with

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
def endpoints(
    as_json: AsJson = False,
    config: UnusedConfig = None,
    state: StateOption = None,
) -> None:
    """Show the 68 endpoints: what each does, and which scope it asks."""
    del config, state
    rows = [row(endpoint) for endpoint in ENDPOINTS]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(*COLUMNS, header_style="bold", box=None, pad_edge=False)
    for entry in rows:
        table.add_row(*("-" if entry[name] is None else str(entry[name]) for name in COLUMNS))
    show(table)


def run(command: Callable[..., Any], words: Sequence[str] = ()) -> int:
    """Run a typer application; the exit code, with wrong usage as 64 and faults as sentences on stderr.

    Among the `words` of the call `--json` has them told to programs too, on standard output.
    """
    try:
        result = command(list(words), standalone_mode=False)
    except typer.TyperException as error:
        return _misused(error)
    except typer.Abort:
        return EXIT_INTERRUPTED
    except GuardFault as fault:
        if _JSON in words:
            typer.echo(json.dumps({"ok": False, "errors": sentences(fault)}, ensure_ascii=False))
        tell(fault)
        return 1
    except OSError as error:
        if error.filename is not None or error.errno not in _FULL:
            raise
        typer.echo(f"guard: standard output: cannot be written: {why(error)}", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _misused(error: typer.TyperException) -> int:
    """Wrong usage in a sentence or two; a call without any words has printed the help already."""
    message, context = error.format_message().replace(": Value error, ", ": "), getattr(error, "ctx", None)
    if message:
        typer.echo(f"guard: {message}", err=True)
        if context is not None:
            typer.echo(f"Try: {context.command_path} --help", err=True)
    return EXIT_USAGE if error.exit_code == _TYPER_USAGE else 1


def main() -> None:
    """The command, with the words of the call; `guard.cli.entry` begins here."""
    sys.exit(run(app, sys.argv[1:]))
