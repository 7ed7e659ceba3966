"""Orders like one that was read before: what they say anew is read, what they say once more is known.

A program sends the same order over and over, with another quantity, price and remark. Where two bodies have the same
names with values of the same types, and the same values but for these three, they mean the same order but for these
three: whether such a member is right hangs on nothing else that may differ. Only orders that passed are kept, of short
bodies (a number may have 65,000 zeros behind its point); and where one of the three is wrong the whole body is read,
for all that is wrong with it is told.
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
    """The order that the body is, where all but quantity, price and remark is known, and these are right."""
    rest = _rests.get((*members, *map(type, members.values())))
    was = None if rest is None else _orders.get((rest, rest(members)))
    return None if was is None else once_more(was, Fields(members))


def keep(members: Members, order: PlaceOrder) -> None:
    """The order that the body was, unless the body is nested, or names its quantity otherwise."""
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
