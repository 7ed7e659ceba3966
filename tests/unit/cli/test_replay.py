"""`guard policy replay` over a record that a guard has written."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guard import __version__
from guard.cli.policy import app
from guard.policy import RULES_VERSION
from guard.replay import Options, inforce, past, replayed
from tests.support.commands import called
from tests.support.stage import stage

CAP = '[orders]\nmax_value = "{cap} HKD"\n'
Run = Callable[..., tuple[int, str]]


@pytest.fixture(name="run")
async def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Two orders, of 20,000 and 40,000 HKD, under a cap of 30,000; the command over their record."""
    monkeypatch.setenv("COLUMNS", "80")
    async with stage(tmp_path, policies=CAP.format(cap=30_000)) as scene:
        await scene.place(qty=100, price=200)
        await scene.place(qty=200, price=200)
        await scene.written()

    def run(cap: int | None, *words: str) -> tuple[int, str]:
        other = tmp_path / "other"
        other.mkdir(exist_ok=True)
        (other / "desk.toml").write_text(CAP.format(cap=cap))
        given = [] if cap is None else ["--policies", str(other)]
        found = called(app, "replay", "--since", "2026-11-01", "--state", tmp_path / "state", *given, *words)
        return found.exit_code, found.output

    return run


async def test_the_exit_code_says_whether_anything_is_looser(run: Run) -> None:
    """3 where something is newly allowed, else 0; the difference is told by rule, key and symbol."""
    code, told = run(40_000)
    assert code == 3
    assert "newly allowed  desk    orders.max_value  bot  HK.00700  1" in told
    code, told = run(10_000)
    assert code == 0
    assert "1 newly refused, 0 newly allowed" in told


async def test_without_policies_the_record_is_checked(run: Run) -> None:
    """Every decision comes out as it stands there."""
    assert run(None) == (0, "2 of 2 decisions come out as they are on record\n")


async def test_a_record_of_another_version_proves_nothing_of_policies(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no pass: 1, with the version that can decide it again, instead of a row of noughts and 0."""
    monkeypatch.setattr(inforce, "RULES_VERSION", RULES_VERSION + 1)
    for cap in (40_000, 10_000):
        code, told = run(cap)
        told = " ".join(told.split())
        assert code == 1
        assert "none of 2 decisions could be made again" in told
        assert (
            f"made by the rules of another build of version {__version__}; this version's might judge them otherwise"
            in told
        )
        assert "`guard policy replay` of that version does it, and by this version's rules nothing" in told
        assert "held against nothing: what they would let through is not known" in told
    assert run(None)[0] == 1


async def test_a_time_without_decisions_is_no_fault(run: Run) -> None:
    """Nothing was refused, so nothing is newly allowed."""
    code, told = run(40_000, "--until", "2026-11-02")
    assert (code, told.splitlines()) == (0, ["no decision in this time", "0 newly refused, 0 newly allowed"])


async def test_programs_read_one_json_value(run: Run) -> None:
    """Counts, groups and each difference."""
    code, told = run(40_000, "--json")
    found = json.loads(told)
    assert code == 3
    assert (found["reproduced"], found["newly_allowed"], found["certain"]) == (2, 1, 1)
    assert found["differences"][0]["code"] == "max_order_value"


async def test_what_is_wrong_is_told(run: Run, tmp_path: Path) -> None:
    """Policies that cannot be read exit 1; a time that is none is wrong usage."""
    (tmp_path / "other").mkdir(exist_ok=True)
    (tmp_path / "other/bad.toml").write_text("[orders]\nmax = 1\n")
    code, told = run(10_000)
    assert code == 1
    assert "bad.toml" in told
    (tmp_path / "other/bad.toml").unlink()
    assert run(10_000, "--until", "soon")[0] == 64
    assert run(10_000, "--until", "2026-11-02")[0] == 0


async def test_a_policy_in_shadow_is_named(run: Run, tmp_path: Path) -> None:
    """It refuses nothing, so whoever wants to know what it would refuse is told what to write."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/watched.toml").write_text('[policy]\nmode = "shadow"\n[orders]\nmax_qty = 1\n')
    code, told = run(40_000)
    assert code == 3
    assert "watched.toml: watched is in shadow and refuses nothing" in told
    assert "desk.toml" not in told


async def test_whoever_waits_at_a_terminal_sees_how_far_it_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that ends full and is wiped away; programs, and what is no terminal, get none."""
    assert "━" not in run(40_000)[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    told = run(40_000)[1]
    bars = re.findall(r"replay .*?━.*?([0-9.]+)/([0-9.]+) kB", told)
    assert bars, told
    assert bars[-1][0] == bars[-1][1] != "0"
    assert told.rstrip().endswith("\x1b[2K")
    assert "\x1b[?25h" in told
    assert "━" not in run(40_000, "--json")[1]


async def test_the_bar_moves_with_what_was_read(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of the record, of all there are: they only grow, and end at the whole."""
    assert run(None)[0] == 0
    monkeypatch.setattr(past, "_EVERY", 2)
    told: list[tuple[int, int]] = []
    since = Options("2026-11-01T00:00:00.000000Z")
    replayed(tmp_path / "state", since, now=datetime(2026, 11, 23, tzinfo=UTC), tell=lambda *at: told.append(at))
    size = sum(path.stat().st_size for path in (tmp_path / "state/journal").iterdir())
    assert len(told) > 3
    assert told == sorted(told)
    assert {total for _, total in told} == {size}
    assert told[-1] == (size, size)
