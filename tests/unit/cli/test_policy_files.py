"""`guard policy test` and `guard policy diff`: what they print, for people and for programs, and how they exit."""

import json
from pathlib import Path

import pytest

from guard.cli.policy import app
from tests.support.commands import Done, called

POLICY = '[policy]\nid = "desk"\n[orders]\nmax_value = "10 HKD"\n'
CASES = (
    'given = { now = 2026-11-20T12:00:00+08:00, key = "bot" }\ncase = [\n'
    '{ name = "at", order = { symbol = "HK.1", price = 10 }, expect = "allow" },\n'
    '{ name = "over", order = { symbol = "HK.1", price = 10.01 }, codes = "max_order_value" },\n]\n'
)


def run(*words: str | Path) -> Done:
    """Runs `guard policy …`."""
    return called(app, *words)


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "rules", POLICY)


def write(place: Path, policy: str, cases: str = CASES) -> Path:
    """A directory with one policy and its tests."""
    place.mkdir()
    (place / "desk.toml").write_text(policy)
    (place / "desk_test.toml").write_text(cases)
    return place


def test_tests_pass_and_are_shown_when_asked(place: Path) -> None:
    """Exit 0; every case with what became of it under --all."""
    assert run("test", place)[:2] == (0, f"{place}: 2 tests passed\n")
    assert "ok  over: refused: max_order_value" in run("test", place, "--all")[1]
    assert run("test", place, "--mutate")[1].endswith("2 limits moved by a step, 0 unnoticed\n")


def test_a_failing_test_is_told_with_its_line(place: Path) -> None:
    """Exit 1; check says so too, since a reload would be refused."""
    (place / "desk_test.toml").write_text(CASES.replace("10.01", "10.00"))
    code, out, _ = run("test", place)

    assert code == 1
    assert "desk_test.toml:4: over: expected to be refused with max_order_value, but is allowed [test_failed]" in out
    code, _, err = run("check", place)
    assert code == 1
    assert "desk_test.toml:4" in err
    code, out, _ = run("test", place, "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["cases"], told["failures"][0]["line"]) == (1, False, 2, 4)


def test_a_limit_that_no_test_holds_is_named(place: Path) -> None:
    """Exit 1 under --mutate: such a limit could be changed by mistake and nothing would say so."""
    (place / "desk_test.toml").write_text("\n".join(line for line in CASES.splitlines() if "over" not in line))
    code, out, _ = run("test", place, "--mutate")

    assert code == 1
    assert "orders.max_value 10 HKD could be 10.01 HKD, and no test would notice" in out
    told = json.loads(run("test", place, "--mutate", "--json")[1])
    assert (told["mutants"], told["unnoticed"][0]["rule"]) == (2, "orders.max_value")


def test_without_tests_it_says_where_they_would_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No tests is no failure; policies that are wrong are."""
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "rules"
    place.mkdir()
    assert "no tests; write a *_test.toml" in run("test", place)[1]
    (place / "a.toml").write_text("[orders]\nmax_valu = 1")
    assert run("test", place)[0] == 1


def test_a_diff_says_what_becomes_looser_and_shows_it(place: Path, tmp_path: Path) -> None:
    """Exit 3 when something is looser, with an order that is refused before and passes after."""
    other = write(tmp_path / "next", POLICY.replace("10 HKD", "11 HKD"))
    code, out, _ = run("diff", place, other)

    assert code == 3
    assert "looser   desk: orders.max_value 10 HKD becomes 11 HKD, looser" in out
    assert "BUY 1 HK.00700 at 11 (NORMAL, DAY)" in out
    assert "refused before: order value 11 HKD is above 10 HKD" in out
    told = json.loads(run("diff", place, other, "--json")[1])
    assert told["verdict"] == "looser"
    assert told["changes"][0]["witness"]["refused_before"][0]["code"] == "max_order_value"


def test_a_diff_that_loosens_nothing_exits_0(place: Path, tmp_path: Path) -> None:
    """Tighter, neutral, or no difference at all."""
    assert run("diff", place, place)[:2] == (0, "no difference\n")
    code, out, _ = run("diff", write(tmp_path / "next", POLICY.replace("10 HKD", "11 HKD")), place)
    assert code == 0
    assert out.endswith("all in all tighter\n")


def test_a_diff_of_what_is_not_valid_exits_1(place: Path, tmp_path: Path) -> None:
    """Both directories have to be right."""
    other = write(tmp_path / "next", "[orders]\nmax_valu = 1\n")
    code, _, err = run("diff", place, other)

    assert code == 1
    assert "did you mean max_value?" in err


def test_what_still_refuses_the_order_is_told(place: Path, tmp_path: Path) -> None:
    """A loosening that another policy makes harmless today is a loosening all the same."""
    other = write(tmp_path / "next", POLICY.replace("10 HKD", "11 HKD"))
    for directory in (place, other):
        (directory / "more.toml").write_text("[orders]\nsides = []\n")
    code, out, _ = run("diff", place, other)

    assert code == 3
    assert "still refused by more: side BUY is not allowed" in out
