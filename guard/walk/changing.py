"""The claims of a change of a live order: what the ledger holds for it joined with what the rules claim for it.

Used by the walk and by a replay alike.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from guard.intent import order_of
from guard.limits import SHADOW, Holder, Worth
from guard.limits.state import KIND_OF, SUM_KINDS
from guard.limits.sums import part
from guard.policy import counted_again
from guard.policy.changed import Changed, beside_fills, carried
from guard.policy.fills import WholeClaim
from guard.policy.notation import EXACT
from guard.terms import Claim, Missing, PlaceOrder, Valuation

_ZERO: Final = Decimal(0)


def wholes(holder: Holder) -> dict[str, WholeClaim]:
    """What the order claimed when nothing of it was filled, cell by cell; by its latest terms."""
    found: dict[str, WholeClaim] = {}
    for basis in holder.bases:
        worth = basis.worth
        for cell, amount in zip(basis.cells, basis.amounts, strict=True):
            found[cell] = _whole(amount, worth)
    return found


class OrderChange:
    """A live order and what it shall become. Without a live order (a new one, say) claims pass through unchanged."""

    def __init__(
        self,
        holder: Holder | None,
        order: PlaceOrder | None,
        worth: Valuation | Missing | None,
        *,
        comes_back: bool = False,
    ) -> None:
        self._holder = holder
        self._comes_back = comes_back
        self._changed = None if holder is None or order is None else _changed(holder, order, worth)

    def claims(self, claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
        """The claims of the changed order, as targets of the live one: what is filled already stays paid for.

        An order that is enabled again counts as one more order of its day. Any other change may leave a counter where
        it is or lower it, wherever that stands: a cap that was lowered since keeps nobody from making an order smaller.
        """
        holder, changed = self._holder, self._changed
        if holder is None or changed is None:
            return claims
        if self._comes_back:
            claims = counted_again(claims, lambda cell: part(holder, cell))
            return tuple(beside_fills(claim, changed) for claim in claims)
        return tuple(_free_if_no_more(beside_fills(claim, changed), holder) for claim in claims)

    def carried(self, named: Iterable[Claim], *, is_shadow: bool = False) -> tuple[Claim, ...]:
        """Claims on cells that the order is on and `named` leaves out: those of shadows, or all others."""
        holder, changed = self._holder, self._changed
        if holder is None or changed is None:
            return ()
        stood = {cell: whole for cell, whole in wholes(holder).items() if (SHADOW in cell) is is_shadow}
        kinds = {
            cell: KIND_OF[kind] for basis in holder.bases for cell, kind in zip(basis.cells, basis.kinds, strict=True)
        }
        return tuple(carried(stood, kinds, changed, named=frozenset(claim.counter for claim in named)))


def _free_if_no_more(claim: Claim, holder: Holder) -> Claim:
    """Without its cap, if the order asks for no more on that counter than it holds there already."""
    if claim.cap is None or claim.kind not in SUM_KINDS or claim.amount + claim.unseen > part(holder, claim.counter):
        return claim
    return replace(claim, cap=None)


def _changed(holder: Holder, order: PlaceOrder, worth: Valuation | Missing | None) -> Changed:
    """The change in numbers. Without a valuation the order counts at its own price, at least at the old one."""
    original, paid = order_of(holder.order), holder.fills.paid
    was = next((found for basis in reversed(holder.bases) if (found := basis.worth) is not None), None)
    was_price = _size(original.price) if was is None else Decimal(was.price)
    value: Decimal | None
    if isinstance(worth, Valuation):
        value, price, times = worth.value.amount, worth.price, worth.multiplier
    else:
        price, times = max(_size(order.price), was_price), Decimal(1 if was is None else was.multiplier)
        value = None if was is None else EXACT.multiply(EXACT.multiply(order.qty, price), times)
    if paid is None:  # the price paid is not known: the larger of the two it may have been
        paid = EXACT.multiply(holder.filled, max(was_price, price))
    return Changed(
        qty=order.qty,
        value=value,
        was_qty=original.qty,
        was_unit=EXACT.multiply(was_price, times),
        filled=holder.filled,
        paid=EXACT.multiply(_size(paid), times),
    )


def _size(number: Decimal | None) -> Decimal:
    return _ZERO if number is None else number.copy_abs()


def _whole(amount: int, worth: Worth | None) -> WholeClaim:
    if worth is None:
        return WholeClaim(amount)
    return WholeClaim(amount, Decimal(worth.value), Decimal(worth.price), Decimal(worth.multiplier))
