"""Connections on which no key has been verified yet, by address: the oldest makes room for the newest. Pure.

Nobody knows whose a connection is before a key came over it, and all bots of a host share its loopback address. So an
address never runs out: beyond its bound the connection that has gone longest without proof is ended, and the new one
is read. One whose request is being answered, or over which a key was verified, is not among them; one whose refusal
waits to be told is.
"""

from typing import Generic, TypeVar

C = TypeVar("C")


class Unproven(Generic[C]):
    """The connections of each address, the longest unproven first; at most `each_max` of an address."""

    def __init__(self, each_max: int) -> None:
        self._each_max = each_max
        self._by_address: dict[str, dict[C, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, connection: C, *, address: str) -> C | None:
        """Adds the newest of its address; returns the connection that has to go for it, if any."""
        held = self._by_address.setdefault(address, {})
        if connection not in held:
            held[connection] = None
            self._count += 1
        return None if len(held) <= self._each_max else self._take_oldest(address)

    def take_one(self) -> C | None:
        """Removes and returns the oldest of the address that has most of them; None if there are none."""
        if not self._by_address:
            return None
        return self._take_oldest(max(self._by_address, key=lambda one: len(self._by_address[one])))

    def _take_oldest(self, address: str) -> C:
        oldest = next(iter(self._by_address[address]))
        self.leave(oldest, address=address)
        return oldest

    def leave(self, connection: C, *, address: str) -> None:
        """It is being answered, is proven, or is gone."""
        held = self._by_address.get(address)
        if held is None or connection not in held:
            return
        del held[connection]
        self._count -= 1
        if not held:
            del self._by_address[address]
