"""Claims on rates alone, looked over once: what is posted again and again need not be looked over each time.

What a key's reads claim is the same for all of them: it is asked for with each one, stamped with each one, and told in
the RateLimit fields of each answer.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from guard.limits.claims import parted
from guard.terms import Claim

QUOTAS_MAX: Final = 4_096  # lists of rates of which what is told of them is at hand


Quota = tuple[str, str, int, int]
"""A rate as callers are told where they stand: its name (RFC 8941 §3.3.3), counter and cap, and its window in µs."""
Told = tuple[str, tuple[Quota, ...]]
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
    return _told(tuple([claim for claim in claims if claim.kind == "rate" and claim.cap is not None]))


@lru_cache(maxsize=QUOTAS_MAX)
def _told(rates: tuple[Claim, ...]) -> Told:
    """The same rates stand in order after order: what a request allows, and where to look what is left of it."""
    names = ['"' + rate.counter.partition("/")[0].replace("\\", "\\\\").replace('"', '\\"') + '"' for rate in rates]
    told = zip(names, rates, strict=True)
    quotas = tuple((name, rate.counter, rate.cap or 0, rate.window_ms * 1000) for name, rate in told)
    return ", ".join(f"{name};q={cap};w={window_us // 1_000_000}" for name, _, cap, window_us in quotas), quotas
