"""The Struct of each type of record."""

import msgspec
import pytest
from msgspec import Raw, Struct

from guard.journal import RECORDS
from guard.journal.entries import (
    ABSENT,
)
from guard.journal.record import decode, encode, folded
from tests.support.clock import START_US
from tests.support.entries import FULL, PREV
from tests.support.journal import decision


def test_there_is_a_full_example_of_every_type() -> None:
    """The table below speaks of all types that this guard writes."""
    assert set(FULL) == set(RECORDS)
    assert {name: type(record) for name, record in FULL.items()} == dict(RECORDS)


@pytest.mark.parametrize("type_", sorted(FULL))
def test_every_record_is_read_back_as_it_was_written(type_: str) -> None:
    """All members of every type survive the file."""
    record = FULL[type_]

    line = decode(encode(record, seq=1, ts_us=0, type_=type_, prev=PREV))
    back = line.typed()

    assert back is not None
    assert _plain(back) == _plain(record)
    assert not {"seq", "ts", "type", "prev"} & set(record.__struct_fields__)


@pytest.mark.parametrize("type_", sorted(FULL))
def test_what_moves_a_counter_carries_its_own_time(type_: str) -> None:
    """Records with targets, claims or verdicts have `t`, and cannot be made without it."""
    fields = {f.name: f for f in msgspec.structs.fields(type(FULL[type_]))}

    if {"targets", "claims", "verdict"} & set(fields) or type_ == "state":
        assert fields["t"].required


def test_absent_members_of_a_decision_are_left_out_but_its_columns_stay() -> None:
    """A refusal without a key still has all the columns that a reviewer counts on."""
    members = msgspec.json.decode(msgspec.json.encode(decision(key=None)))

    assert list(members) == [
        "id", "t", "key", "endpoint", "outcome", "code", "reasons", "policy_sha256", "config_sha256",
    ]  # fmt: skip
    assert decision().order is ABSENT


def test_decimals_of_a_valuation_are_text_and_amounts_are_integers() -> None:
    """No reader's double can change a price, and no claim is a fraction."""
    members = msgspec.json.decode(msgspec.json.encode(FULL["decision"]))

    assert members["valuation"]["value"] == {"amount": "30012.5", "currency": "HKD"}
    assert members["claims"][0]["amount"] == 300_125_000
    assert members["account"] == 281756478875559548


def _plain(record: Struct) -> dict[str, object]:
    values = {name: getattr(record, name) for name in record.__struct_fields__}
    return {name: bytes(value) if isinstance(value, Raw) else value for name, value in values.items()}


@pytest.mark.parametrize("type_", sorted(FULL))
def test_every_record_is_folded_from_one_reading(type_: str) -> None:
    """The record as its own reading gives it, place and time beside it; only what looks back is left unread.

    Of a valuation it has the numbers, as they are written.
    """
    line = encode(FULL[type_], seq=7, ts_us=START_US, type_=type_, prev="ab" * 32)
    entry = folded(line)
    assert isinstance(entry, RECORDS[type_])
    assert (entry.seq, entry.ts, entry.prev) == (7, decode(line).ts, "ab" * 32)
    whole, unread = decode(line).typed(), {"world", "used", "shadow"} if type_ == "decision" else set()
    for name in RECORDS[type_].__struct_fields__:
        read, meant = getattr(entry, name), getattr(whole, name)
        if name == "valuation" and meant is not None:
            read = read.value.amount, read.price, read.multiplier
            meant = str(meant.value.amount), str(meant.price), str(meant.multiplier)
        assert isinstance(read, Raw) if name in unread else read == meant


@pytest.mark.parametrize(
    "raw", [b'{"seq":1,"ts":"t","type":"later","new":{},"prev":"p"}', b'{"seq":1,"ts":"t","type":"stop","prev":"p"}']
)
def test_what_is_not_known_whole_is_a_line(raw: bytes) -> None:
    """A type of a later version, and one that lacks a member: `typed` says which of the two it is."""
    assert folded(raw) == decode(raw)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"seq":1}', b'{"seq":"1","ts":"t","type":"stop","prev":"p"}'])
def test_what_is_no_record_at_all_cannot_be_folded(raw: bytes) -> None:
    """As it cannot be read."""
    with pytest.raises(ValueError, match=r"."):
        folded(raw)
