"""Checks that a list of claims makes sense. One that does not is a bug of the caller, never a refusal."""

from functools import lru_cache
from operator import attrgetter
from sys import intern
from typing import Final

from guard.limits.state import LOG_KINDS, SUM_KINDS
from guard.terms import Claim, ClaimKind

_COUNTER: Final = attrgetter("counter")


def check_cells(claims: tuple[Claim, ...]) -> bool:
    """A cell may occur once, or several times as windows of one kind: two claims on one sum would share its room.

    True: every cell occurs once.
    """
    if len(set(map(_COUNTER, claims))) == len(claims):
        return True
    kinds: dict[str, ClaimKind] = {}
    for claim in claims:
        cell, kind = claim.counter, claim.kind
        if cell in kinds:
            if kinds[cell] != kind:
                raise AssertionError(f"claims of two kinds on {cell}: {kinds[cell]} and {kind}")
            if kind not in LOG_KINDS:
                raise AssertionError(f"two claims on one cell: {cell}")
        kinds[cell] = kind
    return False


Parted = tuple[tuple[str, ...], tuple[int, ...], str, list[Claim]]
"""The cells of sums with what is claimed there (more than nothing), and the letters of these claims' kinds; then for
each other cell the claim with the widest window."""


def parted(claims: tuple[Claim, ...]) -> Parted:
    """The claims on sums and those on other cells; checks them as well.

    Amounts are not negative, and a step leaves one stamp on a cell, however many windows look at it.
    """
    cells: list[str] = []
    amounts: list[int] = []
    kinds: list[ClaimKind] = []
    rest: list[Claim] = []
    for claim in claims:
        kind = claim.kind
        if kind in SUM_KINDS:
            cells.append(claim.counter)
            amounts.append(claim.amount)
            kinds.append(kind)
        else:
            rest.append(claim)
    distinct, others = set(cells), _widest(rest)
    if len(distinct) < len(cells) or not distinct.isdisjoint(others):
        check_cells(claims)
    if amounts and min(amounts) <= 0:
        cells, amounts, kinds = _more_than_nothing(cells, amounts, kinds)
    return tuple(cells), tuple(amounts), _letters(tuple(kinds)), list(others.values())


def _widest(claims: list[Claim]) -> dict[str, Claim]:
    """For each cell that is no sum the claim with the widest window."""
    widest: dict[str, Claim] = {}
    for claim in claims:
        cell, kind = claim.counter, claim.kind
        if claim.window_ms <= 0:
            raise AssertionError(f"{kind} claim without a window on {cell}")
        if claim.amount != 1 and kind in LOG_KINDS:
            raise AssertionError(f"{kind} claim of {claim.amount} on {cell}: a step leaves one stamp")
        known = widest.setdefault(cell, claim)
        if known is not claim:
            if known.kind != kind or kind == "slot":
                check_cells(tuple(claims))
            if known.window_ms < claim.window_ms:
                widest[cell] = claim
    return widest


def _more_than_nothing(
    cells: list[str], amounts: list[int], kinds: list[ClaimKind]
) -> tuple[list[str], list[int], list[ClaimKind]]:
    parts = [part for part in zip(cells, amounts, kinds, strict=True) if part[1]]
    for cell, amount, kind in parts:
        if amount < 0:
            raise AssertionError(f"{kind} claim of {amount} on {cell}")
    return [part[0] for part in parts], [part[1] for part in parts], [part[2] for part in parts]


@lru_cache(maxsize=1024)
def _letters(kinds: tuple[ClaimKind, ...]) -> str:
    return intern("".join(kind[0] for kind in kinds))
