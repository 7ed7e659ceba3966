"""Settings: every table and key that `guard.toml` may have, as one frozen value, and what is wrong with it as a whole.

Each key has its default here. What this version cannot do yet is refused rather than ignored. How it is read:
`settingsfile`.
"""

import re
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfoNotFoundError

from msgspec import Meta, Struct

from guard.terms import KeyLimits, zone_of

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

    @property
    def ca_file(self) -> str | None:
        """Where the authorities of the daemon's certificate are; None for those of the system."""
        return None if self.daemon.ca_file is None else str(self.path(self.daemon.ca_file))

    def path(self, name: str) -> Path:
        """A path of the settings, relative to the settings file's folder."""
        return Path(self.root) / name


# Scheme, host and a port that is not the scheme's own, in lower case; neither `*` nor `null`, which is anybody.
_ORIGIN: Final = re.compile(
    r"(?:http://(?!.*:80$)|https://(?!.*:443$))(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?",
    re.ASCII,
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
    if settings.listen.data == settings.listen.ops and not settings.listen.data.endswith(":0"):
        errors.append(f"listen.data and listen.ops: both are {settings.listen.ops}; give each an address of its own")
    if not settings.daemon.url.startswith(("http://", "https://")):
        errors.append(f"daemon.url: {settings.daemon.url!r} must begin with http:// or https://")
    if settings.daemon.url.split("://")[-1].rstrip("/") in {settings.listen.data, settings.listen.ops}:
        errors.append("daemon.url: is the guard's own listener; the guard would talk to itself")
    if (settings.listen.tls_cert is None) != (settings.listen.tls_key is None):
        errors.append("listen.tls_cert and listen.tls_key: set both or neither")
    try:
        zone_of(settings.keys.tz)
    except (ZoneInfoNotFoundError, ValueError):
        errors.append(f"keys.tz: {settings.keys.tz!r} is no time zone; write one like Asia/Hong_Kong")
    return errors
