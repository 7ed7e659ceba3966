"""Connections on which no key has been verified yet, by address: the oldest makes room for the newest. Pure.

Nobody knows whose a connection is before a key came over it, and all bots of a host share its loopback address. So an
address never runs out: beyond its bound the connection that has gone longest without proof is ended, and the new one
is read. One whose request is being answered, or over which a key was verified, is not among them.
"""

from typing import Generic, TypeVar

C = TypeVar("C")


class Unproven(Generic[C]):
    """The connections of each address, the longest unproven first; at most `each_max` of an address."""

    def __init__(self, each_max: int) -> None:
        self._each_max = each_max
        self._by_address: dict[str, dict[C, None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_address.values()))

    def enter(self, connection: C, *, address: str) -> C | None:
        """One more, the newest of its address; the connection that has to go for it, if there is one."""
        held = self._by_address.setdefault(address, {})
        held[connection] = None
        if len(held) <= self._each_max:
            return None
        oldest = next(iter(held))
        del held[oldest]
        return oldest

    def leave(self, connection: C, *, address: str) -> None:
        """It is being answered, is proven, or is gone."""
        held = self._by_address.get(address)
        if held is None:
            return
        held.pop(connection, None)
        if not held:
            del self._by_address[address]
