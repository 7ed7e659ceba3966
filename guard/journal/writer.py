"""The open journal: records are chained on the event loop, and made durable and signed by one writer thread.

`append` encodes, chains and queues a record and returns its seq; it waits for nothing. `committer` is what the thread
does with it.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from msgspec import Struct
from msgspec.structs import replace

from guard.clock import Clock
from guard.errors import GuardFault, JournalFault, StateFault
from guard.journal import signingkey, statedir, stateformat
from guard.journal.backlog import Backlog, QueueBounds
from guard.journal.checkpoints import CheckpointFile, signed_by
from guard.journal.checkpointsigner import CheckpointSigner
from guard.journal.committer import Callbacks, Committer, Lags, WriterParts
from guard.journal.disk import Disk
from guard.journal.entries import Vkey
from guard.journal.note import Signer
from guard.journal.record import Line
from guard.journal.recordend import RecordEnd, Timed, appended, appended_all
from guard.journal.resume import resume
from guard.journal.seek import decision_at
from guard.journal.segmentfile import SegmentFile
from guard.journal.space import Level, Marks, Space
from guard.journal.succession import introduction
from guard.journal.tail import Tail, recover, write_anew
from guard.journal.tree import Tree
from guard.journal.waiting import Reached

SEGMENT_BYTES_MAX: Final = 128 * 2**20
QUEUE_RECORDS_MAX: Final = 8192
QUEUE_BYTES_MAX: Final = 64 * 2**20
REST_S: Final = 0.005  # how long a lazy record may wait for an awaited one, to be written with it
SYNC_LAG_S: Final = 0.05  # how long a lazy record may be written and not synced
SIGN_LAG_S: Final = 0.75  # how long a record may be without a checkpoint; the contract promises a second
LOOK_S: Final = 1.0  # how often the free space is looked at
CLOSE_TIMEOUT_S: Final = 10.0
HANG_S: Final = 10.0  # what takes the disk longer keeps orders so long that they are not sent any more
FINDS_MAX: Final = 2  # decisions looked up at the same time, so that threads stay free for everything else
_ROOM_BYTES: Final = 128 * 1024  # what `has_room` counts for a record: an order's body at most 64 KiB, quoted, and more


class JournalBounds(Struct, frozen=True):
    """How much the journal holds. `has_room` leaves the last quarter of the queue to outcomes and cancels."""

    segment_bytes_max: int = SEGMENT_BYTES_MAX
    queue_records_max: int = QUEUE_RECORDS_MAX
    queue_bytes_max: int = QUEUE_BYTES_MAX
    rest_s: float = REST_S
    sync_lag_s: float = SYNC_LAG_S
    sign_lag_s: float = SIGN_LAG_S
    look_s: float = LOOK_S
    marks: Marks = Marks()
    close_timeout_s: float = CLOSE_TIMEOUT_S


class JournalParts(Struct, frozen=True):
    """What a journal is made with."""

    clock: Clock
    disk: Disk
    bounds: JournalBounds
    signer: Signer


class Journal:
    """The open journal of one state directory.

    Attributes:
        on_sync: called on the event loop after each sync with its seconds; for the metrics. on_checkpoint: called on
        the event loop with a new checkpoint; if two are made quickly, with the later one twice. found_seq: the last
        record that was there when it was opened. signed_seq: the last of those that a checkpoint signed by this log's
        own key covers.
    """

    def __init__(self, state: Path, tail: Tail, end: RecordEnd, *, lock_fd: int, parts: JournalParts) -> None:
        """Not for callers: `Journal.open` has the lock and has recovered the tail before it comes here."""
        self.found_seq, self.signed_seq = end.seq, 0
        self.on_sync: Callable[[float], None] = lambda _: None
        self.on_checkpoint: Callable[[str], None] = lambda _: None
        self._tap: deque[Timed] | None = None
        self._finds = asyncio.Semaphore(FINDS_MAX)
        self._state, self._lock_fd = state, lock_fd
        self._clock, self._disk, self._bounds = parts.clock, parts.disk, parts.bounds
        self._end = end
        disk, bounds = parts.disk, parts.bounds
        room = QueueBounds(bounds.queue_records_max, bounds.queue_bytes_max)
        self._backlog = Backlog(end.seq, room, rest_s=bounds.rest_s)
        self._calm_bounds = QueueBounds(bounds.queue_records_max * 3 // 4, bounds.queue_bytes_max * 3 // 4)
        self._space = Space(state, disk=disk, marks=bounds.marks)
        self._signer = CheckpointSigner(
            parts.signer, CheckpointFile(state, disk=disk, space=self._space), clock=parts.clock
        )
        owned = WriterParts(SegmentFile(state, tail, disk=disk, space=self._space), self._signer, self._space)
        lags = Lags(bounds.sync_lag_s, bounds.sign_lag_s, bounds.look_s)
        self._committer = Committer(self._backlog, owned, tree=end.tree, lags=lags)
        self._committer.callbacks = Callbacks(self._tell_sync, self._tell_checkpoint)
        self._thread = threading.Thread(target=self._committer.run, name="journal", daemon=True)

    # ------------------------------------------------------------ opening and closing

    @classmethod
    def open(
        cls,
        state: Path,
        *,
        clock: Clock,
        disk: Disk | None = None,
        bounds: JournalBounds | None = None,
        lock_wait_s: float = 0.0,
    ) -> Self:
        """Locks the state directory, sets a torn tail aside, and is ready to append; blocking, for the start.

        Raises `StateFault` if the directory is unsafe or in use or the record is shorter than was signed,
        `JournalFault` if the record cannot go on. Only the last segment is checked; `replay` checks the whole chain.
        """
        disk = disk or Disk()
        statedir.prepare(state, disk=disk)
        lock_fd = statedir.lock(state, disk=disk, wait_s=lock_wait_s)
        try:
            stateformat.bring_forward(state, disk=disk)
            tail = recover(state, disk=disk)
            end = resume(state, tail)
            parts = JournalParts(clock, disk, bounds or JournalBounds(), signingkey.load(state, disk=disk))
            journal = cls(state, tail, end, lock_fd=lock_fd, parts=parts)
            journal.signed_seq = signed_by(state, parts.signer.verifier)
        except GuardFault:
            disk.close(lock_fd)
            raise
        except OSError as error:
            disk.close(lock_fd)
            raise StateFault(f"{state}: the journal cannot be opened: {error}") from error
        with suppress(RuntimeError):  # without a running loop the first `durable` brings it
            journal._backlog.serve(asyncio.get_running_loop())
        journal._space.look()  # before the thread, to which it belongs from then on
        journal._begin(tail)
        return journal

    def _begin(self, tail: Tail) -> None:
        signed = self.signed_seq if self.signed_seq < self.found_seq else None
        if signed is not None:
            self._make_sure(tail, signed)
        try:
            self._thread.start()
        except RuntimeError as error:
            self._give_back()
            raise StateFault(f"{self._state}: the journal cannot be opened: {error}") from error
        try:
            for recovered in tail.recovered:
                self.append("recovered", replace(recovered, signed=signed))
            self.flush()
        except JournalFault:
            if self.failed is not None:  # new orders are refused and cancels pass, as whenever a disk fails
                return
            self.shut()
            raise

    def _make_sure(self, tail: Tail, signed_seq: int) -> None:
        try:
            self._space.relieved(write_anew, self._state, tail, signed_seq=signed_seq, disk=self._disk)
        except (OSError, JournalFault) as error:
            self._backlog.fail(error)

    async def close(self) -> None:
        """Writes, syncs and signs all that was appended, then closes the files and releases the lock."""
        await asyncio.to_thread(self.shut)

    def shut(self) -> bool:
        """`close` without an event loop. False if the disk hangs: it is given up after `close_timeout_s`."""
        if not self._backlog.close():
            return True
        self._thread.join(self._bounds.close_timeout_s)
        if self._thread.is_alive():
            return False  # descriptors and lock stay with the thread, and go when the process ends
        self._give_back()
        return True

    def _give_back(self) -> None:
        self._committer.close()
        self._backlog.let_go()
        self._disk.close(self._lock_fd)

    # ------------------------------------------------------------ what the guard asks

    @property
    def failed(self) -> str | None:
        """Why it takes no more records until a restart; None while it does."""
        return self._backlog.failed

    @property
    def hangs_s(self) -> float:
        """For how long its disk has not answered; 0 unless that is long, and once it has failed."""
        busy_s = time.monotonic() - self._committer.busy_since_s
        return busy_s if busy_s > HANG_S and self._backlog.failed is None else 0.0

    @property
    def last_seq(self) -> int:
        """The seq of the last record appended; 0 before the first."""
        return self._end.seq

    @property
    def records_total(self) -> int:
        """Records appended since it was opened."""
        return self.last_seq - self.found_seq

    @property
    def written_seq(self) -> int:
        """The seq of the last record that is in the file, though perhaps not on the medium yet."""
        return self._committer.written_seq

    @property
    def last_sync_s(self) -> float:
        """How long the last sync took, in seconds."""
        return self._committer.last_sync_s

    @property
    def queue_records(self) -> int:
        """How many records wait to be written."""
        return self._backlog.records

    @property
    def vkey(self) -> str:
        """The verifier key of the log, as text."""
        return self._signer.signers[0].verifier.vkey

    @property
    def signed_us(self) -> int:
        """When the last checkpoint of this run was made, in microseconds of the wall clock; 0 before the first."""
        return self._signer.signed_us

    def free_bytes(self) -> int:
        """Free space where the journal lies; blocking, though a moment only."""
        return self._disk.free_bytes(statedir.journal_dir(self._state))

    def spare_bytes(self) -> int:
        """How much may still be written before new orders stop."""
        return self.free_bytes() - self._bounds.marks.stop_bytes

    @property
    def space(self) -> Level:
        """`low`: the operator is warned. `stop`: no new orders, so that what is under way can still be recorded."""
        return self._space.level

    def has_room(self, records: int) -> bool:
        """Whether so many records can be appended now with a quarter of the queue left free, on a disk that answers."""
        backlog, calm = self._backlog, self._calm_bounds
        if time.monotonic() - self._committer.busy_since_s > HANG_S:
            return False
        if backlog.failed is not None or backlog.is_closing or backlog.records + records > calm.records:
            return False
        return backlog.bytes_ + records * _ROOM_BYTES <= calm.bytes_

    def append(
        self,
        type_: str,
        members: Struct | Mapping[str, object],
        *,
        wall_us: int | None = None,
        lazy: bool = False,
        yields: bool = False,
    ) -> int:
        """Gives the record its place in the chain and queues it; returns its seq. Any thread, waits for nothing.

        `wall_us`: when it was decided, for `ts`; None: now. `lazy`: nobody waits for it, so it is written together with
        what comes next, at most `rest_s` later, and synced with a later batch, at most `sync_lag_s` after that.
        `yields`: the last quarter of the queue is left to outcomes, cancels and what operators do. Raises
        `JournalFault` if the journal has failed or is closed, the queue is full, or the record cannot be written as
        JSON; no seq is used up then.
        """
        ts_us = self._clock.wall_us() if wall_us is None else wall_us
        backlog, bytes_max = self._backlog, self._bounds.segment_bytes_max
        with backlog.lock:
            if backlog.failed is not None or backlog.is_closing:
                backlog.refuse()
            lines, after = appended_all(self._end, type_, ((members, ts_us),), segment_bytes_max=bytes_max)
            if not lines:
                line, after = appended(self._end, type_, members, ts_us=ts_us, segment_bytes_max=bytes_max)
                lines = [line]
            backlog.put(lines, after, is_lazy=lazy, yields=yields)
            self._end = after
            if self._tap is not None:
                self._tap.append((members, ts_us))
            return after.tree.size

    def append_all(self, type_: str, records: Sequence[Timed], *, lazy: bool = False, yields: bool = False) -> range:
        """The same for several, each with its time, in one step that costs less; the seqs that they have.

        These may be fewer, for some that come first: who comes behind them asks for his own by `append`. `JournalFault`
        where none has its place.
        """
        backlog, bytes_max = self._backlog, self._bounds.segment_bytes_max
        with backlog.lock:
            if backlog.failed is not None or backlog.is_closing:
                backlog.refuse()
            first = self._end.tree.size + 1
            lines, after = appended_all(self._end, type_, records, segment_bytes_max=bytes_max)
            if lines:
                backlog.put(lines, after, is_lazy=lazy, yields=yields)
                self._end = after
            if self._tap is not None:
                self._tap.extend(records[: len(lines)])
            return range(first, after.tree.size + 1)

    def tap(self, tap: deque[Timed] | None) -> int:
        """Every record that is appended from now on is put there too, with its time; None ends that.

        Returns the last seq before.
        """
        with self._backlog.lock:
            self._tap = tap
            return self._end.seq

    def durable(self, seq: int) -> Awaitable[None]:
        """To be awaited: done once the record is on the medium, in the file that the path names.

        `JournalFault` if nobody knows whether it is. All callers share one event loop.
        """
        self._was_appended(seq)
        return self._backlog.reach(self._backlog.durable, seq)

    def when_durable(self, seq: int, told: Reached) -> None:
        """For who does not await: `told` hears of it on the loop, at once if it is known; it must not raise."""
        self._was_appended(seq)
        self._backlog.when(self._backlog.durable, seq, told)

    def _was_appended(self, seq: int) -> None:
        if seq > self._end.tree.size:
            raise AssertionError(f"record {seq} was never appended")

    async def find(self, ts: str, decision: str) -> Line | None:
        """The decision with this id and `ts`; None if it is no longer kept. Raises `JournalFault`."""
        if self.written_seq < self.last_seq:
            await self.durable(self.last_seq)
        async with self._finds:
            return await asyncio.to_thread(decision_at, self._state, ts, decision)

    async def checkpoint(self) -> str:
        """A checkpoint that covers at least what was appended before this call; `JournalFault` if none can be made."""
        if self.last_seq == 0:
            raise JournalFault("there is no record yet that a checkpoint could cover")
        await self._backlog.reach(self._backlog.signed, self.last_seq)
        if self._signer.note is None:
            raise AssertionError("signed without a note")
        return self._signer.note

    def sign_tree(self, tree: Tree) -> str:
        """A checkpoint over an earlier tree of this log, for a `prune` record that holds it; kept nowhere else."""
        return self._signer.note_of(tree)

    def sign_soon(self) -> None:
        """Asks for a checkpoint over everything appended so far, and waits for nothing."""
        self._backlog.want_signature(self.last_seq)

    def introduction(self) -> Vkey:
        """The `vkey` record that introduces the signing key."""
        return introduction(self._signer.signers[0])

    def rotate_key(self) -> Signer:
        """Records a new key, and has both keys sign from now on; blocking. The caller stores it for the next start.

        Raises `JournalFault`; nothing has changed then.
        """
        signer = self._signer.signers[0]
        successor = signingkey.successor(signer)
        self.append("vkey", introduction(successor, signer))
        self._signer.signers = (signer, successor)
        self.flush()
        return successor

    def flush(self) -> None:
        """Blocks until all that was appended is durable: for the start and for tools, never on the event loop."""
        self._backlog.flush(self.last_seq)

    # ------------------------------------------------------------ on the event loop, after the writer thread

    def _tell_sync(self) -> None:
        self.on_sync(self.last_sync_s)

    def _tell_checkpoint(self) -> None:
        if self._signer.note is not None:
            self.on_checkpoint(self._signer.note)
