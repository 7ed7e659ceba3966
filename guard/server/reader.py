"""The pure reader: bytes of a connection in, one whole request or one refusal out.

`Reader.feed` takes bytes as they come and answers what they amount to so far. The answer depends on the bytes alone and
not on how they were cut, with one exception that the contract makes: bytes that arrive together with the end of a
request refuse it, bytes that arrive after it was handed out belong to the next one. Reads nothing twice, keeps at most
`head_bytes_max + body_bytes_max` bytes of a request, with the head before and a few small ones, and never raises.
"""

import re
from enum import Enum
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.server.bounds import EdgeBounds
from guard.server.fields import HeadFields, read_fields
from guard.server.grammar import RequestHead, parse_head
from guard.terms import Call, Refusal, refuse

HEADS_MAX: Final = 8  # of one connection that are kept: requests of one program differ in their length
HEAD_KEPT_BYTES_MAX: Final = 1024
# Lenient about line ends on purpose: a head of bare LFs ends here too and is refused now, not at its time-out.
_EMPTY_LINE: Final = re.compile(rb"\n\r?+\n")
_FIRST_BYTES: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_NOT_HTTP: Final = refuse(Code.BAD_HEADER, "this is not an HTTP request; the listener expects HTTP/1.1")
_BYTES_AFTER: Final = refuse(
    Code.BAD_HEADER, "bytes arrived together with the request, beyond its end: one request at a time, nothing was done"
)


class ReadProgress(Enum):
    """No answer yet: more bytes are needed, after `CONTINUE` only once the caller was told `100 Continue`."""

    MORE = "more"
    CONTINUE = "continue"


class Phase(Enum):
    """Where the reader is: before a request, in its head, or in its body."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"


class HttpRequest(Struct, frozen=True, gc=False):
    """One whole request. `raw_head` is given for a WebSocket handshake only, as it was read."""

    call: Call
    is_kept_alive: bool
    raw_head: bytes | None = None


Known = tuple[bytes, RequestHead, HeadFields, int]  # a head as it was read, what it means, and the length with its body


class Reader:
    """Reads the requests of one connection from `peer`, one at a time. After a refusal it is not to be fed again."""

    __slots__ = ("_begun", "_bounds", "_buffer", "_head_end", "_heads", "_last", "_peer", "_searched")

    def __init__(self, bounds: EdgeBounds, *, peer: str) -> None:
        self._bounds = bounds
        self._peer = peer
        self._buffer = bytearray()
        self._searched = 0
        self._head_end = 0
        self._begun: tuple[RequestHead, HeadFields] | None = None
        self._last: Known | None = None  # the same head means the same again
        self._heads: dict[bytes, Known] = {}  # as those before it do

    @property
    def phase(self) -> Phase:
        """Where in a request the bytes so far end; deadlines depend on it."""
        if self._begun is not None:
            return Phase.BODY
        return Phase.HEAD if self._buffer else Phase.IDLE

    def feed(self, data: bytes) -> HttpRequest | Refusal | ReadProgress:
        """What the bytes so far amount to, `data` included."""
        if self._last is not None and not self._buffer:
            raw, head, meaning, length = self._last
            if len(data) == length and data.startswith(raw):  # as it mostly comes
                return self._whole(data, len(raw), head, meaning=meaning)
        if not data:
            return ReadProgress.MORE
        held: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            held = self._buffer
        if self._begun is not None:
            return self._read_body(held, *self._begun)
        return self._read_head(held)

    def _read_head(self, held: bytes | bytearray) -> HttpRequest | Refusal | ReadProgress:
        last = self._last
        if last is None or not held.startswith(last[0]):  # a head ends at its first empty line
            fresh = self._search(held)
            if not isinstance(fresh, tuple):
                return fresh
            self._last = last = fresh
        raw, head, meaning, _ = last
        self._head_end = len(raw)
        return self._read_body(held, head, meaning)

    def _search(self, held: bytes | bytearray) -> Known | Refusal | ReadProgress:
        """The head, once it is complete and of the right shape."""
        if held[0] not in _FIRST_BYTES:
            return _NOT_HTTP
        longest = self._bounds.head_bytes_max
        found = _EMPTY_LINE.search(held, self._searched, longest)
        if found is None:
            if len(held) >= longest:
                return refuse(Code.HEADERS_TOO_LARGE, f"a head is at most {longest} bytes")
            self._searched = max(0, len(held) - 2)  # the last two bytes may begin an empty line
            return self._keep(held, ReadProgress.MORE)
        raw = bytes(held[: found.end()])
        del found  # a match keeps its buffer from growing
        known = self._heads.get(raw)
        if known is not None:
            return known
        head = parse_head(str(raw, "latin-1"), fields_max=self._bounds.fields_max)
        if isinstance(head, Refusal):
            return head
        last = self._last
        before = last[2] if last is not None and last[1].token is None else None  # a token is its head's alone
        meaning = read_fields(head, self._bounds, before=before)
        if isinstance(meaning, Refusal):
            return meaning
        known = (raw, head, meaning, len(raw) + meaning.length_bytes)
        if len(raw) <= HEAD_KEPT_BYTES_MAX:
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            self._heads[raw] = known
        return known

    def _read_body(
        self, held: bytes | bytearray, head: RequestHead, meaning: HeadFields
    ) -> HttpRequest | Refusal | ReadProgress:
        begin = self._head_end
        end = begin + meaning.length_bytes
        if len(held) < end:
            is_told = meaning.is_continue_expected and self._begun is None
            self._begun = (head, meaning)
            return self._keep(held, ReadProgress.CONTINUE if is_told else ReadProgress.MORE)
        if len(held) > end:
            return _BYTES_AFTER
        return self._whole(held, begin, head, meaning=meaning)

    def _whole(self, held: bytes | bytearray, begin: int, head: RequestHead, *, meaning: HeadFields) -> HttpRequest:
        """The complete request."""
        call = Call(
            head.method, head.path, meaning.head, bytes(held[begin:]), self._peer, head.token, meaning.presented
        )
        if self._buffer:
            self._start_over()
        return HttpRequest(call, meaning.is_kept_alive, bytes(held[:begin]) if meaning.is_upgrade else None)

    def _keep(self, held: bytes | bytearray, progress: ReadProgress) -> ReadProgress:
        if held is not self._buffer:
            self._buffer = bytearray(held)
        return progress

    def _start_over(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._head_end = 0
        self._begun = None
