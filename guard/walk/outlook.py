"""The world of the order that a request places or changes: what its rules have to know, and what is known of it now."""

from guard.terms import Needs, World
from guard.walk.desk import Desk, Situation, Visit


def needs_of(visit: Visit, situation: Situation) -> Needs | None:
    """What the rules that bind this order look at; None where there is no order, or no rule looks at anything."""
    policies, principal, account = visit.standing.policies, visit.principal, situation.account
    asks = getattr(policies, "needs", None)
    if asks is None or principal is None or account is None or situation.order is None:
        return None
    needs: Needs = asks(principal, account.env)
    return None if needs.is_nothing else needs


def known(desk: Desk, visit: Visit, situation: Situation) -> World | None:
    """What is known already. None: nothing has to be."""
    needs, account, order = needs_of(visit, situation), situation.account, situation.order
    if needs is None or account is None or order is None:
        return None
    return desk.reference.peek(order, account=account, needs=needs)
