"""Slots: one value, held by one step for a time. An idempotency key is one.

A slot is free again when its time is over, but never while its step is open: as long as nobody knows what became of an
order, its idempotency key must not let a second one through. There are at most `SLOTS_MAX`, about 500 bytes each.
"""

from typing import Final

from guard.limits.state import Slot, State, Step
from guard.limits.sweep import remember
from guard.terms import Claim, Outcome, Verdict

SLOTS_MAX: Final = 250_000


def has_room(state: State, counter: str, *, t_us: int) -> bool:
    """The slot may be taken, where it is free: there are not too many, or the next step forgets some. Reads only."""
    if len(state.slots) < SLOTS_MAX or counter in state.slots:
        return True
    return bool(state.due) and state.due[0][0] <= t_us


def find_slot(state: State, counter: str, *, t_us: int) -> Slot | None:
    """Who holds the slot at `t_us`, or None when it is free. Reads only."""
    slot = state.slots.get(counter)
    if slot is None or (slot.until_us <= max(t_us, state.at_us) and slot.step not in state.steps):
        return None
    return slot


def take_slot(state: State, claim: Claim, *, step: str, t_us: int) -> None:
    """The step holds the slot for the claim's window from now."""
    until_us = t_us + claim.window_ms * 1000
    state.slots[claim.counter] = Slot(claim.value, step, until_us)
    remember(state, until_us, claim.counter, is_slot=True)


def settle_slot(state: State, claim: Claim, *, step: Step, outcome: Outcome) -> None:
    """Stores what became of the step; not sent frees the slot. A slot that is no longer the step's is left alone."""
    slot = state.slots.get(claim.counter)
    if slot is None or slot.step != step.id:
        return
    is_over = slot.until_us <= state.at_us and outcome.verdict is not Verdict.UNKNOWN
    if is_over or outcome.verdict is Verdict.NOT_SENT:
        del state.slots[claim.counter]
        return
    slot.outcome = outcome
