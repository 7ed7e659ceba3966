"""What the ledger knows: plain data, changed only by the functions of this room.

Every amount is an `int` (ledger units for money, ones for counts), every time an `int` of microseconds on the record's
own clock `t`.
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
    """A decision that is about to be sent: what `reserve` needs, and what the decision record holds.

    `holder` equal to `step` opens a new order, which needs `account` and the fields after it; another `holder` changes
    that live order; None moves no order's money (a cancel), and `of` may then name the live order that it is about.
    `order` is the canonical body of the order as it shall be, for a cancel the body that is sent. `worth` is what the
    claims on money were made from.
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


class Step(Struct, gc=False):
    """One decision in flight, gone once its outcome is known for certain.

    `before[i]` is what the holder held on the cell of `claims[i]` when the step began, or what was learned of it since:
    a refusal restores that, for this step's cells only. `told` names the cells of which something was learned. `order`
    and `worth` are what a changed order shall be once the change is accepted; of a cancel, `order` is what was sent
    for `account`. `unknown_us`: since when its outcome is in doubt, which is never before it was sent.
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
    """A slot that is taken: by which step, with which digest, until when, and what became of that step (None: open)."""

    value: str
    step: str
    until_us: int
    outcome: Outcome | None = None


class Log(Struct, gc=False):
    """The stamps of one cell in ascending order, kept as long as the widest window that was claimed on it.

    A rate remembers that window when it runs empty: its cell is a subject's, and narrower claims of others must not
    make it forget stamps that the wider one still counts. A cell of `once` is one order's, and starts anew.
    """

    stamps: "array[int] | list[int]"  # a rate's as signed 64-bit microseconds: a fifth of what a list of them takes
    widest_us: int
    is_rate: bool = True


class LogPart(Struct, frozen=True):
    """A log, or a part of one, as it is written."""

    stamps: list[int]
    widest_us: int
    is_rate: bool = True


class OrderIds(Struct, gc=False):
    """The order ids of one account: of live orders, and the latest ones of those that have ended, with their owners."""

    account: Account
    live: dict[Name, str] = field(default_factory=dict)
    live_ex: dict[Name, str] = field(default_factory=dict)
    recent: OrderedDict[Name, str] = field(default_factory=OrderedDict)

    def __contains__(self, order_id: object) -> bool:
        """The daemon has given this id (either of an order's two) to an earlier order: an old answer again (B33).

        Live orders are always known, ended ones while they are among the latest ids.
        """
        name = slim(str(order_id))
        return name in self.live_ex or name in self.live or name in self.recent

    def is_of_ended(self, order_id: str) -> bool:
        """It is the id of an order that a key of ours placed, and that is live no more; of the latest ones only."""
        name = slim(order_id)
        return bool(self.recent.get(name)) and name not in self.live_ex and name not in self.live


class TradingRule(Struct, frozen=True):
    """An operator's word. An empty list does not narrow; three empty lists are everyone.

    `keys` are principals' names, `accounts` acc_ids (in either environment), `markets` the policies' words. A drill
    binds like the real thing. `t` is when, in µs.
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
        """Whom the rule concerns; the order of the lists and repeated names mean nothing."""
        return frozenset(self.keys), frozenset(self.accounts), frozenset(self.markets)


class Touched(Struct):
    """Live orders that have changed, begun or ended, in that order; cells whose stamps or spent amount may have."""

    orders: dict[str, None] = field(default_factory=dict)
    cells: set[str] = field(default_factory=set)


class State(Struct):
    """The fold over the record. `sums[cell]` is always `spent[cell]` plus what all holders hold there.

    `spent` is what ended orders have used up, `days` the cells of it that are some day's. `ended`: the latest of these
    orders, oldest first, each with what it spent. `due` says when to look whether the log or slot of a cell can be
    forgotten, `turns` is a heap of its times; they decide memory, never an answer. `currencies`: symbols that the
    daemon's orders or positions show in another currency than their market's, oldest first. `kept`: how many slots each
    key has. `touched`: what has changed since somebody began to listen; None while nobody does.
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


def touch(state: State, holder_id: str | None, cells: Iterable[str] = ()) -> None:
    """This live order changes, begins or ends, and these cells may have other stamps or more spent: for who listens."""
    if state.touched is not None:
        state.touched.cells.update(cells)
        if holder_id is not None:
            state.touched.orders[holder_id] = None


def advance(state: State, *, t_us: int) -> int:
    """Moves the state's time to a record's `t_us` and returns it. A clock that went backwards stands still."""
    if t_us <= state.at_us:
        return state.at_us
    state.at_us = t_us
    return t_us


def keeper_of(counter: str) -> str:
    """Whose a slot is, by the name of its counter: what stands before the first `|`."""
    return counter.partition("|")[0]


def put_slot(state: State, counter: str, slot: Slot) -> None:
    """The slot, new or anew."""
    if counter not in state.slots:
        keeper = keeper_of(counter)
        state.kept[keeper] = state.kept.get(keeper, 0) + 1
    state.slots[counter] = slot


def drop_slot(state: State, counter: str) -> None:
    """The slot is free."""
    del state.slots[counter]
    keeper = keeper_of(counter)
    state.kept[keeper] -= 1
    if not state.kept[keeper]:
        del state.kept[keeper]
