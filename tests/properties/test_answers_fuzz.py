"""Any bytes from the daemon give an answer or a failure, however they are cut; never an exception."""

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard.terms import Answer, Effect, Failure, Outbound
from guard.upstream import Client, Link, outcome_of
from guard.upstream.answer import AnswerReader, BadAnswer, ParsedAnswer
from tests.support.scripted_daemon import Talk, scripted

BODY_BYTES_MAX = 64
PIECES = [
    b"HTTP/1.1 ",
    b"HTTP/1.0 ",
    b"RTSP/1.1 ",
    b"200 OK\r\n",
    b"204 No\r\n",
    b"304 No\r\n",
    b"100 Go\r\n",
    b"101 Up\r\n",
    b"999 X\r\n",
    b"Content-Length: 2\r\n",
    b"Content-Length: 65\r\n",
    b"Content-Length: -1\r\n",
    b"content-length:99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"Content-Type: a\x80\r\n",
    b" folded\r\n",
    b"X\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b"{}",
    b"2\r\n{}\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"ffffffffffffffffff\r\n",
    b"-1\r\n",
]
STREAMS = (
    st.binary(max_size=300)
    | st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)
    | st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=14).map(b"".join)
)


def read(stream: bytes, size: int) -> tuple[list[ParsedAnswer], BadAnswer | None, bool]:
    """Every answer that is read before the stream breaks; whether something was left unfinished."""
    reader = AnswerReader(body_bytes_max=BODY_BYTES_MAX)
    answers: list[ParsedAnswer] = []
    for at in range(0, len(stream), size):
        result = reader.feed(stream[at : at + size])
        if isinstance(result, BadAnswer):
            return answers, result, False
        if result is not None:
            answers.append(result)
    return answers, None, reader.has_begun


@settings(max_examples=200, deadline=None)
@given(STREAMS, st.integers(1, 40))
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 1)
def test_any_bytes_give_answers_or_one_reason(stream: bytes, size: int) -> None:
    """The reader raises nothing, keeps its bound, and stays broken once it is."""
    answers, broken, _ = read(stream, size)

    assert all(len(whole.body) <= BODY_BYTES_MAX and 200 <= whole.status <= 599 for whole in answers)
    assert all(whole.content_type.isprintable() for whole in answers)
    if broken is not None:
        assert broken.kind in {"bad_answer", "too_large"}


@settings(max_examples=200, deadline=None)
@given(STREAMS, st.integers(2, 40))
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 7)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 100)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}x", 100)
def test_how_the_network_cuts_a_stream_never_changes_a_first_answer(stream: bytes, size: int) -> None:
    """Cut anywhere, a first answer is the one that is read byte by byte, or the stream is found broken."""
    one_by_one, broken, _ = read(stream, 1)
    with_pauses, broken_too, _ = read(stream, size)

    if with_pauses:
        assert with_pauses[0] == one_by_one[0]
    if one_by_one and not with_pauses:
        assert broken_too is not None
    if broken and not one_by_one:
        assert broken_too == broken or broken_too is not None


WELL_FRAMED = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 11\r\n\r\n{\r\n\r\nHTTP}\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No\r\n\r\n",
        b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(WELL_FRAMED, max_size=4), STREAMS, st.integers(1, 60))
def test_what_was_answered_before_changes_nothing(before: list[bytes], stream: bytes, size: int) -> None:
    """A head that came before means what it means to a reader that never saw it, in one piece or in many."""
    used = AnswerReader(body_bytes_max=BODY_BYTES_MAX)
    for raw in (*before, *before):
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
        assert [used.feed(piece) for piece in pieces][-1] == read(raw, len(raw))[0][0]
        assert not used.has_begun
    fresh = AnswerReader(body_bytes_max=BODY_BYTES_MAX)
    for at in range(0, len(stream), size):
        result = used.feed(stream[at : at + size])
        assert result == fresh.feed(stream[at : at + size])
        if isinstance(result, BadAnswer):
            break
    assert used.has_begun == fresh.has_begun


@pytest.mark.parametrize("is_trade", [True, False], ids=["trade", "read"])
def test_any_bytes_on_a_socket_give_an_answer_or_a_failure(is_trade: bool) -> None:
    """Over a real socket too: one value for each request, a sent one, and a verdict on it."""
    said = b""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(said)

    async def ask(port: int) -> Answer | Failure:
        client = Client(Link(url=f"http://127.0.0.1:{port}", answer_bytes_max=BODY_BYTES_MAX))
        result = await client.send(Outbound("POST", "/api/order", b"{}", 60.0, is_trade=is_trade))
        await client.close()
        return result

    with asyncio.Runner() as runner:

        async def once() -> Answer | Failure:
            async with scripted(default=script) as daemon:
                return await ask(daemon.port)

        @settings(max_examples=60, deadline=None)
        @given(STREAMS)
        def every(stream: bytes) -> None:
            nonlocal said
            said = stream
            result = runner.run(once())
            assert isinstance(result, Answer) or result.is_sent
            assert outcome_of(Effect.ORDER_NEW, result, known_ids=()).verdict in {"refused", "unknown"}

        every()
