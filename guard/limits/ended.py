"""Orders of ours that ended lately, with what each spent: the daemon may show a fill only after the order's end.

Orders that were given up because no list showed them are kept as well, since they may turn up all the same. A late fill
is charged like any other, as an absolute amount that never becomes less. What these orders spent is part of
`State.spent`, as that of all ended orders. Only the latest are kept.
"""

from collections.abc import Mapping
from typing import Final

from guard.limits.holder import NONE_FILLED, Amounts, Course, Fills, Holder
from guard.limits.order_ids import NOBODY
from guard.limits.state import State, advance, touch
from guard.limits.sums import part, put, spend

ENDED_MAX: Final = 500  # a quarter of an hour of one account at the pace that the broker allows


def keep_ended(state: State, holder: Holder, spent: Amounts) -> None:
    """The order has ended: it is remembered, and holds what it spent."""
    if holder.about.key == NOBODY:
        return
    course, ended = holder.course, state.ended
    if type(course) is Amounts:
        holder.course = Course(spent, course, NONE_FILLED, "done")
    else:
        holder.course = Course(spent, course.claimed, course.fills, "done")
    ended[holder.id] = holder
    if len(ended) > ENDED_MAX:
        ended.popitem(last=False)


def fill_ended(state: State, order_id: str, targets: Mapping[str, int], *, fills: Fills, t_us: int) -> None:
    """Charges a fill that was learned after the order's end; an order that is not remembered is not charged.

    `targets` are what it has spent altogether; what was charged before is never taken back.
    """
    advance(state, t_us=t_us)
    holder = state.ended.get(order_id)
    if holder is None:
        return
    for cell, amount in targets.items():
        more = amount - part(holder, cell)
        if more > 0:
            put(state, holder, cell, amount=amount, kind="spend")
            spend(state, cell, more)
            touch(state, order_id, (cell,))
    if fills.qty >= holder.fills.qty:
        touch(state, order_id)
        holder.fills = fills
