"""The Struct of each type of record."""

from decimal import Decimal

import msgspec
import pytest
from msgspec import Raw, Struct

from guard.codes import Code
from guard.journal import RECORDS
from guard.journal.entries import (
    ABSENT,
    Access,
    ClockStep,
    Counters,
    Denied,
    Gap,
    Keys,
    Order,
    OutcomeRecord,
    Policy,
    Prune,
    Reconciled,
    Segment,
    Snapshot,
    Start,
    StateRecord,
    StateScope,
    Stop,
    TornTail,
    Vkey,
)
from guard.journal.record import decode, encode, folded
from guard.journal.seen import SeenWorld
from guard.terms import Claim, Money, Quote, Reason, Valuation, Verdict
from tests.support.clock import START_US
from tests.support.journal import SHA, decision

PREV = "0" * 64

FULL = {
    "segment": Segment(2, 17, 16, (SHA,)),
    "vkey": Vkey("guard.host/1+00+A", None, "text\n\n— signature\n"),
    "snapshot": Snapshot(at_seq=16, part=3, last=True, body=Raw(b'{"type":"time","at_us":1}')),
    "prune": Prune(first_seq=17, root=SHA, note="text\n", segments=(1,), last_ts="2026-11-22T00:00:00.000000Z"),
    "start": Start(t=1, version="0.1.0", config_sha256=SHA, policy_sha256=SHA, weakened=("metrics open",), pid=7),
    "stop": Stop(t=1, reason="SIGTERM", unfinished=("settle 01K",)),
    "decision": decision(
        "01M",
        reasons=(Reason(Code.RATE, "too many", policy="desk", rule="rates", observed="16", limit="15", unit="30s"),),
        intent="modify",
        environment="real",
        account=281756478875559548,
        symbol="HK.00700",
        of="01K",
        packet_id=(1, 2),
        order=Raw(b'{"qty":100,"price":300.125}'),
        resulting=Raw(b'{"qty":200,"price":300.125}'),
        replays="01J",
        valuation=Valuation(Money(Decimal("30012.5"), "HKD"), Decimal("300.125"), "limit price"),
        world=SeenWorld(quote=Quote("HK.00700", last=Decimal("300.2"))),
        claims=(Claim("spend", "daily_value/key=trader|HKD", 300_125_000, cap=2**40, value="d"),),
        used=(17,),
        idempotency=SHA,
        retry_after_s=1.5,
        largest_qty="300",
        peer="127.0.0.1",
        user_agent="bot/1",
        request_id="r-1",
        jti="j-1",
        note="expired",
    ),
    "outcome": OutcomeRecord(
        decision="01K",
        t=2,
        verdict=Verdict.REFUSED,
        status=400,
        ret_type=-1,
        order_id="9",
        order_id_ex="ex9",
        duration_us=1500,
        message="no",
    ),
    "order": Order(
        decision="01K",
        t=3,
        status="filled",
        source="push",
        order_id="9",
        order_id_ex="ex9",
        filled_qty="100",
        filled_value="30000",
        targets={"open_orders/key=trader": 0},
    ),
    "policy": Policy(
        t=4,
        result="applied",
        sha256=SHA,
        from_sha256=PREV,
        by="ops",
        key="k",
        asked_key="k2",
        reason="r",
        errors=("e",),
        targets=Raw(b'{"spent":{"c":1}}'),
        batch="01N",
    ),
    "keys": Keys(
        t=4,
        result="applied",
        sha256=SHA,
        from_sha256=PREV,
        by="o",
        reason="r",
        errors=("e",),
        added=("a",),
        removed=("b",),
        targets=Raw(b'{"spent":{"c":1}}'),
        batch="01N",
    ),
    "counters": Counters(4, "01N", Raw(b'{"holders":{}}')),
    "state": StateRecord(
        t=5,
        state="locked",
        scope=StateScope(("a",), (1,), ("HK",)),
        reason="r",
        by="o",
        key="k",
        drill=True,
        cancel_working=True,
    ),
    "recovered": TornTail(12, SHA, "00000001.jsonl.torn"),
    "reconciled": Reconciled(
        decision="01K",
        t=6,
        verdict=Verdict.ACCEPTED,
        source="order list",
        order_id="9",
        order_id_ex="ex9",
        by="o",
        reason="r",
        targets={"c": 1},
        by_key="k",
    ),
    "denied": Denied(source="10.0.0.9", count=900, second="2026-11-22T09:46:28Z", key="bot", code="rate"),
    "access": Access(key="reader", endpoint="/api/snapshot", minute="2026-11-22T09:46Z", count=60),
    "gap": Gap(reason="disk full", cancels=2, since="a", until="b", decisions=("01K",)),
    "clock": ClockStep(7, -3_000_000),
}


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
