"""The ledger's state: plain data, changed only by the functions of this room.

Amounts are `int` (ledger units for money, plain numbers for counts); times are `int` microseconds of the record's own
clock `t`.
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct, field

from guard.limits.days import Days
from guard.limits.holder import Holder, Name, Worth, slim
from guard.terms import Account, Claim, ClaimKind, Outcome

SUM_KINDS: Final[frozenset[ClaimKind]] = frozenset({"spend", "working", "count"})
KIND_OF: Final[dict[str, ClaimKind]] = {kind[0]: kind for kind in SUM_KINDS}
LOG_KINDS: Final[frozenset[ClaimKind]] = frozenset({"rate", "once"})

StepStatus = Literal["sent", "unknown"]
TradingState = Literal["active", "reduce_only", "cancel_only", "locked"]
Scope = tuple[frozenset[str], frozenset[int], frozenset[str]]


class Opening(Struct, frozen=True, gc=False):
    """A decision that is about to be sent, as `reserve` needs it and the decision record holds it.

    `holder` equal to `step` opens a new order, which needs `account` and the fields after it. Another `holder` changes
    that live order. None moves no order's money (a cancel); `of` may then name the live order that is cancelled.
    `order`: the canonical body of the order as it shall be, for a cancel the body that is sent. `worth`: the valuation
    that claims on money were made from. `is_raw`: the body is as it was sent, until `put_body` shortens it, and
    what is claimed stays numbers until `in_short`.
    """

    step: str
    claims: tuple[Claim, ...]
    holder: str | None = None
    of: str | None = None
    key: str = ""
    account: Account | None = None
    market: str = ""
    symbol: str = ""
    order: bytes = b""
    worth: Worth | None = None
    is_raw: bool = False


class Step(Struct, gc=False):
    """One decision in flight, gone once its outcome is known for certain.

    `before[i]`: what the holder held on the cell of `claims[i]` when the step began, or what was learned since; a
    refusal restores it, on this step's cells only. `told`: the cells of which something was learned. `order` and
    `worth`: what a changed order becomes once the change is accepted; for a cancel `order` is the body that was sent,
    for `account`. `unknown_us`: since when the outcome is in doubt, which is never before it was sent.
    """

    id: str
    holder: str | None
    of: str | None
    claims: tuple[Claim, ...]
    before: tuple[int, ...]
    t_us: int
    status: StepStatus = "sent"
    told: tuple[str, ...] = ()
    order: bytes = b""
    worth: Worth | None = None
    account: Account | None = None
    unknown_us: int = 0


class Slot(Struct, gc=False):
    """A slot that is held: by which step, with which digest, until when, and that step's outcome (None: open)."""

    value: str
    step: str
    until_us: int
    outcome: Outcome | None = None


class Log(Struct, gc=False):
    """The stamps of one cell in ascending order, kept as long as the widest window that was claimed on it.

    The log of a rate remembers that window even when it is empty: others may claim narrower windows on the same cell,
    and must not make it forget stamps that the wider one still counts. A cell of `once` belongs to one order and starts
    afresh.
    """

    stamps: "array[int] | list[int]"  # a rate's as an array, in a fifth of the memory of a list
    widest_us: int
    is_rate: bool = True


class LogPart(Struct, frozen=True):
    """A log, or a part of one, as it is written."""

    stamps: list[int]
    widest_us: int
    is_rate: bool = True


class OrderIds(Struct, gc=False):
    """The order ids of one account: those of live orders, and the latest of ended ones with their owners."""

    account: Account
    live: dict[Name, str] = field(default_factory=dict)
    live_ex: dict[Name, str] = field(default_factory=dict)
    recent: OrderedDict[Name, str] = field(default_factory=OrderedDict)

    def __contains__(self, order_id: object) -> bool:
        """The daemon has given this id to an order before, so an answer with it repeats an old one (B33).

        True for either of an order's two ids; ended orders are known while theirs are among the latest.
        """
        name = slim(str(order_id))
        return name in self.live_ex or name in self.live or name in self.recent

    def is_of_ended(self, order_id: str) -> bool:
        """It is the id of an order of ours that is no longer live, and among the latest of these."""
        name = slim(order_id)
        return bool(self.recent.get(name)) and name not in self.live_ex and name not in self.live


