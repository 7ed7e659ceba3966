"""The daemon's own door: bearer keys and scopes, or legacy mode without keys.

Reads keys.json in both layouts that the daemon's documents show, and of a record only id, hash, scopes and expiry:
limits are the guard's business. `documented` and `runtime` differ in which scope an endpoint wants; both are the
catalogue's.
"""

import hmac
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal

import msgspec
from msgspec import Struct

from guard.simulator.refusals import error
from guard.terms import Answer, Effect, Endpoint, Env

Profile = Literal["documented", "runtime"]

SCOPE_OF_ENV: Final = {Env.REAL: "trade:real", Env.SIMULATE: "trade:simulate"}
_MUTATING: Final = frozenset({Effect.ORDER_NEW, Effect.ORDER_CHANGE, Effect.ORDER_CANCEL, Effect.UNLOCK, Effect.ADMIN})
_HINT: Final = "this endpoint needs an API key: futucli gen-key, then start the daemon with --rest-keys-file"


class Key(Struct, frozen=True):
    """One record: the SHA-256 of its plaintext in lower-case hex, and what it may do."""

    id: str
    digest: str
    scopes: frozenset[str]
    expires_at: datetime | None = None


class Caller(Struct, frozen=True):
    """Who is asking. `scopes` None: nobody checks (no keys file, and not legacy mode)."""

    scopes: frozenset[str] | None = None

    def may_trade(self, env: Env) -> bool:
        """The key has the scope of this environment."""
        return self.scopes is None or SCOPE_OF_ENV[env] in self.scopes


class _Record(Struct):
    id: str
    hash: str
    scopes: frozenset[str]
    expires_at: datetime | None = None


class _Document(Struct):
    keys: tuple[_Record, ...]


def parse_keys(raw: bytes) -> tuple[Key, ...]:
    """The records of a keys.json; raises ValueError for one that is not. Members not listed here are passed over."""
    document = msgspec.json.decode(raw, type=_Document)
    return tuple(
        Key(record.id, record.hash.removeprefix("sha256:").lower(), record.scopes, record.expires_at)
        for record in document.keys
    )


def bearer_in(header: str | None) -> str | None:
    """The token of an Authorization header, the scheme in any case."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


class Door:
    """Lets callers in. `keys` None: no keys file; then `is_legacy` keeps writes and administration shut."""

    def __init__(self, keys: tuple[Key, ...] | None, *, profile: Profile, is_legacy: bool) -> None:
        self.keys = keys
        self.profile: Profile = profile
        self.is_legacy = is_legacy

    def wants(self, endpoint: Endpoint) -> tuple[str, ...]:
        """The scopes of which one is enough here; `()`: none is asked."""
        return endpoint.documented if self.profile == "documented" else endpoint.runtime

    def admit(self, endpoint: Endpoint, bearer: str | None, *, now: datetime) -> Caller | Answer:
        """The caller, or 401 and 403 as the daemon says them."""
        if self.keys is None:
            if self.is_legacy and endpoint.effect in _MUTATING:
                return error(401, _HINT)
            return Caller()
        wanted = self.wants(endpoint)
        if bearer is None:
            return error(401, "missing bearer token") if wanted else Caller(scopes=frozenset())
        key = self._match(bearer)
        if key is None or (key.expires_at is not None and now >= key.expires_at):
            return error(401, "invalid API key")
        if wanted and not key.scopes & set(wanted):
            return error(403, "forbidden")
        return Caller(key.scopes)

    def _match(self, bearer: str) -> Key | None:
        digest, found = sha256(bearer.encode()).hexdigest(), None
        for key in self.keys or ():
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found
