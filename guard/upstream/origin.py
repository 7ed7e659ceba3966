"""Where the daemon is, and how its certificate is checked.

An origin is scheme, host and port; a URL with more than that is refused, since paths are the catalogue's. TLS is
verified always, host name included; a private CA file replaces the system's authorities.
"""

import os
import socket
import ssl
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from guard.errors import SettingsFault
from guard.filemark import REPLACED, is_replaced

_PORT_OF: Final = {"http": 80, "https": 443}


class Origin(Struct, frozen=True):
    """One daemon. `host` is a name or an address, IPv6 without brackets."""

    scheme: Literal["http", "https"]
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as the `Host` field has them (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORT_OF[self.scheme] else f"{host}:{self.port}"


def brief(error: Exception) -> str:
    """Why there is no connection, in a few words. A library's own text names the daemon's address: not the callers'."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {cause.verify_message.partition(',')[0]}"  # what follows is the name
    if isinstance(cause, ssl.SSLError):
        return "it does not speak TLS as it should"
    if isinstance(cause, socket.gaierror):
        return "its name has no address"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(cause, OSError):
        return os.strerror(cause.errno).lower() if cause.errno else "none of its addresses answers"
    return type(cause).__name__


def parse_origin(url: str) -> Origin:
    """The origin of `http(s)://host[:port][/]`. Raises SettingsFault for anything more or less."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
        (host or "").encode("idna")
    except ValueError as error:
        raise SettingsFault([f"daemon.url: {error}"]) from error
    if not url.isascii() or not url.isprintable() or " " in url or "%" in url:
        raise SettingsFault(["daemon.url: has characters that no address needs"])
    if "@" in parts.netloc or parts.path not in {"", "/"} or "?" in url or "#" in url:
        raise SettingsFault(["daemon.url: write scheme, host and port only, like http://127.0.0.1:22499"])
    if parts.scheme not in _PORT_OF or not host or port == 0:
        raise SettingsFault(["daemon.url: write http://host:port or https://host:port"])
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return Origin(scheme, host, port or _PORT_OF[scheme])


def tls_context(origin: Origin, *, ca_file: str | None) -> ssl.SSLContext | None:
    """What checks the daemon's certificate; None for http. Raises SettingsFault for a CA file that cannot be used."""
    if origin.scheme == "http":
        if ca_file is not None:
            raise SettingsFault(["daemon.ca_file: is for https:// only; the url is http://"])
        return None
    try:
        if ca_file is not None and is_replaced(Path(ca_file)):
            raise SettingsFault([f"daemon.ca_file: {ca_file}: {REPLACED}"])
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsFault([f"daemon.ca_file: {ca_file}: cannot be used: {error}"]) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
