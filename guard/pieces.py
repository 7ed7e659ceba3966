"""Where long work may be put aside for a moment: whoever works says it, whoever runs that beside a loop what happens.

Nothing happens unless somebody has asked for it in this context, and nothing that is worked out depends on it: so pure
rooms may say it too.
"""

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Final, TypeVar

_T = TypeVar("_T")
between: Final[ContextVar[Callable[[], None] | None]] = ContextVar("between", default=None)


def in_pieces(items: Iterable[_T]) -> Iterator[_T]:
    """These items; the work on each of them is a piece."""
    pause = between.get()
    if pause is None:
        yield from items
        return
    for item in items:
        yield item
        pause()
