"""An answer as the bytes that are written: status line, fields, body (RFC 9112 §4). Pure.

In one piece, or where the body is large in two: joining would copy it, and take as much memory again. The edge adds
what only it knows: length, date, and whether the connection ends. Nothing is cacheable.
"""

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from guard.terms import Reply

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_BODILESS: Final = frozenset({204, 304})
JOINED_BYTES_MAX: Final = 65_536  # a body up to which one piece is cheaper than two
_STATUSES_MAX: Final = 64  # the daemon may know statuses that we do not
_SAFE_LINES: Final = re.compile(r"(?:[A-Za-z0-9-]++: [ -~]*+\r\n)*+")


def encode(reply: Reply, *, date: str, is_closing: bool) -> bytes:
    """The answer's bytes in one piece, however many: for what the guard says itself, which is little."""
    return b"".join(pieces(reply, date=date, is_closing=is_closing))


def pieces(reply: Reply, *, date: str, is_closing: bool, is_head: bool = False) -> tuple[bytes, ...]:
    """The answer's bytes; `date` is an IMF-fixdate, `is_head` the answer to HEAD: the same without its body.

    A field of ours that could split the answer is a bug and raises.
    """
    fields = ""
    for name, value in reply.headers:
        fields += f"{name}: {value}\r\n"
    if fields.count("\n") != len(reply.headers) or not _SAFE_LINES.fullmatch(fields):
        raise AssertionError(f"one of the answer's fields {reply.headers!r} cannot be written")
    status, body = reply.status, reply.body
    ending = "Connection: close\r\n\r\n" if is_closing else "\r\n"
    if status in _BODILESS:
        head = f"{_status_line(status)}Date: {date}\r\nCache-Control: no-store\r\n{fields}{ending}"
        return (head.encode("ascii"),)
    head = (
        f"{_status_line(status)}Content-Type: {reply.content_type}\r\nContent-Length: {len(body)}\r\n"
        f"Date: {date}\r\nCache-Control: no-store\r\n{fields}{ending}"
    )
    if is_head:
        return (head.encode("ascii"),)
    return (head.encode("ascii") + body,) if len(body) <= JOINED_BYTES_MAX else (head.encode("ascii"), body)


@lru_cache(maxsize=_STATUSES_MAX)
def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n"
