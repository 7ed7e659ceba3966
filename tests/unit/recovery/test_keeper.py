"""The keeper: snapshots behind closed segments, appended in between, and the end of old segments."""

import asyncio
import contextlib
import errno
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from msgspec.structs import replace

from guard.errors import JournalFault
from guard.journal import Journal, JournalBounds, read_lines
from guard.journal.runs import Run, runs
from guard.journal.segments import segment_numbers
from guard.journal.space import Marks
from guard.recovery import keeper as keeper_module
from guard.recovery.keeper import AGAIN_S, Keeper
from guard.recovery.readback import recover
from guard.recovery.snapshots import resume
from tests.support.clock import ManualClock
from tests.support.disk import FaultyDisk
from tests.support.journal import decision, file_of
from tests.support.recovered import placed, told
from tests.support.signed import verdict

SMALL: Final = JournalBounds(segment_bytes_max=8000)
LONG: Final = timedelta(days=2557)


def kept(journal: Journal, state: Path, *, clock: ManualClock | None = None, retention: timedelta = LONG) -> Keeper:
    """A keeper as a start makes one."""
    run = resume(state)[1] if journal.last_seq else None
    return Keeper(journal, state, clock=clock or ManualClock(), retention=retention, run=run)


def opened(state: Path, clock: ManualClock | None = None) -> Journal:
    """A journal of small segments."""
    return Journal.open(state, clock=clock or ManualClock(), bounds=SMALL)


async def fill(journal: Journal, *numbers: int) -> None:
    """So many orders."""
    for number in range(*numbers):
        journal.append("decision", placed(number))
    await journal.durable(journal.last_seq)


async def pass_by(journal: Journal, clock: ManualClock, *, days: int) -> None:
    """So many days, with a record each."""
    for _ in range(days):
        clock.advance(s=86_400)
        journal.append("a", {})
    await journal.durable(journal.last_seq)


async def aged(state: Path) -> tuple[Journal, ManualClock, Keeper]:
    """A record of which all that is closed is older than its retention of a day, and its keeper."""
    clock = ManualClock()
    journal = opened(state, clock)
    await fill(journal, 100)
    clock.advance(s=400 * 86_400)
    return journal, clock, kept(journal, state, clock=clock, retention=timedelta(days=1))


def types(state: Path) -> list[str]:
    """The types of all records."""
    return [line.split(b'"type":"', 1)[1].split(b'"', 1)[0].decode() for line in read_lines(state)]


async def test_a_closed_segment_is_followed_by_a_snapshot(tmp_path: Path) -> None:
    """From then on a start reads no further back, and finds the same."""
    state = tmp_path / "state"
    journal = opened(state)
    keeper = kept(journal, state)
    await fill(journal, 5)
    await keeper.round()
    assert "snapshot" not in types(state), "no segment is closed yet"

    await fill(journal, 5, 40)
    await keeper.round()
    (run,) = runs(state)
    await journal.close()

    found, used = resume(state)
    assert used is not None
    assert used.at_seq == run.at_seq
    assert told(found) == told(recover(state))
    assert verdict(state) == "ok"


async def test_orders_pass_while_a_snapshot_is_made(tmp_path: Path) -> None:
    """Its records stand between theirs; an order that comes waits for no more than a few of its parts.

    One comes in each turn of the loop that brought a part: how many come while one waits for the disk is the machine's.
    """
    state = tmp_path / "state"
    journal = opened(state)
    keeper = kept(journal, state)
    await fill(journal, 1000)
    append, turns, came = journal.append, 0, asyncio.Event()

    def counted(type_: str, members: Any, **more: Any) -> int:
        if type_ == "snapshot":
            came.set()
        return append(type_, members, **more)

    async def trade() -> None:
        nonlocal turns
        while await came.wait():
            came.clear()
            turns += 1
            append("decision", placed(2000 + turns))

    journal.append = counted  # type: ignore[method-assign]
    trading = asyncio.ensure_future(trade())
    await keeper.round()
    trading.cancel()
    await asyncio.wait([trading])
    await journal.close()

    between = "".join("s" if kind == "snapshot" else "o" if kind == "decision" else "" for kind in types(state))
    assert turns > 5
    assert "so" in between.rstrip("o")
    assert max(map(len, between.strip("o").rpartition("o")[0].replace("o", " ").split())) <= 4
    assert told(resume(state)[0]) == told(recover(state))


async def test_the_same_snapshot_is_not_made_twice(tmp_path: Path) -> None:
    """Neither in the same run nor in the next."""
    state = tmp_path / "state"
    journal = opened(state)
    await fill(journal, 40)
    keeper = kept(journal, state)
    await keeper.round()
    before = types(state)
    await keeper.round()
    await kept(journal, state).round()

    assert types(state) == before
    await journal.close()


