"""What is remembered of tokens: that a signature held, under these issuers; nothing that a moment can change."""

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from guard.access import authenticate
from guard.access.issuers import Issuer, IssuerKey, Issuers
from guard.access.proven import BYTES_MAX, TOKENS_MAX, Claims, Proven, digest_of
from guard.access.tokens import verify
from guard.terms import Principal, Refusal
from tests.support.keys import NOW, record, ring
from tests.support.tokens import b64, claims, issuer, jwk, private, token


class Counting:
    """A key of an issuer that counts how often it is asked about a signature; the library answers."""

    def __init__(self, key: Any) -> None:
        self.key = key.key
        self.Algorithm = self
        self._library = key.Algorithm
        self.asked = 0

    def verify(self, message: bytes, key: Any, signature: bytes) -> bool:
        """The library's word."""
        self.asked += 1
        return bool(self._library.verify(message, key, signature))


def counted(whole: Issuer) -> tuple[Issuers, Counting]:
    """The same issuer, its one key counting."""
    key = whole.keys[0]
    ((name, bound),) = key.by_algorithm.items()
    counting = Counting(bound)
    own: Any = {name: counting}
    return Issuers(structs.replace(whole, keys=(IssuerKey(key.kid, own, key.signer),))), counting


def is_believed(text: str, issuers: Issuers, *, s: int = 0) -> bool:
    """Whether this token is believed so many seconds from now."""
    return isinstance(verify(text, issuers, now=NOW + timedelta(seconds=s)), Claims)


def test_a_signature_is_worked_out_once() -> None:
    """The same token again costs none and says the same; another one costs its own."""
    issuers, counting = counted(issuer())
    first = verify(token(), issuers, now=NOW)

    assert verify(token(), issuers, now=NOW) == first
    assert isinstance(first, Claims)
    assert counting.asked == 1
    assert is_believed(token(claims(jti="t2")), issuers)
    assert counting.asked == 2


def test_what_was_not_believed_is_not_remembered() -> None:
    """Whoever has no issuer's signature costs what it costs, and takes no room."""
    issuers, counting = counted(issuer())
    forged = token()[:-4] + "AAAA"

    assert not is_believed(forged, issuers)
    assert not is_believed(forged, issuers)
    assert not is_believed(token(), issuers, s=600)
    assert not is_believed(token(), issuers, s=-11)
    assert (counting.asked, len(issuers.proven)) == (2, 0)


def test_times_are_looked_at_each_time() -> None:
    """A token that was believed ends at its own moment, and does not begin before its own, should the clock go back."""
    issuers = Issuers(issuer())
    text = token(claims(nbf=int(NOW.timestamp()) - 5))

    assert is_believed(text, issuers)
    assert is_believed(text, issuers, s=599)
    assert "expired" in str(verify(text, issuers, now=NOW + timedelta(seconds=600)))
    assert "not valid yet" in str(verify(text, issuers, now=NOW - timedelta(seconds=6)))
    assert is_believed(text, issuers)


@pytest.mark.parametrize(
    "after",
    [
        Issuers(),
        Issuers(issuer("EC", "ES256")),
        Issuers(issuer("OKP", "EdDSA", jwk("OKP", kid="b"))),
        Issuers(issuer(audience="elsewhere")),
        Issuers(issuer(issuer="https://other.example")),
        Issuers(issuer(lifetime_max_s=60)),
    ],
    ids=["none", "other key", "kid taken away", "other audience", "other issuer", "shorter lifetime"],
)
def test_nothing_outlives_the_issuers_that_it_held_under(after: Issuers) -> None:
    """Believed and remembered a moment ago; refused at once where the key, its name or the setting is gone."""
    before, text = Issuers(issuer("OKP", "EdDSA", jwk("OKP", kid="a"))), token(kid="a")
    bot = authenticate(ring(record()), text, now=NOW, issuers=before)

    assert isinstance(bot, Principal)
    assert len(before.proven) == 1
    assert isinstance(authenticate(ring(record()), text, now=NOW, issuers=after), Refusal)
    assert len(after.proven) == 0


