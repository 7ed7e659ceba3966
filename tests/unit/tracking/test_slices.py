"""A large book is looked through between other work, not instead of it."""

import asyncio
from asyncio import Event
from weakref import ref

import pytest

from guard.tracking import slices
from guard.tracking.slices import SLICE, in_slices


async def test_others_work_between_two_slices() -> None:
    """Somebody who waits for a turn of the loop gets one before every slice: writing all of it down is work, too."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    worker = asyncio.ensure_future(other())
    seen: list[int] = []
    had: list[int] = []
    async for some in in_slices(range(10 * SLICE)):
        had.append(turns)
        seen += some
    worker.cancel()

    assert seen == list(range(10 * SLICE))
    assert had[0] > 0
    assert had == sorted(set(had))


async def test_what_was_handed_out_is_held_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large book goes bit by bit, not all of it at the end."""
    monkeypatch.setattr(slices, "SLICE", 2)
    seen: list[ref[Event]] = []
    held: list[int] = []
    async for some in in_slices(Event() for _ in range(6)):
        seen += map(ref, some)
        held.append(sum(each() is not None for each in seen))
        del some

    assert held == [2, 2, 2]


async def test_what_is_added_or_removed_meanwhile_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there at the beginning is handed out, whatever becomes of the book."""
    monkeypatch.setattr(slices, "SLICE", 2)
    book = dict.fromkeys("abcde")
    seen: list[str] = []
    async for names in in_slices(book):
        seen += names
        for name in names:
            book.pop(name, None)
            book[name.upper()] = None

    assert seen == list("abcde")
