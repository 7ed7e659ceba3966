"""What the store keeps of the day of a decision, held against the hash that names it.

Settings and keys are named by the hash of their very bytes, policies by that of the set that their texts make. What is
another thing than its name says decides nothing: it was edited, damaged, or is read otherwise by this version.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Literal, TypeVar

import msgspec

from guard.policy import PolicyDoc, PolicySet, compile_set
from guard.policyfiles import parse_texts

Lacking = Literal["engine changed", "not kept", "damaged", "another set"]
Get = Callable[[str], bytes | None]
_WORDS: Final[Mapping[Lacking, str]] = {
    "engine changed": "was written for other rules than this version's; ask the version that wrote it",
    "not kept": "is not there or no JSON any more; put back a copy of it",
    "damaged": "is not what its name says: it was edited or damaged; put back a copy of it",
    "another set": "makes another set than its name says: it was edited, or this version reads it otherwise; "
    "put back a copy of it, or ask the version that wrote it",
}
_T = TypeVar("_T")


def told(sha256: str, lacking: Lacking) -> str:
    """What is wrong with the file of this hash, and what to do."""
    return f"config/{sha256}.json {_WORDS[lacking]}"


def read(get: Get, sha256: str, kind: type[_T]) -> _T | Lacking:
    """What is named by the hash of its bytes: settings, keys."""
    raw = get(sha256)
    if raw is None:
        return "not kept"
    if hashlib.sha256(raw).hexdigest() != sha256:
        return "damaged"
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        return "damaged"


def texts_of(get: Get, sha256: str) -> dict[str, str] | Lacking:
    """The files of a set of policies, by name; whether they make it, only who compiles them can say."""
    raw = get(sha256)
    try:
        return "not kept" if raw is None else msgspec.json.decode(raw, type=dict[str, str])
    except msgspec.ValidationError:
        return "damaged"


def set_of(get: Get, sha256: str, *, now: datetime) -> PolicySet | Lacking:
    """The policies of that hash by themselves, without limits of keys."""
    texts = texts_of(get, sha256)
    if isinstance(texts, str):
        return texts
    docs, errors = parse_texts(texts)
    found = compile_set(docs, keys={}, flags=None, tz="UTC", require_cover=True, now=now)
    return found if isinstance(found, PolicySet) and not errors and found.sha256 == sha256 else "another set"


def docs_of(get: Get, sha256: str, *, now: datetime) -> list[PolicyDoc] | Lacking:
    """The documents of that set, those that are only watched among them."""
    found = set_of(get, sha256, now=now)
    return found if isinstance(found, str) else list(found.all_docs)