def test_rights_are_looked_at_each_time() -> None:
    """A token that is remembered has what its key has now, and nothing once the key is gone."""
    issuers = Issuers(issuer())
    wide, narrow = ring(record(scopes=["qot:read", "trade:real"])), ring(record(scopes=["qot:read"]))
    found = [authenticate(keys, token(), now=NOW, issuers=issuers) for keys in (wide, narrow, ring(record("b")))]

    assert [caller.scopes for caller in found if isinstance(caller, Principal)] == [
        {"qot:read", "trade:real"},
        {"qot:read"},
    ]
    assert isinstance(found[2], Refusal)
    assert len(issuers.proven) == 1


@pytest.mark.parametrize(("kind", "algorithm"), [("OKP", "EdDSA"), ("oct", "HS256")])
def test_a_token_altered_by_one_byte_is_another(kind: str, algorithm: str) -> None:
    """Wherever it is altered, also in bits that no decoder would miss."""
    signing: dict[str, Any] = {"key": b"0123456789abcdef" * 4} if kind == "oct" else {}
    issuers, text = Issuers(issuer(kind, algorithm)), token(algorithm=algorithm, **signing)
    assert is_believed(text, issuers)

    for place, letter in enumerate(text):
        for other in {"A", "B", "-", "."} - {letter}:
            assert not is_believed(text[:place] + other + text[place + 1 :], issuers), (place, other)
    assert len(issuers.proven) == 1


@pytest.mark.parametrize(
    "header", [{"alg": "HS256"}, {"alg": "none"}, {"alg": "PS256"}, {"kid": "b"}, {"kid": "c"}, {}]
)
def test_another_header_before_the_same_claims_is_another_token(header: dict[str, Any]) -> None:
    """Another algorithm, another key of the same issuer, one that is unknown, or none named: nothing is inherited."""
    rows = (jwk("RSA", kid="a", alg="RS256"), jwk("RSA", kid="b", alg="PS256"))
    issuers = Issuers(issuer("RSA", "RS256", *rows, algorithms=("RS256", "PS256")))
    text = token(algorithm="RS256", key=private("RSA"), kid="a")
    assert is_believed(text, issuers)

    _, said, signature = text.split(".")
    head = {"alg": "RS256", "typ": "JWT", "kid": "a"} | header if header else {"alg": "RS256", "typ": "JWT"}
    assert not is_believed(f"{b64(json.dumps(head).encode())}.{said}.{signature}", issuers)


def test_of_a_token_its_digest_is_held_and_no_part_of_it() -> None:
    """Whoever reads the memory of the guard finds nothing there that opens anything."""
    issuers = Issuers(issuer())
    assert is_believed(token(), issuers)

    held = repr(list(issuers.proven._claims.items()))
    assert repr(digest_of(token())) in held
    assert not any(part in held for part in token().split("."))


def small(number: int, **members: Any) -> Claims:
    """Claims of no particular token."""
    return Claims("bot", str(number), NOW, NOW, b"", **members)


def test_so_many_tokens_are_remembered_and_the_one_not_seen_for_longest_goes() -> None:
    """A token that is in use stays, however many come once."""
    proven = Proven()
    for number in range(3 * TOKENS_MAX):
        proven.put(b"%d" % number, small(number))
        assert proven.get(b"0") is not None

    assert len(proven) == TOKENS_MAX
    assert proven.get(b"%d" % TOKENS_MAX) is None
    assert proven.get(b"%d" % (3 * TOKENS_MAX - 1)) is not None


def test_so_many_bytes_are_remembered() -> None:
    """Long scopes make room as others do, and what they took is given back."""
    proven, scope = Proven(), "x" * 6000
    for number in range(TOKENS_MAX):
        proven.put(b"%d" % number, small(number, scope=scope))
        proven.put(b"%d" % number, small(number, scope=scope))
    assert 100 < len(proven) < BYTES_MAX / len(scope)

    for number in range(TOKENS_MAX):
        proven.put(b"short %d" % number, small(number))
    assert len(proven) == TOKENS_MAX
