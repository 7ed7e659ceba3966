"""What the settings say of the guard's connections to the daemon and of its listeners for callers and operators."""

import errno
import os
import resource
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import structlog
from msgspec.structs import replace

from guard.server import TURNED_AWAY_MAX, EdgeBounds
from guard.settings import Settings
from guard.upstream import Link
from guard.wholefile import why

FILES_KEPT: Final = 256  # of ours: journal, state, ops listener, streams to the daemon

_log = structlog.get_logger("guard")


def link_of(settings: Settings) -> Link:
    """Where the daemon is, and how much it may say."""
    daemon = settings.daemon
    return Link(
        url=daemon.url,
        ca_file=settings.ca_file,
        connect_timeout_s=daemon.connect_timeout_s,
        connections_max=daemon.connections_max,
        answer_bytes_max=settings.bounds.answer_bytes_max,
    )


def bounds_of(settings: Settings) -> EdgeBounds:
    """How much callers may send, and how long they may take."""
    bounds = settings.bounds
    kept, is_private = FILES_KEPT + settings.daemon.connections_max, settings.listen.tls_cert is not None
    connections_max = connections_within(bounds.connections_max, kept=kept, beside=2 if is_private else 1)
    return EdgeBounds(
        body_bytes_max=bounds.body_bytes_max,
        connections_max=connections_max,
        unproven_per_address_max=min(bounds.unproven_per_address_max, connections_max),
        header_timeout_s=bounds.request_timeout_s,
        body_timeout_s=bounds.request_timeout_s,
        request_timeout_s=bounds.request_timeout_s,
        idle_timeout_s=bounds.idle_timeout_s,
    )


def unopened(settings: Settings, door: Literal["data", "ops"], error: OSError) -> str:
    """A sentence for a listener that could not be opened: which one, where, why, and what to do."""
    place = getattr(settings.listen, door)
    if error.errno == errno.EADDRINUSE:
        return f"listen.{door}: {place}: address already in use; is another guard running?"
    words = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else why(error).lower()
    return f"listen.{door}: {place}: {words}; write an address of this machine that its user may take"


def opened(names: Iterable[Any]) -> str:
    """The addresses of listening sockets, written as in the settings, with the port that was given for port 0."""
    return ", ".join(_place(name) for name in names)


def listening_on(settings: Settings, sockets: Mapping[str, socket.socket]) -> Settings:
    """The settings with the addresses of the sockets that were handed over, by listener: they count, not the file's."""
    places = {door: opened([each.getsockname()]) for door, each in sockets.items()}
    return replace(settings, listen=replace(settings.listen, **places))


def _place(name: Any) -> str:
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def connections_within(wanted: int, *, kept: int, beside: int = 1) -> int:
    """How many of the `wanted` connections the limit of open files allows, if `kept` files stay free for the guard.

    Otherwise whoever opens enough connections takes the one that a cancel needs. Callers that are being turned away
    hold a connection too, up to as many again and at most `TURNED_AWAY_MAX`, and so do TLS handshakes: `beside` is 2
    where there are any. The limit is raised first as far as this process may.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted + beside * min(wanted, TURNED_AWAY_MAX) + kept
    if soft == resource.RLIM_INFINITY or soft >= files:
        return wanted
    soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = soft - kept
    fitting = max(1, room // (1 + beside), room - beside * TURNED_AWAY_MAX)
    if fitting < wanted:
        _log.warning("connections_limited", connections_max=fitting, wanted=wanted, why=f"at most {soft} open files")
    return min(wanted, fitting)
