"""Counters that nobody kept, made from the record before new limits come into force.

The past is read by a process of its own beside the loop; what is appended meanwhile is listened to and folded here in
slices, the last of them in the same step as the swap. So nothing is counted twice and nothing is left out, and no
request waits for more than a slice. What cannot be made refuses the change: a limit that silently begins at zero lets
through what it is there to stop.
"""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Raw, Struct

from guard.clock import utc
from guard.errors import JournalFault
from guard.journal.entries import ABSENT
from guard.journal.shelf import Shelf
from guard.limits import Graft, State, graft, missing
from guard.policy import PolicyDoc, PolicySet
from guard.policy.schema import Breaker, Budgets, Rates
from guard.replay.counted import principals_of, put_together
from guard.replay.counting import Counting
from guard.replay.days import Days
from guard.standing import Standing
from guard.walk.desk import Desk

TIMEOUT_S: Final = 120.0
TAIL_MAX: Final = 200_000  # records that may come in while the past is read
SLICE: Final = 20  # folded in one go: a few milliseconds at most
SHOWN_MAX: Final = 200
TARGETS_BYTES_MAX: Final = 12 * 2**20  # below what a line holds
_LEFT_OUT: Final = "{} trades are not counted on the new limits in full: what these look at is not on record"
_FROM_NOW: Final = "new limits count from now on; change one of them and reload to try again"
_NOT_REBUILT: Final = f"the counters of the new limits could not be made from the record ({{}}): {_FROM_NOW}"
_READS: Final[Mapping[str, str]] = {
    "account": "rates.reads: of earlier reads those of accounts are counted; the record sums market-data reads up",
    "refused": "rates.reads begins at zero: the record holds no reads that passed",
}
_log = structlog.get_logger("guard.admin")
_Tail = deque[tuple[Struct | Mapping[str, object], int]]


