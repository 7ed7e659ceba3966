"""Reading one answer at a time from a stream of bytes, strictly and within bounds. No I/O: bytes in, values out.

HTTP/1.1 only. Exactly one `Content-Length`, or `Transfer-Encoding: chunked` and nothing else; an answer that has
both, neither or another coding is refused, as are content encodings, trailers and a switch of protocols. `httptools`
alone would read the last three to the end of the stream, and takes HTTP/0.9, 2.0, RTSP and ICE (RFC 9112 §6.3).
Interim answers (1xx but 101) are skipped. An answer that came together with further bytes is refused: its framing is
wrong somewhere, and nobody knows where.
"""

import re
from io import BytesIO
from typing import Final, Literal

import httptools
from msgspec import Struct

HEAD_BYTES_MAX: Final = 65_536  # all heads of one answer together, interim ones included
OVERHEAD_MAX: Final = 1  # bytes of chunk framing for each byte of content, above a first HEAD_BYTES_MAX
CONTENT_TYPE_CHARS_MAX: Final = 200
SMALL_BYTES: Final = 2**20  # an answer of so much always has room: a trade's is no longer, and nobody's reads cost it

_VERSION: Final = b"HTTP/1.1 "
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*+\r\n")
_HEAD_END: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_TYPE: Final = re.compile(rb"[\x20-\x7e]+")
_WATCHED: Final = (b"content-length", b"transfer-encoding", b"content-encoding", b"content-type", b"retry-after")
_SECONDS: Final = re.compile(rb"[0-9]{1,6}")
_SWITCHING: Final = 101
_OK: Final = 200
_BODILESS: Final = frozenset({204, 304})
_AFTER_END: Final = "has bytes after its end"
_TOO_LONG: Final = f"has a head of more than {HEAD_BYTES_MAX} bytes"


class ParsedAnswer(Struct, frozen=True, gc=False):
    """One whole answer. `is_reusable`: the connection may carry another request."""

    status: int
    content_type: str
    body: bytes
    is_reusable: bool
    retry_after_s: int | None = None


class BadAnswer(Struct, frozen=True):
    """Why no answer can be read from this stream any more."""

    kind: Literal["bad_answer", "too_large"]
    message: str


class _Stop(Exception):
    """Raised in a parser callback: what is wrong with the answer."""

    def __init__(self, broken: BadAnswer) -> None:
        super().__init__(broken.message)
        self.broken = broken


def _bad(message: str) -> _Stop:
    return _Stop(BadAnswer("bad_answer", message))


