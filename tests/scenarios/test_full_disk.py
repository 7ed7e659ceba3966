"""A disk that fills up or breaks: nothing is sent that is not on record, and nothing that was sent is forgotten."""

import asyncio
import errno
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import structlog

from guard.errors import JournalFault
from guard.simulator.faults import Ids
from tests.support.disk import NO_SPACE, FaultyDisk, HeldDisk
from tests.support.guards import lines, operate, record, said
from tests.support.journal import once_durable
from tests.support.stage import ACCOUNTS, DAILY, ORDER, Stage, again, code_of, decision_of, is_passed, stage

BAD: Final = OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("left", [0, 1, 500, 900, 1500, 2500, 4000, 7001])
async def test_whatever_fits_on_the_disk_is_all_that_is_sent(tmp_path: Path, left: int) -> None:
    """With so many bytes left, every order that reached the daemon has its decision on the disk."""
    disk = FaultyDisk()
    async with stage(tmp_path, policies=DAILY, disk=disk) as scene:
        await scene.ask(ACCOUNTS)
        await scene.written()
        disk.write_bytes_left = left
        replies = [await scene.place(remark=f"n{n}", key=f"k{n}") for n in range(12)]

        refused = [reply for reply in replies if not is_passed(reply)]
        assert refused
        assert {code_of(reply) for reply in refused} == {(503, "journal_unavailable")}
        assert said(refused[-1])["guard"]["retryable"] is False  # closed until a restart: trying again helps nobody
        assert "Retry-After" not in dict(refused[-1].headers)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        decided = {found["id"] for found in await scene.records("decision") if found["outcome"] == "allow"}
        sent = {request.idempotency_key for request in scene.reached()}
        assert sent <= decided
        assert scene.held() >= 20_000 * len(scene.daemon.orders)
        for n in range(len(sent)):
            reply = await scene.place(remark=f"n{n}", key=f"k{n}")
            assert is_passed(reply) or code_of(reply) == (409, "outcome_unknown")
        assert {request.idempotency_key for request in scene.reached()} == sent


@pytest.mark.parametrize("happened", [True, False])
async def test_a_sync_that_fails_sends_nothing(tmp_path: Path, happened: bool) -> None:
    """After a failed sync nobody knows what is on the medium: the order is not sent, and unknown if it turns up."""
    disk = FaultyDisk()
    async with stage(tmp_path, policies=DAILY, disk=disk) as scene:
        (disk.anyway if happened else disk.fails)["fdatasync"] = BAD
        reply = await scene.place(key="k")
        assert code_of(reply) == (503, "journal_unavailable")
        assert said(reply)["error"].startswith("nothing was sent: the record may not be on the disk")
        assert said(reply)["guard"]["retryable"] is False  # until a restart
        assert scene.reached() == []
        assert scene.held() == 0
        disk.fails.clear()
        disk.anyway.clear()
        assert code_of(await scene.place(remark="2")) == (503, "journal_unavailable")  # closed until a restart
        status, told = await operate(scene.guard, "/admin/state", {"state": "locked", "reason": "no disk"})
        assert (status, told["err_code"], told["guard"]["retryable"]) == (503, "journal_unavailable", False)
        assert (await operate(scene.guard, "/readyz"))[0] == 200
        assert (await operate(scene.guard, "/readyz"))[1]["degraded"] is True
        assert "guard_journal_failed 1.0" in (await operate(scene.guard, "/metrics"))[1]
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place(key="k")) == (409, "outcome_unknown")
        assert scene.held() == 20_000
        assert scene.reached() == []


async def test_an_outcome_that_could_not_be_written_is_unknown_after_a_restart(tmp_path: Path) -> None:
    """The caller has its answer, this run knows it; the next one knows only that the order was sent."""
    disk = FaultyDisk()
    async with stage(tmp_path, policies=DAILY, disk=disk) as scene:
        await scene.ask(ACCOUNTS)
        await scene.written()
        once_durable(scene.guard.journal, partial(disk.fails.setdefault, "write", NO_SPACE))
        reply = await scene.place(key="k")
        assert is_passed(reply)
        assert code_of(await scene.place(remark="2")) == (503, "journal_unavailable")
        assert said(await scene.place(key="k"))["s2c"]["order_id"] == said(reply)["s2c"]["order_id"]
        assert said(await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}"))["verdict"] == "accepted"
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place(key="k")) == (409, "outcome_unknown")
        assert scene.held() == 20_000
        assert len(scene.reached()) == 1


async def test_a_queue_without_room_stops_orders_before_they_are_decided(tmp_path: Path) -> None:
    """When too many decisions wait for the disk a new order is 503 overloaded, retryable, and a cancel passes."""
    async with stage(tmp_path, policies=DAILY) as scene:
        mine = await scene.placed()
        scene.guard.journal.has_room = no_room  # type: ignore[method-assign]
        refused = await scene.place(remark="2")
        assert code_of(refused) == (503, "overloaded")
        assert said(refused)["guard"]["retryable"] is True
        assert is_passed(await scene.cancel(mine))


