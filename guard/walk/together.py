"""Reads that are under way in one turn of the loop take each step together.

A request that runs through all of its walk by itself finds the code of every step cold: since the last one came there
the processor has put it away, and no longer foresees its branches. Where twenty take a step one after the other, it is
warm for nineteen of them.
"""

from collections.abc import Generator
from types import coroutine

from guard.terms import Effect
from guard.walk.desk import Desk, Visit

_READ = Effect.READ  # asked of every request


@coroutine
def together(desk: Desk, visit: Visit) -> Generator[None, None, None]:
    """Lets the others of this turn come as far; nothing is waited for. Who is alone, or is no read, goes on at once."""
    if visit.effect is _READ and desk.supervisor.in_flight > 1:
        yield  # to the end of the loop's queue
