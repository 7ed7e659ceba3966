"""Who may open a socket: the same questions as for any call, asked in one synchronous step before the daemon is.

A key goes in `Authorization` or in `?token=`. Where `/ws` is public (scopes profile `documented`) it may be asked by
nobody, but never with a wrong key. Browser pages are turned away: whoever names an origin is one.
"""

from typing import Final

from guard.access import authenticate, bearer_of, scope_reasons
from guard.catalogue import BY_PATH
from guard.codes import Code
from guard.server.fields import WS_PATH
from guard.terms import Endpoint, Reason, Refusal, in_order, refuse
from guard.walk.desk import NOTHING_KNOWN, Desk, Visit
from guard.walk.door import state_reasons

(_ENDPOINT,) = BY_PATH[WS_PATH]
ENDPOINT: Final[Endpoint] = _ENDPOINT

_ORIGIN: Final = refuse(
    Code.BAD_HEADER, "Origin is not accepted: the stream is for programs, not for pages in a browser", rule="origin"
)


def admit(desk: Desk, visit: Visit) -> Refusal | None:
    """Why the handshake is refused, or None; `visit.principal` is then who asks, or nobody."""
    if "origin" in visit.call.head:
        return _ORIGIN
    stranger = _identify(visit)
    if stranger is not None:
        return stranger
    reasons = in_the_way(desk, visit)
    if visit.principal is not None:
        reasons += scope_reasons(ENDPOINT, visit.principal, profile=visit.standing.settings.scopes.profile)
    return Refusal(in_order(reasons)) if reasons else None


def in_the_way(desk: Desk, visit: Visit) -> list[Reason]:
    """The guard's own state: draining, or `locked`, which leaves nothing but cancels."""
    reasons = state_reasons(desk, visit, NOTHING_KNOWN)
    if desk.is_draining:
        reasons.append(Reason(Code.DRAINING, "the guard is shutting down"))
    return reasons


def _identify(visit: Visit) -> Refusal | None:
    standing, call = visit.standing, visit.call
    bearer = call.token or bearer_of(call.head.get("authorization"))
    profile = standing.settings.scopes.profile
    wanted = ENDPOINT.documented if profile == "documented" else ENDPOINT.runtime
    if bearer is None and not wanted:
        return None
    found = authenticate(standing.keyring, bearer, now=visit.wall, issuers=standing.issuers)
    if isinstance(found, Refusal):
        return found
    visit.principal = found
    return None
