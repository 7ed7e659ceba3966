"""What in the interpreter itself can stop the loop: the garbage collector, and threads that hold the GIL.

A collection of the youngest objects takes time by their number, so it runs often; whatever exists after the start is
frozen and never traversed again. That leaks nothing as long as neither requests nor connections leave cycles behind,
which tests check. A computing thread releases the GIL after `SWITCH_S` if the loop asks for it, and takes it from the
loop again after as long: a turn of 2 ms would take 4 and more. So work beside the loop is done in pieces, and gives way
between them. Large structures are freed bit by bit, since even that takes time.
"""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, ParamSpec, TypeVar
from weakref import ref

from msgspec import Struct

from guard.loop import heap
from guard.pauses import on_pause

# Objects made beyond those let go, before the youngest are looked through; every second time with those of the time
# before, so that no look is at more than twice as many; after how many of these all that does not stand is.
THRESHOLD: Final = (2_000, 0, 1_250)
YOUNG_MAX: Final = 2 * THRESHOLD[0]  # made while the collector rests, that are looked through afterwards
SWITCH_S: Final = 0.0002
PIECE_S: Final = 0.0002  # worked in a thread before the loop may go on
REST_S: Final = 0.0005  # left to a turn of the loop that was broken off
RESTS_MAX: Final = 3  # under a load that leaves nothing over a thread goes on all the same
LET_GO_S: Final = 0.0005  # spent in one go on what is needed no more
GONE_S: Final = 0.5  # waited for requests that still use it
_LOOK_S: Final = 0.0002
_LET_GO: Final = 4  # let go of between two looks at the clock
Pieces = list[list[Any] | dict[Any, Any]]
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Uncollected(Struct):
    """What was made while the collector was off. `stays`: it is in force now, and need not be traversed."""

    stays: bool = False


def come_to_rest() -> None:
    """Freezes what exists after the start, and makes full collections rare: requests leave few cycles behind.

    A live order consists of objects that the collector does not track, so even a hundred thousand cause no pause.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLD)
    sys.setswitchinterval(SWITCH_S)
    heap.settle()


class GiveWay:
    """Called between two pieces of work in a thread: after `PIECE_S` of work it lets the loop run first.

    If it wakes up late, it has interrupted a turn of the loop, and lets that finish.
    """

    def __init__(self) -> None:
        self._until_s = time.perf_counter() + PIECE_S

    def __call__(self) -> None:
        """Sleeps for a moment if it is time to."""
        now_s = time.perf_counter()
        if now_s < self._until_s:
            return
        rest_s = 0.0
        for _ in range(1 + RESTS_MAX):
            time.sleep(rest_s)
            before_s, now_s = now_s, time.perf_counter()
            if now_s - before_s - rest_s < SWITCH_S:
                break
            rest_s = REST_S
        self._until_s = now_s + PIECE_S


async def aside(work: Callable[_P, _T], /, *args: _P.args, **named: _P.kwargs) -> _T:
    """Runs it in a thread that gives way to the loop between its pieces; returns what it returns."""
    return await asyncio.to_thread(_giving_way, work, *args, **named)


def _giving_way(work: Callable[_P, _T], /, *args: _P.args, **named: _P.kwargs) -> _T:
    on_pause.set(GiveWay())  # in the context of this thread alone
    return work(*args, **named)


class _Pause:
    """Keeps the collector off while anybody wants it off: a scrape that ends must not turn it on amid a reload."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted_by = 0
        self._was_on = False

    def begin(self) -> None:
        with self._lock:
            if not self._wanted_by:
                self._was_on = gc.isenabled()
                gc.disable()
            self._wanted_by += 1

    def end(self) -> None:
        with self._lock:
            self._wanted_by -= 1
            if self._wanted_by:
                return
            if _is_at_rest() and gc.get_count()[0] > YOUNG_MAX:
                gc.freeze()
            if self._was_on:
                gc.enable()


_PAUSE: Final = _Pause()


def _is_at_rest() -> bool:
    """False in a program that never called `come_to_rest`: a test, a command."""
    return gc.get_threshold() == THRESHOLD


@contextmanager
def uncollected() -> Iterator[Uncollected]:
    """For a reload: it makes many objects, and collections while they grow would stop the loop, even from a thread.

    What comes into force joins what stands since the start; it goes once nobody names it, as it is free of cycles. So
    does all that is young at the end, where it is much: a thousand keys may have placed their first orders meanwhile.
    """
    made = Uncollected()
    _PAUSE.begin()
    try:
        yield made
    finally:
        if made.stays and _is_at_rest():
            gc.freeze()
        _PAUSE.end()


async def let_go(pieces: Pieces, whole: "ref[Any] | None" = None) -> None:
    """Empties these containers and the list of them, which frees what nobody else refers to.

    It begins in the next turn of the loop: what they were replaced by came into force in this one, which took its time.
    `whole`: what they are the pieces of. While a request that is under way uses it nothing would be gone yet, and all
    of it at once with that request: so its end is waited for, if it comes soon.
    """
    await asyncio.sleep(0)
    until_s, wait_s = time.perf_counter() + GONE_S, 0.0
    while whole is not None and whole() is not None and time.perf_counter() < until_s:
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s + _LOOK_S, GONE_S)
    until_s = time.perf_counter() + LET_GO_S
    while pieces:
        piece = pieces[-1]
        for _ in range(min(_LET_GO, len(piece))):
            _ = piece.popitem() if isinstance(piece, dict) else piece.pop()
        if not piece:
            pieces.pop()
        if time.perf_counter() >= until_s:
            await asyncio.sleep(0)
            until_s = time.perf_counter() + LET_GO_S
