"""docs/reviewing.md does what it says: every command is run, and each question is answered by what is printed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from guard.cli.main import app
from tests.support.commands import called
from tests.support.reviewed import reviewed

TEXT: Final = (Path(__file__).parents[2] / "docs" / "reviewing.md").read_text(encoding="utf-8")
BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# By question, words that its commands must print.
ANSWERS: Final = {
    1: ("ok: ", "under a signed checkpoint", "proves nothing against the owner"),
    2: ("refuse max_order_value", "orders.max_value says no"),
    3: ('"valuation"', '"order_id_ex":"E01M00000000000000000000009"'),
    4: ("applied", "board limit"),
    5: ("90000 HKD",),
    6: ("cancel_only", "yearly drill"),
    7: ("unknown", "accepted"),
    8: ('"owner":"manual"', "clock"),
    9: ("agent-research", "records"),
    10: ("check it with", '"id":"01M00000000000000000000009"'),
}


def test_every_question_is_answered_by_its_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one folder, on a record of three days; each succeeds and prints what the page promises."""
    state = reviewed(tmp_path / "state")
    monkeypatch.setenv("GUARD_STATE", str(state))
    monkeypatch.chdir(tmp_path)
    parts = re.split(r"^## (\d+)\. .*$", TEXT, flags=re.MULTILINE)
    told = {0: _run(parts[0], tmp_path)}
    told |= {int(number): _run(text, tmp_path) for number, text in zip(parts[1::2], parts[2::2], strict=True)}

    assert sorted(told) == list(range(11))
    assert (tmp_path / "review.html").exists()
    for number, words in ANSWERS.items():
        for one in words:
            assert one in told[number], (number, one, told[number][-800:])


def test_every_page_that_is_named_is_there() -> None:
    """Links to other documents arrive, and names of sections are those of the report."""
    from guard.audit.report import _SECTIONS  # noqa: PLC0415 - only here

    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (Path(__file__).parents[2] / "docs" / target).exists(), target
    named = set(re.findall(r"In the report: \*([^*]+)\*", TEXT)) - {"What was refused, and why"}
    assert named <= {name for _, name in _SECTIONS}


def _run(text: str, folder: Path) -> str:
    printed = ""
    for line in "".join(BLOCK.findall(text)).splitlines():
        words = shlex.split(os.path.expandvars(line))
        if words[0] == "export":
            continue
        if words[0] == "python":
            done = subprocess.run([sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
            printed += done.stdout
            continue
        result = called(app, *words[1:])
        assert result.exit_code == 0, (line, result.output)
        printed += result.output
    return printed
