"""Key records and the frozen snapshot of all of them.

In: records that the parser found good. Out: a `Keyring` that is looked at per request and swapped whole on reload, so
that nothing outlives the file it came from (B03). It holds digests only; a plaintext is never here. Pure.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

from guard.access.fields import name_of
from guard.pauses import with_pauses
from guard.terms import KeyLimits, Principal

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number", order="sorted")


class KeyRecord(Struct, frozen=True, kw_only=True):
    """One record of keys.json, typed. `is_disabled`: it names machines, which the guard cannot verify.

    `digest` is the SHA-256 of the plaintext. Times are UTC.
    """

    id: str
    digest: bytes
    scopes: frozenset[str]
    limits: KeyLimits = KeyLimits()
    acc_ids: frozenset[int] | None = None
    card_nums: frozenset[str] | None = None
    is_disabled: bool = False
    created_at: datetime | None = None
    expires_at: datetime | None = None
    note: str | None = None
    owner: str | None = None

    @property
    def name(self) -> str:
        """The principal's name: the id before '@'."""
        return name_of(self.id)

    def is_expired(self, now: datetime) -> bool:
        """The record's last moment has come: it ends at `expires_at`, not after it."""
        return self.expires_at is not None and now >= self.expires_at


def rights(record: KeyRecord) -> dict[str, object]:
    """What a record allows, by the names of keys.json: equal in every record of one principal."""
    limits: dict[str, object] = msgspec.to_builtins(record.limits, builtin_types=(Decimal,))
    return {
        "scopes": sorted(record.scopes),
        "owner": record.owner,
        "allowed_acc_ids": None if record.acc_ids is None else sorted(record.acc_ids),
        "allowed_card_nums": None if record.card_nums is None else sorted(record.card_nums),
        **{field: _unordered(limits.get(field)) for field in KeyLimits.__struct_fields__},
    }


def _unordered(value: object) -> object:
    return sorted(value) if isinstance(value, list | tuple) else value


def _public(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        **rights(record),
        "is_disabled": record.is_disabled,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "note": record.note,
    }


def grant_of(record: KeyRecord) -> bytes:
    """What "still the same key" compares: id, digest and rights, not notes or times (expiry is looked at by itself)."""
    return hashlib.sha256(record.digest + _ENCODER.encode([record.id, record.is_disabled, rights(record)])).digest()


def credential_of(record: KeyRecord) -> bytes:
    """What "still the same secret" compares. No digest of keys.json leaves this room."""
    return hashlib.sha256(record.digest).digest()


def principal_of(record: KeyRecord) -> Principal:
    """The caller whom the record describes."""
    return Principal(
        id=record.id,
        name=record.name,
        scopes=record.scopes,
        acc_ids=record.acc_ids,
        card_nums=record.card_nums,
        limits=record.limits,
        owner=record.owner,
        until=record.expires_at,
        grant=grant_of(record),
        credential=credential_of(record),
    )


class Keyring(Struct, frozen=True, weakref=True):
    """All keys at one moment. Records stand in the file's order; the maps are made once, so that a look-up is a hash.

    `unending`: of `principals` those that no moment ends. Who is the very same as there needs no second look.
    `ends`: by name, when the last record that lets in does so no more; None: never. Names that let nobody in are none.

    `sha256` is the lower-case hex digest of `source()`, the records without hashes, for the journal's configuration.
    """

    records: tuple[KeyRecord, ...]
    sha256: str
    by_digest: Mapping[bytes, KeyRecord]
    by_id: Mapping[str, KeyRecord]
    by_grant: Mapping[bytes, KeyRecord]
    principals: Mapping[str, Principal]
    unending: Mapping[str, Principal]
    ends: Mapping[str, datetime | None]

    def source(self) -> bytes:
        """Canonical JSON of the records without hashes: what `sha256` is the digest of."""
        return _source(self.records)

    def lets_in(self, name: str, now: datetime) -> bool:
        """Some record of this name is in force."""
        end = self.ends.get(name)
        return now < end if end is not None else name in self.ends

    def limits_by_name(self) -> dict[str, KeyLimits]:
        """Every principal's own limits, which act as one more policy `key:<name>`."""
        return {record.name: record.limits for record in self.records}


def _source(records: tuple[KeyRecord, ...]) -> bytes:
    # One by one: whoever encodes a thousand at once keeps the interpreter to itself meanwhile.
    ordered = sorted(records, key=lambda record: record.id)
    return b"[%b]" % b",".join(_ENCODER.encode(_public(record)) for record in with_pauses(ordered))


def keyring(records: tuple[KeyRecord, ...]) -> Keyring:
    """The snapshot of `records`; their ids and digests differ, which the parser has seen to."""
    principals = {record.id: principal_of(record) for record in with_pauses(records)}
    is_ending = {record.id: record.is_disabled or record.expires_at is not None for record in records}
    return Keyring(
        records=records,
        sha256=hashlib.sha256(_source(records)).hexdigest(),
        by_digest={record.digest: record for record in records},
        by_id={record.id: record for record in records},
        by_grant={principals[record.id].grant: record for record in records},
        principals=principals,
        unending={name: principal for name, principal in principals.items() if not is_ending[name]},
        ends=_ends(records),
    )


def _ends(records: tuple[KeyRecord, ...]) -> dict[str, datetime | None]:
    found: dict[str, datetime | None] = {}
    for record in with_pauses(records):
        if not record.is_disabled:
            end = found.get(record.name, record.expires_at)
            found[record.name] = None if end is None or record.expires_at is None else max(end, record.expires_at)
    return found
