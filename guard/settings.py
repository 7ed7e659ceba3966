"""Settings: `guard.toml`, `GUARD_*` variables and flags, read into one frozen value. Every error is told at once.

Relative paths in the file are relative to the file's own folder. Unknown tables and keys are refused. What this
version cannot do yet is refused rather than ignored. Source: contract §3.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from guard.errors import SettingsFault
from guard.terms import KeyLimits

Seconds = Annotated[float, Meta(gt=0, le=3600)]
Count = Annotated[int, Meta(gt=0, le=1_000_000)]
Bytes = Annotated[int, Meta(ge=1024, le=2**33)]


class Listen(Struct, frozen=True):
    """Where callers (`data`) and the operator (`ops`, "host:port" or "unix:PATH") come in.

    `allowed_origins`: pages in a browser that may call, as their browsers name them; none by default.
    """

    data: str = "127.0.0.1:22500"
    ops: str = "127.0.0.1:22501"
    tls_cert: str | None = None
    tls_key: str | None = None
    allowed_origins: tuple[str, ...] = ()


class Ops(Struct, frozen=True):
    """`open`: metrics and status without a key although ops is not on loopback."""

    open: bool = False


class Trading(Struct, frozen=True):
    """`enabled`: new orders and changes are let through at all; cancels always are."""

    enabled: bool = False


class DaemonSettings(Struct, frozen=True):
    """The daemon: address, the guard's own keys for it, and how long it may take (seconds)."""

    url: str = "http://127.0.0.1:22499"
    key_file: str | None = None
    public_key_file: str | None = None
    ca_file: str | None = None
    connect_timeout_s: Seconds = 2.0
    read_timeout_s: Seconds = 15.0
    order_timeout_s: Seconds = 10.0
    connections_max: Count = 64
    broker_limits: Literal["documented", "off"] = "documented"
    stamp_remark: bool = True


class Keys(Struct, frozen=True):
    """The callers' keys; `tz` is the zone of their `hours_window`."""

    file: str = "keys.json"
    tz: str = "UTC"


class Jwt(Struct, frozen=True):
    """One issuer of tokens: whom to believe, with which keys, and how long a token may live (seconds)."""

    issuer: str
    audience: str
    jwks_file: str
    algorithms: tuple[str, ...]
    lifetime_max_s: Annotated[int, Meta(gt=0, le=86_400)] = 3600


class Policies(Struct, frozen=True):
    """The policy directory; `require_cover`: a trade that no money limit covers is refused.

    `two_person`: what is looser waits for a second person. `watch`: a change of the files is a reload.
    """

    dir: str = "policies"
    require_cover: bool = True
    two_person: bool = False
    watch: bool = False


class State(Struct, frozen=True):
    """The directory that holds the journal, the lock and the HALT file; mode 0700."""

    dir: str = "state"


class JournalSettings(Struct, frozen=True):
    """Which passed reads are recorded, how large a segment grows, and how long closed ones are kept."""

    reads: Literal["account", "all", "refused"] = "account"
    segment_bytes_max: Bytes = 128 * 2**20
    retention_days: Annotated[int, Meta(ge=1, le=36_500)] = 2557


class BoundsSettings(Struct, frozen=True):
    """The limits of the edge, each with its unit.

    `request_timeout_s`: from a request's first byte to its last, head and body together.
    `pre_stop_s`: how long a guard that was told to stop keeps its doors open, not ready and without new orders.
    `unproven_per_address_max` connections of one address may wait without a verified key; then the oldest goes.
    `requests_per_key_max` under way never refuse a cancel, `failed_auths_per_minute_max` never a key that verifies.
    A key, or an address without one, is told `refusals_per_second_max`, further ones in their turn; a cancel at once.
    """

    body_bytes_max: Bytes = 65_536
    answer_bytes_max: Bytes = 32 * 2**20
    connections_max: Count = 4096
    unproven_per_address_max: Count = 1024
    requests_per_key_max: Count = 512
    failed_auths_per_minute_max: Count = 60_000
    refusals_per_second_max: Count = 100
    request_timeout_s: Seconds = 10.0
    idle_timeout_s: Seconds = 60.0
    drain_timeout_s: Seconds = 15.0
    pre_stop_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0


