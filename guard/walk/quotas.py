"""Where a caller's rates stand after a request, for the RateLimit fields of its answer."""

from collections.abc import Sequence

from guard.limits import quota_of
from guard.server import RateState, rate_headers
from guard.terms import TRADE_EFFECTS, Claim
from guard.walk.desk import Desk, Visit


def quota_headers(desk: Desk, visit: Visit, claims: Sequence[Claim]) -> tuple[tuple[str, str], ...]:
    """`RateLimit-Policy` and `RateLimit` of the rates among these claims; reads are counted apart from trades."""
    state, now_us = desk.state if visit.effect in TRADE_EFFECTS else desk.traffic, desk.clock.t_us()
    rates: list[RateState] = []
    for claim in claims:
        if claim.kind == "rate" and claim.cap is not None:
            count, free_us = quota_of(state, claim.counter, t_us=now_us, window_ms=claim.window_ms)
            name, _, _ = claim.counter.partition("/")
            rates.append(RateState(name, claim.cap, claim.window_ms // 1000, claim.cap - count, free_us / 1_000_000))
    return rate_headers(rates)
