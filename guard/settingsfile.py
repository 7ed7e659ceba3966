"""Settings as they are read: `guard.toml`, `GUARD_*` variables and flags into one value. Every error is told at once.

Relative paths in the file are relative to the file's own folder. Unknown tables and keys are refused.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct

from guard.errors import SettingsFault
from guard.mismatch import mismatch
from guard.settings import (
    BoundsSettings,
    DaemonSettings,
    JournalSettings,
    Jwt,
    Keys,
    Listen,
    Metrics,
    Ops,
    Policies,
    Scopes,
    Settings,
    State,
    Trading,
    check,
)
from guard.terms import KeyLimits
from guard.wholefile import read_text, why

TABLES: Final[Mapping[str, type[Struct]]] = {
    "listen": Listen,
    "ops": Ops,
    "trading": Trading,
    "daemon": DaemonSettings,
    "keys": Keys,
    "policies": Policies,
    "state": State,
    "journal": JournalSettings,
    "bounds": BoundsSettings,
    "scopes": Scopes,
    "metrics": Metrics,
}

_ALL: Final = frozenset({*TABLES, "jwt"})

_FORMS: Final[Mapping[type, str]] = {
    bool: "true or false, without quotes",
    int: "a whole number, without quotes",
    float: "a number, without quotes",
    tuple: "a list of texts in quotes",
    str: "a text in quotes",
}
_GOT: Final = ", got `"  # of a wrong type msgspec names both, and not what to write

_S = TypeVar("_S", bound=Struct)


def _suggest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _form(kind: Any) -> str:
    """How a value of that type is written."""
    for one in (kind, *get_args(kind)):
        if get_origin(one) is Literal:
            return f"; write one of {', '.join(map(repr, get_args(one)))}"
        bare = get_origin(one) or one
        if bare in _FORMS:
            return f"; write {_FORMS[bare]}"
    return ""


def read_table(cls: type[_S], raw: object, *, where: str) -> tuple[_S | None, list[str]]:
    """One TOML table as its struct, with an error for every key that is unknown, missing or of the wrong kind.

    A key of the wrong kind has its default; None where one is missing that has none.
    """
    if not isinstance(raw, dict):
        return None, [f"{where}: a table is expected"]
    fields = {f.encode_name: f for f in msgspec.structs.fields(cls)}
    errors = [f"{where}.{name}: unknown key{_suggest(name, list(fields))}" for name in raw if name not in fields]
    is_whole = True
    values: dict[str, object] = {}
    for name, entry in fields.items():
        if name not in raw:
            if entry.required:
                errors.append(f"{where}.{name}: is required")
                is_whole = False
            continue
        try:
            values[entry.name] = msgspec.convert(raw[name], entry.type)
        except msgspec.ValidationError as error:
            told = mismatch(error, entry.type)
            errors.append(f"{where}.{name}: {told}{_form(entry.type) if _GOT in told else ''}")
            is_whole &= not entry.required
    return (cls(**values) if is_whole else None), errors


def _tables(raw: Mapping[str, object], origin: str) -> tuple[dict[str, object], list[str], frozenset[str]]:
    """The tables, what is wrong with them, and of which anything is."""
    known = [*TABLES, "jwt"]
    errors = [f"{origin}: [{name}]: unknown table{_suggest(name, known)}" for name in raw if name not in known]
    values: dict[str, object] = {}
    wrong: set[str] = set()
    for name, cls in TABLES.items():
        if name in raw:
            table, found = read_table(cls, raw[name], where=f"{origin}: {name}")
            values |= {} if table is None else {name: table}
            wrong |= {name} if found else set()
            errors += found
    issuers = raw.get("jwt", [])
    if not isinstance(issuers, list):
        return values, [*errors, f"{origin}: jwt: write [[jwt]], one table an issuer"], frozenset(wrong)
    read = [read_table(Jwt, row, where=f"{origin}: jwt[{place}]") for place, row in enumerate(issuers)]
    values["jwt"] = tuple(row for row, found in read if row is not None and not found)
    return values, errors + [error for _, found in read for error in found], frozenset(wrong)


def parse_settings(text: str, *, origin: str, root: str) -> tuple[Settings, list[str]]:
    """The text of a settings file, checked; a key with an error has its default."""
    reading = _parsed(text, origin=origin, root=root)
    return reading.settings, reading.errors


def _parsed(text: str, *, origin: str, root: str) -> "SettingsRead":
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return SettingsRead(Settings(root=root), [f"{origin}: not TOML: {error}"], _ALL)
    values, errors, wrong = _tables(raw, origin)
    return SettingsRead(Settings(**values, root=root), errors, wrong)  # type: ignore[arg-type] # by table


def _untold(settings: Settings, told: Iterable[str]) -> list[str]:
    """What is wrong with the values taken together, but for those of keys that are told already."""
    names = set(told)
    return [error for error in check(settings) if names.isdisjoint(error.partition(":")[0].split(" and "))]


class Overrides(Struct, frozen=True):
    """What flags and `GUARD_*` variables set; None leaves the file's word. `limits` form the policy `flags`."""

    listen: str | None = None
    ops: str | None = None
    daemon: str | None = None
    keys: str | None = None
    policies: str | None = None
    state: str | None = None
    enable_trading: bool | None = None
    limits: KeyLimits = KeyLimits()


