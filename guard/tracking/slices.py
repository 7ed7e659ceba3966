"""A large book looked through in slices: the loop goes on between two of them, so no request waits for the rest."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

SLICE: Final = 100  # looked at in one go: a fraction of a millisecond, also where they are far from the processor

_T = TypeVar("_T")


async def in_slices(things: Iterable[_T]) -> AsyncIterator[tuple[_T, ...]]:
    """What there was at the beginning, so much at a time; some of it may be over by the time it is handed out.

    Writing down what there is takes a turn by itself where it is much.
    """
    book = tuple(things)
    for at in range(0, len(book), SLICE):
        if len(book) > SLICE:
            await asyncio.sleep(0)
        yield book[at : at + SLICE]
