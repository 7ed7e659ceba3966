"""What `guard init` writes: the texts of a new folder, worked out before anything is written.

Keys that are taken over keep their hashes, limits and notes. The guard's own daemon key is told from the callers' by
its hash, and is left with the daemon.
"""

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from guard.access import KeyRecord, Keyring
from guard.access.edits import Document, blank, decode, encode
from guard.access.parse import parse_keys
from guard.access.records import keyring
from guard.cli.demo import hash_of
from guard.cli.probe import ProbeFinding
from guard.errors import SettingsFault
from guard.wholefile import read_given, why

DAEMON_SCOPES: Final = ("qot:read", "acc:read", "trade:simulate", "trade:real", "trade:unlock")
TRADES: Final = ("trade:simulate", "trade:real", "trade:unlock")
NEW_BOT: Final = ("bot-1", ["qot:read", "acc:read", "trade:simulate"])
GUARDS_OWN: Final = frozenset({"admin", "guard:operate", "guard:policy"})
SETTINGS: Final = """\
# Unknown keys are refused; `guard check` says everything that is wrong.
[listen]
data = "127.0.0.1:22500"   # callers
ops = "127.0.0.1:22501"    # the operator: health, metrics, reload, trading state

[trading]
enabled = {enabled:<16} # without it new orders and changes are refused; cancels always pass

[daemon]
url = "{url}"
{key_file}

[keys]
file = "keys.json"
tz = "UTC"                 # the zone of the keys' hours_window

[policies]
dir = "policies"

[state]
dir = "state"              # the record; made at the first start
"""


class Draft(Struct, frozen=True):
    """A folder that is not written yet. `files` by name; `plaintext` of new keys by id."""

    files: dict[str, str]
    plaintext: dict[str, str]
    imported: tuple[str, ...]
    findings: tuple[ProbeFinding, ...]
    next: tuple[str, ...]


def daemon_key(file: Path | None, variable: str | None) -> str | None:
    """The daemon's key for the guard, from a file or the environment. Raises SettingsFault where it is none."""
    try:
        text = (read_given(file).decode() if file is not None else variable or "").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsFault([f"--daemon-key-file: {file}: cannot be read: {why(error)}"]) from error
    if not text:
        return None
    if not text.isascii() or not text.isprintable() or " " in text:
        raise SettingsFault(["the daemon's key: must be one key and nothing else"])
    return text


def draft(url: str, *, keys_from: Path | None, own: str | None, owner: str) -> Draft:
    """The folder's texts. Raises SettingsFault with everything that is wrong in the keys to take over."""
    digest = hashlib.sha256(own.encode()).digest() if own else None
    document, there = _keys_of(keys_from) if keys_from is not None else (blank(), keyring(()))
    mine = there.by_digest.get(digest) if digest is not None else None
    taken = [row for row in document["keys"] if mine is None or row["id"] != mine.id]
    records = [record for record in there.records if record is not mine]
    plaintext: dict[str, str] = {}
    for key_id, scopes, person in _missing(records, owner):
        plaintext[key_id] = f"gk_{secrets.token_hex(32)}"
        row = {"id": key_id, "hash": hash_of(plaintext[key_id]), "scopes": scopes}
        taken.append(row | ({"owner": person} if person else {}))
    key_file = 'key_file = "daemon.key"' if own else '# key_file = "daemon.key"   # the daemon\'s key for the guard'
    files = {
        "guard.toml": SETTINGS.format(url=url, key_file=key_file, enabled="true" if own else "false"),
        "keys.json": encode({**document, "keys": taken}).decode(),
    }
    if own:
        files["daemon.key"] = own + "\n"
    return Draft(
        files=files,
        plaintext=plaintext,
        imported=tuple(record.id for record in records),
        findings=tuple(lacking_scopes(mine, records)),
        next=_at_the_daemon(records, own=own, mine=mine, keys_from=keys_from),
    )


def _keys_of(path: Path) -> tuple[Document, Keyring]:
    try:
        raw = read_given(path)
        found = parse_keys(raw, path=str(path))
    except OSError as error:
        raise SettingsFault([f"{path}: cannot be read: {why(error)}"]) from error
    if isinstance(found, list):
        raise SettingsFault([*found, f"{path}: mend a copy of it and take that over; nothing was written"])
    return decode(raw), found


def _missing(records: Sequence[KeyRecord], owner: str) -> list[tuple[str, list[str], str | None]]:
    """Keys that a new folder needs and none of the records is: a first bot where there is no caller, an operator."""
    ids = {record.id for record in records}
    found: list[tuple[str, list[str], str | None]] = []
    if not records:
        found.append((*NEW_BOT, None))
    if not any(record.owner and record.scopes & GUARDS_OWN for record in records):
        name = next(name for name in ("operator", "guard-operator", secrets.token_hex(4)) if name not in ids)
        found.append((name, ["admin", "metrics:read"], owner))
    return found


def lacking_scopes(mine: KeyRecord | None, records: Sequence[KeyRecord]) -> list[ProbeFinding]:
    """What callers may do and the guard's own key may not, where the daemon's file tells."""
    if mine is None:
        return []
    wanted = frozenset().union(*(record.scopes for record in records)) & frozenset(DAEMON_SCOPES)
    lacking = sorted(wanted - mine.scopes)
    if not lacking:
        return [ProbeFinding("ok", f"the guard's daemon key {mine.id} has every scope that its callers have")]
    users = sorted(record.id for record in records if record.scopes & frozenset(lacking))
    return [
        ProbeFinding("weak", f"your daemon key {mine.id} lacks {', '.join(lacking)}: {', '.join(users)} cannot use it")
    ]


def _at_the_daemon(
    records: Sequence[KeyRecord], *, own: str | None, mine: KeyRecord | None, keys_from: Path | None
) -> tuple[str, ...]:
    """The daemon's own commands: a key for the guard, and none for anybody else."""
    file = str(keys_from) if keys_from is not None else "<the daemon's keys file>"
    steps = []
    if own is None:
        wanted: dict[str, Any] = dict.fromkeys(("qot:read", "acc:read"))
        wanted |= dict.fromkeys(s for s in TRADES if any(s in record.scopes for record in records) or not records)
        make = f"futucli gen-key --id guard --scopes {','.join(wanted)} --keys-file {file}"
        steps.append(f"at the daemon: {make}; put what it prints into daemon.key (chmod 600)")
        steps.append("in guard.toml: set daemon.key_file, and then [trading] enabled = true: no key, no trading")
    others = [record.id for record in records if record is not mine]
    if others:
        gone = "; ".join(f"futucli remove-key {name} --keys-file {file}" for name in others)
        steps.append(f"at the daemon, once the guard serves, so that nobody walks past it: {gone}")
    if steps:
        steps.append("at the daemon: kill -HUP <its pid>, so that it reads its keys again")
    return tuple(steps)
