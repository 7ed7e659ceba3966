"""Checks that a list of claims makes sense. One that does not is a bug of the caller, never a refusal."""

from operator import attrgetter
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


def parted(claims: tuple[Claim, ...]) -> tuple[list[Claim], list[Claim]]:
    """The claims on sums, and for each other cell the claim with the widest window; checks them as well.

    Amounts are not negative, and a step leaves one stamp on a cell, however many windows look at it.
    """
    on_sums: dict[str, Claim] = {}
    others: dict[str, Claim] = {}
    further = 0  # windows on a cell that has one
    for claim in claims:
        kind, cell = claim.kind, claim.counter
        if kind in SUM_KINDS:
            if claim.amount < 0:
                raise AssertionError(f"{kind} claim of {claim.amount} on {cell}")
            on_sums[cell] = claim
        elif claim.window_ms <= 0:
            raise AssertionError(f"{kind} claim without a window on {cell}")
        elif claim.amount != 1 and kind in LOG_KINDS:
            raise AssertionError(f"{kind} claim of {claim.amount} on {cell}: a step leaves one stamp")
        elif (known := others.setdefault(cell, claim)) is not claim:
            further += known.kind == kind != "slot"
            if known.window_ms < claim.window_ms:
                others[cell] = claim
    if len(on_sums) + len(others) + further < len(claims) or not on_sums.keys().isdisjoint(others):
        check_cells(claims)
    return list(on_sums.values()), list(others.values())
