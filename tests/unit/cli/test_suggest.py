"""`guard policy suggest` over a record that a guard has written."""

import json
import resource
from pathlib import Path

import pytest
import typer

from guard.cli import suggest
from guard.cli.policy import app
from guard.policy import PolicyDoc, parse_policy
from tests.support.commands import Done, called
from tests.support.stage import stage

OPEN = '[orders]\nmax_value = "100000000 HKD"\n'


def run(*words: str) -> Done:
    """Runs `guard policy suggest …`."""
    return called(app, "suggest", *words)


@pytest.fixture(name="state")
async def _state(tmp_path: Path) -> str:
    """A hundred and one small orders, and one that is a hundred times as large."""
    async with stage(tmp_path, policies=OPEN) as scene:
        for place in range(101):
            await scene.place(qty=100, price=10 + place % 5)
        await scene.place(qty=10_000, price=10)
        await scene.written()
    return str(tmp_path / "state")


async def test_limits_are_written_with_their_percentiles_and_what_they_would_have_refused(
    state: str, tmp_path: Path
) -> None:
    """A valid policy in shadow; the one order out of line is named, by deciding the past again."""
    out = tmp_path / "out"
    code, told, _ = run("--since", "2026-11-01", "--state", state, "--out", str(out))
    text = (out / "suggested-simulate.toml").read_text()

    assert code == 0
    found = parse_policy(text, file="suggested-simulate.toml")
    assert isinstance(found, PolicyDoc)
    assert found.orders.max_value == ("1800 HKD",)
    assert "# HKD: p50 1200, p95 1400, p99 1400, largest 100000, of 102" in text
    assert "would have refused 1 of 102" in told
    assert "order quantity 10000 is above 130" in told
    assert run("--since", "2026-11-01", "--state", state, "--out", str(out))[0] == 1, "nothing is overwritten"
    (one,) = json.loads(run("--since", "2026-11-01", "--state", state, "--json")[1])
    assert (one["orders"], len(one["refused"])) == (102, 1)


async def test_where_nothing_was_traded_nothing_is_suggested(state: str) -> None:
    """Exit 1 for another key or a later day; a time that is none is wrong usage."""
    assert run("--since", "2026-11-01", "--keys", "nobody", "--state", state)[0] == 1
    assert run("--since", "2027-01-01", "--state", state)[0] == 1
    assert "is no time" in run("--since", "yesterday-ish", "--state", state)[2]


async def test_what_was_refused_anyway_stands_in_nobodys_way(tmp_path: Path) -> None:
    """A suggestion comes beside what is in force: an order that was refused on the day takes no room from others."""
    async with stage(tmp_path, policies='[orders]\nmax_value = "20000 HKD"\n') as scene:
        await scene.place(qty=200, price=200)
        await scene.place(qty=100, price=200)
        await scene.written()
    told = run("--since", "2026-11-01", "--state", str(tmp_path / "state"))[1]
    assert "would have refused 0 of 1" in told


def test_a_file_that_does_not_fit_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The disk takes a part of it: half a policy may load, and be another one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        with pytest.raises(typer.Exit):
            suggest._write(tmp_path / "out" / "desk.toml", "# x\n" * 2**20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "desk.toml: not written: File too large" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
