"""Counters that this ledger did not keep, taken over from a second one that was folded from the same record.

The second ledger was folded under other rules, those that are to come into force. On a cell that an order is on already
nothing changes for it; on other cells it comes to hold what it holds in the second ledger. Of what ended orders spent,
and of stamps, the larger amount stands. So a graft may be repeated, and never lowers anything. An open step settles the
grafted cells as if it had claimed them itself.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from sys import intern
from typing import Final

import msgspec
from msgspec import Struct

from guard.limits import windows
from guard.limits.holder import Amounts, Basis, Holder
from guard.limits.state import KIND_OF, LogPart, State, Step, advance
from guard.limits.sums import put, raise_spent
from guard.limits.sweep import put_log
from guard.terms import Claim

PIECE_STAMPS: Final = 20_000  # of one log in a record; a longer one is told in pieces


class Held(Struct, frozen=True, omit_defaults=True):
    """What a live or lately ended order holds, cell by cell, and the whole claims that these are parts of."""

    cells: tuple[str, ...] = ()
    held: tuple[int, ...] = ()
    kinds: str = ""
    bases: tuple[Basis, ...] = ()


class StepClaims(Struct, frozen=True, omit_defaults=True):
    """What an open step claims, as in `Step`."""

    claims: tuple[Claim, ...]
    before: tuple[int, ...]
    told: tuple[str, ...] = ()


class Graft(Struct, frozen=True, omit_defaults=True):
    """Absolute amounts: by order, by open step, by cell.

    `more`: stamps that come after those that the parts before this one told of the cell.
    """

    holders: dict[str, Held] = {}
    steps: dict[str, StepClaims] = {}
    spent: dict[str, int] = {}
    logs: dict[str, LogPart] = {}
    more: dict[str, list[int]] = {}

    @property
    def is_empty(self) -> bool:
        """It moves nothing."""
        return not (self.holders or self.steps or self.spent or self.logs or self.more)

    @property
    def counters(self) -> tuple[str, ...]:
        """The names of all cells that it puts something on."""
        held = {cell for one in self.holders.values() for cell in one.cells}
        return tuple(sorted(held | self.spent.keys() | self.logs.keys()))


def missing_counters(state: State, other: State) -> Graft:
    """What the second ledger, `other`, counts and this one does not."""
    held = {}
    for known in (*other.holders.values(), *other.ended.values()):
        holder = (state.holders if known.id in other.holders else state.ended).get(known.id)
        found = None if holder is None else held_of(holder, known)
        if found is not None:
            held[known.id] = found
    return msgspec.structs.replace(missing_elsewhere(state, other), holders=held)


def missing_elsewhere(state: State, other: State, cells: Iterable[str] | None = None) -> Graft:
    """What is missing apart from live orders: of open steps, of what ended orders spent, of stamps.

    `cells`: where to look for spent amounts and stamps; None: everywhere.
    """
    steps = {}
    for step in other.steps.values():
        moved = _moved(state.steps.get(step.id), step)
        if moved.claims:
            steps[step.id] = moved
    looked_at = (*other.spent, *other.logs) if cells is None else sorted(cells)
    spent = {cell: amount for cell in looked_at if (amount := missing_spent(state, other, cell))}
    logs = {cell: log for cell in looked_at if (log := missing_log(state, other, cell)) is not None}
    return Graft(steps=steps, spent=spent, logs=logs)


def merge_grafts(parts: Iterable[Graft]) -> Graft:
    """Several grafts as one: what a later one says of an order, a step or a cell replaces what was said before.

    An empty list of stamps takes a cell's stamps back. Raises ValueError for `more` stamps without those before them.
    """
    whole = Graft(holders={}, steps={}, spent={}, logs={})
    for one in parts:
        whole.holders.update(one.holders)
        whole.steps.update(one.steps)
        whole.spent.update(one.spent)
        whole.logs.update(one.logs)
        for cell, stamps in one.more.items():
            if (log := whole.logs.get(cell)) is None:
                raise ValueError(f"{cell}: stamps come without those before them")
            whole.logs[cell] = msgspec.structs.replace(log, stamps=[*log.stamps, *stamps])
    return whole


def split_long_logs(whole: Graft) -> Iterator[Graft]:
    """The same in parts small enough for a record each: long logs first, piece by piece, then all the rest."""
    long = {cell: log for cell, log in whole.logs.items() if len(log.stamps) > PIECE_STAMPS}
    for cell, log in long.items():
        yield Graft(logs={cell: msgspec.structs.replace(log, stamps=log.stamps[:PIECE_STAMPS])})
        for at in range(PIECE_STAMPS, len(log.stamps), PIECE_STAMPS):
            yield Graft(more={cell: log.stamps[at : at + PIECE_STAMPS]})
    yield msgspec.structs.replace(whole, logs={cell: log for cell, log in whole.logs.items() if cell not in long})


def split_graft(whole: Graft, *, size: int, stamps: int) -> Iterator[Graft]:
    """The same in parts: long logs by themselves, `size` live orders each, logs of `stamps` stamps, the rest."""
    *long, whole = split_long_logs(whole)
    yield from long
    rest = iter(whole.holders.items())
    for _ in range(max(0, len(whole.holders) - 1) // size):
        yield Graft(holders=dict(islice(rest, size)))
    logs: dict[str, LogPart] = {}
    held = 0
    for cell, log in whole.logs.items():
        if held >= stamps:
            yield Graft(logs=logs)
            logs, held = {}, 0
        logs[cell] = log
        held += len(log.stamps)
    yield msgspec.structs.replace(whole, holders=dict(rest), logs=logs)


def graft(state: State, new: Graft, *, t_us: int) -> None:
    """The ledger counts it from now on, apart from what has ended since or is counted already."""
    for name, held in new.holders.items():
        holder = state.holders.get(name)
        if holder is not None:
            hold(state, holder, held)
        elif name in state.ended:  # only what it remembers: the sums get it with `spent`
            hold(State(), state.ended[name], held)
    graft_elsewhere(state, new, t_us=t_us)


def graft_elsewhere(state: State, new: Graft, *, t_us: int) -> None:
    """The same without what live orders hold."""
    advance(state, t_us=t_us)
    for name, moved in new.steps.items():
        step = state.steps.get(name)
        if step is not None:
            _claim(step, moved)
    for name, amount in new.spent.items():
        raise_spent(state, intern(name), amount)
    for cell, log in new.logs.items():
        if not windows.is_over(log, t_us=state.at_us):
            put_log(state, cell, windows.merged(state.logs.get(cell), log))


# ---------------------------------------------------------------- found


def held_of(holder: Holder, other: Holder) -> Held | None:
    """What the same order holds in the second ledger and not in this one; None: nothing."""
    fresh = _cells_of(other.bases, other.holds.cells) - _cells_of(holder.bases, holder.holds.cells)
    if not fresh:
        return None
    holds = other.holds
    parts = [one for one in zip(holds.cells, holds.amounts, holds.kinds, strict=True) if one[0] in fresh]
    return Held(
        tuple(cell for cell, _, _ in parts),
        tuple(amount for _, amount, _ in parts),
        "".join(kind for _, _, kind in parts),
        tuple(found for basis in other.bases if (found := _only(basis, fresh)).cells),
    )


def _cells_of(bases: Iterable[Amounts | Basis], held: tuple[str, ...]) -> set[str]:
    """The cells that an order is on: those where it holds something or once claimed something."""
    return {cell for basis in bases for cell in basis.cells}.union(held)


def _only(basis: Amounts | Basis, cells: set[str]) -> Basis:
    parts = [one for one in zip(basis.cells, basis.amounts, basis.kinds, strict=True) if one[0] in cells]
    kinds = intern("".join(kind for _, _, kind in parts))
    return Basis(tuple(cell for cell, _, _ in parts), tuple(amount for _, amount, _ in parts), kinds, basis.worth)


def _moved(known: Step | None, other: Step) -> StepClaims:
    """The claims that the step lacks in this ledger."""
    cells = set() if known is None else {claim.counter for claim in known.claims}
    pairs = [
        (claim, before)
        for claim, before in zip(other.claims, other.before, strict=True)
        if known is not None and claim.counter not in cells
    ]
    claims, before = tuple(claim for claim, _ in pairs), tuple(before for _, before in pairs)
    return StepClaims(claims, before, tuple(cell for cell in other.told if cell not in cells))


def missing_spent(state: State, other: State, cell: str) -> int:
    """What ended orders spent on the cell by the second ledger, if that is more than by this one; else 0."""
    amount = other.spent.get(cell, 0)
    return amount if amount > state.spent.get(cell, 0) else 0


def missing_log(state: State, other: State, cell: str) -> LogPart | None:
    """The cell's log in the second ledger, if this one lacks some of its stamps or keeps them for a shorter time."""
    log, known, now_us = other.logs.get(cell), state.logs.get(cell), state.at_us
    if log is None or (known is not None and known.widest_us >= log.widest_us and known.stamps == log.stamps):
        return None  # the usual case: a new limit often counts on a cell that was counted before
    if windows.is_over(log, t_us=now_us):
        return None
    stamps = windows.stamps_in(log, t_us=now_us, window_us=log.widest_us)
    have = windows.stamps_in(known, t_us=now_us, window_us=log.widest_us)
    if known is not None and known.widest_us >= log.widest_us and _has_all(have, stamps):
        return None
    return LogPart(stamps, log.widest_us, log.is_rate)


