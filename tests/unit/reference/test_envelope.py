"""Envelopes, numbers, codes and times of the daemon's answers."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import jiter
import pytest

from guard.reference.envelope import (
    MESSAGE_CHARS_MAX,
    Declined,
    Silence,
    by_symbol,
    code_of,
    inner,
    lot,
    moment,
    number,
    opened,
    positive,
    price,
    rows_of,
    sentence,
    symbol_of,
    whole,
)


def test_a_success_is_its_s2c_with_exact_numbers() -> None:
    """Decimals as written, 64-bit ids to the last digit."""
    found = opened(200, b'{"ret_type":0,"s2c":{"a":0.1,"b":18446744073709551615}}')

    assert found == {"a": Decimal("0.1"), "b": 18446744073709551615}


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b'{"ret_type":-1,"ret_msg":"unknown  stock\\n9"}', "unknown stock 9"),
        (200, b'{"ret_type":-500,"ret_msg":null}', "it gives no reason"),
        (400, b'{"error":"no"}', "HTTP 400"),
        (403, b'{"error":"missing scope"}', "HTTP 403"),
        (404, b"", "HTTP 404"),
    ],
)
def test_a_definite_no_is_declined(status: int, body: bytes, message: str) -> None:
    """Asking for less may help; the daemon's words go along on one line."""
    assert opened(status, body) == Declined(message)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'"s2c"'),
        (200, b"[" * 10_000),
        (200, b'{"ret_type":0}'),
        (200, b'{"ret_type":0,"s2c":[]}'),
        (200, b'{"ret_type":0,"s2c":null}'),
        (200, b'{"ret_type":false,"s2c":{}}'),
        (200, b'{"ret_type":"0","s2c":{}}'),
        (200, b'{"ret_type":0,"s2c":{},"s2c":{}}'),
        (200, b'{"ret_type":0,"s2c":{"a":NaN}}'),
        (200, b'{"ret_type":-100,"s2c":{}}'),
        (200, b'{"ret_type":-400}'),
        (200, b'{"s2c":{}}'),
        (401, b'{"error":"unauthorized"}'),
        (429, b""),
        (500, b'{"ret_type":-1}'),
        (503, b'{"ret_type":0,"s2c":{}}'),
    ],
)
def test_everything_else_says_nothing(status: int, body: bytes) -> None:
    """Timeouts, faults and nonsense teach nothing about what was asked for."""
    assert isinstance(opened(status, body), Silence)


@pytest.mark.parametrize("value", [None, 5, "", "   ", ["x"]])
def test_a_reason_that_is_none_is_said_to_be_none(value: object) -> None:
    """A message is always a sentence."""
    assert sentence(value) == "it gives no reason"


def test_the_daemons_words_are_bounded_and_printable() -> None:
    """No control characters, no walls of text."""
    assert sentence("a\x1b[31mb\tc\u202ed") == "a [31mb c d"
    assert len(sentence("x" * 10_000)) == MESSAGE_CHARS_MAX


def _json(text: str) -> Any:
    return jiter.from_json(text.encode(), float_mode="decimal")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.50", Decimal("1.50")),
        ("300", Decimal(300)),
        ("-37.63", Decimal("-37.63")),
        ("0", Decimal(0)),
        ("0.30000000000000004", Decimal("0.30000000000000004")),
        ("1e3", Decimal(1000)),
        ("1E+999999", None),
        ("1e-30", None),
        ("1e18", None),
        (str(10**18), None),
        ("0.123456789012345678901", None),
        ("true", None),
        ('"300"', None),
        ("null", None),
        ("[1]", None),
    ],
)
def test_numbers_are_json_numbers_of_ordinary_size(text: str, expected: Decimal | None) -> None:
    """No texts, no truth values, nothing that arithmetic would choke on."""
    assert number(_json(text)) == expected


