"""What is saved beside the windows is what the tables say."""

from pathlib import Path
from typing import Any, Final

import msgspec

from tests.support.benched import CPU_US, cells, results

ROOT: Final = Path(__file__).parents[3]


def span(smallest: float, median: float, largest: float) -> dict[str, float]:
    """As it is saved."""
    return {"smallest": smallest, "median": median, "largest": largest}


def test_every_contestant_of_every_scenario_is_summed(bench: Any) -> None:
    """Smallest, median and largest of each figure, and the guard against it within a round."""
    found = results(bench)
    told = bench("summary").summed(found)
    by_place = {
        (each["scenario"], each["connections"], each["rate"], each["contestant"]): each for each in told["scenarios"]
    }
    assert by_place.keys() == {(each.ask, each.connections, each.rate, each.name) for each in found.windows}

    lua = by_place["order", 64, 0.0, "nginx-lua"]
    once = CPU_US["nginx-lua"]
    assert lua["cpu_us"] == span(once, 1.5 * once, 2 * once)
    assert lua["guard_by_it"]["cpu"] == span(2.0, 2.0, 2.0)
    assert lua["p50_added_to_direct_us"] is None
    paced = by_place["unsynced", 16, 800.0, "aiohttp-unsynced"]
    assert paced["guard_by_it"]["cpu"] == span(0.25, 0.25, 0.25)
    assert paced["p50_added_to_direct_us"] == span(0.0, 0.0, 0.0)


def test_figures_sizes_and_frames_are_as_the_tables_have_them(bench: Any) -> None:
    """With what is said of each figure; what was not measured is null."""
    found = results(bench)
    told = bench("summary").summed(found)
    [held] = [each for each in told["figures"] if each["what"] == "MB that a million requests add"]
    assert held == {
        "what": "MB that a million requests add",
        "must": 0,
        "aim": 0,
        "is_more_better": False,
        "found": span(10.0, 10.0, 10.0),
        "said": "not met",
    }
    table = bench("figures").figures_table(found)
    assert all(cells(table, each["what"] + " ")[-1].strip("*") == each["said"] for each in told["figures"])
    assert [each["found"] for each in told["figures"] if "Envoy" in each["what"]] == [None]
    assert told["sizes"]["10 000 keys"] == {"cpu_us": span(100, 100, 100), "by_smallest": span(1.0, 1.0, 1.0)}
    assert [each["guard_by_it"] for each in told["frames"]] == [span(0.125, 0.125, 0.125), span(1.0, 1.0, 1.0)]


def test_the_summary_is_saved_with_the_results(bench: Any) -> None:
    """It can be written and read back, and earlier results without one can be read."""
    found = results(bench)
    found.summary = bench("summary").summed(found)
    encoded = msgspec.json.encode(found)

    assert bench("report").decoded(encoded).summary == msgspec.json.decode(msgspec.json.encode(found.summary))
    earlier = msgspec.json.decode(encoded)
    for name in ("summary", "pauses"):
        del earlier[name]
    assert bench("report").decoded(msgspec.json.encode(earlier)).summary == {}
