"""Any bytes and any members give a keyring or errors, any bearer a principal or one refusal: never an exception."""

import json
from decimal import Decimal
from typing import Any, Final

import jiter
import jwt
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard.access import (
    Issuer,
    Issuers,
    Keyring,
    authenticate,
    bearer_of,
    cut_account_list,
    edits,
    parse_issuer,
    parse_keys,
    visible_accounts,
)
from guard.access.fields import IDENTITY, LIMITS
from guard.access.parse import read_document
from guard.codes import Code
from guard.terms import Account, Env, Principal, Refusal
from tests.support.keys import NOW, PLAIN, caller, hash_of, record, ring, row
from tests.support.tokens import claims, issuer, jwk, signed, token

SCALARS: Final = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
JSON: Final = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
NAMES: Final = (*IDENTITY, *LIMITS, "limits")
PLAUSIBLE: Final = st.sampled_from(
    [
        ["HK"],
        ["US.AAPL"],
        ["BUY"],
        [1],
        ["7680"],
        5,
        0,
        "09:30-16:00",
        "bot",
        "bot@2",
        hash_of("x"),
        ["qot:read"],
        "2027-01-01T00:00:00Z",
        {"max_order_value": 5},
        [],
        None,
    ]
)
KEYS: Final = ring(record(), record("b", scopes=["admin"], owner="Ada"))
ISSUERS: Final = Issuers(issuer())
LETTERS: Final = "ABCxyz019-_.="


def library_believes(text: str) -> bool:
    """What the library's own reading of the whole token says, its times aside."""
    (ours,) = ISSUERS.each
    try:
        jwt.decode(
            text,
            ours.keys[0].by_algorithm["EdDSA"],
            algorithms=["EdDSA"],
            audience=ours.audience,
            issuer=ours.issuer,
            options={
                "require": ["exp", "iat", "aud", "iss", "sub", "jti"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.PyJWTError:
        return False
    return True


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_keyring_or_errors(raw: bytes) -> None:
    """Never an exception, never an empty list of errors."""
    found = parse_keys(raw, path="keys.json")

    assert isinstance(found, Keyring) or found


@settings(max_examples=200)
@given(
    st.lists(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), JSON | PLAUSIBLE, max_size=6), max_size=3)
)
def test_any_members_give_a_keyring_or_errors(rows: list[dict[str, Any]]) -> None:
    """Whatever loads, loads again after an edit writes it, as the same keyring."""
    raw = json.dumps({"version": 1, "keys": rows}).encode()
    found = parse_keys(raw, path="keys.json")

    if isinstance(found, list):
        assert found
        return
    again = parse_keys(edits.encode(edits.decode(raw)), path="keys.json")
    assert isinstance(again, Keyring)
    assert (again.records, again.sha256) == (found.records, found.sha256)


@settings(max_examples=200)
@given(st.decimals(allow_nan=False, allow_infinity=False) | st.integers())
def test_an_amount_is_taken_exactly_or_not_at_all(amount: Decimal | int) -> None:
    """No rounding on the way in."""
    raw = f'{{"version":1,"keys":[{json.dumps(record())[:-1]},"max_order_value":{amount}}}]}}'.encode()
    found = parse_keys(raw, path="keys.json")

    if isinstance(found, Keyring):
        assert found.records[0].limits.max_order_value == Decimal(amount)
        assert "E" not in str(found.records[0].limits.max_order_value)


@settings(max_examples=200)
@given(st.text(max_size=80) | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
@example(PLAIN)
@example("b")
def test_any_bearer_is_refused_in_the_same_words(bearer: str) -> None:
    """Only the two plaintexts get in; every other text gets one and the same refusal."""
    found = authenticate(KEYS, bearer, now=NOW, issuers=ISSUERS)

    if bearer in {PLAIN, "b"}:
        assert isinstance(found, Principal)
        return
    assert isinstance(found, Refusal)
    assert found.reasons == authenticate(KEYS, None, now=NOW).reasons  # type: ignore[union-attr]


@settings(max_examples=200)
@given(st.text(max_size=60) | st.text(max_size=30).map(lambda rest: "Bearer " + rest))
def test_what_a_header_yields_is_one_clean_token_or_nothing(header: str) -> None:
    """ASCII without blanks, commas or control characters."""
    found = bearer_of(header)

    assert found is not None
    assert found.isascii()
    assert not set(found) & set(" ,\t\r\n\"'")


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from([*claims(), "nbf", "scope", "x"]), JSON, max_size=4))
def test_no_claims_raise_and_none_widen(members: dict[str, Any]) -> None:
    """Signed by the issuer, with whatever values: at most what the key itself may do."""
    text = token({**claims(), **members})
    found = authenticate(KEYS, text, now=NOW, issuers=ISSUERS)

    assert authenticate(KEYS, text, now=NOW, issuers=ISSUERS) == found
    if isinstance(found, Principal):
        assert library_believes(text)
        assert found.scopes <= KEYS.principals[found.id].scopes
        assert found.until is not None
        assert found.until > NOW
    else:
        assert found.code is Code.UNAUTHENTICATED


