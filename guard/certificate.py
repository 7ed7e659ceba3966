"""The listeners' certificate, for TLS 1.3; a new one is loaded without a restart.

Both listeners share one context. The files are checked on SIGHUP and every half minute, so whatever renews certificates
needs to know nothing of the guard. New files are first tried on a context of their own: if they do not fit, or are not
valid now while the old certificate is, that one stays in use and the log and `degraded` in `/status` say so. Open
connections keep the one they began with.
"""

import asyncio
import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

from guard.clock import SystemClock
from guard.errors import SettingsFault
from guard.filemark import FileMarks, every_half_minute
from guard.settings import Settings
from guard.wholefile import TEXT_BYTES_MAX, read_newest, why

_log = structlog.get_logger("guard")
_CUT_OFF: Final = "callers that verify it cannot connect, not for cancels either"


class Span(Struct, frozen=True):
    """When a certificate begins and ends."""

    begins: datetime
    ends: datetime

    def invalid(self, now: datetime) -> str:
        """Why callers do not take it now; empty: they do."""
        if now >= self.ends:
            return f"ended at {self.ends:%Y-%m-%dT%H:%M:%SZ}"
        return f"begins at {self.begins:%Y-%m-%dT%H:%M:%SZ}" if now < self.begins else ""


class Certificate:
    """A certificate with its key, as files. Raises SettingsFault where they cannot be used at the start.

    One that is not valid at the start is used all the same: without a guard nothing could be cancelled.
    `wrong`: why the files that lie there now are not in use; None while they are.
    """

    def __init__(self, cert: Path, key: Path, *, now: Callable[[], datetime] | None = None) -> None:
        self._cert, self._key = cert, key
        self._now = now or SystemClock().wall
        self.wrong: str | None = None
        self.context = _blank()
        self._seen = FileMarks(cert, key)
        self._span = self._read(self.context)

    @property
    def not_after(self) -> datetime:
        """When the one in use ends."""
        return self._span.ends

    def look(self) -> None:
        """Loads the files if they have changed, or could not be used so far (one may begin). Blocks for a moment."""
        if not self._seen.has_changed() and self.wrong is None:
            return
        before = self.wrong
        try:
            self._refuse_worse(self._read(_blank()))
            self._span = self._read(self.context)
        except SettingsFault as fault:
            self.wrong = fault.errors[0]
            if self.wrong != before:
                _log.error("certificate_refused", why=self.wrong, in_use_until=self.not_after.isoformat())
        else:
            self.wrong = None
            _log.info("certificate_loaded", until=self.not_after.isoformat())

    def concerns(self) -> tuple[str, ...]:
        """For the operator: the files on disk are not what is in use, or callers do not take what is."""
        invalid = self._span.invalid(self._now())
        if invalid:
            return (f"certificate: {self.wrong or f'listen.tls_cert: {self._cert} {invalid}'}; {_CUT_OFF}",)
        if self.wrong is None:
            return ()
        return (f"certificate: {self.wrong}; the old one is in use until {self.not_after:%Y-%m-%dT%H:%M:%SZ}",)

    def _refuse_worse(self, span: Span) -> None:
        now = self._now()
        why_not = span.invalid(now)
        if why_not and not self._span.invalid(now):
            raise SettingsFault([f"listen.tls_cert: {self._cert} {why_not}"])

    async def renew(self) -> None:
        """Looks once, in a thread."""
        await asyncio.to_thread(self.look)

    async def watch(self) -> None:
        """Looks for ever."""
        await every_half_minute(self.renew)

    def _read(self, context: ssl.SSLContext) -> Span:
        """The pair into the context; when its certificate is valid."""
        from cryptography import x509  # noqa: PLC0415 - 3 MB that only a guard with a certificate needs

        try:
            cert, _ = [read_newest(path, bytes_max=TEXT_BYTES_MAX) for path in (self._cert, self._key)]
            context.load_cert_chain(self._cert, self._key)
            own = x509.load_pem_x509_certificates(cert)[0]
            return Span(own.not_valid_before_utc, own.not_valid_after_utc)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            which = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
            message = f"listen.tls_cert: {self._cert} with {self._key} cannot be loaded: {why(error)}{which}"
            raise SettingsFault([message]) from error


def _blank() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def certificate_of(settings: Settings) -> Certificate | None:
    """The certificate that the settings name; None where callers come without TLS."""
    listen = settings.listen
    if listen.tls_cert is None or listen.tls_key is None:
        return None
    return Certificate(settings.path(listen.tls_cert), settings.path(listen.tls_key))
