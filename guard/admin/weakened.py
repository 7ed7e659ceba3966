"""Controls that are off or loose, one sentence each: told at start, in `/status` and in the record.

A start does not refuse these: each is somebody's choice, or a file's mode that a person has to set. What a guard cannot
keep its promises without (settings, keys and their mode, the daemon's key where trading is on, the state directory, its
lock, the record) stops the start.
"""

import hashlib
import ipaddress
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from guard.access import Keyring
from guard.settings import Settings, address

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def is_loopback(listen: str) -> bool:
    """A listener that only this machine reaches."""
    place = address(listen)
    return isinstance(place, str) or _is_here(place[0])


def _is_here(host: str) -> bool:
    """A name or address of loopback, of which 127.0.0.1 is one among many (RFC 1122 §3.2.1.3)."""
    try:
        return host in LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def weakened(settings: Settings) -> tuple[str, ...]:
    """The sentences for these settings and their files as they are now."""
    rows = (
        (not settings.policies.require_cover, "policies.require_cover is off: trades that no limit covers pass"),
        (
            settings.scopes.profile == "runtime",
            "scopes.profile is runtime: scopes follow the daemon",
        ),
        (
            settings.daemon.broker_limits == "off",
            "daemon.broker_limits is off: one key can use up what the broker allows all of them",
        ),
        (not settings.daemon.stamp_remark, "daemon.stamp_remark is off: orders do not name their decision"),
        (
            settings.daemon.public_key_file is not None,
            "daemon.public_key_file: callers without a key read ping, global state and delays with that key",
        ),
        (settings.ops.open, "ops.open: metrics and status need no key"),
        (
            not is_loopback(settings.listen.data) and settings.listen.tls_cert is None,
            "listen.data is reachable from other machines without TLS: keys travel in the clear",
        ),
        (
            not is_loopback(settings.listen.ops) and settings.listen.tls_cert is None,
            "listen.ops is reachable from other machines without TLS: operators' keys travel in the clear",
        ),
        (
            settings.daemon.url.startswith("http://") and not _is_local_daemon(settings),
            "daemon.url is plain http to another machine: the daemon's key travels in the clear",
        ),
        (
            bool(settings.listen.allowed_origins),
            f"listen.allowed_origins lets pages in a browser call: {', '.join(settings.listen.allowed_origins)}",
        ),
        (settings.journal.reads == "refused", "journal.reads is refused: passed reads leave no record"),
    )
    return (*(sentence for is_so, sentence in rows if is_so), *_loose(_files(settings)))


def weakened_by_keys(settings: Settings, keyring: Keyring) -> tuple[str, ...]:
    """That a caller holds the very key that the guard shows the daemon, as in a keys.json that was moved over whole.

    And that there are more keys than metrics tell apart: to work out the use of thousands would take a scrape too long.
    """
    own = {hashlib.sha256(key.encode()).digest() for key in (settings.daemon_key, settings.public_key) if key}
    ids = ", ".join(record.id for record in keyring.records if record.digest in own)
    told = f"{settings.keys.file}: the daemon takes these keys too, so they walk past the guard: {ids}"
    beyond = len({record.name for record in keyring.records}) - settings.metrics.keys_max
    unmeasured = f"metrics.keys_max: no metric tells how much of their limits {beyond} of the keys use"
    return (*((told,) if ids else ()), *((unmeasured,) if beyond > 0 else ()))


def _is_local_daemon(settings: Settings) -> bool:
    host = settings.daemon.url.split("://", 1)[1].split("/", 1)[0].rpartition(":")[0] or settings.daemon.url
    return _is_here(host.strip("[]"))


def _files(settings: Settings) -> Iterator[tuple[str, Path, int]]:
    """Files by setting, each with the mode bits that weaken a control: what others may read of a secret, or write."""
    secret, written = stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP, stat.S_IWOTH
    daemon = settings.daemon
    for name, text in (
        ("daemon.key_file", daemon.key_file),
        ("daemon.public_key_file", daemon.public_key_file),
        ("listen.tls_key", settings.listen.tls_key),
    ):
        if text is not None:
            yield name, settings.path(text), secret
    for path in _policies(settings.path(settings.policies.dir)):
        yield "policies.dir", path, written


def _policies(folder: Path) -> tuple[Path, ...]:
    """The folder and the files in it. One that may not be looked into stops no start: whoever needs it says so."""
    try:
        return (_behind(folder), *sorted(folder.glob("*.toml")))
    except OSError:
        return (folder,)


def _behind(folder: Path) -> Path:
    """Where a ConfigMap's files are: a mount's root is writable by all, below a folder that is root's alone."""
    link = folder / "..data"
    return link if link.is_symlink() and link.lstat().st_uid == 0 else folder


def _loose(files: Iterable[tuple[str, Path, int]]) -> Iterator[str]:
    for name, path, bits in files:
        try:
            mode = path.stat().st_mode
        except OSError:  # whoever needs the file says so
            continue
        if mode & bits:
            what = "read or changed" if bits & stat.S_IROTH else "changed"
            fit = "600" if bits & stat.S_IROTH else "o-w"
            yield f"{name}: {path} may be {what} by others on this machine: chmod {fit} {path}"
