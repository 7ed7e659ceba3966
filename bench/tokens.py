"""An issuer of signed tokens, made up for one run: RS256, as most issuers sign; tokens for each caller's key.

A few that are shown again and again, as programs do until one ends, and so many that the guard, which remembers whose
signature held, remembers none of them when its turn comes again.
"""

import json
import time
from functools import cache
from typing import Any, Final

import asks
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "guard"
ALGORITHM: Final = "RS256"
LIFETIME_S: Final = 86_400  # they are made once: a run of many rounds, or of much patience, takes more than an hour
FRESH: Final = 6144  # more than `guard.access.proven.TOKENS_MAX`
_KID: Final = "bench"


@cache
def _private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwks() -> str:
    """The issuer's public key, as a JWK set."""
    public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(_private().public_key()))
    return json.dumps({"keys": [public | {"kid": _KID, "alg": ALGORITHM, "use": "sig"}]})


def issuer() -> str:
    """What a program has to know of the issuer, in one object."""
    words = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": [ALGORITHM], "jwks": json.loads(jwks())}
    return json.dumps(words)


@cache
def bearers(count: int = asks.KEYS) -> list[str]:
    """So many tokens, for each key in turn; all differ."""
    now = int(time.time())  # noqa: TID251 - not the product
    return [_signed(number, now) for number in range(count)]


@cache
def bad() -> dict[str, str]:
    """Tokens that nobody may take: by what is wrong with them."""
    now = int(time.time())  # noqa: TID251 - not the product
    head, claims, signature = _signed(0, now).split(".")
    _, others, _ = _signed(1, now).split(".")
    return {
        "a token with another's claims": f"{head}.{others}.{signature}",
        "a token that is over": _signed(0, now - 2 * LIFETIME_S),
        "a token without a signature": f"{head}.{claims}.",
    }


def _signed(number: int, now: int) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": asks.key_id(number % asks.KEYS), "jti": f"bench-{number}"}
    return jwt.encode(claims | {"iat": now, "exp": now + LIFETIME_S}, _private(), ALGORITHM, headers={"kid": _KID})
