"""Why the requests of one turn of the loop take each step of the walk together, and what keeps them apart.

A request that runs through its whole walk alone finds the code of every step cold: the processor has evicted it from
its caches since the last request came there, and mispredicts its branches. If twenty requests take a step one after the
other, it is warm for nineteen of them. At most `AT_ONCE_MAX` do: the data of more would not fit the caches.
"""

from typing import Protocol


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
