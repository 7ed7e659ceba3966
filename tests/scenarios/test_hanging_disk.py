"""A disk that does not answer: what counts keeps its room in the queue, and nothing false is told."""

import asyncio
import errno
from pathlib import Path

import pytest
import structlog

from guard.errors import JournalFault
from guard.journal.backlog import QueueBounds
from guard.terms import Reply
from tests.support.disk import HeldDisk
from tests.support.guards import operate
from tests.support.stage import Stage, account, code_of, is_passed, stage

BAD = OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("together", [False, True])
async def test_refusals_on_a_disk_that_does_not_answer_leave_room_for_cancels_and_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, together: bool
) -> None:
    """Whoever tries again and again fills three quarters of the queue at most; the rest is for what counts."""
    disk = HeldDisk()
    disk.let.set()
    async with stage(tmp_path, disk=disk) as scene:
        resting, journal = await scene.placed(), scene.guard.journal
        journal._backlog._room = QueueBounds(40, 2**20)
        journal._backlog._calm = journal._calm_bounds = QueueBounds(30, 2**20)
        held = await hung(scene, disk)
        monkeypatch.setattr("guard.journal.writer.HANG_S", 0.0)
        for n in range(15):
            tried = [scene.place(remark=f"n{n}-{m}") for m in range(4)]
            replies = await asyncio.gather(*tried) if together else [await one for one in tried]
            assert {code_of(reply) for reply in replies} == {(503, "journal_unavailable")}
        assert journal.queue_records <= 34
        with structlog.testing.capture_logs() as logs:
            assert is_passed(await scene.cancel(resting))
        assert "cancel_not_recorded" not in {line["event"] for line in logs}
        assert not (scene.guard.directory / "gap.jsonl").exists()
        locked = asyncio.ensure_future(operate(scene.guard, "/admin/state", {"state": "locked", "reason": "hung"}))
        async with asyncio.timeout(60):
            while not scene.guard.desk.state.trading:
                assert not locked.done()
                await asyncio.sleep(0.001)
        monkeypatch.undo()
        disk.let.set()
        await held
        assert (await locked)[0] == 200
        assert [rule.state for rule in scene.guard.desk.state.trading.values()] == ["locked"]


async def test_a_disk_that_answers_with_a_fault_is_not_told_to_have_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hung, and then the record could not be written: nobody reads that all is well."""
    disk = HeldDisk()
    disk.let.set()
    async with stage(tmp_path, disk=disk) as scene:
        await scene.placed()
        held = await hung(scene, disk)
        monkeypatch.setattr("guard.journal.writer.HANG_S", 0.0)
        with structlog.testing.capture_logs() as logs:
            scene.guard.keeper.tell_space()
            disk.fails["fdatasync"] = BAD
            disk.let.set()
            await held
            assert scene.guard.journal.failed is not None
            scene.guard.keeper.tell_space()
        assert [line["event"] for line in logs if line["event"].startswith("disk_")] == ["disk_hangs"]


async def test_a_cancel_for_which_there_is_no_room_touches_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes and is told in the log: a file beside the record is on the disk that would hold up the loop."""

    def is_full(*_: object, **__: object) -> int:
        raise JournalFault("the journal's queue is full")

    disk = HeldDisk()
    disk.let.set()
    async with stage(tmp_path, disk=disk) as scene:
        resting = await scene.placed()
        held = await hung(scene, disk)
        with monkeypatch.context() as patch:
            patch.setattr("guard.journal.writer.HANG_S", 0.0)
            patch.setattr(scene.guard.journal, "append", is_full)
            with structlog.testing.capture_logs() as logs:
                assert is_passed(await scene.cancel(resting))
        assert [line["noted"] for line in logs if line["event"] == "cancel_not_recorded"] == [False]
        assert not (scene.guard.directory / "gap.jsonl").exists()
        disk.let.set()
        assert is_passed(await held)


async def test_reads_on_a_disk_that_does_not_answer_leave_room_for_cancels(tmp_path: Path) -> None:
    """What is recorded of them takes no more than three quarters of the queue; they pass all the same."""
    disk = HeldDisk()
    disk.let.set()
    async with stage(tmp_path, disk=disk) as scene:
        await scene.placed()
        journal = scene.guard.journal
        journal._backlog._room, journal._backlog._calm = QueueBounds(40, 2**20), QueueBounds(30, 2**20)
        held = await hung(scene, disk)
        for _ in range(60):
            assert is_passed(await scene.ask("/api/funds", account()))
        assert 20 < journal.queue_records <= 30
        disk.let.set()
        assert is_passed(await held)


async def hung(scene: Stage, disk: HeldDisk) -> "asyncio.Future[Reply]":
    """The answer to an order for whose sync the disk does not answer from now on."""
    disk.let.clear()
    disk.is_syncing.clear()
    held = asyncio.ensure_future(scene.place(remark="held"))
    async with asyncio.timeout(60):
        while not disk.is_syncing.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.001)
    return held
