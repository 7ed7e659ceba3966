"""Who may open a socket: the same questions as for any call, asked in one synchronous step before the daemon is.

A key goes in `Authorization` or in `?token=`. Where `/ws` is public (scopes profile `documented`) it may be asked by
nobody, but never with a wrong key. Pages in a browser are turned away: whoever names an origin is one.
"""

from typing import Final

from guard.catalogue import BY_PATH
from guard.codes import Code
from guard.terms import Endpoint, Reason, Refusal, in_order, refuse
from guard.walk.desk import NOTHING_KNOWN, Desk, Visit
from guard.walk.door import identify, revoked, state_reasons, unknown

ENDPOINT: Final[Endpoint] = BY_PATH["/ws"][0]

_ORIGIN: Final = refuse(
    Code.BAD_HEADER, "Origin is not accepted: the stream is for programs, not for pages in a browser", rule="origin"
)


def admit(desk: Desk, visit: Visit) -> Refusal | None:
    """Why the handshake is refused, or None; `visit.principal` is then who asks, or nobody."""
    visit.endpoint, visit.effect = ENDPOINT, ENDPOINT.effect
    if "origin" in visit.call.head:
        return _ORIGIN
    stranger = identify(visit)
    return unknown(desk, visit, stranger) if stranger is not None else _in_the_way(desk, visit)


def admit_still(desk: Desk, visit: Visit) -> Refusal | None:
    """The same, of what may have changed while the daemon was asked."""
    return revoked(desk, visit) or _in_the_way(desk, visit)


def _in_the_way(desk: Desk, visit: Visit) -> Refusal | None:
    """The guard's own state: draining, or `locked`, which leaves nothing but cancels."""
    reasons = state_reasons(desk, visit, NOTHING_KNOWN)
    if desk.is_draining:
        reasons.append(Reason(Code.DRAINING, "the guard is shutting down"))
    return Refusal(in_order(reasons)) if reasons else None
