"""Whoever waits for the record to come so far: marks, and how they that wait are told."""

import asyncio
from collections.abc import Callable

from guard.errors import JournalFault

Reached = Callable[[JournalFault | None], None]
"""Hears, on the loop, that a mark has come as far as was waited for, or that it never will. It must not raise."""

Waiter = tuple[int, Reached]
"""The seq of the record that is waited for, and who hears of it."""


class Mark:
    """How far something has come, and who waits for it to come further."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.waiters: list[Waiter] = []

    def move(self, seq: int) -> list[Waiter]:
        """Moves it to `seq`; returns the waiters that this satisfies."""
        self.seq = seq
        ready = [waiter for waiter in self.waiters if waiter[0] <= seq]
        if ready:
            self.waiters = [waiter for waiter in self.waiters if waiter[0] > seq]
        return ready

    def drop(self) -> list[Waiter]:
        """It will come no further; returns all waiters."""
        left, self.waiters = self.waiters, []
        return left


def tell_all(waiters: list[Waiter], then: Callable[[], None] | None, why: str | None) -> None:
    """Tells them, on the loop, once `then` was called. `why` the mark will come no further; None: it came so far."""
    try:
        if then is not None:
            then()
    finally:
        for _, told in waiters:
            try:
                told(None if why is None else JournalFault(f"the record may not be on the disk: {why}"))
            except Exception as error:  # noqa: BLE001 - a bug of ours is one waiter's alone, and the others hear
                broken = {"message": "whoever waited for a record failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(broken)


def resolve(future: asyncio.Future[None], fault: JournalFault | None) -> None:
    """For who awaits: ends the future."""
    if future.done():  # its task was cancelled
        return
    if fault is None:
        future.set_result(None)
    else:
        future.set_exception(fault)
