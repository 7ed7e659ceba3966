"""Keeps starts quick and the disk bounded: takes snapshots of closed segments, and deletes segments that are too old.

A service in the loop. The folding is done by a process of its own (`guard.recovery.snapshots`); its parts are appended
a few at a time, so that orders pass in between. No failure here stops anything else: it is logged, and tried again
later.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from msgspec import Raw

from guard.clock import Clock
from guard.errors import JournalFault
from guard.journal import Disk, Journal, Snapshot, leftover
from guard.journal.retention import delete, outlived, prune_record
from guard.journal.runs import RECORD_BYTES, Run, behind
from guard.journal.segments import first_line, segment_numbers, segment_path
from guard.loop.beside import beside
from guard.loop.child import Child, child
from guard.terms import us_of

ROUND_S: Final = 5.0
TIMEOUT_S: Final = 3600.0  # for one of the programs beside the loop; one that hangs must not be the last that is begun
PARTS_AT_ONCE: Final = 8  # some 100 kB, appended a turn of the loop each between two pauses
PAUSE_S: Final = 0.005
AGAIN_S: Final = 3600  # for what could not go: to look for it reads all that is kept, or leaves a record each time
_ROOM_RECORDS: Final = 16
_SPACE: Final = {
    "low": "the disk of the record is filling up; make room before new orders are refused",
    "stop": "the disk of the record is almost full; new orders are refused until there is room",
    "hangs": "the disk of the record does not answer; new orders are refused until it does",
}

_log = structlog.get_logger("guard.recovery.keeper")


@asynccontextmanager
async def _program(module: str, *words: str) -> AsyncIterator[Child]:
    """One of ours while it runs. `ValueError` where it takes too long."""
    try:
        async with asyncio.timeout(TIMEOUT_S), child(*beside(module, *words)) as process:
            yield process
    except TimeoutError as error:
        raise ValueError(f"{module} took longer than {TIMEOUT_S:.0f} s and was ended; it is begun anew") from error


class Keeper:
    """Serves one open journal. `run` is the last whole snapshot that the start found.

    `in_force`: the hashes of the documents in force, which stay beside the record even if no record names them any
    more.
    """

    def __init__(
        self,
        journal: Journal,
        state: Path,
        *,
        clock: Clock,
        retention: timedelta,
        run: Run | None,
        in_force: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._journal, self._state, self._clock, self._retention = journal, state, clock, retention
        self._at_seq = run.at_seq if run is not None else 0
        self._bytes = run.record_bytes if run is not None else 0
        self._broken_off_bytes = 0  # of the last snapshot for which there was no room
        self._disk, self._in_force = Disk(), in_force
        self._is_told, self._turn = False, asyncio.Lock()
        self._is_held, self._space = False, "ample"
        self._clear_at_us: int | None = None  # what pruned records named is to go then
        self._delete_at_us = 0  # segments may go from then on

    async def serve(self) -> None:
        """Runs one round after another until cancelled."""
        while True:
            await asyncio.sleep(ROUND_S)
            try:
                await self.round()
                self._is_told = False
            except (OSError, ValueError, JournalFault) as error:
                if not self._is_told:  # once, not every five seconds
                    _log.error("record_not_kept", why=str(error), hint="starts take longer, old segments stay")
                self._is_told = True

    async def round(self) -> None:
        """Takes a snapshot if one is due, then prunes; never two at once, or they would mix their parts."""
        async with self._turn:
            if self._journal.failed is not None:
                return  # it takes nothing until a restart
            closed = await asyncio.to_thread(self._due)
            if closed is not None:
                await self._snapshot(closed)
            await self._prune()

    def tell_space(self) -> None:
        """Logs once that room becomes scarce, scarcer, or enough again; likewise that the disk does not answer.

        No part of a round, which may take an hour.
        """
        space, before = "hangs" if self._journal.hangs_s else self._journal.space, self._space
        if space == before:
            return
        self._space = space
        if space == "ample" and self._journal.failed is not None:
            return  # its disk has answered, with a fault
        if space == "ample":
            _log.info("disk_has_room", before=before)
        else:
            _log.warning("disk_" + space, hint=_SPACE[space])

    # ------------------------------------------------------------ snapshots

    def _due(self) -> int | None:
        """The closed segment behind which a snapshot is due: there is none, and the record has grown enough since.

        The last snapshot is part of what it has grown by: so snapshots never take more than half of the record, and a
        start never reads more than twice what it must. What is left of a disk that is almost full is for outcomes: none
        is begun that would come there, by the size of the last one.
        """
        wanted = max(self._bytes, 2 * self._broken_off_bytes)
        if self._journal.space == "stop" or self._journal.spare_bytes() < wanted:
            return None
        numbers = segment_numbers(self._state)
        after = behind(self._state, self._at_seq).segment if self._at_seq else 1
        grown = [number for number in numbers[:-1] if number >= after]
        if not grown or not first_line(self._state, numbers[-1]).endswith(b"\n"):
            return None
        size = sum(segment_path(self._state, number).stat().st_size for number in grown)
        return grown[-1] if size >= 2 * self._bytes else None

    async def _snapshot(self, closed: int) -> None:
        """Has the closed segments folded, and appends the parts of the snapshot."""
        async with _program("guard.recovery.snapshots", str(self._state), str(closed)) as process:
            await self._append(process)

    async def _append(self, process: Child) -> None:
        """Part after part; the last one says so, hence each is held back until the next one is there."""
        out, err = process.out, process.err
        first, body = await out.line(), await out.line()
        if not body:
            raise ValueError(
                f"a snapshot could not be made: {b''.join(await err.lines()).decode('utf-8', 'replace')[-500:]}"
            )
        at_seq, part, size = int(first), 0, 0
        while body:
            following = await out.line()
            if not following and await process.ended() != 0:
                raise ValueError("a snapshot was cut off")
            if self._journal.space == "stop":
                self._broken_off_bytes = size
                raise ValueError("the disk of the record is almost full: a snapshot was broken off, and waits for room")
            await self._room()
            record = Snapshot(at_seq=at_seq, part=part, last=not following, body=Raw(body[:-1]))
            self._journal.append("snapshot", record, lazy=True)
            part, size, body = part + 1, size + len(body) + RECORD_BYTES, following
            await asyncio.sleep(0 if part % PARTS_AT_ONCE else PAUSE_S)
        await self._journal.durable(self._journal.last_seq)
        self._at_seq, self._bytes, self._broken_off_bytes = at_seq, size, 0
        _log.info("snapshot", at_seq=at_seq, parts=part, bytes=size)

    async def _room(self) -> None:
        """Waits until the queue is short: orders go first."""
        while self._journal.queue_records > _ROOM_RECORDS and self._journal.failed is None:  # noqa: ASYNC110 - a thread writes
            await asyncio.sleep(PAUSE_S)

    # ------------------------------------------------------------ retention

    async def _prune(self) -> None:
        """Deletes segments older than the retention, once a durable record says so."""
        if self._at_seq == 0:
            return
        now, needed = self._clock.wall(), (await asyncio.to_thread(behind, self._state, self._at_seq)).segment
        found = await asyncio.to_thread(outlived, self._state, now=now, retention=self._retention, needed=needed)
        self._tell_held(found.held)
        if found.gone and self._delete_at_us <= self._clock.mono_us():
            await self._delete(found.gone)
            self._clear_at_us = self._clock.mono_us()
        if self._clear_at_us is not None and self._clear_at_us <= self._clock.mono_us():
            await self._clear_or_later(now - self._retention)

    def _tell_held(self, segments: tuple[int, ...]) -> None:
        """Logs once that segments are held back: the clock is far ahead, or the guard was off for long."""
        if segments and not self._is_held:
            hint = "they go once the record itself is as old; is this machine's clock right?"
            _log.warning("not_pruned", segments=len(segments), first=segments[0], hint=hint)
        self._is_held = bool(segments)

    async def _delete(self, numbers: tuple[int, ...]) -> None:
        await self._read_back()
        record = await asyncio.to_thread(prune_record, self._state, numbers, sign=self._journal.sign_tree)
        await self._journal.durable(self._journal.append("prune", record))
        self._delete_at_us = self._again_us()
        await asyncio.to_thread(delete, self._state, numbers, disk=self._disk)
        self._delete_at_us = 0
        _log.info("pruned", segments=numbers, first_seq=record.first_seq)

    def _again_us(self) -> int:
        return self._clock.mono_us() + AGAIN_S * 1_000_000

    async def _clear_or_later(self, before: datetime) -> None:
        self._clear_at_us = self._again_us()
        try:
            await self._clear(before)
            self._clear_at_us = None
        except (OSError, ValueError) as error:
            hint = "mend it; what no record names stays until then, and is looked for again every hour"
            _log.error("config_not_pruned", why=str(error), hint=hint)

    async def _read_back(self) -> None:
        """Nothing is deleted that no snapshot sums up: ValueError if the last snapshot can no longer be read."""
        async with _program("guard.recovery.snapshots", str(self._state)) as process:
            out, err = await asyncio.gather(process.out.lines(), process.err.lines())
            if await process.ended():
                raise ValueError(f"no snapshot could be read back: {b''.join(err).decode('utf-8', 'replace')[-500:]}")
        if (found := int(out[0])) != (lost := self._at_seq):
            self._at_seq, self._bytes = found, 0
            raise ValueError(f"the snapshot at record {lost} cannot be read back; another is made before anything goes")

    async def _clear(self, before: datetime) -> None:
        """Deletes documents beside the record that only pruned records named."""
        before_us = str(us_of(before))
        async with _program("guard.journal.leftover", str(self._state), before_us, *self._in_force()) as process:
            out, err = await asyncio.gather(process.out.lines(), process.err.lines())
            if await process.ended():
                raise ValueError(f"what is left over could not be found: {b''.join(err).decode()[-500:]}")
        paths = [self._state / leftover.FOLDER / line.decode().strip() for line in out]
        gone = await asyncio.to_thread(leftover.delete, self._state, paths, before_us=int(before_us))
        if gone:
            _log.info("config_pruned", files=gone)
