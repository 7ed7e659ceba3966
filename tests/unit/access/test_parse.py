"""keys.json as a whole: both layouts, and every error at once."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guard.access import Keyring, parse_keys
from guard.access.parse import KEYFILE_BYTES_MAX
from guard.terms import KeyLimits
from tests.support.keys import errors, hash_of, record, ring, text

LIMITS = {
    "allowed_markets": ["HK", "US"],
    "allowed_symbols": ["HK.00700"],
    "allowed_trd_sides": ["BUY"],
    "allowed_acc_ids": [281756478875559548],
    "allowed_card_nums": ["7680"],
    "max_order_value": 100000,
    "max_daily_value": Decimal("500000.5"),
    "max_orders_per_minute": 5,
    "hours_window": "09:30-16:00",
}


@pytest.mark.parametrize("members", [LIMITS, {"limits": LIMITS}], ids=["flat", "nested"])
def test_both_layouts_give_the_same_limits(members: dict[str, Any]) -> None:
    """The guides nest limits, the daemon's code has them flat; neither is ever read as "no limits"."""
    bot = ring(record(**members)).by_id["bot"]

    assert bot.limits == KeyLimits(
        allowed_markets=("HK", "US"),
        allowed_symbols=("HK.00700",),
        allowed_trd_sides=("BUY",),
        max_order_value=Decimal(100000),
        max_daily_value=Decimal("500000.5"),
        max_orders_per_minute=5,
        hours_window="09:30-16:00",
    )
    assert bot.acc_ids == frozenset({281756478875559548})
    assert bot.card_nums == frozenset({"7680"})


def test_both_layouts_on_one_record_are_refused() -> None:
    """A reader of one layout would skip the other, so even limits that do not overlap are refused."""
    found = errors(record(max_order_value=5, limits={"max_daily_value": 5}))

    assert found == [
        'keys.json: keys[0] "bot": max_order_value beside "limits": write all limits flat, or all under "limits"'
    ]


def test_two_records_may_use_different_layouts() -> None:
    """The layout is a record's."""
    assert (
        ring(record(max_order_value=5), record("b", limits={"max_order_value": 5})).by_id["b"].limits.max_order_value
        == 5
    )


def test_null_equals_absent() -> None:
    """The daemon writes null for a limit that is not set."""
    nothing: dict[str, Any] = dict.fromkeys(LIMITS)
    bot = ring(record(limits=None, expires_at=None, allowed_machines=None, **nothing)).by_id["bot"]

    assert bot.limits == KeyLimits()
    assert bot.acc_ids is None
    assert not bot.is_disabled


@pytest.mark.parametrize("machines", [[], ["ab" * 32]])
def test_a_record_with_machines_loads_but_is_disabled(machines: list[str]) -> None:
    """The guard cannot verify a machine, so the key never works here."""
    assert ring(record(allowed_machines=machines)).by_id["bot"].is_disabled


def test_every_error_is_told_at_once_with_record_and_field() -> None:
    """One run shows all there is to correct."""
    found = errors(
        record(scopes=["trade"], allowed_markets=[], max_order_value="5"),
        record("b", maxOrderValue=5, expires_at="tomorrow"),
        {"id": "c", "scopes": None},
        "d",
    )

    assert [error.split(":")[1].strip() for error in found] == [
        'keys[0] "bot"',
        'keys[0] "bot"',
        'keys[0] "bot"',
        'keys[1] "b"',
        'keys[1] "b"',
        'keys[2] "c"',
        'keys[2] "c"',
        "keys[3]",
    ]
    assert "did you mean 'max_order_value'?" in found[3]
    assert "hash: is required" in found[5]


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"limits": []}, "limits: write an object"),
        ({"limits": {"max_order": 1}}, "did you mean 'max_order_value'?"),
        ({"limits": {"hours_window": "x"}}, "limits: hours_window: write"),
        ({"limits": {"allowed_machines": []}}, "'allowed_machines' is unknown"),
        ({"raw_explicit_acc_ids": [1]}, "'raw_explicit_acc_ids' is unknown"),
        ({"zzz": 1}, "known are id, hash"),
        ({"id": None}, "id: is required"),
    ],
)
def test_each_odd_member_is_named(members: dict[str, Any], sentence: str) -> None:
    """Unknown names come with a suggestion, or with the names that are known."""
    assert any(sentence in error for error in errors(record(**members)))


def test_duplicate_ids_are_refused() -> None:
    """Two records of one id would be one key with two meanings."""
    assert errors(record(), record(hash="ab" * 32)) == [
        'keys.json: keys[1] "bot": keys[0] has this id already; rename one'
    ]


