"""Issuers: one family each, and keys that fit it."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from guard.access import Issuer, parse_issuer
from guard.access.issuers import JWKS_BYTES_MAX
from tests.support.tokens import AUDIENCE, ISSUER, b64, jwk, jwks, private


def parse(raw: bytes, *algorithms: str, lifetime_max_s: int = 3600, issuer: str = ISSUER) -> Issuer | list[str]:
    """An issuer of this JWKS text."""
    return parse_issuer(
        raw, issuer=issuer, audience=AUDIENCE, algorithms=algorithms, lifetime_max_s=lifetime_max_s, path="jwks.json"
    )


@pytest.mark.parametrize(
    ("algorithms", "sentence"),
    [
        (("RS256", "HS256"), "different families"),
        (("RS256", "ES256"), "different families"),
        (("ES256", "EdDSA"), "different families"),
        (("none",), "none; known are"),
        (("rs256",), "known are"),
        ((), "none named"),
    ],
)
def test_mixed_and_unknown_algorithms_are_refused_at_load(algorithms: tuple[str, ...], sentence: str) -> None:
    """One family an issuer is what makes confusion of key types impossible."""
    found = parse(jwks(jwk("RSA")), *algorithms)

    assert isinstance(found, list)
    assert sentence in found[0]


@pytest.mark.parametrize(("name", "audience"), [("", AUDIENCE), ("desk", ""), ("", "")])
def test_an_issuer_without_a_name_or_an_audience_is_refused_at_load(name: str, audience: str) -> None:
    """An empty audience would be one that a token for nobody in particular has."""
    found = parse_issuer(jwks(jwk("RSA")), issuer=name, audience=audience, algorithms=("RS256",), path="jwks.json")

    assert isinstance(found, list)
    assert "issuer and audience must not be empty" in found[0]


def test_one_family_may_have_several_algorithms() -> None:
    """RS256 and PS256 take the same keys."""
    assert isinstance(parse(jwks(jwk("RSA")), "RS256", "PS256"), Issuer)


@pytest.mark.parametrize(
    ("row", "algorithm", "sentence"),
    [
        (jwk("RSA"), "HS256", "kty is not oct"),
        (jwk("oct"), "RS256", "kty is not RSA"),
        (jwk("EC"), "ES384", "fits none"),
        (jwk("RSA", alg="PS256"), "RS256", "fits none"),
        (jwk("oct", k=b64(b"x" * 31)), "HS256", "too short"),
        (jwk("oct", k=b64(b"x" * 63)), "HS512", "too short"),
        (jwk("oct", k=""), "HS256", "malformed"),
        ({"kty": "oct"}, "HS256", "malformed"),
        (jwk("RSA", n=5), "RS256", "malformed"),
        (jwk("RSA", n="!!"), "RS256", "malformed"),
        (jwk("OKP", x="AA"), "EdDSA", "malformed"),
        (jwk("OKP", d="AA"), "EdDSA", "private key"),
        (jwk("RSA", kid=5), "RS256", "kid: write text"),
        (RSAAlgorithm.to_jwk(private("RSA"), as_dict=True) | {"key_ops": ["verify"]}, "RS256", "private key"),
        ("key", "RS256", "write an object"),
        ({}, "RS256", "kty is not RSA"),
    ],
)
def test_keys_that_do_not_fit_are_refused_at_load(row: object, algorithm: str, sentence: str) -> None:
    """Other types, short secrets, private parts, wrong curves."""
    found = parse(jwks(row), algorithm)

    assert isinstance(found, list)
    assert sentence in found[0]
    assert found[0].startswith("jwks.json: keys[0]: ")


def test_a_short_rsa_key_is_refused() -> None:
    """Below 2048 bits."""
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505 - refused here
    found = parse(
        jwks({"kty": "RSA"} | {n: v for n, v in RSAAlgorithm.to_jwk(weak, as_dict=True).items() if n in "ne"}), "RS256"
    )

    assert isinstance(found, list)
    assert "too short" in found[0]


@pytest.mark.parametrize("row", [jwk("EC", use="enc"), jwk("EC", key_ops=["encrypt"]), jwk("EC", key_ops=5)])
def test_keys_that_are_not_for_verifying_are_passed_over(row: object) -> None:
    """A provider's encryption keys are none of our business; alone they are no issuer."""
    both = parse(jwks(row, jwk("EC", kid="a", use="sig", key_ops=["verify"])), "ES256")
    alone = parse(jwks(row), "ES256")

    assert isinstance(both, Issuer)
    assert [key.kid for key in both.keys] == ["a"]
    assert alone == ["jwks.json: no key in it is for signatures"]


def test_a_curve_belongs_to_its_algorithm() -> None:
    """ES256 is P-256 and ES384 is P-384; one issuer may have both."""
    wide = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
    found = parse(jwks(jwk("EC", kid="a"), {**wide, "kid": "b"}), "ES256", "ES384")

    assert isinstance(found, Issuer)
    assert [list(key.by_algorithm) for key in found.keys] == [["ES256"], ["ES384"]]


def test_every_error_is_told_at_once() -> None:
    """Keys and kids in one run."""
    found = parse(jwks(jwk("RSA"), jwk("EC", kid="a"), jwk("EC", kid="a"), 5), "ES256")

    assert isinstance(found, list)
    assert [error.split(":")[1] for error in found] == [" keys[0]", " keys[3]", " two keys have the kid 'a'"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[],"keys":[]}',
        json.dumps(jwk("EC")).encode(),
        b" " * (JWKS_BYTES_MAX + 1),
    ],
)
def test_what_is_no_key_set_is_refused(raw: bytes) -> None:
    """Strict JSON, one object, a list of keys."""
    found = parse(raw, "ES256")

    assert isinstance(found, list)
    assert found[0].startswith("jwks.json: ")


@pytest.mark.parametrize("lifetime_max_s", [0, -1, 86_401])
def test_the_lifetime_is_bounded(lifetime_max_s: int) -> None:
    """A token that lives for ever is a key."""
    assert isinstance(parse(jwks(jwk("EC")), "ES256", lifetime_max_s=lifetime_max_s), list)


def test_an_issuer_has_a_name() -> None:
    """An empty iss would believe anybody who leaves it empty."""
    assert isinstance(parse(jwks(jwk("EC")), "ES256", issuer=""), list)
