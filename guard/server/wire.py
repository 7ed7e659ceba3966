"""An answer as the bytes that are written, in one piece: status line, fields, body (RFC 9112 §4). Pure.

The edge adds what only it knows: length, date, and whether the connection ends. Nothing is cacheable.
"""

import re
from http import HTTPStatus
from typing import Final

from guard.terms import Reply

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_BODILESS: Final = frozenset({204, 304})
_SAFE_LINE: Final = re.compile(r"[A-Za-z0-9-]++: [ -~]*+")


def encode(reply: Reply, *, date: str, is_closing: bool, is_head: bool = False) -> bytes:
    """The answer's bytes; `date` is an IMF-fixdate, `is_head` the answer to HEAD: the same without its body.

    A field of ours that could split the answer is a bug and raises.
    """
    lines = [f"HTTP/1.1 {reply.status} {_PHRASES.get(reply.status, '')}"]
    is_bodiless = reply.status in _BODILESS
    if not is_bodiless:
        lines += [f"Content-Type: {reply.content_type}", f"Content-Length: {len(reply.body)}"]
    lines += [f"Date: {date}", "Cache-Control: no-store"]
    for name, value in reply.headers:
        lines.append(f"{name}: {value}")
        if not _SAFE_LINE.fullmatch(lines[-1]):
            raise AssertionError(f"the answer's field {name!r} cannot be written")
    if is_closing:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"
    return head if is_head or is_bodiless else head + reply.body
