"""`guard check`: whether a start would work, what is weak, and what the daemon is. Changes nothing.

Takes the settings, flags and variables that `guard serve` takes, and tells everything at once; exit 1 if anything of it
is wrong, 0 otherwise.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import jiter
import typer
from rich.console import Console

from guard.access import Keyring, keyfile
from guard.access.parse import parse_keys
from guard.access.records import keyring as keyring_of
from guard.activeconfig import build_policies
from guard.admin.weakened import weakened, weakened_by_keys
from guard.certificate import certificate_of
from guard.cli import flags
from guard.cli.draft import lacking_scopes
from guard.cli.probe import ProbeFinding, ask_daemon, told_as_json
from guard.cli.serve import unusable
from guard.cli.sources import AsJson
from guard.clock import SystemClock
from guard.errors import SettingsFault
from guard.filemark import REPLACED, is_replaced
from guard.journal.statedir import journal_dir
from guard.policyfiles import read_docs
from guard.settings import Settings
from guard.settingsfile import Overrides
from guard.terms import KeyLimits
from guard.wholefile import read_given, why

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_COLOURS: Final = {"ok": "green", "weak": "yellow", "wrong": "red"}
_OTHERS: Final = 0o066  # as the state directory itself is judged at start
_ANYBODY: Final = 0o007


@flags.takes_limits
def check(
    *,
    config: flags.Config = None,
    listen: flags.Listen = None,
    ops: flags.Ops = None,
    daemon: flags.DaemonUrl = None,
    keys: flags.Keys = None,
    policies: flags.Policies = None,
    state: flags.State = None,
    daemon_keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="The daemon's own keys.json: no key may be in both.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    enable_trading: flags.Trading = None,
    limits: KeyLimits,
    errors: list[str],
) -> None:
    """List everything that is wrong or weak before a start, and describe the daemon.

    Looks at settings, keys, policies and the state directory, at the daemon's
    mode, at what the guard's key may read there, and at the daemon's other ports.
    Takes the flags and variables of `guard serve`. Changes nothing.

    Exits 0 if nothing is wrong (weak is not wrong), 1 otherwise.
    """
    over = Overrides(listen, ops, daemon, keys, policies, state, enable_trading, limits)
    found = findings(config, over, errors, daemon_keys=daemon_keys)
    if as_json:
        typer.echo(told_as_json(found))
    else:
        show(found, Console(highlight=False, soft_wrap=True))
    raise typer.Exit(1 if any(finding.level == "wrong" for finding in found) else 0)


def findings(
    config: Path | None, over: Overrides, errors: Sequence[str] = (), *, daemon_keys: Path | None = None
) -> list[ProbeFinding]:
    """Everything there is to say. Of what a part of the settings file that cannot be read names, nothing."""
    reading, path = flags.read(config, over), config or Path("guard.toml")
    settings, errors = reading.settings, [*errors, *reading.errors]
    with suppress(OSError):  # it is not there, which may be so, or not to be looked at, which is told
        errors += [f"{path}: {REPLACED}"] if is_replaced(path) else []
    errors += unusable(reading, told=errors)
    found = [ProbeFinding("wrong", error) for error in errors]
    found += [ProbeFinding("weak", sentence) for sentence in flags.misspelt(os.environ)]
    if reading.unread:
        return found
    if not reading.errors:
        found += [ProbeFinding("ok", "settings"), *(ProbeFinding("weak", sentence) for sentence in weakened(settings))]
    found += [*_files(settings, daemon_keys), *([] if reading.errors else asyncio.run(ask_daemon(settings)))]
    return list(dict.fromkeys(found))  # an address that cannot be used is met twice, on the way to the daemon too


def show(found: Sequence[ProbeFinding], console: Console) -> None:
    """The findings for people, a line each."""
    for finding in found:
        console.print(f"[{_COLOURS[finding.level]}]{finding.level:>5}[/]  ", end="")
        console.print(finding.what, markup=False)


def _files(settings: Settings, daemon_keys: Path | None) -> list[ProbeFinding]:
    found: list[ProbeFinding] = []
    keyring: Keyring | None = None
    try:
        keyring = keyfile.load(settings.path(settings.keys.file))
    except SettingsFault:
        pass  # told already, with everything else that a start needs
    else:
        found.append(ProbeFinding("ok", f"{settings.keys.file}: {_count(len(keyring.records), 'key')}"))
        found += _disabled(settings.keys.file, keyring)
        found += [ProbeFinding("weak", sentence) for sentence in weakened_by_keys(settings, keyring)]
        if daemon_keys is not None:
            found.append(_shared(daemon_keys, frozenset(keyring.by_digest)))
            found += _own_scopes(daemon_keys, settings.daemon_key, keyring)
    return [*found, *_policies(settings, keyring), *_state(settings), *_secrets(settings), *_certificate(settings)]


def _disabled(file: str, keyring: Keyring) -> list[ProbeFinding]:
    """The keys that a file brought from the daemon ties to machines: their programs would only ever read 401."""
    ids = ", ".join(record.id for record in keyring.records if record.is_disabled)
    why = "disabled by allowed_machines, which the guard cannot verify: take the field away, or the key"
    return [ProbeFinding("weak", f"{file}: {ids}: {why}")] if ids else []


def _policies(settings: Settings, keyring: Keyring | None) -> list[ProbeFinding]:
    directory = settings.path(settings.policies.dir)
    docs, wrong = read_docs(directory)
    built = build_policies(settings, keyring or keyring_of(()), docs, now=SystemClock().wall())
    found = built if isinstance(built, list) else []
    problems = [*wrong, *(problem for problem in found if problem.path != "keys.tz")]  # told with the settings
    if problems or isinstance(built, list):
        places = ("" if problem.file == str(directory) else f"{settings.policies.dir}/" for problem in problems)
        return [ProbeFinding("wrong", f"{place}{problem}") for place, problem in zip(places, problems, strict=True)]
    warnings = built.warnings if keyring is not None else ()
    summary = ProbeFinding("ok", f"{settings.policies.dir}: {_count(len(docs), 'policy')}, sha256 {built.sha256}")
    if not docs and settings.policies.require_cover:
        warnings = (*warnings, "no policies: trades that no key's own limit covers are refused no_policy")
    return [summary, *(ProbeFinding("weak", sentence) for sentence in warnings)]


def _count(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("cy") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def _state(settings: Settings) -> list[ProbeFinding]:
    directory = settings.path(settings.state.dir)
    try:
        directory.stat()
    except FileNotFoundError:
        return [ProbeFinding("ok", f"{settings.state.dir}: will be made, mode 0700")]
    except OSError as error:  # in a folder that is open to the guard's user alone, as the shipped unit has it made
        what = f"{directory}: cannot be looked at: {why(error)}; check as the user that the guard runs as"
        return [ProbeFinding("wrong", what)]
    for place in (directory, journal_dir(directory)):
        if place.exists() and not place.is_dir():
            return [ProbeFinding("wrong", f"{place}: is no directory")]
        mode = place.stat().st_mode & 0o777 if place.exists() else 0
        if mode & _OTHERS:
            return [ProbeFinding("wrong", f"{place}: mode {mode:04o} lets others read or write it: chmod 700 {place}")]
        if place.exists() and not os.access(place, os.W_OK | os.X_OK):
            what = (
                f"{place}: uid {os.geteuid()} cannot write there: the file system is read-only, or another user's guard"
            )
            return [ProbeFinding("wrong", f"{what} owns it; check as the user that the guard runs as")]
    halt = directory / "HALT"
    is_halted = halt.is_symlink() or halt.exists()  # a link to nowhere halts, too
    told = [ProbeFinding("weak", f"{halt}: is there: reads and cancels only")] if is_halted else []
    return [ProbeFinding("ok", f"{settings.state.dir}: is the guard's own"), *told]


def _secrets(settings: Settings) -> list[ProbeFinding]:
    """Files that hold a key of the daemon's should be nobody else's to read."""
    found = []
    for name in (settings.daemon.key_file, settings.daemon.public_key_file):
        path = settings.path(name) if name else None
        with suppress(OSError):  # told with the settings
            if path is not None and path.is_file() and path.stat().st_mode & _ANYBODY:
                found.append(ProbeFinding("weak", f"{name}: everybody on this machine may read it: chmod 600 {path}"))
    return found


def _certificate(settings: Settings) -> list[ProbeFinding]:
    try:
        found = certificate_of(settings)
    except SettingsFault:
        return []  # told already, with everything else that a start needs
    if found is None:
        return []
    weak = [ProbeFinding("weak", sentence) for sentence in found.concerns()]
    return weak or [ProbeFinding("ok", f"listen.tls_cert: valid until {found.not_after:%Y-%m-%dT%H:%M:%SZ}")]


def _shared(path: Path, digests: frozenset[bytes]) -> ProbeFinding:
    """A caller's key that the daemon knows too walks past the guard."""
    try:
        document: Any = jiter.from_json(read_given(path))
        rows = document["keys"]
        hashes = {str(row["id"]): str(row["hash"]).removeprefix("sha256:").lower() for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        return ProbeFinding("wrong", f"{path}: cannot be read as a keys.json: {why(error)}")
    both = sorted(
        name for name, digest in hashes.items() if _DIGEST.fullmatch(digest) and bytes.fromhex(digest) in digests
    )
    if not both:
        return ProbeFinding("ok", f"{path}: shares no key with the guard's")
    return ProbeFinding(
        "weak", f"{path}: the daemon takes these keys too, so they walk past the guard: {', '.join(both)}"
    )


def _own_scopes(path: Path, own: str | None, keyring: Keyring) -> list[ProbeFinding]:
    """What callers may do and the guard's own key may not, where the daemon's file tells; else nothing."""
    try:
        there = parse_keys(read_given(path), path=str(path))
    except OSError:  # told already
        return []
    if own is None or isinstance(there, list):
        return []
    return lacking_scopes(there.by_digest.get(hashlib.sha256(own.encode()).digest()), keyring.records)
