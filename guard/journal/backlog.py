"""Records on their way to the disk. One lock guards everything that two threads touch.

The event loop puts records in and waits; the writer thread takes all there are and publishes how far it has come: what
is on the medium (*durable*), and what a signed checkpoint covers (*signed*).
"""

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, NoReturn

from msgspec import Struct

from guard.errors import JournalFault
from guard.journal.recordend import RecordEnd
from guard.journal.tree import Tree
from guard.journal.waiting import Mark, Reached, Waiter, resolve, tell_all
from guard.journal.wakeup import Wakeup

GATHERED_MAX: Final = 24  # awaited records; a batch with that many does not wait for more
TURNS_MAX: Final = 2  # turns of the loop that a batch may wait for more awaited records
_TICK_S: Final = 0.001  # of uvloop's timers


class Batch(Struct):
    """Lines of one segment on their way to the disk, without newlines. `tree`: the Merkle tree with all of them.

    `awaited`: how many of them somebody waits for.
    """

    segment: int
    tree: Tree
    lines: list[bytes]
    awaited: int


class QueueBounds(NamedTuple):
    """How much may wait to be written. The bound on bytes does not apply to the first record of an empty queue."""

    records: int
    bytes_: int


class Backlog:
    """The queue between the loop and the writer thread.

    Attributes:
        failed: why no more records are taken until a restart; None while they are.
        durable, signed: how far the record has come.
        batches, bytes_: what waits to be written, with so many bytes.
    """

    def __init__(self, seq: int, room: QueueBounds, *, rest_s: float) -> None:
        """`rest_s`: how long lazy records may rest here, so that they are written together with awaited ones."""
        self.failed: str | None = None
        self.is_closing = False
        self.durable, self.signed = Mark(seq), Mark(0)
        self.batches: list[Batch] = []
        self.bytes_ = 0
        self._room, self._rest_s = room, rest_s
        self._calm = QueueBounds(room.records * 3 // 4, room.bytes_ * 3 // 4)
        self._queued_seq = self._taken_seq = seq
        self.lock = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0  # where `loop` runs
        self._is_turning = False  # the present turn of the loop has put something in
        self._gathered, self._turns = 1, 0  # awaited records a turn ago; turns in which they grew
        self._is_resting = False  # a timer for lazy records is running
        self._begun_s = 0.0  # since when the oldest record is queued
        self._wakeup = Wakeup()  # what the writer thread waits on
        self._is_asleep = False
        self._wanted_seq = 0  # a checkpoint is wanted that covers this record

    # ------------------------------------------------------------ the loop's side

    @property
    def records(self) -> int:
        """How many records wait to be taken by the writer thread."""
        taken_seq = self._taken_seq
        return self._queued_seq - taken_seq

    def put(self, lines: list[bytes], after: RecordEnd, *, is_lazy: bool, yields: bool = False) -> None:
        """Queues the lines that lead to the end `after`; the caller holds the lock.

        What one turn of the loop appends is one batch, which the writer thread takes once the turn is over; the loop
        could not hear of its end any earlier. If the next turns bring more awaited records, a few turns share one sync.
        For lazy records alone the thread is not woken before they have rested. `yields`: the last quarter of the room
        is left to others. `JournalFault` if there is no room; nothing has changed then.
        """
        bytes_, batches, seq = self.bytes_ + sum(map(len, lines)) + len(lines), self.batches, after.tree.size
        room = self._calm if yields else self._room
        if seq - self._taken_seq > room.records:
            raise JournalFault(f"the journal's queue is full: {self.records} records wait for the disk")
        if bytes_ > room.bytes_ and batches:
            raise JournalFault(f"the journal's queue is full: {self.bytes_} bytes wait for the disk")
        self.bytes_, self._queued_seq = bytes_, seq
        if batches and (batch := batches[-1]).segment == after.segment:
            batch.lines += lines
            batch.tree = after.tree
        else:
            if not batches:
                self._begun_s = time.monotonic()
            batches.append(batch := Batch(after.segment, after.tree, lines, 0))
        if not is_lazy:
            batch.awaited += len(lines)
        if not (self._is_turning or (is_lazy and self._is_resting)):
            self._wake_in_time(is_lazy=is_lazy)

    def _wake_in_time(self, *, is_lazy: bool) -> None:
        loop = self.loop
        if loop is None or threading.get_ident() != self._loop_thread or not loop.is_running():
            self._hurry()
        elif is_lazy:
            self._is_resting = True
            loop.call_later(self._rest_s, self._rest_is_over)
        else:
            self._is_turning = True
            loop.call_soon(self._turn_is_over)

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Makes this the loop that appends and waits; called on it."""
        self.loop, self._loop_thread = loop, threading.get_ident()

    def _turn_is_over(self) -> None:
        with self.lock:
            awaited = sum(batch.awaited for batch in self.batches)
            if self._gathered < awaited < GATHERED_MAX and self._turns < TURNS_MAX and self.loop is not None:
                self._gathered, self._turns = awaited, self._turns + 1
                self.loop.call_soon(self._turn_is_over)
                return
            self._gathered, self._turns, self._is_turning = 1, 0, False
            is_asleep, self._is_asleep = self._is_asleep, False
        if is_asleep:  # rung without the lock, which the thread wants as soon as it is awake
            self._wakeup.wake()

    def _rest_is_over(self) -> None:
        """Wakes the thread; if the records that began to rest were taken meanwhile, the later ones rest on."""
        self._is_resting = False
        if not self.batches or self._is_turning or self.loop is None:
            return
        left_s = self._begun_s + self._rest_s - time.monotonic()
        if left_s < _TICK_S:
            self._turn_is_over()
        else:
            self._is_resting = True
            self.loop.call_later(left_s, self._rest_is_over)

    def _hurry(self) -> None:
        """Has the thread take what is queued at once, without waiting for the turn's end; the caller holds the lock."""
        self._is_turning = False
        if self._is_asleep:
            self._is_asleep = False
            self._wakeup.wake()

    def refuse(self) -> NoReturn:
        """Raises `JournalFault`: nothing more is taken. The caller holds the lock."""
        raise JournalFault("the journal is closed") if self.failed is None else self._fault()

    def _fault(self) -> JournalFault:
        return JournalFault(f"the journal is closed until a restart: {self.failed}")

    def reach(self, mark: Mark, seq: int) -> asyncio.Future[None]:
        """A future that is done once the mark has come to `seq`; it fails with `JournalFault` if it never will."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.when(mark, seq, partial(resolve, future))
        return future

    def when(self, mark: Mark, seq: int, told: Reached) -> None:
        """`told` hears once the mark has come to `seq`, or that it never will; at once, if that is known."""
        with self.lock:
            if seq > mark.seq and self.failed is None:
                self._wait(mark, (seq, told))
                return
            fault = self._fault() if seq > mark.seq else None
        told(fault)

    def _wait(self, mark: Mark, waiter: Waiter) -> None:
        if mark is self.signed:
            self._want(waiter[0])
        loop = self.loop
        if loop is None or threading.get_ident() != self._loop_thread or not loop.is_running():
            if loop is not None:
                raise AssertionError("a journal serves one event loop")
            self.serve(asyncio.get_running_loop())
        mark.waiters.append(waiter)

    def want_signature(self, seq: int) -> None:
        """Has the writer thread sync and sign at least up to `seq`; waits for nothing."""
        with self.lock:
            self._want(seq)

    def _want(self, seq: int) -> None:
        self._wanted_seq = max(self._wanted_seq, seq)
        self._hurry()

    def flush(self, seq: int) -> None:
        """Blocks until the record is durable: for the start and for tools, never on the event loop."""
        with self.lock:
            self._hurry()
        while self.failed is None and self.durable.seq < seq:
            time.sleep(_TICK_S)  # it is seldom asked for, and to tell whoever waits would cost each sync more
        if self.durable.seq < seq:
            raise self._fault()

    def close(self) -> bool:
        """Takes nothing more from now on; False: it was closed before."""
        with self.lock:
            was_open, self.is_closing = not self.is_closing, True
            self._hurry()
            return was_open

    def let_go(self) -> None:
        """Closes the wakeup pipe, after `close` and the end of the thread."""
        self._wakeup.close()

    # ------------------------------------------------------------ the writer thread's side

    def take(self, left_s: Callable[[], float | None]) -> list[Batch] | None:
        """Waits for records and takes all that are queued; None once it is closed and empty, or has failed.

        It waits for the end of the turn that queues them, unless somebody waits for a signature. The list is empty if
        `left_s` seconds are over before anything comes (None: nothing is due).
        """
        while True:
            with self.lock:
                if self.failed is not None:
                    return None
                self._is_asleep = False
                is_wanted = self.signed.seq < self._wanted_seq
                if self.batches and (is_wanted or not (self._is_turning and self._is_loop_running)):
                    return self._emptied()
                left = left_s()
                if is_wanted or (left is not None and (left <= 0 or self.is_closing)):
                    return []
                if self.is_closing:
                    return None
                self._is_asleep = True
            self._wakeup.wait(left)

    @property
    def _is_loop_running(self) -> bool:
        return self.loop is not None and self.loop.is_running()

    def _emptied(self) -> list[Batch]:
        batches, self.batches, self.bytes_ = self.batches, [], 0
        self._taken_seq = self._queued_seq
        return batches

    @property
    def is_urgent(self) -> bool:
        """A checkpoint is due now: somebody waits for one, or the journal is closing."""
        return self.signed.seq < self._wanted_seq or (self.is_closing and not self.batches)

    def publish(self, mark: Mark, seq: int, *, then: Callable[[], None] | None = None) -> None:
        """Moves the mark to `seq`. `then` is called on the loop before the waiters go on."""
        with self.lock:
            ready = mark.move(seq)
        self._tell(ready, then=then)

    def fail(self, error: Exception) -> None:
        """Fails the journal, and everyone who waits."""
        why = str(error) or repr(error)
        with self.lock:
            self.failed = why
            left = self.durable.drop() + self.signed.drop()
            _ = self._emptied()
        self._tell(left, why=why)

    def _tell(self, waiters: list[Waiter], *, then: Callable[[], None] | None = None, why: str | None = None) -> None:
        if self.loop is None or not (waiters or then):
            return
        try:
            self.loop.call_soon_threadsafe(tell_all, waiters, then, why)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return
