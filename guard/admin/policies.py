"""Policies changed in one running guard: read once, checked, compared, agreed on where need be, swapped, recorded.

Files are read, parsed and compiled in a thread, and the plans of the keys made there too, so that no request waits for
it; between requests one reference changes. Any error keeps what is in force. Whatever waits or ends by itself is in the
record, and found there again by a start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final, Literal
from weakref import ref

import msgspec
import structlog

from guard.activeconfig import ActiveConfig, config_of, keep, pieces_of
from guard.admin import recorded, sets
from guard.admin.change import ChangeResult, Who, on_record
from guard.admin.control import PERSON, Compared, held_against, may_approve
from guard.admin.recorded import ProposedChange
from guard.admin.recount import NotRebuilt, Recount
from guard.admin.recounting import Recounting
from guard.errors import JournalFault
from guard.journal import Policy
from guard.journal.configstore import ConfigStore
from guard.loop.resting import Pieces, aside, let_go, uncollected
from guard.policy import PolicyError, PolicySet
from guard.policychange import PolicyChangeState
from guard.walk.desk import Desk

OTHER_END: Final = (
    "until: what is in force ends by itself already, and goes back to what was before; reload without until: "
    "what stands by itself beside that stays, anything else ends with it"
)
PAST_END: Final = (
    "until: {:%Y-%m-%dT%H:%M:%SZ} has passed by the guard's clock, {:%Y-%m-%dT%H:%M:%SZ}: name a time to come"
)
NO_END: Final = (
    "until: what is enforced is so already, and nothing would go back; put what was before in force first, "
    "then this with until, or give a policy an end of its own: expires_at"
)
AGAIN: Final = "its time is over; a person brings it back: guard policy reload"
Rehearse = Callable[[str], Awaitable[Mapping[str, object]]]
_log = structlog.get_logger("guard.admin")


class PolicyChanges:
    """Over one desk. `turn` is shared with all other changes; `rehearse` replays the past by the set of a hash."""

    def __init__(
        self,
        desk: Desk,
        store: ConfigStore,
        *,
        turn: asyncio.Lock,
        policy_change: PolicyChangeState,
        rehearse: Rehearse,
        recounting: Recounting,
    ) -> None:
        self._desk = desk
        self._recounting = recounting
        self._store = store
        self._turn = turn
        self._rehearse = rehearse
        self._rehearsed: dict[str, Mapping[str, object]] = {}
        self._rehearsing = asyncio.Lock()
        self._left_over: Pieces = []
        self.policy_change = policy_change
        self.last_ok = True
        self.last_success_s = desk.clock.wall().timestamp()

    # ------------------------------------------------------------ asked for

    async def reload(
        self, who: Who, *, if_match: frozenset[str] | None = None, until: datetime | None = None
    ) -> ChangeResult:
        """What the directory says, in force or pending. Any error keeps the policies in force.

        What was in force for a time and has ended is no change where nobody asks: a signal, or files that are watched.
        """
        async with self._turn:
            was = self._desk.config
            ended = who.ended(was, now=self._desk.clock.wall(), sha256=was.policy_sha256)
            if ended is not None:
                return self._told(ended, who)
            if if_match is not None and was.policy_sha256 not in if_match:
                errors = ("the policies in force are not those you named",)
                return self._told(ChangeResult("stale", was.policy_sha256, errors=errors), who)
            with uncollected() as made:
                change = await self._reloaded(was, who, until)
                made.stays = change.result == "applied"
                old = ref(was) if made.stays else None
                del was
                await let_go(self._left_over, old)
        return await on_record(self._desk.journal, self._counted(change, who))

    async def approve(self, sha256: str, who: Who) -> ChangeResult:
        """A second person's word for what waits; what it would have done in the last day is shown before."""
        pending = self.policy_change.pending
        if pending is not None and pending.sha256 == sha256:
            await self.rehearsal()
        async with self._turn:
            was, pending = self._desk.config, self.policy_change.pending
            ended = who.ended(was, now=self._desk.clock.wall(), sha256=was.policy_sha256)
            if ended is not None:  # the rehearsal takes its time
                return self._told(ended, who)
            wall = self._desk.clock.wall()
            against = may_approve(pending, sha256, who, in_force=was.policy_sha256, wall=wall)
            with uncollected() as made:
                built = None if against is not None else await self._kept(was, sha256)
                if pending is None or built is None:
                    errors = (against or "its texts are not kept; reload again",)
                    return self._told(ChangeResult("refused", was.policy_sha256, errors=errors), who)
                found = await aside(held_against, was.policies, built)
                change = await self._applied(ProposedChange(was, built, found, who, until=pending.until, asked=pending))
                made.stays = change.result == "applied"
                old = ref(was) if made.stays else None
                del was, built
                await let_go(self._left_over, old)
        return await on_record(self._desk.journal, self._counted(change, who))

    async def tick(self) -> None:
        """What was in force only for a time goes back by itself."""
        if not self.policy_change.is_due(self._desk.clock.wall()):
            return
        async with self._recounting.ahead(self._turn):  # until then no order passes
            temporary = self.policy_change.temporary
            if temporary is not None and self.policy_change.is_due(self._desk.clock.wall()):
                with uncollected() as made:
                    old = ref(self._desk.config)
                    await self._reverted(self._desk.config, temporary)
                    made.stays = True
                    await let_go(self._left_over, old)

    async def rehearsal(self) -> tuple[Policy, Mapping[str, object]] | None:
        """The set that waits, and what it would have done; None where nothing waits."""
        async with self._rehearsing:  # a process that reads a whole day is not begun by each who asks
            pending = self.policy_change.pending
            if pending is None:
                return None
            if pending.sha256 not in self._rehearsed:
                self._rehearsed = {pending.sha256: await self._rehearse(pending.sha256)}
            return pending, self._rehearsed[pending.sha256]

    # ------------------------------------------------------------ the steps

    async def _reloaded(self, was: ActiveConfig, who: Who, until: datetime | None) -> ChangeResult:
        loaded = (await aside(sets.load, was, now=self._desk.clock.wall())).pop()
        built = loaded.built
        if isinstance(built, list):
            return self._refused(was, who, built)
        is_same = was.policies is not None and built.hashes == was.policies.hashes
        endless = None if until is None else self._endless(was, built, until, is_same=is_same)
        if endless is not None:
            self._left_over += built.pieces()
            return ChangeResult("refused", was.policy_sha256, errors=(endless,))
        if who.by is None and built.sha256 == self.policy_change.expired:
            _log.warning("policy_held_back", in_force=was.policy_sha256, on_disk=built.sha256, hint=AGAIN)
            self._left_over += built.pieces()
            return ChangeResult("unchanged", was.policy_sha256)
        if is_same:
            self._withdraw(was, who)
            self._left_over += built.pieces()
            return ChangeResult("unchanged", built.sha256)
        try:
            await self._kept_beside(was, built, loaded.texts)
        except OSError as error:
            return ChangeResult("unrecorded", was.policy_sha256, errors=(f"the policies could not be kept: {error}",))
        asked = ProposedChange(was, built, await aside(held_against, was.policies, built), who, until)
        if was.settings.policies.two_person and not asked.found.is_safe:
            return self._pending(asked)
        return await self._applied(asked)

    def _endless(self, was: ActiveConfig, built: PolicySet, until: datetime, *, is_same: bool) -> str | None:
        """Why this cannot end then; None where it can, or does so already."""
        temporary, wall = self.policy_change.temporary, self._desk.clock.wall()
        if until <= wall:
            return PAST_END.format(until, wall)
        if temporary is not None:  # a later end would take the place of this one
            return None if is_same and temporary.until == until else OTHER_END
        return NO_END if built.sha256 == was.policy_sha256 else None

    async def _kept_beside(self, was: ActiveConfig, built: PolicySet, texts: Mapping[str, str]) -> None:
        now = self._desk.clock.wall()
        await aside(keep, was.settings, was.keyring, self._store, found=built, texts=texts, now=now)

    async def _kept(self, was: ActiveConfig, sha256: str) -> PolicySet | None:
        return await aside(sets.kept, self._store, was, sha256, now=self._desk.clock.wall())

    def _pending(self, asked: ProposedChange) -> ChangeResult:
        was, who, found = asked.was, asked.who, asked.found
        if not who.by or not who.reason or not who.reason.strip():
            return ChangeResult("refused", was.policy_sha256, found.kind, changes=found.told, errors=(PERSON,))
        fault = self._append(self._record(asked, "pending"))
        if fault is not None:
            return ChangeResult("unrecorded", was.policy_sha256, errors=(fault,))
        self._rehearsed = {}
        return ChangeResult("pending", asked.built.sha256, found.kind, changes=found.told, until=asked.until)

    async def _applied(self, asked: ProposedChange) -> ChangeResult:
        """One synchronous step at its end: the record is appended, then the one reference changes."""
        was, built, found = asked.was, asked.built, asked.found
        config = config_of(was.settings, was.keyring, was.issuers, policies=built)
        try:
            await asyncio.to_thread(self._store.put, config.config_sha256, config.canonical)
        except OSError as error:
            return ChangeResult("unrecorded", was.policy_sha256, errors=(f"the policies could not be kept: {error}",))
        record, warnings = self._record(asked, "applied"), list[str]()
        base = await self._base(asked)
        if base is not None:
            record, sentence = base
            warnings.append(sentence)
        recount = None
        try:
            async with self._recounting.of(config, record.carried) as recount:
                ended = asked.who.ended(self._desk.config, now=self._desk.clock.wall(), sha256=was.policy_sha256)
                if ended is not None:  # reading the past takes its time
                    return ended
                record = self._counting(record, recount)
                fault = self._swapped(config, record, recount)
        except JournalFault as unread:
            fault = f"the counters of the new limits could not be made from the record: {unread}; nothing has changed"
        if fault is not None:
            return ChangeResult("unrecorded", was.policy_sha256, errors=(fault,))
        counters = () if recount is None else recount.counters
        warnings += recount.warnings if recount is not None else ()
        shown = self._rehearsed.get(built.sha256) if asked.asked else None
        return ChangeResult(
            "applied",
            built.sha256,
            found.kind,
            changes=found.told,
            until=record.until,
            counters=(*record.carried, *counters),
            warnings=tuple(warnings),
            replay=shown,
        )

    def _counting(self, record: Policy, recount: Recount | None) -> Policy:
        """The record as of now, with what the counters of the new limits shall show."""
        record = msgspec.structs.replace(record, t=self._desk.clock.t_us())
        if recount is None:
            return record
        return msgspec.structs.replace(record, targets=recount.caught_up(), batch=recount.batch)

    def _swapped(self, config: ActiveConfig, record: Policy, recount: Recount | None) -> str | None:
        """In the same step: the record, the reference, the counters; the fault where it cannot be recorded."""
        fault = self._append(record)
        if fault is None:
            self._swap(config, recount, t_us=record.t)
        return fault

    def _swap(self, config: ActiveConfig, recount: Recount | NotRebuilt | None, *, t_us: int) -> None:
        self._left_over += pieces_of(self._desk.config)
        self._desk.config = config
        self._desk.metrics.keep_policies(doc.id for doc in (config.policies.all_docs if config.policies else ()))
        if recount is not None:
            recount.take_over(t_us=t_us)
            recount.put_on_traffic(t_us=t_us)

    async def _base(self, asked: ProposedChange) -> tuple[Policy, str] | None:
        """A change on top of one that ends: it ends with it, unless it stands by itself beside what was before."""
        temporary = self.policy_change.temporary
        if temporary is None or temporary.back is None or asked.until is not None:
            return None
        back = await self._kept(asked.was, temporary.back)
        if back is None or (await aside(held_against, back, asked.built)).is_safe:
            return None
        record = msgspec.structs.replace(self._record(asked, "applied"), until=temporary.until, back=temporary.back)
        end = "" if temporary.until is None else f"{temporary.until:%Y-%m-%dT%H:%M:%SZ}"
        sentence = (
            f"at {end} this goes back to {temporary.back[:12]} with the change that it builds on; "
            "take that one out of the files and reload to keep this one"
        )
        return record, sentence

    async def _reverted(self, was: ActiveConfig, over: Policy) -> None:
        """Back to what was in force before; where that cannot be had, to nothing: new orders are refused then."""
        built = await self._kept(was, over.back or "")
        config = config_of(was.settings, was.keyring, was.issuers, policies=built)
        try:
            await asyncio.to_thread(self._store.put, config.config_sha256, config.canonical)
        except OSError as error:
            _log.error("config_not_kept", why=str(error))
        found = Compared() if built is None else await aside(held_against, was.policies, built)
        record = recorded.reverted(over, config, found, t_us=self._desk.clock.t_us())
        async with self._recounting.at_best(config) as recount:
            if recount is not None:
                targets, t_us = recount.at_best(), self._desk.clock.t_us()
                lost = recount.errors
                record = msgspec.structs.replace(record, t=t_us, targets=targets, batch=recount.batch, errors=lost)
            fault = self._append(record)
            self._swap(config, recount, t_us=record.t)
        if fault is not None:  # a start finds the same end in the record, and goes back by itself
            self.policy_change.fold(record)
            _log.error("revert_not_recorded", why=fault)
        _log.warning("policy_reverted", sha256=config.policy_sha256, kind=found.kind, kept=built is not None)
        self._desk.metrics.count("guard_policy_reloads_total", "reverted")

    # ------------------------------------------------------------ the record

    def _record(self, asked: ProposedChange, result: Literal["applied", "pending"]) -> Policy:
        shown = self._rehearsed.get(asked.built.sha256, {})
        return recorded.allowed(asked, result, shown, t_us=self._desk.clock.t_us())

    def _append(self, record: Policy) -> str | None:
        """Into the record and what follows from it; the fault in words where it cannot be written."""
        try:
            self._desk.journal.append("policy", record)
        except JournalFault as fault:
            return str(fault)
        self._desk.journal.sign_soon()
        self.policy_change.fold(record)
        return None

    def _refused(self, was: ActiveConfig, who: Who, errors: list[PolicyError]) -> ChangeResult:
        self._note(recorded.refused(was, who, errors, t_us=self._desk.clock.t_us()))
        return ChangeResult("refused", was.policy_sha256, errors=tuple(msgspec.to_builtins(error) for error in errors))

    def _withdraw(self, was: ActiveConfig, who: Who) -> None:
        """The files say again what is in force: what waited is asked for no more."""
        if self.policy_change.pending is not None:
            self._note(recorded.withdrawn(self.policy_change.pending, was, who, t_us=self._desk.clock.t_us()))

    def _note(self, record: Policy) -> None:
        """A record of what has changed nothing; where it cannot be written that is told elsewhere."""
        fault = self._append(record)
        if fault is not None:
            _log.error("reload_not_recorded", result=record.result, why=fault)

    def _counted(self, change: ChangeResult, who: Who) -> ChangeResult:
        self.last_ok = change.is_made
        if self.last_ok:
            self.last_success_s = self._desk.clock.wall().timestamp()
        return self._told(change, who)

    def _told(self, change: ChangeResult, who: Who) -> ChangeResult:
        """In the figures and the log; by itself where the files were not looked at, and so are not what is wrong."""
        self._desk.metrics.count("guard_policy_reloads_total", change.result)
        tell = _log.info if change.is_made else _log.error  # of a signal or a watcher nobody reads the answer
        tell("policy_reload", result=change.result, sha256=change.sha256, by=who.by, errors=change.errors)
        return change
