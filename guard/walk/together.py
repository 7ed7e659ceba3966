"""Requests that are under way in one turn of the loop take each step of the walk together.

A request that runs through all of its walk by itself finds the code of every step cold: since the last one came there
the processor has put it away, and no longer foresees its branches. Where twenty take a step one after the other, it is
warm for nineteen of them.
"""

from collections.abc import Callable, Generator
from itertools import islice
from types import coroutine
from typing import Final, Generic, Protocol, TypeVar

from guard.supervisor import Supervisor

TOGETHER_MAX: Final = 64  # what is known of so many stays in the processor's caches
_T = TypeVar("_T")


class Fallible(Protocol):
    """What takes a step with others; `error` is the fault of ours that met it there."""

    error: Exception | None


def raise_fault(one: Fallible) -> None:
    """Its own task raises the fault, and lets go of it: its traceback holds all that took the step with it."""
    error, one.error = one.error, None
    try:
        if error is not None:
            raise error
    finally:
        del error


class Together(Generic[_T]):
    """A step that is taken for all who have come to it in this turn of the loop, by whichever of them goes on first.

    `take` is given them in the order in which they came, at most `TOGETHER_MAX` at a time, and must not raise. Who is
    the only one under way at all takes it at once.
    """

    def __init__(self, take: Callable[[list[_T]], None], supervisor: Supervisor) -> None:
        self._take = take
        self._supervisor = supervisor
        self._waiting: dict[int, _T] = {}  # by their identity: none looks through all the others for itself

    @coroutine
    def join(self, one: _T) -> Generator[None, None, None]:
        """Has come to the step; returns when it was taken. Who is cancelled before that never came."""
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
