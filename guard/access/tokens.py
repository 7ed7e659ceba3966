"""JSON Web Tokens: who issued one, whether it may be believed, and which key it speaks for.

In: a token and the configured issuers. Out: `Claims`, or a sentence for the record saying which check failed (it never
reaches the caller). Strict before the library: three canonical base64url parts, header and claims one JSON object each
without duplicate members, integer times, no `crit`, no key that the token brings along. A key is bound to the
algorithms of its own type when the JWKS is read, so a public key can never become an HMAC secret (CVE-2026-48526,
CVE-2026-32597). Times are compared with the request's own `now`, without leeway: PyJWT would ask the machine's clock,
so its own time checks are off. Pure. Sources: RFC 7515, 7517, 7518, 7519, 8725, 9068.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jiter
from msgspec import Struct

from guard.access.issuers import Issuer, IssuerKey

TOKEN_CHARS_MAX: Final = 8192
_TEXT_CHARS_MAX: Final = 256
_SECONDS_MAX: Final = 253_402_300_799  # the last second of the year 9999
_PARTS: Final = 3
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PART: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_TYPES: Final = ("jwt", "at+jwt")
_REQUIRED: Final = ("exp", "iat", "aud", "iss", "sub", "jti")
_TIMES: Final = ("exp", "iat", "nbf")
_NO_KEYS_OF_ITS_OWN: Final = ("jwk", "jku", "x5u", "x5c")


class Claims(Struct, frozen=True):
    """What a believed token says: the key id, the token's own id, its end (UTC), and the narrowing `scope` claim.

    `signer`: the issuer's key that signed it.
    """

    sub: str
    jti: str
    until: datetime
    signer: bytes
    scope: str | None = None


class _Disbelief(ValueError):
    """Why a token is not believed; caught in `verify`."""


def is_token(bearer: str) -> bool:
    """A bearer with exactly two dots is a token; keys have none."""
    return bearer.count(".") == _PARTS - 1


def verify(token: str, issuers: tuple[Issuer, ...], *, now: datetime) -> Claims | str:
    """The claims of a token that an issuer signed for us and whose time has come and not passed; else why not."""
    try:
        header, claims = _open(token)
        _check_header(header)
        issuer = _issuer(claims, issuers)
        _check_claims(claims, issuer, now)
        key = _check_signature(token, header, issuer)
    except _Disbelief as why:
        return f"token: {why}"
    until, scope = _moment(claims["exp"]), claims.get("scope")
    return Claims(sub=claims["sub"], jti=claims["jti"], until=until, signer=issuer.signer(key), scope=scope)


def _open(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if len(token) > TOKEN_CHARS_MAX:
        raise _Disbelief(f"longer than {TOKEN_CHARS_MAX} characters")
    parts = token.split(".")
    if len(parts) != _PARTS or not all(_PART.fullmatch(part) for part in parts):
        raise _Disbelief("not three parts of unpadded base64url")
    return _object(parts[0], "header"), _object(parts[1], "claims")


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
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


def _issuer(claims: Mapping[str, Any], issuers: tuple[Issuer, ...]) -> Issuer:
    missing = [name for name in _REQUIRED if claims.get(name) is None]
    if missing:
        raise _Disbelief(f"{', '.join(missing)} missing")
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    for issuer in issuers:
        if claims["iss"] == issuer.issuer and issuer.audience in audiences:
            return issuer
    raise _Disbelief("no issuer is configured with this iss and aud")


def _check_claims(claims: Mapping[str, Any], issuer: Issuer, now: datetime) -> None:
    for name in _TIMES:
        if name in claims and (type(claims[name]) is not int or not 0 <= claims[name] <= _SECONDS_MAX):
            raise _Disbelief(f"{name} is no whole number of seconds")
    for name in ("sub", "jti"):
        if not isinstance(claims[name], str) or not 0 < len(claims[name]) <= _TEXT_CHARS_MAX:
            raise _Disbelief(f"{name} is no short text")
    if not isinstance(claims.get("scope", ""), str):
        raise _Disbelief("scope is no text")
    if not 0 < claims["exp"] - claims["iat"] <= issuer.lifetime_max_s:
        raise _Disbelief(f"its lifetime is not within {issuer.lifetime_max_s} s")
    if now >= _moment(claims["exp"]):
        raise _Disbelief("expired")
    if now < _moment(claims["iat"]) or now < _moment(claims.get("nbf", 0)):
        raise _Disbelief("not valid yet")


def _check_signature(token: str, header: Mapping[str, Any], issuer: Issuer) -> IssuerKey:
    import jwt  # noqa: PLC0415 - loaded with the issuers; a guard without any does without its 2 MB

    algorithm = header.get("alg")
    if algorithm not in issuer.algorithms:
        raise _Disbelief("alg is not one of the issuer's")
    signer = _key(header, issuer)
    key = signer.by_algorithm.get(algorithm)
    if key is None:
        raise _Disbelief("alg is not one of the key's")
    try:
        jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            options={
                "require": list(_REQUIRED),
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "enforce_minimum_key_length": True,
            },
        )
    except jwt.PyJWTError as error:
        raise _Disbelief(f"{type(error).__name__}") from None
    return signer


def _key(header: Mapping[str, Any], issuer: Issuer) -> IssuerKey:
    """The key that `kid` names; without a `kid` only where the issuer has a single key. No key is ever tried out."""
    if "kid" not in header:
        if len(issuer.keys) == 1:
            return issuer.keys[0]
        raise _Disbelief("no kid, and the issuer has several keys")
    for key in issuer.keys:
        if key.kid is not None and key.kid == header["kid"]:
            return key
    raise _Disbelief("kid names no key of the issuer")


def _moment(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)
