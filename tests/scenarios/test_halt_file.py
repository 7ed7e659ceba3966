"""The file HALT is on record, and nothing hangs on that record: the file itself stops trading."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from guard.admin.haltfile import _told
from guard.recovery.readback import recover
from tests.support.stage import Stage, code_of, is_passed, next_run, stage


async def states(scene: Stage, many: int) -> list[dict[str, Any]]:
    """The `state` records, once there are so many."""
    async with asyncio.timeout(60):
        while len(found := await scene.records("state")) < many:  # noqa: ASYNC110 - a round looks for it
            await asyncio.sleep(0.01)
    return found


async def test_a_reviewer_finds_when_the_file_came_whose_it_was_and_when_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One `state` record each; a state that an operator has set meanwhile is neither taken for it nor lifted by it."""
    monkeypatch.setattr("guard.lifecycle.EVERY_S", 0.01)
    async with stage(tmp_path) as scene:
        halt = scene.guard.directory / "HALT"
        halt.touch()
        os.utime(halt, (1_795_340_000, 1_795_340_000))
        (came,) = await states(scene, 1)
        assert (came["state"], came["by"], came["halt_file"]) == ("cancel_only", "HALT", True)
        assert came["reason"].endswith(f", of uid {os.getuid()} and from 2026-11-22T09:33:20Z")
        await scene.set_state("reduce_only")
        halt.unlink()
        went = (await states(scene, 3))[-1]
        assert (went["state"], went["by"], went["halt_file"]) == ("active", "HALT", True)
        assert code_of(await scene.place()) == (403, "reduce_only")
    async with next_run(scene) as scene:
        assert code_of(await scene.place()) == (403, "reduce_only")


async def test_a_halt_file_that_went_between_two_runs_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start does not take the record for a state; a file that is still there is told of again."""
    monkeypatch.setattr("guard.lifecycle.EVERY_S", 0.01)
    async with stage(tmp_path) as scene:
        (scene.guard.directory / "HALT").symlink_to("/nowhere")
        await states(scene, 1)
    async with next_run(scene) as scene:
        assert [one["halt_file"] for one in await states(scene, 2)] == [True, True]
        assert code_of(await scene.place()) == (423, "halted")
        (scene.guard.directory / "HALT").unlink()
    async with next_run(scene) as scene:
        assert is_passed(await scene.place())
    assert not recover(tmp_path / "state").state.trading


def test_a_halt_file_of_a_time_that_no_calendar_has_is_told() -> None:
    """tmpfs, btrfs and ZFS keep any."""
    for seconds in (10**12, -(10**12), 2**62):
        found = os.stat_result((0o100644, 1, 1, 1, 1000, 0, 0, 0, seconds, 0))
        assert _told(found).endswith(f"of uid 1000 and from {seconds} s after 1970")
