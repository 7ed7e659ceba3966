"""JSON out: values as plain JSON text. Decimals are written digit by digit, without exponent, never as a float."""

import json
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Final

from guard.intent.strict import is_array, is_object

quoted: Final = json.encoder.encode_basestring_ascii
"""A text in quotes, whatever is not printable ASCII escaped."""
_name: Final = lru_cache(maxsize=256)(quoted)


def members(pairs: Iterable[tuple[str, object]]) -> str:
    """An object of the pairs that have a value. Names are ours and need no escaping."""
    parts: list[str] = []
    for name, value in pairs:
        if value is None:
            continue
        parts.append(f'"{name}":{text(value)}')
    return "{" + ",".join(parts) + "}"


def digits(number: Decimal) -> str:
    """A number digit by digit."""
    said = str(number)  # faster than a format by far
    return format(number, "f") if "E" in said else said


def text(value: object) -> str:
    """One value. Numbers must have been bounded before."""
    if type(value) is Decimal:
        return digits(value)
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if type(value) is str:
        return quoted(value)
    if is_array(value):
        return "[" + ",".join([text(item) for item in value]) + "]"
    if is_object(value):
        return "{" + ",".join([f"{_name(name)}:{text(item)}" for name, item in value.items()]) + "}"
    if value is None:
        return "null"
    raise AssertionError(f"a value of type {type(value).__name__} was to be written")
