"""Where a caller's rates stand after a request, for the RateLimit fields of its answer.

By draft-ietf-httpapi-ratelimit-headers: what each rate allows in which window, what is left of it, and in how many
whole seconds some of it comes back.
"""

from collections.abc import Sequence

from guard.limits import Rates, State, quota_of, told_of
from guard.terms import TRADE_EFFECTS, Claim
from guard.walk.desk import Desk, Visit

Headers = tuple[tuple[str, str], ...]


def quota_headers(desk: Desk, visit: Visit, claims: Sequence[Claim]) -> Headers:
    """`RateLimit-Policy` and `RateLimit` of the rates among these claims; reads are counted apart from trades."""
    state = desk.state if visit.effect in TRADE_EFFECTS else desk.traffic
    return rate_headers(state, claims, now_us=desk.clock.t_us())


def rate_headers(state: State, claims: Sequence[Claim], *, now_us: int) -> Headers:
    """The two fields; nothing where no rate applies."""
    if not claims:
        return ()
    policies, quotas = claims.told if isinstance(claims, Rates) else told_of(claims)
    lefts = ""
    for name, counter, cap, window_ms in quotas:
        count, free_us = quota_of(state, counter, t_us=now_us, window_ms=window_ms)
        left = f"{name};r={cap - count if count < cap else 0};t={-(-free_us // 1_000_000)}"
        lefts = f"{lefts}, {left}" if lefts else left
    return (("RateLimit-Policy", policies), ("RateLimit", lefts)) if lefts else ()