class Scopes(Struct, frozen=True):
    """Which column of the catalogue is asked for: what the daemon documents, or what it really wants."""

    profile: Literal["documented", "runtime"] = "documented"


class Metrics(Struct, frozen=True):
    """How many key ids may become labels; the rest are `other`."""

    keys_max: Annotated[int, Meta(ge=0, le=10_000)] = 200


class Settings(Struct, frozen=True):
    """Everything that a start needs, checked."""

    listen: Listen = Listen()
    ops: Ops = Ops()
    trading: Trading = Trading()
    daemon: DaemonSettings = DaemonSettings()
    keys: Keys = Keys()
    jwt: tuple[Jwt, ...] = ()
    policies: Policies = Policies()
    state: State = State()
    journal: JournalSettings = JournalSettings()
    bounds: BoundsSettings = BoundsSettings()
    scopes: Scopes = Scopes()
    metrics: Metrics = Metrics()
    flags: KeyLimits | None = None
    daemon_key: str | None = None
    public_key: str | None = None
    root: str = "."

    @property
    def lacks_daemon_key(self) -> bool:
        """Trading is on, but there is no key to trade with: no daemon takes a trade without one, in either mode."""
        return self.trading.enabled and self.daemon_key is None

    def path(self, name: str) -> Path:
        """A path of the settings, relative to the settings file's folder."""
        return Path(self.root) / name


# Scheme, host and a port that is not the scheme's own, in lower case; neither `*` nor `null`, which is anybody.
_ORIGIN: Final = re.compile(
    r"(?:http://(?!.*:80$)|https://(?!.*:443$))(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?",
    re.ASCII,
)

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

_S = TypeVar("_S", bound=Struct)


def _suggest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def read_table(cls: type[_S], raw: object, *, where: str) -> tuple[_S | None, list[str]]:
    """One TOML table as its struct, with an error for every key that is unknown, missing or of the wrong kind."""
    if not isinstance(raw, dict):
        return None, [f"{where}: a table is expected"]
    fields = {f.encode_name: f for f in msgspec.structs.fields(cls)}
    errors = [f"{where}.{name}: unknown key{_suggest(name, list(fields))}" for name in raw if name not in fields]
    values: dict[str, object] = {}
    for name, entry in fields.items():
        if name not in raw:
            if entry.required:
                errors.append(f"{where}.{name}: is required")
            continue
        try:
            values[entry.name] = msgspec.convert(raw[name], entry.type)
        except msgspec.ValidationError as error:
            errors.append(f"{where}.{name}: {error}")
    return (None if errors else cls(**values)), errors


def _tables(raw: Mapping[str, object], origin: str) -> tuple[dict[str, object], list[str]]:
    known = [*TABLES, "jwt"]
    errors = [f"{origin}: [{name}]: unknown table{_suggest(name, known)}" for name in raw if name not in known]
    values: dict[str, object] = {}
    for name, cls in TABLES.items():
        if name in raw:
            table, found = read_table(cls, raw[name], where=f"{origin}: {name}")
            values[name] = table
            errors += found
    issuers = raw.get("jwt", [])
    if not isinstance(issuers, list):
        return values, [*errors, f"{origin}: jwt: write [[jwt]], one table an issuer"]
    read = [read_table(Jwt, row, where=f"{origin}: jwt[{place}]") for place, row in enumerate(issuers)]
    values["jwt"] = tuple(row for row, _ in read if row is not None)
    return values, errors + [error for _, found in read for error in found]


def parse_settings(text: str, *, origin: str, root: str) -> tuple[Settings, list[str]]:
    """The text of a settings file, checked; a table with an error has its defaults."""
    reading = _parsed(text, origin=origin, root=root)
    return reading.settings, reading.errors


