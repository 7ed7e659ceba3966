"""The port to `guard.tracking`, which reads the daemon's order lists: what the walk may ask of it."""

from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from guard.terms import Account, PlaceOrder


class Disabled(Struct, frozen=True):
    """The terms that the daemon's list shows of a disabled order; all None where it shows the order as working."""

    qty: Decimal | None = None
    price: Decimal | None = None
    aux_price: Decimal | None = None
    trail_value: Decimal | None = None
    trail_spread: Decimal | None = None

    def is_as(self, order: PlaceOrder) -> bool:
        """Every term that is shown equals the order's."""
        pairs = (
            (self.qty, order.qty),
            (self.price, order.price),
            (self.aux_price, order.aux_price),
            (self.trail_value, order.trail_value),
            (self.trail_spread, order.trail_spread),
        )
        return all(shown == known for shown, known in pairs if shown and known is not None)


class OrderLists(Protocol):
    """The part that reads the daemon's order lists."""

    async def refresh(self, account: Account, *, trd_market: int, jp_acc_type: int | None) -> None:
        """Asks for this list now and learns from it; gives up after a moment."""
        ...

    def refresh_soon(self, account: Account) -> None:
        """Something happened on this account: its lists are asked for as soon as the pace allows."""
        ...

    def disabled(self, name: str) -> Disabled | None:
        """How the latest list shows a live order; None where no recent list has shown it."""
        ...

    def is_unseen(self, name: str) -> bool:
        """The live order was accepted more than a day ago, and no list has shown it."""
        ...


class NoOrderLists:
    """Reads no lists, so nothing is known of them."""

    async def refresh(self, account: Account, *, trd_market: int, jp_acc_type: int | None) -> None:
        """Nothing is asked."""

    def refresh_soon(self, account: Account) -> None:
        """Nothing is asked."""

    def disabled(self, name: str) -> Disabled | None:  # noqa: ARG002 - the port's shape
        """Nothing is known."""
        return None

    def is_unseen(self, name: str) -> bool:  # noqa: ARG002 - the port's shape
        """Nothing is known."""
        return False