async def test_two_rounds_at_once_make_one_snapshot(tmp_path: Path) -> None:
    """Parts of two that stood between each other would be no snapshot at all, with the past deleted behind them."""
    state = tmp_path / "state"
    journal = opened(state)
    await fill(journal, 400)
    keeper = kept(journal, state)
    await asyncio.gather(keeper.round(), keeper.round())
    await journal.close()
    assert len(list(runs(state))) == 1
    assert told(resume(state)[0]) == told(recover(state))


async def test_a_snapshot_larger_than_a_segment_does_not_call_for_the_next_one(tmp_path: Path) -> None:
    """Snapshots take at most half of the record: the next is due when as much else was recorded."""
    state = tmp_path / "state"
    journal = opened(state)
    keeper = kept(journal, state)
    await fill(journal, 200)
    for _ in range(4):
        await keeper.round()
    (first,) = runs(state)
    assert first.record_bytes > 3 * SMALL.segment_bytes_max

    await fill(journal, 200, 220)
    await keeper.round()
    assert len(list(runs(state))) == 1
    await fill(journal, 220, 500)
    await keeper.round()
    assert len(list(runs(state))) == 2
    await journal.close()


def at_the_first_part(journal: Journal, act: Callable[[], None]) -> asyncio.Event:
    """Set, after `act`, in the turn of the loop in which the first part of a snapshot is appended."""
    append, begun = journal.append, asyncio.Event()

    def watched(type_: str, members: Any, **more: Any) -> int:
        seq = append(type_, members, **more)
        if type_ == "snapshot" and not begun.is_set():
            act()
            begun.set()
        return seq

    journal.append = watched  # type: ignore[method-assign]
    return begun


async def test_a_snapshot_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    """A drain or a crash in the middle leaves parts that count for nothing, and no process behind."""
    state = tmp_path / "state"
    journal = opened(state)
    await fill(journal, 400)
    begun = at_the_first_part(journal, lambda: None)
    round_ = asyncio.ensure_future(kept(journal, state).round())
    await begun.wait()
    round_.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await round_
    await journal.close()
    assert list(runs(state)) == []

    journal = opened(state)
    await kept(journal, state).round()
    await journal.close()
    assert len(list(runs(state))) == 1
    assert told(resume(state)[0]) == told(recover(state))


# ---------------------------------------------------------------- what fails


async def failing(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is logged in three rounds of the service."""
    monkeypatch.setattr(keeper_module, "ROUND_S", 0.001)
    rounds = 0
    own = keeper.round

    async def counted() -> None:
        nonlocal rounds
        rounds += 1
        await own()

    monkeypatch.setattr(keeper, "round", counted)
    with structlog.testing.capture_logs() as logs:
        serving = asyncio.ensure_future(keeper.serve())
        while rounds < 3:
            assert not serving.done()
            await asyncio.sleep(0.005)
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
    return [line for line in logs if line["event"] == "record_not_kept"]


async def test_a_process_that_cannot_be_started_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again; orders do not mind."""
    state = tmp_path / "state"
    journal = opened(state)
    await fill(journal, 40)
    keeper = kept(journal, state)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    (told_,) = await failing(keeper, monkeypatch)
    assert "nowhere" in told_["why"]
    await fill(journal, 40, 41)
    await journal.close()


async def test_a_process_that_hangs_is_ended_and_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was the last snapshot of the guard's life, and nobody was told."""
    state, program = tmp_path / "state", tmp_path / "hangs"
    journal = opened(state)
    await fill(journal, 40)
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(program))
        patch.setattr(keeper_module, "TIMEOUT_S", 0.05)
        keeper = kept(journal, state)
        (told_,) = await asyncio.wait_for(failing(keeper, monkeypatch), 60)
    assert "took longer" in told_["why"]
    await Keeper.round(keeper)
    await journal.close()
    assert len(list(runs(state))) == 1


