"""`guard init`: from a daemon to a folder that passes `guard check`, in one go.

Finds the daemon and says what it is; takes over the hashes of its callers' keys, so that programs change only their
URL; writes settings, keys and policies; ends with one order allowed and one refused, as a dry run. Nothing is
overwritten, and the folder is written whole or not at all.
"""

import asyncio
import getpass
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from msgspec import Struct
from rich.console import Console

from guard.cli import check, draft
from guard.cli.demo import shipped_policies
from guard.cli.draft import Draft
from guard.cli.probe import ProbeFinding, find_daemon
from guard.cli.rehearsal import Rehearsed, rehearse
from guard.cli.sources import AsJson, StateOption, UnusedConfig
from guard.errors import SettingsFault
from guard.logs import silence
from guard.settingsfile import Overrides, load
from guard.wholefile import why

FILES: Final = ("guard.toml", "keys.json", "policies")
KEY_FILE: Final = "daemon.key"


class InitResult(Struct, frozen=True):
    """What `init` did, for programs. `keys`: the plaintext of the keys that it made, by id."""

    ok: bool
    daemon: str
    files: tuple[str, ...]
    keys: dict[str, str]
    imported: tuple[str, ...]
    findings: tuple[ProbeFinding, ...]
    dry_runs: tuple[Rehearsed, ...]
    next: tuple[str, ...]


def init(
    *,
    folder: Annotated[Path, typer.Argument(readable=False, help="Where the files go.", metavar="DIR")] = Path(),
    keys_from: Annotated[
        Path | None,
        typer.Option("--from", metavar="KEYS", readable=False, help="The daemon's keys.json, or another guard's."),
    ] = None,
    daemon: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The daemon; if left out, it is looked for on ports 22499 and 22222."),
    ] = None,
    daemon_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="File with the key that the guard shows the daemon; else GUARD_DAEMON_KEY.",
        ),
    ] = None,
    owner: Annotated[
        str | None, typer.Option(metavar="NAME", help="The person who owns the operator's key; default: your login.")
    ] = None,
    as_json: AsJson = False,
    config: UnusedConfig = None,
    state: StateOption = None,
) -> None:
    """Set up a guard for a daemon: find it, write settings, keys and policies, and try two orders without sending them.

    With --from, the keys that your programs already use keep working: only
    their URL changes. Overwrites nothing.

    Exits 0 if the folder passes `guard check`, 1 otherwise.
    """
    del config, state
    silence()
    own = draft.daemon_key(daemon_key_file, os.environ.get("GUARD_DAEMON_KEY"))
    names = (*FILES, *((KEY_FILE,) if own and not _is_its_own(daemon_key_file, folder) else ()))
    standing_in_the_way = _there(folder, names)
    if standing_in_the_way:
        raise SettingsFault([f"{path}: is there already; choose another folder" for path in standing_in_the_way])
    url, found = asyncio.run(find_daemon(daemon))
    drafted = draft.draft(url, keys_from=keys_from, own=own, owner=owner or _login())
    _write(folder, drafted, names)
    config = folder / "guard.toml"
    findings = (*found, *drafted.findings, *check.findings(config, Overrides()))
    dry = asyncio.run(rehearse(load(config, Overrides(), {})))
    made = InitResult(
        ok=all(finding.level != "wrong" for finding in findings),
        daemon=url,
        files=tuple(str(folder / name) for name in names),
        keys=drafted.plaintext,
        imported=drafted.imported,
        findings=findings,
        dry_runs=dry,
        next=_next(folder, drafted, findings, silent=url if found[0].level == "weak" else None),
    )
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(made), indent=1))
    else:
        _show(made)
    if not made.ok:
        raise typer.Exit(1)


def _there(folder: Path, names: Sequence[str]) -> list[Path]:
    """What of these is there, links to nowhere too: a rename would put something else in their place."""
    try:
        return [folder / name for name in names if (folder / name).is_symlink() or (folder / name).exists()]
    except OSError as error:
        raise SettingsFault([f"{folder}: cannot be written: {why(error)}"]) from error


def _is_its_own(daemon_key_file: Path | None, folder: Path) -> bool:
    """Whether the key was given in the very file that the folder is to have."""
    return daemon_key_file is not None and daemon_key_file.absolute() == (folder / KEY_FILE).absolute()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # a container's user has a number and often no name
        raise SettingsFault(["--owner: this user has no name; write the person who answers for the key"]) from error


def _write(folder: Path, drafted: Draft, names: Sequence[str]) -> None:
    """Everything into a folder beside it first; then each of the names into its place."""
    placed: list[Path] = []
    beside = folder / ".guard-init"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o700)
        for name, text in drafted.files.items():
            if name in names:  # else it is the daemon's key, in the caller's own file
                path = beside / name
                path.touch(mode=0o644 if name == "guard.toml" else 0o600)
                path.write_text(text, encoding="utf-8")
        shutil.copytree(shipped_policies(), beside / "policies")
        for name in names:
            placed.append(folder / name)
            (beside / name).rename(folder / name)
    except OSError as error:
        for path in filter(Path.exists, placed):
            path.rename(beside / path.name)  # away with the rest: half a folder stood in the way of the next try
        raise SettingsFault([f"{folder}: cannot be written: {why(error)}"]) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _next(folder: Path, drafted: Draft, findings: Sequence[ProbeFinding], *, silent: str | None) -> tuple[str, ...]:
    """What is left to do, in order; `silent`: where no daemon answered."""
    inside = "" if folder == Path() else f"cd {folder} && "
    is_wrong = any(finding.level == "wrong" for finding in findings)
    mend = (f"mend what is wrong above, until this finds nothing wrong: {inside}guard check",) if is_wrong else ()
    start = f"start the daemon, which does not answer at {silent}, or set daemon.url in guard.toml; "
    start += f"until it answers nothing gets through: {inside}guard check"
    return (
        *mend,
        *((start,) if silent else ()),
        *drafted.next,
        f"{inside}guard serve",
        "point your programs at http://127.0.0.1:22500 instead of the daemon",
    )


def _show(made: InitResult) -> None:
    console = Console(highlight=False, soft_wrap=True)
    check.show(made.findings, console)
    console.print(f"\n[bold]Written[/]  {', '.join(made.files)}")
    if made.imported:
        console.print(f"[bold]Taken over[/]  {', '.join(made.imported)}: the plaintext that programs hold still works")
    for name, plaintext in made.keys.items():
        console.print(f"[bold]New key[/]  {name}  {plaintext}   (shown once)", markup=True)
    console.print("\n[bold]Dry run[/]  100 HK.00700 at 300 HKD, against simulated prices; nothing was sent")
    for row in made.dry_runs:
        colour, told = ("green", "allowed") if row.outcome == "allow" else ("yellow", "refused")
        console.print(f"  {row.env:9} [{colour}]{told}[/]  ", end="")
        console.print(f"{row.codes[0]}: {row.why}" if row.codes else "", markup=False)
    console.print("\n[bold]Next[/]")
    for number, step in enumerate(made.next, 1):
        console.print(f"  {number}. {step}", markup=False)
