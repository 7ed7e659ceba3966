"""keys.json read strictly: every error at once, or a `Keyring`.

Two layouts are known, limits flat on the record or nested under "limits"; one record uses one of them, since a reader
that skipped the other would load a key without limits. Unknown names, duplicate members, ids and hashes, and records
of one principal that differ are refused. An empty `keys` list loads: revoking the last key must take effect, and
nobody is then let in (B27: a file that cannot be read never means that everybody is). Pure; no text of the file but
names and short values is repeated in an error, and never a hash.
"""

import difflib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import jiter

from guard.access.fields import IDENTITY, LIMITS, REQUIRED, WrongField
from guard.access.records import KeyRecord, Keyring, keyring, rights
from guard.pauses import with_pauses
from guard.terms import KeyLimits

VERSION: Final = 1
KEYFILE_BYTES_MAX: Final = 4 * 2**20

_TOP: Final = ("version", "keys")
_RECORD: Final = (*IDENTITY, *LIMITS, "limits")


def read_document(raw: bytes, *, path: str) -> dict[str, Any] | list[str]:
    """The text as one JSON object with exact numbers, or why it is none. Duplicate members and NaN are refused."""
    if len(raw) > KEYFILE_BYTES_MAX:
        return [f"{path}: larger than {KEYFILE_BYTES_MAX} bytes"]
    try:
        document = jiter.from_json(raw, catch_duplicate_keys=True, float_mode="decimal", allow_inf_nan=False)
    except ValueError as error:
        return [f"{path}: not strict JSON: {error}"]
    if not isinstance(document, dict):
        return [f'{path}: write one object, {{"version": 1, "keys": [...]}}']
    return document


def parse_keys(raw: bytes, *, path: str) -> Keyring | list[str]:
    """The keyring, or every error: one sentence each, naming file, record and field, and saying what to do."""
    document = read_document(raw, path=path)
    if isinstance(document, list):
        return document
    errors = _unknown(document, _TOP, where=path)
    version = document.get("version")
    if isinstance(version, bool) or version != VERSION or isinstance(version, Decimal):
        errors.append(f'{path}: version: write "version": {VERSION}')
    rows = document.get("keys")
    if not isinstance(rows, list):
        return [*errors, f"{path}: keys: write a list of key records"]
    records: list[KeyRecord] = []
    for place, row in enumerate(with_pauses(rows)):
        record, found = _record(row, where=_where(row, place, path=path))
        errors += found
        if record is not None:
            records.append(record)
    errors += _same_ids(rows, path=path) + _same_hashes(rows, path=path) + _strangers(records, path=path)
    return errors or keyring(tuple(records))


def _where(row: object, place: int, *, path: str) -> str:
    named = row.get("id") if isinstance(row, dict) else None
    return f'{path}: keys[{place}] "{named:.80}"' if isinstance(named, str) else f"{path}: keys[{place}]"


def _unknown(row: Mapping[str, object], known: tuple[str, ...], *, where: str) -> list[str]:
    return [f"{where}: {name!r:.80} is unknown{_suggestion(name, known)}" for name in row if name not in known]


def _suggestion(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name[:80].lower(), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _present(row: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if value is not None}


def _record(row: object, *, where: str) -> tuple[KeyRecord | None, list[str]]:
    if not isinstance(row, dict):
        return None, [f"{where}: write an object"]
    errors = _unknown(row, _RECORD, where=where)
    errors += [f"{where}: {name}: is required" for name in REQUIRED if row.get(name) is None]
    fields = _present(row)
    nested = fields.pop("limits", {})
    if not isinstance(nested, dict):
        return None, [*errors, f"{where}: limits: write an object"]
    errors += _unknown(nested, tuple(LIMITS), where=f"{where} limits")
    flat = [name for name in LIMITS if name in fields]
    if flat and row.get("limits") is not None:
        errors.append(f'{where}: {", ".join(flat)} beside "limits": write all limits flat, or all under "limits"')
    identity, wrong_fields = _read(fields, IDENTITY, where=where)
    limits, wrong_flat = _read(fields, LIMITS, where=where)
    inner, wrong_nested = _read(_present(nested), LIMITS, where=f"{where} limits")
    errors += wrong_fields + wrong_flat + wrong_nested
    return (None, errors) if errors else (_typed(identity, limits | inner), [])


def _read(row: Mapping[str, object], checks: Mapping[str, Any], *, where: str) -> tuple[dict[str, Any], list[str]]:
    values, errors = {}, []
    for name, check in checks.items():
        if name not in row:
            continue
        try:
            values[name] = check(row[name])
        except WrongField as wrong:
            errors.append(f"{where}: {name}: {wrong}")
    return values, errors


def _typed(identity: dict[str, Any], limits: dict[str, Any]) -> KeyRecord:
    return KeyRecord(
        id=identity["id"],
        digest=identity["hash"],
        scopes=identity["scopes"],
        acc_ids=limits.pop("allowed_acc_ids", None),
        card_nums=limits.pop("allowed_card_nums", None),
        limits=KeyLimits(**limits),
        is_disabled="allowed_machines" in identity,
        created_at=identity.get("created_at"),
        expires_at=identity.get("expires_at"),
        note=identity.get("note"),
        owner=identity.get("owner"),
    )


def _same_ids(rows: list[object], *, path: str) -> list[str]:
    first: dict[str, int] = {}
    errors = []
    for place, row in enumerate(rows):
        named = row.get("id") if isinstance(row, dict) else None
        if isinstance(named, str) and first.setdefault(named, place) != place:
            errors.append(f"{_where(row, place, path=path)}: keys[{first[named]}] has this id already; rename one")
    return errors


def _same_hashes(rows: list[object], *, path: str) -> list[str]:
    """Whoever holds one plaintext would be two callers; bare and prefixed, upper and lower case are one hash."""
    first: dict[str, int] = {}
    errors = []
    for place, row in enumerate(rows):
        text = row.get("hash") if isinstance(row, dict) else None
        if not isinstance(text, str):
            continue
        if first.setdefault(text.removeprefix("sha256:").lower(), place) != place:
            there = first[text.removeprefix("sha256:").lower()]
            errors.append(f"{_where(row, place, path=path)}: keys[{there}] has this hash already; make a new key")
    return errors


def _strangers(records: list[KeyRecord], *, path: str) -> list[str]:
    """Records of one principal that differ in rights: one set of counters cannot follow two sets of limits."""
    first: dict[str, KeyRecord] = {}
    errors = []
    for record in with_pauses(records):
        other = first.setdefault(record.name, record)
        mine, theirs = rights(record), rights(other)
        differing = [field for field in mine if mine[field] != theirs[field]]
        if differing:
            errors.append(
                f'{path}: "{other.id}" and "{record.id}" are one caller but differ in {", ".join(differing)}: '
                "write the same, or another name before the @"
            )
    return errors
