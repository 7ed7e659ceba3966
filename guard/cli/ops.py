"""How commands talk to a running guard: one request to a listener of it, over TCP, TLS or a unix socket.

The caller's key comes from `GUARD_KEY`, never from the command line, where other users of the machine could read it.
Where the settings name a certificate, what answers must show that certificate before it is sent the key: a command runs
beside its guard, and the name in a certificate is seldom the address that it is asked at. `https://host:port` asks a
guard elsewhere, whose certificate must hold for that name by an authority that the system trusts (`SSL_CERT_FILE`).
"""

import contextlib
import http.client
import os
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import typer
from msgspec import Struct

from guard.cli.sources import settings_of
from guard.errors import SettingsFault
from guard.settings import Settings, address
from guard.wholefile import read_text, why

TIMEOUT_S: Final = 150.0  # a reload may read days of the record back, for what its new limits count
ANSWER_BYTES_MAX: Final = 1 << 20
_TLS: Final = "https://"
_PLAIN: Final = "http://"
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
_RENEWED: Final = (
    "a new one is in use half a minute after it was put there, or at once with SIGHUP, and not before its key lies "
    "there too, nor while it is not valid and the old one is (see /readyz); SIGHUP reloads keys and policies as well"
)
_LOOK: Final = "is it running, and there? ({} host:port, https://host:port or unix:PATH; --config names both)"
_NO_TLS: Final = "WRONG_VERSION_NUMBER"  # what OpenSSL makes of an answer in plain text
_MAY_BE_TLS: Final = "; it may speak TLS: write https://host:port, or --config with the certificate"
_SCOPES: Final = {
    "/admin/policy": "guard:policy",
    "/admin/keys": "guard:policy",
    "/admin/decisions": "guard:operate",
}


class NotSent(SettingsFault):
    """There was no guard to connect to, so nothing was asked of it."""


class ListenerAddress(Struct, frozen=True):
    """A listener of a guard.

    Attributes:
        place: host:port, https://host:port, or unix:PATH.
        certificate: the file whose first certificate must answer; None: none is asked for, but with https://.
        flag: by which it is named.
    """

    place: str
    certificate: Path | None = None
    flag: str = "--ops"

    @property
    def is_plain(self) -> bool:
        """It is asked over TCP without TLS."""
        return self.certificate is None and not self.place.startswith((_TLS, "unix:"))

    def beside(self, place: str) -> "ListenerAddress":
        """Another listener of the same guard: where one speaks TLS, the other does."""
        return ListenerAddress(f"{_TLS}{place}" if self.place.startswith(_TLS) else place, self.certificate, self.flag)


def ops_door(ops: str | None, config: Path | None) -> ListenerAddress:
    """The operator's door: as it was given, else as the settings have it."""
    settings = _settings(config, is_needed=ops is None)
    return ListenerAddress(_place(ops or settings.listen.ops), _certificate(settings))


def data_door(data: str | None, config: Path | None) -> ListenerAddress:
    """The callers' door, likewise."""
    settings = _settings(config, is_needed=data is None)
    return ListenerAddress(_place(data or settings.listen.data), _certificate(settings), "--data")


def _place(given: str) -> str:
    """An address as people paste it: `http://` before it says nothing more, and a slash behind it neither."""
    return given if given.startswith("unix:") else given.removeprefix(_PLAIN).removesuffix("/")


def _settings(config: Path | None, *, is_needed: bool) -> Settings:
    """Settings that are wrong keep nobody from a guard whose place was given."""
    try:
        return settings_of(config)
    except SettingsFault:
        if is_needed:
            raise
        return Settings()


def _certificate(settings: Settings) -> Path | None:
    return settings.path(settings.listen.tls_cert) if settings.listen.tls_cert else None


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_s)
        self.sock.connect(self._path)


