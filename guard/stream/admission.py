"""Who may open a socket: the checks of any call, in one synchronous step before the daemon is asked.

A key goes in `Authorization` or in `?token=`, where a ticket may stand for it. Where `/ws` is public (scopes profile
`documented`) no key is needed, but a wrong one is refused. A request with an Origin comes from a page in a browser, and
is let in only if the settings name that origin.
"""

from typing import Final

from guard.access import scope_reasons, unauthenticated
from guard.access.tickets import PREFIX as TICKET
from guard.catalogue import BY_PATH
from guard.codes import Code
from guard.limits import trading_for
from guard.terms import Endpoint, Reason, Refusal, in_order, refuse
from guard.walk.desk import Desk
from guard.walk.door import failed_login, identify, revoked, state_reasons
from guard.walk.visit import NOTHING_KNOWN, Visit

ENDPOINT: Final[Endpoint] = BY_PATH["/ws"][0]

_ORIGIN: Final = refuse(
    Code.BAD_HEADER, "pages of this origin are not let in; listen.allowed_origins names those that are", rule="origin"
)


def admit(desk: Desk, visit: Visit) -> Refusal | None:
    """Why the handshake is refused, or None; `visit.principal` is then who asks, or nobody."""
    visit.endpoint, visit.effect = ENDPOINT, ENDPOINT.effect
    origin = visit.call.head.get("origin")
    if origin is not None and origin not in visit.config.settings.listen.allowed_origins:
        return _ORIGIN
    denied = _of_ticket(desk, visit) if _is_ticket(visit) else identify(visit)
    return failed_login(desk, visit, denied) if denied is not None else _in_the_way(desk, visit)


def _is_ticket(visit: Visit) -> bool:
    return visit.call.token is not None and visit.call.token.startswith(TICKET)


def _of_ticket(desk: Desk, visit: Visit) -> Refusal | None:
    """Whose ticket it is; from here on it is used up, whatever comes of the handshake."""
    found = desk.tickets.redeem(visit.call.token or "", now_us=visit.t_us)
    if found is None:
        return unauthenticated("a ticket that is not known, was used, or has ended")
    visit.principal = found
    visit.call.is_known = True
    lacking = scope_reasons(ENDPOINT, found, profile=visit.config.settings.scopes.profile)
    return revoked(desk, visit) or (Refusal(lacking) if lacking else None)


def admit_still(desk: Desk, visit: Visit) -> Refusal | None:
    """The same, of what may have changed while the daemon was asked."""
    return revoked(desk, visit) or _in_the_way(desk, visit)


def _in_the_way(desk: Desk, visit: Visit) -> Refusal | None:
    """The guard's own state: draining, or `locked`, which leaves nothing but cancels."""
    reasons = state_reasons(desk, visit, NOTHING_KNOWN)
    if desk.is_draining:
        reasons.append(Reason(Code.DRAINING, "the guard is shutting down"))
    return Refusal(in_order(reasons)) if reasons else None


def is_locked(desk: Desk, name: str) -> bool:
    """Nothing but cancels passes for this key, so it is shown nothing either."""
    trading = desk.state.trading
    return bool(trading) and trading_for(desk.state, key=name, account=None, market=None) == "locked"
