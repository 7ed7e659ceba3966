"""Builders of keys.json texts, keyrings and principals. Every plaintext here is made up and opens nothing."""

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from guard.access import Keyring, parse_keys
from guard.catalogue import BY_PATH
from guard.terms import Account, AccountRow, Endpoint, Env, Principal

NOW: Final = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
PLAIN: Final = "gk_" + "5" * 64


def hash_of(plaintext: str) -> str:
    """The `hash` member of a key."""
    return "sha256:" + hashlib.sha256(plaintext.encode()).hexdigest()


def record(key_id: str = "bot", **members: Any) -> dict[str, Any]:
    """A good record; its plaintext is `PLAIN` for "bot", the id itself for any other."""
    plaintext = PLAIN if key_id == "bot" else key_id
    return {"id": key_id, "hash": hash_of(plaintext), "scopes": ["qot:read"]} | members


def text(*records: Any) -> bytes:
    """A keys.json of these records; Decimals are written as plain numbers."""
    return msgspec.json.Encoder(decimal_format="number").encode({"version": 1, "keys": list(records)})


def ring(*records: dict[str, Any]) -> Keyring:
    """The keyring of these records, which must be good."""
    parsed = parse_keys(text(*records), path="keys.json")
    assert isinstance(parsed, Keyring), parsed
    return parsed


def errors(*records: Any) -> list[str]:
    """Why these records do not load."""
    parsed = parse_keys(text(*records), path="keys.json")
    assert isinstance(parsed, list)
    return parsed


def caller(*scopes: str, **fields: Any) -> Principal:
    """A principal with these scopes."""
    return Principal(id="bot", name="bot", scopes=frozenset(scopes), **fields)


def row(env: Env, acc_id: int, *, card_num: str = "", uni_card_num: str = "") -> AccountRow:
    """A row of the daemon's account list."""
    return AccountRow(Account(env, acc_id), card_num=card_num, uni_card_num=uni_card_num)


def endpoint(path: str) -> Endpoint:
    """The catalogue's row of a path; the last one where a path has several methods."""
    return BY_PATH[path][-1]
