"""How counters and cells of budgets are named: what is measured, and in which period. Pure text, and back.

A *counter* is what is measured: kind, subject, currencies. A *cell* is one number of the ledger: a counter in one
period, or the counter itself where nothing ever returns to zero. Without a reset of its own a budget has a part, so a
cell, for each reset among the markets of its currencies; with one, a single cell for all markets. Good-till-cancelled
orders hold their value on a cell without a period, and each fill moves to the cell of the period in which it happened.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from guard.policy.notation import Bad, Reset, read_reset
from guard.policy.periods import RESET_OF, RESETS, RESETS_OF_CURRENCY, next_reset, period_name, wall_of
from guard.policy.rule import Scope
from guard.terms import Account

CELLS_MAX: Final = 16_384  # counters whose cells of the present periods are at hand
_GTC: Final = "gtc"
_ALL: Final = ",all"


class DayCells(NamedTuple):
    """The cell that an order holds its value on, and those that count with it: of a day order, and of one of GTC."""

    of_day: tuple[str, tuple[str, ...]]
    of_gtc: tuple[str, tuple[str, ...]]


def resets_of(reset: Reset | None) -> tuple[Reset, ...]:
    """The budget's own, or each market's."""
    return RESETS if reset is None else (reset,)


def parts_of(currencies: Iterable[str]) -> tuple[Reset, ...]:
    """The resets of the markets in which these currencies are traded."""
    return tuple(sorted({part for currency in currencies for part in RESETS_OF_CURRENCY.get(currency, RESETS)}))


def _own_part(market: str, parts: tuple[Reset, ...]) -> Reset:
    """The part that an order of this market is counted in; the first where its currency is a stranger there."""
    own = RESET_OF[market]
    return own if own in parts else parts[0]


@lru_cache(maxsize=CELLS_MAX)
def money_counter(scope: Scope, key: str, account: Account | None, *, word: str, tag: str) -> str:
    """The counter of a sum of money; `tag` is how its currencies are written."""
    return f"{word}/{scope.subject(key, account)}|{tag}"


def cells_of(
    counter: str, parts: tuple[Reset, ...], *, own: Reset | None, wall: datetime
) -> tuple[str, tuple[str, ...]]:
    """The cell that an order holds, and those that count with it. `own` None: one reset for all markets."""
    if own is None:
        return f"{counter}|{period_name(parts[0], wall)}{_ALL}", ()
    also = tuple(f"{counter}|{period_name(part, wall)}" for part in parts if part != own)
    return f"{counter}|{period_name(own, wall)}", also


@lru_cache(maxsize=CELLS_MAX)
def day_cells(counter: str, tag: str, *, market: str, reset: Reset | None, minute: int) -> DayCells:
    """The cells of a sum of money in the periods that last at this minute. `market` is looked at without a reset."""
    parts = parts_of(tag.split("+")) if reset is None else (reset,)
    own = _own_part(market, parts) if reset is None else None
    cell, also = cells_of(counter, parts, own=own, wall=wall_of(minute))
    gtc = gtc_cell(counter, reset)
    return DayCells((cell, (*also, gtc)), (gtc, (cell, *also)))


def gtc_cell(counter: str, reset: Reset | None) -> str:
    """The cell of good-till-cancelled orders. It names the reset: a fill finds its period without the policy."""
    return f"{counter}|{_GTC}" if reset is None else f"{counter}|{_GTC}@{reset}{_ALL}"


def is_gtc(cell: str) -> bool:
    """The cell holds good-till-cancelled orders, whose fills are counted elsewhere (`fill_cell`)."""
    period = cell.rpartition("|")[2]
    return period == _GTC or period.startswith(f"{_GTC}@")


def fill_cell(cell: str, *, market: str, wall: datetime) -> str:
    """The cell in which a fill at `wall` is counted, of an order of `market` that holds its value on `cell`.

    For a day order that is the cell itself; a good-till-cancelled one moves what was filled to the period of the fill.
    """
    counter, _, period = cell.rpartition("|")
    if period == _GTC:
        parts = parts_of(counter.rpartition("|")[2].split("+"))
        return f"{counter}|{period_name(_own_part(market, parts), wall)}"
    if period.startswith(f"{_GTC}@"):
        reset = read_reset(period.removeprefix(f"{_GTC}@").removesuffix(_ALL))
        if isinstance(reset, Bad):
            raise AssertionError(f"{cell} names no reset")
        return f"{counter}|{period_name(reset, wall)}{_ALL}"
    return cell


def ends_at(cell: str, wall: datetime) -> datetime | None:
    """When what is used of this cell comes back, if its period is that of `wall`; None where none is named."""
    if is_gtc(cell):
        return None
    period = cell.rpartition("|")[2].removesuffix(_ALL)
    reset = read_reset(period.partition("@")[2])
    return None if isinstance(reset, Bad) else next_reset(reset, wall)


def budget_of(cell: str) -> tuple[str, str]:
    """What the cells of a counter in all periods have in common, that of good-till-cancelled orders too.

    Two budgets of the same counter that return to zero at different times are not the same.
    """
    counter, _, period = cell.rpartition("|")
    return counter, period.partition("@")[2] if period.endswith(_ALL) else ""
