"""What waits for the disk, asked by one thread while another takes it."""

import asyncio

import pytest

from guard.errors import JournalFault
from guard.journal.backlog import GATHERED_MAX, TURNS_MAX, Backlog, QueueBounds
from guard.journal.recordend import RecordEnd
from guard.journal.tree import Tree


def queued(*sizes: int) -> Backlog:
    """A backlog with a record for each of these tree sizes."""
    backlog = Backlog(0, QueueBounds(10, 1000), rest_s=1)
    for size in sizes:
        with backlog.lock:
            backlog.put([b"{}"], RecordEnd(size=3 * size, segment=1, tree=Tree(size)), is_lazy=True)
    return backlog


def test_how_many_records_wait_is_told_by_the_last_and_the_first() -> None:
    """None, some, and none again once they were taken; what comes then is counted from there."""
    backlog = queued()
    assert backlog.records == 0
    backlog = queued(1, 2, 3)
    assert backlog.records == 3
    assert [batch.lines for batch in backlog.take(lambda: 0) or ()] == [[b"{}"] * 3]
    assert backlog.records == 0
    with backlog.lock:
        backlog.put([b"{}"], RecordEnd(size=12, segment=1, tree=Tree(4)), is_lazy=False)
    assert backlog.records == 1


@pytest.mark.parametrize(
    ("brought", "taken"),
    [
        ([1], 1),
        ([GATHERED_MAX], 1),
        ([2, 0], 2),
        ([1, 1], 1),
        ([2, 1, 0], 3),
        ([2, GATHERED_MAX, 0], 2),
        ([2] * (TURNS_MAX + 2), TURNS_MAX + 1),
    ],
)
async def test_while_turns_bring_more_that_is_waited_for_they_share_a_sync(brought: list[int], taken: int) -> None:
    """One by itself waits for its own turn alone; many for a turn that brings no more, for a few, or until they do."""
    backlog = Backlog(0, QueueBounds(1000, 10000), rest_s=60)
    backlog.serve(asyncio.get_running_loop())
    put, found = 0, list[int]()
    for awaited in brought:
        for is_lazy in [False] * awaited + [True] * 2:  # what nobody waits for keeps nothing
            put += 1
            with backlog.lock:
                backlog.put([b"{}"], RecordEnd(size=3 * put, segment=1, tree=Tree(put)), is_lazy=is_lazy)
        await asyncio.sleep(0)
        found.append(sum(len(batch.lines) for batch in backlog.take(lambda: 0) or ()))
        if found[-1]:
            break

    assert (len(found), found[-1]) == (taken, put)
    assert backlog.records == 0


async def test_who_does_not_await_is_told_once() -> None:
    """When its record has come, at once if it has come already, and why if it never will."""
    backlog, told = queued(1, 2, 3), list[tuple[int, str]]()

    def when(seq: int) -> None:
        backlog.when(backlog.durable, seq, lambda fault: told.append((seq, str(fault))))

    when(1)
    when(2)
    backlog.publish(backlog.durable, 1)
    await asyncio.sleep(0.01)
    assert told == [(1, "None")]
    when(1)
    assert told == [(1, "None")] * 2
    backlog.fail(OSError("no disk"))
    await asyncio.sleep(0.01)
    assert told == [(1, "None")] * 2 + [(2, "the record may not be on the disk: no disk")]
    when(3)
    assert told[3:] == [(3, "the journal is closed until a restart: no disk")]


@pytest.mark.parametrize("is_failing", [False, True])
async def test_a_waiter_that_raises_keeps_nobody_from_hearing(is_failing: bool) -> None:
    """The loop hears of its fault, and whoever waits behind it of the record."""
    backlog, told, faults = queued(1, 2, 3), list[int](), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, broken: faults.append(broken["exception"]))

    def when(seq: int) -> None:
        def hear(_: JournalFault | None) -> None:
            told.append(seq)
            if seq == 1:
                raise RuntimeError

        backlog.when(backlog.durable, seq, hear)

    for seq in (1, 2, 3):
        when(seq)
    if is_failing:
        backlog.fail(OSError("no disk"))
    else:
        backlog.publish(backlog.durable, 3)
    await asyncio.sleep(0.01)
    assert told == [1, 2, 3]
    assert [type(fault) for fault in faults] == [RuntimeError]


async def test_who_waits_for_a_record_waits_no_longer_than_for_it() -> None:
    """Those whose record has come are told once; the others go on waiting, and nobody is kept."""
    backlog = queued(1, 2, 3)
    waiting = [asyncio.ensure_future(backlog.reach(backlog.durable, seq)) for seq in (1, 2, 3)]
    await asyncio.sleep(0)
    backlog.publish(backlog.durable, 2)
    await asyncio.gather(*waiting[:2])

    assert [seq for seq, _ in backlog.durable.waiters] == [3]
    assert not waiting[2].done()
    waiting[2].cancel()
