"""The writer thread: takes all that is queued, writes it with one call, syncs once, and signs what it has synced.

While one batch syncs, the next one gathers (group commit without a timer). A checkpoint is made at most `Lags.sign_s`
after the first record that none covers, even if no other record follows, and before a new segment, on request, and at
the end. It covers synced lines only, so that a power cut never looks like a truncation. A failed write, sync or
signature closes the journal until the next start: after a failed fsync the kernel marks pages as clean, so nobody knows
which of them are on the medium.
"""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from guard.journal.backlog import Backlog, Batch
from guard.journal.checkpointsigner import CheckpointSigner
from guard.journal.segmentfile import SegmentFile
from guard.journal.space import Space
from guard.journal.tree import Tree


class Lags(NamedTuple):
    """In seconds: how long a lazy record may be unsynced, any record unsigned, the free space unchecked."""

    sync_s: float
    sign_s: float
    look_s: float


class Callbacks(NamedTuple):
    """What is called on the event loop after a sync, and after a signature."""

    synced: Callable[[], None]
    signed: Callable[[], None]


class WriterParts(NamedTuple):
    """What the writer thread alone may touch."""

    file: SegmentFile
    signer: CheckpointSigner
    space: Space


class Committer:
    """What the writer thread does.

    Attributes:
        last_sync_s: how long the last sync took, in seconds.
        busy_since_s: since when it has been asking something of the disk, by the monotonic clock; infinite while not.
    """

    def __init__(self, backlog: Backlog, parts: WriterParts, *, tree: Tree, lags: Lags) -> None:
        self.last_sync_s = 0.0
        self.callbacks = Callbacks(lambda: None, lambda: None)
        self._backlog, self._lags = backlog, lags
        self._file, self._signer, self._space = parts
        self._tree = tree  # of all that was written
        self._signed_seq = tree.size  # what was found is signed only with the records of this run that tell of it
        self._sync_due_s = self._sign_due_s = math.inf
        self._look_due_s = 0.0
        self.busy_since_s = math.inf

    def run(self) -> None:
        """Works until the backlog is closed and empty."""
        try:
            while (batches := self._backlog.take(self._left_s)) is not None:
                self.busy_since_s = time.monotonic()
                self._commit(batches)
                self.busy_since_s = math.inf
        except Exception as error:  # noqa: BLE001 - a thread that dies unheard would leave every waiter waiting
            self._backlog.fail(error)

    @property
    def written_seq(self) -> int:
        """The last record that is in the file."""
        return self._tree.size

    def close(self) -> None:
        """Gives the descriptors back; the thread has ended."""
        self._file.close()
        self._signer.close()

    def _left_s(self) -> float | None:
        look_due_s = math.inf if self._backlog.is_closing else self._look_due_s
        due_s = min(self._sync_due_s, self._sign_due_s, look_due_s)
        return None if due_s == math.inf else due_s - time.monotonic()

    def _commit(self, batches: list[Batch]) -> None:
        is_awaited = False
        for batch in batches:
            if batch.segment != self._file.number:
                self._rotate(batch.segment)
            self._file.write(b"\n".join([*batch.lines, b""]))
            self._tree = batch.tree
            is_awaited = is_awaited or batch.awaited > 0
        now_s, is_asked = time.monotonic(), self._backlog.is_urgent
        if batches:
            self._sync_due_s = min(self._sync_due_s, now_s + self._lags.sync_s)
            self._sign_due_s = min(self._sign_due_s, now_s + self._lags.sign_s)
        is_sign_due = is_asked or self._sign_due_s <= now_s
        if is_sign_due or is_awaited or self._sync_due_s <= now_s:
            self._sync()
        if is_sign_due:
            self._sign()
        if self._look_due_s <= now_s:
            self._space.look()
            self._look_due_s = now_s + self._lags.look_s

    def _rotate(self, number: int) -> None:
        self._file.rotate(number)
        if self._tree.size > self._signed_seq:
            self._backlog.publish(self._backlog.durable, self._tree.size)
            self._sign()

    def _sync(self) -> None:
        if self._tree.size > self._backlog.durable.seq:
            began_s = time.perf_counter()
            self._file.sync()
            self.last_sync_s = time.perf_counter() - began_s
            self._backlog.publish(self._backlog.durable, self._tree.size, then=self.callbacks.synced)
        self._sync_due_s = math.inf

    def _sign(self) -> None:
        if self._tree.size:
            self._signer.sign(self._tree)
        self._signed_seq = self._tree.size
        self._sign_due_s = math.inf
        self._backlog.publish(self._backlog.signed, self._tree.size, then=self.callbacks.signed)
