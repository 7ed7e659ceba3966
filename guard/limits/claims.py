"""Which lists of claims make sense. A list that does not is a bug of the caller, never a refusal."""

from operator import attrgetter
from typing import Final

from guard.limits.state import LOG_KINDS, SUM_KINDS
from guard.terms import Claim, ClaimKind

_COUNTER: Final = attrgetter("counter")


def check_cells(claims: tuple[Claim, ...]) -> None:
    """A cell stands once in a list, or as windows of one kind: two claims on one sum would each see the same room."""
    if len(set(map(_COUNTER, claims))) == len(claims):
        return
    kinds: dict[str, ClaimKind] = {}
    for claim in claims:
        cell, kind = claim.counter, claim.kind
        if cell in kinds:
            if kinds[cell] != kind:
                raise AssertionError(f"claims of two kinds on {cell}: {kinds[cell]} and {kind}")
            if kind not in LOG_KINDS:
                raise AssertionError(f"two claims on one cell: {cell}")
        kinds[cell] = kind


def parted(claims: tuple[Claim, ...]) -> tuple[list[Claim], list[Claim]]:
    """Those on sums, and the others; `check_cells`, and amounts and windows that their kind can have.

    Amounts are whole and not negative, and a step leaves one stamp.
    """
    check_cells(claims)
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
    return on_sums, others
