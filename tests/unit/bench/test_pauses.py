"""What a pause of the loop is measured with."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from guard.terms import Answer, Call

ROOT: Final = Path(__file__).parents[3]
MS: Final = 1_000_000


def test_clocks_between_which_the_thread_was_put_aside_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four milliseconds for which another program had the processor were told as held up by the guard."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    pauses: Any = importlib.import_module("pauses")
    wall: Iterator[int] = iter((0, 4 * MS, 5 * MS, 5 * MS + 1))
    waited: Iterator[bytes] = iter((b"1 0 1", b"1 4000000 2"))
    monkeypatch.setattr(pauses.time, "perf_counter_ns", lambda: next(wall))
    monkeypatch.setattr(pauses.time, "thread_time_ns", lambda: 7)
    monkeypatch.setattr(pauses.os, "pread", lambda *_: next(waited))

    found = pauses.clocks(0)
    monkeypatch.undo()  # a whole program has but one clock

    assert found == (7, 4 * MS, 5 * MS)


def test_time_that_the_host_took_away_is_not_told_as_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five milliseconds with one of work: of a thread that slept in them, another had the interpreter."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    pauses: Any = importlib.import_module("pauses")
    before, now = (0, 0, 0), (MS, 2 * MS, 7 * MS)

    assert pauses.pause(before, now, has_slept=True) == (1, 5, 7)
    assert pauses.pause(before, now, has_slept=False) == (1, 1, 7)


async def test_the_key_that_changes_in_every_round_places_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is under way then is refused, and the run is over: its limits are others than it was judged by."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    pauses: Any = importlib.import_module("pauses")
    shown: list[str] = []

    async def handle(call: Call) -> Answer:
        shown.append(call.head["authorization"])
        return Answer(200, "application/json", b'{"ret_type":0}')

    for number in range(2 * pauses.KEYS):
        await pauses.place(SimpleNamespace(pipeline=SimpleNamespace(handle=handle)), number)
    assert len(set(shown)) == pauses.KEYS - 1
    assert f"Bearer {pauses.key_of(0)}" not in shown
