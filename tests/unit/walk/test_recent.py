"""The latest decisions: as many as there is room for, each found by its own whole id."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guard.clock import SystemClock
from guard.terms import Outcome, Verdict
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


def test_an_answer_that_names_no_order_takes_no_name_away() -> None:
    """The daemon may answer a cancel with order id 0: what was to be cancelled is still told."""
    recent, id_ = Recent(), SystemClock().new_id()
    recent.put(RecentDecision(id_, "bot", MOMENT_US, "/api/modify-order", "allow", order_id="17", order_id_ex="A1"))
    recent.settle(id_, Outcome(Verdict.ACCEPTED, order_id="0", order_id_ex="0"))
    known = recent.get(id_)
    assert known is not None
    assert (known.verdict, known.order_id, known.order_id_ex) == (Verdict.ACCEPTED, "17", "A1")


def test_a_key_that_loops_pushes_out_its_own_decisions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it sends, the few of others stay; and each of its latest is there."""
    monkeypatch.setattr("guard.walk.recent.RECENT_MAX", 10)
    recent = Recent()
    for number in range(4):
        put(recent, f"quiet-{number % 2}", number)
    for number in range(100):
        put(recent, "loops", number)

    assert known(recent, "quiet-0") == ["quiet-0 0", "quiet-0 2"]
    assert known(recent, "quiet-1") == ["quiet-1 1", "quiet-1 3"]
    assert known(recent, "loops") == [f"loops {number}" for number in range(94, 100)]


def test_a_key_that_asks_no_more_gives_its_room_to_those_that_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loops has at least half of an equal share, however much others had before."""
    monkeypatch.setattr("guard.walk.recent.RECENT_MAX", 100)
    recent, names = Recent(), [f"bot-{number}" for number in range(7)]
    for name, many in zip(names, (51, 49, 60, 60, 60, 60, 60), strict=True):
        for number in range(many):
            put(recent, name, number)

    left = [len(known(recent, name)) for name in names]
    assert sum(left) == 100
    assert min(left) >= 100 // (2 * len(names))


@example([(0, 2), (2, 3), (4, 2), (0, 1), (1, 2), (3, 1), (2, 1)])
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=60))
def test_there_are_never_too_many_and_the_one_just_added_is_there(runs: list[tuple[int, int]]) -> None:
    """In any order of keys: as many as there is room for, the newest of the key among them, nothing left of others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("guard.walk.recent.RECENT_MAX", 8)
        recent, number = Recent(), 0
        for key, many in runs:
            for _ in range(many):
                number += 1
                put(recent, f"k{key}", number)
                assert recent.get(f"k{key} {number}") is not None
                assert len(recent._known) == min(number, 8) == sum(map(len, recent._of.values()))


def test_a_decision_that_is_added_again_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start may read one in a snapshot and on record."""
    monkeypatch.setattr("guard.walk.recent.RECENT_MAX", 2)
    recent = Recent()
    for _ in range(5):
        put(recent, "bot", 1)
    put(recent, "bot", 2)

    assert known(recent, "bot") == ["bot 1", "bot 2"]


def put(recent: Recent, name: str, number: int) -> None:
    """One decision of this key."""
    recent.put(RecentDecision(f"{name} {number}", name, MOMENT_US, "/api/order", "refuse"))


def known(recent: Recent, name: str) -> list[str]:
    """The ids of this key's, oldest first."""
    return [one.id for one in recent.latest(100) if one.name == name]
