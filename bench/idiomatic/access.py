"""Who is asking: bearer keys by their hash, and signed tokens that name a key."""

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import jwt
from refusals import refused


@dataclass(frozen=True, slots=True)
class Key:
    """One record of keys.json: what its holder may, and the limits that bind it whatever policies say."""

    id: str
    scopes: frozenset[str]
    allowed_markets: frozenset[str] | None = None
    allowed_trd_sides: frozenset[str] | None = None
    max_order_value: Decimal | None = None
    max_daily_value: Decimal | None = None
    max_orders_per_minute: int | None = None

    def check_scope(self, environment: str) -> None:
        """Trading in this environment needs its scope. Raises `Refused`."""
        needed = f"trade:{environment}"
        if needed not in self.scopes:
            code = "environment" if any(scope.startswith("trade:") for scope in self.scopes) else "scope"
            raise refused(code, f"needs the scope {needed}")

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """The key of a record."""
        return cls(
            id=record["id"],
            scopes=frozenset(record["scopes"]),
            allowed_markets=_set(record, "allowed_markets"),
            allowed_trd_sides=_set(record, "allowed_trd_sides"),
            max_order_value=_amount(record, "max_order_value"),
            max_daily_value=_amount(record, "max_daily_value"),
            max_orders_per_minute=record.get("max_orders_per_minute"),
        )


def _set(record: dict[str, Any], name: str) -> frozenset[str] | None:
    return frozenset(record[name]) if name in record else None


def _amount(record: dict[str, Any], name: str) -> Decimal | None:
    return Decimal(record[name]) if name in record else None


class Keyring:
    """All keys, and the issuer whose tokens are taken."""

    def __init__(self, records: list[dict[str, Any]], issuer: dict[str, Any] | None = None) -> None:
        self._by_hash = {record["hash"].removeprefix("sha256:"): Key.of(record) for record in records}
        self._by_id = {key.id: key for key in self._by_hash.values()}
        self._issuer = issuer
        self._signers = {key.key_id: key for key in jwt.PyJWKSet.from_dict(issuer["jwks"]).keys} if issuer else {}

    @classmethod
    def read(cls, keys: Path, issuer: Path | None) -> Self:
        """From the guard's own file."""
        said = json.loads(issuer.read_text(encoding="utf-8")) if issuer else None
        return cls(json.loads(keys.read_text(encoding="utf-8"))["keys"], said)

    def identify(self, authorization: str) -> Key:
        """The caller's key. Raises `Refused`."""
        scheme, _, bearer = authorization.partition(" ")
        if scheme == "Bearer" and bearer.count(".") == 2:
            return self._of_token(bearer)
        found = self._by_hash.get(hashlib.sha256(bearer.encode()).hexdigest())
        if scheme != "Bearer" or found is None:
            raise refused("unauthenticated", "a valid key is needed")
        return found

    def _of_token(self, token: str) -> Key:
        if self._issuer is None:
            raise refused("unauthenticated", "a valid key is needed")
        try:
            signer = self._signers[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token,
                signer.key,
                algorithms=self._issuer["algorithms"],
                audience=self._issuer["audience"],
                issuer=self._issuer["issuer"],
                options={"require": ["exp", "iat", "aud", "iss", "sub", "jti"]},
            )
            return self._by_id[claims["sub"]]
        except (jwt.InvalidTokenError, KeyError):
            raise refused("unauthenticated", "a valid key is needed") from None
