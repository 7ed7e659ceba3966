"""Tokens: what is believed, and each single reason not to."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from guard.access.issuers import NO_ISSUERS, Issuers
from guard.access.proven import Claims
from guard.access.tokens import is_token, verify
from tests.support.keys import NOW
from tests.support.tokens import (
    AUDIENCE,
    ISSUER,
    NOW_S,
    SECRET,
    b64,
    claims,
    issuer,
    jwk,
    private,
    signed,
    token,
)

ONE = Issuers(issuer())
SIGNER = ONE.each[0].keys[0].signer
HEAD = '{"alg":"EdDSA","typ":"JWT"}'


def why(text: str, *, now_s: float = 0) -> str:
    """Why this token is not believed."""
    found = verify(text, ONE, now=NOW + timedelta(seconds=now_s))
    assert isinstance(found, str)
    return found


def test_a_good_token_is_believed() -> None:
    """Its claims come back, its end in UTC."""
    assert verify(token(claims(scope="qot:read")), ONE, now=NOW) == Claims(
        sub="bot",
        jti="t1",
        since=NOW - timedelta(seconds=10),
        until=NOW + timedelta(seconds=600),
        signer=SIGNER,
        scope="qot:read",
    )


@pytest.mark.parametrize(("text", "answer"), [("a.b.c", True), ("..", True), ("a.b", False), ("a.b.c.d", False)])
def test_two_dots_make_a_token(text: str, answer: bool) -> None:
    """Keys have no dots, so nothing is tried both ways."""
    assert is_token(text) is answer


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_an_hmac_secret_signs_for_its_own_family(algorithm: str) -> None:
    """HS* with an oct key."""
    text = token(algorithm=algorithm, key=SECRET)

    assert isinstance(verify(text, Issuers(issuer("oct", algorithm)), now=NOW), Claims)


@pytest.mark.parametrize(("kind", "algorithm"), [("RSA", "RS256"), ("RSA", "PS384"), ("EC", "ES256"), ("OKP", "EdDSA")])
def test_each_asymmetric_family_is_verified(kind: str, algorithm: str) -> None:
    """RSA, EC and Ed25519."""
    text = token(algorithm=algorithm, key=private(kind))

    assert isinstance(verify(text, Issuers(issuer(kind, algorithm)), now=NOW), Claims)


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt"])
def test_typ_is_absent_or_one_of_two(typ: str | None) -> None:
    """RFC 9068 tokens and plain ones."""
    assert isinstance(verify(token(typ=typ), ONE, now=NOW), Claims)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ({"typ": "JWE"}, "typ"),
        ({"typ": ["JWT"]}, "typ"),
        ({"crit": ["exp"]}, "crit"),
        ({"crit": []}, "crit"),
        ({"b64": False, "crit": ["b64"]}, "crit"),
        ({"b64": True}, "crit"),
        ({"jwk": jwk("OKP")}, "key of its own"),
        ({"jku": "https://evil.example"}, "key of its own"),
        ({"x5c": []}, "key of its own"),
        ({"x5u": "https://evil.example"}, "key of its own"),
        ({"alg": "none"}, "alg"),
        ({"alg": "HS256"}, "alg"),
        ({"alg": None}, "alg"),
        ({"alg": ["EdDSA"]}, "alg"),
        ({"kid": "other"}, "kid"),
        ({"kid": 5}, "kid"),
    ],
)
def test_cve_2026_32597_a_header_says_nothing_that_is_not_understood(header: dict[str, Any], sentence: str) -> None:
    """`crit` is refused, and so is a token that brings its own key or another algorithm."""
    assert sentence in why(token(**header))


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps(claims())[:-1] + ',"sub":"admin"}',
        json.dumps(claims())[:-1] + ',"s\\u0075b":"admin"}',
        "[]",
        '"x"',
        "{",
        "NaN",
        json.dumps(claims()) + " x",
    ],
)
def test_claims_that_are_no_strict_object_are_refused(payload: str) -> None:
    """The last of two claims would win in the library."""
    assert "claims are no" in why(signed(HEAD, payload))


def test_duplicate_header_members_are_refused() -> None:
    """A header is read as strictly as the claims."""
    assert "header are no strict JSON" in why(signed('{"alg":"none","alg":"EdDSA"}', json.dumps(claims())))


@pytest.mark.parametrize("name", ["exp", "iat", "aud", "iss", "sub", "jti"])
def test_every_required_claim_is_required(name: str) -> None:
    """A token without an end, or without an id, is not believed; null is no value."""
    assert f"{name} missing" in why(token(claims(**{name: None})))
    assert f"{name} missing" in why(token({**claims(), name: None}))


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"exp": str(NOW_S + 5)}, "exp is no number"),
        ({"exp": True}, "exp is no number"),
        ({"exp": 10**30}, "exp is no number"),
        ({"exp": 253_402_300_799.5}, "exp is no number"),
        ({"exp": 1e-10}, "exp is no number"),
        ({"iat": -1}, "iat is no number"),
        ({"iat": -0.5}, "iat is no number"),
        ({"nbf": "0"}, "nbf is no number"),
        ({"exp": NOW_S + 3590.5}, "lifetime"),
        ({"exp": NOW_S + 0.0}, "expired"),
        ({"iat": NOW_S + 0.000001}, "not valid yet"),
        ({"sub": ""}, "sub"),
        ({"sub": 5}, "sub"),
        ({"sub": "x" * 257}, "sub"),
        ({"jti": ["a"]}, "jti"),
        ({"scope": ["qot:read"]}, "scope"),
        ({"exp": NOW_S + 3591}, "lifetime"),
        ({"exp": NOW_S + 100 * 365 * 86400}, "lifetime"),
        ({"iat": NOW_S - 5, "exp": NOW_S - 5}, "lifetime"),
        ({"iat": NOW_S + 5, "exp": NOW_S + 1}, "lifetime"),
        ({"exp": NOW_S}, "expired"),
        ({"iat": NOW_S + 1}, "not valid yet"),
        ({"nbf": NOW_S + 1}, "not valid yet"),
        ({"iss": "https://evil.example"}, "no issuer"),
        ({"iss": [ISSUER]}, "no issuer"),
        ({"aud": "other"}, "no issuer"),
        ({"aud": ["other"]}, "no issuer"),
        ({"aud": {"guard": 1}}, "aud is neither"),
        ({"aud": 5}, "aud is neither"),
        ({"aud": [AUDIENCE, 5]}, "aud is neither"),
    ],
)
def test_every_claim_is_checked(members: dict[str, object], sentence: str) -> None:
    """Types, lifetime, times without leeway, issuer and audience."""
    assert sentence in why(token(claims(**members)))


def test_the_requests_own_now_decides_not_the_machines_clock() -> None:
    """The tokens here lie in another year; one second more and they end."""
    good = token(claims(nbf=NOW_S))

    assert isinstance(verify(good, ONE, now=NOW), Claims)
    assert isinstance(verify(good, ONE, now=NOW + timedelta(seconds=599, microseconds=999999)), Claims)
    assert "expired" in why(good, now_s=600)
    assert "not valid yet" in why(good, now_s=-1)


def test_times_may_have_a_fraction_and_hold_to_it_exactly() -> None:
    """RFC 7519 allows one. The first and the last microsecond of such a token are where its issuer put them."""
    good = token(claims(iat=NOW_S - 0.25, nbf=NOW_S + 0.1234567, exp=NOW_S + 599.5))

    assert "not valid yet" in why(good, now_s=0.123456)
    assert isinstance(verify(good, ONE, now=NOW + timedelta(microseconds=123457)), Claims)
    assert isinstance(verify(good, ONE, now=NOW + timedelta(seconds=599, microseconds=499999)), Claims)
    assert "expired" in why(good, now_s=599.5)


def test_audiences_may_be_a_list() -> None:
    """RFC 7519: one of them must be ours."""
    assert isinstance(verify(token(claims(aud=["x", AUDIENCE])), ONE, now=NOW), Claims)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: good[:-2] + ("AA" if good[-2:] != "AA" else "BB"),
        lambda good: good.rsplit(".", 1)[0] + "." + b64(b"\0" * 64),
        lambda good: good.replace(good.split(".")[1], b64(json.dumps(claims(sub="admin")).encode())),
    ],
)
def test_what_was_not_signed_is_not_believed(spoil: object) -> None:
    """Another signature or other claims."""
    assert "token: " in why(spoil(token()))  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [
        "..",
        "a..b",
        ".a.b",
        "a.b.",
        "a.b.c=",
        "a b.c.d",
        "ä.b.c",
        "a.b.c.d",
        token() + "=",
        token() + "\n",
        "x" * 9000 + ".b.c",
    ],
)
def test_three_clean_parts_or_nothing(text: str) -> None:
    """Padding, blanks, empty parts and very long texts are refused before any decoding."""
    assert "three parts" in why(text) or "longer" in why(text)


@pytest.mark.parametrize("shape", ["jwk", "pem"])
def test_cve_2026_48526_a_public_key_is_never_an_hmac_secret(shape: str) -> None:
    """HS256 over the text of the issuer's public key is not believed: the family and the key's own binding say no."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - this test only

    public = private("RSA").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = public if shape == "pem" else json.dumps(jwk("RSA")).encode()
    body = f"{b64(json.dumps({'alg': 'HS256'}).encode())}.{b64(json.dumps(claims()).encode())}"
    forged = f"{body}.{b64(hmac.new(secret, body.encode(), hashlib.sha256).digest())}"

    assert "alg is not one of the issuer's" in str(verify(forged, Issuers(issuer("RSA", "RS256")), now=NOW))


