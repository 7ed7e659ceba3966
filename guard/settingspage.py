"""`docs/settings.md`, made from the structs of the settings and one sentence for each key: `make docs`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from guard.settings import Jwt
from guard.settingsfile import TABLES

_INTRODUCTION: Final = """# Settings

Every table and key of `guard.toml`. All are optional but where it says *required*; unknown ones are refused, and every
error is told at once (`guard check`). Relative paths are relative to the file's own folder. `make docs` makes this page
from `guard/settings.py` and `guard/settingspage.py`.

Some have a flag of `guard serve` and a variable as well: `--listen` and `GUARD_LISTEN` for `listen.data`, `--ops`,
`--daemon`, `--keys`, `--policies` and `--state` likewise, `--enable-trading` for `trading.enabled`. Flags override
variables, and both override the file. A change of the file needs a restart; what the files that it names contain is
read again by reloads ([operating](operating.md)).
"""

MEANINGS: Final = {
    "listen.data": "Where callers come in: `host:port` or `unix:PATH`",
    "listen.ops": "Where the operator comes in: health, metrics, reloads, trading state; `host:port` or `unix:PATH`",
    "listen.tls_cert": "The certificate chain (PEM) of both listeners, TLS 1.3 alone; with `tls_key`, or neither",
    "listen.tls_key": "Its private key (PEM)",
    "listen.allowed_origins": "Pages in a browser that may call, as browsers name them: `https://desk.example:8443`",
    "ops.open": "Metrics and status need no key although `listen.ops` is not on loopback",
    "trading.enabled": "New orders and changes are let through at all; cancels always are",
    "daemon.url": "The daemon's REST address",
    "daemon.key_file": "The file with the guard's own key for the daemon, mode 0600; or `GUARD_DAEMON_KEY`",
    "daemon.public_key_file": "The file with a key for what callers may ask without one; else none is shown",
    "daemon.ca_file": "The authorities (PEM) of the daemon's certificate, instead of the system's",
    "daemon.connect_timeout_s": "How long a new connection to the daemon may take, seconds",
    "daemon.read_timeout_s": "How long the daemon may take to answer a read, seconds; then 504",
    "daemon.order_timeout_s": "How long it may take to answer a trade, seconds; then its outcome is unknown",
    "daemon.connections_max": "Connections to the daemon, and so requests under way there",
    "daemon.broker_limits": "`documented` keeps the broker's own limits by account; `off` leaves them to the daemon",
    "daemon.stamp_remark": "An order without a remark carries its decision in it, so that it is found again",
    "keys.file": "The callers' keys, mode 0600",
    "keys.tz": "The time zone of `hours_window` in the keys",
    "jwt.issuer": "One table `[[jwt]]` for each issuer of tokens: its `iss`",
    "jwt.audience": "What `aud` must name",
    "jwt.jwks_file": "The issuer's public keys, a JWK set; writable by nobody else",
    "jwt.algorithms": "Which signature algorithms count",
    "jwt.lifetime_max_s": "How long a token may live at most, seconds",
    "policies.dir": "The directory of the policy files",
    "policies.require_cover": "A trade that no limit of money covers is refused `no_policy`",
    "policies.two_person": "What is looser waits for another owner ([changing policies](changing-policies.md))",
    "policies.watch": "A change of the files is a reload",
    "state.dir": "Journal, lock and HALT; mode 0700",
    "journal.reads": "Which reads that pass have a record: `account` data, `all`, or none (`refused`: refusals only)",
    "journal.segment_bytes_max": "How large a file of the journal grows, bytes",
    "journal.retention_days": "How long closed files of the journal are kept, days",
    "bounds.body_bytes_max": "A request's body, bytes; beyond it 413",
    "bounds.answer_bytes_max": "An answer of the daemon's, bytes; beyond it 502, or an unknown outcome",
    "bounds.connections_max": "Connections of callers",
    "bounds.unproven_per_address_max": "Connections of one address without a verified key; then the oldest goes",
    "bounds.requests_per_key_max": "Requests of one key under way; beyond it 503, never for a cancel",
    "bounds.failed_auths_per_minute_max": "Wrong keys of one address a minute; beyond it 429, never for a right one",
    "bounds.refusals_per_second_max": "Refusals told to one key or address a second; further ones wait their turn",
    "bounds.request_timeout_s": "From a request's first byte to its last, seconds",
    "bounds.idle_timeout_s": "How long a connection may rest between two requests, seconds",
    "bounds.drain_timeout_s": "How long a stop waits for what is under way, seconds",
    "bounds.pre_stop_s": "How long a guard that was told to stop keeps its doors open, without new orders, seconds",
    "scopes.profile": "Which scopes an endpoint needs: as the daemon documents, or as it really asks (`runtime`)",
    "metrics.keys_max": "How many key ids may be labels; the rest are `other`, and the use of their limits is not told",
}


def page() -> str:
    """The whole page."""
    return _INTRODUCTION + "".join(_table(name, kind) for name, kind in kinds().items())


def kinds() -> dict[str, type[Struct]]:
    """Every table of the file, `[[jwt]]` last."""
    return {**TABLES, "jwt": Jwt}


def _table(name: str, kind: type[Struct]) -> str:
    heading = f"[[{name}]]" if kind is Jwt else f"[{name}]"
    rows = "".join(_rows(name, kind))
    return f"\n## `{heading}`\n\n| key | default | is | means |\n|---|---|---|---|\n{rows}"


def _rows(name: str, kind: type[Struct]) -> Iterator[str]:
    for entry in msgspec.structs.fields(kind):
        default = "*required*" if entry.required else _shown(entry.default)
        yield f"| `{entry.name}` | {default} | {_told(entry.type)} | {MEANINGS[f'{name}.{entry.name}']} |\n"


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if value == ():
        return "`[]`"
    text = msgspec.json.encode(value).decode()
    return f"`{text.removesuffix('.0') if isinstance(value, float) else text}`"


def _told(kind: Any) -> str:
    """The type and its bounds, for people."""
    if get_origin(kind) is Annotated:
        base, *extras = get_args(kind)
        (meta,) = [extra for extra in extras if isinstance(extra, Meta)]
        low = f"{meta.ge}" if meta.ge is not None else f"above {meta.gt}"
        return f"{_told(base)}, {low} to {meta.lt if meta.le is None else meta.le}"
    if get_origin(kind) is Literal:
        return " or ".join(f"`{word}`" for word in get_args(kind))
    words = {str: "text", bool: "`true` or `false`", int: "a whole number", float: "a number"}
    return words.get(kind) or ("a list of texts" if get_origin(kind) is tuple else "text")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
