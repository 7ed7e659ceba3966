"""The request as it goes to the daemon: every byte of the head is ours.

The target is the request's own path constant; nothing of a caller's head is copied but a well-formed `traceparent`.
No cookies, no caller's credentials: `Authorization` is the guard's key for the daemon, or the public one, or absent.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from guard.errors import SettingsFault
from guard.terms import TRACEPARENT, Outbound

BEGINNINGS_MAX: Final = 512  # targets whose first bytes are kept
_PATH: Final = re.compile(r"/[A-Za-z0-9/_-]{1,127}")
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")
_IDEMPOTENCY_KEY: Final = re.compile(r"[!-~]{1,255}")


class Heads:
    """Writes requests for one daemon. `keys` maps `Outbound.lend` to the daemon key that goes along."""

    def __init__(self, authority: str, *, key: str | None, public_key: str | None) -> None:
        lent = {"guard": key, "public": public_key}
        if bad := [name for name, text in lent.items() if text is not None and not _TOKEN.fullmatch(text)]:
            raise SettingsFault(
                [f"the {name} key for the daemon must be printable ASCII without blanks" for name in bad]
            )
        self._fixed = f" HTTP/1.1\r\nHost: {authority}\r\nAccept: application/json\r\n"
        self._authorization: Mapping[str, str] = {
            name: f"Authorization: Bearer {text}\r\n" for name, text in lent.items() if text is not None
        }
        self._beginning = lru_cache(maxsize=BEGINNINGS_MAX)(self._begun)

    def _begun(self, method: str, path: str, lend: str) -> bytes:
        """The start of every request to this target."""
        if not _PATH.fullmatch(path):
            raise AssertionError("the target must be a constant of the catalogue")
        return f"{method} {path}{self._fixed}{self._authorization.get(lend, '')}".encode("ascii")

    def render(self, request: Outbound) -> bytes:
        """The request's bytes. A path, key or body that cannot be ours is a bug."""
        head = self._beginning(request.method, request.path, request.lend)
        if request.idempotency_key is not None:
            if not _IDEMPOTENCY_KEY.fullmatch(request.idempotency_key):
                raise AssertionError("the Idempotency-Key must be one of the guard's own")
            head += b"Idempotency-Key: %b\r\n" % request.idempotency_key.encode("ascii")
        if request.traceparent is not None and TRACEPARENT.fullmatch(request.traceparent):
            head += b"traceparent: %b\r\n" % request.traceparent.encode("ascii")
        body = request.body or b""
        if request.method == "POST":
            return b"%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
        if body:
            raise AssertionError("a GET carries no body")
        return head + b"\r\n"
