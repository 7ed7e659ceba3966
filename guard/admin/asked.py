"""What an operator's request says: its body as a struct, its `If-Match` as hashes. Nothing is half understood."""

from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from guard.codes import Code
from guard.intent.strict import load
from guard.mismatch import mismatch
from guard.terms import Refusal, refuse

_T = TypeVar("_T", bound=msgspec.Struct)
_NAMES: Final = (("Object contains unknown field", Code.UNKNOWN_FIELD), ("Object missing required", Code.MISSING_FIELD))


def fitting(raw: bytes, kind: type[_T]) -> _T | Refusal:
    """The body as this struct, with the codes that a caller's body is refused with; an empty one is `{}`."""
    raw = raw or b"{}"
    found = load(raw)
    if isinstance(found, Refusal):
        return found
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        told = mismatch(error, kind)
        code = next((code for start, code in _NAMES if told.startswith(start)), Code.BAD_VALUE)
        return refuse(code, f"the body does not fit: {told}")


def if_match(values: Sequence[str]) -> frozenset[str] | None:
    """The hashes one of which has to be in force (RFC 9110 §13.1.1), None for any. A weak one is never in force."""
    named = [name.strip() for value in values for name in value.split(",")]
    if not named or "*" in named:
        return None
    return frozenset(name.strip('"') for name in named)
