"""A shortcut for orders like one that was read before: only what may differ is read again.

A program sends the same order over and over with another quantity, price and remark. Two bodies that have the same
names with values of the same types, and the same values apart from these three, mean the same order apart from these
three, since whether one of them is valid depends on nothing else that may differ. Only orders that passed are kept, and
only from short bodies (a number may have 65,000 zeros behind its point). If one of the three is wrong the whole body is
read, so that every fault is reported.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Final

from guard.intent.fields import Fields
from guard.intent.orders import once_more
from guard.intent.strict import SCALARS, Members
from guard.terms import PlaceOrder

LAYOUTS_MAX: Final = 64
ORDERS_MAX: Final = 4096
ORDER_BYTES_MAX: Final = 1024  # of an order that is kept
_ANEW: Final = frozenset({"qty", "price", "remark"})
_Rest = Callable[[Members], object]
_rests: Final[dict[tuple[object, ...], _Rest]] = {}
"""By the names and types of a flat body: what takes all values from it but the three."""
_orders: Final[dict[tuple[_Rest, object], PlaceOrder]] = {}


def like(members: Members) -> PlaceOrder | None:
    """The order, if all but quantity, price and remark is known and these three are valid; else None."""
    rest = _rests.get((*members, *map(type, members.values())))
    was = None if rest is None else _orders.get((rest, rest(members)))
    return None if was is None else once_more(was, Fields(members))


def keep(members: Members, order: PlaceOrder) -> None:
    """Keeps the order of this body, unless the body is nested or spells its quantity another way."""
    types = tuple(map(type, members.values()))
    if "qty" not in members or not SCALARS.issuperset(types):
        return
    layout = (*members, *types)
    if layout not in _rests:
        if len(_rests) >= LAYOUTS_MAX:
            _rests.clear()
            _orders.clear()
        _rests[layout] = itemgetter(*[name for name in members if name not in _ANEW])
    rest = _rests[layout]
    if len(_orders) >= ORDERS_MAX:
        _orders.clear()
    _orders[rest, rest(members)] = order