async def test_a_record_that_cannot_be_folded_is_told_and_appends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process says why; a snapshot of half a state is never begun."""
    state = tmp_path / "state"
    journal = opened(state)
    journal.append("decision", decision("01A", effect="order_new", outcome="allow"))
    await fill(journal, 40)
    (told_,) = await failing(Keeper(journal, state, clock=ManualClock(), retention=LONG, run=None), monkeypatch)

    assert "opens an order without an account" in told_["why"]
    assert "snapshot" not in types(state)
    await journal.close()


def is_scarce(journal: Journal) -> bool:
    """No new orders are taken: what is left of the disk is for outcomes."""
    return journal.space == "stop"


async def test_no_snapshot_is_begun_on_a_disk_that_is_almost_full(tmp_path: Path) -> None:
    """What is left there is for the outcomes of what is under way; with room again there is one."""
    state, disk = tmp_path / "state", FaultyDisk()
    disk.free = 0
    journal = Journal.open(state, clock=ManualClock(), bounds=replace(SMALL, look_s=0.001), disk=disk)
    await fill(journal, 40)
    assert is_scarce(journal)
    await kept(journal, state).round()
    assert "snapshot" not in types(state)

    disk.free = 10**12
    async with asyncio.timeout(60):
        while is_scarce(journal):
            await fill(journal, 40, 41)
    await kept(journal, state).round()
    await journal.close()
    assert len(list(runs(state))) == 1


async def test_what_room_the_disk_has_is_told_when_it_changes(tmp_path: Path) -> None:
    """Once each, also by a journal that has failed on a full disk."""
    state, disk = tmp_path / "state", FaultyDisk()
    disk.free = 0
    journal = Journal.open(state, clock=ManualClock(), bounds=replace(SMALL, look_s=0.001), disk=disk)
    keeper, seen = kept(journal, state), list[tuple[str, str]]()
    for free, level in ((0, "stop"), (Marks().stop_bytes, "low"), (10**12, "ample"), (10**12, "ample")):
        disk.free = free
        async with asyncio.timeout(60):
            while journal.space != level:
                await fill(journal, 40, 41)
        with structlog.testing.capture_logs() as logs:
            keeper.tell_space()
            keeper.tell_space()
        seen += [(line["log_level"], line["event"]) for line in logs if line["event"].startswith("disk_")]
    assert seen == [("warning", "disk_stop"), ("warning", "disk_low"), ("info", "disk_has_room")]

    disk.free = 0
    disk.fails["write"] = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(JournalFault):
        await fill(journal, 40, 41)
    with structlog.testing.capture_logs() as logs:
        keeper.tell_space()
    assert [line["event"] for line in logs] == ["disk_stop"]
    await journal.close()


async def test_no_snapshot_is_begun_that_a_failed_journal_could_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that folds the whole record every five seconds until the restart would help nobody."""
    state, disk = tmp_path / "state", FaultyDisk()
    journal = Journal.open(state, clock=ManualClock(), bounds=SMALL, disk=disk)
    keeper = kept(journal, state)
    await fill(journal, 40)
    disk.fails["write"] = OSError(errno.EIO, "Input/output error")
    with pytest.raises(JournalFault):
        await fill(journal, 40, 41)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    await keeper.round()
    await journal.close()


async def test_a_snapshot_that_fills_the_disk_is_broken_off(tmp_path: Path) -> None:
    """Before it takes the room that outcomes need; and it is not begun again until there is room for all of it.

    Whoever deletes a little on a full disk would see each time how the next half of a snapshot takes it.
    """
    state, disk = tmp_path / "state", FaultyDisk()
    journal = Journal.open(state, clock=ManualClock(), bounds=replace(SMALL, look_s=0.001), disk=disk)
    await fill(journal, 400)
    keeper = kept(journal, state)

    def fill_up() -> None:
        disk.free, end_s = 0, time.monotonic() + 60
        while not is_scarce(journal) and time.monotonic() < end_s:  # a thread looks
            time.sleep(0.001)

    at_the_first_part(journal, fill_up)
    with pytest.raises(ValueError, match="almost full"):
        await keeper.round()
    await journal.durable(journal.last_seq)
    before = types(state).count("snapshot")
    await keeper.round()
    assert types(state).count("snapshot") == before
    for free, expected in ((Marks().stop_bytes + 1, 0), (10**12, 1)):
        disk.free = free
        async with asyncio.timeout(60):
            while is_scarce(journal):
                await fill(journal, 400, 401)
        await keeper.round()
        await fill(journal, 400, 401)
        assert len(list(runs(state))) == expected
    await journal.close()


# ---------------------------------------------------------------- retention


async def test_old_segments_go_once_a_snapshot_stands_for_them(tmp_path: Path) -> None:
    """Recorded with their root; what is kept verifies, and a start finds the same as before."""
    state, clock = tmp_path / "state", ManualClock()
    journal = opened(state, clock)
    keeper = kept(journal, state, clock=clock, retention=timedelta(days=30))
    for day in range(4):
        await fill(journal, day * 30, day * 30 + 30)
        clock.advance(s=86_400)
    await keeper.round()
    before = told(recover(state))
    assert segment_numbers(state)[0] == 1, "they are not old yet"

    await pass_by(journal, clock, days=29)
    await keeper.round()
    await journal.close()
    gone = segment_numbers(state)[0] - 1
    assert gone > 1
    assert types(state).count("prune") == 1
    assert verdict(state) == "ok"
    assert told(resume(state)[0]) == before


