"""What a change of a live order claims, beyond what the rules say of the order as it shall be.

The rules see a whole order at its new price. What is filled of it was paid for, at another price perhaps, and no change
takes that back:

| cell | the order shall hold |
|---|---|
| daily value, day order | what was paid, and what may still be filled at the new price |
| daily value, good till cancelled | what may still be filled: what was paid stands in the period of the fill |
| open value, exits | what may still be filled |

How much is filled is known as far as the last list showed it. Of what was open then some may be filled by now at the
price before: where the new one is lower, the day's money for that stays held until a list has shown what is so.

And counters on which it stood before, which no rule asks for at present (another key changes it, other policies are in
force), go with it, uncapped and in proportion: what it may cost is the same money, whoever looks at it. Pure.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.policy.cells import is_gtc
from guard.policy.fills import BY_QUANTITY, BY_VALUE, OPEN, WholeClaim
from guard.policy.notation import ledger_units
from guard.terms import Claim, ClaimKind

_NONE: Final = Fraction(0)
_ZERO: Final = Decimal(0)


class Changed(Struct, frozen=True):
    """A live order and what it shall be: its quantity, and its value, None where nothing wanted it valued.

    `was_qty` and `was_unit`: its quantity before, and what one of it was valued at. `filled` of it is, for `paid` in
    its currency, as far as anybody has told.
    """

    qty: Decimal
    value: Decimal | None
    was_qty: Decimal
    was_unit: Decimal = _ZERO
    filled: Decimal = _ZERO
    paid: Decimal = _ZERO

    @property
    def rest(self) -> Fraction:
        """The share that may still be filled."""
        return max(1 - Fraction(self.filled) / Fraction(self.qty), _NONE) if self.qty else _NONE

    @property
    def spent(self) -> Fraction:
        """What was paid, as a share of the value that the whole order is to have."""
        return Fraction(self.paid) / Fraction(self.value) if self.value else 1 - self.rest

    @property
    def unseen(self) -> Fraction:
        """What fills at its price before may have cost more than they would at the new one; a share likewise."""
        if not self.value or not self.qty:
            return _NONE
        open_qty = max(min(self.qty, self.was_qty) - self.filled, _ZERO)
        dearer = Fraction(self.was_unit) - Fraction(self.value) / Fraction(self.qty)
        return Fraction(open_qty) * max(dearer, _NONE) / Fraction(self.value)


def beside_fills(claim: Claim, changed: Changed) -> Claim:
    """The claim of the order as it shall be, as the order shall hold it with what is filled already.

    What may be filled unseen stays held, and where the order becomes larger it has to fit as well.
    """
    word, whole, unseen = claim.counter.partition("/")[0], claim.amount, 0
    if word in BY_QUANTITY:
        amount = ledger_units(max(changed.qty - changed.filled, _ZERO))
    elif word == OPEN:
        amount = ceil(whole * changed.rest)
    elif word in BY_VALUE:
        unseen = ceil(whole * changed.unseen)
        amount = ceil(whole * (changed.rest if is_gtc(claim.counter) else changed.rest + changed.spent))
    else:
        return claim
    if changed.qty > changed.was_qty:
        amount, unseen = amount + unseen, 0
    if amount == whole and not unseen:
        return claim
    return replace(claim, amount=amount, unseen=unseen, whole=None if amount == whole else whole)


def carried(
    wholes: Mapping[str, WholeClaim], kinds: Mapping[str, ClaimKind], changed: Changed, *, named: frozenset[str]
) -> Iterator[Claim]:
    """Claims on counters of value that the order stood on, and that none of the `named` ones is or takes the place of.

    A day order that is changed on a later day stands in that one from then on.
    """
    measured = {_measure(counter) for counter in named}
    for cell, whole in wholes.items():
        if cell.partition("/")[0] not in BY_VALUE or _measure(cell) in measured:
            continue
        amount = ceil(Fraction(whole.amount) * _times(whole, changed))
        yield beside_fills(Claim(kinds[cell], cell, amount=amount), changed)


def _measure(cell: str) -> tuple[str, str]:
    """What the cell measures, whatever day it is of."""
    if cell.partition("/")[0] == OPEN:
        return cell, ""
    name, _, period = cell.rpartition("|")
    return name, period.partition("@")[2]


def _times(whole: WholeClaim, changed: Changed) -> Fraction:
    """By how much the order becomes larger; where that is not known, no smaller than it was."""
    if changed.value and whole.value:
        return Fraction(changed.value) / Fraction(whole.value)
    return max(Fraction(changed.qty) / Fraction(changed.was_qty), Fraction(1)) if changed.was_qty else Fraction(1)
