"""Which guard counts as quiet before anything is measured."""

import importlib
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[3]
MS: Final = 1_000


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, with a second that is over at once."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    found = importlib.import_module("starts")
    seconds = iter(range(100_000))
    monkeypatch.setattr(found.time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(found.time, "sleep", lambda _: None)
    monkeypatch.setattr(found.machine, "children", lambda _: [])
    return found


def using(starts: Any, monkeypatch: pytest.MonkeyPatch, *each_s: int) -> list[int]:
    """One process that uses so much of its seconds, in ms; the last of them from then on. What was asked of it."""
    asked, total = [0], 0
    each = chain(each_s, repeat(each_s[-1]))

    def cpu_us(_: int) -> float:
        nonlocal total
        asked[0] += 1
        total += next(each) * MS
        return total

    monkeypatch.setattr(starts.machine, "cpu_us", cpu_us)
    return asked


def test_a_guard_that_looks_through_many_orders_now_and_then_is_quiet(
    starts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """120 ms every six seconds are 2 % of a core: not what a window would notice."""
    asked = using(starts, monkeypatch, *([120, 0, 0, 0, 0, 0] * 100))
    starts.until_quiet(1, for_s=7)
    assert asked == [8]


def test_one_that_is_at_work_is_waited_for(starts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until so many seconds have passed in which it used little; not for ever."""
    asked = using(starts, monkeypatch, *[900] * 20, 0)
    starts.until_quiet(1, for_s=7)
    assert asked == [27]
    asked = using(starts, monkeypatch, 900)
    starts.until_quiet(1, for_s=7)
    assert asked[0] >= starts.QUIET_S - 1


def test_one_with_a_child_is_waited_for(starts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child folds its closed segments: what the child gives back is work to come."""
    folding = iter([[2]] * 5)
    monkeypatch.setattr(starts.machine, "children", lambda _: next(folding, []))
    asked = using(starts, monkeypatch, 0)
    starts.until_quiet(1, for_s=7)
    assert asked == [5 + 7]
