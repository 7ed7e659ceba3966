"""Where a caller's rates stand after a request, for the RateLimit fields of its answer.

By draft-ietf-httpapi-ratelimit-headers: what each rate allows in which window, what is left of it, and in how many
whole seconds some of it comes back.
"""

from collections.abc import Sequence
from functools import lru_cache

from guard.limits import State, quota_of
from guard.terms import TRADE_EFFECTS, Claim
from guard.walk.desk import Desk, Visit

Headers = tuple[tuple[str, str], ...]


def quota_headers(desk: Desk, visit: Visit, claims: Sequence[Claim]) -> Headers:
    """`RateLimit-Policy` and `RateLimit` of the rates among these claims; reads are counted apart from trades."""
    state = desk.state if visit.effect in TRADE_EFFECTS else desk.traffic
    return rate_headers(state, claims, now_us=desk.clock.t_us())


def rate_headers(state: State, claims: Sequence[Claim], *, now_us: int) -> Headers:
    """The two fields; nothing where no rate applies."""
    policies = lefts = ""
    for claim in claims:
        cap, counter, window_ms = claim.cap, claim.counter, claim.window_ms
        if claim.kind != "rate" or cap is None:
            continue
        count, free_us = quota_of(state, counter, t_us=now_us, window_ms=window_ms)
        name, policy = _words(counter.partition("/")[0], cap, window_ms // 1000)
        left = f"{name};r={cap - count if count < cap else 0};t={-(-free_us // 1_000_000)}"
        policies, lefts = (f"{policies}, {policy}", f"{lefts}, {left}") if policies else (policy, left)
    return (("RateLimit-Policy", policies), ("RateLimit", lefts)) if policies else ()


@lru_cache(maxsize=256)
def _words(name: str, quota: int, window_s: int) -> tuple[str, str]:
    """A rate's name as a structured-field string (RFC 8941 §3.3.3), and what it allows."""
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return quoted, f"{quoted};q={quota};w={window_s}"
