"""What is in force: settings, keys, issuers and policies as one frozen value that is swapped whole.

A reload reads the files once, builds a new `Standing` and swaps one reference between requests; a request keeps the one
it looked at. Nothing here decides anything.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from guard import __version__
from guard.access import Issuer, Keyring, keyfile, parse_issuer
from guard.catalogue.table import TABLE
from guard.errors import SettingsFault
from guard.journal.shelf import Shelf
from guard.policy import RULES, PolicyDoc, PolicyError, PolicySet, compile_set, parse_policy
from guard.settings import Settings

_log = structlog.get_logger("guard")


class Standing(Struct, frozen=True):
    """One consistent set of everything that decides. `policies` None: none could be loaded, new orders are refused."""

    settings: Settings
    keyring: Keyring
    issuers: tuple[Issuer, ...]
    policies: PolicySet | None
    config: bytes
    config_sha256: str

    @property
    def policy_sha256(self) -> str:
        """The hash of the enforcing policies; empty without any."""
        return self.policies.sha256 if self.policies else ""


def load_keys(settings: Settings) -> tuple[Keyring, tuple[Issuer, ...]]:
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
            jwks = settings.path(row.jwks_file).read_bytes()
        except OSError as error:
            errors.append(f"{row.jwks_file}: cannot be read: {error}")
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
    return keyring, tuple(issuers)


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
        paths = sorted(p for p in directory.iterdir() if p.suffix == ".toml" and p.stem.endswith("_test") is are_tests)
    except OSError as error:
        return {}, [_unreadable(str(directory), error)]
    for path in paths:
        try:
            texts[path.name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            errors.append(_unreadable(path.name, error))
    return texts, errors


def parse_texts(texts: Mapping[str, str]) -> tuple[list[PolicyDoc], list[PolicyError]]:
    """The documents of these files, by name, and everything that is wrong with the rest."""
    read = [parse_policy(text, file=name) for name, text in texts.items()]
    docs = [doc for doc in read if isinstance(doc, PolicyDoc)]
    return docs, [error for doc in read if isinstance(doc, list) for error in doc]


def _unreadable(file: str, error: Exception) -> PolicyError:
    return PolicyError(file=file, line=None, path="", code="unreadable", message=str(error), hint="check path and mode")


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


def at_start(settings: Settings, keyring: Keyring, shelf: Shelf, *, last: str | None, now: datetime) -> AtStart:
    """The policies of the directory, kept by hash; where they are wrong the record's `last` good ones, else none."""
    texts, errors = read_texts(settings.path(settings.policies.dir))
    found = _compiled(settings, keyring, texts, now=now)
    if isinstance(found, PolicySet) and not errors:
        try:
            shelf.put(found.sha256, msgspec.json.encode(texts))
        except OSError as error:
            _log.error("policy_not_kept", why=str(error), hint="new orders are refused; cancels pass")
            return AtStart(None)
        return AtStart(found)
    errors += found if isinstance(found, list) else []
    for wrong in errors:
        _log.error("policy_refused", error=str(wrong))
    kept = shelf.get(last) if last else None
    if kept is None:
        _log.error("policy_unavailable", hint="new orders are refused until a reload succeeds; cancels pass")
        return AtStart(None, tuple(errors))
    _log.warning("policy_last_good", sha256=last)
    again = _compiled(settings, keyring, msgspec.json.decode(kept, type=dict[str, str]), now=now)
    return AtStart(again if isinstance(again, PolicySet) else None, tuple(errors))


def _compiled(
    settings: Settings, keyring: Keyring, texts: Mapping[str, str], *, now: datetime
) -> PolicySet | list[PolicyError]:
    docs, errors = parse_texts(texts)
    built = build_policies(settings, keyring, docs, now=now)
    if isinstance(built, list):
        return errors + built
    return errors or built


def stand(settings: Settings, keyring: Keyring, issuers: tuple[Issuer, ...], policies: PolicySet | None) -> Standing:
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
    }
    config = msgspec.json.encode(deciding, order="sorted")
    return Standing(settings, keyring, issuers, policies, config, hashlib.sha256(config).hexdigest())
