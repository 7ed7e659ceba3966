"""The id of a decision, and the mark that it leaves on an order."""

import re
from datetime import UTC, datetime

from guard.clock import SystemClock
from guard.terms import DECISION_PATTERN, OrderNames, made_at, stamp_of

PUBLISHED = "01ARYZ6S41TSV4RRFFQ69G5FAV"


def test_the_time_in_a_decision() -> None:
    """The first ten letters of a ULID are milliseconds."""
    assert made_at(PUBLISHED) == datetime(2016, 7, 30, 22, 36, 16, 385000, tzinfo=UTC)


def test_an_id_of_the_guards_clock_is_written_as_the_pattern_says() -> None:
    """26 letters of Crockford's alphabet, which lacks I, L, O and U; nothing shorter, longer or otherwise spelt."""
    assert re.fullmatch(DECISION_PATTERN, SystemClock().new_id())
    for text in (PUBLISHED[1:], PUBLISHED + "0", PUBLISHED.lower(), "I" + PUBLISHED[1:]):
        assert not re.fullmatch(DECISION_PATTERN, text)


def test_a_stamp_names_its_decision() -> None:
    """What is stamped on an order is read back from its row."""
    assert OrderNames(remark=stamp_of(PUBLISHED)).decision == PUBLISHED
    assert OrderNames(remark=PUBLISHED).decision is None
