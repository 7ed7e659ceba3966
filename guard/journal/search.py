"""Finds records by filters, and follows a journal that is being written; `guard.audit.rows` prints them for people.

The chain is not checked here (that is `examine`). A line that cannot be read is counted and skipped. A record that
belongs to a decision (an outcome, say) is found and shown with that decision's key, endpoint, symbol and effect.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from guard.journal.record import Line, decode, timestamp
from guard.journal.segments import read_lines, segment_numbers
from guard.terms import us_of

_DECISIONS_KEPT: Final = 20_000  # outcomes follow their decision closely; a fill that comes later shows less
STATE_TYPE: Final = "snapshot"  # the guard's own memory, which people ask for by name only
INHERITED: Final = ("key", "endpoint", "symbol", "effect")
_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])")
_AGO_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class FoundRecord(NamedTuple):
    """One record: the line as it stands, and its members with what its decision adds to them."""

    line: Line
    members: Mapping[str, object]


class Query(Struct, frozen=True, kw_only=True):
    """What to look for; None and empty mean everything, but for parts of snapshots.

    `since` (inclusive) and `until` as `ts` is written. A `key` without "@" finds its rotated records, too.
    """

    since: str | None = None
    until: str | None = None
    types: frozenset[str] = frozenset()
    key: str | None = None
    decision: str | None = None
    order: str | None = None
    symbol: str | None = None
    code: str | None = None
    policy: str | None = None
    outcome: str | None = None
    min_value: Decimal | None = None
    max_value: Decimal | None = None
    currency: str | None = None


class RecordReader:
    """Reads lines as records. `skipped` counts the lines that are no records, apart from a torn last one."""

    def __init__(self) -> None:
        self.skipped = 0
        self._decisions: OrderedDict[str, dict[str, object]] = OrderedDict()

    def read(self, lines: Iterable[bytes]) -> Iterator[FoundRecord]:
        """Every whole line that is a record."""
        for raw in lines:
            if not raw.endswith(b"\n"):
                continue
            try:
                line = decode(raw[:-1])
                members = line.members()
            except ValueError:
                self.skipped += 1
                continue
            yield FoundRecord(line, self._complete(line.type, members))

    def _complete(self, type_: str, members: dict[str, object]) -> Mapping[str, object]:
        if type_ == "decision":
            self._decisions[str(members.get("id"))] = {n: members[n] for n in INHERITED if n in members}
            if len(self._decisions) > _DECISIONS_KEPT:
                self._decisions.popitem(last=False)
            return members
        return self._decisions.get(str(members.get("decision")), {}) | members


def moment(text: str, *, now: datetime) -> str:
    """A point in time as `ts` is written: RFC 3339, a date (UTC midnight), or how long ago (90s, 15m, 2h, 7d).

    A time without a zone is UTC. Raises `ValueError` for anything else.
    """
    if match := _AGO.fullmatch(text):
        then = now - timedelta(**{_AGO_UNITS[match[2]]: int(match[1])})
    else:
        then = datetime.fromisoformat(text)
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return timestamp(us_of(then))


def search(state: Path, query: Query, *, reader: RecordReader) -> Iterator[FoundRecord]:
    """Every record that meets the whole query, in order.

    With `order`, first all decisions that a record connects with that order id are found, then all records of those:
    the decision that opened it, its changes and cancels, their outcomes, its fills.
    """
    decisions = frozenset[str]()
    if query.order is not None:
        needle = msgspec.json.encode(query.order)[1:-1]  # a line without these bytes need not be read as JSON
        decisions = _decisions_of(
            query.order, RecordReader().read(line for line in read_lines(state) if needle in line)
        )
    for record in reader.read(read_lines(state)):
        if _matches(query, record, decisions):
            yield record


def follow(
    state: Path, *, last: int, reader: RecordReader, emit: Callable[[FoundRecord], None], pause: Callable[[], bool]
) -> None:
    """Emits the last records, then each new one; ends once `pause`, called at the end of the record, returns False."""
    waiting: deque[FoundRecord] = deque(maxlen=last)

    def at_end(_: object) -> bool:
        nonlocal waiting
        for record in waiting:
            emit(record)
        waiting = deque()
        return pause()

    for record in reader.read(read_lines(state, first=_first_segment(state, last), wait=at_end)):
        waiting.append(record)
    for record in waiting:
        emit(record)


def _first_segment(state: Path, records: int) -> int:
    """The segment to begin with in order to see that many last records."""
    for number in reversed(segment_numbers(state)):
        if sum(1 for _ in read_lines(state, first=number)) >= records:
            return number
    return 1


# ---------------------------------------------------------------- matching


def _decisions_of(order_id: str, records: Iterator[FoundRecord]) -> frozenset[str]:
    found: set[str] = set()
    for _, members in records:
        body = members.get("order")
        told = body if isinstance(body, dict) else {}
        inner = told.get("c2s")
        places = (members, told, inner if isinstance(inner, dict) else {})
        if order_id in {str(place.get(name)) for place in places for name in ("order_id", "order_id_ex")}:
            found.update(_ids(members))
    return frozenset(found)


def _ids(members: Mapping[str, object]) -> set[str]:
    return {str(members[name]) for name in ("id", "decision", "of") if members.get(name) is not None}


def _matches(query: Query, record: FoundRecord, decisions: frozenset[str]) -> bool:
    line, members = record
    if line.type not in query.types if query.types else line.type == STATE_TYPE:
        return False
    if (query.since is not None and line.ts < query.since) or (query.until is not None and line.ts >= query.until):
        return False
    if query.decision is not None and query.decision not in _ids(members):
        return False
    if query.order is not None and decisions.isdisjoint(_ids(members)):
        return False
    if query.symbol is not None and str(members.get("symbol", "")).upper() != query.symbol.upper():
        return False
    if query.code is not None and query.code not in _codes(members):
        return False
    if query.policy is not None and query.policy not in _policies(members):
        return False
    if not _is_worth(query, members.get("valuation")):
        return False
    if query.outcome is not None and query.outcome not in {members.get(n) for n in ("outcome", "verdict", "result")}:
        return False
    key = members.get("key")
    return query.key is None or (isinstance(key, str) and query.key in {key, key.partition("@")[0]})


def _is_worth(query: Query, valuation: object) -> bool:
    """Whether the order's own value lies in the bounds, and is in the currency, that are asked for."""
    if (query.min_value, query.max_value, query.currency) == (None, None, None):
        return True
    money = valuation.get("value") if isinstance(valuation, dict) else None
    if not isinstance(money, dict) or query.currency not in {None, money.get("currency")}:
        return False
    try:
        amount = Decimal(str(money.get("amount")))
    except InvalidOperation:
        return False
    return (query.min_value is None or amount >= query.min_value) and (
        query.max_value is None or amount <= query.max_value
    )


def _codes(members: Mapping[str, object]) -> set[object]:
    return {members.get("code"), *(reason.get("code") for reason in reasons_of(members))}


def _policies(members: Mapping[str, object]) -> set[object]:
    """Those that refused, and those in shadow that would have."""
    return {reason.get("policy") for name in ("reasons", "shadow") for reason in reasons_of(members, name)}


def reasons_of(members: Mapping[str, object], name: str = "reasons") -> list[dict[str, object]]:
    """Why a decision refused, or `shadow` would have; none where the member has another shape."""
    reasons = members.get(name)
    return [reason for reason in reasons if isinstance(reason, dict)] if isinstance(reasons, list) else []