def test_a_token_names_its_key_where_there_are_several() -> None:
    """No key is tried out: without a kid, several keys are none."""
    two = Issuers(issuer("EC", "ES256", jwk("EC", kid="a"), jwk("EC", kid="b")))
    text = {"algorithm": "ES256", "key": private("EC")}

    assert isinstance(verify(token(kid="b", **text), two, now=NOW), Claims)
    assert "no kid" in str(verify(token(**text), two, now=NOW))
    assert "kid names no key" in str(verify(token(kid="c", **text), two, now=NOW))


def test_a_key_serves_only_the_algorithm_that_it_names() -> None:
    """`alg` of a JWK binds it within the issuer's list."""
    one = Issuers(issuer("RSA", "RS256", jwk("RSA", alg="RS256"), algorithms=("RS256", "PS256")))

    assert isinstance(verify(token(algorithm="RS256", key=private("RSA")), one, now=NOW), Claims)
    assert "alg is not one of the key's" in str(verify(token(algorithm="PS256", key=private("RSA")), one, now=NOW))


def test_the_issuer_is_chosen_by_iss_and_aud() -> None:
    """A token of one issuer is not verified with another's key."""
    two = issuer("EC", "ES256", issuer="https://two.example")
    issuers = Issuers(two, issuer("OKP", "EdDSA", audience="else"), issuer())

    assert isinstance(verify(token(), issuers, now=NOW), Claims)
    crossed = token(claims(iss="https://two.example"), algorithm="EdDSA")
    assert "alg is not one of the issuer's" in str(verify(crossed, issuers, now=NOW))


def test_nobody_is_believed_without_issuers() -> None:
    """Tokens are off unless configured."""
    assert "no issuer is configured" in str(verify(token(), NO_ISSUERS, now=NOW))
