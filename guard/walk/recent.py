"""The latest decisions, as their own callers may ask for them again: bounded, in memory; the record has them all."""

from collections import OrderedDict
from typing import Final

from msgspec import Struct

from guard.codes import MEANING, Code
from guard.journal import timestamp
from guard.terms import Outcome, Reason

RECENT_MAX: Final = 20_000


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
        is_retryable = self.code is not None and MEANING[Code(self.code)].retryable
        return {"decision": self.id, "retryable": is_retryable, **fields}


Passed = tuple[str, int, str]
"""What there is to know of what passed and is no trade: whose it was, when (µs of the wall clock), which endpoint."""


class Recent:
    """The latest decisions of callers with a key, bounded; the record has them all."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Known | Passed] = OrderedDict()  # a plain dict seeks its first entry ever longer

    def put(self, known: Known) -> None:
        """One more; the oldest goes."""
        self.keep(known.id, known)

    def keep(self, decision: str, found: Known | Passed) -> None:
        """The same; what passed and is no trade is kept as little as it is, for most of what is asked is that."""
        known = self._known
        known[decision] = found
        if len(known) > RECENT_MAX:
            known.popitem(last=False)

    def get(self, decision: str) -> Known | None:
        """The decision, if it is recent."""
        found = self._known.get(decision)
        return None if found is None else _whole(decision, found)

    def part_of(self, batch: str) -> list[Known]:
        """Those of one batch, oldest first."""
        return [known for known in self._known.values() if isinstance(known, Known) and known.batch == batch]

    def latest(self, count: int) -> list[Known]:
        """The latest so many, oldest first."""
        return [_whole(decision, found) for decision, found in list(self._known.items())[-count:]]

    def settle(self, decision: str, outcome: Outcome) -> None:
        """What became of it."""
        known = self._known.get(decision)
        if isinstance(known, Known):
            known.verdict = outcome.verdict
            known.order_id = outcome.order_id or known.order_id
            known.order_id_ex = outcome.order_id_ex or known.order_id_ex

    def learn(self, decision: str, *, status: str, filled_qty: str | None) -> None:
        """What was learned of the order that it opened."""
        known = self._known.get(decision)
        if isinstance(known, Known):
            known.status, known.filled_qty = status, filled_qty


def _whole(decision: str, found: Known | Passed) -> Known:
    if isinstance(found, Known):
        found.ts = _written(found.ts)
        return found
    name, wall_us, endpoint = found
    return Known(decision, name, _written(wall_us), endpoint, "allow")


def _written(ts: str | int) -> str:
    """As its record has it; few decisions are asked for."""
    return ts if isinstance(ts, str) else timestamp(ts)
