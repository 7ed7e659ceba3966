"""What an order still holds once something was learned of its fills: absolute amounts, cell by cell.

| cell | while it works | while it is disabled | once it has ended |
|---|---|---|---|
| daily value, day order | filled value + rest | filled value | filled value |
| daily value, good till cancelled | the rest; filled value in the period of the fill | 0; there | 0; there |
| orders of the day | 1 | 1 | 1 |
| open value, exits | the rest | 0 | the ledger frees them |
| open orders | 1 | 0 | the ledger frees it |

Cumulative quantities and absolute amounts: the same fill told twice, or late, changes nothing. The truth is charged,
also where a fill was dearer than the order was valued at; no exchange rate is needed for that, since an amount keeps
its proportion to the order's value. Rounded up. Pure.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Final

from msgspec import Struct

from guard.policy.cells import budget_of, fill_cell, is_gtc
from guard.terms import LEDGER_UNIT

OPEN: Final = "open_value"
BY_VALUE: Final = frozenset({"daily_value", OPEN})
BY_QUANTITY: Final = frozenset({"exits"})
_BY_NUMBER: Final = frozenset({"open_orders"})
_ONE: Final = Fraction(1)


class WholeClaim(Struct, frozen=True):
    """What a cell held for the whole order, none of it filled: its amount, and the value that it was made from.

    `value` is quantity x `price` x `multiplier`; None where the order was not valued.
    """

    amount: int
    value: Decimal | None = None
    price: Decimal = Decimal(0)
    multiplier: Decimal = Decimal(1)


class FillProgress(Struct, frozen=True):
    """How far an order has come. `price` is its limit as the daemon lists it, `average` that of its fills.

    `at`: when the last fill happened, as far as it is known. `is_over`: nothing more can be filled. `is_resting`:
    nothing can be filled until somebody enables the order again. `accepted`: the quantity that the daemon accepted
    last, where that is known; else each cell goes by the quantity that it was claimed for.
    """

    qty: Decimal
    filled: Decimal
    at: datetime
    price: Decimal | None = None
    average: Decimal | Fraction | None = None
    is_over: bool = False
    is_resting: bool = False
    accepted: Fraction | None = None

    @property
    def rests(self) -> bool:
        """Nothing can be filled now."""
        return self.is_over or self.is_resting


def targets(
    wholes: Mapping[str, WholeClaim], held: Mapping[str, int], progress: FillProgress, *, market: str
) -> dict[str, int]:
    """What the order shall hold, for each cell where that is not what it holds already.

    `held`: what it holds now, on these and on other cells. Cells of which nothing is known here stay.
    """
    found: dict[str, int] = {}
    for cell, whole in wholes.items():
        word = cell.partition("/")[0]
        if word in BY_QUANTITY:
            found[cell] = 0 if progress.rests else ceil(_rest(progress, accepted=progress.accepted) * LEDGER_UNIT)
        elif word in _BY_NUMBER and not progress.is_over:
            found[cell] = 0 if progress.is_resting else whole.amount
        elif word in BY_VALUE:
            found |= _charged(cell, _parts(whole, progress), held=held, market=market, at=progress.at)
    return {cell: amount for cell, amount in found.items() if amount != held.get(cell, 0)}


def vanished(held: Mapping[str, int], *, market: str, at: datetime) -> dict[str, int]:
    """Nobody knows what became of the order: what it held beyond any day counts as filled at `at`, and not for ever."""
    found: dict[str, int] = {}
    for cell, amount in held.items():
        if amount and cell.partition("/")[0] in BY_VALUE and is_gtc(cell):
            period = fill_cell(cell, market=market, wall=at)
            found |= {cell: 0, period: held.get(period, 0) + amount}
    return found


def _parts(whole: WholeClaim, progress: FillProgress) -> tuple[Fraction, Fraction]:
    """The shares of the cell's amount that are filled, and that may still be filled."""
    if not whole.value or whole.price <= 0:
        filled = Fraction(progress.filled) / Fraction(progress.qty) if progress.qty else _ONE
        rest = Fraction(0) if progress.rests else max(_ONE - filled, Fraction(0))
        return filled * whole.amount, rest * whole.amount
    unit = Fraction(whole.multiplier) / Fraction(whole.value)
    valued = max(whole.price, abs(progress.price or whole.price))
    average = abs(Fraction(valued if progress.average is None else progress.average))
    spent = Fraction(progress.filled) * average * unit
    if progress.rests:
        return spent * whole.amount, Fraction(0)
    accepted = _ONE / (unit * Fraction(whole.price)) if progress.accepted is None else progress.accepted
    rest = _rest(progress, accepted=accepted) * Fraction(valued) * unit
    return spent * whole.amount, rest * whole.amount


def _rest(progress: FillProgress, *, accepted: Fraction | None) -> Fraction:
    """What may still be filled: of the larger quantity, since the list may be behind what was accepted last."""
    qty = Fraction(progress.qty)
    return max((qty if accepted is None else max(qty, accepted)) - Fraction(progress.filled), Fraction(0))


def _charged(
    cell: str, parts: tuple[Fraction, Fraction], *, held: Mapping[str, int], market: str, at: datetime
) -> dict[str, int]:
    spent, rest = parts
    if cell.partition("/")[0] == OPEN:
        return {cell: ceil(rest)}
    period = fill_cell(cell, market=market, wall=at)
    if period == cell:
        return {cell: ceil(spent + rest)}
    # Good till cancelled: what earlier periods were charged stays there, this one gets the difference.
    budget = budget_of(cell)
    earlier = sum(n for other, n in held.items() if other not in {cell, period} and budget_of(other) == budget)
    return {cell: ceil(rest), period: max(ceil(spent) - earlier, 0)}
