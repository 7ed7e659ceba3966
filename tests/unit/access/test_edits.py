"""Edits of keys.json as values."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guard.access import edits
from guard.access.edits import EditRefused
from tests.support.keys import NOW, hash_of, record, text

DAY = timedelta(hours=24)
NEW = hash_of("new")


def ids(document: dict[str, Any]) -> list[str]:
    """The ids of a document."""
    return [row["id"] for row in document["keys"]]


def doc(*records: Any) -> dict[str, Any]:
    """A document of these records."""
    return edits.decode(text(*records))


def rotate(document: dict[str, Any], key_id: str, overlap: timedelta = DAY) -> dict[str, Any]:
    """The document after a rotation at NOW."""
    return edits.rotated(document, key_id, new_hash=NEW, now=NOW, overlap=overlap)[0]


def test_numbers_survive_an_edit_digit_by_digit() -> None:
    """64-bit ids and decimals are written as they were read."""
    raw = b'{"version":1,"keys":[{"id":"a","allowed_acc_ids":[18446744073709551615],"max_order_value":100000.10}]}'

    written = edits.encode(edits.added(edits.decode(raw), record("b")))

    assert b"18446744073709551615" in written
    assert b"100000.10" in written


def test_a_record_is_added_at_the_end_once() -> None:
    """A second record of the id would be another key of the same name."""
    assert ids(edits.added(doc(record("a")), record("b"))) == ["a", "b"]
    with pytest.raises(EditRefused, match="already"):
        edits.added(doc(record("a")), record("a"))


@pytest.mark.parametrize(
    ("key_id", "is_whole_name", "left", "alike"),
    [
        ("bot", False, ["bot@2", "b"], ["bot@2"]),
        ("bot@2", False, ["bot", "b"], ["bot"]),
        ("bot", True, ["b"], []),
        ("bot@7", True, ["b"], []),
        ("b", False, ["bot", "bot@2"], []),
    ],
)
def test_revoking_takes_one_record_or_a_whole_name(
    key_id: str, is_whole_name: bool, left: list[str], alike: list[str]
) -> None:
    """What still lets the same caller in is told."""
    after, gone, told = edits.revoked(doc(record(), record("bot@2"), record("b")), key_id, is_whole_name=is_whole_name)

    assert ids(after) == left
    assert sorted([*gone, *left]) == ["b", "bot", "bot@2"]
    assert told == alike


def test_revoking_nobody_is_refused_with_a_hint() -> None:
    """A slip of the pen must not look like a revocation."""
    with pytest.raises(EditRefused, match=r"bot@9: there is no such key; of that name there are bot"):
        edits.revoked(doc(record()), "bot@9", is_whole_name=False)
    with pytest.raises(EditRefused, match=r"no such key; see `guard keys list`$"):
        edits.revoked(doc(record()), "x", is_whole_name=True)


def test_a_rotation_copies_the_record_and_ends_the_old_one() -> None:
    """Same rights, new hash, next number; the old one works for the overlap."""
    old, new = rotate(doc(record(owner="Ada", limits={"max_order_value": 5})), "bot")["keys"]

    assert old == record(owner="Ada", limits={"max_order_value": 5}, expires_at="2026-11-24T02:30:00Z")
    assert new == {
        "id": "bot@2",
        "hash": NEW,
        "scopes": ["qot:read"],
        "owner": "Ada",
        "limits": {"max_order_value": 5},
        "created_at": "2026-11-23T02:30:00Z",
    }


def test_an_overlap_never_outlives_the_old_keys_own_end() -> None:
    """Rotating is no way to keep a key alive."""
    old, new = rotate(doc(record(expires_at="2026-11-23T03:00:00Z")), "bot")["keys"]

    assert old["expires_at"] == "2026-11-23T03:00:00Z"
    assert new["expires_at"] == "2026-11-23T03:00:00Z"


def test_the_new_key_may_end_later_than_the_old_one() -> None:
    """Who asks for it says when; the old one's end stays its own."""
    document = doc(record(expires_at="2026-11-23T03:00:00Z"))
    after, *_ = edits.rotated(document, "bot", new_hash=NEW, now=NOW, overlap=DAY, expires_at="2027-02-21T02:30:00Z")

    assert [row["expires_at"] for row in after["keys"]] == ["2026-11-23T03:00:00Z", "2027-02-21T02:30:00Z"]


def test_a_name_stands_for_its_newest_record() -> None:
    """Month after month the same command; by number, not by text (10 comes after 9)."""
    document = doc(record(), record("bot@9"), record("bot@10"))

    assert ids(rotate(document, "bot")) == ["bot", "bot@9", "bot@10", "bot@11"]
    assert ids(rotate(document, "bot@10")) == ["bot", "bot@9", "bot@10", "bot@11"]


@pytest.mark.parametrize(
    ("records", "key_id", "sentence"),
    [
        ([record()], "x", "no such key"),
        ([record(), record("bot@2")], "bot@1", "newest key of this name is bot@2"),
        ([record(expires_at="2026-11-23T02:30:00Z")], "bot", "has expired"),
    ],
)
def test_rotations_that_make_no_sense_are_refused(records: list[Any], key_id: str, sentence: str) -> None:
    """No second heir, and none that is born dead."""
    with pytest.raises(EditRefused, match=sentence):
        rotate(doc(*records), key_id)


def test_an_overlap_of_nothing_ends_the_old_key_at_once() -> None:
    """For a key that leaked."""
    assert rotate(doc(record()), "bot", timedelta(0))["keys"][0]["expires_at"] == "2026-11-23T02:30:00Z"


def test_stamps_are_cut_to_seconds() -> None:
    """An expiry is never stretched by rounding."""
    assert edits.stamp(datetime(2026, 1, 1, 0, 0, 59, 999999, tzinfo=UTC)) == "2026-01-01T00:00:59Z"


def test_decoding_what_does_not_load_is_our_own_bug() -> None:
    """An edit starts from a checked file."""
    with pytest.raises(AssertionError):
        edits.decode(b"[]")
