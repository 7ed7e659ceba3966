"""Tickets: a key's word for one handshake, for callers that cannot send a header with it, such as pages in a browser.

A ticket is short-lived and good for one use: redeeming removes it in the same step, so two handshakes with one ticket
cannot both get in, and a URL that ends up in a log opens nothing. It stands for the caller who asked for it, with no
more rights and no longer: the key is checked again when it is redeemed. Only digests are held. Pure; the secret and the
time are arguments.
"""

import hashlib
from typing import Final

from msgspec import Struct

from guard.terms import Principal

PREFIX: Final = "wst_"
LIFE_US: Final = 30_000_000
PER_KEY_MAX: Final = 16
TICKETS_MAX: Final = 4096


class _Ticket(Struct, frozen=True):
    principal: Principal
    ends_us: int


class Wait(Struct, frozen=True):
    """There are as many tickets as there may be; the next is free at `until_us`."""

    until_us: int


class Tickets:
    """The tickets that are neither used nor over."""

    def __init__(self) -> None:
        self._live: dict[bytes, _Ticket] = {}  # in the order of their end
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._live)

    def issue(self, principal: Principal, secret: str, *, now_us: int) -> str | Wait:
        """A ticket of this caller's, made of a secret that nobody can guess."""
        self._forget(now_us)
        if self._counts.get(principal.name, 0) >= PER_KEY_MAX:
            own = (ticket.ends_us for ticket in self._live.values() if ticket.principal.name == principal.name)
            return Wait(min(own))
        if len(self._live) >= TICKETS_MAX:
            return Wait(next(iter(self._live.values())).ends_us)
        text = PREFIX + secret
        self._live[_digest(text)] = _Ticket(principal, now_us + LIFE_US)
        self._counts[principal.name] = self._counts.get(principal.name, 0) + 1
        return text

    def redeem(self, text: str, *, now_us: int) -> Principal | None:
        """Removes the ticket and returns its caller; None if it is unknown, used or over."""
        if not text.startswith(PREFIX):
            return None
        self._forget(now_us)
        ticket = self._take(_digest(text))
        return None if ticket is None else ticket.principal

    def _take(self, digest: bytes) -> _Ticket | None:
        ticket = self._live.pop(digest, None)
        if ticket is not None:
            name = ticket.principal.name
            self._counts[name] -= 1
            if not self._counts[name]:
                del self._counts[name]
        return ticket

    def _forget(self, now_us: int) -> None:
        """Lets go of what has ended; tickets live equally long, so the oldest end first."""
        ended = []
        for digest, ticket in self._live.items():
            if ticket.ends_us > now_us:
                break
            ended.append(digest)
        for digest in ended:
            self._take(digest)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