@pytest.mark.parametrize("spell", [str, str.upper, lambda digest: f"sha256:{digest}"])
def test_duplicate_hashes_are_refused_however_they_are_spelled(spell: object) -> None:
    """Whoever holds one plaintext must not be two callers."""
    digest = hash_of("x").removeprefix("sha256:")

    assert errors(record("a", hash=digest), record("b", hash=spell(digest))) == [  # type: ignore[operator]
        'keys.json: keys[1] "b": keys[0] has this hash already; make a new key'
    ]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"scopes": ["qot:read", "acc:read"]}, "scopes"),
        ({"max_order_value": 6}, "max_order_value"),
        ({"allowed_acc_ids": [1]}, "allowed_acc_ids"),
        ({"allowed_card_nums": ["1234"]}, "allowed_card_nums"),
        ({"owner": "Ada"}, "owner"),
        ({"hours_window": "09:30-16:00"}, "hours_window"),
    ],
)
def test_records_of_one_name_must_allow_the_same(members: dict[str, Any], field: str) -> None:
    """They share one set of counters, which cannot follow two sets of limits."""
    found = errors(record(max_order_value=5), record("bot@2", **({"max_order_value": 5} | members)))

    said = f'keys.json: "bot" and "bot@2" are one caller but differ in {field}: '
    assert found == [said + "write the same, or another name before the @"]


def test_records_of_one_name_may_differ_in_times_notes_and_order() -> None:
    """That is how a rotation overlaps."""
    one = record(expires_at="2027-01-01T00:00:00Z", allowed_markets=["HK", "US"], max_order_value=5)
    two = record("bot@2", note="rotated", allowed_markets=["US", "HK"], max_order_value=Decimal("5.00"))

    assert len(ring(one, two).records) == 2


def test_an_empty_keys_list_loads_and_lets_nobody_in() -> None:
    """Revoking the last key must not make the file unreadable: the old keys would live on."""
    assert ring().records == ()


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "not strict JSON"),
        (b"[]", "write one object"),
        (b'{"keys":[]}', 'version: write "version": 1'),
        (b'{"version":true,"keys":[]}', "version"),
        (b'{"version":1.0,"keys":[]}', "version"),
        (b'{"version":"1","keys":[]}', "version"),
        (b'{"version":2,"keys":[]}', "version"),
        (b'{"version":1}', "keys: write a list"),
        (b'{"version":1,"keys":{}}', "keys: write a list"),
        (b'{"version":1,"keys":[],"limits":{}}', "'limits' is unknown"),
        (b'{"version":1,"version":1,"keys":[]}', "duplicate key"),
        (b'{"version":1,"keys":[{"id":"a","\\u0069d":"b"}]}', "duplicate key"),
        (b'{"version":1,"keys":[{"max_order_value":NaN}]}', "not strict JSON"),
        (b'\xef\xbb\xbf{"version":1,"keys":[]}', "not strict JSON"),
        (b'{"version":1,"keys":[]} x', "not strict JSON"),
        (b" " * (KEYFILE_BYTES_MAX + 1), "larger than"),
        (b"[" * 5000, "not strict JSON"),
    ],
)
def test_b27_a_file_that_cannot_be_read_is_an_error_and_never_no_keys(raw: bytes, sentence: str) -> None:
    """Whatever is wrong with the text, the answer is a list of errors."""
    found = parse_keys(raw, path="keys.json")

    assert isinstance(found, list)
    assert any(sentence in error for error in found)


def test_an_error_repeats_no_hash_and_no_long_text() -> None:
    """Errors go to logs and answers."""
    found = errors(record("x" * 5000, hash="gk_" + "7" * 64, scopes=["y" * 5000]))

    assert "777" not in " ".join(found)
    assert max(len(error) for error in found) < 500


def test_the_example_loads_shows_every_role_and_its_hashes_are_of_nothing_known() -> None:
    """keys.json.example: four roles, an owner on the operator, both layouts, distinct hashes of thrown-away secrets."""
    raw = (Path(__file__).parents[3] / "keys.json.example").read_bytes()
    example = parse_keys(raw, path="keys.json.example")

    assert isinstance(example, Keyring)
    assert list(example.by_id) == ["reader", "trader", "agent-1", "operator"]
    assert example.by_id["operator"].owner
    assert example.by_id["trader"].limits.max_order_value == 20000
    assert example.by_id["agent-1"].limits.allowed_symbols == ("HK.00700", "US.AAPL")
    known = {
        hash_of(word) for word in ("", "reader", "trader", "agent", "agent-1", "operator", "demo", "secret", "test")
    }
    assert not known & {f"sha256:{r.digest.hex()}" for r in example.records}
    assert b'"limits"' in raw


def test_text_and_builder_agree() -> None:
    """The builder writes what the parser reads."""
    assert isinstance(parse_keys(text(record()), path="x"), Keyring)
