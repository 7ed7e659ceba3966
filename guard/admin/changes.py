"""Changes of what is in force: policies, keys, trading state. Checked whole, swapped at once, recorded."""

import asyncio
from collections.abc import Callable
from weakref import ref

import structlog
from msgspec import structs

from guard.activeconfig import ActiveConfig, build_policies, config_of, load_keys, pieces_of, warmed
from guard.admin.change import NOTHING_MOVED, ChangeResult, ConfigMove, Who, on_record
from guard.admin.policies import PolicyChanges, Rehearse
from guard.admin.recount import NotRebuilt, Recount
from guard.admin.recounting import Recounting
from guard.admin.trading import StateBody, set_state
from guard.errors import JournalFault, SettingsFault
from guard.journal import Keys, reason_given
from guard.journal.configstore import ConfigStore
from guard.loop.resting import aside, let_go, uncollected
from guard.policychange import PolicyChangeState
from guard.terms import Principal
from guard.walk.cancelling import Cancelling
from guard.walk.desk import Desk

_log = structlog.get_logger("guard.admin")


class Changes:
    """The changes that an operator can make to one desk. `after_keys` is told when keys have changed."""

    def __init__(
        self,
        desk: Desk,
        store: ConfigStore,
        *,
        cancelling: Cancelling,
        policy_change: PolicyChangeState,
        rehearse: Rehearse,
        after_keys: Callable[[], None] = lambda: None,
    ) -> None:
        self._desk = desk
        self._cancelling = cancelling
        self._store = store
        self._after_keys = after_keys
        self._turn = asyncio.Lock()
        self.recounting = Recounting(desk, store, desk.directory)
        self.policies = PolicyChanges(
            desk, store, turn=self._turn, policy_change=policy_change, rehearse=rehearse, recounting=self.recounting
        )

    # ------------------------------------------------------------ keys

    async def reload_keys(self, who: Who, *, if_match: frozenset[str] | None = None) -> ChangeResult:
        """Reads keys.json and the issuers anew; the policies stay, the keys' own limits follow their records.

        Keys that are taken away do not wait while the past is read for a reload of policies.
        """
        config = self._desk.config
        is_named = if_match is None or config.keyring.sha256 in if_match
        is_urgent = self._turn.locked() and is_named and await aside(self._takes_away, config)
        del config
        async with self.recounting.ahead(self._turn) if is_urgent else self._turn:
            was = self._desk.config
            ended = who.ended(was, now=self._desk.clock.wall(), sha256=was.keyring.sha256)
            if ended is not None:
                return ended
            if if_match is not None and was.keyring.sha256 not in if_match:
                return ChangeResult("stale", was.keyring.sha256, errors=("the keys in force are not those you named",))
            with uncollected() as made:
                change = await self._keys(was, who)
                made.stays = change.result == "applied"
                left_over, old = (pieces_of(was), ref(was)) if made.stays else ([], None)
                del was
                await let_go(left_over, old)
        tell = _log.info if change.is_made else _log.error  # of a signal nobody reads the answer
        tell("keys_reload", result=change.result, by=who.by, errors=change.errors)
        if change.result == "applied":
            self._after_keys()
        return await on_record(self._desk.journal, change)

    async def _keys(self, was: ActiveConfig, who: Who) -> ChangeResult:
        old = was.keyring
        try:
            config, moved = (await aside(self._config_with_keys, was)).pop()
        except SettingsFault as fault:
            self._refused(old.sha256, tuple(fault.errors), who=who)
            return ChangeResult("refused", old.sha256, errors=tuple(fault.errors))
        if config is None:
            return ChangeResult("unchanged", old.sha256)
        self._desk.metrics.know_keys(record.name for record in config.keyring.records)
        async with self.recounting.at_best(config) as recount:
            return self._swap(config, moved, who=who, recount=recount)

    def _config_with_keys(self, was: ActiveConfig) -> list[tuple[ActiveConfig | None, ConfigMove]]:
        """The policies of before with the keys of the file, kept by hash, and in which records these differ.

        None where they are what they were. In a list, for the thread holds on to its answer. Raises SettingsFault with
        every error. A key is taken away whether that can be kept or not.
        """
        keyring, issuers = load_keys(was.settings)
        docs, now = list(was.policies.all_docs) if was.policies else [], self._desk.clock.wall()
        built = build_policies(was.settings, keyring, docs, now=now)
        if isinstance(built, list):
            raise SettingsFault([str(error) for error in built])
        if dict(keyring.by_grant) == dict(was.keyring.by_grant) and issuers.signing == was.issuers.signing:
            return [(None, NOTHING_MOVED)]
        policies = None if was.policies is None else warmed(built, keyring, now=now)
        config = config_of(was.settings, keyring, issuers, policies=policies)
        for sha256, text in ((keyring.sha256, keyring.source()), (config.config_sha256, config.canonical)):
            try:
                self._store.put(sha256, text)
            except OSError as error:
                _log.error("config_not_kept", why=str(error), sha256=sha256)
        return [(config, ConfigMove.between(was, config))]

    @staticmethod
    def _takes_away(was: ActiveConfig) -> bool:
        """Whether a key or issuer in force is another in the files, or gone; what cannot be used takes none away."""
        try:
            keyring, issuers = load_keys(was.settings)
        except SettingsFault:
            return False
        is_less = not dict(was.keyring.by_grant).items() <= dict(keyring.by_grant).items()
        return is_less or not was.issuers.signing <= issuers.signing

    # ------------------------------------------------------------ trading state

    async def set_state(self, body: StateBody, *, by: str, principal: Principal | None = None) -> ChangeResult:
        """Durable before it is acknowledged, in force at once."""
        return await set_state(self._desk, self._cancelling, body, by=by, principal=principal)

    # ------------------------------------------------------------ swap and record

    def _swap(
        self, config: ActiveConfig, moved: ConfigMove, *, who: Who, recount: Recount | NotRebuilt | None
    ) -> ChangeResult:
        """One synchronous step: the record is appended, then the one reference and the new counters change."""
        sha256, changes = config.keyring.sha256, moved.words()
        record = structs.replace(self._record(sha256, "applied", who=who), **structs.asdict(moved))
        if recount is not None:
            record = structs.replace(record, targets=recount.at_best(), batch=recount.batch, errors=recount.errors)
        try:
            self._append(record)
        except JournalFault as fault:
            return ChangeResult("unrecorded", sha256, errors=(str(fault),))
        self._desk.config = config
        if recount is None:
            return ChangeResult("applied", sha256, changes=changes)
        recount.take_over(t_us=record.t)
        counters, warnings = recount.counters, recount.warnings
        return ChangeResult("applied", sha256, changes=changes, counters=counters, warnings=warnings)

    def _refused(self, sha256: str, errors: tuple[str, ...], *, who: Who) -> None:
        try:
            self._append(structs.replace(self._record(sha256, "refused", who=who), errors=errors))
        except JournalFault as fault:
            _log.error("reload_not_recorded", result="refused", why=str(fault))

    def _record(self, sha256: str, result: str, *, who: Who) -> Keys:
        t_us, reason = self._desk.clock.t_us(), reason_given(who.reason) if who.reason else None
        was = self._desk.config.keyring.sha256
        return Keys(t=t_us, result=result, sha256=sha256, from_sha256=was, by=who.by, key=who.key_id, reason=reason)

    def _append(self, record: Keys) -> None:
        self._desk.journal.append("keys", record)
        self._desk.journal.sign_soon()
