"""How much comes onto a cell while somebody waits for what the daemon says of it.

What the daemon then tells was read somewhere in between: of all that came since the question nobody knows whether it is
in there, even where it has gone again by then. A list for whoever waits at the moment, and no part of the record.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from guard.limits.state import Rise, State


@contextmanager
def rising(state: State, cell: str, *, but: str | None) -> Iterator[Callable[[], int]]:
    """Tells by how much orders have raised the cell since this began; what they gave back is not taken off.

    New orders that were refused, or not sent, have raised nothing. `but`: a live order that is left out.
    """
    rise = state.rising.setdefault(cell, Rise())
    rise.watchers += 1

    def amount() -> int:
        return rise.amount - rise.changed.get(but or "", 0)

    began = amount()
    try:
        yield lambda: amount() - began
    finally:
        rise.watchers -= 1
        if not rise.watchers:
            del state.rising[cell]
