"""Orders of several turns of the loop that share one sync: they share its failure too, and HALT still meets each."""

import asyncio
import errno
from pathlib import Path

import pytest

from guard.terms import Reply
from tests.support.disk import FaultyDisk
from tests.support.guards import operate
from tests.support.stage import Stage, again, code_of, is_passed, stage
from tests.support.tracked import LIMITS

DAY = LIMITS.replace("open_orders = 5\n", "").replace("500000", "100000")


async def _wave(scene: Stage) -> list[Reply]:
    """Six orders of 10,000 HKD, of which each next turn of the loop brings more than the last."""
    return await asyncio.gather(
        *[_later(scene, turn=turn, name=f"n{turn}{n}") for turn in range(3) for n in range(turn + 1)]
    )


async def _later(scene: Stage, *, turn: int, name: str) -> Reply:
    for _ in range(turn):
        await asyncio.sleep(0)
    return await scene.place(qty=100, price=100, remark=name)


@pytest.mark.parametrize("fails", ["fails", "anyway"])
async def test_a_sync_that_fails_refuses_all_that_share_it(tmp_path: Path, fails: str) -> None:
    """None is sent, nor holds anything; the next start, whose record has some or all, holds those as unknown."""
    disk = FaultyDisk()
    async with stage(tmp_path, policies=DAY, disk=disk) as scene:
        assert is_passed(await scene.place(qty=100, price=100))
        await scene.written()
        getattr(disk, fails)["fdatasync"] = OSError(errno.EIO, "the medium")
        told = {code_of(reply) for reply in await _wave(scene)}

        assert told == {(503, "journal_unavailable")}
        assert scene.held() == 10_000
        assert len(scene.reached()) == 1
        daemon, clock, config = scene.daemon, scene.clock, scene.config
    async with again(config, daemon=daemon, clock=clock) as scene:
        assert len(scene.daemon.orders) == 1
        unknown = (await operate(scene.guard, "/status"))[1]["unknown"]
        assert 1 <= len(unknown) <= 6
        assert scene.held() == 10_000 * (1 + len(unknown))
        left = 90_000 - 10_000 * len(unknown)
        assert code_of(await scene.place(qty=100, price=left / 100 + 1)) == (403, "daily_value")
        assert is_passed(await scene.place(qty=100, price=left / 100))


class HaltingDisk(FaultyDisk):
    """A disk during whose next sync somebody lays HALT."""

    halt: Path | None = None

    def fdatasync(self, fd: int) -> None:
        """Syncs; HALT lies there before it ends."""
        if self.halt is not None:
            self.halt.touch()
        super().fdatasync(fd)


async def test_a_halt_that_appears_during_the_sync_stops_each_that_shares_it(tmp_path: Path) -> None:
    """They were decided in turns before it: each is looked at once more after the sync."""
    disk = HaltingDisk()
    async with stage(tmp_path, policies=DAY, disk=disk) as scene:
        disk.halt = scene.config.parent / "state" / "HALT"
        replies = await _wave(scene)

        assert [reply for reply in replies if is_passed(reply)] == []
        assert scene.reached() == []
        assert scene.held() == 0
