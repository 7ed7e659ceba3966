"""Slots: a value that one step holds for a time. An Idempotency-Key is one.

A slot is free again when its time is over, but not while its step is open: as long as an order's outcome is not known,
its Idempotency-Key must not let a second order through. There are at most `SLOTS_MAX`, of about 500 bytes each, and at
most `EACH_MAX` of one key. Each key may have `EACH_MIN` however many there are, so that a few keys cannot take all.
"""

from typing import Final

from guard.limits.state import Slot, State, Step, drop_slot, keeper_of, put_slot
from guard.limits.sweep import remember
from guard.terms import Claim, Outcome, Verdict

SLOTS_MAX: Final = 250_000
EACH_MAX: Final = 100_000  # more than one account's orders and changes of a day at the broker's pace
EACH_MIN: Final = 1_000


def slot_bound_reached(state: State, counter: str, *, t_us: int) -> int | None:
    """The bound that forbids one more slot; None: one may be taken. Changes nothing.

    None also if the next step is due to sweep, and so may make room.
    """
    own = state.kept.get(keeper_of(counter), 0)
    if counter in state.slots or own < EACH_MIN or (state.turns and state.turns[0] <= t_us):
        return None
    if own >= EACH_MAX:
        return EACH_MAX
    return SLOTS_MAX if len(state.slots) >= SLOTS_MAX else None


def find_slot(state: State, counter: str, *, t_us: int) -> Slot | None:
    """The slot, if it is held at `t_us`; None: it is free. Changes nothing."""
    slot = state.slots.get(counter)
    if slot is None or (slot.until_us <= max(t_us, state.at_us) and slot.step not in state.steps):
        return None
    return slot


def take_slot(state: State, claim: Claim, *, step: str, t_us: int) -> None:
    """The step holds the slot for the claim's window from now."""
    until_us = t_us + claim.window_ms * 1000
    put_slot(state, claim.counter, Slot(claim.value, step, until_us))
    remember(state, until_us, claim.counter)


def settle_slot(state: State, claim: Claim, *, step: Step, outcome: Outcome) -> None:
    """Stores the outcome in the step's slot; frees it if nothing was sent. Another step's slot is left alone."""
    slot = state.slots.get(claim.counter)
    if slot is None or slot.step != step.id:
        return
    is_over = slot.until_us <= state.at_us and outcome.verdict is not Verdict.UNKNOWN
    if is_over or outcome.verdict is Verdict.NOT_SENT:
        drop_slot(state, claim.counter)
        return
    slot.outcome = outcome
