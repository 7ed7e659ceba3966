"""Sums, and the parts that orders hold of them; whatever moves a part moves its sum, so they cannot disagree."""

from collections.abc import Mapping
from sys import intern
from types import MappingProxyType
from typing import Final

from guard.limits.days import days_over, drop_day, note_day
from guard.limits.holder import NOTHING, Amounts, Holder, Worth
from guard.limits.shared import same_cells, same_whole
from guard.limits.state import KIND_OF, SUM_KINDS, State, touch
from guard.terms import Claim, ClaimKind

_NOTHING_TOLD: Final[Mapping[str, int]] = MappingProxyType({})


def move(sums: dict[str, int], cell: str, delta: int) -> None:
    """Adds to a cell; a cell that comes to zero is dropped, so that absent and zero are the same."""
    left = sums.get(cell, 0) + delta
    if left:
        sums[cell] = left
    else:
        sums.pop(cell, None)


def spend(state: State, cell: str, delta: int) -> None:
    """Ended orders have spent so much more on the cell. The sum, which must move with it, is left to the caller."""
    was_spent = cell in state.spent
    move(state.spent, cell, delta)
    if was_spent != (cell in state.spent):
        (drop_day if was_spent else note_day)(state.days, cell)


def raise_spent(state: State, cell: str, amount: int) -> None:
    """Ended orders have spent at least `amount` on the cell; what was counted before is never lowered."""
    more = amount - state.spent.get(cell, 0)
    if more > 0:
        spend(state, cell, more)
        move(state.sums, cell, more)


def part(holder: Holder, cell: str) -> int:
    """What the order holds on the cell."""
    holds = holder.holds
    return holds.amounts[holds.cells.index(cell)] if cell in holds.cells else 0


def take(state: State, holds: Amounts) -> None:
    """Adds what a new order holds to the sums."""
    sums = state.sums
    for cell, amount in zip(holds.cells, holds.amounts, strict=True):
        sums[cell] = sums.get(cell, 0) + amount
    if state.rising:
        for cell, amount in zip(holds.cells, holds.amounts, strict=True):
            _note_rise(state, cell, amount)


def never_rose(state: State, holds: Amounts) -> None:
    """What an order took came onto no cell: it was refused, or not sent."""
    if state.rising:
        for cell, amount in zip(holds.cells, holds.amounts, strict=True):
            _note_rise(state, cell, -amount)


def _note_rise(state: State, cell: str, amount: int, *, of: str = "") -> None:
    rise = state.rising.get(cell)
    if rise is not None:
        rise.amount += amount
        if of:
            rise.changed[of] = rise.changed.get(of, 0) + amount


def rebase(holder: Holder, claims: tuple[Claim, ...], *, worth: Worth | None) -> None:
    """A change was accepted: its claims are the order's whole claims from now on.

    `claimed` becomes a new object even if it is equal: by that a list that was asked for before is known to be older.
    """
    named = [claim for claim in claims if claim.kind in SUM_KINDS]
    cells = tuple(claim.counter for claim in named)
    amounts = tuple(claim.amount if claim.whole is None else claim.whole for claim in named)
    new = same_whole(cells, amounts, "".join(claim.kind[0] for claim in named), worth=worth)
    kept = tuple(earlier for earlier in holder.bases if not set(earlier.cells) <= set(cells))
    holder.claimed = (*kept, new)


def put(state: State, holder: Holder, cell: str, *, amount: int, kind: ClaimKind) -> None:
    """The order holds exactly `amount` on the cell from now on. `kind` matters only where it held nothing there."""
    holds = holder.holds
    cells, held, kinds = holds.cells, holds.amounts, holds.kinds
    at = cells.index(cell) if cell in cells else None
    earlier = 0 if at is None else held[at]
    if amount == earlier:
        return
    move(state.sums, cell, amount - earlier)
    if state.rising and amount > earlier:
        _note_rise(state, cell, amount - earlier, of=holder.id)
    if at is None:
        cells, held, kinds = (*cells, intern(cell)), (*held, amount), kinds + kind[0]
    elif amount:
        held = (*held[:at], amount, *held[at + 1 :])
    else:
        cells, held, kinds = cells[:at] + cells[at + 1 :], held[:at] + held[at + 1 :], kinds[:at] + kinds[at + 1 :]
    holder.holds = Amounts.of(same_cells(cells), held, intern(kinds))


def claimed_as(holder: Holder, cell: str) -> ClaimKind | None:
    """The kind of the order's claim on the cell; None: it never claimed it."""
    for basis in reversed(holder.bases):
        if cell in basis.cells:
            return KIND_OF[basis.kinds[basis.cells.index(cell)]]
    return None


def give_back(state: State, holder: Holder, *, keep_spend: bool) -> None:
    """The order gives up all that it holds. With `keep_spend`, what it spent stays in the sums as spent."""
    let_go(state, holder.holds, keep_spend=keep_spend)
    holder.holds = NOTHING


def let_go(state: State, holds: Amounts, *, keep_spend: bool, told: Mapping[str, int] = _NOTHING_TOLD) -> Amounts:
    """The same for an order that is about to be forgotten, which is left unchanged; returns what it leaves as spent.

    `told`: what it spent on some of these cells, if that was learned with its end.
    """
    sums, spent = state.sums, state.spent
    cells: list[str] = []
    amounts: list[int] = []
    for cell, amount, kind in zip(holds.cells, holds.amounts, holds.kinds, strict=True):
        if keep_spend and kind == "s":
            used = told.get(cell, amount)
            if used != amount:
                move(sums, cell, used - amount)
            if not used:
                continue
            cells.append(cell)
            amounts.append(used)
            if before := spent.get(cell):
                spent[cell] = before + used
            else:
                _leave(state, cell, used)
        elif left := sums.get(cell, 0) - amount:
            sums[cell] = left
        else:
            sums.pop(cell, None)
    return Amounts(tuple(cells), "s" * len(cells), (tuple(amounts), None))


def _leave(state: State, cell: str, amount: int) -> None:
    """The first amount that is left as spent on a day: old days of the same counter are dropped."""
    spend(state, cell, amount)
    for past in days_over(state.days, cell):
        touch(state, None, (past,))
        left = state.spent[past]
        spend(state, past, -left)
        move(state.sums, past, -left)
