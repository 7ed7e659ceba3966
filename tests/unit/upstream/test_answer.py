"""Reading answers: framing that is odd is refused, whatever the pieces."""

import asyncio
from typing import Final

import pytest

from guard.upstream.answer import HEAD_BYTES_MAX, SMALL_BYTES, AnswerReader, BadAnswer, ByteBudget, ParsedAnswer
from guard.upstream.connection import DaemonConnection

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(stream: bytes, *, size: int = 1 << 20, body_bytes_max: int = 1000) -> ParsedAnswer | BadAnswer | None:
    """The first thing that the reader says of this stream."""
    reader = AnswerReader(body_bytes_max=body_bytes_max)
    for at in range(0, len(stream), size):
        result = reader.feed(stream[at : at + size])
        if result is not None:
            return result
    return None


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (OK + b"Content-Length: 2\r\n\r\nok", ParsedAnswer(200, "", b"ok", is_reusable=True)),
        (OK + b"Content-Length: 0\r\n\r\n", ParsedAnswer(200, "", b"", is_reusable=True)),
        (b"HTTP/1.1 200 \r\ncontent-length:2\r\n\r\nok", ParsedAnswer(200, "", b"ok", is_reusable=True)),
        (
            OK + b"Content-Type: a/b; c=d\r\nContent-Length: 1\r\n\r\n.",
            ParsedAnswer(200, "a/b; c=d", b".", is_reusable=True),
        ),
        (OK + b"Content-Type: a\x80b\r\nContent-Length: 1\r\n\r\n.", ParsedAnswer(200, "", b".", is_reusable=True)),
        (
            OK + b"Content-Type: " + b"a" * 201 + b"\r\nContent-Length: 1\r\n\r\n.",
            ParsedAnswer(200, "", b".", is_reusable=True),
        ),
        (OK + b"Content-Length: 1\r\nConnection: close\r\n\r\n.", ParsedAnswer(200, "", b".", is_reusable=False)),
        (
            OK + b"Content-Length: 1\r\nContent-Encoding: Identity\r\n\r\n.",
            ParsedAnswer(200, "", b".", is_reusable=True),
        ),
        (CHUNKED + b"2\r\nok\r\n1;x=y\r\n!\r\n0\r\n\r\n", ParsedAnswer(200, "", b"ok!", is_reusable=True)),
        (CHUNKED + b"0\r\n\r\n", ParsedAnswer(200, "", b"", is_reusable=True)),
        (b"HTTP/1.1 204 No\r\n\r\n", ParsedAnswer(204, "", b"", is_reusable=True)),
        (b"HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n", ParsedAnswer(304, "", b"", is_reusable=True)),
        (
            OK + b"Retry-After: 30\r\nContent-Length: 1\r\n\r\n.",
            ParsedAnswer(200, "", b".", is_reusable=True, retry_after_s=30),
        ),
        (
            OK + b"Retry-After: Mon, 30 Nov 2026 00:00:00 GMT\r\nContent-Length: 1\r\n\r\n.",
            ParsedAnswer(200, "", b".", is_reusable=True),
        ),
        (
            CHUNKED[:-2] + b"Retry-After: 7\r\n\r\n0\r\n\r\n",
            ParsedAnswer(200, "", b"", is_reusable=True, retry_after_s=7),
        ),
        (
            b"HTTP/1.1 100 Go\r\n\r\n" * 3 + OK + b"Content-Length: 1\r\n\r\n.",
            ParsedAnswer(200, "", b".", is_reusable=True),
        ),
    ],
)
def test_a_well_framed_answer_is_read_whole(stream: bytes, expected: ParsedAnswer, size: int) -> None:
    """Status, type and body come out the same, in one piece or byte by byte."""
    assert read(stream, size=size) == expected


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"\r\n" + OK, "is no HTTP/1.1"),
        (b"garbage", "is no HTTP/1.1"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1"),
        (b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1"),
        (b"RTSP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1"),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "status line"),
        (b"HTTP/1.1 099 No\r\nContent-Length: 2\r\n\r\nok", "status line"),
        (b"HTTP/1.1 600 No\r\nContent-Length: 2\r\n\r\nok", "status line"),
        (b"HTTP/1.1 100 Go\r\n\r\nICE/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1"),
        (b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n", "switches protocols"),
        (OK + b"\r\nok", "length once"),
        (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", "grammar"),
        (OK + b"Content-Length: 2, 2\r\n\r\nok", "grammar"),
        (OK + b"Content-Length: +2\r\n\r\nok", "grammar"),
        (OK + b"Content-Length: 99999999999999999999\r\n\r\nok", "grammar"),
        (OK + b"Content-Length : 2\r\n\r\nok", "grammar"),
        (OK + b"Content-Length: 2\r\n folded\r\n\r\nok", "grammar"),
        (OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "grammar"),
        (OK + b"Transfer-Encoding: gzip\r\n\r\nok", "transfer coding"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer coding"),
        (OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "length once"),
        (b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer coding"),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", "content encoding"),
        (CHUNKED + b"2\r\nokay\r\n0\r\n\r\n", "grammar"),
        (CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n", "grammar"),
        (CHUNKED + b"2\nok\n0\n\n", "grammar"),
        (CHUNKED + b"0\r\nA: b\r\n\r\n", "trailers"),
    ],
)
def test_an_odd_answer_is_refused(stream: bytes, message: str, size: int) -> None:
    """Version, status line, framing, codings, trailers: what is odd is a bad answer at the first sign of it."""
    result = read(stream, size=size)

    assert isinstance(result, BadAnswer)
    assert result.kind == "bad_answer"
    assert message in result.message


@pytest.mark.parametrize(
    "stream",
    [
        OK + b"Content-Length: 2\r\n\r\nok!",
        OK + b"Content-Length: 2\r\n\r\nok\r\n",
        OK + b"Content-Length: 0\r\n\r\n\r\n",
        CHUNKED + b"0\r\n\r\n!",
        CHUNKED + b"0\r\n\r\n\r\n",
        b"HTTP/1.1 304 No\r\nContent-Length: 1\r\n\r\n.",
        (OK + b"Content-Length: 2\r\n\r\nok") * 2,
    ],
)
def test_bytes_that_come_with_the_end_of_an_answer_spoil_it(stream: bytes) -> None:
    """Line ends too, which the parser alone would swallow."""
    assert read(stream) == BadAnswer("bad_answer", "has bytes after its end")


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (OK + b"Content-Length: 11\r\n\r\n", "too_large"),
        (CHUNKED + b"6\r\nabcdef\r\n5\r\nabcde\r\n", "too_large"),
        (OK + b"A: " + b"b" * HEAD_BYTES_MAX, "bad_answer"),
        (OK + b"A: " + b"b" * HEAD_BYTES_MAX + b"\r\n\r\n", "bad_answer"),
        (b"HTTP/1.1 100 Go\r\n\r\n" * 4000, "bad_answer"),
        (CHUNKED + b"1;" + b"x" * (HEAD_BYTES_MAX + 1), "bad_answer"),
    ],
)
def test_an_answer_is_bounded_in_head_body_and_framing(stream: bytes, kind: str, size: int) -> None:
    """Announced or not, nothing is read for ever."""
    result = read(stream, size=size, body_bytes_max=10)

    assert isinstance(result, BadAnswer)
    assert result.kind == kind


@pytest.mark.parametrize("size", [1 << 20, 40, 7, 1])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_answers_of_one_head_are_read_alike_in_whatever_pieces_they_come(size: int, *, is_chunked: bool) -> None:
    """A head that is known by its bytes means the same again, whole or not."""
    reader = AnswerReader(body_bytes_max=1000)
    for body in (b"[1]", b"[2]", b"[3]"):
        counted = OK + b"Content-Length: 3\r\n\r\n" + body
        stream = CHUNKED + b"3\r\n" + body + b"\r\n0\r\n\r\n" if is_chunked else counted
        found = [reader.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
        assert found == [None] * (len(found) - 1) + [ParsedAnswer(200, "", body, is_reusable=True)]


def test_an_answer_within_an_answer_is_none() -> None:
    """What comes in the middle of one is its body, though it were an earlier one word for word."""
    reader = AnswerReader(body_bytes_max=1000)
    earlier = OK + b"Content-Length: 3\r\n\r\n[1]"
    assert isinstance(reader.feed(earlier), ParsedAnswer)
    assert reader.feed(CHUNKED + b"%x\r\n" % (2 * len(earlier))) is None
    assert reader.feed(earlier) is None
    assert reader.feed(earlier) is None
    assert reader.feed(b"\r\n0\r\n\r\n") == ParsedAnswer(200, "", earlier * 2, is_reusable=True)


@pytest.mark.parametrize("size", [1 << 20, 1000, 1])
@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 100 Go\r\n\r\n"])
@pytest.mark.parametrize("more", [0, 1])
def test_a_head_of_exactly_the_bound_passes(interim: bytes, more: int, size: int) -> None:
    """The bound is inclusive, and of all heads of an answer together."""
    plain = OK + b"Content-Length: 2\r\nA: \r\n\r\n"
    filled = plain.replace(b"A: ", b"A: " + b"b" * (HEAD_BYTES_MAX - len(interim + plain) + more))
    result = read(interim + filled + b"{}", size=size)

    assert isinstance(result, BadAnswer if more else ParsedAnswer)


def test_a_body_of_exactly_the_bound_passes() -> None:
    """The bound is inclusive."""
    result = read(OK + b"Content-Length: 10\r\n\r\n0123456789", body_bytes_max=10)

    assert isinstance(result, ParsedAnswer)


def test_a_reader_reads_answer_after_answer() -> None:
    """Nothing of one answer is left in the next; after a broken one there is no next."""
    reader = AnswerReader(body_bytes_max=10)
    typed = OK + b"Content-Type: a/b\r\nContent-Length: 2\r\n\r\nok"

    assert reader.feed(typed) == ParsedAnswer(200, "a/b", b"ok", is_reusable=True)
    begun = [reader.has_begun]
    assert reader.feed(CHUNKED + b"1\r\n!\r\n") is None
    begun.append(reader.has_begun)
    assert begun == [False, True]
    assert reader.feed(b"0\r\n\r\n") == ParsedAnswer(200, "", b"!", is_reusable=True)
    assert reader.feed(OK + b"Content-Length: 1\r\n\r\n.") == ParsedAnswer(200, "", b".", is_reusable=True)
    broken = reader.feed(b"?")
    assert isinstance(broken, BadAnswer)
    assert reader.feed(typed) is broken


def test_an_answer_after_one_that_closes_is_refused() -> None:
    """What follows `Connection: close` belongs to nobody."""
    reader = AnswerReader(body_bytes_max=10)
    last = OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok"

    assert reader.feed(last) == ParsedAnswer(200, "", b"ok", is_reusable=False)
    assert isinstance(reader.feed(last), BadAnswer)


BIG: Final = SMALL_BYTES + 2


def begun(room: ByteBudget, *, length: int = BIG, is_chunked: bool = False) -> tuple[AnswerReader, BadAnswer | None]:
    """An answer of which all but the last byte has come, in two pieces, and what is said of it."""
    reader = AnswerReader(body_bytes_max=4 * BIG, room=room)
    head = CHUNKED + b"%x\r\n" % length if is_chunked else OK + b"Content-Length: %d\r\n\r\n" % length
    found = reader.feed(head + bytes(length - 2)) or reader.feed(b".")
    assert not isinstance(found, ParsedAnswer)
    return reader, found


@pytest.mark.parametrize("is_chunked", [False, True])
def test_larger_answers_of_all_connections_are_bounded_together(is_chunked: bool) -> None:
    """What is held until they are whole; one that ends, either way, makes room, and small ones need none."""
    room = ByteBudget(2 * BIG)
    (first, _), (second, _) = begun(room, is_chunked=is_chunked), begun(room, is_chunked=is_chunked)
    _, refused = begun(room, is_chunked=is_chunked)
    assert isinstance(refused, BadAnswer)
    assert refused.kind == "too_large"
    assert f"at most {2 * BIG} bytes together" in refused.message
    assert begun(room, length=SMALL_BYTES, is_chunked=is_chunked)[1] is None

    assert isinstance(first.feed(b".\r\n0\r\n\r\n" if is_chunked else b"."), ParsedAnswer)
    assert begun(room, is_chunked=is_chunked)[1] is None
    second.let_go()
    second.let_go()
    assert room.taken <= BIG


async def test_a_broken_answer_gives_its_room_back() -> None:
    """Whoever drops the connection lets go of what it held."""
    room, lost = ByteBudget(2 * BIG), list[DaemonConnection]()
    connection = DaemonConnection(body_bytes_max=BIG, on_lost=lost.append, room=room)
    connection._waiter = asyncio.Future()
    connection.data_received(OK + b"Content-Length: %d\r\n\r\n." % BIG)
    assert room.taken == BIG
    connection.drop()
    assert room.taken == 0
