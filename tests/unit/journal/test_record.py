"""A line: written, read, refused."""

import json
from hashlib import sha256

import pytest
from msgspec import Raw

from guard.journal.entries import Segment, Stop, TornTail
from guard.journal.record import decode, encode, folded, plain, timestamp
from tests.support.clock import START_US
from tests.support.journal import decision

PREV = "ab" * 32


def test_members_stand_in_the_contracts_order() -> None:
    """seq, ts, type, the record's own, and last prev; no blank, no newline."""
    line = encode(Segment(1, 7, 6, ()), seq=7, ts_us=START_US, type_="segment", prev=PREV)

    assert line == (
        b'{"seq":7,"ts":"2026-11-22T09:46:28.123456Z","type":"segment","segment":1,"first_seq":7,'
        b'"tree_size":6,"compact":[],"prev":"%s"}' % PREV.encode()
    )


@pytest.mark.parametrize("members", [{}, {"a": 1}, {"text": 'ü\n\u2028"\\'}, {"deep": {"list": [1, "2", None]}}])
def test_a_line_is_one_json_object_whatever_its_members_hold(members: dict[str, object]) -> None:
    """Any JSON reader reads it, and gets the members back."""
    line = encode(members, seq=1, ts_us=0, type_='odd "type"', prev=PREV)

    assert b"\n" not in line
    assert json.loads(line) == {
        "seq": 1,
        "ts": "1970-01-01T00:00:00.000000Z",
        "type": 'odd "type"',
        **members,
        "prev": PREV,
    }


@pytest.mark.parametrize("name", ["seq", "ts", "type", "prev"])
def test_a_member_cannot_take_the_place_of_the_heads(name: str) -> None:
    """Two members of one name would be read in two ways."""
    with pytest.raises(ValueError, match="of its own"):
        encode({name: 1}, seq=1, ts_us=0, type_="x", prev=PREV)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"a": "\ud800"}, id="lone surrogate"),
        pytest.param({"a": object()}, id="no JSON type"),
        pytest.param(decision(order=Raw(b"")), id="empty raw"),
        pytest.param(decision(order=Raw(b'{"a":')), id="cut raw"),
        pytest.param(decision(order=Raw(b"{}\n")), id="raw with a newline"),
        pytest.param({"a": Raw(b"{}\n")}, id="raw with a newline, of no known kind"),
        pytest.param(decision(order=Raw(b'1,"seq":9')), id="raw that brings a seq"),
        pytest.param(decision(order=Raw(b'1,"type":"start"')), id="raw that brings a type"),
        pytest.param(decision(order=Raw(b"1}")), id="raw that ends the object"),
    ],
)
def test_what_would_not_be_read_back_is_not_written(members: object) -> None:
    """A record that breaks its line is refused before it has a seq."""
    with pytest.raises(ValueError, match=r".+"):
        encode(members, seq=1, ts_us=0, type_="decision", prev=PREV)  # type: ignore[arg-type]


def test_a_line_is_read_with_its_bytes_kept() -> None:
    """What is hashed is what was written, not what it means."""
    raw = b'{ "prev":"%s", "seq":3 ,"type":"later","ts":"x","more":[1.50]}' % PREV.encode()
    line = decode(raw)

    assert (line.seq, line.ts, line.type, line.prev, line.raw) == (3, "x", "later", PREV, raw)
    assert line.members()["more"] == [1.5]
    assert sha256(line.raw).hexdigest() == sha256(raw).hexdigest()


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"\x00\x00", b'{"seq":"1"}', b'{"seq":1,"ts":"","type":"x"}', b"\xff"]
)
def test_what_is_no_record_is_a_value_error(raw: bytes) -> None:
    """Reading never raises anything else."""
    with pytest.raises(ValueError, match=r".+"):
        decode(raw)


def test_types_and_members_that_are_not_known_are_skipped() -> None:
    """An older guard reads a newer record as far as it understands it."""
    later = encode({"a": 1}, seq=1, ts_us=0, type_="later", prev=PREV)
    wider = encode({"t": 1, "reason": "SIGTERM", "mood": "good"}, seq=1, ts_us=0, type_="stop", prev=PREV)

    assert decode(later).typed() is None
    assert decode(wider).typed() == Stop(t=1, reason="SIGTERM")


def test_a_known_type_that_lacks_what_it_must_have_is_a_value_error() -> None:
    """A fold never sees a half record."""
    line = decode(encode({"bytes": 1}, seq=1, ts_us=0, type_="recovered", prev=PREV))

    with pytest.raises(ValueError, match="sha256"):
        line.typed()
    assert decode(encode(TornTail(1, "a", "f"), seq=1, ts_us=0, type_="recovered", prev=PREV)).typed() is not None


@pytest.mark.parametrize(
    ("wall_us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (START_US, "2026-11-22T09:46:28.123456Z"),
        (START_US + 999_999 - 123_456, "2026-11-22T09:46:28.999999Z"),
        (4_102_444_800_000_000, "2100-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_times_are_rfc_3339_utc_with_six_digits(wall_us: int, text: str) -> None:
    """Always the same width, so that they sort as text."""
    assert timestamp(wall_us) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("insufficient funds", "insufficient funds"),
        ("\x1b[2Jgone\r\nnext", "[2Jgone next"),
        ("right\u202eleft", "right left"),
        ("\ud800", ""),
        ("x" * 201, "x" * 199 + "…"),
        ("余额不足", "余额不足"),
    ],
)
def test_foreign_text_is_made_fit_for_a_record(text: str, clean: str) -> None:
    """No control characters, no change of direction, no surrogates, bounded."""
    assert plain(text) == clean
    encode({"message": plain(text)}, seq=1, ts_us=0, type_="x", prev=PREV)


def test_a_line_nested_too_deep_is_no_record() -> None:
    """Whoever wrote it, a start and a reader say so; a stack that ends is no answer."""
    line = b'{"seq":1,"ts":"2026-11-22T00:00:00.000000Z","type":"stop","x":' + b"[" * 1_000_000 + b"}"
    for read in (decode, folded):
        with pytest.raises(ValueError, match="nested too deep"):
            read(line)
