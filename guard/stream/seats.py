"""How many sockets there are, in their handshake or open, by key and in all, within bounds."""

from collections.abc import Hashable
from typing import Final

from guard.codes import Code
from guard.stream.bounds import StreamBounds
from guard.terms import Refusal, refuse

NOBODY: Final = ""


class Seats:
    """Who counts, by the name of its key; nobody's sockets share the name `NOBODY`."""

    def __init__(self, bounds: StreamBounds) -> None:
        self._bounds = bounds
        self._names: dict[Hashable, str] = {}
        self._counts: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._names)

    @property
    def has_keys(self) -> bool:
        """At least one of them has a key, and is fed by the daemon's stream."""
        return len(self._names) > self._counts.get(NOBODY, 0)

    def take(self, socket: Hashable, name: str) -> Refusal | None:
        """Counts it from here on; or says why there is no room for it."""
        if self._counts.get(name, 0) >= self._bounds.sockets_per_key_max:
            message = f"a key has at most {self._bounds.sockets_per_key_max} open sockets; close one first"
            return refuse(Code.OVERLOADED, message, rule="sockets_per_key_max")
        if len(self._names) >= self._bounds.sockets_max:
            return refuse(Code.OVERLOADED, "the guard has as many open sockets as it may; try again")
        self._names[socket] = name
        self._counts[name] = self._counts.get(name, 0) + 1
        return None

    def leave(self, socket: Hashable) -> str | None:
        """It no longer counts; returns the name of its key if it was the key's last."""
        name = self._names.pop(socket, None)
        if name is None:
            return None
        self._counts[name] -= 1
        if self._counts[name]:
            return None
        del self._counts[name]
        return name
