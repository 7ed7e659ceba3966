"""`promote` and `graft` in slices: new counters are prepared beside the ledger and taken over in one step.

`promote` and `graft` look at every live order and cell, which takes too long in one go with 50,000 of them. Here the
orders are built as they shall be in slices, between which the loop goes on, and the cells are found that lack stamps or
spent amounts. Whatever changes in either ledger after that is built, or looked at, again. Taking over then costs only
what has changed since the last slice and what is missing, and leaves the ledger as `promote` and `graft` would have.
"""

from collections.abc import Collection, Iterable
from copy import copy
from itertools import islice
from typing import Any, Final

from msgspec.structs import replace

from guard.limits import windows
from guard.limits.grafting import (
    Graft,
    Held,
    graft_elsewhere,
    held_of,
    hold,
    merge_grafts,
    missing_elsewhere,
    missing_log,
    missing_spent,
)
from guard.limits.holder import Holder
from guard.limits.promoting import hold_plain, plain_of, promoted_log, promoted_spent
from guard.limits.state import Log, LogPart, State, Touched, advance
from guard.limits.sums import move, raise_spent
from guard.limits.sweep import put_log, remember_all

ORDERS_MAX: Final = 8  # built in one go, or fewer where they hold more than
CELLS_MAX: Final = 128  # so many cells together: a fraction of a millisecond; also looked at in one go, or fewer of
STAMPS_MAX: Final = 4_096  # so many stamps together, or of which
LOGS_MAX: Final = 16  # so many logs are put together anew
AGAIN_MAX: Final = 1_000  # stamps of a log that is told again each time that it changes; a longer one is told once
DRAWERS: Final = 64  # a table of all live orders would be laid out anew as it grows, 2 ms in one go for 50,000 of them
Adds = dict[str, int]
_NO_STAMPS: Final = LogPart([], 0)


