"""The claims of a change of a live order, live and judged again: the ledger's order and the rules' word joined."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from guard.intent import order_of
from guard.limits import SHADOW, Holder, Worth
from guard.limits.state import KIND_OF
from guard.limits.sums import part
from guard.policy import counted_again
from guard.policy.changed import Changed, beside_fills, carried
from guard.policy.fills import Whole
from guard.policy.notation import EXACT
from guard.terms import Claim, Missing, PlaceOrder, Valuation

_ZERO: Final = Decimal(0)


def wholes(holder: Holder) -> dict[str, Whole]:
    """What the order claimed as a whole, cell by cell; the latest terms count."""
    found: dict[str, Whole] = {}
    for basis in holder.bases:
        worth = basis.worth
        for cell, amount in zip(basis.cells, basis.amounts, strict=True):
            found[cell] = _whole(amount, worth)
    return found


class Change:
    """A live order and what it shall be; of a new order, or where no order is meant, nothing becomes otherwise."""

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
        """What the changed order shall hold of what the order that it shall be would hold.

        One that comes back is one more order of the day.
        """
        holder, changed = self._holder, self._changed
        if holder is None or changed is None:
            return claims
        if self._comes_back:
            claims = counted_again(claims, lambda cell: part(holder, cell))
        return tuple(beside_fills(claim, changed) for claim in claims)

    def carried(self, named: Iterable[Claim], *, is_shadow: bool = False) -> tuple[Claim, ...]:
        """Claims on what the order stood on besides; of shadows' counters those, or all others."""
        holder, changed = self._holder, self._changed
        if holder is None or changed is None:
            return ()
        stood = {cell: whole for cell, whole in wholes(holder).items() if (SHADOW in cell) is is_shadow}
        kinds = {
            cell: KIND_OF[kind] for basis in holder.bases for cell, kind in zip(basis.cells, basis.kinds, strict=True)
        }
        return tuple(carried(stood, kinds, changed, named=frozenset(claim.counter for claim in named)))


def _changed(holder: Holder, order: PlaceOrder, worth: Valuation | Missing | None) -> Changed:
    """Where nothing wants the order valued now, it is worth what its price says, and no less a piece than before."""
    original, paid = order_of(holder.order), holder.fills.paid
    was = next((found for basis in reversed(holder.bases) if (found := basis.worth) is not None), None)
    was_price = _size(original.price) if was is None else Decimal(was.price)
    value: Decimal | None
    if isinstance(worth, Valuation):
        value, price, times = worth.value.amount, worth.price, worth.multiplier
    else:
        price, times = max(_size(order.price), was_price), Decimal(1 if was is None else was.multiplier)
        value = None if was is None else EXACT.multiply(EXACT.multiply(order.qty, price), times)
    if paid is None:  # nobody told what for: for the larger of what it was valued at and of what it would be now
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


def _whole(amount: int, worth: Worth | None) -> Whole:
    if worth is None:
        return Whole(amount)
    return Whole(amount, Decimal(worth.value), Decimal(worth.price), Decimal(worth.multiplier))
