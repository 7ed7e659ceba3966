"""Counters that nobody kept, made beside the ledger a few orders at a time, and taken over in one step.

`graft` and `promote` look at every live order, and with 50,000 of them that is felt. Here the orders as they shall be
are built meanwhile, in slices between which others go on; what changes in either ledger after it was built is built
again. Taking over then costs what has changed since the last slice, and cells, however many orders are live. The
ledger is what `promote` and `graft` would have made of it in that moment.
"""

from collections.abc import Collection
from copy import copy
from itertools import islice
from typing import Final

from msgspec.structs import replace

from guard.limits.grafting import Graft, Held, graft_elsewhere, held_of, hold, missing_elsewhere
from guard.limits.holder import Holder
from guard.limits.promoting import hold_plain, promote_elsewhere
from guard.limits.state import State
from guard.limits.sums import move

ORDERS_MAX: Final = 32  # built in one go, or fewer where they hold more than
CELLS_MAX: Final = 1_024  # so many cells together: a fraction of a millisecond


class Staging:
    """Over two ledgers: the one in force, and the one that counted as it shall be. `words`: what is promoted.

    Both are listened to until `close`. Whoever moves either tells nobody: the ledgers' own functions do.
    """

    def __init__(self, state: State, other: State, words: Collection[str] = ()) -> None:
        self._state, self._other, self._words = state, other, words
        state.touched, other.touched = {}, {}
        self._scratch = State()  # its sums tell what an order adds
        self._left = iter(list(state.holders))
        self._is_through = False
        self._holders: dict[str, Holder] = {}
        self._adds: dict[str, dict[str, int]] = {}
        self._sums: dict[str, int] = {}
        self._told: dict[str, None] = {}

    def build(self) -> Graft | None:
        """The next few orders, as a graft that says what they lack; None once only what changes meanwhile is left."""
        held, built, cells = dict[str, Held](), 0, 0
        for name in self._left:
            self._build(name, held)
            built += 1
            holder = self._holders.get(name)
            cells += len(holder.holds.cells) if holder is not None else 1
            if built >= ORDERS_MAX or cells >= CELLS_MAX:
                break
        self._is_through = not built
        return Graft(holders=held) if built else None

    @property
    def changed(self) -> int:
        """How many orders have changed since they were built; it grows with what goes on."""
        return len(self._changes())

    def build_again(self, *, count: int = ORDERS_MAX) -> Graft:
        """Some of the orders that have changed; it takes the place of what was said of them. After the last `build`."""
        held = dict[str, Held]()
        for name in list(islice(self._changes(), count)):
            for ledger in (self._state, self._other):
                if ledger.touched is not None:
                    ledger.touched.pop(name, None)
            self._build(name, held)
        return Graft(holders=held)

    def rest(self) -> Graft:
        """All that no other part has said, as of now: to be taken over in this very step, once it is recorded."""
        holders: dict[str, Held] = {}
        while not self._is_through:
            part = self.build()
            holders |= {} if part is None else part.holders
        while self._changes():
            holders |= self.build_again().holders
        return replace(missing_elsewhere(self._state, self._other), holders=holders)

    def take_over(self, rest: Graft, *, t_us: int) -> dict[str, Holder]:
        """The ledger counts it from now on. What its orders were before is for the caller to let go of, bit by bit."""
        if self.changed:
            raise AssertionError("orders have changed since the rest was told")
        state, before = self._state, self._state.holders
        state.holders, self._holders = self._holders, {}
        for cell, delta in self._sums.items():
            move(state.sums, cell, delta)
        if self._words:
            promote_elsewhere(state, self._words, t_us=t_us)
        graft_elsewhere(state, rest, t_us=t_us)
        return before

    def close(self) -> tuple[dict[str, Holder], dict[str, dict[str, int]]]:
        """Nobody listens any more. What is left over is for the caller to let go of, bit by bit."""
        self._state.touched = self._other.touched = None
        return self._holders, self._adds

    # ------------------------------------------------------------ one order

    def _changes(self) -> dict[str, None]:
        """Those of the ledger in force first: in the order in which new ones began."""
        return {**(self._state.touched or {}), **(self._other.touched or {})}

    def _build(self, name: str, told: dict[str, Held]) -> None:
        for cell, amount in self._adds.pop(name, {}).items():
            move(self._sums, cell, -amount)
        holder, other = self._state.holders.get(name), self._other.holders.get(name)
        if holder is None:
            self._holders.pop(name, None)
            return
        held = None if other is None else held_of(holder, other)
        if held is not None or name in self._told:
            self._told[name] = None
            told[name] = held or Held()
        if held is None and not self._words:
            self._holders[name] = holder
            return
        self._holders[name] = grown = copy(holder)
        adds = self._scratch.sums = dict[str, int]()
        hold_plain(self._scratch, grown, self._words)
        if held is not None:
            hold(self._scratch, grown, held)
        self._adds[name] = adds
        for cell, amount in adds.items():
            move(self._sums, cell, amount)
