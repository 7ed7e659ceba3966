"""Which lists of claims make sense. A list that does not is a bug of the caller, never a refusal."""

from operator import attrgetter
from typing import Final

from guard.limits.state import LOG_KINDS, SUM_KINDS
from guard.terms import Claim, ClaimKind

_COUNTER: Final = attrgetter("counter")


def check_cells(claims: tuple[Claim, ...]) -> bool:
    """A cell stands once in a list, or as windows of one kind: two claims on one sum would each see the same room.

    True: each stands once.
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


def parted(claims: tuple[Claim, ...]) -> tuple[list[Claim], list[Claim]]:
    """Those on sums, and of each other cell the widest; `check_cells`, and amounts and windows that fit their kind.

    Amounts are whole and not negative, and a step leaves one stamp on a cell, however many windows look at it.
    """
    is_each_once = check_cells(claims)
    on_sums: list[Claim] = []
    others: list[Claim] = []
    for claim in claims:
        kind = claim.kind
        if kind in SUM_KINDS:
            if claim.amount < 0:
                raise AssertionError(f"{kind} claim of {claim.amount} on {claim.counter}")
            on_sums.append(claim)
        elif claim.window_ms <= 0:
            raise AssertionError(f"{kind} claim without a window on {claim.counter}")
        elif claim.amount != 1 and kind in LOG_KINDS:
            raise AssertionError(f"{kind} claim of {claim.amount} on {claim.counter}: a step leaves one stamp")
        else:
            others.append(claim)
    return on_sums, others if is_each_once else _widest(others)


def _widest(claims: list[Claim]) -> list[Claim]:
    """Of each cell the claim that keeps its stamps longest."""
    found: dict[str, Claim] = {}
    for claim in claims:
        cell = claim.counter
        if cell not in found or found[cell].window_ms < claim.window_ms:
            found[cell] = claim
    return list(found.values())
