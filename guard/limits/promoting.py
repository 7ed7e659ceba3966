"""A shadow policy becomes enforced: its counters go on from where its shadow counters stand.

What live orders hold, ended orders spent and stamps count on a shadow's cell is counted on the plain cell as well. If
the plain cell has counted before, the larger amount stands. Shadow cells stay as they are. May be repeated.
"""

from collections.abc import Collection
from sys import intern
from typing import Final

from guard.limits import windows
from guard.limits.holder import Amounts, Holder
from guard.limits.state import KIND_OF, Log, State, advance
from guard.limits.sums import part, put, raise_spent
from guard.limits.sweep import put_log

SHADOW: Final = "/shadow:"


def promote(state: State, words: Collection[str], *, t_us: int) -> None:
    """Promotes the counters whose names begin with one of these words."""
    for holder in state.holders.values():
        hold_plain(state, holder, words)
    for ended in state.ended.values():  # only what it remembers: the sums get it with `spent`
        hold_plain(State(), ended, words)
    promote_elsewhere(state, words, t_us=t_us)


def promote_elsewhere(state: State, words: Collection[str], *, t_us: int) -> None:
    """The same without what live orders hold."""
    advance(state, t_us=t_us)
    for cell in (*state.spent, *state.logs):
        plain = plain_of(cell, words)
        if plain is not None:
            raise_spent(state, plain, promoted_spent(state, plain))
            log = promoted_log(state, plain)
            if log is not None:
                put_log(state, plain, log)


def promoted_spent(state: State, plain: str) -> int:
    """What ended orders spent on the shadow of this cell, if that is more than on the cell itself; else 0."""
    amount = state.spent.get(shadow_of(plain), 0)
    return amount if amount > state.spent.get(plain, 0) else 0


def promoted_log(state: State, plain: str) -> Log | None:
    """The cell's log merged with its shadow's; None if nothing would change."""
    shadow, known = state.logs.get(shadow_of(plain)), state.logs.get(plain)
    if shadow is None or (known is not None and known.widest_us >= shadow.widest_us and known.stamps == shadow.stamps):
        return None
    return windows.merged(known, shadow)


def shadow_of(plain: str) -> str:
    """The shadow's cell of this one."""
    word, _, rest = plain.partition("/")
    return f"{word}{SHADOW}{rest}"


def plain_of(cell: str, words: Collection[str]) -> str | None:
    """The cell of which this one is the shadow; None for other cells, and for words that are not promoted."""
    word, _, rest = cell.partition(SHADOW)
    return intern(f"{word}/{rest}") if rest and word in words else None


def hold_plain(state: State, holder: Holder, words: Collection[str]) -> None:
    """The order holds on the plain cells what it holds on their shadows."""
    holds = holder.holds
    for cell, amount, kind in zip(holds.cells, holds.amounts, holds.kinds, strict=True):
        plain = plain_of(cell, words)
        if plain is not None and amount > part(holder, plain):
            put(state, holder, plain, amount=amount, kind=KIND_OF[kind])
    bases = holder.bases
    grown = tuple(_basis(basis, words) for basis in bases)
    if grown != bases:  # otherwise its terms stay the same object, by which `tracking` recognises them
        holder.claim(grown)


def _basis(basis: Amounts, words: Collection[str]) -> Amounts:
    """The basis with plain cells added beside their shadows: what a fill leaves on them is worked out from it."""
    more = [
        (plain, amount, kind)
        for cell, amount, kind in zip(basis.cells, basis.amounts, basis.kinds, strict=True)
        if (plain := plain_of(cell, words)) is not None and plain not in basis.cells
    ]
    if not more:
        return basis
    cells, amounts, kinds = zip(*more, strict=True)
    all_kinds = intern(basis.kinds + "".join(kinds))
    return Amounts.of((*basis.cells, *cells), (*basis.amounts, *amounts), all_kinds, worth=basis.worth)
