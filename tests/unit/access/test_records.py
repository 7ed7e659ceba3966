"""The frozen snapshot: digests, names and grants."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tests.support.keys import record, ring


def test_a_keyring_never_shows_hashes_in_its_source() -> None:
    """`source()` goes beside the journal: everything but the hashes."""
    keys = ring(record(note="n", allowed_acc_ids=[3, 1], max_order_value=5))

    assert keys.by_id["bot"].digest.hex() not in keys.source().decode()
    assert msgspec.json.decode(keys.source())[0]["allowed_acc_ids"] == [1, 3]


def test_the_sha256_follows_meaning_not_hashes_or_order() -> None:
    """A new secret or another order of records is the same configuration; a new limit is not."""
    plain = ring(record(), record("b")).sha256

    assert ring(record("b"), record()).sha256 == plain
    assert ring(record(hash="ab" * 32), record("b")).sha256 == plain
    assert ring(record(max_order_value=5), record("b")).sha256 != plain


@pytest.mark.parametrize("members", [{"note": "x"}, {"expires_at": "2030-01-01T00:00:00Z"}, {"created_at": None}])
def test_a_grant_outlives_notes_and_times(members: dict[str, Any]) -> None:
    """The same key with another note is the same key."""
    assert ring(record(**members)).principals["bot"].grant == ring(record()).principals["bot"].grant


@pytest.mark.parametrize(
    "members",
    [{"hash": "ab" * 32}, {"scopes": ["acc:read"]}, {"max_order_value": 5}, {"owner": "A"}, {"allowed_machines": []}],
)
def test_a_grant_ends_with_any_right(members: dict[str, Any]) -> None:
    """A key whose rights changed is not the key that was looked at."""
    assert ring(record(**members)).principals["bot"].grant != ring(record()).principals["bot"].grant


def test_a_principal_carries_what_its_record_says() -> None:
    """Id, name, scopes, accounts, owner and end."""
    keys = ring(record("bot@2", owner="Ada", allowed_card_nums=["7680"], expires_at="2027-01-01T00:00:00Z"))
    bot = keys.principals["bot@2"]

    assert (bot.id, bot.name, bot.owner, bot.card_nums) == ("bot@2", "bot", "Ada", frozenset({"7680"}))
    assert bot.until == datetime(2027, 1, 1, tzinfo=UTC)
    assert bot.is_restricted


@pytest.mark.parametrize("members", [{"expires_at": "2099-01-01T00:00:00Z"}, {"allowed_machines": []}])
def test_what_ends_or_is_disabled_is_always_looked_at_again(members: dict[str, Any]) -> None:
    """`unending` holds the very principals that stand for ever, and no other."""
    keys = ring(record(**members), record("b"))

    assert set(keys.unending) == {"b"}
    assert keys.unending["b"] is keys.principals["b"]


def test_limits_are_known_by_name() -> None:
    """Rotated records give one policy."""
    assert set(ring(record(), record("bot@2"), record("b")).limits_by_name()) == {"bot", "b"}


def test_a_record_ends_at_its_expiry_not_after_it() -> None:
    """The last moment is outside."""
    bot = ring(record(expires_at="2027-01-01T00:00:00Z")).by_id["bot"]

    assert not bot.is_expired(datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
    assert bot.is_expired(datetime(2027, 1, 1, tzinfo=UTC))


def test_a_name_lets_in_as_long_as_one_of_its_records_does() -> None:
    """The last of those that were rotated; one that names machines never does, nor does a name that is none."""
    ends, later = "2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z"
    keys = ring(
        *(record("a", expires_at=ends), record("a@2", expires_at=later), record("b", expires_at=ends), record("b@2")),
        *(record("c", allowed_machines=["m"]), record("d", expires_at=ends), record("d@2", allowed_machines=["m"])),
    )
    expected = {11: ["a", "b", "d"], 12: ["a", "b"], 13: ["b"]}
    for hour, names in expected.items():
        now = datetime(2026, 11, 22, hour, tzinfo=UTC)
        assert [name for name in ("a", "a@2", "b", "c", "d", "e") if keys.lets_in(name, now)] == names
