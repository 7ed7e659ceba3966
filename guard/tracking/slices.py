"""Many orders gone through in slices; the event loop runs between two of them, so no request waits for the whole."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

SLICE: Final = 100  # looked at in one go: a fraction of a millisecond, also where they are far from the processor

_T = TypeVar("_T")


async def in_slices(things: Iterable[_T]) -> AsyncIterator[tuple[_T, ...]]:
    """The items there were at the beginning, some at a time; an order may have ended by the time it is handed out.

    Writing down what there is takes a turn by itself where it is much. What was handed out is held no more: to look
    through all of it for the collector, or to let go of it at the end, would take as long again.
    """
    left = list(things)
    left.reverse()
    is_much = len(left) > SLICE
    while left:
        if is_much:
            await asyncio.sleep(0)
        some = tuple(left[: -SLICE - 1 : -1])
        del left[-SLICE:]
        yield some
