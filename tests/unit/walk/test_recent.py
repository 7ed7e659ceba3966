"""The latest decisions: as many as there is room for, each found by its own whole id."""

from guard.clock import SystemClock
from guard.walk.recent import Passed, Recent, RecentDecision

MOMENT_US = 1_764_000_000_000_000


def test_of_what_passed_the_latest_are_known_whole() -> None:
    """Whose each was, when, which endpoint; the oldest makes room."""
    clock, passed = SystemClock(), Passed(3)
    ids = [clock.new_id() for _ in range(5)]
    for number, decision in enumerate(ids):
        passed.add(decision, f"bot-{number}", f"/api/{number}", wall_us=MOMENT_US + number)
    assert [passed.get(decision) for decision in ids[:2]] == [None, None]
    assert [passed.get(decision) for decision in ids[2:]] == [
        RecentDecision(decision, f"bot-{number}", f"2025-11-24T16:00:00.00000{number}Z", f"/api/{number}", "allow")
        for number, decision in enumerate(ids)
        if number > 1
    ]


def test_a_part_of_an_entry_is_no_id() -> None:
    """What is asked for may stand across two entries, or be less than an id, or nothing of what was written."""
    recent, id_, moment = Recent(), "A" * 26, "BBBBBB\0\0"
    recent.passed.add(id_, "bot", "/api/quote", wall_us=int.from_bytes(moment.encode(), "little"))
    recent.passed.add("A" * 18 + "C" * 8, "bot", "/api/quote", wall_us=MOMENT_US)
    assert recent.passed.get(id_) is not None
    for wanted in ("", "A", "A" * 27, "A" * 18 + moment, moment + "A" * 18, "é" * 13):
        assert recent.passed.get(wanted) is None


def test_what_became_of_orders_is_not_looked_for_among_what_passed() -> None:
    """A list of 50,000 orders that are older, or were placed elsewhere, would stop the loop for seconds."""
    recent, id_ = Recent(), SystemClock().new_id()
    recent.passed.add(id_, "bot", "/api/quote", wall_us=MOMENT_US)
    assert recent.get(id_) is None
    recent.put(RecentDecision(id_, "bot", MOMENT_US, "/api/order", "allow"))
    assert recent.get(id_) == RecentDecision(id_, "bot", "2025-11-24T16:00:00.000000Z", "/api/order", "allow")