class ByteBudget:
    """How many bytes the larger answers of all connections may hold together while they arrive."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.taken = 0

    def take(self, more: int) -> bool:
        """Takes room for this many more bytes; False if there is not enough."""
        if self.taken + more > self.bytes_max:
            return False
        self.taken += more
        return True

    def give_back(self, bytes_: int) -> None:
        """They are no longer held."""
        self.taken -= bytes_


class Framing(Struct, frozen=True):
    """What a final head says of its answer. `length` None: the body is chunked."""

    status: int
    content_type: str
    length: int | None
    is_reusable: bool
    retry_after_s: int | None = None


class AnswerReader:
    """The answers of one connection. After a `BadAnswer`, or the last that its daemon wanted to give, it is used up.

    The parser reads final heads, each whole, and chunked bodies; what has a length is counted here. `has_begun`: at
    least one byte of the present answer has come. `room` is shared with others; whoever gives up the connection calls
    `let_go`.
    """

    def __init__(self, *, body_bytes_max: int, room: ByteBudget | None = None) -> None:
        self._body_bytes_max = body_bytes_max
        self._room = room or ByteBudget(body_bytes_max)
        self._taken_bytes = 0
        self._stopped: BadAnswer | None = None
        self._last: tuple[bytes, int, Framing | None] = (b"", 0, None)  # the same head means the same again
        self._fields: dict[bytes, list[bytes]] = {}
        self._parser: httptools.HttpResponseParser | None = None  # while an answer needs it: it names this reader
        self._begin()

    def _begin(self) -> None:
        self.has_begun = False
        self._held: bytes | bytearray = b""
        self._interim_bytes = 0
        self._framing: Framing | None = None
        self._raw_bytes = 0
        self._tail = b""
        self._content: bytes | BytesIO = b""
        self._content_bytes = 0
        self._is_done = False

    def feed(self, data: bytes) -> ParsedAnswer | BadAnswer | None:
        """The answer, when `data` completes it; None while more is needed."""
        if self._stopped is not None:
            return self._stopped
        head, length, known = self._last
        if known is not None and not self.has_begun and data.startswith(head) and len(data) == len(head) + length:
            body = data[len(head) :]
            return ParsedAnswer(known.status, known.content_type, body, known.is_reusable, known.retry_after_s)
        self.has_begun = True
        try:
            framing = self._framing
            if framing is None:
                rest = self._heads(data)
                framing = self._framing
                if rest is None or framing is None:
                    return None
                data = rest
            if framing.length is None:
                self._chunked(data)
            else:
                self._counted(data, framing.length)
        except _Stop as stop:
            self._stopped = stop.broken
            return stop.broken
        if not self._is_done:
            return None
        content = self._content
        body = content if isinstance(content, bytes) else content.getvalue()
        whole = ParsedAnswer(framing.status, framing.content_type, body, framing.is_reusable, framing.retry_after_s)
        self.let_go()
        self._begin()
        if not whole.is_reusable:
            self._stopped = BadAnswer("bad_answer", _AFTER_END)
        return whole

    def let_go(self) -> None:
        """Gives back the room of the present answer, which was delivered or abandoned."""
        self._parser = None
        if self._taken_bytes:
            self._room.give_back(self._taken_bytes)
            self._taken_bytes = 0

    # ------------------------------------------------------------ the head

    def _heads(self, data: bytes) -> bytes | None:
        """Collect heads up to the final one; then what follows it, its meaning in `_framing`."""
        held: bytes | bytearray = data
        searched = 0
        if self._held:
            searched = max(0, len(self._held) - len(_HEAD_END) + 1)
            self._held += data
            held = self._held
        while (end := held.find(_HEAD_END, searched)) >= 0:
            searched, end = 0, end + len(_HEAD_END)
            head, rest = bytes(held[:end]), bytes(held[end:])
            if self._interim_bytes + end > HEAD_BYTES_MAX:
                raise _bad(_TOO_LONG)
            if self._last[0] == head:
                self._framing = self._last[2]
                return rest
            if not self._is_interim(head):
                self._framing = framing = self._framed(head)
                if framing.length is not None and framing.is_reusable:
                    self._last = (head, framing.length, framing)
                return rest
            self._interim_bytes += end
            held = self._held = bytearray(rest)
        if not _VERSION.startswith(held[: len(_VERSION)]):
            raise _bad("is no HTTP/1.1")
        if self._interim_bytes + len(held) > HEAD_BYTES_MAX:
            raise _bad(_TOO_LONG)
        if held is not self._held:
            self._held = bytearray(held)
        return None

    def _is_interim(self, head: bytes) -> bool:
        line = _STATUS_LINE.match(head)
        if line is None:
            raise _bad("has no HTTP/1.1 status line")
        status = int(line.group(1))
        if status == _SWITCHING:
            raise _bad("switches protocols")
        return status < _OK

    def _framed(self, head: bytes) -> Framing:
        """What a final head means, and how its body is framed."""
        self._fields = {name: [] for name in _WATCHED}
        self._parser = parser = httptools.HttpResponseParser(self)
        self._parse(parser, head)
        status = parser.get_status_code()
        lengths, codings, encodings, types, waits = self._fields.values()
        wait_s = int(waits[0]) if len(waits) == 1 and _SECONDS.fullmatch(waits[0]) else None
        if any(encoding.lower() != b"identity" for encoding in encodings):
            raise _bad("has a content encoding")
        is_typed = bool(types) and _TYPE.fullmatch(types[0]) and len(types[0]) <= CONTENT_TYPE_CHARS_MAX
        content_type = types[0].decode("ascii") if is_typed else ""
        if status in _BODILESS and not codings:
            return Framing(status, content_type, 0, self._keeps_alive, wait_s)
        if len(lengths) + len(codings) != 1:
            raise _bad("does not say its length once")
        if lengths:
            self._bound(int(lengths[0]))
            return Framing(status, content_type, int(lengths[0]), self._keeps_alive, wait_s)
        if codings[0].lower() != b"chunked" or status in _BODILESS:
            raise _bad("has a transfer coding where only chunked can be, or none")
        self._content = BytesIO()
        return Framing(status, content_type, None, self._keeps_alive, wait_s)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for each field."""
        if self._raw_bytes:
            raise _bad("has trailers")
        values = self._fields.get(name.lower())
        if values is not None:
            values.append(value)

    def on_headers_complete(self) -> None:
        """Called by the parser when the head is whole: here it knows whether the connection stays open."""
        self._keeps_alive = self._parser is not None and self._parser.should_keep_alive()

    # ------------------------------------------------------------ the body

    def _counted(self, data: bytes, length: int) -> None:
        """A body of known length goes into a buffer of its full size, so it neither grows nor is copied at the end."""
        self._raw_bytes += len(data)
        if self._raw_bytes > length:
            raise _bad(_AFTER_END)
        self._is_done = self._raw_bytes == length
        if self._is_done and len(data) == length:
            self._content = data
        elif data:
            if not isinstance(self._content, BytesIO):
                self._hold(length)
                self._content = BytesIO(bytes(length))
            self._content.write(data)

    def _chunked(self, data: bytes) -> None:
        if not data or self._parser is None:
            return
        self._raw_bytes += len(data)
        self._tail = (self._tail + data[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]
        self._parse(self._parser, data)
        if self._raw_bytes - self._content_bytes > HEAD_BYTES_MAX + OVERHEAD_MAX * self._content_bytes:
            raise _bad("is chunked into too little")
        if self._is_done and self._tail != _LAST_CHUNK:  # the parser swallows line ends between two answers
            raise _bad(_AFTER_END)

    def on_body(self, part: bytes) -> None:
        """Called by the parser for each piece of content."""
        self._content_bytes += len(part)
        self._bound(self._content_bytes)
        self._hold(self._content_bytes)
        if isinstance(self._content, BytesIO):
            self._content.write(part)

    def on_message_complete(self) -> None:
        """Called by the parser at the end."""
        self._is_done = True

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of an answer, and so also of one that nobody asked for."""
        if self._is_done:
            raise _bad(_AFTER_END)

    def _bound(self, body_bytes: int) -> None:
        if body_bytes > self._body_bytes_max:
            raise _Stop(BadAnswer("too_large", f"is larger than {self._body_bytes_max} bytes"))

    def _hold(self, body_bytes: int) -> None:
        """Takes room for this many bytes of the answer at once, if all others leave it."""
        if body_bytes <= SMALL_BYTES:
            return
        if not self._room.take(body_bytes - self._taken_bytes):
            message = f"is one too many: larger answers hold at most {self._room.bytes_max} bytes together; ask again"
            raise _Stop(BadAnswer("too_large", message))
        self._taken_bytes = body_bytes

    def _parse(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        try:
            parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            raise cause if isinstance(cause, _Stop) else _bad("cannot be read") from error
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise _bad("breaks the grammar of HTTP") from error
