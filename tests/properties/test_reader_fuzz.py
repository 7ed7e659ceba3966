"""The reader against anything at all, and against a second opinion: llhttp through httptools."""

import re
from collections.abc import Sequence
from typing import Final

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard.codes import Code
from guard.server.bounds import EdgeBounds
from guard.server.reader import HttpRequest, Reader, ReadProgress
from guard.terms import Refusal
from tests.support.edge_attacks import CORPUS
from tests.support.edge_corpus import Case

Outcome = HttpRequest | Refusal | ReadProgress

PLAIN_PATH: Final = re.compile(r"/|(?:/[A-Za-z0-9_-]+)+/?")
PRINTABLE: Final = re.compile(r"[\t -~]*")
SEEN_BY_THE_WALK: Final = {
    "authorization",
    "content-type",
    "guard-intent",
    "idempotency-key",
    "origin",
    "traceparent",
    "user-agent",
    "x-request-id",
}
EDGE_CODES: Final = {
    Code.BAD_TARGET,
    Code.BAD_HEADER,
    Code.HTTP_VERSION,
    Code.HEADERS_TOO_LARGE,
    Code.MEDIA_TYPE,
    Code.BODY_TOO_LARGE,
}
RAWS: Final = [case.raw for case in CORPUS if len(case.raw) < 2000]
ACCEPTED: Final = [raw for raw in RAWS if isinstance(Reader(EdgeBounds(), peer="p").feed(raw), HttpRequest)]
ODD: Final = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"%", b"#", b"?", b";", b",", b"\\", b"//", b"..", b"_",
     b"\xe9", b"HTTP/1.1", b"Content-Length: 3\r\n", b"Host: b\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n\r\n"]
)  # fmt: skip


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A raw request of the corpus with a few bytes put in, taken out, or written over."""
    raw = draw(st.sampled_from(RAWS))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        gone = draw(st.integers(0, 3))
        raw = raw[:at] + draw(ODD | st.binary(max_size=3)) + raw[at + gone :]
    return raw


def read(chunks: Sequence[bytes]) -> Outcome:
    """The first request or refusal of a fresh reader."""
    reader = Reader(EdgeBounds(), peer="p")
    outcome: Outcome = ReadProgress.MORE
    for chunk in chunks:
        outcome = reader.feed(chunk)
        if not isinstance(outcome, ReadProgress):
            break
    return outcome


def cut(raw: bytes, places: Sequence[int]) -> list[bytes]:
    """The bytes in parts; no part is empty."""
    ends = sorted({min(place, len(raw)) for place in places} | {len(raw)})
    return [raw[start:end] for start, end in zip([0, *ends], ends, strict=False) if end > start]


def check(outcome: Outcome) -> None:
    """Whatever came out is something that the walk may be given, or a refusal of the edge's own codes."""
    if isinstance(outcome, Refusal):
        assert outcome.code in EDGE_CODES
    if isinstance(outcome, HttpRequest):
        call = outcome.call
        assert PLAIN_PATH.fullmatch(call.path)
        assert call.token is None or call.path == "/ws"
        assert len(call.body) <= EdgeBounds().body_bytes_max
        names = set(call.head)
        assert names <= SEEN_BY_THE_WALK or (call.path == "/ws" and all(PRINTABLE.fullmatch(name) for name in names))
        assert all(PRINTABLE.fullmatch(value) for value in call.head.values())


@settings(max_examples=200)
@given(st.binary(max_size=300), st.lists(st.integers(1, 300), max_size=4))
def test_arbitrary_bytes_never_raise(raw: bytes, places: list[int]) -> None:
    """Any bytes, cut anywhere, are a request, a refusal, or not yet either."""
    check(read(cut(raw, places)))


@settings(max_examples=200)
@given(mutants(), st.lists(st.integers(1, 600), max_size=4))
@example(b"G\n\r\n", [2])
@example(b"G\r\n\n", [3])
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\n\r\n", [26])
@example(b"GET /api/ping HTTP/1.1\r\nHost: a\r\n\r\nx", [35])
def test_how_the_bytes_were_cut_changes_nothing(raw: bytes, places: list[int]) -> None:
    """Cut or whole, the outcome is the same, unless a request ended at a cut and the rest belongs to the next one."""
    whole, parts = read([raw]), read(cut(raw, places))

    check(whole)
    check(parts)
    if isinstance(whole, Refusal) and isinstance(parts, HttpRequest):
        assert "beyond its end" in whole.reasons[0].message
    elif isinstance(whole, ReadProgress) or isinstance(parts, ReadProgress):
        assert isinstance(whole, ReadProgress)
        assert isinstance(parts, ReadProgress)
    else:
        assert whole == parts


class SecondOpinion:
    """What llhttp reads in the same bytes."""

    def __init__(self, raw: bytes) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.messages = 0
        self.is_upgrade = False
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            self.is_upgrade = True
        self.method = self._parser.get_method().decode()
        self.version = self._parser.get_http_version()

    def on_url(self, url: bytes) -> None:
        """Told by the parser."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Told by the parser."""
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Told by the parser."""
        self.body += body

    def on_message_complete(self) -> None:
        """Told by the parser."""
        self.messages += 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(ACCEPTED), max_size=3), mutants(), st.lists(st.integers(1, 600), max_size=3))
def test_what_a_connection_asked_before_changes_nothing(before: list[bytes], raw: bytes, places: list[int]) -> None:
    """A head that came before means what it means to a reader that never saw it, in one piece or in many."""
    used = Reader(EdgeBounds(), peer="p")
    for each in (*before, *before[:1]):
        assert used.feed(each) == read([each])
    got: Outcome = ReadProgress.MORE
    for piece in cut(raw, places):
        got = used.feed(piece)
        if isinstance(got, HttpRequest | Refusal):
            break

    assert got == read(cut(raw, places))


@settings(max_examples=200)
@given(mutants())
def test_a_second_parser_reads_the_same_in_all_that_is_accepted(raw: bytes) -> None:
    """What the reader accepts, llhttp reads alike: method, target, fields, body, and nothing left over.

    That is why no second parser runs in production: behind the grammar it finds nothing but methods it has not heard
    of, and those are the catalogue's to refuse.
    """
    ours, theirs = both(raw)
    assert ours == theirs


@pytest.mark.parametrize("case", [case for case in CORPUS if case.code is None], ids=lambda case: case.name)
def test_a_second_parser_reads_the_accepted_corpus_alike(case: Case) -> None:
    """The same for every request of the table that is accepted."""
    ours, theirs = both(case.raw)
    assert ours is not None
    assert ours == theirs


Read = tuple[str, str, str, bytes, dict[str, str]]


def both(raw: bytes) -> tuple[Read | None, Read | None]:
    """What either reads in the bytes, as far as the walk is told of it; None, None where the reader refuses them."""
    outcome = read([raw])
    if not isinstance(outcome, HttpRequest):
        return None, None
    call = outcome.call
    target = call.path if call.token is None else f"{call.path}?token={call.token}"
    ours = (call.method, target, "1.1", call.body, dict(call.head))
    try:
        other = SecondOpinion(raw)
    except httptools.HttpParserInvalidMethodError:
        assert call.method not in {"GET", "POST"}
        return ours, ours
    assert other.is_upgrade or other.messages == 1
    fields = {name.decode().lower(): value.decode().strip("\t ") for name, value in other.fields}
    seen = {name: fields[name] for name in call.head}
    return ours, (other.method, other.url.decode(), other.version, b"" if other.is_upgrade else other.body, seen)
