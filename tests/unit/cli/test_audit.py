"""`guard audit`: what it prints, and its exit codes."""

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner, Result

from guard.cli.audit import app
from guard.journal import Journal
from tests.support.clock import ManualClock
from tests.support.journal import decision, file_of, outcome, refusal

ROOT: Final = Path(__file__).parents[3]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A closed journal: segment, decision, outcome, refusal."""
    journal = Journal.open(tmp_path / "state", clock=ManualClock())
    journal.append("decision", decision("01A", symbol="HK.00700"))
    journal.append("outcome", outcome("01A", order_id="900"))
    journal.append("decision", refusal("01B", symbol="US.AAPL"))
    journal.shut()
    return tmp_path / "state"


def guard_audit(*words: str | Path) -> Result:
    """Runs `guard audit …`."""
    return CliRunner().invoke(app, [str(word) for word in words])


def report(*words: str | Path) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of `guard audit verify --json …`."""
    result = guard_audit("verify", "--json", *words)
    return result.exit_code, json.loads(result.stdout)


# ---------------------------------------------------------------- verify


def test_a_whole_record_verifies(state: Path) -> None:
    """Exit 0, the head's hash to keep, and what a chain cannot show."""
    result = guard_audit("verify", "--state", state)
    last = file_of(state).read_bytes().splitlines()[-1]

    assert result.exit_code == 0
    assert result.stdout.startswith("ok: 4 records")
    assert hashlib.sha256(last).hexdigest() in result.stdout
    assert "cut off at the end" in result.stdout


def test_the_report_for_programs_has_stable_names(state: Path) -> None:
    """One JSON object."""
    code, said = report("--state", state)

    assert code == 0
    assert {n: said[n] for n in ("result", "records", "first_bad_seq")} == {
        "result": "ok",
        "records": 4,
        "first_bad_seq": None,
    }
    assert said["first_ts"] == said["last_ts"] == "2026-11-22T09:46:28.123456Z"


def test_an_edited_record_is_named(state: Path) -> None:
    """Exit 1 with the first bad seq."""
    file_of(state).write_bytes(file_of(state).read_bytes().replace(b"HK.00700", b"HK.00701"))

    code, said = report("--state", state)
    assert (code, said["result"], said["first_bad_seq"]) == (1, "edited", 2)
    assert "first bad seq 2" in guard_audit("verify", "--state", state).stdout


def test_a_torn_tail_is_told_from_an_edit(state: Path) -> None:
    """Exit 4 after a crash, and verifying changes nothing."""
    torn = file_of(state).read_bytes()[:-9]
    file_of(state).write_bytes(torn)

    code, said = report("--state", state)
    assert (code, said["result"], said["records"]) == (4, "torn", 3)
    assert file_of(state).read_bytes() == torn


def test_a_record_that_is_not_there_cannot_be_verified(tmp_path: Path) -> None:
    """Exit 3, the reason on stderr."""
    code, said = report("--state", tmp_path)
    assert (code, said["result"]) == (3, "cannot_verify")

    result = guard_audit("verify", "--state", tmp_path)
    assert "no journal there" in result.stderr
    assert result.stdout == ""


def test_it_works_while_the_guard_runs(tmp_path: Path) -> None:
    """Reading takes no lock."""
    journal = Journal.open(tmp_path / "state", clock=ManualClock())
    journal.append("decision", decision())
    journal.flush()

    assert report("--state", tmp_path / "state")[0] == 0
    journal.append("decision", decision())
    journal.flush()
    assert report("--state", tmp_path / "state")[1]["records"] == 3
    journal.shut()


def test_the_state_directory_comes_from_the_settings(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--state, GUARD_STATE, --config, guard.toml in the working directory, in this order."""
    config = tmp_path / "elsewhere.toml"
    config.write_text('[state]\ndir = "state"\n')
    assert report("--config", config)[0] == 0

    monkeypatch.chdir(tmp_path)
    assert report()[0] == 0
    (tmp_path / "guard.toml").write_text('[state]\ndir = "nowhere"\n')
    assert report()[0] == 3
    monkeypatch.setenv("GUARD_STATE", str(state))
    assert report()[0] == 0


@pytest.mark.parametrize("text", [None, "[state]\ndirectory = 1\n", "not toml"])
def test_settings_that_cannot_be_used_are_no_verdict(tmp_path: Path, text: str | None) -> None:
    """Exit 3, never 1: that would say *edited*."""
    config = tmp_path / "guard.toml"
    if text is not None:
        config.write_text(text)

    assert report("--config", config)[0] == 3


# ---------------------------------------------------------------- search


def test_a_search_prints_a_table(state: Path) -> None:
    """Columns for people, one row a record."""
    result = guard_audit("search", "--key", "trader", "--state", state)

    assert result.exit_code == 0
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["time", "seq", "type", "key", "endpoint", "outcome", "symbol", "value", "message"]
    assert [line.split()[3] for line in lines] == ["decision", "outcome", "decision"]
    assert "refuse rate" in lines[2]


def test_a_search_for_programs_prints_the_lines_as_written(state: Path) -> None:
    """Byte for byte, so that hashes can be taken again."""
    result = guard_audit("search", "--json", "--state", state)

    assert result.stdout_bytes == file_of(state).read_bytes()


@pytest.mark.parametrize(
    ("words", "seqs"),
    [
        (["--outcome", "refuse"], [4]),
        (["--order", "900"], [2, 3]),
        (["--decision", "01B"], [4]),
        (["--code", "rate"], [4]),
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

    assert result.exit_code == 2  # `guard` itself makes this 64
    assert "15m" in result.output


# ---------------------------------------------------------------- tail


def test_the_tail_prints_the_last_records(state: Path) -> None:
    """One line each; a torn one is passed over."""
    with file_of(state).open("ab") as file:
        file.write(b'{"seq":5,"ts"')
    result = guard_audit("tail", "-n", "2", "--state", state)

    assert result.exit_code == 0
    assert [line.split("  ")[1:3] for line in result.stdout.splitlines()] == [["3", "outcome"], ["4", "decision"]]
    assert (
        guard_audit("tail", "-n", "1", "--json", "--state", state).stdout_bytes
        == (file_of(state).read_bytes().splitlines(keepends=True)[3])
    )


def test_following_ends_with_ctrl_c(state: Path) -> None:
    """What was there is shown, then it waits; an interrupt is no error."""
    script = "from guard.cli.audit import app; app()"
    command = [sys.executable, "-c", script, "tail", "--follow", "--state", str(state)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own interpreter
        assert child.stdout is not None
        shown = [child.stdout.readline().split("  ")[1] for _ in range(4)]
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read()

    assert (shown, rest, child.returncode) == (["1", "2", "3", "4"], "", 0)
