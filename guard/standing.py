"""What is in force: settings, keys, issuers and policies as one frozen value that is swapped whole.

A reload reads the files once, builds a new `Standing` and swaps one reference between requests; a request keeps the one
it looked at. Nothing here decides anything.
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
from guard.access.issuers import JWKS_BYTES_MAX
from guard.catalogue.table import TABLE
from guard.errors import SettingsFault
from guard.journal.shelf import Shelf
from guard.loop.resting import Pieces
from guard.pieces import in_pieces
from guard.policy import RULES, PolicyDoc, PolicyError, PolicySet, compile_set
from guard.policy.diff import compare, verdict
from guard.policyfiles import parse_texts, read_steadily
from guard.settings import Settings
from guard.terms import Account, Env
from guard.wholefile import read_whole, why

WARMED_MAX: Final = 500  # keys whose plans a start makes before it opens, and a reload before it swaps
_log = structlog.get_logger("guard")


class Standing(Struct, frozen=True, weakref=True):
    """One consistent set of everything that decides. `policies` None: none could be loaded, new orders are refused."""

    settings: Settings
    keyring: Keyring
    issuers: Issuers
    policies: PolicySet | None
    config: bytes
    config_sha256: str

    @property
    def policy_sha256(self) -> str:
        """The hash of the enforcing policies; empty without any."""
        return self.policies.sha256 if self.policies else ""

    @property
    def named(self) -> tuple[str, ...]:
        """The hashes under which what decides is kept beside the record."""
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
        try:
            jwks = read_whole(settings.path(row.jwks_file), bytes_max=JWKS_BYTES_MAX)
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
    """The policies that a start found, and everything that is wrong with those of the directory.

    `ends`: they build on what is in force only for a time, and end with it.
    """

    policies: PolicySet | None
    errors: tuple[PolicyError, ...] = ()
    ends: bool = False


class Before(Struct, frozen=True):
    """What the record says: the policies in force at last, a set that ended by itself, what the last goes back to."""

    last: str | None = None
    expired: str | None = None
    back: str | None = None


def at_start(settings: Settings, keyring: Keyring, shelf: Shelf, *, before: Before, now: datetime) -> AtStart:
    """The policies of the directory, kept by hash; where they are wrong the record's last good ones, else none.

    A start is no way round change control: what is looser than the last ones waits for a reload and a second person.
    """
    files = read_steadily(settings.path(settings.policies.dir))
    texts, errors = files.texts, list(files.errors)
    found = compiled(settings, keyring, texts, now=now)
    last = None if before.last is None else kept_set(settings, keyring, shelf, sha256=before.last, now=now)
    if isinstance(found, PolicySet) and not errors:
        if before.last is not None and _is_held_back(settings, before, found, last=last):
            _log.warning("policy_held_back", in_force=before.last, on_disk=found.sha256, hint="guard policy reload")
            return AtStart(last)
        try:
            keep(settings, keyring, shelf, found=found, texts=texts, now=now)
        except OSError as error:
            _log.error("policy_not_kept", why=str(error), hint="new orders are refused; cancels pass")
            return AtStart(None)
        ends = _builds_on_what_ends(settings, keyring, shelf, before=before, found=found, now=now)
        if ends:
            _log.warning("policy_ends", sha256=found.sha256, back=before.back, hint="it builds on what ends by itself")
        return AtStart(found, ends=ends)
    errors += found if isinstance(found, list) else []
    for wrong in errors:
        _log.error("policy_refused", error=str(wrong))
    if last is None:
        _log.error("policy_unavailable", hint="new orders are refused until a reload succeeds; cancels pass")
    else:
        _log.warning("policy_last_good", sha256=before.last)
    return AtStart(last, tuple(errors))


def keep(
    settings: Settings, keyring: Keyring, shelf: Shelf, *, found: PolicySet, texts: Mapping[str, str], now: datetime
) -> None:
    """Beside the record, by the hash of what is enforced. Raises OSError.

    What is there stays where it differs in a comment; other policies in shadow, or damage, make room for these.
    """
    content = msgspec.json.encode(texts)
    is_another = shelf.get(found.sha256) not in {None, content}
    there = kept_set(settings, keyring, shelf, sha256=found.sha256, now=now) if is_another else found
    shelf.put(found.sha256, content, is_anew=there is None or there.hashes != found.hashes)


def kept_set(settings: Settings, keyring: Keyring, shelf: Shelf, *, sha256: str, now: datetime) -> PolicySet | None:
    """The set that this hash names; None where its texts are not kept, were damaged or edited, or make it no more."""
    raw = shelf.get(sha256)
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
    settings: Settings, keyring: Keyring, shelf: Shelf, *, before: Before, found: PolicySet, now: datetime
) -> bool:
    """It is another set than the one that ends, and lets through what the one before that refused."""
    if before.back is None or found.sha256 == before.last:
        return False
    back = kept_set(settings, keyring, shelf, sha256=before.back, now=now)
    return back is None or not _is_safe(back, found)


def _is_safe(before: PolicySet, after: PolicySet) -> bool:
    return verdict(compare(before, after)) in {"tighter", "neutral"}


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
    """The set with the plans of the keys made, so that the first order under it does not pay for them."""
    for principal in in_pieces(list(keyring.principals.values())[:WARMED_MAX]):
        policies.plan(principal, None, None, wall=now)
        for env in Env:
            for acc_id in sorted(principal.acc_ids or {0}):
                policies.plan(principal, env, Account(env, acc_id), wall=now)
    return policies


def pieces_of(standing: Standing) -> Pieces:
    """What it is made of: for whoever lets go of it, and has to do so bit by bit."""
    return [*pieces_of_keys(standing.keyring), *(standing.policies.pieces() if standing.policies is not None else ())]


def pieces_of_keys(keyring: Keyring) -> Pieces:
    """The same of keys alone."""
    return [list(keyring.records), list(keyring.principals.values())]


def stand(settings: Settings, keyring: Keyring, issuers: Issuers, *, policies: PolicySet | None) -> Standing:
    """The standing of these parts, with the hash of everything that decides (contract §7, `config_sha256`)."""
    deciding = {
        "version": __version__,
        "rules": RULES,
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
    }
    config = msgspec.json.encode(deciding, order="sorted")
    return Standing(settings, keyring, issuers, policies, config, hashlib.sha256(config).hexdigest())
