"""`guard keys`: make, list, revoke and rotate the callers' keys, and tell a running guard to read them again.

A plaintext is shown once, on standard output alone, and is never written; the file takes its SHA-256. Every command
exits 0 when it did what it says and 1 with every error otherwise, and prints one JSON value with `--json`. The file
is `--file`, else `GUARD_KEYS`, else `keys.file` of the settings, else keys.json.
"""

import hashlib
import secrets
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.table import Table

from guard.access import KeyRecord, keyfile
from guard.access.edits import stamp
from guard.access.keyfile import EditFault
from guard.access.records import rights
from guard.access.scopes import PERSONAL, expand
from guard.cli import typed
from guard.cli.consoles import show
from guard.cli.ops import ops_door, post
from guard.cli.reloading import end
from guard.cli.sources import AsJson, OpsOption, StateOption, settings_of
from guard.clock import SystemClock

app = typer.Typer(no_args_is_help=True)

PREFIX: Final = "gk_"
SECRET_BYTES: Final = 32
_HEADS: Final = ("id", "state", "scopes", "limits", "owner", "expires", "hash")
_READ_AGAIN: Final = (
    "a running guard reads the file again by guard keys reload, the daemon by SIGHUP, the simulated one by a restart"
)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")

FileOption = Annotated[Path | None, typer.Option("--file", envvar="GUARD_KEYS", readable=False, help="The keys file.")]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", readable=False, help="Settings that name the keys file and ops.")
]
Words = Annotated[str | None, typer.Option(help="Comma-separated.")]
Number = Annotated[str | None, typer.Option(help="A number.")]