@settings(max_examples=150)
@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "x"]), JSON, max_size=3), st.text(max_size=40)
)
def test_no_header_and_no_payload_raise(header: dict[str, Any], payload: str) -> None:
    """The parts of a token are untrusted until the last check."""
    clean = payload.encode("utf-8", "replace").decode()
    for text in (token(None, **header), signed(json.dumps(header), clean)):
        assert isinstance(authenticate(KEYS, text, now=NOW, issuers=ISSUERS), Principal | Refusal)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(LETTERS)), min_size=1, max_size=3))
def test_nothing_is_believed_that_the_library_does_not_believe(changes: list[tuple[int, str]]) -> None:
    """A good token with some letters changed or taken out: we are at least as strict, the first time and then."""
    text = token()
    for place, letter in changes:
        text = text[:place] + letter.strip("=") + text[place + 1 :]

    found = [authenticate(KEYS, text, now=NOW, issuers=ISSUERS) for _ in range(2)]
    assert found[0] == found[1]
    assert isinstance(found[0], Refusal) or library_believes(text)


@settings(max_examples=150)
@given(
    st.sampled_from([("RSA", "RS256"), ("EC", "ES256"), ("OKP", "EdDSA"), ("oct", "HS256")]),
    st.dictionaries(
        st.sampled_from(["kty", "alg", "use", "key_ops", "kid", "crv", "n", "e", "x", "y", "k"]), JSON, max_size=3
    ),
)
def test_any_jwks_gives_an_issuer_or_errors(kind: tuple[str, str], members: dict[str, Any]) -> None:
    """A broken key file is a sentence."""
    raw = json.dumps({"keys": [jwk(kind[0]) | members]}).encode()
    found = parse_issuer(raw, issuer="i", audience="a", algorithms=(kind[1],), path="jwks.json")

    assert isinstance(found, Issuer) or found


@settings(max_examples=200)
@given(JSON | st.fixed_dictionaries({"s2c": JSON | st.fixed_dictionaries({"acc_list": st.lists(JSON, max_size=3)})}))
def test_any_answer_is_cut_or_refused(answer: Any) -> None:
    """Nothing visible: no row of any list is left."""
    cut = cut_account_list(json.dumps(answer).encode(), frozenset())

    if isinstance(cut, Refusal):
        assert cut.code is Code.DAEMON_BAD_ANSWER
        return
    after = jiter.from_json(cut)
    assert not (after.get("s2c") or {}).get("acc_list")


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from(Env), st.integers(1, 4), st.sampled_from(["", "1" * 12 + "7680", "2" * 12 + "7680"]))
    ),
    st.frozensets(st.integers(1, 5)),
    st.frozensets(st.sampled_from(["7680", "1" * 12 + "7680", "9999"])),
)
def test_a_restricted_key_sees_listed_accounts_only(
    listed: list[tuple[Env, int, str]], acc_ids: frozenset[int], cards: frozenset[str]
) -> None:
    """Each one by its id or by a card that means one account."""
    rows = tuple(row(env, acc_id, card_num=card) for env, acc_id, card in listed)
    seen = visible_accounts(caller(acc_ids=acc_ids, card_nums=cards), rows)

    assert seen is not None
    assert seen <= {r.account for r in rows}
    for account in seen - {Account(env, acc_id) for env in Env for acc_id in acc_ids}:
        assert any(r.account == account and r.card_num for r in rows)


def test_the_document_reader_is_the_parsers() -> None:
    """An edit reads what the parser read: exact numbers."""
    assert read_document(b'{"a":1.10}', path="") == {"a": Decimal("1.10")}
