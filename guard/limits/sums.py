"""Sums and the parts that orders hold of them. Whatever moves a part moves the sum with it, so they cannot disagree."""

from functools import lru_cache
from sys import intern
from typing import Final

from guard.limits.state import SUM_KINDS, Basis, Holder, State, Worth
from guard.terms import Claim, ClaimKind

_KINDS: dict[str, ClaimKind] = {kind[0]: kind for kind in SUM_KINDS}
SHARED_MAX: Final = 4096  # lists of cells, and wholes, of which orders that are alike have one object


@lru_cache(maxsize=SHARED_MAX)
def same_cells(cells: tuple[str, ...]) -> tuple[str, ...]:
    """One object for equal lists: the orders of one key in one symbol are on the same cells all day."""
    return cells


@lru_cache(maxsize=SHARED_MAX)
def same_whole(whole: Basis) -> tuple[Basis, ...]:
    """One object for what equal orders claim as a whole."""
    return (whole,)


def move(sums: dict[str, int], cell: str, delta: int) -> None:
    """Adds to a cell; one that comes to nothing is dropped, so that absent and zero are the same."""
    left = sums.get(cell, 0) + delta
    if left:
        sums[cell] = left
    else:
        sums.pop(cell, None)


def part(holder: Holder, cell: str) -> int:
    """What the order holds on the cell."""
    for at, name in enumerate(holder.cells):
        if name == cell:
            return holder.held[at]
    return 0


def take(state: State, holder: Holder, claims: tuple[Claim, ...], *, worth: Worth | None = None) -> None:
    """A new order takes all it claims; it holds nothing yet."""
    names, held, kinds, totals = [], [], "", state.sums
    for claim in claims:
        if claim.amount and claim.kind in SUM_KINDS:
            cell = intern(claim.counter)
            names.append(cell)
            held.append(claim.amount)
            kinds += claim.kind[0]
            totals[cell] = totals.get(cell, 0) + claim.amount
    cells = same_cells(tuple(names))
    holder.bases = same_whole(Basis(cells, tuple(held), intern(kinds), worth))
    holder.cells, holder.held, holder.kinds = cells, holder.bases[0].amounts, intern(kinds)


def rebase(holder: Holder, claims: tuple[Claim, ...], *, worth: Worth | None) -> None:
    """A change was accepted: from now on its claims are what the order claims as a whole."""
    named = [claim for claim in claims if claim.kind in SUM_KINDS]
    cells = tuple(intern(claim.counter) for claim in named)
    basis = Basis(
        cells, tuple(claim.amount for claim in named), intern("".join(claim.kind[0] for claim in named)), worth
    )
    kept = tuple(earlier for earlier in holder.bases if not set(earlier.cells) <= set(cells))
    holder.bases = (*kept, basis)


def put(state: State, holder: Holder, cell: str, amount: int, *, kind: ClaimKind) -> None:
    """The order holds exactly `amount` on the cell from now on. `kind` matters only where it held nothing there."""
    earlier = part(holder, cell)
    if amount == earlier:
        return
    move(state.sums, cell, amount - earlier)
    if not earlier:
        holder.cells += (intern(cell),)
        holder.held += (amount,)
        holder.kinds = intern(holder.kinds + kind[0])
        return
    at = holder.cells.index(cell)
    if amount:
        holder.held = (*holder.held[:at], amount, *holder.held[at + 1 :])
        return
    holder.cells = holder.cells[:at] + holder.cells[at + 1 :]
    holder.held = holder.held[:at] + holder.held[at + 1 :]
    holder.kinds = intern(holder.kinds[:at] + holder.kinds[at + 1 :])


def claimed_as(holder: Holder, cell: str) -> ClaimKind | None:
    """As what the order claimed the cell; None where it never did."""
    for basis in reversed(holder.bases):
        if cell in basis.cells:
            return _KINDS[basis.kinds[basis.cells.index(cell)]]
    return None


def give_back(state: State, holder: Holder, *, keep_spend: bool) -> None:
    """The order lets go of everything. With `keep_spend`, what it spent stays in the sums as spent."""
    for cell, amount, kind in zip(holder.cells, holder.held, holder.kinds, strict=True):
        if keep_spend and kind == "s":
            move(state.spent, cell, amount)
        else:
            move(state.sums, cell, -amount)
    holder.cells, holder.held, holder.kinds = (), (), ""
