"""Claims on rates alone, looked over once: what is posted again and again need not be looked over each time.

What a key's reads claim is the same for all of them: it is asked for with each one, stamped with each one, and told in
the RateLimit fields of each answer.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from guard.limits.claims import parted
from guard.terms import Claim

QUOTAS_MAX: Final = 4_096  # rates of which what is told of them is at hand


Quota = tuple[str, str, int, int]
"""A rate as callers are told where they stand: its name (RFC 8941 §3.3.3), counter and cap, and its window in µs."""
Told = tuple[str, list[Quota]]
"""What each of some rates allows, in one text, and where to look what is left of it."""


class Rates(tuple[Claim, ...]):  # noqa: SLOT001 - a tuple that has attributes has no slots for them
    """Claims on rates that nobody will give back.

    Attributes:
        cells: each cell that is stamped, with the widest of the windows that look at it, in µs.
        told: what a caller is told of them.
    """

    cells: tuple[tuple[str, int], ...]
    told: Told


def rates_of(claims: tuple[Claim, ...]) -> Rates:
    """These claims, looked over."""
    for claim in claims:
        if claim.kind != "rate":
            raise AssertionError(f"{claim.kind} claim on {claim.counter} needs a step")
    _, stamping = parted(claims)
    rates = Rates(claims)
    rates.cells = tuple([(claim.counter, claim.window_ms * 1000) for claim in stamping])
    rates.told = told_of(claims)
    return rates


def told_of(claims: Iterable[Claim]) -> Told:
    """The rates among these claims that have a cap."""
    policies = ""
    quotas: list[Quota] = []
    for claim in claims:
        if claim.kind != "rate" or claim.cap is None:
            continue
        policy, quota = _quota(claim.counter, claim.cap, claim.window_ms)
        policies = f"{policies}, {policy}" if policies else policy
        quotas.append(quota)
    return policies, quotas


@lru_cache(maxsize=QUOTAS_MAX)
def _quota(counter: str, cap: int, window_ms: int) -> tuple[str, Quota]:
    """What a rate allows, and where to look what is left of it."""
    name = '"' + counter.partition("/")[0].replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name};q={cap};w={window_ms // 1000}", (name, counter, cap, window_ms * 1000)
