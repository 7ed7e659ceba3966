"""Edits of keys.json as values: add a record, take records out, rotate one. Pure; `keyfile` reads and writes.

In: the document as parsed (exact numbers, members in order), ids, hashes, `now`. Out: the new document, or an
`EditRefused` sentence. What is not touched stays as it was, value by value and in its order.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from guard.access.fields import name_of, read_time
from guard.access.parse import VERSION, read_document

Document = dict[str, Any]
_LIST: Final = "see `guard keys list`"
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class EditRefused(ValueError):
    """The edit makes no sense on this file; the sentence says why and what to do instead. Nothing was changed."""


def blank() -> Document:
    """A file without keys: nobody is let in."""
    return {"version": VERSION, "keys": []}


def decode(raw: bytes) -> Document:
    """The document of a text that `parse_keys` takes, its numbers exact."""
    document = read_document(raw, path="")
    if isinstance(document, list):
        raise AssertionError("only a text that loads is edited")  # noqa: TRY004 - a bug of ours, not a type of theirs
    return document


def encode(document: Document) -> bytes:
    """The document as text for people, two spaces deep, numbers exactly as they were."""
    return msgspec.json.format(_ENCODER.encode(document), indent=2) + b"\n"


def stamp(moment: datetime) -> str:
    """RFC 3339, UTC, whole seconds: cut, never rounded up, so that an expiry is not stretched."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def added(document: Document, record: dict[str, Any]) -> Document:
    """The document with one more record at its end."""
    if any(row["id"] == record["id"] for row in document["keys"]):
        raise EditRefused(f"{record['id']}: there is such a key already; rotate it, or choose another id")
    return {**document, "keys": [*document["keys"], record]}


def revoked(document: Document, key_id: str, *, is_whole_name: bool) -> tuple[Document, list[str], list[str]]:
    """The document without the record `key_id`; the ids that went; the ids of the same name that still let in.

    `is_whole_name`: every record of that name goes, whatever stands behind its '@'.
    """
    rows = document["keys"]
    gone = [
        row["id"] for row in rows if row["id"] == key_id or (is_whole_name and name_of(row["id"]) == name_of(key_id))
    ]
    left = [row["id"] for row in rows if row["id"] not in gone and name_of(row["id"]) == name_of(key_id)]
    if not gone:
        hint = f"of that name there are {', '.join(left)}" if left else _LIST
        raise EditRefused(f"{key_id}: there is no such key; {hint}")
    return {**document, "keys": [row for row in rows if row["id"] not in gone]}, gone, left


def rotated(
    document: Document,
    key_id: str,
    *,
    new_hash: str,
    now: datetime,
    overlap: timedelta,
    expires_at: str | None = None,
) -> tuple[Document, str, str]:
    """The document with `NAME@N`, the same record under a new hash; the new id; the newest id, which now ends.

    The old one ends after `overlap`, or when it would have anyway; the new one at `expires_at`, or when the old one
    would have. `key_id` without '@' means the newest record of that name. A record that has ended, or was rotated
    already, is refused: its copy would be born dead, or a second heir.
    """
    rows = document["keys"]
    alike = [row for row in rows if name_of(row["id"]) == name_of(key_id)]
    if not alike:
        raise EditRefused(f"{key_id}: there is no such key; {_LIST}")
    newest = max(alike, key=lambda row: _serial(row["id"]))
    if "@" in key_id and key_id != newest["id"]:
        raise EditRefused(f"{key_id}: the newest key of this name is {newest['id']}; rotate that one")
    own_end = None if newest.get("expires_at") is None else read_time(newest["expires_at"])
    if own_end is not None and own_end <= now:
        raise EditRefused(f"{newest['id']}: has expired; revoke it and make a new key")
    old_end = now + overlap if own_end is None else min(now + overlap, own_end)
    heir = {
        **newest,
        "id": f"{name_of(key_id)}@{_serial(newest['id']) + 1}",
        "hash": new_hash,
        "created_at": stamp(now),
    }
    if expires_at is not None:
        heir["expires_at"] = expires_at
    ended = {**newest, "expires_at": stamp(old_end)}
    kept = [ended if row is newest else row for row in rows]
    return {**document, "keys": [*kept, heir]}, heir["id"], newest["id"]


def _serial(key_id: str) -> int:
    """The number behind '@'; a plain id is the first of its name."""
    return int(key_id.partition("@")[2] or 1)
