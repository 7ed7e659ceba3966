"""Orders that only reduce a position: never a flip, and never more than what working exits leave of it.

A sell of what is held long, or a buy of what is held short, of at most the position less what other working orders on
the same side will still take off it. How much that is stands on a counter of its own, in quantity, which every order
holds uncapped: so it is known in the synchronous step, however many orders are open.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Final

from guard.policy.notation import EXACT, from_units, ledger_units
from guard.terms import Account, Claim, Missing, PlaceOrder, Position, Side

POSITION_AGE_MAX_MS: Final = 10_000
CELLS_MAX: Final = 16_384  # accounts, symbols and sides whose counter is at hand
_NONE: Final = Decimal(0)


def exits_claim(order: PlaceOrder, account: Account) -> Claim:
    """What the order, while it works, takes off a position on the other side: its quantity, uncapped."""
    return Claim("working", _cell(account, order.symbol, order.side), amount=ledger_units(order.qty))


@lru_cache(maxsize=CELLS_MAX)
def _cell(account: Account, symbol: str, side: Side) -> str:
    return f"exits/account={account.env.word}:{account.acc_id}|{symbol}|{side.name}"


def exits_of(used: int) -> Decimal:
    """What stands on the counter of `exits_claim`, as a quantity."""
    return from_units(used)


def reducible(order: PlaceOrder, position: Position | Missing | None, *, exits: Decimal) -> Decimal:
    """The largest quantity with which an order of this symbol and side only makes the position smaller, else 0.

    `exits`: what other working orders on its side will take off it. A position that is not known, is old, is flat or
    lies on the order's own side cannot be reduced.
    """
    if not isinstance(position, Position) or position.age_ms > POSITION_AGE_MAX_MS or position.symbol != order.symbol:
        return _NONE
    held = {Side.SELL: position.qty, Side.BUY: position.qty.copy_negate()}.get(order.side, _NONE)
    return max(_NONE, EXACT.subtract(held, exits))  # in this order: of a flat position's -0 and 0 the first is taken
