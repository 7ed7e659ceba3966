"""What waits for the disk, asked by one thread while another takes it."""

import asyncio

from guard.journal.backlog import Backlog, Room
from guard.journal.place import Place
from guard.journal.tree import Tree


def queued(*sizes: int) -> Backlog:
    """A backlog with a record for each of these tree sizes."""
    backlog = Backlog(0, Room(10, 1000), rest_s=1)
    for size in sizes:
        with backlog.lock:
            backlog.put(b"{}", Place(size=3 * size, segment=1, tree=Tree(size)), is_lazy=True)
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
        backlog.put(b"{}", Place(size=12, segment=1, tree=Tree(4)), is_lazy=False)
    assert backlog.records == 1


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
