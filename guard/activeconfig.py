"""What is in force: settings, keys, issuers and policies as one frozen value that is swapped as a whole.

A reload reads the files once, builds a new `ActiveConfig` and swaps one reference between requests; a request keeps the
one that it began with. No request is decided here.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from guard import __version__
from guard.access import Issuers, Keyring, keyfile, parse_issuer
from guard.access.issuers import FAMILY, JWKS_BYTES_MAX
from guard.catalogue.table import TABLE
from guard.errors import SettingsFault
from guard.journal.configstore import ConfigStore
from guard.loop.resting import Pieces
from guard.pauses import with_pauses
from guard.policy import RULES_VERSION, PolicyDoc, PolicyError, PolicySet, compile_set
from guard.policy.diff import compare, overall
from guard.policyfiles import parse_texts, read_steadily
from guard.settings import Settings
from guard.terms import Account, Env
from guard.wholefile import read_newest, why

WARMED_MAX: Final = 500  # keys whose plans a start makes before it opens, and a reload before it swaps
_log = structlog.get_logger("guard")


class ActiveConfig(Struct, frozen=True, weakref=True):
    """One consistent set of everything that decides. `policies` None: none could be loaded, new orders are refused."""

    settings: Settings
    keyring: Keyring
    issuers: Issuers
    policies: PolicySet | None
    canonical: bytes
    config_sha256: str

    @property
    def policy_sha256(self) -> str:
        """The hash of the enforcing policies; empty without any."""
        return self.policies.sha256 if self.policies else ""

    @property
    def named(self) -> tuple[str, ...]:
        """The hashes by which its parts are kept beside the record."""
        return self.config_sha256, self.policy_sha256, self.keyring.sha256


def load_keys(settings: Settings) -> tuple[Keyring, Issuers]:
    """Keys and issuers from their files. Raises SettingsFault with every error."""
    errors: list[str] = []
    keyring: Keyring | None = None
    try:
        keyring = keyfile.load(settings.path(settings.keys.file))
    except SettingsFault as fault:
        errors += fault.errors
    issuers = []
    for row in settings.jwt:
        path, is_secret = settings.path(row.jwks_file), any(FAMILY.get(name) == "oct" for name in row.algorithms)
        try:
            jwks = read_newest(path, bytes_max=JWKS_BYTES_MAX)
            errors += keyfile.mode_errors(path.stat().st_mode, path, is_secret=is_secret)
        except OSError as error:
            errors.append(f"{row.jwks_file}: cannot be read: {why(error)}")
            continue
        issuer = parse_issuer(
            jwks,
            path=row.jwks_file,
            issuer=row.issuer,
            audience=row.audience,
            algorithms=row.algorithms,
            lifetime_max_s=row.lifetime_max_s,
        )
        if isinstance(issuer, list):
            errors += issuer
        else:
            issuers.append(issuer)
    if errors or keyring is None:
        raise SettingsFault(errors)
    return keyring, Issuers(*issuers)


def build_policies(
    settings: Settings, keyring: Keyring, docs: list[PolicyDoc], *, now: datetime
) -> PolicySet | list[PolicyError]:
    """The compiled set of these documents, the keys' limits and the flags."""
    return compile_set(
        docs,
        keys=keyring.limits_by_name(),
        flags=settings.flags,
        tz=settings.keys.tz,
        require_cover=settings.policies.require_cover,
        now=now,
    )


class AtStart(Struct, frozen=True):
    """The policies that a start puts in force, and everything that is wrong with those in the directory.

    `is_temporary`: they build on a temporary set, and end with it.
    """

    policies: PolicySet | None
    errors: tuple[PolicyError, ...] = ()
    is_temporary: bool = False


class Before(Struct, frozen=True):
    """Hashes from the record: the last set in force, a temporary set that ended, and what the last set reverts to."""

    last: str | None = None
    expired: str | None = None
    back: str | None = None


def at_start(settings: Settings, keyring: Keyring, store: ConfigStore, *, before: Before, now: datetime) -> AtStart:
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
            return AtStart(last)
        try:
            keep(settings, keyring, store, found=found, texts=texts, now=now)
        except OSError as error:
            _log.error("policy_not_kept", why=str(error), hint="new orders are refused; cancels pass")
            return AtStart(None)
        is_temporary = _builds_on_what_ends(settings, keyring, store, before=before, found=found, now=now)
        if is_temporary:
            _log.warning("policy_ends", sha256=found.sha256, back=before.back, hint="it builds on what ends by itself")
        return AtStart(found, is_temporary=is_temporary)
    errors += found if isinstance(found, list) else []
    for wrong in errors:
        _log.error("policy_refused", error=str(wrong))
    if last is None:
        _log.error("policy_unavailable", hint="new orders are refused until a reload succeeds; cancels pass")
    else:
        _log.warning("policy_last_good", sha256=before.last)
    return AtStart(last, tuple(errors))


