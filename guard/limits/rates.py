"""Claims on rates alone, checked and prepared once.

All reads of a key make the same claims: these are looked at and stamped with each read, and reported in the RateLimit
fields of each answer.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from guard.limits.claims import parted
from guard.terms import Claim

QUOTAS_MAX: Final = 4_096  # lists of rates whose RateLimit fields are cached


Quota = tuple[str, str, int, int]
"""A rate for the RateLimit fields: its name as a quoted string (RFC 8941 §3.3.3), counter, cap, and window in µs."""
RateLimitFields = tuple[str, tuple[Quota, ...]]
"""The RateLimit-Policy field of some rates, and their quotas, from which the RateLimit field is made."""


class RateClaims(tuple[Claim, ...]):  # noqa: SLOT001 - a tuple that has attributes has no slots for them
    """Claims on rates that are never given back.

    Attributes:
        cells: each cell that is stamped, with the widest of the windows that look at it, in µs.
        fields: what their RateLimit fields are made of.
    """

    cells: tuple[tuple[str, int], ...]
    fields: RateLimitFields


def rates_of(claims: tuple[Claim, ...]) -> RateClaims:
    """These claims, checked and prepared."""
    for claim in claims:
        if claim.kind != "rate":
            raise AssertionError(f"{claim.kind} claim on {claim.counter} needs a step")
    *_, stamping = parted(claims)
    rates = RateClaims(claims)
    rates.cells = tuple([(claim.counter, claim.window_ms * 1000) for claim in stamping])
    rates.fields = ratelimit_fields(claims)
    return rates


def ratelimit_fields(claims: Iterable[Claim]) -> RateLimitFields:
    """What the RateLimit fields are made of, for the rates among these claims that have a cap."""
    return _fields(tuple([claim for claim in claims if claim.kind == "rate" and claim.cap is not None]))


@lru_cache(maxsize=QUOTAS_MAX)
def _fields(rates: tuple[Claim, ...]) -> RateLimitFields:
    """Cached, since order after order has the same rates."""
    names = ['"' + rate.counter.partition("/")[0].replace("\\", "\\\\").replace('"', '\\"') + '"' for rate in rates]
    named = zip(names, rates, strict=True)
    quotas = tuple((name, rate.counter, rate.cap or 0, rate.window_ms * 1000) for name, rate in named)
    return ", ".join(f"{name};q={cap};w={window_us // 1_000_000}" for name, _, cap, window_us in quotas), quotas
