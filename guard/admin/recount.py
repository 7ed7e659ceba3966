"""The counters of new limits on their way into the ledger: built and recorded in slices, taken over in one step.

What is appended meanwhile is listened to and folded here, so nothing is counted twice and nothing is left out. Orders
go on between two slices; none waits for more than one. The parts that are on record move nothing before the record of
the change does: a change that fails leaves the ledger as it was, here and at a start.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Mapping
from heapq import nsmallest
from typing import Final

import msgspec
import structlog
from msgspec import Raw, Struct

from guard.errors import JournalFault
from guard.journal import Counters, plain
from guard.journal.entries import ABSENT
from guard.limits import Graft, Staging, State, merge_grafts, split_long_logs
from guard.loop.resting import Pieces, let_go
from guard.recovery.readback import PART_ORDERS, PART_STAMPS
from guard.replay.counting import Counting
from guard.terms import utc
from guard.walk.desk import Desk

SLICE_S: Final = 0.0005  # worked in one go
SLICE_MAX_S: Final = 0.02  # where more comes in than is folded so
PART_CELLS: Final = 128  # logs of stamps in a `counters` record, or fewer that have `PART_STAMPS` together
FEW: Final = 4  # records, or orders, that the step of the change may leave to itself
FEW_CELLS: Final = 64  # as many cells as these orders are on
PASSES_MAX: Final = 500  # after which it leaves to itself what there is, under a load that never lets it come to few
SHOWN_MAX: Final = 200  # counters named in an answer
QUEUE_MAX: Final = 16  # records that wait for the disk: orders go first
TARGETS_BYTES_MAX: Final = 12 * 2**20  # below what a line holds
_PAUSE_S: Final = 0.005
TOO_MUCH: Final = "more happened meanwhile than can be caught up with; reload again"
_LEFT_OUT: Final = "{} trades are not counted on the new limits in full: what these look at is not on record"
FROM_NOW: Final = "new limits count from now on; change one of them and reload to try again"
NOT_REBUILT: Final = f"the counters of the new limits could not be made from the record ({{}}): {FROM_NOW}"
_log = structlog.get_logger("guard.admin")
Tail = deque[tuple[Struct | Mapping[str, object], int]]


class Recount:
    """Under way over one desk. `counting` None: nothing is counted anew, only `words` are promoted.

    `prepare` first; `caught_up` and `take_over` are called in the step of the change, and `end` in any case.
    """

    def __init__(
        self,
        desk: Desk,
        counting: Counting | None,
        tail: Tail,
        *,
        words: tuple[str, ...] = (),
        about_reads: str | None = None,
    ) -> None:
        self.batch: str | None = None
        self._desk, self._counting, self._tail, self._words = desk, counting, tail, words
        other, reads = (State(), State()) if counting is None else (counting.state, counting.traffic)
        self._staging = Staging(desk.state, other, words)
        self._reads = Staging(desk.traffic, reads, words)
        self._old: Pieces = []
        self._names: set[str] = set()
        self._part = Graft()
        self._rest = Graft()
        self._about_reads = about_reads
        self._fault: str | None = None
        self._is_in_force = False

    # ------------------------------------------------------------ in slices

    async def prepare(self) -> None:
        """Until little is left for the step of the change."""
        await self._catch_up()
        while (part := self._staging.build()) is not None:
            await self._told(part)
            await self._catch_up()
        while (part := self._reads.build()) is not None:
            self._names = self._first(part)
            await self._catch_up()
        for _ in range(PASSES_MAX):
            await asyncio.sleep(0)  # the step of the change has its turn of the loop for itself
            if len(self._tail) <= FEW and self._staging.changed <= FEW and self._stirred <= FEW_CELLS:
                return
            await self._told(self._staging.build_again())
            self._names = self._first(self._reads.build_again())
            await self._catch_up()

    @property
    def _stirred(self) -> int:
        return self._staging.stirred + self._reads.stirred

    async def _catch_up(self) -> None:
        """What was appended meanwhile, until less than a slice is left."""
        slice_s, before = SLICE_S, len(self._tail)
        await asyncio.sleep(0)
        while not self._fold(slice_s):
            slice_s = SLICE_S if len(self._tail) < before else min(2 * slice_s, SLICE_MAX_S)
            before = len(self._tail)
            await asyncio.sleep(0)

    async def _told(self, part: Graft) -> None:
        """Takes up one part more; what has come to enough for a record is recorded, once the queue is short."""
        self._part = merge_grafts((self._part, part))
        self._names = self._first(part)
        stamps = sum(len(log.stamps) for log in self._part.logs.values())
        if len(self._part.holders) < PART_ORDERS and len(self._part.logs) < PART_CELLS and stamps < PART_STAMPS:
            return
        journal, part, self._part = self._desk.journal, self._part, Graft()
        for piece in split_long_logs(part):
            await asyncio.sleep(0)  # a record has a turn of the loop for itself
            while journal.queue_records > QUEUE_MAX and journal.failed is None:  # noqa: ASYNC110 - a thread writes
                await asyncio.sleep(_PAUSE_S)
            self._append(piece)

    def _append(self, piece: Graft) -> None:
        journal, clock = self._desk.journal, self._desk.clock
        self.batch = self.batch or clock.new_id()
        journal.append("counters", Counters(clock.t_us(), self.batch, self._encoded(piece)), lazy=True)

    def _fold(self, slice_s: float) -> bool:
        """For a slice of time; whether that was enough."""
        if len(self._tail) == self._tail.maxlen:
            raise JournalFault(TOO_MUCH)
        until_s = time.perf_counter() + slice_s
        while self._tail and time.perf_counter() < until_s:
            record, wall_us = self._tail.popleft()
            if self._counting is None or not isinstance(record, Struct):
                continue
            try:
                self._counting.fold(record, wall=utc(wall_us))
            except (ValueError, AssertionError) as error:
                raise JournalFault(f"a record does not fit: {error}") from error
        return len(self._tail) <= FEW

    # ------------------------------------------------------------ the step

    def caught_up(self) -> Raw:
        """What is not on record yet of what the ledger lacks, up to the last record appended.

        Raises JournalFault where it cannot be had, or is too much for a record.
        """
        while self._tail:
            self._fold(SLICE_MAX_S)
        self._rest = merge_grafts((self._part, self._staging.rest()))
        *long, last = split_long_logs(self._rest)
        for piece in long:
            self._append(piece)
        return ABSENT if last.is_empty else self._encoded(last)

    def at_best(self) -> Raw:
        """The same for a change that may not fail: nothing, and loud, where it cannot be had."""
        try:
            return self.caught_up()
        except JournalFault as fault:
            _log.error("counters_not_rebuilt", why=str(fault), hint=FROM_NOW)
            self._fault, self.batch, self._names, self._rest = str(fault), None, set(), Graft()
            return ABSENT

    def take_over(self, *, t_us: int) -> None:
        """The ledger counts it from now on; the record that says so was appended in this very step."""
        is_new = self.batch is not None or bool(self._words) or not self._rest.is_empty
        if is_new and self._fault is None:
            self._old.append(self._staging.take_over(self._rest, t_us=t_us))
        self._is_in_force = True

    def put_on_traffic(self, *, t_us: int) -> None:
        """Reads that are on record, put on the rates that count them from now on, in memory as all of these."""
        if self._fault is None:
            rest = self._reads.rest()
            _ = self._reads.take_over(rest, t_us=t_us)
            self._names = self._first(rest)

    async def end(self) -> None:
        """Nobody listens any more. What was needed for it is let go of a little at a time: that takes its time too."""
        old = [*self._old, *self._staging.close(), *self._reads.close()]
        await let_go(old)

    # ------------------------------------------------------------ told

    def still_lost(self, before: str | None) -> str | None:
        """Why counters begin at zero that should not, after this: `before` why some did before it."""
        if self._counting is None or not self._is_in_force:
            return before
        return self._fault  # all that the limits in force count was made anew, or none of it

    @property
    def counters(self) -> tuple[str, ...]:
        """The names of counters that it puts something on, but for those of `words`: the first `SHOWN_MAX`."""
        return tuple(nsmallest(SHOWN_MAX, self._first(self._rest)))

    @property
    def errors(self) -> tuple[str, ...]:
        """For the record of a change that could not have it: a start tries again."""
        return () if self._fault is None else (plain(NOT_REBUILT.format(self._fault)),)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not in it."""
        if self._counting is None:
            return ()
        if self._fault is not None:
            return (NOT_REBUILT.format(self._fault),)
        left_out = self._counting.left_out
        told = (_LEFT_OUT.format(left_out),) if left_out else ()
        return told if self._about_reads is None else (*told, self._about_reads)

    def _first(self, part: Graft) -> set[str]:
        """The names known with those of this part, no more than are needed: there may be one for each order."""
        names = self._names.union(cell for cell in _cells(part) if cell.partition("/")[0] not in self._words)
        return names if len(names) <= 2 * SHOWN_MAX else set(nsmallest(SHOWN_MAX, names))

    def _encoded(self, part: Graft) -> Raw:
        body = msgspec.json.encode(part)
        if len(body) > TARGETS_BYTES_MAX:
            raise JournalFault(f"the new counters come to {len(body)} bytes, more than a record takes")
        return Raw(body)


def _cells(part: Graft) -> Iterator[str]:
    yield from (cell for held in part.holders.values() for cell in held.cells)
    yield from part.spent
    yield from part.logs


class NotRebuilt(Struct, frozen=True):
    """In the place of a `Recount` that cannot be had, for a change that may not fail."""

    why: str
    batch: None = None
    counters: tuple[str, ...] = ()

    def at_best(self) -> Raw:
        """Nothing: the new limits count from now on."""
        return ABSENT

    def take_over(self, *, t_us: int) -> None:
        """Nothing."""

    def put_on_traffic(self, *, t_us: int) -> None:
        """Nothing."""

    @property
    def errors(self) -> tuple[str, ...]:
        """For the record of the change: a start tries again."""
        return (plain(NOT_REBUILT.format(self.why)),)

    @property
    def warnings(self) -> tuple[str, ...]:
        """That, in words."""
        return (NOT_REBUILT.format(self.why),)
