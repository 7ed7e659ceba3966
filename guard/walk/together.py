"""Requests that are under way in one turn of the loop take each step of the walk together.

A request that runs through its whole walk alone finds the code of every step cold: the processor has evicted it from
its caches since the last request came there, and mispredicts its branches. If twenty requests take a step one after the
other, it is warm for nineteen of them.
"""

from collections.abc import Callable, Generator
from itertools import islice
from types import coroutine
from typing import Final, Generic, Protocol, TypeVar

from guard.supervisor import Supervisor

TOGETHER_MAX: Final = 64  # the data of so many requests still fits the processor's caches
_T = TypeVar("_T")


class Fallible(Protocol):
    """Something that takes a step with others; `error`: a fault of our own that it met there."""

    error: Exception | None


def raise_fault(one: Fallible) -> None:
    """Raises the fault in its own task, and drops it: its traceback keeps alive all that took the step with it."""
    error, one.error = one.error, None
    try:
        if error is not None:
            raise error
    finally:
        del error


class Together(Generic[_T]):
    """A step that whichever request goes on first takes for all that have come to it in this turn of the loop.

    `take` is given them in the order in which they came, at most `TOGETHER_MAX` at a time, and must not raise. The only
    request under way takes the step at once.
    """

    def __init__(self, take: Callable[[list[_T]], None], supervisor: Supervisor) -> None:
        self._take = take
        self._supervisor = supervisor
        self._waiting: dict[int, _T] = {}  # by identity, so that none has to search for itself

    @coroutine
    def join(self, one: _T) -> Generator[None, None, None]:
        """Comes to the step; returns once it was taken. Whoever is cancelled before that is left out of it."""
        if self._supervisor.in_flight == 1:
            self._take([one])
            return
        self._waiting[id(one)] = one
        try:
            yield  # to the end of the loop's queue: the others come as far
        except BaseException:
            _ = self._waiting.pop(id(one), None)
            raise
        while id(one) in self._waiting:
            now = dict(islice(self._waiting.items(), TOGETHER_MAX))
            for other in now:
                del self._waiting[other]
            self._take(list(now.values()))
