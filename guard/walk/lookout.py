"""What the walk may ask of whoever looks at the daemon's order lists (`guard.tracking`)."""

from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from guard.terms import Account, PlaceOrder


class Disabled(Struct, frozen=True):
    """What a list of the daemon's shows of a live order that is disabled; nothing, where it shows it as working."""

    qty: Decimal | None = None
    price: Decimal | None = None
    aux_price: Decimal | None = None
    trail_value: Decimal | None = None
    trail_spread: Decimal | None = None

    def is_as(self, order: PlaceOrder) -> bool:
        """Nothing that is shown is otherwise than the order says."""
        pairs = (
            (self.qty, order.qty),
            (self.price, order.price),
            (self.aux_price, order.aux_price),
            (self.trail_value, order.trail_value),
            (self.trail_spread, order.trail_spread),
        )
        return all(shown == known for shown, known in pairs if shown and known is not None)


class Lookout(Protocol):
    """Who looks at the daemon's order lists."""

    async def look(self, account: Account, *, trd_market: int, jp_acc_type: int | None = None) -> None:
        """Has this list asked for out of turn, and learned from, as far as that can be had in a moment."""
        ...

    def poke(self, account: Account) -> None:
        """Something happened on this account: its lists are asked as soon as the pace allows."""
        ...

    def disabled(self, name: str) -> Disabled | None:
        """How the daemon shows a live order that may be disabled; None where no list of late has shown it."""
        ...


class Blind:
    """Nobody looks: what hangs on a list is not known."""

    async def look(self, account: Account, *, trd_market: int, jp_acc_type: int | None = None) -> None:
        """Nothing is asked."""

    def poke(self, account: Account) -> None:
        """Nothing is asked."""

    def disabled(self, name: str) -> Disabled | None:  # noqa: ARG002 - the port's shape
        """Nothing is known."""
        return None
