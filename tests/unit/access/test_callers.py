"""Who is asking: keys, and the little that a refusal says."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from guard.access import Issuer, Issuers, authenticate, bearer_of, renewed, still_valid
from guard.codes import Code
from guard.terms import Principal, Refusal
from tests.support.keys import NOW, PLAIN, hash_of, record, ring
from tests.support.tokens import claims, issuer, jwk, token

KEYS = ring(record(), record("b"))


@pytest.mark.parametrize(
    ("header", "bearer"),
    [
        (None, None),
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER   abc ", "abc"),
        ("Bearer a.b-c_d~e+f/g==", "a.b-c_d~e+f/g=="),
        ("", ""),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("abc", ""),
        ("Basic abc", ""),
        ("Bearer a b", ""),
        ("Bearer a, Bearer b", ""),
        ("Bearer a,b", ""),
        ("Bearer\tabc", ""),
        ("Bearer abc\n", ""),
        ("Bearer äbc", ""),
        ("Bearer a'b", ""),
        ("Bearer a\x00b", ""),
        ("Bearer a=b", ""),
    ],
)
def test_b23_the_scheme_is_taken_in_any_case_and_nothing_odd_is_a_bearer(
    header: str | None, bearer: str | None
) -> None:
    """No header is None; a header without one clean token is "", which no key is."""
    assert bearer_of(header) == bearer


def test_a_known_key_is_its_principal() -> None:
    """The digest finds the record."""
    found = authenticate(KEYS, PLAIN, now=NOW)

    assert isinstance(found, Principal)
    assert found.id == "bot"
    assert found.jti is None


@pytest.mark.parametrize(
    ("bearer", "note"),
    [
        (None, "no credential"),
        ("", "malformed"),
        ("nobody", "unknown key"),
        (PLAIN + "x", "unknown key"),
        (PLAIN[:-1], "unknown key"),
        (PLAIN.upper(), "unknown key"),
        ("x" * 8193, "longer than"),
        ("' OR 1=1 --", "unknown key"),
        ("a\x00b", "unknown key"),
        ("\ud800", "unknown key"),
        ("a.b.c", "token"),
    ],
)
def test_b22_nobody_is_let_in_without_a_good_key_and_nobody_learns_why(bearer: str | None, note: str) -> None:
    """One message for every cause; the cause is a note for the record."""
    found = authenticate(KEYS, bearer, now=NOW)

    assert isinstance(found, Refusal)
    assert found.code is Code.UNAUTHENTICATED
    assert note in found.note
    assert found.reasons == authenticate(KEYS, None, now=NOW).reasons  # type: ignore[union-attr]
    assert not bearer or len(bearer) < 4 or bearer not in found.note


@pytest.mark.parametrize("cut", ["", "sha256:"])
def test_cve_2026_42208_a_hash_is_no_key(cut: str) -> None:
    """Whoever reads keys.json cannot use what it holds."""
    presented = hash_of(PLAIN).removeprefix(cut)

    assert isinstance(authenticate(KEYS, presented, now=NOW), Refusal)


def test_an_empty_keyring_lets_nobody_in() -> None:
    """No keys means nobody, never everybody (B22, B27)."""
    assert isinstance(authenticate(ring(), PLAIN, now=NOW), Refusal)


def test_b03_a_revoked_key_ends_with_the_next_keyring() -> None:
    """Nothing is remembered between calls."""
    before = authenticate(KEYS, PLAIN, now=NOW)

    assert isinstance(before, Principal)
    assert isinstance(authenticate(ring(record("b")), PLAIN, now=NOW), Refusal)
    assert still_valid(KEYS, before, now=NOW)
    assert not still_valid(ring(record("b")), before, now=NOW)


def test_a_key_ends_at_its_expiry() -> None:
    """The last moment is outside, for new calls and for sockets that are open."""
    keys = ring(record(expires_at="2026-11-23T02:30:01Z"))
    caller = authenticate(keys, PLAIN, now=NOW)
    after = NOW + timedelta(seconds=1)

    assert isinstance(caller, Principal)
    assert still_valid(keys, caller, now=NOW)
    assert not still_valid(keys, caller, now=after)
    assert isinstance(authenticate(keys, PLAIN, now=after), Refusal)
    assert "expired" in authenticate(keys, PLAIN, now=after).note  # type: ignore[union-attr]


def test_an_expiry_that_was_brought_forward_ends_an_open_caller() -> None:
    """A rotation shortens the old record; what was looked up before it ends too."""
    caller = authenticate(KEYS, PLAIN, now=NOW)

    assert isinstance(caller, Principal)
    assert not still_valid(ring(record(expires_at="2026-11-23T02:30:00Z")), caller, now=NOW)


def test_a_key_whose_rights_changed_is_no_longer_the_same() -> None:
    """A grant is for what was looked at."""
    caller = authenticate(KEYS, PLAIN, now=NOW)

    assert isinstance(caller, Principal)
    assert not still_valid(ring(record(scopes=["acc:read"])), caller, now=NOW)


def test_a_key_bound_to_machines_never_works_and_the_record_says_why() -> None:
    """The guard cannot verify machines, so the key is disabled."""
    keys = ring(record(allowed_machines=["ab"]))
    found = authenticate(keys, PLAIN, now=NOW)

    assert isinstance(found, Refusal)
    assert "allowed_machines" in found.note
    assert not still_valid(keys, keys.principals["bot"], now=NOW)


def test_a_token_speaks_for_exactly_the_key_id_of_its_sub() -> None:
    """`bot` and `bot@2` are one principal, yet each is its own credential."""
    keys = ring(record(expires_at="2026-11-23T02:00:00Z"), record("bot@2"))
    issuers = Issuers(issuer())

    assert isinstance(authenticate(keys, token(claims(sub="bot")), now=NOW, issuers=issuers), Refusal)
    found = authenticate(keys, token(claims(sub="bot@2")), now=NOW, issuers=issuers)
    assert isinstance(found, Principal)
    assert (found.id, found.name, found.jti) == ("bot@2", "bot", "t1")


def test_a_token_ends_with_itself_or_its_key_whichever_is_first() -> None:
    """`until` is the earlier end."""
    issuers = Issuers(issuer())
    long_key = authenticate(ring(record()), token(), now=NOW, issuers=issuers)
    short_key = authenticate(ring(record(expires_at="2026-11-23T02:31:00Z")), token(), now=NOW, issuers=issuers)

    assert isinstance(long_key, Principal)
    assert long_key.until == NOW + timedelta(seconds=600)
    assert still_valid(ring(record()), long_key, now=NOW, issuers=issuers)
    assert not still_valid(ring(record()), long_key, now=NOW + timedelta(seconds=600), issuers=issuers)
    assert isinstance(short_key, Principal)
    assert short_key.until == NOW + timedelta(minutes=1)


def test_revoking_or_disabling_a_key_id_revokes_its_tokens() -> None:
    """A token has no rights of its own."""
    issuers = Issuers(issuer())
    bot = authenticate(KEYS, token(), now=NOW, issuers=issuers)

    assert isinstance(bot, Principal)
    assert still_valid(KEYS, bot, now=NOW, issuers=issuers)
    assert not still_valid(ring(record("b")), bot, now=NOW, issuers=issuers)
    for keys in (ring(record("b")), ring(record(allowed_machines=[]))):
        assert isinstance(authenticate(keys, token(), now=NOW, issuers=issuers), Refusal)


@pytest.mark.parametrize(
    ("has", "claim", "left"),
    [
        (["qot:read", "acc:read"], None, {"qot:read", "acc:read"}),
        (["qot:read", "acc:read"], "qot:read", {"qot:read"}),
        (["qot:read"], "qot:read trade:real admin", {"qot:read"}),
        (["qot:read"], "openid profile", set()),
        (["qot:read"], "", set()),
        (["admin"], "guard:operate", {"guard:operate"}),
        (["guard:operate"], "admin", {"guard:operate"}),
    ],
)
def test_a_scope_claim_can_only_narrow(has: list[str], claim: str | None, left: set[str]) -> None:
    """What the record does not give, no token adds."""
    found = authenticate(ring(record(scopes=has)), token(claims(scope=claim)), now=NOW, issuers=Issuers(issuer()))

    assert isinstance(found, Principal)
    assert found.scopes == left


def test_cve_2026_35030_tokens_that_begin_alike_are_different_callers() -> None:
    """No answer is kept by a part of the credential."""
    issuers = Issuers(issuer())
    one = authenticate(KEYS, token(claims(sub="bot")), now=NOW, issuers=issuers)
    two = authenticate(KEYS, token(claims(sub="b")), now=NOW, issuers=issuers)

    assert isinstance(one, Principal)
    assert isinstance(two, Principal)
    assert (one.id, two.id) == ("bot", "b")


def test_b29_a_bad_token_never_falls_back_to_a_key() -> None:
    """A presented credential that fails is refused, also where its text is some key's plaintext."""
    keys = ring(record(hash=hash_of("a.b.c")))

    assert isinstance(authenticate(keys, "a.b.c", now=NOW), Refusal)


