"""A large book is looked through between other work, not instead of it."""

import asyncio

import pytest

from guard.tracking import slices
from guard.tracking.slices import SLICE, in_slices


async def test_others_work_between_two_slices() -> None:
    """Somebody who waits for a turn of the loop gets one after every slice."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    worker = asyncio.ensure_future(other())
    seen = [number async for number in in_slices(range(10 * SLICE))]
    worker.cancel()

    assert seen == list(range(10 * SLICE))
    assert turns >= 9


async def test_what_is_added_or_removed_meanwhile_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there at the beginning is handed out, whatever becomes of the book."""
    monkeypatch.setattr(slices, "SLICE", 2)
    book = dict.fromkeys("abcde")
    seen = []
    async for name in in_slices(book):
        seen.append(name)
        book.pop(name, None)
        book[name.upper()] = None

    assert seen == list("abcde")
