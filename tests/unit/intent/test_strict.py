"""Strict JSON: one reading or none."""

from decimal import Decimal

import pytest

from guard.intent.strict import BODY_BYTES_MAX, load
from guard.terms import Refusal


def _nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_json"),
        (b" \n", "bad_json"),
        (b"[]", "bad_json"),
        (b"null", "bad_json"),
        (b'"{}"', "bad_json"),
        (b"{} {}", "bad_json"),
        (b"{}\x00", "bad_json"),
        (b'{"a":1,}', "bad_json"),
        (b"{'a':1}", "bad_json"),
        (b'{"a":NaN}', "bad_json"),
        (b'{"a":Infinity}', "bad_json"),
        (b'{"a":-Infinity}', "bad_json"),
        (b'{"a":01}', "bad_json"),
        (b'{"a":+1}', "bad_json"),
        (b'{"a":.5}', "bad_json"),
        (b'{"a":1e99999999999999999999}', "bad_number"),
        (b'{"a":[0e-99999999999999999999]}', "bad_number"),
        (b'{"a":' + b"9" * 5000 + b"}", "bad_number"),
        (b'\xef\xbb\xbf{"a":1}', "bad_json"),
        ('{"a":1}'.encode("utf-16"), "bad_json"),
        (b'{"a":"\xff"}', "bad_json"),
        (b'{"a":"\xed\xa0\x80"}', "bad_json"),
        (b'{"a":"\\ud800"}', "bad_json"),
        (b'{"a":"\\udc00\\ud800"}', "bad_json"),
        (b'{"a":"\n"}', "bad_json"),
        (b'{"a":1,"a":1}', "duplicate_key"),
        (b'{"a":1,"\\u0061":1}', "duplicate_key"),
        (b'{"x":{"a":1,"a":1}}', "duplicate_key"),
        (b'{"x":[{"a":1,"a":null}]}', "duplicate_key"),
        (b"{" + b" " * (BODY_BYTES_MAX - 1) + b"}", "body_too_large"),
        (b"{" + b" " * (BODY_BYTES_MAX - 1), "bad_json"),
        (b"[" * 60_000, "bad_json"),
        (b'{"a":[' + b",".join([b"[]"] * 2100) + b"]}", "bad_json"),
        (b'{"a":[' + b",".join([b"1"] * 5000) + b"]}", "bad_json"),
        (_nested(17), "bad_json"),
        (_nested(150), "bad_json"),
        (b'{"a":' + b"[" * 16 + b"]" * 16 + b"}", "bad_json"),
    ],
)
def test_what_parsers_may_read_differently_is_refused(body: bytes, code: str) -> None:
    """Repeated names, odd numbers, odd bytes, depth and size are refused with their code."""
    result = load(body)

    assert isinstance(result, Refusal)
    assert result.code == code
    assert len(result.reasons[0].message) < 200


@pytest.mark.parametrize(
    "body",
    [
        _nested(16),
        b'{"a":' + b"[" * 15 + b"1" + b"]" * 15 + b"}",
        b'{"a":[' + b",".join([b"{}"] * 2000) + b"]}",
        b' {"a": 1} \r\n',
        b'{"a":"\\ud83d\\ude00"}',
    ],
)
def test_what_has_one_reading_passes(body: bytes) -> None:
    """Sixteen levels, many brackets side by side, white space around and surrogate pairs are fine."""
    assert isinstance(load(body), dict)


def test_numbers_are_exact() -> None:
    """Integers stay integers, anything else is a decimal, whatever its exponent."""
    assert load(b'{"a":12345678901234567890,"b":0.1,"c":1e2,"d":1e999999}') == {
        "a": 12345678901234567890,
        "b": Decimal("0.1"),
        "c": Decimal(100),
        "d": Decimal("1E+999999"),
    }


def test_a_body_may_fill_its_room() -> None:
    """64 KiB, and not a byte more."""
    assert load(b"{" + b" " * (BODY_BYTES_MAX - 2) + b"}") == {}