def apply(settings: Settings, over: Overrides) -> Settings:
    """The settings with flags and variables on top; their paths are relative to the working directory."""
    change = msgspec.structs.replace

    def here(name: str | None, old: str) -> str:
        return old if name is None else str(Path(name).absolute())

    return change(
        settings,
        listen=change(settings.listen, data=over.listen or settings.listen.data, ops=over.ops or settings.listen.ops),
        daemon=change(settings.daemon, url=over.daemon or settings.daemon.url),
        keys=change(settings.keys, file=here(over.keys, settings.keys.file)),
        policies=change(settings.policies, dir=here(over.policies, settings.policies.dir)),
        state=change(settings.state, dir=here(over.state, settings.state.dir)),
        trading=settings.trading if over.enable_trading is None else Trading(enabled=over.enable_trading),
        flags=None if over.limits == KeyLimits() else over.limits,
    )


def _secret(settings: Settings, name: str | None, where: str) -> tuple[str | None, list[str]]:
    if name is None:
        return None, []
    try:
        text = read_text(settings.path(name)).strip()
    except (OSError, UnicodeDecodeError) as error:
        return None, [f"{where}: {name}: cannot be read: {why(error)}"]
    if not _is_one_key(text):
        return None, [f"{where}: {name}: must hold one key and nothing else"]
    return text, []


def _is_one_key(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _from_environment(environ: Mapping[str, str]) -> tuple[str | None, list[str]]:
    text = environ.get("GUARD_DAEMON_KEY", "").strip()
    if _is_one_key(text):
        return text, []
    return None, ["GUARD_DAEMON_KEY: must hold one key and nothing else"] if text else []


class SettingsRead(Struct):
    """What was read and what is wrong with it. `unread`: tables of which some keys have their defaults for that."""

    settings: Settings
    errors: list[str]
    unread: frozenset[str] = frozenset()


def read(config: Path | None, over: Overrides, environ: Mapping[str, str]) -> SettingsRead:
    """The settings of a start and every error. `config` None: `guard.toml` where it exists."""
    path = config or Path("guard.toml")
    root = str(path.parent.absolute())
    text = ""
    unreadable: list[str] = []
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        if config is not None or not isinstance(error, FileNotFoundError):
            unreadable = [f"{path}: cannot be read: {why(error)}"]
    reading = (
        SettingsRead(Settings(root=root), unreadable, _ALL)
        if unreadable
        else _parsed(text, origin=str(path), root=root)
    )
    settings = apply(reading.settings, over)
    own, bad = _secret(settings, settings.daemon.key_file, "daemon.key_file")
    given, worse = _from_environment(environ)
    public, worst = _secret(settings, settings.daemon.public_key_file, "daemon.public_key_file")
    settings = msgspec.structs.replace(settings, daemon_key=given or own, public_key=public)
    unread = reading.unread - {"keys"} if over.keys else reading.unread
    told = (error.removeprefix(f"{path}: ").partition(":")[0] for error in reading.errors)
    return SettingsRead(settings, [*reading.errors, *_untold(settings, told), *bad, *worse, *worst], unread)


def load(config: Path | None, over: Overrides, environ: Mapping[str, str]) -> Settings:
    """The settings of a start. Raises SettingsFault with every error."""
    reading = read(config, over, environ)
    if reading.errors:
        raise SettingsFault(reading.errors)
    return reading.settings
