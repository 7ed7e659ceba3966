"""What is learned of live orders after they were sent: fills and ends; and which steps are in doubt.

Amounts are absolute, so being told the same fill twice, or late, changes nothing.
"""

from collections.abc import Mapping
from typing import Literal

from guard.limits.ended import keep_ended
from guard.limits.holder import NONE_FILLED, NOTHING, Fills, Holder
from guard.limits.order_ids import forget_order
from guard.limits.state import SUM_KINDS, State, Step, advance, touch
from guard.limits.sums import claimed_as, give_back, let_go, put


def set_targets(
    state: State,
    holder_id: str,
    targets: Mapping[str, int],
    *,
    t_us: int,
    fills: Fills = NONE_FILLED,
    ends: bool = False,
) -> None:
    """The order holds exactly these amounts on these cells; other cells stay. An order that has ended holds nothing.

    A cell that the order never claimed is one that it spent on. While a step of the order is open its claims stay
    reserved, and a refusal goes back to what was told here. `fills`: what is noted of it beside that, as by
    `note_filled`. `ends`: it is over with that, as by `end_order`, so what an order without an open step holds of
    working and count cells is not set first.
    """
    advance(state, t_us=t_us)
    holder = state.holders.get(holder_id)
    if holder is None:
        return
    if fills is not NONE_FILLED:
        _note_filled(state, holder, fills)
    if holder.status == "done":
        return
    for cell, amount in targets.items():
        if amount < 0:
            raise AssertionError(f"target of {amount} on {cell}")
    if state.touched is not None:
        touch(state, holder_id)
    opened = holder.step
    reserved = {} if opened is None else _tell(state.steps[opened], targets)
    over = holder.holds.cells if ends and opened is None else ()  # what it leaves there is worked out as it ends
    for cell, amount in targets.items():
        if cell not in over:
            held = max(amount, reserved.get(cell, 0))
            put(state, holder, cell, amount=held, kind=claimed_as(holder, cell) or "spend")
    if ends:
        _end(state, holder, targets)


def note_filled(state: State, holder_id: str, fills: Fills, *, t_us: int) -> None:
    """Notes how much of the order is filled, and for how much. Never lowered, since a list may lag."""
    advance(state, t_us=t_us)
    holder = state.holders.get(holder_id)
    if holder is not None:
        _note_filled(state, holder, fills)


def _note_filled(state: State, holder: Holder, fills: Fills) -> None:
    qty, known = fills.qty, holder.fills
    if not qty or qty < known.qty or (qty == known.qty and fills.paid in {None, known.paid}):
        return
    if state.touched is not None:
        touch(state, holder.id)
    holder.fills = fills


def end_order(state: State, holder_id: str, *, t_us: int) -> None:
    """The order has ended: what it holds on working and count cells is freed, what it spent stays spent.

    What its fills cost must have been set before, by `set_targets`. The order is forgotten at once, or once its open
    step is settled. For an order that is not live nothing happens.
    """
    advance(state, t_us=t_us)
    holder = state.holders.get(holder_id)
    if holder is not None and holder.status != "done":
        _end(state, holder, {})


def give_up(state: State, holder_id: str, *, t_us: int) -> None:
    """The order was never there, says a person: all that it holds is freed. It is remembered, for it may turn up.

    For an order that is not live, or has an open step, nothing happens.
    """
    advance(state, t_us=t_us)
    holder = state.holders.get(holder_id)
    if holder is None or holder.step is not None:
        return
    touch(state, holder_id)
    let_go(state, holder.holds, keep_spend=False)
    keep_ended(state, holder, NOTHING)
    forget_order(state, holder)


def _end(state: State, holder: Holder, told: Mapping[str, int]) -> None:
    if state.touched is not None:
        touch(state, holder.id, holder.holds.cells)
    if holder.step is None:
        keep_ended(state, holder, let_go(state, holder.holds, keep_spend=True, told=told))
        forget_order(state, holder)
    else:
        give_back(state, holder, keep_spend=True)
        holder.status = "done"


def unknowns(state: State) -> tuple[Step, ...]:
    """The steps whose outcome is unknown, oldest first."""
    return tuple(step for step in state.steps.values() if step.status == "unknown")


def holder_of(state: State, step: Step) -> Holder | None:
    """The live order that the step opens, changes or cancels."""
    return state.holders.get(step.holder or step.of or "")


def change_in_flight(state: State, holder_id: str) -> Literal["none", "in_flight", "unknown"]:
    """Whether a step of this order is open. Only one may be: with two, a refusal would not know what to go back to."""
    holder = state.holders.get(holder_id)
    if holder is None or holder.step is None:
        return "none"
    return "unknown" if state.steps[holder.step].status == "unknown" else "in_flight"


def _tell(step: Step, targets: Mapping[str, int]) -> dict[str, int]:
    """Notes in the open step what was learned; returns what the step keeps reserved on these cells."""
    before = list(step.before)
    reserved = {}
    for at, claim in enumerate(step.claims):
        if claim.kind in SUM_KINDS and claim.counter in targets:
            before[at] = targets[claim.counter]
            reserved[claim.counter] = claim.held
    step.before = tuple(before)
    step.told = tuple(sorted({*step.told, *reserved}))
    return reserved