@pytest.mark.parametrize(
    ("text", "plain", "future"),
    [("1.5", "1.5", "1.5"), ("0", None, None), ("0.0", None, None), ("-2", None, "-2"), ("null", None, None)],
)
def test_zero_is_no_price_and_only_futures_go_below(text: str, plain: str | None, future: str | None) -> None:
    """The daemon writes 0 where it has none."""
    assert price(_json(text)) == (None if plain is None else Decimal(plain))
    assert price(_json(text), may_be_negative=True) == (None if future is None else Decimal(future))
    assert positive(_json(text)) == price(_json(text))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (2**64 - 1, 2**64 - 1),
        (2**64, None),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, None),
        (True, None),
        (Decimal(1), None),
        ("1", None),
        (None, None),
    ],
)
def test_whole_numbers_have_64_bits(value: object, expected: int | None) -> None:
    """Beyond that is none."""
    assert whole(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(100, 100), (0, None), (-1, None), (2**31, None), (True, None)])
def test_a_lot_is_above_zero(value: object, expected: int | None) -> None:
    """Indexes have a lot of 0."""
    assert lot(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1795340788.123456", datetime(2026, 11, 22, 9, 46, 28, 123456, UTC)),
        ("1795340788.1234569", datetime(2026, 11, 22, 9, 46, 28, 123456, UTC)),
        ("1795340788", datetime(2026, 11, 22, 9, 46, 28, tzinfo=UTC)),
        ("0", None),
        ("-5", None),
        ("1795340788123", None),
        ('"2026-11-22 09:46:28"', None),
    ],
)
def test_times_are_seconds_since_1970_exactly(text: str, expected: datetime | None) -> None:
    """To the microsecond, without a float in between; milliseconds are recognised and refused."""
    assert moment(_json(text)) == expected


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        ({"market": 1, "code": "00700"}, "HK.00700"),
        ({"market": 2, "code": "HSI2612"}, "HK.HSI2612"),
        ({"market": 11, "code": "BRK.B"}, "US.BRK.B"),
        ({"market": 22, "code": "000001"}, "SZ.000001"),
        ({"market": 3, "code": "X"}, None),
        ({"market": "1", "code": "00700"}, None),
        ({"market": True, "code": "00700"}, None),
        ({"market": 1, "code": ""}, None),
        ({"market": 1, "code": "A B"}, None),
        ({"market": 1, "code": "é"}, None),
        ({"market": 1, "code": "X" * 33}, None),
        ({"market": 1, "code": 700}, None),
        ({"market": 1}, None),
        ({}, None),
        (None, None),
        ("HK.00700", None),
    ],
)
def test_securities_become_symbols(security: object, expected: str | None) -> None:
    """QotMarket and code; 2 is the old number of HK futures."""
    assert symbol_of(security) == expected


def test_code_of_takes_printable_ascii_only() -> None:
    """Nothing that could hide."""
    assert code_of("AAPL260116C200000") == "AAPL260116C200000"
    assert code_of("A\u202eB") is None


def test_of_two_different_rows_of_one_symbol_none_is_believed() -> None:
    """Alike they are one."""
    assert by_symbol([("A", 1), ("A", 1), ("B", 1), ("B", 2), (None, 3), ("C", None)]) == {"A": 1}


@pytest.mark.parametrize(
    ("s2c", "expected"),
    [({"rows": [{"a": 1}, 5, None, []]}, [{"a": 1}]), ({}, []), ({"rows": None}, []), ({"rows": {}}, None)],
)
def test_rows_are_the_objects_of_a_list(s2c: dict[str, Any], expected: list[Any] | None) -> None:
    """An absent list is an empty one, as protobuf's is."""
    assert rows_of(s2c, "rows") == expected


def test_inner_is_an_object_or_empty() -> None:
    """So that readers need not ask."""
    assert inner({"a": {"b": 1}}, "a") == {"b": 1}
    assert inner({"a": [1]}, "a") == {}
