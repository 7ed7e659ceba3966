"""What the header fields of a well-shaped head mean: framing, media type, the connection, and what the walk may see.

Decisions rest on single values only: a field that is read here at all may stand once and, where it has one value, may
hold no comma, so nobody downstream can pick another one than we did (CVE-2026-26308, CVE-2025-64484). Everything else
is ignored and goes no further.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.codes import Code
from guard.server.bounds import EdgeBounds
from guard.server.grammar import RequestHead
from guard.terms import TRACEPARENT, Presented, Refusal, refuse

WS_PATH: Final = "/ws"

# What the walk looks at, beside what the edge itself needs; on the stream's path the handshake too (RFC 6455 §4.1).
_FOR_THE_WALK: Final = frozenset(
    {
        "access-control-request-method",
        "authorization",
        "content-type",
        "guard-intent",
        "idempotency-key",
        "origin",
        "traceparent",
        "user-agent",
        "x-request-id",
    }
)
_HANDSHAKE: Final = frozenset(
    {"upgrade", "sec-websocket-extensions", "sec-websocket-key", "sec-websocket-protocol", "sec-websocket-version"}
)
_FOR_THE_EDGE: Final = frozenset({"content-encoding", "content-length", "expect", "host", "transfer-encoding"})
_READ: Final = _FOR_THE_WALK | _FOR_THE_EDGE
_READ_WS: Final = _READ | _HANDSHAKE
_COMMALESS: Final = frozenset(
    {"authorization", "content-encoding", "content-length", "content-type", "expect", "host", "idempotency-key"}
)
_CONNECTION_UNSAID: Final[frozenset[str]] = frozenset()
_CONNECTION_CHARS_MAX: Final = 256
# A caller that names any other field as hop-by-hop wants it dropped on the way: `Connection: Authorization`.
_CONNECTION_WORDS: Final = frozenset({"", "close", "keep-alive", "upgrade", "http2-settings", "te"})

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,255}+|\[[0-9A-Fa-f:.]{2,45}+\])(?::[0-9]{1,5}+)?+")
_LENGTH: Final = re.compile(r"0|[1-9][0-9]*+")
_LENGTH_DIGITS_MAX: Final = 10  # more digits are beyond any bound, and int() minds very long ones
_IDEMPOTENCY_KEY: Final = re.compile(r"[!-~]{1,255}+")
_JSON: Final = re.compile(r'application/json(?:[\t ]*+;[\t ]*+charset=(?:utf-8|"utf-8"))?+', re.IGNORECASE)
_WS_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")


def _bad(message: str) -> Refusal:
    return refuse(Code.BAD_HEADER, message)


_REPEATED: Final = _bad("a header that is read here stands more than once, or holds a comma where one value belongs")
_NO_HOST: Final = _bad("a request has exactly one Host, a name or address with an optional port")
_TRANSFER_ENCODING: Final = _bad("Transfer-Encoding is not accepted: send the body with Content-Length")
_BAD_LENGTH: Final = _bad("Content-Length is decimal digits without a sign or a leading zero")
_BODY_ON_GET: Final = _bad("a GET has no body")
_BAD_EXPECT: Final = _bad("the only expectation that is met is 100-continue")
_BAD_CONNECTION: Final = _bad("Connection may say close, keep-alive or upgrade; no other header can be made hop-by-hop")
_BAD_IDEMPOTENCY_KEY: Final = _bad("an Idempotency-Key is 1 to 255 visible ASCII characters")
_TWO_CREDENTIALS: Final = _bad("a request has one credential: Authorization or ?token=, not both")
NO_HANDSHAKE: Final = _bad("/ws is asked with a WebSocket handshake of version 13 (RFC 6455)")
_CODED: Final = refuse(Code.MEDIA_TYPE, "a body is sent as it is: no Content-Encoding")
_NOT_JSON: Final = refuse(Code.MEDIA_TYPE, "a body is JSON in UTF-8: send the header Content-Type: application/json")


class HeadFields(Struct, frozen=True):
    """What the fields of a head amount to. `length_bytes` is the body's; `is_upgrade` a proper WebSocket handshake.

    `presented` goes along with every request of this head, and of heads with the same credential right after it.
    """

    head: Mapping[str, str]
    presented: Presented
    length_bytes: int
    is_continue_expected: bool
    is_kept_alive: bool
    is_upgrade: bool


def read_fields(head: RequestHead, bounds: EdgeBounds, *, before: HeadFields | None = None) -> HeadFields | Refusal:
    """The meaning of a head's fields, or the first thing in them that is refused.

    `before`: that of the head before on this connection, which presents the same where its `Authorization` is the same.
    """
    read = _READ_WS if head.path == WS_PATH else _READ
    values: dict[str, str] = {}
    connection = ""
    for name, value in head.fields:
        key = name.lower()
        if key in read:
            if key in values or (key in _COMMALESS and "," in value):
                return _REPEATED
            values[key] = value.rstrip("\t ")
        elif key == "connection":
            connection = f"{connection},{value.lower()}"
    if len(connection) > _CONNECTION_CHARS_MAX:
        return _BAD_CONNECTION
    words = {word.strip("\t ") for word in connection.split(",")} if connection else _CONNECTION_UNSAID
    found = _fault(head, values, words) or _meaning(head, values, words=words, bounds=bounds)
    if isinstance(found, HeadFields) and before is not None and head.token is None:
        same = found.head.get("authorization") == before.head.get("authorization")
        return replace(found, presented=before.presented) if same else found
    return found


def _fault(head: RequestHead, values: Mapping[str, str], words: AbstractSet[str]) -> Refusal | None:
    """What of framing, host, connection and credentials cannot be accepted, whatever the body may be."""
    if "transfer-encoding" in values:
        return _TRANSFER_ENCODING
    if not _HOST.fullmatch(values.get("host", "")):
        return _NO_HOST
    if not words <= _CONNECTION_WORDS:
        return _BAD_CONNECTION
    if "expect" in values and values["expect"].lower() != "100-continue":
        return _BAD_EXPECT
    if "idempotency-key" in values and not _IDEMPOTENCY_KEY.fullmatch(values["idempotency-key"]):
        return _BAD_IDEMPOTENCY_KEY
    if head.token is not None and "authorization" in values:
        return _TWO_CREDENTIALS
    return None


def _meaning(
    head: RequestHead, values: dict[str, str], *, words: AbstractSet[str], bounds: EdgeBounds
) -> HeadFields | Refusal:
    length = _length(head, values)
    if not isinstance(length, int):
        return length
    is_upgrade = False
    if head.path == WS_PATH and head.method == "GET":
        if not _is_handshake(values, words):
            return NO_HANDSHAKE
        is_upgrade = True
    if values.get("content-encoding", "identity").lower() != "identity":
        return _CODED
    if length and head.method == "POST" and not _JSON.fullmatch(values.get("content-type", "")):
        return _NOT_JSON
    if length > bounds.body_bytes_max:
        return refuse(Code.BODY_TOO_LARGE, f"a body is at most {bounds.body_bytes_max} bytes")
    is_continue_expected = "expect" in values and length > 0
    return HeadFields(
        head=_seen_by_the_walk(values),
        presented=Presented(),
        length_bytes=length,
        is_continue_expected=is_continue_expected,
        is_kept_alive="close" not in words,
        is_upgrade=is_upgrade,
    )


def _length(head: RequestHead, values: Mapping[str, str]) -> int | Refusal:
    """The body's length in bytes. Without the field there is no body (RFC 9112 §6.3)."""
    text = values.get("content-length", "0")
    if not _LENGTH.fullmatch(text):
        return _BAD_LENGTH
    if text != "0" and head.method in {"GET", "HEAD"}:
        return _BODY_ON_GET
    return int(text[:_LENGTH_DIGITS_MAX])


def _is_handshake(values: Mapping[str, str], words: AbstractSet[str]) -> bool:
    """An opening handshake by RFC 6455 §4.2.1."""
    return (
        values.get("upgrade", "").lower() == "websocket"
        and "upgrade" in words
        and values.get("sec-websocket-version") == "13"
        and _WS_KEY.fullmatch(values.get("sec-websocket-key", "")) is not None
    )


def _seen_by_the_walk(values: dict[str, str]) -> Mapping[str, str]:
    """`values` without what only the edge needs, and without a trace context that the W3C says to ignore."""
    for name in _FOR_THE_EDGE:
        values.pop(name, None)
    if "traceparent" in values and not TRACEPARENT.fullmatch(values["traceparent"]):
        del values["traceparent"]
    return values
