"""Points at which long work may pause: the work marks them, whoever runs it beside an event loop says what happens.

Unless a pause was set in this context nothing happens, and no result depends on it, so pure rooms may mark them too.
"""

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Final, TypeVar

_T = TypeVar("_T")
on_pause: Final[ContextVar[Callable[[], None] | None]] = ContextVar("on_pause", default=None)


def with_pauses(items: Iterable[_T]) -> Iterator[_T]:
    """The items, with a pause after the work on each of them."""
    pause = on_pause.get()
    if pause is None:
        yield from items
        return
    for item in items:
        yield item
        pause()
