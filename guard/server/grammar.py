"""The one shape that a request head may have (RFC 9112, narrowed), and which refusal a head of another shape earns.

A head is judged in time linear in its length: every quantifier is possessive, so nothing is tried twice. Narrower than
the RFC on purpose: HTTP/1.1 only, a plain path for a target, header names of letters, digits and hyphens, values of
printable ASCII, lines that end in CRLF. What is odd is refused, never repaired.
"""

import re
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.terms import Refusal, refuse

# No group that captures stands inside a repetition: some 3.11 releases of `re` mishandle that with possessive ones.
_METHOD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_PATH: Final = r"/(?:[A-Za-z0-9_-]++(?:/[A-Za-z0-9_-]++)*+/?+)?+"
_TOKEN: Final = r"[A-Za-z0-9._~+/=-]++"  # noqa: S105 - the shape of a credential (RFC 6750 §2.1), not one
_FIELD: Final = r"[A-Za-z0-9-]++:[\t -~]*+\r\n"

_TARGET: Final = rf"(?:/ws\?token=({_TOKEN})|({_PATH}))"
_HEAD: Final = re.compile(rf"({_METHOD}) {_TARGET} HTTP/1\.1\r\n((?:{_FIELD})*+)\r\n")
_FIELDS: Final = re.compile(r"([A-Za-z0-9-]++):[\t ]*+([\t -~]*+)\r\n")
_IS_METHOD: Final = re.compile(_METHOD)
_IS_TARGET: Final = re.compile(_TARGET)

TOO_MANY_FIELDS: Final = refuse(Code.HEADERS_TOO_LARGE, "the request has too many header fields")
_BAD_LINES: Final = refuse(Code.BAD_HEADER, "every line of the head ends in CR LF, and neither stands anywhere else")
_BAD_REQUEST_LINE: Final = refuse(Code.BAD_HEADER, "the request line is not METHOD SP TARGET SP VERSION")
_BAD_FIELD: Final = refuse(
    Code.BAD_HEADER, "a header is `Name: value`, its name of letters, digits and hyphens, its value of printable ASCII"
)
_BAD_VERSION: Final = refuse(Code.HTTP_VERSION, "only HTTP/1.1 is spoken here")
_BAD_TARGET: Final = refuse(
    Code.BAD_TARGET,
    "the target is a plain path such as /api/quote, or /ws?token=...: no other query, no %, no dot, no full URL",
)


class RequestHead(Struct, frozen=True):
    """A head of the right shape. `fields` have names as sent and values without leading blanks, in order."""

    method: str
    path: str
    token: str | None
    fields: list[tuple[str, str]]


def parse_head(text: str, *, fields_max: int) -> RequestHead | Refusal:
    """The head that `text` is (latin-1, up to and with its empty line), or what is wrong with it."""
    if text.count("\n") > fields_max + 2:  # the request line and the empty line
        return TOO_MANY_FIELDS
    match = _HEAD.fullmatch(text)
    if match is None:
        return _fault(text)
    method, token, path, fields = match.groups()
    return RequestHead(method, path or "/ws", token, _FIELDS.findall(fields))


def _fault(text: str) -> Refusal:
    """The first thing wrong with a head that is not of the shape: line ends, request line, then header fields."""
    if not text.count("\r") == text.count("\n") == text.count("\r\n"):
        return _BAD_LINES
    line = text.partition("\r\n")[0]
    method, _, target_and_version = line.partition(" ")
    if not _IS_METHOD.fullmatch(method) or not target_and_version:
        return _BAD_REQUEST_LINE
    target, _, version = target_and_version.rpartition(" ")
    if version != "HTTP/1.1":
        return _BAD_VERSION
    if not _IS_TARGET.fullmatch(target):
        return _BAD_TARGET
    return _BAD_FIELD
