"""Positions: what an account holds of each symbol, signed. Pure.

Source: Trd_GetPositionList. The list is believed whole or not at all, for what it does not name is held to be flat. A
symbol whose row contradicts itself is unknown, never flat.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from guard.markets import CURRENCIES, PREFIX_OF_SEC, split_symbol
from guard.reference.envelope import code_of, inner, number, positive, whole
from guard.terms import Account

POSITIONS_MAX: Final = 10_000

_LONG: Final = 0  # Trd_Common.PositionSide
_SHORT: Final = 1
# What was paid, and what was paid less what was won: the daemon's versions tell different ones, some below zero.
_COSTS: Final = ("average_cost_price", "cost_price", "diluted_cost_price")


class Holdings(Struct, frozen=True):
    """Signed quantities by symbol, None where they cannot be told; `unplaced` are codes of no known market.

    `prices`: at which what is held is shown now, `costs`: at which it was come by; the highest where there are several.
    """

    quantities: Mapping[str, Decimal | None]
    currencies: Mapping[str, str]
    prices: Mapping[str, Decimal]
    costs: Mapping[str, Decimal] = {}
    unplaced: frozenset[str] = frozenset()

    def of(self, symbol: str) -> Decimal | None:
        """What is held of a symbol: nothing unless it is listed, None where nobody can say."""
        if split_symbol(symbol)[1] in self.unplaced:
            return None
        return self.quantities.get(symbol, Decimal(0))


def parse_positions(s2c: Mapping[str, Any], *, account: Account) -> Holdings | None:
    """The positions of this account; None where any of the answer cannot be believed, or it is of another account."""
    listed = s2c.get("position_list", [])
    if not isinstance(listed, list | None) or len(listed or ()) > POSITIONS_MAX or not _is_of(s2c, account):
        return None
    quantities: dict[str, Decimal | None] = {}
    currencies: dict[str, str] = {}
    prices: dict[str, Decimal] = {}
    costs: dict[str, Decimal] = {}
    unplaced: set[str] = set()
    for row in listed or ():
        code = code_of(row.get("code")) if isinstance(row, dict) else None
        if code is None:
            return None
        symbol = _symbol(row, code)
        if symbol is None:
            unplaced.add(code)
            continue
        quantities[symbol] = _sum(quantities.get(symbol, Decimal(0)), _signed(row))
        currency = CURRENCIES.get(whole(row.get("currency")) or 0)
        if currency:
            currencies[symbol] = currency
        _raise(prices, symbol, positive(row.get("price")))
        for name in _COSTS:
            _raise(costs, symbol, positive(row.get(name)))
    return Holdings(quantities, currencies, prices, costs, frozenset(unplaced))


def _raise(prices: dict[str, Decimal], symbol: str, price: Decimal | None) -> None:
    if price is not None:
        prices[symbol] = max(price, prices.get(symbol, price))


def _is_of(s2c: Mapping[str, Any], account: Account) -> bool:
    """The answer's own header does not name another account; ids may be digits in a text."""
    header = inner(s2c, "header")
    acc_id, env = header.get("acc_id"), header.get("trd_env")
    is_same_id = acc_id is None or acc_id == account.acc_id or acc_id == str(account.acc_id)
    return is_same_id and (env is None or env == int(account.env))


def _symbol(row: Mapping[str, Any], code: str) -> str | None:
    if split_symbol(code)[0] not in {"", "CN"}:
        return code
    prefix = PREFIX_OF_SEC.get(whole(row.get("sec_market")) or 0)
    return f"{prefix}.{code}" if prefix else None


def _signed(row: Mapping[str, Any]) -> Decimal | None:
    """Long is positive, short negative however the daemon signs it; a long position below zero is nonsense."""
    qty, side = number(row.get("qty")), whole(row.get("position_side"))
    if qty is None or side not in {_LONG, _SHORT} or (side == _LONG and qty < 0):
        return None
    return qty if side == _LONG else -abs(qty)


def _sum(first: Decimal | None, second: Decimal | None) -> Decimal | None:
    return None if first is None or second is None else first + second
