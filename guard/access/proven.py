"""A cache of tokens whose signature was verified, so that it is checked once and not for each request with the token.

It keeps only a fact that never changes: exactly these bytes were signed by this issuer's key, and claim this. Whatever
can change is checked for each request: time, key record and rights. A cache belongs to one set of issuers and is
dropped with it (`Issuers`), so a key that was removed, renamed or bound to another algorithm leaves nothing behind that
is still believed. Only verified tokens enter, so nobody can fill it without an issuer's signature; the least recently
used makes room, and its signature is checked again the next time.

A token is held as the SHA-256 of the whole and never in part. The look-up by digest is not constant-time and need not
be: whoever guesses learns about digests of his own guesses, which lead to no token; and that a token was seen before
can be told by timing only by somebody who holds all of it, and could use it. Pure.
"""

import hashlib
from collections import OrderedDict
from datetime import datetime
from typing import Final

from msgspec import Struct

TOKENS_MAX: Final = 4096
BYTES_MAX: Final = 4 * 2**20
_ENTRY_BYTES: Final = 640  # digest, claims, two times and their place; measured
_CHAR_BYTES: Final = 4  # at most


class Claims(Struct, frozen=True):
    """What a believed token says: the key id, the token's own id, its first moment and its end (UTC), its `scope`.

    `signer`: the issuer's key that signed it.
    """

    sub: str
    jti: str
    since: datetime
    until: datetime
    signer: bytes
    scope: str | None = None


def digest_of(token: str) -> bytes:
    """What a key is found by and a token remembered. A query string may bring text that no header can: no error."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Proven:
    """The claims of tokens whose signature held under one set of issuers, by `digest_of`."""

    def __init__(self) -> None:
        self._claims: OrderedDict[bytes, Claims] = OrderedDict()  # what was seen last stands last
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._claims)

    def get(self, digest: bytes) -> Claims | None:
        """What this token says, if its signature held before."""
        claims = self._claims.get(digest)
        if claims is not None:
            self._claims.move_to_end(digest)
        return claims

    def put(self, digest: bytes, claims: Claims) -> None:
        """Its signature held."""
        if digest in self._claims:
            return
        self._claims[digest] = claims
        self._bytes += _bytes(claims)
        while len(self._claims) > TOKENS_MAX or self._bytes > BYTES_MAX:
            _, oldest = self._claims.popitem(last=False)
            self._bytes -= _bytes(oldest)


def _bytes(claims: Claims) -> int:
    return _ENTRY_BYTES + _CHAR_BYTES * (len(claims.sub) + len(claims.jti) + len(claims.scope or ""))
