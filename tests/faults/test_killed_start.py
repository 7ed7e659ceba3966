"""SIGKILL at every call to the disk of a start and of a rotation, or a power cut there: the next start goes on."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from guard.journal import replay
from tests.support.journal import decision, file_of, open_journal
from tests.support.killed_start import BOUNDS, LONG
from tests.support.signed import verdict

ROOT: Final = Path(__file__).parents[2]
SIGNED: Final = 2  # records


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """What a crash left: two records that no checkpoint covers, a torn line; and two small files are missing."""
    state = tmp_path / "base"
    journal = open_journal(state, bounds=BOUNDS)
    journal.append("decision", decision("01A"))
    journal.shut()
    signed = (state / "checkpoints").read_bytes()
    journal = open_journal(state, bounds=BOUNDS)
    for _ in range(2):
        journal.append("a", {"said": LONG})
    journal.shut()
    (state / "checkpoints").write_bytes(signed)
    with file_of(state).open("ab") as file:
        file.write(b'{"seq":')
    (state / "journal.vkey").unlink()
    (state / "format").unlink()
    return state


@pytest.mark.parametrize("how", ["killed", "cut"])
def test_wherever_a_start_dies_the_next_one_has_all_that_was_told(base: Path, tmp_path: Path, how: str) -> None:
    """In the setting aside, the writing again, a rotation, a signature: no acknowledged record is gone or changed."""
    root = tmp_path / how
    command = [sys.executable, "-m", "tests.support.killed_start", str(base), str(root), how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    graves = sorted(root.iterdir())
    assert (done.returncode, [path.read_text() for path in root.glob("*/error")]) == (0, []), done.stderr
    assert len(graves) > 60, "too few calls to have been all that"

    for grave in graves:
        state, told = grave / "state", grave / "told"
        seqs = {int(line) for line in told.read_text().split()} if told.exists() else set()
        if (state / "journal.vkey").exists():
            assert verdict(state) in {"ok", "torn"}, grave
        journal = open_journal(state, bounds=BOUNDS)
        journal.append("a", {"after": grave.name})
        journal.shut()
        assert verdict(state) == "ok", grave
        assert (state / "journal.vkey").read_bytes(), grave
        lines = list(replay(state))
        assert [line.type for line in lines[:4]] == ["segment", "decision", "a", "a"], grave
        assert seqs <= {line.seq for line in lines if line.members().get("said") == LONG}, grave
