"""A record in the columns that a person reads."""

import json
from typing import Final
from unicodedata import category

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from guard.audit.rows import RecordRow, row
from guard.journal.entries import RECORDS
from guard.journal.search import RecordReader
from tests.support.journal import decision, outcome, refusal

ORDER: Final = {"c2s": {"trd_side": 2, "order_type": 1, "qty": 100, "price": 300.5}}
ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
MEMBERS: Final = sorted({name for each in RECORDS.values() for name in each.__struct_fields__} - {"seq", "ts", "type"})


def shown(type_: str, members: object) -> RecordRow:
    """The row of a record with these members."""
    held = msgspec.to_builtins(members) if isinstance(members, Struct) else members
    line = {"seq": 7, "ts": "2026-11-22T12:00:00.000000Z", "type": type_, **held, "prev": ""}  # type: ignore[dict-item]
    return row(next(RecordReader().read([json.dumps(line).encode() + b"\n"])))


def test_a_decision_tells_who_asked_for_what_and_how_to_ask_on() -> None:
    """Time, key, outcome, worth, the id that `guard explain` takes, and the order in words."""
    worth = {"value": {"amount": "30050", "currency": "HKD"}}
    asked = {"order": ORDER, "effect": "order_new", "environment": "real", "symbol": "HK.00700", "valuation": worth}
    found = shown("decision", {**msgspec.to_builtins(decision("01K")), **asked})

    assert (found.time, found.seq) == ("2026-11-22 12:00:00.000", "7")
    assert found[2:] == (
        *("decision", "trader", "/api/order", "allow", "HK.00700", "30050 HKD", "01K"),
        "real SELL 100 at 300.5",
    )


def test_a_repeat_tells_whose_answer_was_given_again() -> None:
    """It has no outcome of its own, and looked like an order that was lost."""
    found = shown("decision", {**msgspec.to_builtins(decision("01K")), "effect": "order_new", "replays": "01A"})

    assert found[-1] == "01A was answered again, nothing was sent"


def test_what_a_shadow_would_have_refused_is_told_with_its_name() -> None:
    """It passed, and who asks for the shadow's divergences wants to read why."""
    reason = {"code": "max_order_value", "policy": "small", "message": "30050 HKD is above 1000 HKD"}
    found = shown("decision", {**msgspec.to_builtins(decision("01K")), "shadow": [reason]})

    assert (found.outcome, found.message) == ("allow", "in shadow small: 30050 HKD is above 1000 HKD")


def test_a_refusal_tells_the_code_and_every_reason() -> None:
    """After the order in words, where there is one."""
    found = shown("decision", refusal("01R"))

    assert (found.outcome, found.message) == ("refuse rate", "15 new orders in 30 s are the limit")


def test_a_refusal_of_nobody_tells_from_where_and_why() -> None:
    """The answer says the same for every bad key; the record knows which it was."""
    found = shown("decision", refusal("01R", key=None, peer="192.0.2.7", note="expired"))

    assert found.message == "15 new orders in 30 s are the limit: from 192.0.2.7; expired"


def test_an_outcome_is_not_taken_for_a_status_of_http() -> None:
    """The daemon's verdict and its words."""
    found = shown("outcome", outcome("01K", status=200, message="done"))

    assert (found.outcome, found.decision, found.message) == ("accepted", "01K", "done")


