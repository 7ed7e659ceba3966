"""What every answer of the daemon has in common: the envelope, and how its numbers, codes and times are read.

Pure, and total: any bytes give a value, nothing raises. Numbers are exact (`Decimal`, 64-bit integers), and what has
more digits than a double can carry, or an exponent that no price has, is no number. A row that cannot be read is left
out; two rows of one symbol that differ are both left out.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

import jiter
from msgspec import Struct

from guard.markets import PREFIX_OF_QOT
from guard.terms import REFUSING_RET_TYPES, told_in_seconds

DIGITS_MAX: Final = 20
EXPONENT_MIN: Final = -20
MAGNITUDE_MAX: Final = 18
MESSAGE_CHARS_MAX: Final = 160

_T = TypeVar("_T")
_CODE: Final = re.compile(r"[!-~]{1,32}")
_OK: Final = 200
_NO: Final = frozenset({400, 403, 404, 422})  # 403: the guard's own key may not ask for it
_UNKNOWN: Final = re.compile(
    r"unknown|not (?:found|exist|listed)|no such(?!.*(?:right|permission))|invalid (?:stock|security|code)|未知|不存在",
    re.IGNORECASE,
)
_PASSING: Final = re.compile(
    r"frequen|too (?:often|many|fast)|busy|try again|time[d ]? ?out|频率|頻率|频繁|頻繁|繁忙|稍后|稍後|超时|超時"
    r"|(?:unknown|internal|system)\W*(?:error|exception|failure|reason)|(?:未知|内部|內部|系统|系統)(?:错误|錯誤|异常|異常)",
    re.IGNORECASE,
)


class Declined(Struct, frozen=True):
    """The daemon heard the question and says no; asking for less may help."""

    message: str

    @property
    def is_transient(self) -> bool:
        """The no is about the asking, or about the daemon itself, and says nothing of what was asked for."""
        return bool(_PASSING.search(self.message))

    @property
    def is_unknown(self) -> bool:
        """The daemon, or a server behind it, says that there is no such instrument."""
        return not self.is_transient and bool(_UNKNOWN.search(self.message))


class Silence(Struct, frozen=True):
    """No answer, or none that can be believed: it says nothing about what was asked for."""

    message: str


def opened(status: int, body: bytes) -> dict[str, Any] | Declined | Silence:
    """The `s2c` of a success, or what the daemon said instead."""
    if status in _NO:
        return Declined(f"HTTP {status}")
    if status != _OK:
        return Silence(f"HTTP {status}")
    try:
        envelope = jiter.from_json(body, catch_duplicate_keys=True, float_mode="decimal", allow_inf_nan=False)
    except ValueError:
        return Silence("an answer that cannot be read")
    if not isinstance(envelope, dict):
        return Silence("an answer that cannot be read")
    ret_type, s2c = whole(envelope.get("ret_type")), envelope.get("s2c")
    if ret_type in REFUSING_RET_TYPES:
        return Declined(sentence(envelope.get("ret_msg")))
    if ret_type != 0 or not isinstance(s2c, dict):
        return Silence("an answer without a result")
    return s2c


def sentence(value: object) -> str:
    """The daemon's own words, fit for a message: one line, printable, bounded."""
    if not isinstance(value, str) or not value.strip():
        return "it gives no reason"
    line = "".join(letter if letter.isprintable() else " " for letter in value[: 4 * MESSAGE_CHARS_MAX])
    return " ".join(line.split())[:MESSAGE_CHARS_MAX]


def rows_of(s2c: Mapping[str, Any], name: str) -> list[dict[str, Any]] | None:
    """The objects of a list, what is none left out; None where there is no list. An absent list is an empty one."""
    listed = s2c.get(name)
    if listed is None:
        return []
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else None


def inner(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A nested object; an empty one where there is none."""
    found = row.get(name)
    return found if isinstance(found, dict) else {}


def by_symbol(pairs: Iterable[tuple[str | None, _T | None]]) -> dict[str, _T]:
    """One value a symbol; of two that differ nobody knows which is meant."""
    found: dict[str, _T] = {}
    torn: set[str] = set()
    for symbol, value in pairs:
        if symbol is None or value is None:
            continue
        if found.setdefault(symbol, value) != value:
            torn.add(symbol)
    return {symbol: value for symbol, value in found.items() if symbol not in torn}


# ---------------------------------------------------------------- single values


def whole(value: object) -> int | None:
    """A 64-bit integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**63) <= value < 2**64 else None


def number(value: object) -> Decimal | None:
    """A finite number of ordinary size; never a text, never a truth value."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if isinstance(value, int):
        return Decimal(value) if abs(value) < 10**MAGNITUDE_MAX else None
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or len(digits) > DIGITS_MAX or exponent < EXPONENT_MIN:
        return None
    return value if value.adjusted() < MAGNITUDE_MAX else None


def price(value: object, *, may_be_negative: bool = False) -> Decimal | None:
    """A price. The daemon writes 0 where it has none; only futures trade below zero."""
    found = number(value)
    if not found or (found < 0 and not may_be_negative):
        return None
    return found


def positive(value: object) -> Decimal | None:
    """A number above zero."""
    return price(value)


def lot(value: object) -> int | None:
    """A board lot, None where there is none."""
    found = whole(value)
    return found if found is not None and 0 < found < 2**31 else None


def moment(value: object) -> datetime | None:
    """Seconds since 1970 as an aware time, to the microsecond; 0 is no time."""
    return told_in_seconds(number(value))


def code_of(value: object) -> str | None:
    """A code as messages carry it."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def symbol_of(security: object) -> str | None:
    """Prefix and code of a Qot_Common.Security; None for a market without a prefix."""
    if not isinstance(security, dict):
        return None
    prefix = PREFIX_OF_QOT.get(whole(security.get("market")) or 0)
    code = code_of(security.get("code"))
    return f"{prefix}.{code}" if prefix and code else None
