"""How every command is run: exit code 64 for wrong usage, faults as sentences instead of tracebacks."""

import errno
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import typer

from guard import __version__
from guard.errors import GuardFault
from guard.serving.handover import sentences, tell
from guard.wholefile import why

EXIT_USAGE: Final = 64
EXIT_INTERRUPTED: Final = 130
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_JSON: Final = "--json"
_TYPER_USAGE: Final = 2  # what typer itself would exit with


def root() -> typer.Typer:
    """The `guard` command, as yet without subcommands."""
    app = typer.Typer(
        name="guard",
        help="A policy-enforcing proxy in front of the FutuOpenD-rs trading daemon.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    return app


def _version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"opend-guard {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


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
