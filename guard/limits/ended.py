"""Orders of ours that ended of late, with what each spent: for a fill that the daemon shows only after an order's end.

So are those that were given up, for no list showed them: they may come all the same.

Such a fill was paid for, so it is charged as any is: absolute amounts, which never become less. What these orders spent
is part of `State.spent`, as that of all ended ones. Only the latest are kept.
"""

from collections.abc import Mapping
from typing import Final

from guard.limits.holder import NONE_FILLED, Amounts, Course, Fills, Holder
from guard.limits.order_ids import NOBODY
from guard.limits.state import State, advance, touch
from guard.limits.sums import part, put, spend

ENDED_MAX: Final = 500  # a quarter of an hour of one account at the pace that the broker allows


def keep_ended(state: State, holder: Holder, spent: Amounts) -> None:
    """The order is over: from now on it is remembered, and holds what it spent."""
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
    """So much of the order was filled after all, and this is what it spent; one that is not remembered spends nothing.

    What it was charged before stays charged.
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
