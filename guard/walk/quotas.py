"""Where a caller's rates stand after a request, for the RateLimit fields of its answer.

By draft-ietf-httpapi-ratelimit-headers: what each rate allows in which window, what is left of it, and in how many
whole seconds some of it comes back.
"""

from collections.abc import Sequence

from guard.limits import Rates, State, left_of, told_of
from guard.terms import Claim

Headers = tuple[tuple[str, str], ...]


def rate_headers(state: State, claims: Sequence[Claim], *, t_us: int) -> Headers:
    """`RateLimit-Policy` and `RateLimit` of the rates among these claims, as `state` counts them at `t_us`."""
    if not claims:
        return ()
    policies, quotas = claims.told if isinstance(claims, Rates) else told_of(claims)
    lefts = left_of(state, quotas, t_us=t_us)
    return (("RateLimit-Policy", policies), ("RateLimit", lefts)) if lefts else ()