async def test_what_the_last_snapshot_goes_on_from_stays_however_old(tmp_path: Path) -> None:
    """Nothing that a start needs is ever deleted."""
    state, clock = tmp_path / "state", ManualClock()
    journal = opened(state, clock)
    keeper = kept(journal, state, clock=clock, retention=timedelta(days=1))
    await fill(journal, 100)
    clock.advance(s=400 * 86_400)
    await keeper._prune()
    assert segment_numbers(state)[0] == 1, "there is no snapshot yet"

    await keeper.round()
    await journal.close()
    (run,) = runs(state)
    assert b'"seq":%d,' % (run.at_seq + 1) in next(read_lines(state))
    assert told(resume(state)[0])["basics"]
    again = opened(state, clock)
    await fill(again, 100, 101)
    await again.close()
    assert verdict(state) == "ok"


async def test_texts_that_could_not_go_are_looked_for_again(tmp_path: Path) -> None:
    """No segment has to go first: an hour after it failed what no record names is looked for once more, and goes."""
    state = tmp_path / "state"
    journal, clock, keeper = await aged(state)
    folder, in_force = state / "config", "cd" * 32
    keeper._in_force = lambda: (in_force,)
    odd, text = folder / f"{in_force}.json", folder / f"{'ab' * 32}.json"
    odd.mkdir(parents=True)  # what it names nobody can say
    text.touch()
    os.utime(text, (0, 0))
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            await keeper.round()
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["config_not_pruned"]

    odd.rmdir()
    await keeper.round()
    assert text.exists()
    clock.advance(s=AGAIN_S)
    await keeper.round()
    assert not text.exists()
    await journal.close()


async def test_nothing_goes_behind_a_snapshot_that_cannot_be_read_back(tmp_path: Path) -> None:
    """The past is all there is then: nothing goes before another snapshot of it is made."""
    state, clock = tmp_path / "state", ManualClock()
    journal = opened(state, clock)
    await fill(journal, 100)
    await pass_by(journal, clock, days=40)
    last = json.loads(file_of(state, segment_numbers(state)[-1]).read_bytes().partition(b"\n")[0])["seq"] - 1
    gone = Run(last, (), record_bytes=10**6)
    keeper = Keeper(journal, state, clock=clock, retention=timedelta(days=30), run=gone)
    with pytest.raises(ValueError, match=f"the snapshot at record {last} cannot be read back"):
        await keeper.round()
    assert segment_numbers(state)[0] == 1

    await keeper.round()
    await journal.close()
    assert segment_numbers(state)[0] > 1
    assert [run.at_seq for run in runs(state)] == [last]
    assert verdict(state) == "ok"


async def test_nothing_goes_behind_a_snapshot_that_is_damaged(tmp_path: Path) -> None:
    """Nor is another one made of a chain that is broken: the person finds everything where it was."""
    state, clock = tmp_path / "state", ManualClock()
    journal = opened(state, clock)
    keeper = kept(journal, state, clock=clock, retention=timedelta(days=30))
    await fill(journal, 100)
    await keeper.round()
    await pass_by(journal, clock, days=40)
    for path in (state / "journal").iterdir():
        path.write_bytes(path.read_bytes().replace(b'{"type":"basics"', b'{"type":"bosics"'))
    for why in ("cannot be read back", "could not be made: .*its bytes are not those"):
        with pytest.raises(ValueError, match=f"(?s){why}"):
            await keeper.round()
    await journal.close()
    assert segment_numbers(state)[0] == 1


async def test_a_deletion_that_fails_is_tried_again(tmp_path: Path) -> None:
    """The record says that they are gone a moment before they are; a crash in between is put right.

    Not every five seconds: each time it says so again, and what may not be deleted stays so until somebody comes.
    """
    state = tmp_path / "state"
    journal, clock, keeper = await aged(state)

    class Stubborn(type(keeper._disk)):  # type: ignore[misc] # whatever disk it has
        def unlink(self, path: Path) -> None:
            raise OSError(5, "Input/output error")

    good, keeper._disk = keeper._disk, Stubborn()
    with pytest.raises(OSError, match="Input/output"):
        await keeper.round()
    for _ in range(3):
        await keeper.round()
    assert file_of(state).exists()
    assert types(state).count("prune") == 1
    assert verdict(state) == "ok"

    keeper._disk = good
    clock.advance(s=AGAIN_S)
    await keeper.round()
    assert not file_of(state).exists()
    await journal.close()
    assert verdict(state) == "ok"
