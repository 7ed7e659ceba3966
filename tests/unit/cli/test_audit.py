"""`guard audit search` and `tail`: what they print, and their exit codes."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from guard.cli.audit import app
from tests.support.commands import Done, called
from tests.support.journal import file_of
from tests.support.signed import signed_state

ROOT: Final = Path(__file__).parents[3]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A closed journal: segment, decision, outcome, refusal."""
    return signed_state(tmp_path / "state")


def guard_audit(*words: str | Path) -> Done:
    """Runs `guard audit …`."""
    return called(app, *words)


# ---------------------------------------------------------------- search


def test_a_search_prints_a_table(state: Path) -> None:
    """Columns for people, one row a record."""
    result = guard_audit("search", "--key", "trader", "--state", state)

    assert result.exit_code == 0
    head, *lines = result.stdout.splitlines()
    heads = "time (UTC) seq type key endpoint outcome symbol value decision message"
    assert head.split() == heads.split()
    assert [line.split()[3] for line in lines] == ["decision", "outcome", "decision"]
    assert "refuse rate" in lines[2]
    assert "01B" in lines[2], "what guard explain takes"


def test_a_search_for_programs_prints_the_lines_as_written(state: Path) -> None:
    """Byte for byte, so that hashes can be taken again."""
    result = guard_audit("search", "--json", "--state", state)

    assert result.stdout.encode() == file_of(state).read_bytes()


@pytest.mark.parametrize(
    ("words", "seqs"),
    [
        (["--outcome", "refuse"], [4]),
        (["--order", "900"], [2, 3]),
        (["--decision", "01B"], [4]),
        (["--code", "rate"], [4]),
        (["--policy", "desk"], [4]),
        (["--min-value", "1"], []),
        (["--max-value", "30,000 HKD", "--min-value", "1 hkd"], []),
        (["--symbol", "HK.00700", "--type", "outcome"], [3]),
        (["--type", "segment", "--type", "outcome"], [1, 3]),
        (["--since", "2026-11-23"], []),
        (["--until", "2026-11-22"], []),
        (["--since", "2026-11-22", "--limit", "0"], [1, 2, 3, 4]),
        (["--limit", "1"], [4]),
    ],
)
def test_every_filter_is_offered(state: Path, words: list[str], seqs: list[int]) -> None:
    """Each flag narrows the search."""
    result = guard_audit("search", "--json", "--state", state, *words)

    assert [json.loads(line)["seq"] for line in result.stdout.splitlines()] == seqs


def test_a_search_says_what_it_left_out(state: Path) -> None:
    """A limit that cut something, and lines that could not be read."""
    with file_of(state).open("ab") as file:
        file.write(b"{}\n")
    result = guard_audit("search", "--limit", "1", "--state", state)

    assert "the last 1 of 4 records; --limit 0 shows all" in result.stderr
    assert "1 lines could not be read: guard audit verify" in result.stderr


def test_a_time_that_is_none_is_wrong_usage(state: Path) -> None:
    """The message shows how to write one."""
    result = guard_audit("search", "--since", "yesterday", "--state", state)

    assert result.exit_code == 64
    assert "15m" in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--type", "polcy"], "did you mean policy?"),
        (["--code", "max_order_valu"], "did you mean max_order_value?"),
        (["--outcome", "nothing alike"], "write one of allow, refuse"),
    ],
)
def test_a_word_that_no_record_has_is_wrong_usage(state: Path, words: list[str], told: str) -> None:
    """A mistyped filter must not look like a record in which nothing of the kind ever happened."""
    result = guard_audit("search", "--state", state, *words)

    assert result.exit_code == 64
    assert told in " ".join(result.output.replace("│", " ").split())


def test_a_search_that_finds_nothing_says_so(state: Path) -> None:
    """In words, without the head of an empty table; programs get no line."""
    result = guard_audit("search", "--state", state, "--key", "nobody")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no record matches\n")
    assert guard_audit("search", "--json", "--state", state, "--key", "nobody").stdout == ""


@pytest.mark.parametrize("words", [["--min-value", "much"], ["--min-value", "1 HKD", "--max-value", "2 USD"]])
def test_an_amount_that_is_none_is_wrong_usage(state: Path, words: list[str]) -> None:
    """No number, or two currencies at once."""
    assert guard_audit("search", "--state", state, *words).exit_code == 64


def test_without_duckdb_a_search_works_all_the_same(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rows; one that takes long says how to have it faster."""
    with_it = guard_audit("search", "--key", "trader", "--limit", "2", "--state", state)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.setattr("guard.cli.audit._SLOW_S", -1)
    without = guard_audit("search", "--key", "trader", "--limit", "2", "--state", state)

    assert without.stdout == with_it.stdout
    assert "pip install duckdb" in without.stderr


# ---------------------------------------------------------------- export


@pytest.mark.parametrize("name", ["all.csv", "all.jsonl", "all.parquet"])
def test_an_export_has_every_record_and_a_verifier_beside_it(state: Path, tmp_path: Path, name: str) -> None:
    """The verifier proves the record that the table was made from, without the guard."""
    result = guard_audit("export", tmp_path / name, "--state", state, "--json")

    told = json.loads(result.stdout)
    assert (told["records"], told["format"]) == (4, name.partition(".")[2])
    command = [sys.executable, told["verifier"], "record", str(state), "--vkey", str(state / "journal.vkey")]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603 - our own interpreter
    assert "4 records" in guard_audit("export", tmp_path / name, "--state", state).stdout


def test_an_export_says_what_it_cannot_do(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that tells no format; no DuckDB."""
    assert guard_audit("export", tmp_path / "all.xlsx", "--state", state).exit_code == 64
    monkeypatch.setitem(sys.modules, "duckdb", None)
    result = guard_audit("export", tmp_path / "all.csv", "--state", state)

    assert "pip install duckdb" in result.stderr


# ---------------------------------------------------------------- tail


def test_the_tail_prints_the_last_records(state: Path) -> None:
    """One line each; a torn one is passed over."""
    with file_of(state).open("ab") as file:
        file.write(b'{"seq":5,"ts"')
    result = guard_audit("tail", "-n", "2", "--state", state)

    assert result.exit_code == 0
    assert [line.split("  ")[1:3] for line in result.stdout.splitlines()] == [["3", "outcome"], ["4", "decision"]]
    assert (
        guard_audit("tail", "-n", "1", "--json", "--state", state).stdout.encode()
        == (file_of(state).read_bytes().splitlines(keepends=True)[3])
    )


def test_following_ends_with_ctrl_c(state: Path) -> None:
    """What was there is shown, then it waits; an interrupt is no error. Whoever starts the tests may ignore it."""
    heeded = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    script = f"{heeded}from guard.cli.audit import app; app()"
    command = [sys.executable, "-c", script, "tail", "--follow", "--state", str(state)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own interpreter
        assert child.stdout is not None
        shown = [child.stdout.readline().split("  ")[1] for _ in range(4)]
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read()

    assert (shown, rest, child.returncode) == (["1", "2", "3", "4"], "", 0)
