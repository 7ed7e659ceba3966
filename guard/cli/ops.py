"""How commands talk to a running guard: one request to the ops listener, over TCP or a unix socket.

The caller's key comes from `GUARD_KEY`, never from the command line, where other users of the machine could read it.
"""

import contextlib
import http.client
import os
import socket
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from guard.errors import SettingsFault
from guard.settings import address

TIMEOUT_S: Final = 150.0  # a reload may read days of the record back, for what its new limits count
ANSWER_BYTES_MAX: Final = 1 << 20
_SCOPES: Final = {
    "/admin/policy": "guard:policy",
    "/admin/keys": "guard:policy",
    "/admin/decisions": "guard:operate",
}


class NotSent(SettingsFault):
    """There was no guard to connect to, so nothing was asked of it."""


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


def _connection(place: tuple[str, int] | str, timeout_s: float) -> http.client.HTTPConnection:
    if isinstance(place, str):
        return _UnixConnection(place, timeout_s)
    return http.client.HTTPConnection(*place, timeout=timeout_s)


def post(ops: str, path: str, body: Mapping[str, Any]) -> tuple[int, bytes]:
    """The status and the body of the guard's answer. Raises SettingsFault where there is no key or no answer."""
    return ask("POST", ops, path, msgspec.json.encode(body))


def ask(
    method: str, place: str, path: str, body: bytes | None = None, *, timeout_s: float = TIMEOUT_S
) -> tuple[int, bytes]:
    """The same for any method and listener."""
    key = os.environ.get("GUARD_KEY", "")
    if not key:
        scope = next((scope for route, scope in _SCOPES.items() if path.startswith(route)), None)
        wanted = "the key that is asked about" if scope is None else f"a key with the scope {scope} and an owner"
        raise SettingsFault([f"GUARD_KEY: set it to {wanted}"])
    try:
        with contextlib.closing(_connection(address(place), timeout_s)) as connection:
            try:
                connection.connect()
            except OSError as error:
                raise NotSent([f"{place}: the guard could not be asked: {error}"]) from error
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(ANSWER_BYTES_MAX)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise SettingsFault([f"{place}: the guard could not be asked: {error}"]) from error
