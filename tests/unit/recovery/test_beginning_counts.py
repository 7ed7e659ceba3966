"""What a start puts on new counters of what it has just called not sent: nothing."""

from types import SimpleNamespace
from typing import Any

from guard.limits import State, reserve, settle
from guard.limits.state import Opening
from guard.recovery.beginning import _counted, doubt
from guard.replay.counterfactual import outcome_of
from guard.terms import Claim


def test_a_cancel_of_all_that_was_never_sent_leaves_no_stamp() -> None:
    """Else the cancel that is repeated after a crash could be refused for a rate of cancels."""
    t_us, one, two = 1_000_000_000, State(), State()
    claim = Claim(kind="rate", counter="cancels/desk/bot", amount=1, cap=1, window_ms=60_000)
    for state in (one, two):
        reserve(state, Opening(step="01A", claims=(claim,), key="bot"), t_us=t_us)
    found: Any = SimpleNamespace(state=one, recent=SimpleNamespace(settle=lambda *_: None))

    def fold(record: Any, *, wall: object) -> None:
        settle(two, record.decision, outcome_of(record), t_us=record.t)

    doubts = doubt(found, t_us=t_us + 5_000_000)
    counts: Any = SimpleNamespace(state=two, fold=fold)
    assert _counted(found, counts, doubts, t_us=t_us + 5_000_000) == ()
    assert not one.logs[claim.counter].stamps