class TradingRule(Struct, frozen=True):
    """A trading state that an operator has set. An empty list does not narrow; three empty lists mean everyone.

    `keys` are principals' names, `accounts` acc_ids (in either environment), `markets` policies' words. A drill binds
    like the real thing. `t`: when, in µs.
    """

    state: TradingState
    keys: tuple[str, ...] = ()
    accounts: tuple[int, ...] = ()
    markets: tuple[str, ...] = ()
    reason: str = ""
    by: str = ""
    drill: bool = False
    t: int = 0

    @property
    def scope(self) -> Scope:
        """Whom the rule concerns, whatever the order of its lists."""
        return frozenset(self.keys), frozenset(self.accounts), frozenset(self.markets)


class Touched(Struct):
    """Live orders that have changed, begun or ended, in that order; cells whose stamps or spent amount may differ."""

    orders: dict[str, None] = field(default_factory=dict)
    cells: set[str] = field(default_factory=set)


class Rise(Struct):
    """What has come onto a cell since somebody began to watch it; see `rising`. `changed`: of that by live orders."""

    watchers: int = 0
    amount: int = 0
    changed: dict[str, int] = field(default_factory=dict)


class State(Struct):
    """The fold over the record. `sums[cell]` is always `spent[cell]` plus what all holders hold there.

    `spent`: what ended orders have used up; `days`: which of its cells belong to a day. `ended`: the latest ended
    orders, oldest first, each with what it spent. `due`: when to look whether the log or slot of a cell can be
    forgotten, and `turns` a heap of these times; they save memory and never change an answer. `currencies`: symbols
    that the daemon has shown in another currency than their market's, oldest first. `kept`: how many slots each key
    has. `touched`: what has changed since somebody began to listen; None: nobody listens. `rising`: cells that somebody
    watches at the moment.
    """

    at_us: int = 0
    sums: dict[str, int] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    days: Days = field(default_factory=dict)
    logs: dict[str, Log] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    holders: dict[str, Holder] = field(default_factory=dict)
    ended: OrderedDict[str, Holder] = field(default_factory=OrderedDict)
    steps: dict[str, Step] = field(default_factory=dict)
    ids: dict[Account, OrderIds] = field(default_factory=dict)
    trading: dict[Scope, TradingRule] = field(default_factory=dict)
    due: dict[int, list[str]] = field(default_factory=dict)
    turns: list[int] = field(default_factory=list)
    currencies: dict[str, str] = field(default_factory=dict)
    touched: Touched | None = None
    rising: dict[str, Rise] = field(default_factory=dict)


def touch(state: State, holder_id: str | None, cells: Iterable[str] = ()) -> None:
    """For a listener: this live order changes, begins or ends; stamps or spent amounts of these cells may change."""
    if state.touched is not None:
        state.touched.cells.update(cells)
        if holder_id is not None:
            state.touched.orders[holder_id] = None


def advance(state: State, *, t_us: int) -> int:
    """Moves the state's time on to a record's `t_us`, never back, and returns it."""
    if t_us <= state.at_us:
        return state.at_us
    state.at_us = t_us
    return t_us


def keeper_of(counter: str) -> str:
    """Whose slot it is: the part of its counter's name before the first `|`."""
    return counter.partition("|")[0]


def put_slot(state: State, counter: str, slot: Slot) -> None:
    """Adds the slot, or replaces it."""
    if counter not in state.slots:
        keeper = keeper_of(counter)
        state.kept[keeper] = state.kept.get(keeper, 0) + 1
    state.slots[counter] = slot


def drop_slot(state: State, counter: str) -> None:
    """Frees the slot."""
    del state.slots[counter]
    keeper = keeper_of(counter)
    state.kept[keeper] -= 1
    if not state.kept[keeper]:
        del state.kept[keeper]
