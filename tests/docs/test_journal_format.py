"""docs/journal-format.md: its example is what the code makes, and a stranger's verifier accepts it."""

import hashlib
import re
import runpy
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

from guard.journal import RECORDS, offline
from guard.journal.examine import KeptNote, examine
from guard.journal.tree import leaf
from tests.support import vectors
from tests.support.signed import OWN

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "journal-format.md").read_text()
BLOCKS: Final = [block + "\n" for block in re.findall(r"```\n(.*?)\n```", PAGE, re.DOTALL)]


def test_the_examples_are_what_the_code_makes() -> None:
    """Key, lines, checkpoint, proof, records and succession, word for word."""
    lines = "".join(line.decode() + "\n" for line in vectors.lines())
    records = "".join(msgspec.json.encode(one).decode() + "\n" for one in (vectors.segment(), vectors.prune()))

    assert [
        f"{OWN.verifier.vkey}\n",
        lines,
        vectors.checkpoint(),
        vectors.proof(),
        records,
        vectors.succession(),
    ] == BLOCKS


def test_the_tables_are_the_hashes_of_the_lines() -> None:
    """Each line's hash and leaf, and the root after each."""
    for number, line in enumerate(vectors.lines(), 1):
        assert f"| {number} | `{hashlib.sha256(line).hexdigest()}` | `{leaf(line).hex()}` |" in PAGE
    for size, tree in enumerate(vectors.trees()):
        assert f"| {size} | `{tree.root().hex()}` |" in PAGE


def test_every_type_of_record_is_named() -> None:
    """A verifier's author knows what may come."""
    named = set(re.findall(r"`([a-z]+)`", PAGE))

    assert set(RECORDS) <= named


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The page's example as files."""
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "00000001.jsonl").write_text(BLOCKS[1])
    (tmp_path / "checkpoints").write_text(BLOCKS[2])
    (tmp_path / "key").write_text(BLOCKS[0])
    (tmp_path / "proof").write_text(BLOCKS[3])
    return tmp_path


@pytest.mark.parametrize(("what", "path"), [("record", ""), ("proof", "proof")])
def test_the_shipped_verifier_accepts_the_pages_example(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str, path: str
) -> None:
    """From the page alone to a verdict."""
    monkeypatch.setattr(sys, "argv", ["guard_verify.py", what, str(state / path), "--vkey", str(state / "key")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(offline.__file__), run_name="__main__")

    assert ended.value.code == 0
    assert "ok: " in capsys.readouterr().out


def test_the_guard_accepts_the_pages_example() -> None:
    """And so does the command's own reading."""
    lines = [line + b"\n" for line in vectors.lines()]

    assert examine(lines, [KeptNote(BLOCKS[2], "page")], [OWN.verifier]).result == "ok"


def test_the_gaps_are_pointed_to() -> None:
    """Who reads how it works finds what it does not do."""
    assert "](gaps.md)" in PAGE
    assert (ROOT / "docs" / "gaps.md").read_text().startswith("# What the record does not prove")
