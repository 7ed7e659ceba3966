"""Slots: one value, held by one step for a time. An idempotency key is one.

A slot is free again when its time is over, but never while its step is open: as long as nobody knows what became of an
order, its idempotency key must not let a second one through. There are at most `SLOTS_MAX`, about 500 bytes each, and
of one key at most `EACH_MAX`. So that a few keys cannot take what others need, each may have `EACH_MIN` whatever there
is.
"""

from typing import Final

from guard.limits.state import Slot, State, Step, drop_slot, keeper_of, put_slot
from guard.limits.sweep import remember
from guard.terms import Claim, Outcome, Verdict

SLOTS_MAX: Final = 250_000
EACH_MAX: Final = 100_000  # more than one account's orders and changes of a day at the broker's pace
EACH_MIN: Final = 1_000


def bound_met(state: State, counter: str, *, t_us: int) -> int | None:
    """The bound that stands in the way of one more; None: the slot may be taken, where it is free. Reads only.

    Where the next step forgets some, nothing is in the way.
    """
    own = state.kept.get(keeper_of(counter), 0)
    if counter in state.slots or own < EACH_MIN or (state.turns and state.turns[0] <= t_us):
        return None
    if own >= EACH_MAX:
        return EACH_MAX
    return SLOTS_MAX if len(state.slots) >= SLOTS_MAX else None


def find_slot(state: State, counter: str, *, t_us: int) -> Slot | None:
    """Who holds the slot at `t_us`, or None when it is free. Reads only."""
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
    """Stores what became of the step; not sent frees the slot. A slot that is no longer the step's is left alone."""
    slot = state.slots.get(claim.counter)
    if slot is None or slot.step != step.id:
        return
    is_over = slot.until_us <= state.at_us and outcome.verdict is not Verdict.UNKNOWN
    if is_over or outcome.verdict is Verdict.NOT_SENT:
        drop_slot(state, claim.counter)
        return
    slot.outcome = outcome