@pytest.mark.parametrize(
    ("type_", "members", "told"),
    [
        ("segment", {"segment": 2}, "|segment 2 begins"),
        ("start", {"version": "0.1.0"}, "|version 0.1.0"),
        ("start", {"version": "1", "weakened": ["a", "b"]}, "|version 1; weakened: a, b"),
        ("recovered", {"bytes": 7, "file": "x.torn"}, "|7 bytes set aside in x.torn"),
        ("access", {"count": 1}, "|1 time"),
        ("denied", {"count": 900, "source": "192.0.2.1"}, "|900 times from 192.0.2.1"),
        ("clock", {"step_us": -1_500_000}, "|the wall clock stepped by -1.5 s"),
        ("gap", {"cancels": 1, "reason": "disk"}, "|1 cancel passed while the record could not be written: disk"),
        ("gap", {"cancels": 3, "reason": "disk"}, "|3 cancels passed while the record could not be written: disk"),
        ("prune", {"first_seq": 90}, "|old segments deleted; the record begins at 90"),
        ("vkey", {"vkey": "g+1+A"}, "|signs checkpoints from now on: g+1+A"),
        (
            "state",
            {"state": "locked", "scope": {"keys": ["a", "b"], "markets": ["HK"]}, "by": "Ada", "reason": "odd"},
            "locked|for keys a, b; markets HK, by Ada: odd",
        ),
        (
            "state",
            {"state": "active", "scope": {}, "reason": "x", "drill": True, "cancel_working": True},
            "active|for everyone, x, a drill, working orders cancelled",
        ),
        (
            "policy",
            {
                "result": "applied",
                "kind": "looser",
                "by": "Bo",
                "asked_by": "Ada",
                "asked_reason": "m",
                "reason": "ok",
            },
            "applied (looser)|by Bo: ok; asked for by Ada: m",
        ),
        (
            "policy",
            {"result": "applied", "by": "Bo", "key": "risk", "asked_by": "Ada", "asked_key": "d", "asked_reason": "m"},
            "applied|by Bo; asked for by Ada, with key d: m",
        ),
        (
            "policy",
            {"result": "applied", "reason": "x", "until": "2026-12-01", "changes": ["a", "b"]},
            "applied|x; until 2026-12-01; a, b",
        ),
        (
            "keys",
            {"result": "applied", "by": "Ada", "added": ["n"], "removed": ["o"], "changed": ["p", "q"]},
            "applied|by Ada; added n; removed o; changed p, q",
        ),
        ("keys", {"result": "refused", "errors": ["twice"]}, "refused|twice"),
        ("reconciled", {"verdict": "accepted", "source": "orders"}, "accepted|found by evidence: orders"),
        ("reconciled", {"verdict": "not_sent", "source": "person", "by": "Ada", "reason": "r"}, "not_sent|by Ada: r"),
        (
            "reconciled",
            {"verdict": "not_sent", "source": "person", "by": "Ada", "by_key": "d@2", "reason": "r"},
            "not_sent|by Ada, with key d@2: r",
        ),
        (
            "order",
            {"status": "filled_all", "filled_qty": "9", "filled_value": "90", "ended": True, "source": "push"},
            "filled_all|9 filled for 90, nothing more can be filled, seen in push",
        ),
        (
            "order",
            {"status": "vanished", "ended": True, "source": "orders"},
            "vanished|nothing more can be filled, no longer in the daemon's lists",
        ),
        (
            "order",
            {"owner": "manual", "environment": "real", "account": 9, "order_id": "7", "order_id_ex": "8"},
            "|placed elsewhere (manual) in real 9 as 8",
        ),
        ("order", {"status": "submitted", "owner": "manual"}, "submitted|placed elsewhere (manual)"),
        ("decision", {"effect": "order_change", "order": ORDER, "outcome": "allow"}, "allow|change 100 at 300.5"),
        ("decision", {"effect": "order_cancel", "order": {"c2s": {"price": 0}}}, "|cancel"),
        (
            "decision",
            {"effect": "order_new", "order": {"c2s": {"trd_side": 1, "order_type": 2, "qty": 5}}},
            "|BUY 5 MARKET",
        ),
        ("later", {"reasons": "odd", "note": "a note"}, "|a note"),
        ("later", {"reasons": ["odd"], "valuation": {"value": 1}}, "|"),
    ],
)
def test_every_type_says_who_did_it_to_whom_and_what_came_of_it(type_: str, members: object, told: str) -> None:
    """Types that are not known, and members of another shape, are shown as far as they go."""
    found = shown(type_, members)

    assert f"{found.outcome}|{found.message}" == told


@given(type_=st.sampled_from([*RECORDS, "later"]), members=st.dictionaries(st.sampled_from(MEMBERS), ANYTHING))
def test_no_member_of_another_shape_keeps_a_record_from_being_shown(type_: str, members: dict[str, object]) -> None:
    """Somebody may have edited it, and the reviewer shall see it."""
    assert not [sign for sign in "".join(shown(type_, members)) if category(sign) == "Cc"]


def test_foreign_text_in_a_record_cannot_move_the_cursor() -> None:
    """Escape sequences in a message, a key or a type never reach the terminal."""
    line = (
        rb'{"seq":1,"ts":"\u001b[2J","type":"x\u001b","key":"\u001b]0;","message":"\u001b[31m\r\n","prev":""}' + b"\n"
    )

    assert not any("\x1b" in part or "\n" in part for part in row(next(RecordReader().read([line]))))
