"""`guard check`: whether a start would work, what is weak, and what the daemon is. Changes nothing."""

import asyncio
import hashlib
import json
import stat
from datetime import UTC
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from msgspec import Struct
from rich.console import Console

from guard.admin.health import weakened
from guard.cli import flags
from guard.clock import SystemClock
from guard.errors import GuardFault, SettingsFault
from guard.settings import Overrides, Settings
from guard.standing import build_policies, load_keys, parse_texts, read_texts
from guard.terms import Answer, Failure, Outbound
from guard.upstream import Client, Link

OK: Final = 200
UNAUTHORIZED: Final = 401


class Finding(Struct, frozen=True):
    """One thing that was looked at. `level`: ok, weak, or wrong (exit 1)."""

    level: str
    what: str


def check(
    config: flags.Config = None,
    daemon: flags.DaemonUrl = None,
    keys: flags.Keys = None,
    policies: flags.Policies = None,
    state: flags.State = None,
    daemon_keys: Annotated[Path | None, typer.Option(help="The daemon's own keys.json: no key may be in both.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Validate settings, keys, policies and state directory, and ask the daemon what it is."""
    found: list[Finding] = []
    try:
        settings = flags.settings(config, Overrides(daemon=daemon, keys=keys, policies=policies, state=state))
    except SettingsFault as fault:
        found += [Finding("wrong", error) for error in fault.errors]
    else:
        found += _local(settings, daemon_keys)
        found += asyncio.run(_ask(settings))
    is_good = all(finding.level != "wrong" for finding in found)
    if as_json:
        typer.echo(json.dumps({"ok": is_good, "findings": [msgspec.to_builtins(f) for f in found]}, indent=1))
    else:
        _print(found)
    raise typer.Exit(0 if is_good else 1)


def _print(found: list[Finding]) -> None:
    console = Console(highlight=False)
    colour = {"ok": "green", "weak": "yellow", "wrong": "red"}
    for finding in found:
        console.print(f"[{colour[finding.level]}]{finding.level:>6}[/]  ", end="")
        console.print(finding.what, markup=False)


def _local(settings: Settings, daemon_keys: Path | None) -> list[Finding]:
    found = [Finding("ok", "settings")]
    found += [Finding("weak", sentence) for sentence in weakened(settings)]
    try:
        keyring, _ = load_keys(settings)
    except GuardFault as fault:
        errors = fault.errors if isinstance(fault, SettingsFault) else [str(fault)]
        return [*found, *(Finding("wrong", error) for error in errors), *_state(settings)]
    found.append(Finding("ok", f"{settings.keys.file}: {len(keyring.records)} keys"))
    if daemon_keys is not None:
        found += _shared(daemon_keys, frozenset(keyring.by_digest))
    texts, errors_found = read_texts(settings.path(settings.policies.dir))
    docs, wrong = parse_texts(texts)
    built = build_policies(settings, keyring, docs, now=SystemClock().wall().astimezone(UTC))
    problems = [*errors_found, *wrong, *(built if isinstance(built, list) else [])]
    found += [Finding("wrong", str(problem)) for problem in problems]
    if not isinstance(built, list):
        found.append(Finding("ok", f"{settings.policies.dir}: {len(docs)} policies"))
        found += [Finding("weak", sentence) for sentence in built.warnings]
    return [*found, *_state(settings)]


def _state(settings: Settings) -> list[Finding]:
    path = settings.path(settings.state.dir)
    if not path.exists():
        return [Finding("ok", f"{settings.state.dir}: will be created, mode 0700")]
    mode = stat.S_IMODE(path.stat().st_mode)
    if not path.is_dir() or mode & 0o077:
        return [Finding("wrong", f"{settings.state.dir}: mode {mode:04o} is unsafe: chmod 0700 {settings.state.dir}")]
    return [Finding("ok", f"{settings.state.dir}: a directory of its own")]


def _shared(path: Path, digests: frozenset[bytes]) -> list[Finding]:
    """A caller's key that the daemon knows too walks past the guard."""
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=dict[str, object]).get("keys", [])
    except (OSError, msgspec.DecodeError) as error:
        return [Finding("wrong", f"{path}: cannot be read: {error}")]
    both = []
    for row in rows if isinstance(rows, list) else []:
        text = str(row.get("hash", "")).removeprefix("sha256:").lower() if isinstance(row, dict) else ""
        if len(text) == 2 * hashlib.sha256().digest_size and bytes.fromhex(text) in digests:
            both.append(str(row.get("id")))
    if not both:
        return [Finding("ok", f"{path}: shares no key with the guard's")]
    names = ", ".join(sorted(both))
    return [Finding("weak", f"{path}: {names}: the daemon takes these keys too, so they walk past the guard")]


async def _ask(settings: Settings) -> list[Finding]:
    """What the daemon is: there at all, legacy or scope mode, and which accounts the guard's key sees."""
    link = Link(url=settings.daemon.url, ca_file=settings.daemon.ca_file, connect_timeout_s=2)
    try:
        client = Client(link, key=settings.daemon_key, public_key=settings.public_key)
    except SettingsFault as fault:
        return [Finding("wrong", error) for error in fault.errors]
    try:
        return await _answers(client, settings)
    finally:
        await client.close()


async def _answers(client: Client, settings: Settings) -> list[Finding]:
    ping = await client.send(Outbound("GET", "/api/ping", None, 5.0, lend="none"))
    if isinstance(ping, Failure):
        return [Finding("weak", f"daemon {settings.daemon.url}: {ping.message}; a start works, orders will not")]
    if ping.status == UNAUTHORIZED:
        found = [Finding("ok", f"daemon {settings.daemon.url}: scope mode, it wants keys")]
    else:
        found = [Finding("weak", f"daemon {settings.daemon.url}: legacy mode: it will refuse every order")]
    if settings.daemon_key is None:
        return [*found, Finding("weak", "no daemon key: set daemon.key_file or GUARD_DAEMON_KEY")]
    listed = await client.send(Outbound("GET", "/api/accounts", None, 5.0))
    if isinstance(listed, Answer) and listed.status == OK:
        return [*found, Finding("ok", "the guard's daemon key reads the account list")]
    said = f"status {listed.status}" if isinstance(listed, Answer) else listed.message
    return [*found, Finding("wrong", f"the guard's daemon key cannot read the account list: {said}")]