@pytest.mark.parametrize(
    ("believed", "stands"),
    [
        ((issuer(),), True),
        ((issuer("EC", "ES256"), issuer()), True),
        ((), False),
        ((issuer("EC", "ES256"),), False),
        ((issuer(audience="elsewhere"),), False),
        ((issuer("OKP", "EdDSA", jwk("OKP", kid="renamed")),), False),
        ((issuer("OKP", "EdDSA", jwk("OKP", use="sig")),), True),
    ],
    ids=["as before", "another one first", "none", "other key", "other audience", "other kid", "same key"],
)
def test_a_token_ends_with_the_key_that_signed_it(believed: tuple[Issuer, ...], stands: bool) -> None:
    """Whose signature is believed no more speaks for nobody, however long the token would have lived."""
    bot = authenticate(KEYS, token(), now=NOW, issuers=Issuers(issuer()))

    assert isinstance(bot, Principal)
    assert still_valid(KEYS, bot, now=NOW, issuers=Issuers(*believed)) is stands
    assert (renewed(KEYS, bot, now=NOW, issuers=Issuers(*believed)) is not None) is stands


@pytest.mark.parametrize(
    ("is_now", "stands"),
    [
        ({}, True),
        ({"max_order_value": 1, "allowed_markets": ["US"], "hours_window": "09:00-10:00"}, True),
        ({"note": "new", "expires_at": "2026-11-23T03:30:00Z"}, True),
        ({"scopes": ["trade:real", "acc:read", "admin"]}, True),
        ({"scopes": ["trade:real"]}, True),
        ({"allowed_acc_ids": [7, 8, 9]}, True),
        ({"allowed_acc_ids": None}, True),
        ({"expires_at": "2026-11-23T02:30:00Z"}, False),
        ({"allowed_machines": ["ab"]}, False),
        ({"hash": hash_of("another secret")}, False),
        ({"owner": "somebody"}, False),
        ({"scopes": ["trade:simulate", "acc:read"]}, False),
        ({"allowed_acc_ids": [7]}, False),
        ({"allowed_card_nums": ["7680"]}, False),
    ],
)
def test_a_key_is_renewed_unless_it_may_cancel_less(is_now: dict[str, Any], stands: bool) -> None:
    """Limits, notes and further rights change nothing; another secret, an end, or rights taken away are an end."""
    was: dict[str, Any] = {"scopes": ["trade:real", "acc:read"], "allowed_acc_ids": [7, 8]}
    keys = ring(record(**was | is_now), record("b"))
    caller = authenticate(ring(record(**was)), PLAIN, now=NOW)

    assert isinstance(caller, Principal)
    assert renewed(keys, caller, now=NOW) == (keys.principals["bot"] if stands else None)
    assert renewed(ring(record("b")), caller, now=NOW) is None


def test_a_renewed_token_has_no_more_scopes_and_no_longer_life() -> None:
    """What a token lacked it does not get by a reload; what its key lost it loses."""
    issuers = Issuers(issuer())
    was = ring(record(scopes=["trade:real", "acc:read"]))
    caller = authenticate(was, token(claims(scope="trade:real qot:read")), now=NOW, issuers=issuers)
    ends = "2026-11-23T02:31:00Z"
    keys = ring(record(scopes=["trade:real", "qot:read"], max_order_value=5, expires_at=ends))

    assert isinstance(caller, Principal)
    found = renewed(keys, caller, now=NOW, issuers=issuers)
    assert found is not None
    assert (found.scopes, found.jti) == (frozenset({"trade:real"}), "t1")
    assert (found.limits.max_order_value, found.until) == (Decimal(5), NOW + timedelta(minutes=1))