async def test_an_outcome_that_a_full_queue_turned_away_is_written_before_the_next_decision(tmp_path: Path) -> None:
    """Outcomes catch up in order, so that a change never stands in the record before the order that it changes."""
    async with stage(tmp_path, policies=DAILY) as scene:
        turn_away(scene, times=1)
        mine = await scene.placed()
        assert is_passed(await scene.modify(mine, price=150))
        before = scene.ledger()
    types = [line["type"] for line in lines(scene.config) if line["type"] in {"decision", "outcome"}]
    assert types == ["decision", "outcome", "decision", "outcome"]
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before


async def test_no_change_is_decided_while_an_outcome_waits(tmp_path: Path) -> None:
    """As long as the queue stays full a change is refused rather than recorded out of order."""
    async with stage(tmp_path, policies=DAILY) as scene:
        turn_away(scene, times=3)
        mine = await scene.placed()
        for _ in range(2):
            assert code_of(await scene.modify(mine, price=150)) == (503, "journal_unavailable")
        assert is_passed(await scene.modify(mine, price=150))
        await scene.guard.reconciler.turn()  # until a list shows that nothing was filled, the larger value is held
        assert scene.held() == 15_000
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.held() == 15_000


def no_room(records: int) -> bool:
    """The journal's queue is as good as full."""
    return records < 0


def turn_away(scene: Stage, *, times: int) -> None:
    """The journal's queue is full for the next outcomes."""
    append_all, left = scene.guard.journal.append_all, [None] * times

    def full(type_: str, *args: Any, **kwargs: Any) -> range:
        if type_ == "outcome" and left:
            left.pop()
            raise JournalFault("the journal's queue is full")
        return append_all(type_, *args, **kwargs)

    scene.guard.journal.append_all = full  # type: ignore[method-assign]


@pytest.mark.parametrize(("call", "fault", "held"), [("write", NO_SPACE, 20_000), ("fdatasync", BAD, 0)])
async def test_a_persons_word_that_is_not_on_the_disk_frees_nothing_that_can_be_used(
    tmp_path: Path, call: str, fault: OSError, held: int
) -> None:
    """An order is given up, and the record of it fails: nobody trades until a restart, which goes by the record."""
    disk, people = FaultyDisk(), (record("bot"), record("desk", owner="a person"))
    async with stage(tmp_path, *people, policies=DAILY, disk=disk) as scene:
        scene.daemon.faults.add(Ids(77, "77", acts=False), path=ORDER)
        given_up = decision_of(await scene.place(time_in_force="GTC"))
        for s in (0, 86_400, 6):
            scene.clock.advance(s=s)
            await scene.guard.reconciler.turn()
        await scene.ask(ACCOUNTS)  # a new day's first record begins a file; here the settlement's is to fail
        await scene.written()
        disk.fails[call] = fault
        word = {"verdict": "refused", "reason": "the broker knows of no such order"}
        status, told = await operate(scene.guard, f"/admin/decisions/{given_up}/settle", word)
        assert (status, told["result"]) == (503, "unrecorded")
        disk.fails.clear()
        assert code_of(await scene.place(remark="2")) == (503, "journal_unavailable")
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.held() == held
        assert (given_up in scene.guard.desk.state.holders) == bool(held)


async def test_a_disk_that_does_not_answer_takes_no_new_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its callers are told so at once, and an operator too; cancels pass, and what waited goes on once it answers."""
    disk = HeldDisk()
    disk.let.set()
    async with stage(tmp_path, disk=disk) as scene:
        resting = await scene.placed()
        disk.let.clear()
        disk.is_syncing.clear()
        held = asyncio.ensure_future(scene.place(remark="held"))
        while not disk.is_syncing.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.001)
        assert scene.guard.journal.hangs_s == 0
        monkeypatch.setattr("guard.journal.writer.HANG_S", 0.0)
        refused = await scene.place(remark="new")
        assert code_of(refused) == (503, "journal_unavailable")
        assert said(refused)["guard"]["retryable"] is True
        assert is_passed(await scene.cancel(resting))
        told = (await operate(scene.guard, "/readyz"))[1]
        assert [word for word in told["reasons"] if "its disk has not answered for" in word]
        with structlog.testing.capture_logs() as logs:
            scene.guard.keeper.tell_space()
        assert [line["event"] for line in logs] == ["disk_hangs"]
        monkeypatch.undo()
        disk.let.set()
        assert is_passed(await held)
        assert is_passed(await scene.place(remark="new"))
