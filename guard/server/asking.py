"""Who waits at the edge for the answer to a request, and how a coroutine comes to answer it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from guard.terms import Call, Reply


class Asker(Protocol):
    """A caller whose request is under way: exactly one of the three methods ends it, once. None raises."""

    @property
    def call(self) -> Call:
        """What it asks."""
        ...

    def answer(self, reply: Reply) -> None:
        """This is its answer."""
        ...

    def fail(self) -> None:
        """The walk failed with the exception that is being handled."""
        ...

    def cut(self) -> None:
        """Nobody will answer it."""
        ...


Begin = Callable[[Sequence[Asker]], None]
"""Takes the requests of one turn of the loop; it must not raise, and ends each of them, now or later."""


async def answered(asker: Asker, walk: Callable[[], Awaitable[Reply]]) -> None:
    """Answers one request with what its walk comes to."""
    try:
        reply = await walk()
    except asyncio.CancelledError:
        asker.cut()
        raise
    except Exception:  # noqa: BLE001 - whatever the walk raised, its caller is owed an answer and the log the trace
        asker.fail()
    else:
        asker.answer(reply)
