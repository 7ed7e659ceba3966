"""What is in force: settings, keys, issuers and policies as one frozen value that is swapped whole.

A reload reads the files once, builds a new `Standing` and swaps one reference between requests; a request keeps the one
it looked at. Nothing here decides anything.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
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
from guard.pieces import in_pieces
from guard.policy import RULES, PolicyDoc, PolicyError, PolicySet, compile_set, parse_policy
from guard.policy.diff import compare, verdict
from guard.resting import Pieces
from guard.settings import Settings
from guard.terms import Account, Env
from guard.wholefile import POLICY_BYTES_MAX, read_whole, why

READS_MAX: Final = 5
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


def policy_files(directory: Path, *, are_tests: bool = False) -> list[Path]:
    """The policy files of the directory, or their tests; what begins with a dot is an editor's, or a mount's.

    Raises OSError.
    """
    named = ((path.name, path) for path in in_pieces(directory.iterdir()))
    found = [(name, path) for name, path in named if name.endswith(".toml") and not name.startswith(".")]
    return [path for name, path in sorted(found) if name.endswith("_test.toml") is are_tests]


def read_texts(directory: Path) -> tuple[dict[str, str], list[PolicyError]]:
    """Every policy file of the directory, read once; `*_test.toml` files are tests, not policies."""
    return _read(directory, are_tests=False)


def read_tests(directory: Path) -> tuple[dict[str, str], list[PolicyError]]:
    """Every file of tests of the directory, read once."""
    return _read(directory, are_tests=True)


def _read(directory: Path, *, are_tests: bool) -> tuple[dict[str, str], list[PolicyError]]:
    texts: dict[str, str] = {}
    errors: list[PolicyError] = []
    try:
        paths = policy_files(directory, are_tests=are_tests)
    except OSError as error:
        return {}, [_unreadable(str(directory), error)]
    for path in in_pieces(paths):
        if not path.name.isprintable():  # a byte that is no UTF-8 is not either: no record and no answer could name it
            shown = ascii(path.name)
            errors.append(PolicyError(shown, None, "", "unreadable", "has a name that cannot be printed", "rename it"))
            continue
        try:
            raw = read_whole(path, bytes_max=POLICY_BYTES_MAX)
            texts[path.name] = raw.decode().replace("\r\n", "\n").replace("\r", "\n")
        except (OSError, UnicodeDecodeError) as error:
            errors.append(_unreadable(path.name, error))
    return texts, errors


def mark_of(directory: Path) -> object:
    """What changes whenever a policy file does: names, and of each the file that it really is, its size and its time.

    Also when a mount swaps the link that all of them lead through, or an editor renames a new file over an old one.
    """
    try:
        paths = (*policy_files(directory), *policy_files(directory, are_tests=True))
        found = [(path.name, path.stat()) for path in in_pieces(paths)]
    except OSError as error:
        return type(error).__name__, error.errno
    return tuple((name, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found)


class Files(Struct, frozen=True):
    """The texts of policies and of their tests, by name, and what could not be read."""

    texts: dict[str, str] = {}
    tests: dict[str, str] = {}
    errors: tuple[PolicyError, ...] = ()


def read_steadily(directory: Path) -> Files:
    """The files as they are at one moment: read again where they changed meanwhile, so that no two worlds are mixed."""
    for _ in range(READS_MAX):
        before = mark_of(directory)
        texts, errors = read_texts(directory)
        tests, unreadable = read_tests(directory)
        if mark_of(directory) == before:
            return Files(texts, tests, (*errors, *(error for error in unreadable if error not in errors)))
    message = f"the files changed during each of {READS_MAX} attempts to read them"
    return Files(errors=(PolicyError(str(directory), None, "", "unsteady", message, "reload once they are written"),))


def parse_texts(texts: Mapping[str, str]) -> tuple[list[PolicyDoc], list[PolicyError]]:
    """The documents of these files, by name, and everything that is wrong with the rest."""
    read = [parse_policy(text, file=name) for name, text in in_pieces(texts.items())]
    docs = [doc for doc in read if isinstance(doc, PolicyDoc)]
    return docs, [error for doc in read if isinstance(doc, list) for error in doc]


def _unreadable(file: str, error: Exception) -> PolicyError:
    if isinstance(error, UnicodeDecodeError):
        return PolicyError(file, None, "", "unreadable", f"is not UTF-8: byte {error.start}", "save it as UTF-8")
    return PolicyError(file, None, "", "unreadable", f"cannot be read: {why(error)}", "check path and mode")


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
    """The policies that a start found, and everything that is wrong with those of the directory."""

    policies: PolicySet | None
    errors: tuple[PolicyError, ...] = ()


class Before(Struct, frozen=True):
    """What the record says: the policies in force at last, a set that ended by itself, whether the last one will."""

    last: str | None = None
    expired: str | None = None
    is_temporary: bool = False


def at_start(settings: Settings, keyring: Keyring, shelf: Shelf, *, before: Before, now: datetime) -> AtStart:
    """The policies of the directory, kept by hash; where they are wrong the record's last good ones, else none.

    A start is no way round change control: what is looser than the last ones waits for a reload and a second person.
    """
    files = read_steadily(settings.path(settings.policies.dir))
    texts, errors = files.texts, list(files.errors)
    found = compiled(settings, keyring, texts, now=now)
    last = None if before.last is None else kept_set(settings, keyring, shelf, before.last, now=now)
    if isinstance(found, PolicySet) and not errors:
        if before.last is not None and _is_held_back(settings, before, last, found):
            _log.warning("policy_held_back", in_force=before.last, on_disk=found.sha256, hint="guard policy reload")
            return AtStart(last)
        is_damaged = last is None and found.sha256 == before.last
        try:
            shelf.put(found.sha256, msgspec.json.encode(texts), is_anew=is_damaged)
        except OSError as error:
            _log.error("policy_not_kept", why=str(error), hint="new orders are refused; cancels pass")
            return AtStart(None)
        return AtStart(found)
    errors += found if isinstance(found, list) else []
    for wrong in errors:
        _log.error("policy_refused", error=str(wrong))
    if last is None:
        _log.error("policy_unavailable", hint="new orders are refused until a reload succeeds; cancels pass")
    else:
        _log.warning("policy_last_good", sha256=before.last)
    return AtStart(last, tuple(errors))


def kept_set(settings: Settings, keyring: Keyring, shelf: Shelf, sha256: str, *, now: datetime) -> PolicySet | None:
    """The set that this hash names; None where its texts are not kept, were damaged or edited, or make it no more."""
    raw = shelf.get(sha256)
    try:
        texts = None if raw is None else msgspec.json.decode(raw, type=dict[str, str])
    except msgspec.ValidationError:
        return None
    again = None if texts is None else compiled(settings, keyring, texts, now=now)
    return again if isinstance(again, PolicySet) and again.sha256 == sha256 else None


def _is_held_back(settings: Settings, before: Before, last: PolicySet | None, found: PolicySet) -> bool:
    if found.sha256 == before.last:
        return False
    if found.sha256 == before.expired:
        return True
    if not settings.policies.two_person:
        return False
    if before.is_temporary:  # whatever is on disk builds on what ends
        return True
    return last is None or verdict(compare(last, found)) not in {"tighter", "neutral"}


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


def stand(settings: Settings, keyring: Keyring, issuers: Issuers, policies: PolicySet | None) -> Standing:
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
