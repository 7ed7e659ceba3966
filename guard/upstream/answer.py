"""Reading one answer at a time from a stream of bytes, strictly and within bounds. No I/O: bytes in, values out.

HTTP/1.1 only. Exactly one `Content-Length`, or `Transfer-Encoding: chunked` and nothing else; an answer that has
both, neither or another coding is refused, as are content encodings, trailers and a switch of protocols. `httptools`
alone would read the last three to the end of the stream, and takes HTTP/0.9, 2.0, RTSP and ICE (RFC 9112 §6.3).
Interim answers (1xx but 101) are skipped. An answer that came together with further bytes is refused: its framing is
wrong somewhere, and nobody knows where.
"""

import re
from typing import Final, Literal

import httptools
from msgspec import Struct

HEAD_BYTES_MAX: Final = 65_536  # all heads of one answer together, interim ones included
OVERHEAD_MAX: Final = 1  # bytes of chunk framing for each byte of content, above a first HEAD_BYTES_MAX
CONTENT_TYPE_CHARS_MAX: Final = 200

_VERSION: Final = b"HTTP/1.1 "
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*+\r\n")
_HEAD_END: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_TYPE: Final = re.compile(rb"[\x20-\x7e]+")
_WATCHED: Final = (b"content-length", b"transfer-encoding", b"content-encoding", b"content-type")
_SWITCHING: Final = 101
_OK: Final = 200
_BODILESS: Final = frozenset({204, 304})


class Whole(Struct, frozen=True):
    """One whole answer. `is_reusable`: the connection may carry another request."""

    status: int
    content_type: str
    body: bytes
    is_reusable: bool


class Broken(Struct, frozen=True):
    """Why no answer can be read from this stream any more."""

    kind: Literal["bad_answer", "too_large"]
    message: str


class _Stop(Exception):
    """What is wrong with the answer, from within a callback."""

    def __init__(self, broken: Broken) -> None:
        super().__init__(broken.message)
        self.broken = broken


def _bad(message: str) -> _Stop:
    return _Stop(Broken("bad_answer", message))


class AnswerReader:
    """The answers of one connection. After a `Broken` it is used up."""

    def __init__(self, *, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._parser = httptools.HttpResponseParser(self)
        self._stopped: Broken | None = None
        self._begin()

    def _begin(self) -> None:
        self._head = bytearray()
        self._head_bytes = 0
        self._in_body = False
        self._fields: dict[bytes, list[bytes]] = {name: [] for name in _WATCHED}
        self._length: int | None = None
        self._raw_bytes = 0
        self._tail = b""
        self._content = bytearray()
        self._content_type = ""
        self._is_done = False
        self._keeps_alive = False

    @property
    def has_begun(self) -> bool:
        """At least one byte of the present answer has come."""
        return self._head_bytes > 0

    def feed(self, data: bytes) -> Whole | Broken | None:
        """The answer, when `data` completes it; None while more is needed."""
        if self._stopped is not None:
            return self._stopped
        try:
            whole = self._feed(data)
        except _Stop as stop:
            self._stopped = stop.broken
            return stop.broken
        if whole is not None:
            self._begin()
        return whole

    def _feed(self, data: bytes) -> Whole | None:
        if not self._in_body:
            rest = self._heads(data)
            if rest is None:
                return None
            data = rest
        if data:
            self._body(data)
        return self._whole() if self._is_done else None

    # ------------------------------------------------------------ the head

    def _heads(self, data: bytes) -> bytes | None:
        """Collect heads up to the final one; then what follows it. The parser sees final heads only, each whole."""
        searched = max(0, len(self._head) - len(_HEAD_END) + 1)
        self._head += data
        self._head_bytes += len(data)
        while (end := self._head.find(_HEAD_END, searched)) >= 0:
            searched, end = 0, end + len(_HEAD_END)
            head, rest = bytes(self._head[:end]), bytes(self._head[end:])
            if self._head_bytes - len(rest) > HEAD_BYTES_MAX:
                break
            if self._is_interim(head):
                self._head = bytearray(rest)
                continue
            self._in_body = True
            self._parse(head)
            return rest
        if not _VERSION.startswith(self._head[: len(_VERSION)]):
            raise _bad("is no HTTP/1.1")
        if self._head_bytes > HEAD_BYTES_MAX:
            raise _bad(f"has a head of more than {HEAD_BYTES_MAX} bytes")
        return None

    def _is_interim(self, head: bytes) -> bool:
        line = _STATUS_LINE.match(head)
        if line is None:
            raise _bad("has no HTTP/1.1 status line")
        status = int(line.group(1))
        if status == _SWITCHING:
            raise _bad("switches protocols")
        return status < _OK

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for each field."""
        if self._raw_bytes:
            raise _bad("has trailers")
        values = self._fields.get(name.lower())
        if values is not None:
            values.append(value)

    def on_headers_complete(self) -> None:
        """Called by the parser when the head is whole: decide how the body is framed."""
        lengths, codings, encodings, types = self._fields.values()
        if any(encoding.lower() != b"identity" for encoding in encodings):
            raise _bad("has a content encoding")
        if types and _TYPE.fullmatch(types[0]) and len(types[0]) <= CONTENT_TYPE_CHARS_MAX:
            self._content_type = types[0].decode("ascii")
        if self._parser.get_status_code() in _BODILESS and not codings:
            self._length = 0
            return
        if len(lengths) + len(codings) != 1:
            raise _bad("does not say its length once")
        if lengths:
            self._length = int(lengths[0])
            self._bound(self._length)
        elif codings[0].lower() != b"chunked" or self._parser.get_status_code() in _BODILESS:
            raise _bad("has a transfer coding where only chunked can be, or none")

    # ------------------------------------------------------------ the body

    def _body(self, data: bytes) -> None:
        if self._is_done:
            raise _bad("has bytes after its end")
        self._raw_bytes += len(data)
        self._tail = (self._tail + data[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]
        self._parse(data)
        if self._raw_bytes - len(self._content) > HEAD_BYTES_MAX + OVERHEAD_MAX * len(self._content):
            raise _bad("is chunked into too little")

    def on_body(self, part: bytes) -> None:
        """Called by the parser for each piece of content."""
        self._content += part
        self._bound(len(self._content))

    def on_message_complete(self) -> None:
        """Called by the parser at the end; only in here does it know whether the connection stays open."""
        self._is_done = True
        self._keeps_alive = self._parser.should_keep_alive()

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of an answer, and so also of one that nobody asked for."""
        if self._is_done:
            raise _bad("has bytes after its end")

    def _bound(self, body_bytes: int) -> None:
        if body_bytes > self._body_bytes_max:
            raise _Stop(Broken("too_large", f"is larger than {self._body_bytes_max} bytes"))

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            raise cause if isinstance(cause, _Stop) else _bad("cannot be read") from error
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise _bad("breaks the grammar of HTTP") from error

    def _whole(self) -> Whole:
        # The parser swallows line ends between two answers; the count and the last chunk show them.
        is_exact = self._tail == _LAST_CHUNK if self._length is None else self._raw_bytes == self._length
        if not is_exact:
            raise _bad("has bytes after its end")
        return Whole(self._parser.get_status_code(), self._content_type, bytes(self._content), self._keeps_alive)
