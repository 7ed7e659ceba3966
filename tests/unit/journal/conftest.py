"""What tests of the journal begin with."""

from pathlib import Path

import pytest

from guard.journal import JournalBounds
from tests.support.journal import decision, open_journal


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with a closed journal of several segments."""
    journal = open_journal(tmp_path / "state", bounds=JournalBounds(segment_bytes_max=1200))
    for n in range(8):
        journal.append("decision", decision(f"01K{n}"))
    journal.shut()
    return tmp_path / "state"
