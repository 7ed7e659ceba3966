"""What the fields of a head amount to. The table of all cases is the reader's corpus; here is what it does not show."""

import pytest

from guard.codes import Code
from guard.server.bounds import EdgeBounds
from guard.server.fields import HeadFields, read_fields
from guard.server.grammar import RequestHead
from guard.terms import Refusal


def meaning(*fields: tuple[str, str], method: str = "POST", path: str = "/api/order") -> HeadFields | Refusal:
    """What these fields mean beside a Host."""
    return read_fields(RequestHead(method, path, None, [("Host", "a"), *fields]), EdgeBounds())


def test_a_body_has_the_length_that_is_said() -> None:
    """Content-Length is the body's length, with or without an expectation."""
    media = ("Content-Type", "application/json")

    outcome = meaning(media, ("Content-Length", "65536"), ("Expect", "100-continue"))

    assert isinstance(outcome, HeadFields)
    assert (outcome.length_bytes, outcome.is_continue_expected) == (65536, True)


def test_an_empty_body_expects_nothing_and_needs_no_media_type() -> None:
    """Nobody is told to continue with nothing."""
    outcome = meaning(("Content-Length", "0"), ("Expect", "100-continue"))

    assert isinstance(outcome, HeadFields)
    assert (outcome.length_bytes, outcome.is_continue_expected) == (0, False)


def test_fields_that_only_the_edge_needs_end_here() -> None:
    """The walk never sees host, length, coding or expectation."""
    outcome = meaning(("Content-Length", "0"), ("Content-Encoding", "identity"), ("Content-Type", "application/json"))

    assert isinstance(outcome, HeadFields)
    assert outcome.head == {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([("Content-Length", "99999"), ("Content-Type", "text/plain")], Code.MEDIA_TYPE),
        ([("Content-Length", "99999"), ("Content-Encoding", "br")], Code.MEDIA_TYPE),
        ([("Content-Length", "99999"), ("Content-Type", "text/plain"), ("Expect", "x")], Code.BAD_HEADER),
    ],
)
def test_the_primary_fault_follows_the_order_of_codes(fields: list[tuple[str, str]], code: Code) -> None:
    """A bad header comes before a wrong media type, and that before too large a body."""
    outcome = meaning(*fields)

    assert isinstance(outcome, Refusal)
    assert outcome.code is code
