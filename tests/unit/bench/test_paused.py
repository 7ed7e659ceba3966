"""The longest pause of the loop is one of the figures to hold: the worst of everything that was done, at any level."""

from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[3]


def level(bench: Any, orders: int, **held_up: list[float]) -> Any:
    """So many live orders; the loop was held up for so long, and worked for a tenth of it."""
    paused = bench("paused")
    named = {{"calm": paused.CALM}.get(name, name): values for name, values in held_up.items()}
    work = {name: [value / 10 for value in values] for name, values in named.items()}
    return paused.Level(orders, 50, work=work, held_up=named, passed=named, took=named)


def test_the_worst_median_of_any_act_at_any_level_is_the_figure(bench: Any) -> None:
    """Not the longest single pause, and not what the loop is held up for while nothing is done but orders."""
    few = level(bench, 3_000, calm=[9.0, 9.0, 9.0], scrape=[1.0, 8.0, 1.0], snapshot=[2.0, 2.0, 2.0])
    many = level(bench, 50_000, calm=[9.0, 9.0, 9.0], scrape=[1.0, 1.0, 1.0], snapshot=[2.0, 6.0, 6.5])

    assert bench("paused").worst([few, many]) == (many, "snapshot")
    assert bench("paused").worst([many, few]) == (many, "snapshot")
    assert bench("paused").worst([]) is None


def test_a_run_measures_each_level_in_a_process_of_its_own(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What it writes is what is found; one that ends in a fault ends the run with what it said."""
    paused = bench("paused")
    program = tmp_path / "pauses.py"
    monkeypatch.setattr(paused, "HERE", tmp_path)
    program.write_text(
        "import json, sys\n"
        "given = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
        "told = {'orders': int(given['--orders']), 'policies': int(given['--policies'])}\n"
        "told |= {name: {'a': [1.0]} for name in ('work', 'held_up', 'passed', 'took')}\n"
        "open(given['--json'], 'w').write(json.dumps([told]))\n"
    )
    said: list[str] = []
    found = paused.measure(tmp_path / "pauses", ((3, 1), (5, 2)), rounds=1, say=said.append)
    assert [(each.orders, each.policies) for each in found] == [(3, 1), (5, 2)]
    assert len(said) == 2

    program.write_text("raise SystemExit('an order was refused')")
    with pytest.raises(bench("machine").Unfit, match="an order was refused"):
        paused.measure(tmp_path / "again", ((3, 1),), rounds=1, say=said.append)


def test_a_level_that_does_not_come_to_an_end_ends_the_run(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As one that ends in a fault does."""
    paused = bench("paused")
    monkeypatch.setattr(paused, "HERE", tmp_path)
    monkeypatch.setattr(paused, "LEVEL_S", 0)
    (tmp_path / "pauses.py").write_text("import time\nwhile True:\n    time.sleep(1)\n")

    with pytest.raises(bench("machine").Unfit, match="could not be measured within 0 s"):
        paused.measure(tmp_path / "pauses", ((3, 1),), rounds=1, say=lambda _: None)
