"""Takes a live order that was placed elsewhere into the ledger, as nobody's, with what it takes off a position."""

from collections.abc import Mapping

from guard.limits.bodies import short
from guard.limits.holder import About, Holder
from guard.limits.order_ids import NOBODY, note_order_ids
from guard.limits.shared import same_about, same_whole
from guard.limits.state import Opening, State, advance
from guard.limits.sums import take


def adopt(
    state: State,
    opening: Opening,
    targets: Mapping[str, int],
    *,
    order_id: str | None,
    order_id_ex: str | None,
    t_us: int,
) -> None:
    """Adds the order, which works under these ids already; `targets` are amounts on `working` cells.

    Nothing happens if the ledger has it already.
    """
    advance(state, t_us=t_us)
    if opening.step in state.holders:
        return
    if opening.account is None:
        raise AssertionError(f"order {opening.step} without an account")
    form, own = short(opening.order)
    about = same_about(About(NOBODY, opening.account, opening.market, opening.symbol, form))
    held = {cell: amount for cell, amount in targets.items() if amount}
    whole = same_whole(tuple(held), tuple(held.values()), "w" * len(held))
    take(state, whole)
    holder = state.holders[opening.step] = Holder(opening.step, about, own, whole)
    note_order_ids(state, holder, order_id=order_id, order_id_ex=order_id_ex)
