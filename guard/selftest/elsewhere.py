"""Bugs and weaknesses of the daemon that no case of the matrix shows: why, and what does, or that it stays open."""

from typing import Final

from msgspec import Struct


class Elsewhere(Struct, frozen=True):
    """`reason` for a person; `test` is the test that holds it, "" where nothing can."""

    bug: str
    reason: str
    test: str = ""


ELSEWHERE: Final = (
    Elsewhere(
        "B11",
        "The caller is told the daemon's own words; what must not hold account numbers is the record.",
        "tests/unit/upstream/test_verdict.py::test_b11_account_numbers_do_not_reach_the_record",
    ),
    Elsewhere(
        "B21",
        "TLS towards the daemon is checked where there is a certificate; a run on loopback has none.",
        "tests/unit/stream/test_dial.py::test_b21_the_daemons_certificate_is_checked",
    ),
    Elsewhere(
        "W14",
        "A range of days in flow-summary counts once, though the daemon may ask the broker once a day of it: what that "
        "can use up is the account's own flow summaries, no order, cancel or price.",
    ),
    Elsewhere(
        "W15",
        "A day's turn needs another time of day; the budgets' own clocks are tested with one.",
        "tests/unit/policy/test_periods.py::test_w15_the_us_day_does_not_end_in_the_evening_session",
    ),
    Elsewhere(
        "W16",
        "Watch lists and reminders are documented under qot:read, so they stay there; they are recorded as writes.",
        "tests/unit/catalogue/test_lookup.py::test_b02_every_write_is_recorded_before_or_while_it_is_sent",
    ),
)