@app.command()
def new(
    *,
    key_id: Annotated[str, typer.Option("--id", help="1 to 64 of A-Z a-z 0-9 . _ -")],
    scopes: Annotated[str, typer.Option(help="Comma-separated: qot:read,acc:read,trade:simulate ...")],
    allowed_markets: Words = None,
    allowed_symbols: Words = None,
    allowed_trd_sides: Words = None,
    allowed_acc_ids: Words = None,
    allowed_card_nums: Words = None,
    max_order_value: Number = None,
    max_daily_value: Number = None,
    max_orders_per_minute: Number = None,
    hours_window: Annotated[str | None, typer.Option(help="HH:MM-HH:MM, in keys.tz.")] = None,
    expires: Annotated[str | None, typer.Option(help="30d, 12h, 45m, or a time like 2027-01-31T18:00:00Z.")] = None,
    owner: Annotated[str | None, typer.Option(help="The person who owns it; operators' keys need one.")] = None,
    note: Annotated[str | None, typer.Option(help="Free text.")] = None,
    file: FileOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a key: it is printed once, and the file gets only its hash (mode 0600)."""
    del state
    now = SystemClock().wall()
    limits = {
        "allowed_markets": typed.words(allowed_markets),
        "allowed_symbols": typed.words(allowed_symbols),
        "allowed_trd_sides": typed.words(allowed_trd_sides),
        "allowed_acc_ids": typed.numbers("--allowed-acc-ids", allowed_acc_ids),
        "allowed_card_nums": typed.words(allowed_card_nums),
        "max_order_value": typed.number("--max-order-value", max_order_value),
        "max_daily_value": typed.number("--max-daily-value", max_daily_value),
        "max_orders_per_minute": typed.number("--max-orders-per-minute", max_orders_per_minute),
        "hours_window": hours_window,
    }
    record = {
        "id": key_id,
        "scopes": typed.words(scopes),
        **limits,
        "created_at": stamp(now),
        "expires_at": None if expires is None else stamp(typed.end("--expires", expires, now=now)),
        "note": note,
        "owner": owner,
    }
    path = _file(file, config)
    said = {name: value for name, value in record.items() if value is not None}
    _mint(path, lambda digest: keyfile.add(path, {"id": key_id, "hash": digest, **said}), as_json=as_json)


@app.command("list")
def list_keys(
    *, file: FileOption = None, config: ConfigOption = None, state: StateOption = None, as_json: AsJson = False
) -> None:
    """List the keys: what each may do, who owns it, and whether it works. Hashes are never shown in full."""
    del state
    now = SystemClock().wall()
    records = keyfile.load(_file(file, config)).records
    rows = [_row(record, now) for record in records]
    if as_json:
        _print_json(rows)
        return
    table = Table(*_HEADS, header_style="bold", box=None, pad_edge=False)
    apart = "\n" if sys.stdout.isatty() else ", "  # in a pipe a row is a line
    for row in rows:
        limits = apart.join(f"{name} {_plain(value)}" for name, value in row["limits"].items())
        scopes = apart.join(row["scopes"])
        table.add_row(row["id"], row["state"], scopes, limits, row["owner"], row["expires_at"], row["hash"])
    show(table)


@app.command()
def revoke(
    *,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id of exactly one record.")],
    is_whole_name: Annotated[
        bool, typer.Option("--all", help="Every record of this name, including rotated ones.")
    ] = False,
    file: FileOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Remove a key from the file; it and its tokens stop working once the running guard has reloaded the file."""
    del state
    gone, left = keyfile.revoke(_file(file, config), key_id, is_whole_name=is_whole_name)
    if as_json:
        _print_json({"revoked": gone, "left": left})
        return
    typer.echo(f"revoked {', '.join(gone)}; {_READ_AGAIN}")
    if left:
        typer.echo(f"still let in under this name: {', '.join(left)} (revoke with --all takes them too)", err=True)


@app.command()
def rotate(
    *,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key; a name means its newest record.")],
    overlap: Annotated[
        str, typer.Option(help="How long the old key still works: 24h, 30m, 2d; 0m is at once.")
    ] = "24h",
    expires: Annotated[
        str | None, typer.Option(help="When the new key ends: 90d, or a time; without it, when the old one would have.")
    ] = None,
    file: FileOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Add a second secret for a key as NAME@N; the old one ends after the overlap, and both share all counters."""
    del state
    now = SystemClock().wall()
    span = typed.span("--overlap", overlap)
    expires_at = None if expires is None else stamp(typed.end("--expires", expires, now=now))
    path, ids = _file(file, config), ("", "")

    def edit(digest: str) -> None:
        nonlocal ids
        ids = keyfile.rotate(path, key_id, new_hash=digest, now=now, overlap=span, expires_at=expires_at)

    _mint(path, edit, as_json=as_json)
    if not as_json:
        typer.echo(f"tokens whose sub is {ids[1]} end with it: have their issuer write {ids[0]} before", err=True)


@app.command()
def reload(
    *,
    reason: Annotated[str, typer.Option(help="Goes into the record.")] = "",
    ops: OpsOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Tell a running guard to reload its keys. GUARD_KEY needs the scope guard:policy and an owner."""
    del state
    status, answer = post(ops_door(ops, config), "/admin/keys/reload", {"reason": reason})
    end(status, answer, as_json=as_json, what="keys")


def _file(file: Path | None, config: Path | None) -> Path:
    if file is not None:
        return file
    settings = settings_of(config)
    return settings.path(settings.keys.file)


# ---------------------------------------------------------------- what people see


def _print_json(value: object) -> None:
    typer.echo(msgspec.json.format(_ENCODER.encode(value), indent=2).decode())


def _plain(value: object) -> str:
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)


def _mint(path: Path, edit: Callable[[str], None], *, as_json: bool) -> None:
    """A new secret whose hash `edit` puts into the file; it is shown where the file holds it, unsynced or not."""
    plaintext = PREFIX + secrets.token_hex(SECRET_BYTES)
    digest = hashlib.sha256(plaintext.encode()).digest()
    errors: list[str] = []
    try:
        edit(f"sha256:{digest.hex()}")
    except EditFault as fault:
        if not fault.is_written:
            raise
        errors = fault.errors
    keyring = keyfile.load(path)
    record = keyring.by_digest[digest]
    now = SystemClock().wall()
    alike = [_row(other, now) for other in keyring.records if other.name == record.name and other is not record]
    if as_json:
        _print_json({**_row(record, now), "key": plaintext, "file": str(path), "alike": alike, "errors": errors})
    else:
        typer.echo(plaintext)
        lines = [f"{record.id} is in {path}; its key is shown this once", _READ_AGAIN]
        lines += [f"{row['id']}, the same caller: {_for_how_long(row)}" for row in alike]
        typer.echo("\n".join([*lines, *_unowned(record), *errors]), err=True)
    if errors:
        raise typer.Exit(1)


def _for_how_long(row: Mapping[str, Any]) -> str:
    if row["state"] == "works":
        return f"works until {row['expires_at'] or 'revoked'}"
    return f"expired at {row['expires_at']}" if row["state"] == "expired" else str(row["state"])


def _unowned(record: KeyRecord) -> list[str]:
    """What the key was given and may not use: the guard's own scopes are for persons."""
    given = () if record.owner else sorted(expand(record.scopes) & PERSONAL)
    return [f"without --owner {', '.join(given)} open nothing at the guard: 403 scope"] if given else []


def _row(record: KeyRecord, now: datetime) -> dict[str, Any]:
    limits = {name: value for name, value in rights(record).items() if value is not None}
    works = "disabled" if record.is_disabled else "expired" if record.is_expired(now) else "works"
    return {
        "id": record.id,
        "state": works,
        "scopes": limits.pop("scopes"),
        "owner": limits.pop("owner", None),
        "limits": limits,
        "created_at": None if record.created_at is None else stamp(record.created_at),
        "expires_at": None if record.expires_at is None else stamp(record.expires_at),
        "note": record.note,
        "hash": f"sha256:{record.digest.hex()[:8]}...",
    }
