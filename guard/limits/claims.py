"""Which lists of claims make sense. A list that does not is a bug of the caller, never a refusal."""

from guard.limits.state import LOG_KINDS, SUM_KINDS
from guard.terms import Claim


def check_cells(claims: tuple[Claim, ...]) -> None:
    """A cell stands once in a list, or as windows of one kind: two claims on one sum would each see the same room."""
    if len({claim.counter for claim in claims}) == len(claims):
        return
    kinds: dict[str, str] = {}
    for claim in claims:
        earlier = kinds.setdefault(claim.counter, claim.kind)
        if claim.kind != earlier:
            raise AssertionError(f"claims of two kinds on {claim.counter}: {earlier} and {claim.kind}")
    cells = [claim.counter for claim in claims if claim.kind not in LOG_KINDS]
    if len(set(cells)) != len(cells):
        raise AssertionError(f"two claims on one cell: {min(cell for cell in cells if cells.count(cell) > 1)}")


def check(claims: tuple[Claim, ...]) -> None:
    """`check_cells`, and amounts and windows that their kind can have: whole, not negative, one stamp a step."""
    check_cells(claims)
    for claim in claims:
        if claim.kind in SUM_KINDS:
            if claim.amount < 0:
                raise AssertionError(f"{claim.kind} claim of {claim.amount} on {claim.counter}")
        elif claim.window_ms <= 0:
            raise AssertionError(f"{claim.kind} claim without a window on {claim.counter}")
        elif claim.kind in LOG_KINDS and claim.amount != 1:
            raise AssertionError(f"{claim.kind} claim of {claim.amount} on {claim.counter}: a step leaves one stamp")