def keep(
    settings: Settings,
    keyring: Keyring,
    store: ConfigStore,
    *,
    found: PolicySet,
    texts: Mapping[str, str],
    now: datetime,
) -> None:
    """Keeps these texts beside the record, by the hash of what is enforced. Raises OSError.

    Texts that are kept under this hash already stay if only comments differ; they are replaced if they are damaged or
    their shadow policies differ.
    """
    content = msgspec.json.encode(texts)
    is_another = store.get(found.sha256) not in {None, content}
    there = kept_set(settings, keyring, store, sha256=found.sha256, now=now) if is_another else found
    store.put(found.sha256, content, is_anew=there is None or there.hashes != found.hashes)


def kept_set(
    settings: Settings, keyring: Keyring, store: ConfigStore, *, sha256: str, now: datetime
) -> PolicySet | None:
    """The set with this hash; None if its texts are not kept, are damaged, or no longer compile to it."""
    raw = store.get(sha256)
    try:
        texts = None if raw is None else msgspec.json.decode(raw, type=dict[str, str])
    except msgspec.ValidationError:
        return None
    again = None if texts is None else compiled(settings, keyring, texts, now=now)
    return again if isinstance(again, PolicySet) and again.sha256 == sha256 else None


def _is_held_back(settings: Settings, before: Before, found: PolicySet, *, last: PolicySet | None) -> bool:
    if found.sha256 == before.last:
        return False
    if found.sha256 == before.expired:
        return True
    if not settings.policies.two_person:
        return False
    return last is None or not _is_safe(last, found)


def _builds_on_what_ends(
    settings: Settings, keyring: Keyring, store: ConfigStore, *, before: Before, found: PolicySet, now: datetime
) -> bool:
    """It differs from the temporary set, and is looser than the set to which that one reverts."""
    if before.back is None or found.sha256 == before.last:
        return False
    back = kept_set(settings, keyring, store, sha256=before.back, now=now)
    return back is None or not _is_safe(back, found)


def _is_safe(before: PolicySet, after: PolicySet) -> bool:
    return overall(compare(before, after)) in {"tighter", "neutral"}


def compiled(
    settings: Settings, keyring: Keyring, texts: Mapping[str, str], *, now: datetime
) -> PolicySet | list[PolicyError]:
    """The set of these texts, or everything that is wrong with them."""
    docs, errors = parse_texts(texts)
    built = build_policies(settings, keyring, docs, now=now)
    if isinstance(built, list):
        return errors + built
    return errors or built


def warmed(policies: PolicySet, keyring: Keyring, *, now: datetime) -> PolicySet:
    """The set with the plans of its keys made beforehand, so that the first orders do not have to wait for that."""
    for principal in with_pauses(list(keyring.principals.values())[:WARMED_MAX]):
        policies.plan(principal, None, None, wall=now)
        for env in Env:
            for acc_id in sorted(principal.acc_ids or {0}):
                policies.plan(principal, env, Account(env, acc_id), wall=now)
    return policies


def pieces_of(config: ActiveConfig) -> Pieces:
    """Its large containers, so that whoever drops it can free it bit by bit."""
    return [*pieces_of_keys(config.keyring), *(config.policies.pieces() if config.policies is not None else ())]


def pieces_of_keys(keyring: Keyring) -> Pieces:
    """The same of keys alone."""
    return [list(keyring.records), list(keyring.principals.values())]


def config_of(settings: Settings, keyring: Keyring, issuers: Issuers, *, policies: PolicySet | None) -> ActiveConfig:
    """The configuration of these parts, with the hash of everything that decides, as records cite it."""
    deciding = {
        "version": __version__,
        "rules": RULES_VERSION,
        "catalogue": hashlib.sha256(TABLE.encode()).hexdigest(),
        "keys": keyring.sha256,
        "policies": policies.sha256 if policies else None,
        "shadow": policies.shadow_sha256 if policies else "",
        "trading": settings.trading,
        "scopes": settings.scopes,
        "require_cover": settings.policies.require_cover,
        "keys_tz": settings.keys.tz,
        "flags": settings.flags,
        "reads": settings.journal.reads,
        "broker_limits": settings.daemon.broker_limits,
    }
    canonical = msgspec.json.encode(deciding, order="sorted")
    return ActiveConfig(settings, keyring, issuers, policies, canonical, hashlib.sha256(canonical).hexdigest())
