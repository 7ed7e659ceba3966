"""Whose order a push is about. Nothing is awaited and nothing of the ledger is changed.

An order's first pushes may come before the answer that brings its ids. Its own push names the decision in the remark;
what is learned from that is remembered for the fills, which carry no remark, until the ledger knows the ids itself.
"""

from collections import OrderedDict
from typing import Final

from guard.limits import NOBODY, State, owner_of
from guard.stream.pushes import Pushed
from guard.terms import Account, OrderNames, stamp_of

EARLY_MAX: Final = 1024  # orders that were pushed before they were answered


class Owners:
    """Over one ledger. Used on one event loop."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._early: OrderedDict[tuple[Account, str], str] = OrderedDict()

    def of(self, order: Pushed | None) -> str:
        """The principal's name, or NOBODY: the order was placed elsewhere or is unknown, or there is none."""
        if order is None:
            return NOBODY
        owner = owner_of(self._state, order.account, order.names)
        if owner and order.names.decision and order.names.order_id_ex:
            self._early[order.account, order.names.order_id_ex] = order.names.decision
            if len(self._early) > EARLY_MAX:
                self._early.popitem(last=False)
        if owner or not order.names.order_id_ex:
            return owner
        decision = self._early.get((order.account, order.names.order_id_ex))
        if decision is None:
            return NOBODY
        return owner_of(self._state, order.account, OrderNames(remark=stamp_of(decision)))
