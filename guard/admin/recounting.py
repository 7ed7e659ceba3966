"""Counters that nobody kept, made from the record before new limits come into force.

The past is read by a process of its own beside the loop, in parts; `recount` has what comes after. What cannot be made
refuses the change: a limit that silently begins at zero lets through what it is there to stop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from guard.activeconfig import ActiveConfig
from guard.admin.recount import FROM_NOW, NOT_REBUILT, NotRebuilt, Recount, Tail
from guard.errors import JournalFault
from guard.journal.configstore import ConfigStore
from guard.loop.beside import beside
from guard.loop.child import child
from guard.loop.resting import aside
from guard.pauses import with_pauses
from guard.policy import PolicyDoc, PolicySet
from guard.policy.schema import Breaker, Budgets, Rates
from guard.replay.counted import principals_of, put_together
from guard.replay.counting import Counting, Principals
from guard.replay.inforce import History
from guard.walk.desk import Desk

TIMEOUT_S: Final = 120.0
GAVE_WAY: Final = "the past was read no further, for a change came that does not wait: keys, or the end of policies"
TAIL_MAX: Final = 200_000  # records that may come in while the past is read
_READS: Final[Mapping[str, str]] = {
    "account": "rates.reads: of earlier reads those of accounts are counted; the record sums market-data reads up",
    "refused": "rates.reads begins at zero: the record holds no reads that passed",
}
_log = structlog.get_logger("guard.admin")


class Recounting:
    """Over one desk and its state directory."""

    def __init__(self, desk: Desk, store: ConfigStore, directory: Path) -> None:
        self._desk = desk
        self._store = store
        self._directory = directory
        self._patience: asyncio.Timeout | None = None  # of a change that may fail, while the past is read for it
        self._hurried = 0  # changes that wait for their turn and may not wait for that
        self._has_given_way = False
        self.lost: str | None = None  # why limits that are in force began at zero, until a later change makes it good

    def concerns(self) -> tuple[str, ...]:
        """That, in words."""
        return () if self.lost is None else (f"counters: {NOT_REBUILT.format(self.lost)}",)

    @asynccontextmanager
    async def ahead(self, turn: asyncio.Lock) -> AsyncIterator[None]:
        """The turn, for a change that may not wait: until it has it, the past is read for none that may be asked again.

        Nor for one that is before it in the queue.
        """
        self._hurried += 1
        self._give_way()
        try:
            await turn.acquire()
        finally:
            self._hurried -= 1
        try:
            yield
        finally:
            turn.release()

    def _give_way(self) -> None:
        if self._hurried and self._patience is not None and not self._patience.expired():
            self._has_given_way = True
            self._patience.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def of(
        self, config: ActiveConfig, words: tuple[str, ...] = (), *, may_fail: bool = True
    ) -> AsyncIterator[Recount | None]:
        """The counters of this configuration, and `words` promoted; None where that moves no counter.

        What decides under it is in the store already. Raises JournalFault where the record cannot be read.
        """
        policies, found = config.policies, None
        is_new = policies is not None and (
            self.lost is not None or await aside(_counts_more, config, self._desk.config)
        )
        if not is_new and not words:
            yield None
            return
        tail: Tail = deque(maxlen=TAIL_MAX)
        until = self._desk.journal.tap(tail)
        try:
            counting = None
            if policies is not None and is_new:
                counting = await self._past(config, policies, until, may_fail=may_fail)
            about_reads = None if policies is None else _about_reads(self._desk.config, policies)
            found = Recount(self._desk, counting, tail, words=words, about_reads=about_reads)
            await found.prepare()
            yield found
            self.lost = found.still_lost(self.lost)
        finally:
            _ = self._desk.journal.tap(None)
            if found is not None:
                await found.end()

    @asynccontextmanager
    async def at_best(self, config: ActiveConfig) -> AsyncIterator[Recount | NotRebuilt | None]:
        """The same for a change that may not fail (a key is taken away): loud where it cannot be had."""
        async with AsyncExitStack() as stack:
            found: Recount | NotRebuilt | None
            try:
                found = await stack.enter_async_context(self.of(config, may_fail=False))
            except JournalFault as fault:
                _log.error("counters_not_rebuilt", why=str(fault), hint=FROM_NOW)
                found, self.lost = NotRebuilt(str(fault)), str(fault)
            yield found

    async def _past(self, config: ActiveConfig, policies: PolicySet, until: int, *, may_fail: bool) -> Counting:
        now = self._desk.clock.wall()
        principals = await aside(self._principals, config, now)
        if until == 0:
            return Counting(policies, principals)
        out = await self._read(config, str(until), now.isoformat(), may_fail=may_fail)
        try:
            so_far = await aside(put_together, out)
        except ValueError as error:
            raise JournalFault(f"what was read back is not whole: {error}") from error
        return Counting(policies, principals, so_far=so_far)

    def _principals(self, config: ActiveConfig, now: datetime) -> Principals:
        """Whose keys there are, looked up for what is decided meanwhile."""
        principals = principals_of(History(self._store.get, docs=None, now=now), config.config_sha256)
        _ = principals(self._desk.config.config_sha256)
        return principals

    async def _read(self, config: ActiveConfig, until: str, now: str, *, may_fail: bool) -> list[bytes]:
        words = (str(self._directory), config.config_sha256, config.policy_sha256, until, now)
        try:
            async with asyncio.timeout(TIMEOUT_S) as patience, self._interruptible(patience if may_fail else None):
                await self._written(int(until))
                async with child(*beside("guard.replay.counted", *words)) as process:
                    out, err = await asyncio.gather(process.out.lines(), process.err.lines())
                    code = await process.ended()
        except (TimeoutError, OSError, ValueError) as error:
            if self._has_given_way:
                raise JournalFault(f"{GAVE_WAY}; reload again") from error
            raise JournalFault(f"reading it back failed or took longer than {TIMEOUT_S:.0f} s: {error}") from error
        if code:
            said = b"".join(err).decode(errors="replace").strip().splitlines() or [
                f"what reads it back ended with {code}"
            ]
            _log.error("recount_failed", why="\n".join(said)[-500:])
            kind, _, sentence = said[-1].partition(": ")  # of a traceback's last line
            raise JournalFault((said[-1] if " " in kind else sentence or kind)[:300])
        return out

    @asynccontextmanager
    async def _interruptible(self, patience: asyncio.Timeout | None) -> AsyncIterator[None]:
        self._patience, self._has_given_way = patience, False
        self._give_way()
        try:
            yield
        finally:
            self._patience = None

    async def _written(self, seq: int) -> None:
        journal = self._desk.journal
        while journal.written_seq < seq:
            if journal.failed is not None:
                raise JournalFault(journal.failed)
            await asyncio.sleep(0.002)


def _counts_more(config: ActiveConfig, before: ActiveConfig) -> bool:
    return not counting_of(config) <= counting_of(before)


def counting_of(config: ActiveConfig) -> frozenset[object]:
    """What of it counts: two that are alike in this keep the same counters, whatever else they refuse.

    A limit of 0 refuses before anything is counted.
    """
    found: set[object] = set()
    for doc in with_pauses(config.policies.docs if config.policies else ()):
        found |= _counting(doc)
    for name, limits in with_pauses(config.keyring.limits_by_name().items()):
        if limits.max_daily_value:
            found.add((name, "max_daily_value"))
        if limits.max_orders_per_minute:
            found.add((name, "max_orders_per_minute"))
    return frozenset(found)


def _counting(doc: PolicyDoc) -> set[object]:
    """The limits of one policy that stand on counters, each with whom it binds.

    With `per = "policy"` the policy's name is whom the counter is of.
    """
    whom = repr((doc.applies_to, doc.policy.expires_at))
    rows: list[object] = []
    if doc.budgets != Budgets():
        rows.append((doc.budgets, doc.fx, doc.id if doc.budgets.per == "policy" else ""))
    if doc.orders.per_day:
        rows.append((doc.budgets.per, doc.budgets.resets))
    if doc.orders.duplicate_window_s:
        rows.append(doc.orders.duplicate_window_s)
    if doc.rates != Rates():
        rows.append((doc.rates, doc.id if doc.rates.per == "policy" else ""))
    if doc.breaker != Breaker():
        rows.append(doc.breaker)
    return {(whom, repr(row)) for row in rows}


def _about_reads(was: ActiveConfig, policies: PolicySet) -> str | None:
    """What of a rate of reads that is new, or looks further back, is not in the record; None where all is."""
    known = () if was.policies is None else (was.policies, *was.policies.shadows)
    before = {whom: window_ms for each in known for whom, window_ms in each.read_windows.items()}
    if all(window_ms <= before.get(whom, 0) for whom, window_ms in policies.read_windows.items()):
        return None
    return _READS.get(was.settings.journal.reads)
