"""Keys and tokens of made-up issuers. Tokens are put together by hand, so that they can be as wrong as a test needs."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from guard.access import Issuer, parse_issuer
from tests.support.keys import NOW

ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "guard"
NOW_S: Final = int(NOW.timestamp())
SECRET: Final = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
ISSUING: Final = (
    f'[[jwt]]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\njwks_file = "jwks.json"\nalgorithms = ["EdDSA"]\n'
)


@cache
def private(kind: str) -> Any:
    """One private key per kind: RSA, EC or OKP."""
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "EC" else ed25519.Ed25519PrivateKey.generate()


def b64(raw: bytes) -> str:
    """Unpadded base64url."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk(kind: str, **members: Any) -> dict[str, Any]:
    """The public JWK of `private(kind)`, or the HMAC secret for "oct"."""
    if kind == "oct":
        return {"kty": "oct", "k": b64(SECRET)} | members
    makers: dict[str, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}
    public: dict[str, Any] = makers[kind].to_jwk(private(kind).public_key(), as_dict=True)
    return {name: value for name, value in public.items() if name != "key_ops"} | members


def jwks(*rows: Any) -> bytes:
    """A JWK set."""
    return json.dumps({"keys": list(rows)}).encode()


def issuer(kind: str = "OKP", algorithm: str = "EdDSA", *rows: Any, **settings: Any) -> Issuer:
    """An issuer with one key of this kind, or with these rows."""
    words = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": (algorithm,), "path": "jwks.json"} | settings
    parsed = parse_issuer(jwks(*(rows or (jwk(kind),))), **words)
    assert isinstance(parsed, Issuer), parsed
    return parsed


def claims(**members: Any) -> dict[str, Any]:
    """Good claims for key "bot"; a member set to None is left out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bot", "jti": "t1", "iat": NOW_S - 10, "exp": NOW_S + 600}
    return {name: value for name, value in (good | members).items() if value is not None}


def signed(header: str, payload: str, *, algorithm: str = "EdDSA", key: Any = None) -> str:
    """A token of exactly these two texts, signed."""
    body = f"{b64(header.encode())}.{b64(payload.encode())}"
    signer = jwt.get_algorithm_by_name(algorithm)
    return f"{body}.{b64(signer.sign(body.encode(), private('OKP') if key is None else key))}"


def token(members: Mapping[str, Any] | None = None, *, algorithm: str = "EdDSA", key: Any = None, **header: Any) -> str:
    """A token with these claims; extra header members as given, None leaves one out."""
    head = {"alg": algorithm, "typ": "JWT"} | header
    head = {name: value for name, value in head.items() if value is not None}
    return signed(json.dumps(head), json.dumps(claims() if members is None else members), algorithm=algorithm, key=key)
