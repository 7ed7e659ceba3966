"""Whose orders a cancel-all would cancel at the daemon, as far as the guard knows of them. Changes nothing.

Asked when it is decided and once more when it leaves: orders decided in between are on their way to the daemon too.
"""

from guard.limits import Holder
from guard.markets import market_words
from guard.policy import cancels_account
from guard.terms import CancelAll
from guard.walk.desk import Desk
from guard.walk.visit import Situation, Visit


def orders_in_scope(desk: Desk, situation: Situation) -> tuple[Holder, ...]:
    """The live orders that a cancel-all would cancel, newest first."""
    intent, account = situation.intent, situation.account
    if not isinstance(intent, CancelAll) or account is None:
        return ()
    markets = market_words(intent.trd_market or intent.header.trd_market)
    found = [
        holder
        for holder in desk.state.holders.values()
        if holder.account == account and (not markets or holder.market in markets)
    ]
    return tuple(reversed(found))


def own_orders_only(desk: Desk, visit: Visit, situation: Situation) -> tuple[Holder, ...] | None:
    """The key's own orders, if they have to be cancelled one by one; None: one request for all may be sent."""
    principal, account, policies = visit.principal, situation.account, visit.config.policies
    if not isinstance(situation.intent, CancelAll) or principal is None or account is None:
        return None
    orders = orders_in_scope(desk, situation)
    own = tuple(holder for holder in orders if holder.key == principal.name)
    if len(own) == len(orders):
        return None
    if policies is not None and cancels_account(policies, principal, account=account, wall=visit.wall):
        return None
    return own
