"""The latest decisions, as their own callers may ask for them again: bounded, in memory; the record has them all."""

from collections import OrderedDict
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.journal import timestamp
from guard.terms import Outcome, Reason, is_retryable

RECENT_MAX: Final = 20_000  # of trades and refusals, and as many of what passed
ID_BYTES: Final = 26
_ENTRY: Final = Layout(f"={ID_BYTES}sq")  # of what has passed: its id, and µs of the wall clock


class Known(Struct, gc=False):
    """A decision as its own caller may ask for it again: `name` is the principal, `verdict` None while it is open.

    `ts`: µs of the wall clock until somebody asks for it. `batch`: what it is a part of, a cancel of all.
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
    order_id: str | None = None
    order_id_ex: str | None = None
    status: str | None = None
    filled_qty: str | None = None
    retry_after_s: float | None = None
    largest_qty: str | None = None

    def told(self) -> dict[str, object]:
        """What the answer holds."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name not in {"id", "name"}}
        may_pass = self.code is not None and is_retryable(Code(self.code), self.reasons)
        return {"decision": self.id, "retryable": may_pass, **fields}


class Passed:
    """The latest that passed and are no trades: whose each was, when, which endpoint.

    They are most of what is asked, and written into memory that is there from the start: objects that are kept for long
    have left the processor's caches by the time that they are let go of, and were a tenth of what a read costs.
    """

    def __init__(self, most: int) -> None:
        self._written = bytearray(most * _ENTRY.size)
        self._names = [""] * most
        self._endpoints = [""] * most
        self._at = 0

    def add(self, decision: str, name: str, endpoint: str, *, wall_us: int) -> None:
        """One more, in the place of the oldest."""
        at = self._at
        _ENTRY.pack_into(self._written, at * _ENTRY.size, decision.encode(), wall_us)
        self._names[at], self._endpoints[at] = name, endpoint
        at += 1
        self._at = at if at < len(self._names) else 0

    def get(self, decision: str) -> Known | None:
        """The decision, if it is one of them. They are looked through, 0.1 ms: it is for who asks for one by its id."""
        wanted, found = decision.encode(), -1
        while len(wanted) == ID_BYTES and (found := self._written.find(wanted, found + 1)) >= 0:
            at, beside = divmod(found, _ENTRY.size)
            if not beside:
                _, wall_us = _ENTRY.unpack_from(self._written, found)
                return Known(decision, self._names[at], timestamp(wall_us), self._endpoints[at], "allow")
        return None


class Recent:
    """The latest decisions of callers with a key, bounded; the record has them all.

    Attributes:
        passed: those of what is no trade, where they passed.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, Known] = OrderedDict()  # a plain dict seeks its first entry ever longer
        self.passed = Passed(RECENT_MAX)

    def put(self, known: Known) -> None:
        """One more; the oldest goes."""
        self._known[known.id] = known
        if len(self._known) > RECENT_MAX:
            self._known.popitem(last=False)

    def get(self, decision: str) -> Known | None:
        """The decision, if it is recent and not among what has passed: every order of every list is asked for here."""
        known = self._known.get(decision)
        return None if known is None else _told(known)

    def part_of(self, batch: str) -> list[Known]:
        """Those of one batch, oldest first."""
        return [known for known in self._known.values() if known.batch == batch]

    def latest(self, count: int) -> list[Known]:
        """The latest so many beside what has passed, oldest first."""
        return [_told(known) for known in list(self._known.values())[-count:]]

    def settle(self, decision: str, outcome: Outcome) -> None:
        """What became of it."""
        known = self._known.get(decision)
        if known is not None:
            known.verdict = outcome.verdict
            known.order_id = outcome.order_id or known.order_id
            known.order_id_ex = outcome.order_id_ex or known.order_id_ex

    def learn(self, decision: str, *, status: str, filled_qty: str | None) -> None:
        """What was learned of the order that it opened."""
        known = self._known.get(decision)
        if known is not None:
            known.status, known.filled_qty = status, filled_qty


def _told(known: Known) -> Known:
    """Its time as its record has it; few decisions are asked for."""
    if isinstance(known.ts, int):
        known.ts = timestamp(known.ts)
    return known
