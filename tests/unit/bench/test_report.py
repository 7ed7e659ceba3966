"""The document of a run says what was found, what was skipped, and which figures are not held."""

from pathlib import Path
from typing import Any, Final

from guard.access.proven import TOKENS_MAX
from tests.support.benched import cells, results

ROOT: Final = Path(__file__).parents[3]
FRAME_US: Final = {"guard": 1.0, "aiohttp": 8.0}


def test_the_longest_pause_is_held_or_not_as_the_loop_was_held_up(bench: Any) -> None:
    """Its table says what was done meanwhile; a run without pauses says that they were not measured."""
    found = results(bench)
    assert cells(bench("figures").figures_table(found), "ms that the loop is held up")[3:] == ["-", "not measured"]
    assert "The longest pauses of the loop\n\nNot measured." in bench("report").document(found)

    level = {"a reload": [6.0, 7.0, 5.5], "a scrape": [1.0, 1.0, 9.0]}
    found.pauses = [
        bench("paused").Level(3_000, 50, work={name: [0.1] for name in level}, held_up=level, passed=level, took=level)
    ]
    text = bench("report").document(found)
    assert cells(text, "ms that the loop is held up")[1:] == ["≤ 5", "≤ 1", "6.00 (5.50-7.00)", "**not met**"]
    assert cells(text, "a reload")[:3] == ["a reload", "0.10", "6.00 (5.50-7.00)"]
    assert "a reload, 3,000 live orders, 50 policies" in text


def test_the_figures_to_hold_are_ratios_of_one_round(bench: Any) -> None:
    """A round in which everything cost twice as much changes no ratio; what is missed or missing is said."""
    text = bench("figures").figures_table(results(bench))

    assert cells(text, "CPU an order, recorded, no fsync")[3:] == ["2.00 (2.00-2.00)", "met"]
    assert cells(text, "the same ÷ the aiohttp proxy")[3:] == ["0.25 (0.25-0.25)", "met"]
    assert cells(text, "the same ÷ Envoy")[3:] == ["-", "not measured"]
    assert cells(text, "CPU a frame delivered to 100 sockets, 32")[3:] == ["0.12", "met"]
    assert cells(text, "MB that a million requests add")[3:] == ["10.0", "**not met**"]
    assert cells(text, "records a second read back")[3:] == ["100 000", "met"]
    assert cells(text, "MB resident at start, idle")[3:] == ["58.0", "aim met"]


def test_a_step_of_an_allocator_is_no_growth(bench: Any) -> None:
    """Wherever it falls. What is a little larger at each reading is growth, though it comes to less."""
    leak = [70_000_000 + 100_000 * number for number in range(11)]
    steps = [[70_000_000] * at + [72_000_000] * (11 - at) for at in range(1, 11)]
    found = {}
    wavy = [70_000_000 + 400_000 * (number % 4 == 3) + 30_000 * number for number in range(11)]
    for name, readings in (("leak", leak), ("wavy", wavy), *enumerate(steps)):
        text = bench("report").document(results(bench, readings=readings))
        assert f"changed by {(readings[-1] - readings[0]) / 1024:+.0f} KiB" in text
        found[name] = cells(text, "MB that a million requests add")[-1]
    assert found == {"leak": "**not met**", "wavy": "**not met**"} | dict.fromkeys(range(10), "aim met")


def test_the_document_tells_what_was_left_out(bench: Any) -> None:
    """A peer that could not be had is named with the reason; a run without sizes still has its document."""
    text = bench("report").document(results(bench, with_scale=False))

    assert "haproxy is not installed" in cells(text, "haproxy")[1]
    assert "Not measured." in text
    assert cells(text, "order with a wrong key, 64")[-2:] == ["2.00 (2.00-2.00)", "0.25 (0.25-0.25)"]
    assert "performance-pauses.md" in text


def test_the_document_tells_of_which_run_each_part_is(bench: Any) -> None:
    """One run, or that and the memory of an earlier one."""
    found = results(bench)
    assert "from one run;" in bench("report").document(found)

    assert cells(bench("report").document(found), "measured") == [
        "measured",
        "now, 2 rounds, fewer than a run has whose figures are published",
    ]
    found.plan.rounds = 9
    assert cells(bench("report").document(found), "measured")[-1] == "now, 9 rounds"

    found.memory_began = "the day before"
    text = bench("report").document(found)
    assert "memory is of the day before, all else of this one" in text
    assert cells(text, "its memory measured")[-1] == "the day before"


def test_the_tables_hold_every_scenario(bench: Any) -> None:
    """Whatever is measured has a row: no scenario is asked for nothing."""
    found = results(bench)
    text = bench("report").document(found)
    titles = bench("tables").ASKS

    for scenario in bench("field").SCENARIOS:
        if scenario.name != "scraped" and not scenario.rate:
            assert cells(text, f"{titles[scenario.name]}, {scenario.connections} ")
    assert cells(text, "the metrics are read 10 times a second")
    assert cells(text, "1 000 000 records of the past")
    assert cells(text, "100 005, after a snapshot")[1:3] == ["1.60", "1.10"]


def test_the_floor_has_its_own_table_of_the_figures(bench: Any) -> None:
    """The floor is compared in its own round, the guard with it; a run without it says so."""
    found = results(bench)
    text = bench("report").document(found)

    assert cells(text, "an order, recorded, not synced, 64")[1:] == [
        "75.0 (50.0-100)",
        "0.50 (0.50-0.50)",
        "-",
        "0.06 (0.06-0.06)",
        "4.00 (4.00-4.00)",
    ]
    rows = cells(bench("figures").floor_table(found), "CPU a durable order")
    assert rows[3:] == ["0.50 (0.50-0.50)", "aim met"]
    found.windows = [window for window in found.windows if window.name not in {"bare", "floor", "floor-unsynced"}]
    assert "cheaper than\n\nNot measured." in bench("report").document(found)


def test_new_tokens_are_new_to_the_guard(bench: Any) -> None:
    """By the time a token is shown again the guard has forgotten it, so its row is that of tokens never met."""
    assert bench("tokens").FRESH > TOKENS_MAX


def test_where_the_others_are_ahead_is_what_was_found(bench: Any) -> None:
    """Whoever has the same job for less is named with the ratio, and nobody else."""
    found = results(bench)
    text = bench("report").document(found)
    [ahead] = [line for line in text.splitlines() if "median ratio of one round" in line]

    assert "nginx + Lua (order, durable, 1: 2.00; " in ahead
    assert "aiohttp proxy" not in ahead
    assert "of frames" not in ahead
    assert "durable order 2.00 (2.00-2.00), order not synced 2.00 (2.00-2.00)" in text

    found.frames = [
        bench("fanout").Frames(name, 0, 1, 1, cost, 1.0)
        for name, cost in (("guard", 3.0), ("aiohttp", 2.0), ("hub", 1.5))
    ]
    text = bench("report").document(found)
    assert "a relay of frames (1 at once to 1: 1.50), a hub of frames (1 at once to 1: 2.00)" in text


def test_a_record_measured_beside_others_says_so(bench: Any) -> None:
    """What others used of the machine stands in the page, and where it was much, what is not to be leant on."""
    others = bench("record").others

    assert others(3.0) == "Other programs used 3 % of the machine meanwhile."
    assert "Measure again on a quiet machine" in others(60.0)
