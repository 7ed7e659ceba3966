"""Is there room? Looks at all claims of a step at once; the answer is numbers and indexes, and nothing is changed.

There must be no `await` between a look and the `reserve` that follows it.
"""

from collections.abc import Iterable
from itertools import repeat
from typing import Final

from guard.limits import windows
from guard.limits.claims import check_cells
from guard.limits.rates import Quota
from guard.limits.slots import find_slot
from guard.limits.state import SUM_KINDS, State
from guard.limits.sums import part
from guard.limits.windows import first_in
from guard.terms import Claim, Full, Granted, Shortfall, Taken

_ZEROS: Final = repeat(0)  # what absent cells stand at


def check_claims(
    state: State, claims: tuple[Claim, ...], *, t_us: int, holder: str | None = None
) -> Granted | Full | Taken:
    """Whether every claim fits at `t_us`.

    If a slot is held, that alone is the answer. Otherwise a claim fits if what others use and what it asks for stay
    within its cap. What `holder`, the live order that is changed, holds on its counter is left out; cells in `also`
    count in full. A cap of zero refuses anything, no cap refuses nothing.
    """
    if len(claims) > 1:
        check_cells(claims)
    now_us = max(t_us, state.at_us)
    own = None if holder is None else state.holders.get(holder)
    counts: list[int] = []
    shortfalls: list[Shortfall] = []
    sums, logs = state.sums, state.logs
    for claim in claims:
        kind, counter = claim.kind, claim.counter
        if kind in SUM_KINDS:
            count = sums.get(counter, 0)
            if claim.also and not sums.keys().isdisjoint(claim.also):  # mostly nothing stands there
                count += sum(map(sums.get, claim.also, _ZEROS))
            if own is not None:
                count -= part(own, counter)
        elif kind != "slot":
            window_us, log = claim.window_ms * 1000, logs.get(counter)
            count = 0 if log is None else len(log.stamps) - first_in(log, now_us, window_us)
            for cell in claim.also:
                count += windows.count(logs.get(cell), t_us=now_us, window_us=window_us)
        elif (slot := find_slot(state, counter, t_us=now_us)) is None:
            count = 0
        else:
            return Taken(slot.value, slot.step)
        cap = claim.cap
        if cap is not None and (cap <= 0 or count + claim.amount > cap):
            shortfalls.append(Shortfall(len(counts), count, _free_at(state, claim, now_us)))
        counts.append(count)
    return Full(tuple(counts), tuple(shortfalls)) if shortfalls else Granted(tuple(counts))


def used_by_others(state: State, counter: str, *, holder: str | None) -> int:
    """The sum on a counter without the part of `holder`."""
    own = None if holder is None else state.holders.get(holder)
    return state.sums.get(counter, 0) - (0 if own is None else part(own, counter))


def used(state: State, counter: str, *, t_us: int, window_ms: int = 0) -> int:
    """What is used of a counter: its sum, or with a window the number of stamps in (t-w, t].

    Exact for windows up to a minute; a wider one sees as far back as the widest window that was claimed on the cell.
    """
    if window_ms:
        log = state.logs.get(counter)
        return windows.count(log, t_us=max(t_us, state.at_us), window_us=window_ms * 1000)
    return state.sums.get(counter, 0)


def free_in_us(state: State, counter: str, *, t_us: int, window_us: int) -> int:
    """How long until the oldest stamp leaves the window and some of the quota comes back; 0: there is no stamp."""
    now_us = max(t_us, state.at_us)
    stamps = windows.stamps_in(state.logs.get(counter), t_us=now_us, window_us=window_us)
    return stamps[0] + window_us - now_us if stamps else 0


def left_of(state: State, quotas: Iterable[Quota], *, t_us: int) -> str:
    """The RateLimit field: what is left of each of these rates, and in how many seconds some of it comes back."""
    lefts, logs, now_us = "", state.logs, max(t_us, state.at_us)
    for name, counter, cap, window_us in quotas:
        log, count, free_us = logs.get(counter), 0, 0
        if log is not None:
            stamps = log.stamps
            first = first_in(log, now_us, window_us)
            count = len(stamps) - first
            free_us = stamps[first] + window_us - now_us if count else 0
        left = f"{name};r={cap - count if count < cap else 0};t={-(-free_us // 1_000_000)}"
        lefts = f"{lefts}, {left}" if lefts else left
    return lefts


def _free_at(state: State, claim: Claim, now_us: int) -> int | None:
    """When a full window has room for one more; None for a claim without a window."""
    if claim.cap is None or claim.kind in SUM_KINDS:
        return None
    window_us = claim.window_ms * 1000
    stamps: list[int] = []
    for cell in (claim.counter, *claim.also):
        stamps += windows.stamps_in(state.logs.get(cell), t_us=now_us, window_us=window_us)
    return windows.free_at(sorted(stamps), cap=claim.cap, window_us=window_us)
