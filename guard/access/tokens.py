"""JSON Web Tokens: who issued one, whether it may be believed, and which key it speaks for.

In: a token and the configured issuers. Out: `Claims`, or a sentence for the record saying which check failed (it never
reaches the caller). Strict before the library: three canonical base64url parts, header and claims one JSON object each
without duplicate members, times that are numbers, no `crit`, no key that the token brings along. A key is bound to the
algorithms of its own type when the JWKS is read, so a public key can never become an HMAC secret (CVE-2026-48526,
CVE-2026-32597). Times are compared with the request's own `now`, without leeway. The library has the last word, on the
signature and on nothing else: its `decode` would read header and claims once more, less strictly, and ask the machine's
clock, for three times what the signature costs. Pure. Sources: RFC 7515, 7517, 7518, 7519, 8725, 9068.
"""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any, Final

import jiter

from guard.access.issuers import Issuer, IssuerKey, Issuers
from guard.access.proven import Claims, digest_of
from guard.terms import utc

if TYPE_CHECKING:
    import jwt

TOKEN_CHARS_MAX: Final = 8192
_TEXT_CHARS_MAX: Final = 256
_SECONDS_MAX: Final = 253_402_300_799  # the last second of the year 9999
_DECIMALS_MAX: Final = 9
_PARTS: Final = 3
_PART: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_TYPES: Final = ("jwt", "at+jwt")
_REQUIRED: Final = ("exp", "iat", "aud", "iss", "sub", "jti")
_TIMES: Final = ("exp", "iat", "nbf")
_NO_KEYS_OF_ITS_OWN: Final = ("jwk", "jku", "x5u", "x5c")


class _Disbelief(ValueError):
    """Why a token is not believed; caught in `verify`."""


def is_token(bearer: str) -> bool:
    """A bearer with exactly two dots is a token; keys have none."""
    return bearer.count(".") == _PARTS - 1


def verify(token: str, issuers: Issuers, *, now: datetime) -> Claims | str:
    """The claims of a token that an issuer signed for us and whose time has come and not passed; else why not."""
    if len(token) > TOKEN_CHARS_MAX:
        return f"token: longer than {TOKEN_CHARS_MAX} characters"
    digest = digest_of(token)
    claims = issuers.proven.get(digest)
    try:
        if claims is not None:
            _check_time(claims, now)
            return claims
        said, header, signature = _open(token)
        issuer = _issuer(said, issuers.each)
        key = _key(header, issuer)
        claims = _claims(said, issuer, key)
        _check_time(claims, now)
        _check_signature(token, signature, key.by_algorithm[header["alg"]])
    except _Disbelief as why:
        return f"token: {why}"
    issuers.proven.put(digest, claims)
    return claims


