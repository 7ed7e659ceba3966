"""What is in force: settings, keys, issuers and policies as one frozen value that is swapped as a whole.

A reload reads the files once, builds a new `ActiveConfig` and swaps one reference between requests; a request keeps the
one that it began with. No request is decided here.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
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
from guard.policyfiles import parse_texts
from guard.settings import Settings
from guard.terms import Account, Env
from guard.wholefile import read_newest, why

WARMED_MAX: Final = 500  # keys whose plans a start makes before it opens, and a reload before it swaps


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
