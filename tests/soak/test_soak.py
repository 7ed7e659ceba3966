"""A short night in the gate; `make soak` is the long one."""

from pathlib import Path

from tests.soak.soak import Soak

SECONDS = 5


async def test_a_short_night(tmp_path: Path) -> None:
    """Traffic, faults, reloads, revocations, a stop and a kill: the record verifies, the ledger is the truth."""
    soak = Soak(tmp_path, seconds=SECONDS, seed=7)
    assert await soak.run() == []
    assert soak.lives >= 3
    assert len(soak.told.placed) >= 3, "nothing happened: the test proves nothing"