def _parsed(text: str, *, origin: str, root: str) -> "Reading":
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Reading(Settings(root=root), [f"{origin}: not TOML: {error}"], _ALL)
    values, errors = _tables(raw, origin)
    read = {name: table for name, table in values.items() if table is not None}
    return Reading(Settings(**read, root=root), errors, frozenset(values.keys() - read.keys()))  # type: ignore[arg-type]


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


def address(text: str) -> tuple[str, int] | str:
    """A listener's "host:port" as a pair, "unix:PATH" as the path. Raises ValueError with what to write instead."""
    if text.startswith("unix:"):
        return text.removeprefix("unix:")
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:  # noqa: PLR2004 - the port range
        raise ValueError(f"{text!r} is not host:port")
    return host.strip("[]") or "127.0.0.1", int(port)


def check(settings: Settings) -> list[str]:
    """What is wrong with the values taken together."""
    errors = []
    errors += [
        f"listen.allowed_origins: {origin!r} is no origin as browsers send it, such as https://desk.example:8443"
        for origin in settings.listen.allowed_origins
        if not _ORIGIN.fullmatch(origin)
    ]
    for name, text in (("listen.data", settings.listen.data), ("listen.ops", settings.listen.ops)):
        try:
            address(text)
        except ValueError as error:
            errors.append(f"{name}: {error}")
    if not settings.daemon.url.startswith(("http://", "https://")):
        errors.append(f"daemon.url: {settings.daemon.url!r} must begin with http:// or https://")
    if settings.daemon.url.split("://")[-1].rstrip("/") in {settings.listen.data, settings.listen.ops}:
        errors.append("daemon.url: is the guard's own listener; the guard would talk to itself")
    if (settings.listen.tls_cert is None) != (settings.listen.tls_key is None):
        errors.append("listen.tls_cert and listen.tls_key: set both or neither")
    try:
        ZoneInfo(settings.keys.tz)
    except (ZoneInfoNotFoundError, ValueError):
        errors.append(f"keys.tz: {settings.keys.tz!r} is no time zone; write one like Asia/Hong_Kong")
    return errors


def _secret(settings: Settings, name: str | None, where: str) -> tuple[str | None, list[str]]:
    if name is None:
        return None, []
    try:
        text = settings.path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        return None, [f"{where}: {name}: cannot be read: {error}"]
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


class Reading(Struct):
    """What was read and what is wrong with it. `unread`: tables with their defaults, since theirs cannot be known."""

    settings: Settings
    errors: list[str]
    unread: frozenset[str] = frozenset()


def read(config: Path | None, over: Overrides, environ: Mapping[str, str]) -> Reading:
    """The settings of a start and every error. `config` None: `guard.toml` where it exists."""
    path = config or Path("guard.toml")
    root = str(path.parent.absolute())
    text = ""
    unreadable: list[str] = []
    if config is not None or path.exists():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            unreadable = [f"{path}: cannot be read: {error}"]
    reading = (
        Reading(Settings(root=root), unreadable, _ALL) if unreadable else _parsed(text, origin=str(path), root=root)
    )
    settings = apply(reading.settings, over)
    own, bad = _secret(settings, settings.daemon.key_file, "daemon.key_file")
    given, worse = _from_environment(environ)
    public, worst = _secret(settings, settings.daemon.public_key_file, "daemon.public_key_file")
    settings = msgspec.structs.replace(settings, daemon_key=given or own, public_key=public)
    unread = reading.unread - {"keys"} if over.keys else reading.unread
    return Reading(settings, [*reading.errors, *check(settings), *bad, *worse, *worst], unread)


def load(config: Path | None, over: Overrides, environ: Mapping[str, str]) -> Settings:
    """The settings of a start. Raises SettingsFault with every error."""
    reading = read(config, over, environ)
    if reading.errors:
        raise SettingsFault(reading.errors)
    return reading.settings
