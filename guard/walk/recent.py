"""The latest decisions in memory, bounded, for callers that ask for their own again; the record has all of them."""

from collections import OrderedDict, deque
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.journal import Order, timestamp
from guard.terms import Outcome, Reason, is_retryable

RECENT_MAX: Final = 20_000  # of trades and refusals, and as many of what passed
ID_BYTES: Final = 26
_NO_ID: Final = "0"  # the daemon's way of naming no order, as in the answer to a cancel
_ENTRY: Final = Layout(f"={ID_BYTES}sq")  # of what has passed: its id, and µs of the wall clock


class RecentDecision(Struct, gc=False):
    """One decision. `name` is the principal's; `verdict` None while it is open, `message` what was said with it.

    `ts`: µs of the wall clock, turned into text when somebody first asks. `batch`: the cancel-all it is a part of.
    The order's ids are those that it got, or of a cancel those of the order that is to be cancelled.
    """

    id: str
    name: str
    ts: str | int
    endpoint: str
    outcome: str
    code: str | None = None
    reasons: tuple[Reason, ...] = ()
    batch: str | None = None
    verdict: str | None = None
    message: str | None = None
    order_id: str | None = None
    order_id_ex: str | None = None
    status: str | None = None
    filled_qty: str | None = None
    retry_after_s: float | None = None
    largest_qty: str | None = None

    def told(self) -> dict[str, object]:
        """The members of the answer to its caller."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name not in {"id", "name"}}
        may_pass = self.code is not None and is_retryable(Code(self.code), self.reasons)
        return {"decision": self.id, "retryable": may_pass, **fields}


class Passed:
    """The latest requests that passed and are no trades: whose each was, when, and which endpoint.

    These are most of all requests. They are kept as bytes in a buffer that is allocated once: kept as objects they were
    a tenth of what a read costs, since an old object has left the processor's caches by the time it is freed.
    """

    def __init__(self, most: int) -> None:
        self._written = bytearray(most * _ENTRY.size)
        self._names = [""] * most
        self._endpoints = [""] * most
        self._at = 0

    def add(self, decision: str, name: str, endpoint: str, *, wall_us: int) -> None:
        """Adds one in the place of the oldest."""
        at = self._at
        _ENTRY.pack_into(self._written, at * _ENTRY.size, decision.encode(), wall_us)
        self._names[at], self._endpoints[at] = name, endpoint
        at += 1
        self._at = at if at < len(self._names) else 0

    def get(self, decision: str) -> RecentDecision | None:
        """The decision, if it is one of them. A linear search of 0.1 ms, for callers that ask by id."""
        wanted, found = decision.encode(), -1
        while len(wanted) == ID_BYTES and (found := self._written.find(wanted, found + 1)) >= 0:
            at, beside = divmod(found, _ENTRY.size)
            if not beside:
                _, wall_us = _ENTRY.unpack_from(self._written, found)
                return RecentDecision(decision, self._names[at], timestamp(wall_us), self._endpoints[at], "allow")
        return None


class Recent:
    """The latest decisions of callers with a key, bounded; the record has them all.

    Once there are too many, the oldest of the key that has most goes: what loops pushes out its own alone.

    Attributes:
        passed: requests that passed and are no trades.
    """

    def __init__(self) -> None:
        # A plain dict takes ever longer to find its first entry.
        self._known: OrderedDict[str, RecentDecision] = OrderedDict()
        self._of: dict[str, deque[str]] = {}  # the ids of each key, oldest first
        self._most = deque[str]()  # those of the key that has most, or nearly so
        self.passed = Passed(RECENT_MAX)

    def put(self, known: RecentDecision) -> None:
        """Adds one; another goes where there is no room."""
        all_known, before = self._known, len(self._known)
        all_known[known.id] = known
        if len(all_known) == before:
            return
        own = self._of.get(known.name)
        if own is None:
            own = self._of[known.name] = deque()
        own.append(known.id)
        if own is not self._most and len(own) > len(self._most):
            self._most = own
        if before >= RECENT_MAX:
            self._make_room()

    def _make_room(self) -> None:
        """The key that has most is looked for anew once it has fallen to half of an equal share, or to its newest."""
        if len(self._most) <= max(1, RECENT_MAX // (2 * len(self._of))):
            self._of = {name: ids for name, ids in self._of.items() if ids}
            self._most = max(self._of.values(), key=len)
        del self._known[self._most.popleft()]

    @property
    def is_full(self) -> bool:
        """With the next one another goes."""
        return len(self._known) == RECENT_MAX

    def get(self, decision: str) -> RecentDecision | None:
        """The decision, if it is recent. `passed` is not searched: this is asked for every order of every list."""
        known = self._known.get(decision)
        return None if known is None else _told(known)

    def part_of(self, batch: str) -> list[RecentDecision]:
        """Those of one batch, oldest first."""
        return [known for known in self._known.values() if known.batch == batch]

    def latest(self, count: int) -> list[RecentDecision]:
        """The latest so many without those in `passed`, oldest first."""
        return [_told(known) for known in list(self._known.values())[-count:]]

    def settle(self, decision: str, outcome: Outcome) -> None:
        """What became of it."""
        known = self._known.get(decision)
        if known is not None:
            known.verdict, known.message = outcome.verdict, outcome.message or None
            order_id, order_id_ex = outcome.order_id, outcome.order_id_ex
            if order_id and order_id != _NO_ID:
                known.order_id = order_id
            if order_id_ex and order_id_ex != _NO_ID:
                known.order_id_ex = order_id_ex

    def learn(self, decision: str, learned: Order) -> None:
        """What was learned of the order that it opened; its ids are those that a list shows it by."""
        known = self._known.get(decision)
        if known is not None:
            known.status, known.filled_qty = learned.status, learned.filled_qty
            if learned.order_id or learned.order_id_ex:
                known.order_id, known.order_id_ex = learned.order_id, learned.order_id_ex


def _told(known: RecentDecision) -> RecentDecision:
    """With its time as text, which is made only for the few decisions that somebody asks for."""
    if isinstance(known.ts, int):
        known.ts = timestamp(known.ts)
    return known
