"""Bytes into one JSON object, strictly (RFC 8259 plus: no duplicate names, no NaN, bounded size and depth).

Two parsers that disagree on a body are the way past any guard, so everything on which parsers are known to disagree is
refused: repeated names (also spelled with escapes), lone surrogates, a byte order mark, bytes after the end. Numbers
with a fraction or exponent become `Decimal`, unbounded as yet: `fields` bounds them before any arithmetic.
"""

from decimal import Decimal
from typing import Final, TypeGuard

import jiter

from guard.codes import Code
from guard.terms import Refusal, refuse, without_digests

BODY_BYTES_MAX: Final = 65_536
DEPTH_MAX: Final = 16
PARTS_MAX: Final = 4096
"""Commas and opening brackets; 64 KiB of nothing else take a tenth of a second to look through."""
_SHOWN_CHARACTERS_MAX: Final = 80
_BEYOND_READING: Final = ('Internal error: "InvalidOperation', "number out of range")
"""How the parser's words begin of a number with more than 18 digits in its exponent, or more than 4,300 in all."""

SCALARS: Final = frozenset({str, int, bool, Decimal})
"""The types of values that have no members."""
Members = dict[str, object]


def load(body: bytes) -> Members | Refusal:
    """The object that the body is, or why it is none: `body_too_large`, `bad_json`, `duplicate_key`, `bad_number`."""
    brackets = body.count(b"{") + body.count(b"[")
    if len(body) > PARTS_MAX and (len(body) > BODY_BYTES_MAX or brackets + body.count(b",") > PARTS_MAX):
        return _not_json(body, "")
    try:
        # Only names are cached: a trade password's digest must not outlive its request in a parser's cache.
        value = jiter.from_json(
            body, allow_inf_nan=False, cache_mode="keys", catch_duplicate_keys=True, float_mode="decimal"
        )
    except ValueError as error:
        return _not_json(body, str(error))
    if not is_object(value):
        return refuse(Code.BAD_JSON, "the body is one JSON object")
    # Each level opens with a bracket: only a body with many brackets can be deep. The parser itself stops at 200.
    if brackets > DEPTH_MAX and _is_deep(value):
        return refuse(Code.BAD_JSON, f"the body is nested deeper than {DEPTH_MAX} levels")
    return value


def is_object(value: object) -> TypeGuard[Members]:
    """A JSON object."""
    return type(value) is dict


def is_array(value: object) -> TypeGuard[list[object]]:
    """A JSON array."""
    return type(value) is list


def _not_json(body: bytes, why: str) -> Refusal:
    """What is wrong with a body that is too large, or that the parser refuses for the reason `why`."""
    if len(body) > BODY_BYTES_MAX:
        return refuse(Code.BODY_TOO_LARGE, f"a body has at most {BODY_BYTES_MAX} bytes")
    if not body.strip():
        return refuse(Code.BAD_JSON, "the body is empty; send {} where there is nothing to say")
    if body.startswith(b"\xef\xbb\xbf"):
        return refuse(Code.BAD_JSON, "the body starts with a byte order mark; send plain UTF-8")
    if not why:
        return refuse(Code.BAD_JSON, f"the body has more than {PARTS_MAX} parts; ask in several requests")
    if why.startswith(_BEYOND_READING):
        return refuse(Code.BAD_NUMBER, "the body holds a number that no field could take")
    code = Code.DUPLICATE_KEY if why.startswith("Detected duplicate key") else Code.BAD_JSON
    why = without_digests(why)
    short = why if len(why) <= _SHOWN_CHARACTERS_MAX else f"{why[:_SHOWN_CHARACTERS_MAX]}…"
    return refuse(code, f"the body is not strict JSON: {short}")


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [inner for outer in level for inner in _inside(outer)]
    # What is left sits in objects and arrays of the deepest level allowed: scalars may, another level may not.
    return any(isinstance(item, dict | list) for item in level)


def _inside(value: object) -> list[object]:
    if is_object(value):
        return list(value.values())
    return value if is_array(value) else []