def _open(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Claims, header and signature, each as the token has it."""
    parts = token.split(".")
    if len(parts) != _PARTS or not all(_PART.fullmatch(part) for part in parts):
        raise _Disbelief("not three parts of unpadded base64url")
    header = _object(_bytes(parts[0], "header"), "header")
    _check_header(header)
    return _object(_bytes(parts[1], "claims"), "claims"), header, _bytes(parts[2], "signature")


def _bytes(part: str, what: str) -> bytes:
    """What one part encodes, of which no other text is the encoding: the bits that fill up the last letter are zero."""
    padded = part.encode().translate(_STANDARD) + b"=" * (-len(part) % 4)
    try:
        raw = a2b_base64(padded)
    except ValueError:
        raise _Disbelief(f"the {what} are no base64url") from None
    if b2a_base64(raw, newline=False) != padded:
        raise _Disbelief(f"the {what} are no canonical base64url")
    return raw


def _object(raw: bytes, what: str) -> dict[str, Any]:
    try:
        value = jiter.from_json(raw, catch_duplicate_keys=True, float_mode="decimal", allow_inf_nan=False)
    except ValueError:
        raise _Disbelief(f"the {what} are no strict JSON, or name a member twice") from None
    if not isinstance(value, dict):
        raise _Disbelief(f"the {what} are no object")
    return value


def _check_header(header: Mapping[str, Any]) -> None:
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower() not in _TYPES:
        raise _Disbelief("typ is neither JWT nor at+jwt")
    if "crit" in header or "b64" in header:
        raise _Disbelief("crit and b64 are not taken")
    if any(name in header for name in _NO_KEYS_OF_ITS_OWN):
        raise _Disbelief("it brings a key of its own")


def _issuer(said: Mapping[str, Any], issuers: tuple[Issuer, ...]) -> Issuer:
    missing = [name for name in _REQUIRED if said.get(name) is None]
    if missing:
        raise _Disbelief(f"{', '.join(missing)} missing")
    audiences = said["aud"] if isinstance(said["aud"], list) else [said["aud"]]
    if not all(isinstance(audience, str) for audience in audiences):
        raise _Disbelief("aud is neither a text nor a list of texts")
    for issuer in issuers:
        if said["iss"] == issuer.issuer and issuer.audience in audiences:
            return issuer
    raise _Disbelief("no issuer is configured with this iss and aud")


def _key(header: Mapping[str, Any], issuer: Issuer) -> IssuerKey:
    """The key that `kid` names, good for this `alg`; without a `kid` only where the issuer has a single key.

    No key is ever tried out.
    """
    algorithm = header.get("alg")
    if algorithm not in issuer.algorithms:
        raise _Disbelief("alg is not one of the issuer's")
    if "kid" not in header and len(issuer.keys) != 1:
        raise _Disbelief("no kid, and the issuer has several keys")
    for key in issuer.keys:
        if "kid" not in header or (key.kid is not None and key.kid == header["kid"]):
            if algorithm not in key.by_algorithm:
                raise _Disbelief("alg is not one of the key's")
            return key
    raise _Disbelief("kid names no key of the issuer")


def _claims(said: Mapping[str, Any], issuer: Issuer, key: IssuerKey) -> Claims:
    """What it claims, typed and within bounds; whether it is signed and its time has come is not said yet."""
    for name in _TIMES:
        if name in said and not _is_time(said[name]):
            raise _Disbelief(f"{name} is no number of seconds since 1970 with at most {_DECIMALS_MAX} decimals")
    for name in ("sub", "jti"):
        if not isinstance(said[name], str) or not 0 < len(said[name]) <= _TEXT_CHARS_MAX:
            raise _Disbelief(f"{name} is no short text")
    if not isinstance(said.get("scope", ""), str):
        raise _Disbelief("scope is no text")
    if not 0 < said["exp"] - said["iat"] <= issuer.lifetime_max_s:
        raise _Disbelief(f"its lifetime is not within {issuer.lifetime_max_s} s")
    since = _moment(max(said["iat"], said.get("nbf", 0)))
    return Claims(said["sub"], said["jti"], since, _moment(said["exp"]), key.signer, said.get("scope"))


def _check_time(claims: Claims, now: datetime) -> None:
    if now >= claims.until:
        raise _Disbelief("expired")
    if now < claims.since:
        raise _Disbelief("not valid yet")


def _check_signature(token: str, signature: bytes, bound: "jwt.PyJWK") -> None:
    """The library's word on it, with the algorithm that the key was bound to when the JWKS was read."""
    message = token.rpartition(".")[0].encode()
    if not bound.Algorithm.verify(message, bound.key, signature):
        raise _Disbelief("its signature is not the key's")


def _is_time(value: object) -> bool:
    """A NumericDate, with a fraction or without (RFC 7519 §2); bounded before any arithmetic, which then is exact."""
    if type(value) is not int and not isinstance(value, Decimal):
        return False
    exponent = Decimal(value).as_tuple().exponent
    return 0 <= value <= _SECONDS_MAX and isinstance(exponent, int) and exponent >= -_DECIMALS_MAX


def _moment(seconds: int | Decimal) -> datetime:
    """The first microsecond that is not before it: `now` is in microseconds, so comparing with that one is exact."""
    return utc(int((seconds * Decimal(1_000_000)).to_integral_value(ROUND_CEILING)))