def _has_all(have: list[int], stamps: list[int]) -> bool:
    return stamps == have or (len(stamps) <= len(have) and not Counter(stamps) - Counter(have))


# ---------------------------------------------------------------- put in


def hold(state: State, holder: Holder, new: Held) -> None:
    """The order comes to hold this too, except on cells that it is on already."""
    fresh = _cells_of(new.bases, new.cells) - _cells_of(holder.bases, holder.holds.cells)
    for cell, amount, kind in zip(new.cells, new.held, new.kinds, strict=True):
        if cell in fresh:
            put(state, holder, cell, amount=amount, kind=KIND_OF[kind])
    more = [Amounts.of_basis(found) for basis in new.bases if (found := _only(basis, fresh)).cells]
    # Put before what it claims already: an earlier basis counts only for cells that no later one names.
    if more:  # otherwise its terms stay the same object, by which `tracking` recognises them
        holder.claim((*more, *holder.bases))


def _claim(step: Step, moved: StepClaims) -> None:
    cells = {claim.counter for claim in step.claims}
    fresh = [pair for pair in zip(moved.claims, moved.before, strict=True) if pair[0].counter not in cells]
    step.claims += tuple(claim for claim, _ in fresh)
    step.before += tuple(before for _, before in fresh)
    step.told += tuple(cell for cell in moved.told if cell not in cells)