class Recount:
    """Under way; `caught_up` is called in the step of the swap."""

    def __init__(self, counting: Counting, tail: _Tail, *, about_reads: str | None = None) -> None:
        self.counting = counting
        self._tail = tail
        self._about_reads = about_reads
        self._fault: str | None = None

    async def catch_up(self) -> None:
        """Until less than a slice is left."""
        while len(self._tail) > SLICE:
            self._fold(SLICE)
            await asyncio.sleep(0)

    def caught_up(self, state: State) -> tuple[Graft, Raw]:
        """What the ledger lacks, up to the last record appended, and the same as a record holds it.

        Raises JournalFault where it cannot be had, or is too much for a record.
        """
        self._fold(len(self._tail))
        found = missing(state, self.counting.state)
        body = msgspec.json.encode(found) if found.counters else b""
        if len(body) > TARGETS_BYTES_MAX:
            raise JournalFault(f"the new counters come to {len(body)} bytes, more than a record takes")
        return found, Raw(body) if body else ABSENT

    def at_best(self, state: State) -> tuple[Graft, Raw]:
        """The same for a change that may not fail: nothing, and loud, where it cannot be had."""
        try:
            return self.caught_up(state)
        except JournalFault as fault:
            _log.error("counters_not_rebuilt", why=str(fault), hint=_FROM_NOW)
            self._fault = str(fault)
            return Graft(), ABSENT

    def put_on_traffic(self, traffic: State, *, t_us: int) -> tuple[str, ...]:
        """Reads that are on record, put on the rates that count them from now on, in memory as all of these; which."""
        found = Graft() if self._fault is not None else missing(traffic, self.counting.traffic)
        graft(traffic, found, t_us=t_us)
        return found.counters

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not in it."""
        if self._fault is not None:
            return (_NOT_REBUILT.format(self._fault),)
        left_out = self.counting.left_out
        told = (_LEFT_OUT.format(left_out),) if left_out else ()
        return told if self._about_reads is None else (*told, self._about_reads)

    def _fold(self, count: int) -> None:
        for _ in range(min(count, len(self._tail))):
            record, wall_us = self._tail.popleft()
            try:
                self.counting.fold(record if isinstance(record, Struct) else None, wall=utc(wall_us))
            except (ValueError, AssertionError) as error:
                raise JournalFault(f"a record does not fit: {error}") from error


class NotRebuilt(Struct, frozen=True):
    """In the place of a `Recount` that cannot be had, for a change that may not fail."""

    why: str

    def at_best(self, _: State) -> tuple[Graft, Raw]:
        """Nothing: the new limits count from now on."""
        return Graft(), ABSENT

    def put_on_traffic(self, _: State, *, t_us: int) -> tuple[str, ...]:  # noqa: ARG002 - as of a Recount
        """Nothing."""
        return ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """That, in words."""
        return (_NOT_REBUILT.format(self.why),)


class Recounting:
    """Over one desk and its state directory."""

    def __init__(self, desk: Desk, shelf: Shelf, directory: Path) -> None:
        self._desk = desk
        self._shelf = shelf
        self._directory = directory

    @asynccontextmanager
    async def of(self, standing: Standing) -> AsyncIterator[Recount | None]:
        """The counters of this standing; None where its limits count nothing that those in force do not.

        What decides under it is on the shelf already. Raises JournalFault where the record cannot be read.
        """
        policies = standing.policies
        if policies is None or counting_of(standing) <= counting_of(self._desk.standing):
            yield None
            return
        tail: _Tail = deque(maxlen=TAIL_MAX)
        until = self._desk.journal.tap(lambda record, wall_us: tail.append((record, wall_us)))
        try:
            counting = await self._past(standing, policies, until)
            found = Recount(counting, tail, about_reads=_about_reads(self._desk.standing, policies))
            if len(tail) == TAIL_MAX:
                raise JournalFault("more happened meanwhile than can be caught up with; reload again")
            await found.catch_up()
            yield found
        finally:
            _ = self._desk.journal.tap(None)

    @asynccontextmanager
    async def at_best(self, standing: Standing) -> AsyncIterator[Recount | NotRebuilt | None]:
        """The same for a change that may not fail (a key is taken away): loud where it cannot be had."""
        async with AsyncExitStack() as stack:
            found: Recount | NotRebuilt | None
            try:
                found = await stack.enter_async_context(self.of(standing))
            except JournalFault as fault:
                _log.error("counters_not_rebuilt", why=str(fault), hint=_FROM_NOW)
                found = NotRebuilt(str(fault))
            yield found

    async def _past(self, standing: Standing, policies: PolicySet, until: int) -> Counting:
        now, days = self._desk.clock.wall(), Days(self._shelf.get, docs=None, now=self._desk.clock.wall())
        principals = principals_of(days, standing.config_sha256)
        if until == 0:
            return Counting(policies, principals)
        out = await self._read(standing, str(until), now.isoformat())
        try:
            so_far = await asyncio.to_thread(put_together, out)
        except ValueError as error:
            raise JournalFault(f"what was read back is not whole: {error}") from error
        return Counting(policies, principals, so_far=so_far)

    async def _read(self, standing: Standing, until: str, now: str) -> bytes:
        words = ("-m", "guard.replay.counted", str(self._directory), standing.config_sha256, standing.policy_sha256)
        process = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._written(int(until))
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *words,
                    until,
                    now,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                )
                out, err = await process.communicate()
        except (TimeoutError, OSError) as error:
            raise JournalFault(f"reading it back failed or took longer than {TIMEOUT_S:.0f} s: {error}") from error
        finally:
            if process is not None and process.returncode is None:
                process.kill()
                _ = await process.wait()
        if process.returncode:
            said = err.decode(errors="replace").strip().splitlines() or [""]
            _log.error("recount_failed", why="\n".join(said)[-500:])
            raise JournalFault(said[-1][:300])
        return out

    async def _written(self, seq: int) -> None:
        journal = self._desk.journal
        while journal.written_seq < seq:
            if journal.failed is not None:
                raise JournalFault(journal.failed)
            await asyncio.sleep(0.002)


def counting_of(standing: Standing) -> frozenset[object]:
    """What of it counts: two that are alike in this keep the same counters, whatever else they refuse."""
    found: set[object] = set()
    for doc in standing.policies.docs if standing.policies else ():
        found |= _counting(doc)
    for name, limits in standing.keyring.limits_by_name().items():
        if limits.max_daily_value is not None:
            found.add((name, "max_daily_value"))
        if limits.max_orders_per_minute is not None:
            found.add((name, "max_orders_per_minute"))
    return frozenset(found)


def _counting(doc: PolicyDoc) -> set[object]:
    """The limits of one policy that stand on counters, each with whom it binds."""
    whom = repr((doc.applies_to, doc.policy.expires_at))
    rows: list[object] = []
    if doc.budgets != Budgets():
        rows.append((doc.budgets, doc.fx))
    if doc.orders.per_day is not None:
        rows.append((doc.budgets.per, doc.budgets.resets))
    if doc.orders.duplicate_window_s:
        rows.append(doc.orders.duplicate_window_s)
    if doc.rates != Rates():
        rows.append(doc.rates)
    if doc.breaker != Breaker():
        rows.append(doc.breaker)
    return {(whom, repr(row)) for row in rows}


def _about_reads(was: Standing, policies: PolicySet) -> str | None:
    """What of a rate of reads that is new, or looks further back, is not in the record; None where all is."""
    known = () if was.policies is None else (was.policies, *was.policies.shadows)
    before = {whom: window_ms for each in known for whom, window_ms in each.read_windows.items()}
    if all(window_ms <= before.get(whom, 0) for whom, window_ms in policies.read_windows.items()):
        return None
    return _READS.get(was.settings.journal.reads)
