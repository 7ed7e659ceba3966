"""An answer as the bytes that are written: status line, fields, body (RFC 9112 §4). Pure.

In one piece, or in two if the body is large: joining would copy it, and take as much memory again. The edge adds
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
_NAMES_MAX: Final = 64  # more than we have
_NAME: Final = re.compile(r"[A-Za-z0-9-]+")


def encode(reply: Reply, *, date: str, is_closing: bool) -> bytes:
    """The answer's bytes in one piece, for the guard's own answers, which are small."""
    return b"".join(pieces(reply, date=date, is_closing=is_closing))


def pieces(reply: Reply, *, date: str, is_closing: bool, is_head: bool = False) -> tuple[bytes, ...]:
    """The answer's bytes; `date` is an IMF-fixdate, `is_head` the answer to HEAD: the same without its body.

    A field of ours that could split the answer is a bug and raises.
    """
    fields = f"Date: {date}\r\nCache-Control: no-store\r\n"
    for name, value in reply.headers:
        if not (value.isprintable() and value.isascii()):
            raise AssertionError(f"the answer's field {name} cannot be written: {value!r}")
        fields += f"{_named(name)}{value}\r\n"
    status, body = reply.status, reply.body
    ending = "Connection: close\r\n\r\n" if is_closing else "\r\n"
    if status in _BODILESS:
        return (f"{_status_line(status)}{fields}{ending}".encode("ascii"),)
    typed = f"Content-Type: {reply.content_type}\r\nContent-Length: {len(body)}\r\n"
    head = f"{_status_line(status)}{typed}{fields}{ending}".encode("ascii")
    if is_head:
        return (head,)
    return (head + body,) if len(body) <= JOINED_BYTES_MAX else (head, body)


@lru_cache(maxsize=_NAMES_MAX)
def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise AssertionError(f"a field of the answer cannot be written under the name {name!r}")
    return f"{name}: "


@lru_cache(maxsize=_STATUSES_MAX)
def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n"
