"""`guard audit report`: one page that needs nothing else."""

import hashlib
import json
import re
import shutil
from base64 import b64encode
from pathlib import Path

import pytest

from guard.cli.audit import app
from tests.support.commands import Done, called
from tests.support.journal import file_of
from tests.support.reviewed import OTHER_SHA, SETS, SPREADSHEET, reviewed


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days, and the texts of both sets of policies."""
    found = reviewed(tmp_path_factory.mktemp("record") / "state")
    (found / "config").mkdir()
    for sha, text in SETS.items():
        (found / "config" / f"{sha}.json").write_text(json.dumps({"desk.toml": text}))
    return found


def report(state: Path, out: Path, *words: str) -> tuple[Done, str]:
    """Runs the command; what it printed, and the page."""
    result = called(app, "report", "--state", state, "--out", out, *words)
    return result, out.read_text() if out.exists() else ""


def test_the_page_needs_nothing_else_and_says_so(state: Path, tmp_path: Path) -> None:
    """No script, no address, a policy that allows its own style sheet alone."""
    result, page = report(state, tmp_path / "r.html")

    assert result.exit_code == 0
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://(?!x)| on[a-z]+=| style=", page)
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style is not None
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src &#x27;none&#x27;; style-src &#x27;sha256-{digest}&#x27;" in page


def test_the_page_tells_what_a_reviewer_asks(state: Path, tmp_path: Path) -> None:
    """Who loosened what, drills, doubts, orders from elsewhere, gaps, the proof, the controls; never *complies*."""
    _, page = report(state, tmp_path / "r.html")

    for words in (
        "Ada Lovelace", '<span class="tag looser">looser</span>', "100000 HKD becomes 120000 HKD",
        '<span class="tag tighter">tighter</span>', "Grace Hopper", "yearly drill", "US.GME", "disk full",
        "The record is whole.", "C18", "supports", "hit on", "never binds", "no answer in 30 s",
    ):  # fmt: skip
        assert words in page, words
    assert "compl" not in page.lower()
    assert "board limit &lt;b&gt;2&lt;/b&gt;" in page
    assert SPREADSHEET not in page


def test_a_report_of_an_edited_record_says_that_first(state: Path, tmp_path: Path) -> None:
    """The page is made all the same, and nobody can overlook it."""
    copy = tmp_path / "copy"
    (copy / "journal").mkdir(parents=True)
    for path in [*state.glob("journal/*.jsonl"), state / "checkpoints", state / "journal.vkey"]:
        (copy / path.relative_to(state)).write_bytes(path.read_bytes())
    text = file_of(copy).read_bytes()
    file_of(copy).write_bytes(text.replace(b'"key":"bot-pairs"', b'"key":"bot-paris"', 1))
    result, page = report(copy, tmp_path / "r.html", "--json")

    assert json.loads(result.stdout)["result"] == "edited"
    assert page.index("The record was edited.") < page.index("What came in</h2>")


@pytest.mark.parametrize(
    ("kept", "word"),
    [
        (json.dumps({"desk.toml": SETS[OTHER_SHA].replace("120000", "99999")}), "makes another set than its name says"),
        ("[1]", "is not what its name says"),
        ("{", "is not there or no JSON"),
    ],
)
def test_texts_that_were_edited_are_no_account_of_a_change(state: Path, tmp_path: Path, kept: str, word: str) -> None:
    """What is kept is another set than the record names: no difference is told, but the file that is wrong."""
    copy = tmp_path / "copy"
    shutil.copytree(state, copy)
    (copy / "config" / f"{OTHER_SHA}.json").write_text(kept)
    result, page = report(copy, tmp_path / "r.html")

    assert result.exit_code == 0
    assert f"nobody knows what changed: config/{OTHER_SHA}.json {word}" in page
    assert "99999" not in page


def test_an_empty_time_is_a_report_too(state: Path, tmp_path: Path) -> None:
    """Every section is there and says that there is nothing."""
    result, page = report(state, tmp_path / "r.html", "--since", "2030-01-01")

    assert result.exit_code == 0
    assert "No record lies in this time." in page
    assert page.count("None in this time.") > 8


def test_a_report_that_cannot_be_made_says_why(state: Path, tmp_path: Path) -> None:
    """A place that is not there, a time that is none."""
    assert "; --out names another place" in report(state, tmp_path / "nowhere" / "r.html")[0].stderr
    assert report(state, tmp_path / "r.html", "--since", "soon")[0].exit_code == 64
