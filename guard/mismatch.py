"""The message for a value that does not fit its type: msgspec's own, with the words that would have been right."""

import re
from typing import Any, Final

from msgspec import inspect

_AT: Final = re.compile(r" - at `\$\.(?P<path>[^`]*)`$")
_NO_TIME: Final = ("Invalid RFC3339 encoded datetime", "Expected `datetime")
_UNTOLD: Final = ("Invalid enum value", "Object contains unknown field")


def mismatch(error: Exception, kind: Any) -> str:
    """The error as one sentence: for an unknown word with the known ones, for a bad time with an example."""
    told = str(error)
    if told.startswith(_NO_TIME):
        return f"{told}; write it like 2026-12-01T17:00:00Z"
    if not told.startswith(_UNTOLD):
        return told
    at = _AT.search(told)
    known = _known(inspect.type_info(kind), at["path"].split(".") if at else [])
    return f"{told}; known: {', '.join(known)}" if known else told


def _known(node: inspect.Type, steps: list[str]) -> list[str]:
    """Follows the field names from this type: the fields of the object found there, or the words of the choice."""
    if isinstance(node, inspect.UnionType):
        return next((found for one in node.types if (found := _known(one, steps))), [])
    if isinstance(node, inspect.LiteralType):
        return [str(value) for value in node.values]
    if not isinstance(node, inspect.StructType):
        return []
    fields = {field.encode_name: field.type for field in node.fields}
    if not steps:
        return list(fields)
    return _known(fields[steps[0]], steps[1:]) if steps[0] in fields else []
