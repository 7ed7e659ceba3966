"""Issuers of tokens, read strictly from their JWKS: one family of algorithms each, keys bound to that family.

In: the words of `[[jwt]]` and the text of its JWKS file. Out: an `Issuer`, or every error at once. What would let one
kind of key be taken for another is refused here, at load: mixed families, a key of another type, an HMAC secret
shorter than its digest, an RSA key below 2048 bits, a private key. Pure. Sources: RFC 7517, 7518 §3.2, 8725 §3.1.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import jiter
from msgspec import Struct

from guard.access.proven import Proven

if TYPE_CHECKING:
    import jwt

JWKS_BYTES_MAX: Final = 2**20
LIFETIME_MAX_S: Final = 86_400

FAMILY: Final[Mapping[str, str]] = {
    "HS256": "oct",
    "HS384": "oct",
    "HS512": "oct",
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "EC",
    "ES384": "EC",
    "ES512": "EC",
    "EdDSA": "OKP",
}
"""Algorithm → the type of key (`kty`) that it takes. `none` is not in the table."""

_CURVE: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}


class IssuerKey(Struct, frozen=True):
    """One key of an issuer, ready for each algorithm that it may be used with.

    `signer`: this key as this issuer's, which is what a token that it signed rests on.
    """

    kid: str | None
    by_algorithm: "Mapping[str, jwt.PyJWK]"
    signer: bytes


class Issuer(Struct, frozen=True):
    """Whom to believe: `iss` and `aud` as tokens carry them, and how long a token may live (seconds)."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    keys: tuple[IssuerKey, ...]
    lifetime_max_s: int = 3600


class Issuers:
    """Everybody who is believed at one moment: swapped whole, so nothing that was believed under others outlives them.

    `signers`: what a token may rest on. `signing`: the same by issuer and kid, with the algorithms, to compare key sets
    that were read at different times. `proven`: the tokens whose signature held.
    """

    def __init__(self, *each: Issuer) -> None:
        self.each = each
        self.signers = frozenset(key.signer for issuer in each for key in issuer.keys)
        self.signing = frozenset(
            (issuer.issuer, key.kid, key.signer, tuple(key.by_algorithm)) for issuer in each for key in issuer.keys
        )
        self.proven = Proven()


NO_ISSUERS: Final = Issuers()


def signing_keys_moved(was: Issuers, now: Issuers) -> tuple[str, ...]:
    """Which signing keys came and went, one by one: who may make tokens is not told by the records of keys.json."""
    old, new = was.signing, now.signing
    words = []
    for issuer, kid in sorted({one[:2] for one in old ^ new}, key=str):
        gone, come = (any(one[:2] == (issuer, kid) for one in some) for some in (old - new, new - old))
        what = "replaced" if gone and come else "removed" if gone else "added"
        words.append(f"{issuer}: {'key without kid' if kid is None else f'key {kid}'} {what}")
    return tuple(words)


def parse_issuer(
    jwks: bytes, *, issuer: str, audience: str, algorithms: tuple[str, ...], lifetime_max_s: int = 3600, path: str
) -> Issuer | list[str]:
    """The issuer with its keys, or every error: one sentence each, naming `path` (the JWKS file) or the setting."""
    where = f"jwt issuer {issuer!r:.80}"
    errors = [f"{where}: issuer and audience must not be empty"] if not issuer or not audience else []
    if not 0 < lifetime_max_s <= LIFETIME_MAX_S:
        errors.append(f"{where}: lifetime_max_s: write 1 to {LIFETIME_MAX_S} seconds")
    errors += _algorithm_errors(algorithms, where=where)
    if errors:
        return errors
    rows = _rows(jwks, path=path)
    if isinstance(rows, str):
        return [rows]
    keys: list[IssuerKey] = []
    for place, row in enumerate(rows):
        key = _key(row, algorithms, whose=(issuer, audience))
        if isinstance(key, str):
            errors.append(f"{path}: keys[{place}]: {key}")
        elif key is not None:
            keys.append(key)
    errors += _kid_errors(keys, path=path)
    if not errors and not keys:
        errors.append(f"{path}: no key in it is for signatures")
    return errors or Issuer(issuer, audience, algorithms, tuple(keys), lifetime_max_s)


def _algorithm_errors(algorithms: tuple[str, ...], *, where: str) -> list[str]:
    unknown = [name for name in algorithms if name not in FAMILY]
    if unknown or not algorithms:
        return [f"{where}: algorithms: {', '.join(unknown) or 'none named'}; known are {', '.join(FAMILY)}"]
    if len({FAMILY[name] for name in algorithms}) > 1:
        return [
            f"{where}: algorithms: {', '.join(algorithms)} are of different families; configure one family an issuer"
        ]
    return []


def _rows(jwks: bytes, *, path: str) -> list[Any] | str:
    if len(jwks) > JWKS_BYTES_MAX:
        return f"{path}: larger than {JWKS_BYTES_MAX} bytes"
    try:
        document = jiter.from_json(jwks, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        return f"{path}: not strict JSON: {error}"
    rows = document.get("keys") if isinstance(document, dict) else None
    return rows if isinstance(rows, list) else f'{path}: write a JWK set, {{"keys": [...]}}'


def _kid_errors(keys: list[IssuerKey], *, path: str) -> list[str]:
    named = [key.kid for key in keys if key.kid is not None]
    return [f"{path}: two keys have the kid {kid!r:.80}" for kid in sorted(set(named)) if named.count(kid) > 1]


def _key(row: object, algorithms: tuple[str, ...], *, whose: tuple[str, str]) -> IssuerKey | str | None:
    """The key, why it cannot be used, or None for a key that is for encryption and none of our business."""
    import jwt  # noqa: PLC0415 - 2 MB that only a guard with issuers needs

    if not isinstance(row, dict):
        return "write an object"
    operations = row.get("key_ops", ["verify"])
    if row.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    wrong = _unfit(row, algorithms)
    if wrong is not None:
        return wrong
    names = [name for name in algorithms if row.get("alg", name) == name and row.get("crv") == _CURVE.get(name)]
    if not names:
        return f"its alg or curve fits none of {', '.join(algorithms)}"
    try:
        return IssuerKey(row.get("kid"), {name: _bound(row, name) for name in names}, _signer(row, whose))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        return f"{type(error).__name__}: it is malformed or too short for {', '.join(names)}"


def _signer(row: Mapping[str, Any], whose: tuple[str, str]) -> bytes:
    """Of what makes the key what it is (RFC 7638 §3.2), the name that tokens call it by, issuer and audience."""
    members = {name: row[name] for name in ("kid", "kty", "crv", "x", "y", "e", "n", "k") if name in row}
    return hashlib.sha256(json.dumps([*whose, members], sort_keys=True).encode()).digest()


def _unfit(row: Mapping[str, Any], algorithms: tuple[str, ...]) -> str | None:
    family = FAMILY[algorithms[0]]
    if row.get("kty") != family:
        return f"its kty is not {family}, which {', '.join(algorithms)} take"
    if family != "oct" and "d" in row:
        return "it holds a private key; put the public part here only"
    if "kid" in row and not isinstance(row["kid"], str):
        return "kid: write text"
    return None


def _bound(row: dict[str, Any], algorithm: str) -> "jwt.PyJWK":
    """The key for this algorithm and no other, long enough for it: here, since no token asks again."""
    import jwt  # noqa: PLC0415 - 2 MB that only a guard with issuers needs

    key = jwt.PyJWK(row, algorithm=algorithm)
    too_short = key.Algorithm.check_key_length(key.key)
    if too_short is not None:
        raise jwt.InvalidKeyError(too_short)
    return key
