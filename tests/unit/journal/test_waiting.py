"""Whoever waits for the record to come so far."""

import asyncio

import pytest

from guard.errors import JournalFault
from guard.journal.waiting import Mark, Reached, resolve, tell_all


def hears(heard: list[tuple[int, str]], number: int) -> Reached:
    """Notes what it is told."""
    return lambda fault: heard.append((number, str(fault or "")))


def test_a_mark_lets_go_of_those_that_it_has_reached() -> None:
    """The others wait on, and at its end all that are left are let go of."""
    mark, heard = Mark(3), list[tuple[int, str]]()
    mark.waiters = [(seq, hears(heard, seq)) for seq in (5, 4, 7)]

    assert [seq for seq, _ in mark.move(5)] == [5, 4]
    assert (mark.seq, [seq for seq, _ in mark.waiters]) == (5, [7])
    assert [seq for seq, _ in mark.drop()] == [7]
    assert mark.waiters == []


async def test_one_that_fails_as_it_is_told_keeps_no_other_from_hearing() -> None:
    """Nor does what comes before them; the loop is told of each fault."""
    heard, odd = list[tuple[int, str]](), list[str]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: odd.append(str(context["exception"])))

    def broken(_: JournalFault | None) -> None:
        raise ValueError("odd")

    tell_all([(1, hears(heard, 1)), (2, broken), (3, hears(heard, 3))], None, None)
    assert (heard, odd) == ([(1, ""), (3, "")], ["odd"])

    heard.clear()
    with pytest.raises(ZeroDivisionError):
        tell_all([(1, hears(heard, 1))], lambda: 1 // 0, "the disk is gone")  # type: ignore[arg-type]
    assert heard == [(1, "the record may not be on the disk: the disk is gone")]


async def test_a_future_ends_as_its_mark_does() -> None:
    """Well, or with the fault; one whose task was cancelled is left alone."""
    loop = asyncio.get_running_loop()
    well, ill, gone = loop.create_future(), loop.create_future(), loop.create_future()
    gone.cancel()
    resolve(well, None)
    resolve(ill, JournalFault("full"))
    resolve(gone, JournalFault("full"))

    assert await well is None
    with pytest.raises(JournalFault, match="full"):
        await ill
    assert gone.cancelled()
