"""The journal itself: records are chained on the event loop and made durable by one writer thread.

`append` encodes, chains and queues, and gives the record its seq; it waits for nothing. The thread takes all that is
queued, writes it with one call, syncs once, makes sure that the file still is the one that its path names, and only
then tells the waiters: while one batch syncs, the next one gathers (group commit without a timer). A write or sync that
failed closes the journal until the next start, since nobody knows which pages are on the medium: after a failed fsync
the kernel calls them clean.

One lock guards everything that both threads touch. The file and its descriptor belong to the thread alone.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple, Self

from msgspec import Struct

from guard.clock import Clock
from guard.errors import GuardFault, JournalFault, StateFault
from guard.journal import statedir
from guard.journal.disk import Disk
from guard.journal.place import Entry, Place, Wanted, settle
from guard.journal.segmentfile import SegmentFile
from guard.journal.segments import Tail, recover

SEGMENT_BYTES_MAX: Final = 128 * 2**20
QUEUE_RECORDS_MAX: Final = 8192
QUEUE_BYTES_MAX: Final = 64 * 2**20
SYNC_LAG_S: Final = 0.05  # how long a lazy record may be written but not synced
CLOSE_TIMEOUT_S: Final = 10.0
_ROOM_BYTES: Final = 128 * 1024  # what `has_room` counts for a record: an order's body at most 64 KiB, quoted, and more


class Bounds(Struct, frozen=True):
    """How much the journal holds. `has_room` leaves the last quarter of the queue to outcomes and cancels."""

    segment_bytes_max: int = SEGMENT_BYTES_MAX
    queue_records_max: int = QUEUE_RECORDS_MAX
    queue_bytes_max: int = QUEUE_BYTES_MAX
    sync_lag_s: float = SYNC_LAG_S
    close_timeout_s: float = CLOSE_TIMEOUT_S


class _Waiter(NamedTuple):
    seq: int
    future: asyncio.Future[None]


class Journal:
    """The open journal of one state directory.

    Attributes:
        failed: why it takes no more records until a restart; None while it does.
        records_total: records appended since it was opened.
        last_sync_s: how long the last sync took, in seconds.
        on_sync: called on the event loop after each sync with its seconds; for the metrics.
    """

    def __init__(self, state: Path, tail: Tail, *, lock_fd: int, clock: Clock, disk: Disk, bounds: Bounds) -> None:
        """Not for callers: `Journal.open` has the lock and has recovered the tail before it comes here."""
        self.failed: str | None = None
        self.records_total = 0
        self.last_sync_s = 0.0
        self.on_sync: Callable[[float], None] | None = None
        self._state, self._lock_fd, self._clock, self._disk, self._bounds = state, lock_fd, clock, disk, bounds
        self._file = SegmentFile(state, tail, disk=disk)
        self._mutex = threading.Lock()
        self._wake = threading.Condition(self._mutex)
        self._settled = threading.Condition(self._mutex)
        self._place = Place(tail.head, tail.segment, tail.size)
        self._queue: list[Entry] = []
        self._queue_bytes = 0
        self._written_seq = self._durable_seq = tail.head.seq
        self._sync_due_s: float | None = None
        self._waiters: list[_Waiter] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    # ------------------------------------------------------------ opening and closing

    @classmethod
    def open(cls, state: Path, *, clock: Clock, disk: Disk | None = None, bounds: Bounds | None = None) -> Self:
        """Locks the state directory, sets a torn tail aside, and is ready to append; blocking, for the start.

        Raises `StateFault` where the directory is unsafe or in use, `JournalFault` where the record cannot go on.
        It looks at the end of the record only: `replay` checks the chain.
        """
        disk = disk or Disk()
        statedir.prepare(state, disk=disk)
        lock_fd = statedir.lock(state, disk=disk)
        try:
            tail = recover(state, disk=disk)
            journal = cls(state, tail, lock_fd=lock_fd, clock=clock, disk=disk, bounds=bounds or Bounds())
        except GuardFault:
            disk.close(lock_fd)
            raise
        except OSError as error:
            disk.close(lock_fd)
            raise StateFault(f"{state}: the journal cannot be opened: {error}") from error
        with suppress(RuntimeError):  # without a running loop the first `durable` brings it
            journal._loop = asyncio.get_running_loop()
        journal._begin(tail)
        return journal

    def _begin(self, tail: Tail) -> None:
        self._thread.start()
        try:
            for recovered in tail.recovered:
                self.append("recovered", recovered)
            self.flush()
        except JournalFault:
            self.shut()
            raise

    async def close(self) -> None:
        """Writes and syncs all that was appended, then lets go of the files and the lock."""
        await asyncio.to_thread(self.shut)

    def shut(self) -> None:
        """`close` without an event loop. After `close_timeout_s` a disk that hangs is left behind."""
        with self._mutex:
            if self._is_closing:
                return
            self._is_closing = True
            self._wake.notify()
        self._thread.join(self._bounds.close_timeout_s)
        if self._thread.is_alive():
            return  # descriptors and lock stay with the thread, and go when the process ends
        self._file.close()
        self._disk.close(self._lock_fd)

    # ------------------------------------------------------------ what the guard asks

    @property
    def last_seq(self) -> int:
        """The seq of the last record appended; 0 before the first."""
        return self._place.head.seq

    @property
    def queue_records(self) -> int:
        """How many records wait to be written."""
        return len(self._queue)

    def free_bytes(self) -> int:
        """Free space where the journal lies; blocking, though a moment only."""
        return self._disk.free_bytes(statedir.journal_dir(self._state))

    def has_room(self, records: int) -> bool:
        """Whether that many records can be appended now and leave a quarter of the queue free."""
        if self.failed is not None or self._is_closing:
            return False
        fits = len(self._queue) + records <= self._bounds.queue_records_max * 3 // 4
        return fits and self._queue_bytes + records * _ROOM_BYTES <= self._bounds.queue_bytes_max * 3 // 4

    def append(
        self,
        type_: str,
        members: Struct | Mapping[str, object],
        *,
        wall_us: int | None = None,
        lazy: bool = False,
    ) -> int:
        """Gives the record its place in the chain and queues it; returns its seq. Any thread, waits for nothing.

        `wall_us`: the time it was decided at, for `ts`; now if left out. `lazy`: nobody waits for it, so it is written
        at once but synced with a later batch, at most `sync_lag_s` later. Raises `JournalFault` where the journal has
        failed or is closed, the queue is full, or the record cannot be written as JSON; no seq is used up then.
        """
        ts_us = self._clock.wall_us() if wall_us is None else wall_us
        with self._mutex:
            self._refuse_if_closed()
            wanted = Wanted(type_, members, ts_us, is_lazy=lazy)
            entries, after = settle(wanted, self._place, segment_bytes_max=self._bounds.segment_bytes_max)
            size = sum(len(entry.line) for entry in entries)
            if len(self._queue) + len(entries) > self._bounds.queue_records_max:
                raise JournalFault(f"the journal's queue is full: {len(self._queue)} records wait for the disk")
            if self._queue and self._queue_bytes + size > self._bounds.queue_bytes_max:
                raise JournalFault(f"the journal's queue is full: {self._queue_bytes} bytes wait for the disk")
            self._queue += entries
            self._queue_bytes += size
            self._place = after
            self.records_total += len(entries)
            self._wake.notify()
            return after.head.seq

    async def durable(self, seq: int) -> None:
        """Returns once the record is on the medium, in the file that the path names; `JournalFault` if nobody can know.

        All callers share one event loop.
        """
        with self._mutex:
            if seq <= self._durable_seq:
                return
            if seq > self.last_seq:
                raise AssertionError(f"record {seq} was never appended")
            self._refuse_if_failed()
            loop = asyncio.get_running_loop()
            if self._loop not in {None, loop}:
                raise AssertionError("a journal serves one event loop")
            self._loop = loop
            future = loop.create_future()
            self._waiters.append(_Waiter(seq, future))
        await future

    def flush(self) -> None:
        """Blocks until all that was appended is durable: for the start and for tools, never on the event loop."""
        with self._mutex:
            self._settled.wait_for(lambda: self.failed is not None or self._durable_seq >= self.last_seq)
            if self._durable_seq < self.last_seq:
                self._refuse_if_failed()

    def _refuse_if_closed(self) -> None:
        self._refuse_if_failed()
        if self._is_closing:
            raise JournalFault("the journal is closed")

    def _refuse_if_failed(self) -> None:
        if self.failed is not None:
            raise JournalFault(f"the journal is closed until a restart: {self.failed}")

    # ------------------------------------------------------------ the writer thread

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            try:
                self._commit(batch)
            except Exception as error:  # noqa: BLE001 - a thread that dies unheard would leave every waiter waiting
                self._fail(error)
                return

    def _take(self) -> list[Entry] | None:
        """All that is queued; an empty list when a sync is due; None at the end."""
        with self._mutex:
            while not self._queue:
                if self._is_closing:
                    return None if self._sync_due_s is None else []
                left_s = None if self._sync_due_s is None else self._sync_due_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return []
                self._wake.wait(left_s)
            batch, self._queue, self._queue_bytes = self._queue, [], 0
            return batch

    def _commit(self, batch: list[Entry]) -> None:
        for number, entries in groupby(batch, key=lambda entry: entry.segment):
            if number != self._file.number:
                self._file.rotate(number)
            self._file.write(b"".join([entry.line for entry in entries]))
        if batch:
            self._written_seq = batch[-1].seq
        if self._may_wait(batch):
            return
        began_s = time.perf_counter()
        self._file.sync()
        self.last_sync_s = time.perf_counter() - began_s
        self._sync_due_s = None
        self._publish(self._written_seq)

    def _may_wait(self, batch: list[Entry]) -> bool:
        if not batch or not all(entry.is_lazy for entry in batch):
            return False
        now_s = time.monotonic()
        if self._sync_due_s is None:
            self._sync_due_s = now_s + self._bounds.sync_lag_s
        return now_s < self._sync_due_s

    def _publish(self, seq: int) -> None:
        with self._mutex:
            self._durable_seq = seq
            ready = [waiter for waiter in self._waiters if waiter.seq <= seq]
            if ready:
                self._waiters = [waiter for waiter in self._waiters if waiter.seq > seq]
            self._settled.notify_all()
        self._tell(ready)

    def _fail(self, error: Exception) -> None:
        why = str(error) or repr(error)
        with self._mutex:
            self.failed = why
            left, self._waiters = self._waiters, []
            self._queue, self._queue_bytes = [], 0
            self._settled.notify_all()
        self._tell(left, why=why)

    def _tell(self, waiters: list[_Waiter], *, why: str | None = None) -> None:
        if self._loop is None:
            return
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            if self.on_sync is not None and why is None:
                self._loop.call_soon_threadsafe(self.on_sync, self.last_sync_s)
            if waiters:
                self._loop.call_soon_threadsafe(_resolve, waiters, why)


def _resolve(waiters: list[_Waiter], why: str | None) -> None:
    for waiter in waiters:
        if waiter.future.done():  # its task was cancelled
            continue
        if why is None:
            waiter.future.set_result(None)
        else:
            waiter.future.set_exception(JournalFault(f"the record may not be on the disk: {why}"))
