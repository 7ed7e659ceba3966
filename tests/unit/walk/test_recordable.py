"""An outcome as a record holds it."""

import pytest

from guard.terms import Outcome, Verdict
from guard.walk.closing import RET_TYPE_MAX, recordable


@pytest.mark.parametrize(
    ("said", "kept"),
    [(None, None), (0, 0), (RET_TYPE_MAX - 1, RET_TYPE_MAX - 1), (RET_TYPE_MAX, None), (-RET_TYPE_MAX, None)],
)
@pytest.mark.parametrize("message", ["", "no buying power"])
def test_a_ret_type_that_no_daemon_says_is_none(said: int | None, kept: int | None, message: str) -> None:
    """Readers of the record may take it for an int32, whatever a daemon writes there."""
    assert recordable(Outcome(Verdict.UNKNOWN, ret_type=said, message=message)).ret_type == kept


def test_what_the_daemon_said_is_one_line_of_printable_text() -> None:
    """Its message, and its code where that is a text; a number stays one."""
    found = recordable(Outcome(Verdict.REFUSED, ret_type=-1, message="a\nb", err_code="c\x1bd"))
    assert isinstance(found.err_code, str)
    assert (found.message + found.err_code).isprintable()
    assert recordable(Outcome(Verdict.REFUSED, err_code=12)).err_code == 12
