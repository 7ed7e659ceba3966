"""Answers as bytes."""

import pytest

from guard.server.wire import JOINED_BYTES_MAX, encode, pieces
from guard.terms import Reply

DATE = "Sun, 22 Nov 2026 09:46:28 GMT"


def test_an_answer_is_one_piece() -> None:
    """Status line, media type, length, date, no caching, the walk's own fields, body."""
    reply = Reply(200, b'{"a":1}', (("Guard-Decision", "01K"),))

    assert encode(reply, date=DATE, is_closing=False) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n"
        b"Date: Sun, 22 Nov 2026 09:46:28 GMT\r\nCache-Control: no-store\r\nGuard-Decision: 01K\r\n\r\n"
        b'{"a":1}'
    )


@pytest.mark.parametrize(("more", "count"), [(0, 1), (1, 2)])
def test_a_large_body_is_not_copied(more: int, count: int) -> None:
    """It is written behind its head as it is; the bytes on the wire are the same."""
    body = b"x" * (JOINED_BYTES_MAX + more)
    written = pieces(Reply(200, body), date=DATE, is_closing=False)

    assert len(written) == count
    assert (written[-1] is body) is (count == 2)
    assert b"".join(written) == encode(Reply(200, body), date=DATE, is_closing=False)
    assert len(pieces(Reply(200, body), date=DATE, is_closing=False, is_head=True)) == 1


def test_the_last_answer_of_a_connection_says_so() -> None:
    """Connection: close stands in it."""
    assert b"\r\nConnection: close\r\n\r\n" in encode(Reply(503, b"{}"), date=DATE, is_closing=True)


def test_an_answer_to_head_has_the_length_but_not_the_body() -> None:
    """RFC 9110 §9.3.2."""
    (answer,) = pieces(Reply(405, b"{}"), date=DATE, is_closing=False, is_head=True)

    assert b"Content-Length: 2\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_never_have_a_body(status: int) -> None:
    """No length and no body for statuses that have none (RFC 9110 §15)."""
    answer = encode(Reply(status, b"leftover"), date=DATE, is_closing=False)

    assert b"Content-" not in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_status_without_a_name_is_written_all_the_same() -> None:
    """The daemon may know statuses that we do not."""
    assert encode(Reply(599, b""), date=DATE, is_closing=False).startswith(b"HTTP/1.1 599 \r\n")


@pytest.mark.parametrize("field", [("X", "a\r\nY: b"), ("X", "a\nb"), ("X Y", "a"), ("X:", "a"), ("", "a"), ("X", "é")])
def test_a_field_that_could_split_the_answer_is_a_bug(field: tuple[str, str]) -> None:
    """Nothing but printable ASCII gets into an answer's head."""
    with pytest.raises(AssertionError, match="cannot be written"):
        encode(Reply(200, b"", (field,)), date=DATE, is_closing=False)


def test_only_printable_ascii_is_written_in_a_field() -> None:
    """Of all characters below 0x3000, those from blank to tilde and no other."""

    def is_written(value: str) -> bool:
        try:
            return encode(Reply(200, b"", (("X", value),)), date=DATE, is_closing=False).count(b"\n") == 7
        except AssertionError:
            return False

    assert [code for code in range(0x3000) if is_written(f"a{chr(code)}b")] == list(range(0x20, 0x7F))
