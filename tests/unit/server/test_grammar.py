"""The shape of a head, and the first thing wrong with one of another shape."""

import pytest

from guard.codes import Code
from guard.server.grammar import RequestHead, parse_head
from guard.terms import Refusal


def test_a_head_comes_apart_into_its_words() -> None:
    """Method, path, token and fields, as they were sent."""
    text = "GET /ws?token=a.b-c HTTP/1.1\r\nHost: a\r\nX-One:  two \r\nX-Empty:\r\n\r\n"

    assert parse_head(text, fields_max=100) == RequestHead(
        "GET", "/ws", "a.b-c", [("Host", "a"), ("X-One", "two "), ("X-Empty", "")]
    )


def test_a_head_may_have_no_fields() -> None:
    """That a Host is missing is not a matter of shape."""
    assert parse_head("GET / HTTP/1.1\r\n\r\n", fields_max=100) == RequestHead("GET", "/", None, [])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("GET /% HTTP/2.0\r\nX_Y: z\n\r\n", Code.BAD_HEADER),
        ("G T /% HTTP/2.0\r\nX_Y: z\r\n\r\n", Code.HTTP_VERSION),
        ("G(T /% HTTP/2.0\r\nX_Y: z\r\n\r\n", Code.BAD_HEADER),
        ("GET /% HTTP/2.0\r\nX_Y: z\r\n\r\n", Code.HTTP_VERSION),
        ("GET /% HTTP/1.1\r\nX_Y: z\r\n\r\n", Code.BAD_TARGET),
        ("GET /a HTTP/1.1\r\nX_Y: z\r\n\r\n", Code.BAD_HEADER),
    ],
)
def test_the_first_fault_is_named(text: str, code: Code) -> None:
    """Line ends first, then method, version, target, and last the fields."""
    outcome = parse_head(text, fields_max=100)

    assert isinstance(outcome, Refusal)
    assert outcome.code is code


@pytest.mark.parametrize(("fields", "is_refused"), [(3, False), (4, True)])
def test_fields_are_counted(fields: int, is_refused: bool) -> None:
    """As many fields as allowed pass, one more does not."""
    outcome = parse_head("GET / HTTP/1.1\r\n" + "A: b\r\n" * fields + "\r\n", fields_max=3)

    assert isinstance(outcome, Refusal) is is_refused
