"""A run says which of its windows are to be doubted, by a fixed loop before each of them."""

import os
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from tests.support.benched import cells, results

ROOT: Final = Path(__file__).parents[3]


def calm(bench: Any) -> Any:
    """A run whose loop took as long before every window."""
    found = results(bench)
    found.windows = [replace(window, loop_ms=2.0) for window in found.windows]
    found.frames = [bench("fanout").Frames(name, turn, 100, 32, 1.0, 1.0, 2.0) for name in "ab" for turn in range(2)]
    found.scale.loop_ms = {name: [2.0, 2.0] for name in found.scale.cpu_us}
    return found


def test_a_round_of_a_scenario_in_which_the_loop_took_longer_once_is_named(bench: Any) -> None:
    """Once is enough, in its own scenario and round, of requests, sizes and frames alike."""
    found, noise = calm(bench), bench("noise")
    assert noise.noisy(found) == {}
    assert "0 of" in bench("report")._noise(found)

    at = next(
        place
        for place, each in enumerate(found.windows)
        if (each.ask, each.connections, each.rate, each.turn) == ("order", 64, 0.0, 1)
    )
    found.windows[at].loop_ms = 2.0 * noise.SWING_MAX + 0.1
    found.frames[0].loop_ms = 9.0
    found.scale.loop_ms["smallest"][1] = 0.5
    assert noise.noisy(found) == {"order, durable, 64": [2], "frames": [1], "sizes": [2]}
    text = bench("report").document(found)
    table = noise.noise_table(found)
    assert cells(table, "order, durable, 64 ") == ["order, durable, 64", "2"]
    assert table in text
    assert "3 of" in text
    assert "**A noisy run:**" not in text


def test_others_at_work_are_noise_too(bench: Any) -> None:
    """More than the bound in one window: its round of its scenario is named."""
    found = calm(bench)
    window = found.windows[0]
    window.foreign_percent = bench("field").FOREIGN_PERCENT_MAX + 1

    assert bench("noise").noisy(found) == {bench("noise").title_of(window): [window.turn + 1]}


def test_a_run_of_which_much_is_to_be_doubted_is_a_noisy_one(bench: Any) -> None:
    """Where the loop swings in every round of every scenario of requests, the whole run is marked."""
    found = calm(bench)
    for place, window in enumerate(found.windows):
        window.loop_ms = 2.0 if place // 2 % 2 else 4.0

    assert "**A noisy run:**" in bench("report").document(found)


def test_the_loop_runs_on_the_core_that_is_named_and_leaves_the_others_as_they_were(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ran on another core would say nothing of the contestants' own."""
    machine, before = bench("machine"), os.sched_getaffinity(0)
    during: list[set[int]] = []
    times = iter((3.0, 1.0, 2.0))

    def loop_ms() -> float:
        during.append(os.sched_getaffinity(0))
        return next(times)

    monkeypatch.setattr(machine, "_loop_ms", loop_ms)
    assert machine.calibration_ms(0) == 1.0
    assert during == [{min(before)}] * machine.LOOPS
    assert os.sched_getaffinity(0) == before
