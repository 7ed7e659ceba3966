"""Forgets logs and slots that can no longer count, a few with every step: memory stays bounded, no answer changes.

`State.due` has an entry for every log and for every taking of a slot, under the end of the second in which it is due;
`State.turns` is the heap of these ends. An entry whose log turns out to be still in use is put back.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final

from guard.limits import windows
from guard.limits.state import Log, State, drop_slot, touch

SWEPT_MAX: Final = 4  # entries looked at for each claim posted; as a claim adds at most one, sweeping keeps up
TURN_US: Final = 1_000_000  # entries that are due within it are looked at in any order


def remember(state: State, due_us: int, cell: str) -> None:
    """Has the cell looked at again at `due_us` or some time after."""
    _in_turn(state, due_us).append(cell)


def remember_all(state: State, due_us: int, cells: Iterable[str]) -> None:
    """The same for many cells with one time: if it is too early for some, that costs less than to look at each now."""
    if some := list(cells):
        _in_turn(state, due_us).extend(some)


def put_log(state: State, cell: str, log: Log) -> None:
    """The cell's log from now on; a cell that had none gets its entry, one that had is due to be looked at already."""
    if cell not in state.logs:
        remember(state, (log.stamps[-1] if log.stamps else state.at_us) + log.widest_us, cell)
    state.logs[cell] = log


def _in_turn(state: State, due_us: int) -> list[str]:
    turn_us = -(-due_us // TURN_US) * TURN_US
    cells = state.due.get(turn_us)
    if cells is None:
        cells = state.due[turn_us] = []
        heappush(state.turns, turn_us)
    return cells


def sweep(state: State, *, t_us: int, claims: int) -> None:
    """Looks at a few cells that are due, in proportion to the claims posted, and forgets those that no longer count."""
    turns, left = state.turns, SWEPT_MAX * claims
    while left and turns and turns[0] <= t_us:
        left -= 1
        cells = state.due[turns[0]]
        cell = cells.pop()
        if not cells:
            del state.due[heappop(turns)]
        if cell in state.logs:  # no cell is both
            _sweep_log(state, cell, t_us)
        else:
            _sweep_slot(state, cell, t_us)


def _sweep_slot(state: State, cell: str, t_us: int) -> None:
    slot = state.slots.get(cell)
    # The slot of an open step is freed when that step is settled.
    if slot is not None and slot.until_us <= t_us and slot.step not in state.steps:
        drop_slot(state, cell)


def _sweep_log(state: State, cell: str, t_us: int) -> None:
    log = state.logs[cell]
    if state.touched is not None:
        touch(state, None, (cell,))
    if windows.is_forgettable(log, t_us=t_us):
        del state.logs[cell]
    elif windows.is_over(log, t_us=t_us):
        del log.stamps[:]
        remember(state, t_us + log.widest_us, cell)
    else:
        remember(state, log.stamps[-1] + log.widest_us, cell)
