"""A disk that fills up, told as a day at the desk: new orders stop, cancels and outcomes do not."""

import asyncio
from pathlib import Path

import pytest
import structlog

from guard.journal.space import ballast_path
from tests.support.disk import FaultyDisk
from tests.support.guards import operate
from tests.support.signed import verdict
from tests.support.stage import again, code_of, is_passed, stage

MIB = 2**20


def filled(free: int) -> FaultyDisk:
    """A disk with so much left."""
    disk = FaultyDisk()
    disk.free = free
    return disk


async def test_a_disk_that_is_almost_full_takes_no_new_order_and_every_cancel(tmp_path: Path) -> None:
    """503 `journal_unavailable` for orders and changes; a cancel passes and is recorded."""
    async with stage(tmp_path) as scene:
        order = await scene.placed()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock, disk=filled(60 * MIB)) as scene:
        assert code_of(await scene.place()) == (503, "journal_unavailable")
        assert code_of(await scene.modify(order, price=190)) == (503, "journal_unavailable")
        cancel = await scene.cancel(order)
        assert is_passed(cancel)
        assert (await scene.decision(cancel))["outcome"] == "allow"
        assert any("almost full" in reason for reason in (await operate(scene.guard, "/readyz"))[1]["reasons"])
        assert (await operate(scene.guard, "/status"))[1]["journal"]["space"] == "stop"
    assert verdict(tmp_path / "state") == "ok"


async def test_the_operator_is_warned_before_orders_stop(tmp_path: Path) -> None:
    """Below the first mark everything passes, `/readyz` says that it is getting tight, and the ballast is laid by."""
    async with stage(tmp_path, disk=filled(500 * MIB)) as scene:
        await scene.placed()
        status, told = await operate(scene.guard, "/readyz")
        assert (status, told["degraded"]) == (200, True)
        assert any("filling up" in reason for reason in told["reasons"])
        assert ballast_path(tmp_path / "state").exists()


async def test_orders_pass_again_once_there_is_room(tmp_path: Path) -> None:
    """No restart is needed: the next look, a second later at most, finds it."""
    disk = filled(60 * MIB)
    async with stage(tmp_path, disk=disk) as scene:
        assert code_of(await scene.place()) == (503, "journal_unavailable")
        disk.free = 100 * 2**30
        async with asyncio.timeout(60):
            while scene.guard.journal.space != "ample":  # noqa: ASYNC110 - a thread looks
                await asyncio.sleep(0.01)
        assert is_passed(await scene.place())


async def test_that_the_disk_fills_up_is_logged_while_a_snapshot_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round of the keeper may take an hour, and it is then that the disk fills up."""
    monkeypatch.setattr("guard.lifecycle.EVERY_S", 0.01)
    disk = filled(100 * 2**30)
    async with stage(tmp_path, disk=disk) as scene:
        async with scene.guard.keeper._turn:
            round_ = asyncio.ensure_future(scene.guard.keeper.round())
            disk.free = 500 * MIB
            with structlog.testing.capture_logs() as logs:
                async with asyncio.timeout(60):
                    while "disk_low" not in [line["event"] for line in logs]:  # noqa: ASYNC110 - a round looks for it
                        await asyncio.sleep(0.01)
            assert not round_.done()
        await round_