class _OwnConnection(http.client.HTTPSConnection):
    """HTTPS to whoever shows this very certificate."""

    def __init__(self, host: str, port: int, *, certificate: Path, timeout_s: float) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # compared below instead
        super().__init__(host, port, timeout=timeout_s, context=context)
        self._certificate = certificate

    def connect(self) -> None:
        wanted = _first_of(self._certificate)
        super().connect()
        if self.sock.getpeercert(binary_form=True) != wanted:
            self.close()
            raise OSError(f"shows another certificate than {self._certificate}; {_RENEWED}")


def _first_of(path: Path) -> bytes:
    """The certificate of a chain that is the listener's own, as it is shown."""
    _, begin, rest = read_text(path).partition(_BEGIN)
    try:
        return ssl.PEM_cert_to_DER_cert(begin + rest[: rest.index(_END)] + _END)
    except ValueError as error:
        raise OSError(f"{path}: holds no certificate") from error


def _connection(door: ListenerAddress, timeout_s: float) -> http.client.HTTPConnection:
    place = address(door.place.removeprefix(_TLS))
    if isinstance(place, str):
        return _UnixConnection(place, timeout_s)
    if door.place.startswith(_TLS):
        return http.client.HTTPSConnection(*place, timeout=timeout_s)
    if door.certificate is not None:
        return _OwnConnection(*place, certificate=door.certificate, timeout_s=timeout_s)
    return http.client.HTTPConnection(*place, timeout=timeout_s)


def post(ops: ListenerAddress, path: str, body: Mapping[str, Any]) -> tuple[int, bytes]:
    """The status and the body of the guard's answer. Raises SettingsFault where there is no key or no answer."""
    return ask("POST", ops, path, body=msgspec.json.encode(body))


def ask(
    method: str, door: ListenerAddress, path: str, *, body: bytes | None = None, timeout_s: float = TIMEOUT_S
) -> tuple[int, bytes]:
    """The same for any method and listener."""
    key = os.environ.get("GUARD_KEY", "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:  # a library that refuses it would print it
        raise SettingsFault(["GUARD_KEY: must hold one key and nothing else"])
    if not key:
        scope = next((scope for route, scope in _SCOPES.items() if path.startswith(route)), None)
        wanted = "the key that is asked about" if scope is None else f"a key with the scope {scope} and an owner"
        raise SettingsFault([f"GUARD_KEY: set it to {wanted}"])
    try:
        with contextlib.closing(_connection(door, timeout_s)) as connection:
            try:
                connection.connect()
            except OSError as error:
                what = "no TLS is spoken there" if getattr(error, "reason", "") == _NO_TLS else why(error)
                raise NotSent(
                    [f"{door.place}: the guard could not be asked: {what}; {_LOOK.format(door.flag)}"]
                ) from error
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            told = answer.status, answer.read(ANSWER_BYTES_MAX)
    except (OSError, ValueError, http.client.HTTPException) as error:
        hint = _MAY_BE_TLS if _was_cut_off(error) and door.is_plain else ""
        raise SettingsFault(
            [f"{door.place}: the guard could not be asked: {why(error)}{hint}; {_LOOK.format(door.flag)}"]
        ) from error
    if told[0] == http.HTTPStatus.UNAUTHORIZED:
        typer.echo(f"guard: GUARD_KEY holds no key that the guard at {door.place} takes: guard keys list", err=True)
    if told[0] == http.HTTPStatus.NOT_FOUND:
        doors = "listen.ops: the operators' door" if door.flag == "--ops" else "listen.data: the callers' door"
        typer.echo(
            f"guard: what answers at {door.place} has no {path}; {door.flag} is the address of {doors}", err=True
        )
    return told


def _was_cut_off(error: Exception) -> bool:
    """A listener that speaks TLS ends what does not begin with it, without a word or with an alert."""
    return isinstance(error, ConnectionError | http.client.BadStatusLine)


def members(answer: bytes) -> dict[str, Any]:
    """Of the guard's answer; none where something else answered."""
    try:
        return msgspec.json.decode(answer, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