class Staging:
    """Works on two ledgers: the one in force, and one that was folded as it shall be. `words`: what is promoted.

    Until `close` both note what is changed in them (`State.touched`); the functions of this room see to that.
    """

    def __init__(self, state: State, other: State, words: Collection[str]) -> None:
        self._state, self._other, self._words = state, other, words
        self._touched = state.touched, other.touched = Touched(), Touched()
        self._scratch = State()  # its sums tell what an order adds
        self._left = iter([*state.holders, *state.ended])
        self._cells_left = iter((*other.spent, *other.logs, *((*state.spent, *state.logs) if words else ())))
        self._is_through = False
        self._holders: dict[str, Holder] = {}
        self._ended: dict[str, Holder] = {}
        self._drawers = tuple(dict[str, tuple[Adds, bool]]() for _ in range(DRAWERS))  # and whether it was told of
        self._sums: Adds = {}
        self._missing: set[str] = set()
        self._told: dict[str, LogPart] = {}  # stamps that are missing, and the logs with them
        self._grown: dict[str, Log] = {}
        self._spent: dict[str, int] = {}  # of promoted cells, and their stamps
        self._logs: dict[str, Log] = {}

    def build(self) -> Graft | None:
        """Builds the next few orders, or looks at the next few cells: a graft of what they lack; None: all are done.

        The first call only copies the table of orders, which takes 1 ms for 50,000.
        """
        if not self._holders and self._state.holders:  # in one piece, so that it does not grow, and for itself
            self._holders = self._state.holders.copy()
            return Graft()
        held, logs, built, cells = dict[str, Held](), dict[str, LogPart](), 0, 0
        for name in self._left:
            self._build(name, held)
            built += 1
            holder = self._holders.get(name)
            cells += len(holder.holds.cells) if holder is not None else 1
            if built >= ORDERS_MAX or cells >= CELLS_MAX:
                break
        looked_at = self._look(self._cells_left, logs) if not built else 0
        self._is_through = not (built or looked_at)
        return None if self._is_through else Graft(holders=held, logs=logs)

    @property
    def changed(self) -> int:
        """How many orders have changed since they were built."""
        return len(self._changes())

    @property
    def stirred(self) -> int:
        """How many cells may have changed since they were looked at."""
        return sum(len(touched.cells) for touched in self._touched)

    def build_again(self, *, count: int = ORDERS_MAX) -> Graft:
        """After the last `build`: some of what has changed, as a graft that replaces what was said of it before."""
        held, logs = dict[str, Held](), dict[str, LogPart]()
        for name in list(islice(self._changes(), count)):
            for touched in self._touched:
                touched.orders.pop(name, None)
            self._build(name, held)
        for touched in self._touched:
            cells = list(islice(touched.cells, CELLS_MAX))
            touched.cells.difference_update(cells[: self._look(cells, logs)])
        return Graft(holders=held, logs=logs)

    def rest(self) -> Graft:
        """All that no other part has said, as of now; to be recorded and taken over in this very step."""
        parts = list[Graft]()
        while not self._is_through:
            parts.append(self.build() or Graft())
        while self.changed or self.stirred:
            parts.append(self.build_again())
        told, left = merge_grafts(parts), missing_elsewhere(self._state, self._other, self._missing)
        logs = told.logs | {cell: log for cell, log in left.logs.items() if cell not in self._told}
        return replace(left, holders=told.holders, logs=logs)

    def take_over(self, rest: Graft, *, t_us: int) -> dict[str, Holder]:
        """Puts it all into the ledger. Returns the old table of orders, for the caller to free bit by bit."""
        if self.changed or self.stirred:
            raise AssertionError("orders have changed since the rest was told")
        state, before = self._state, self._state.holders
        state.holders, self._holders = self._holders, {}
        state.ended.update((name, ended) for name, ended in self._ended.items() if name in state.ended)
        for cell in state.sums.keys() & self._sums.keys():  # hardly any; the others come without a look at each
            move(state.sums, cell, self._sums.pop(cell))
        state.sums.update(self._sums)
        advance(state, t_us=t_us)
        for plain, amount in self._spent.items():
            raise_spent(state, plain, amount)
        for plain, log in self._logs.items():
            put_log(state, plain, log)
        for cell in [cell for cell, told in self._told.items() if windows.is_over(told, t_us=state.at_us)]:
            del self._grown[cell]
        remember_all(state, state.at_us + windows.KEPT_MIN_US, self._grown.keys() - state.logs.keys())
        state.logs.update(self._grown)
        graft_elsewhere(state, rest, t_us=t_us)
        return before

    def close(self) -> list[dict[Any, Any]]:
        """Ends the listening. Returns the containers that are no longer needed, those of the second ledger too.

        The caller frees them bit by bit.
        """
        self._state.touched = self._other.touched = None
        other, ids = self._other, self._other.ids.values()
        theirs = (other.holders, other.ended, other.sums, other.spent, other.days, other.logs, other.slots, other.steps)
        ours = (self._sums, self._spent, self._logs, self._told, self._grown)
        named = (names for one in ids for names in (one.live, one.live_ex, one.recent))
        return [self._holders, self._ended, *self._drawers, *ours, *theirs, *named]

    # ------------------------------------------------------------ one cell

    def _look(self, cells: Iterable[str], told: dict[str, LogPart]) -> int:
        """Looks whether something is missing on the next few of these cells; returns how many were looked at."""
        looked_at = stamps = 0
        for cell in cells:
            is_missing = self._is_left(cell, told) or missing_spent(self._state, self._other, cell)
            (self._missing.add if is_missing else self._missing.discard)(cell)
            if self._words:
                self._promote(plain_of(cell, self._words) or cell)
            looked_at += 1
            stamps += sum(len(ledger.logs[cell].stamps) for ledger in (self._state, self._other) if cell in ledger.logs)
            if looked_at >= CELLS_MAX or stamps >= STAMPS_MAX or len(told) >= LOGS_MAX:
                break
        return looked_at

    def _is_left(self, cell: str, told: dict[str, LogPart]) -> bool:
        """Tells missing stamps now, or takes back what was told; True: they are left to the step of the change.

        Left are those of a cell whose own window is wider or that goes on from its shadow, since what is told now would
        no longer be right by then; and those of a long log that keeps changing, since each record repeats all of it.
        """
        log, known = missing_log(self._state, self._other, cell), self._state.logs.get(cell)
        looks_further = known is not None and log is not None and known.widest_us > log.widest_us
        if log is None or looks_further or self._goes_on(cell, log) or cell.partition("/")[0] in self._words:
            if self._told.pop(cell, None) is not None:
                told[cell] = _NO_STAMPS
                del self._grown[cell]
            return log is not None
        self._told[cell] = told[cell] = log
        self._grown[cell] = windows.merged(known, log)
        return False

    def _goes_on(self, cell: str, log: LogPart) -> bool:
        """A long log that has changed since it was looked at."""
        return len(log.stamps) > AGAIN_MAX and (cell in self._told or cell in self._missing)

    def _promote(self, plain: str) -> None:
        """Works out what the cell goes on from if its word is promoted; again whenever it or its shadow changes."""
        self._spent.pop(plain, None)
        self._logs.pop(plain, None)
        if plain.partition("/")[0] not in self._words:
            return
        spent, log = promoted_spent(self._state, plain), promoted_log(self._state, plain)
        if spent:
            self._spent[plain] = spent
        if log is not None:
            self._logs[plain] = log

    # ------------------------------------------------------------ one order

    def _changes(self) -> dict[str, None]:
        """The changed orders; those of the ledger in force first, in the order in which they began."""
        ours, others = self._touched
        return {**ours.orders, **others.orders}

    def _build(self, name: str, told: dict[str, Held]) -> None:
        drawer = self._drawers[hash(name) % DRAWERS]
        added, is_told = drawer.pop(name, ({}, False))
        for cell, amount in added.items():
            move(self._sums, cell, -amount)
        holder, other = self._state.holders.get(name), self._other.holders.get(name)
        if holder is None:
            self._holders.pop(name, None)
            drawer[name] = {}, self._build_ended(name, told, is_told=is_told)
            return
        held = None if other is None else held_of(holder, other)
        if held is not None or is_told:
            is_told = True
            told[name] = held or Held()
        adds: Adds = {}
        drawer[name] = adds, is_told
        if held is None and not self._words:
            self._holders[name] = holder
            return
        self._holders[name] = grown = copy(holder)
        self._scratch.sums = adds
        hold_plain(self._scratch, grown, self._words)
        if held is not None:
            hold(self._scratch, grown, held)
        for cell, amount in adds.items():
            move(self._sums, cell, amount)

    def _build_ended(self, name: str, told: dict[str, Held], *, is_told: bool) -> bool:
        """Builds an order that is no longer live; whether something was told of it."""
        self._ended.pop(name, None)
        ended, other = self._state.ended.get(name), self._other.ended.get(name)
        held = None if ended is None or other is None else held_of(ended, other)
        if held is not None or is_told:
            told[name] = held or Held()
        if ended is not None and (held is not None or self._words):
            self._ended[name] = grown = copy(ended)
            hold_plain(State(), grown, self._words)
            hold(State(), grown, held or Held())
        return held is not None or is_told
