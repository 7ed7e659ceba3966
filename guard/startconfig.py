"""What is in force from a start on: keys, policies, and the counters of limits that the last run did not have.

A start is no way around change control, and puts nothing in force that cannot be kept beside the record or counted from
it: without policies new orders are refused and cancels pass.
"""

from datetime import datetime
from typing import NamedTuple

import structlog
from msgspec import Struct

from guard.access import Keyring
from guard.activeconfig import ActiveConfig, compiled, config_of, keep, kept_set, load_keys, warmed
from guard.clock import Clock
from guard.errors import JournalFault
from guard.journal.configstore import ConfigStore
from guard.policy import PolicyError, PolicySet
from guard.policy.diff import compare, overall
from guard.policyfiles import read_steadily
from guard.recovery.beginning import end_temporary
from guard.recovery.readback import Recovered
from guard.replay import counted
from guard.replay.counting import Counting
from guard.settings import Settings

_log = structlog.get_logger("guard")


class StartConfig(NamedTuple):
    """The configuration of a start, and what is wrong with the policies in the directory.

    `counts`: the counters that are new with it; `uncounted`: why they could not be made, and no policies are in force.
    """

    config: ActiveConfig
    policy_errors: list[PolicyError]
    counts: Counting | None = None
    uncounted: str | None = None


def start_config(
    store: ConfigStore, recovered: Recovered, settings: Settings, *, last_seq: int, clock: Clock
) -> StartConfig:
    """What is in force behind the record `last_seq`; blocking. SettingsFault where keys cannot be used.

    Notes in `recovered` which temporary policies have ended, and on which of them those of the start build.
    """
    keyring, issuers = load_keys(settings)
    end_temporary(recovered, clock.wall())
    policy_change = recovered.policy_change
    temporary = policy_change.temporary
    before = _Before(recovered.policy_sha256, policy_change.expired, None if temporary is None else temporary.back)
    found = _at_start(settings, keyring, store, before=before, now=clock.wall())
    recovered.built_on = temporary if found.is_temporary else None
    if found.policies is not None:
        warmed(found.policies, keyring, now=clock.wall())
    config = _kept(store, config_of(settings, keyring, issuers, policies=found.policies))
    try:
        counts = _counts(config, recovered, until=last_seq, now=clock.wall())
    except JournalFault as fault:
        _log.error("counters_not_rebuilt", why=str(fault), hint="new orders are refused; cancels pass")
        why = f"policies: what new limits count could not be made from the record: {fault}"
        bare = _kept(store, config_of(settings, keyring, issuers, policies=None))
        return StartConfig(bare, list(found.errors), uncounted=why)
    return StartConfig(config, list(found.errors), counts)


def _kept(store: ConfigStore, config: ActiveConfig) -> ActiveConfig:
    """The configuration, kept beside the record; without policies where that fails."""
    try:
        store.put(config.config_sha256, config.canonical)
        store.put(config.keyring.sha256, config.keyring.source())
    except OSError as error:
        _log.error("config_not_kept", why=str(error), hint="new orders are refused; cancels pass")
        return config_of(config.settings, config.keyring, config.issuers, policies=None)
    return config


def _counts(config: ActiveConfig, recovered: Recovered, *, until: int, now: datetime) -> Counting | None:
    """The counters of limits that the last run did not have. JournalFault where the record does not give them."""
    is_whole = not recovered.is_lost and recovered.ended is None
    before = recovered.config_sha256 if is_whole else None
    directory = config.settings.path(config.settings.state.dir)
    return counted.at_start(directory, config, before=before, until=until, now=now)


# ---------------------------------------------------------------- the policies of the directory


class _AtStart(Struct, frozen=True):
    """The policies that a start puts in force, and everything that is wrong with those in the directory.

    `is_temporary`: they build on a temporary set, and end with it.
    """

    policies: PolicySet | None
    errors: tuple[PolicyError, ...] = ()
    is_temporary: bool = False


class _Before(Struct, frozen=True):
    """Hashes from the record: the last set in force, a temporary set that ended, and what the last set reverts to."""

    last: str | None = None
    expired: str | None = None
    back: str | None = None


def _at_start(settings: Settings, keyring: Keyring, store: ConfigStore, *, before: _Before, now: datetime) -> _AtStart:
    """The policies of the directory, once kept by hash; if they are wrong, the last good ones from the record, or none.

    A start is no way around change control: under two-person rule, policies that are looser than the last ones wait for
    a reload and a second person.
    """
    files = read_steadily(settings.path(settings.policies.dir))
    texts, errors = files.texts, list(files.errors)
    found = compiled(settings, keyring, texts, now=now)
    last = None if before.last is None else kept_set(settings, keyring, store, sha256=before.last, now=now)
    if isinstance(found, PolicySet) and not errors:
        if before.last is not None and _is_held_back(settings, before, found, last=last):
            _log.warning("policy_held_back", in_force=before.last, on_disk=found.sha256, hint="guard policy reload")
            return _AtStart(last)
        try:
            keep(settings, keyring, store, found=found, texts=texts, now=now)
        except OSError as error:
            _log.error("policy_not_kept", why=str(error), hint="new orders are refused; cancels pass")
            return _AtStart(None)
        is_temporary = _builds_on_what_ends(settings, keyring, store, before=before, found=found, now=now)
        if is_temporary:
            _log.warning("policy_ends", sha256=found.sha256, back=before.back, hint="it builds on what ends by itself")
        return _AtStart(found, is_temporary=is_temporary)
    errors += found if isinstance(found, list) else []
    for wrong in errors:
        _log.error("policy_refused", error=str(wrong))
    if last is None:
        _log.error("policy_unavailable", hint="new orders are refused until a reload succeeds; cancels pass")
    else:
        _log.warning("policy_last_good", sha256=before.last)
    return _AtStart(last, tuple(errors))


def _is_held_back(settings: Settings, before: _Before, found: PolicySet, *, last: PolicySet | None) -> bool:
    if found.sha256 == before.last:
        return False
    if found.sha256 == before.expired:
        return True
    if not settings.policies.two_person:
        return False
    return last is None or not _is_safe(last, found)


def _builds_on_what_ends(
    settings: Settings, keyring: Keyring, store: ConfigStore, *, before: _Before, found: PolicySet, now: datetime
) -> bool:
    """It differs from the temporary set, and is looser than the set to which that one reverts."""
    if before.back is None or found.sha256 == before.last:
        return False
    back = kept_set(settings, keyring, store, sha256=before.back, now=now)
    return back is None or not _is_safe(back, found)


def _is_safe(before: PolicySet, after: PolicySet) -> bool:
    return overall(compare(before, after)) in {"tighter", "neutral"}
