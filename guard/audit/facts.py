"""What happened in a stretch of the record, counted: what the report is made of. Pure.

One reading of the lines, whatever their number; lists are bounded and say how much more there was. Orders are decisions
with the effect of one; one that gave an earlier answer again is none, for nothing was sent. A refusal that was never
recorded by itself (`denied`) is counted where it was summed up.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct, field

from guard.audit.spread import Spread
from guard.journal.search import FoundRecord

LISTED_MAX: Final = 300
ROWS_MAX: Final = 5_000
ORDERS: Final = frozenset({"order_new", "order_change"})
IDLE_PERCENT: Final = 10  # a limit that was never used to this part binds nobody
_HOUR_CHARS: Final = len("2026-11-22T09")
_DAY_CHARS: Final = len("2026-11-22")
_MONEY: Final = re.compile(r"[A-Z]{3}(?:\+[A-Z]{3})*")
# Counters that are the walk's own, or say nothing about a limit that somebody set.
_NO_LIMITS: Final = frozenset({"exits", "duplicate", "idempotency", "broker"})
_T = TypeVar("_T")


class Listed(Struct, Generic[_T]):
    """The first of many, and how many there were."""

    total: int = 0
    shown: list[_T] = field(default_factory=list)

    def add(self, one: _T) -> None:
        """One more; shown while there is room."""
        self.total += 1
        if len(self.shown) < LISTED_MAX:
            self.shown.append(one)


class LimitUse(Struct):
    """One limit against its use. `peaks`: the highest part of it in percent, by day; `hits`: refusals by day."""

    cap: int
    percent: Spread = field(default_factory=Spread)
    peaks: dict[str, Decimal] = field(default_factory=dict)
    hits: Counter[str] = field(default_factory=Counter)

    @property
    def peak(self) -> Decimal:
        """The highest part of it that was ever used, in percent."""
        return max(self.peaks.values(), default=Decimal(0))


class RuleCount(Struct):
    """One rule of one policy that refused: how often, on which days, and what it met.

    `limits` with their units; `highest`: the most that was asked, by unit, since dollars are not held against yen.
    """

    count: int = 0
    days: set[str] = field(default_factory=set)
    limits: set[str] = field(default_factory=set)
    keys: Counter[str] = field(default_factory=Counter)
    highest: dict[str, Decimal] = field(default_factory=dict)


class Doubt(Struct):
    """An order whose outcome was unknown, and how that ended: `settled` is None while it did not."""

    ts: str
    decision: str
    key: str
    symbol: str
    why: str
    settled: str | None = None
    verdict: str = ""
    source: str = ""
    by: str = ""
    by_key: str = ""
    reason: str = ""


Row = dict[str, Any]


class Facts:
    """Filled by `take`, record after record."""

    def __init__(self, since: str | None = None, until: str | None = None) -> None:
        self.since, self.until = since, until
        self.records = 0
        self.first_ts = self.last_ts = ""
        self.begins: tuple[int, str] | None = None  # the first record that is kept, whatever time is asked for
        self.hours: dict[str, Counter[str]] = defaultdict(Counter)
        self.days: set[str] = set()
        self.keys: dict[str, Counter[str]] = defaultdict(Counter)
        self.codes: Counter[str] = Counter()
        self.order_codes: Counter[str] = Counter()
        self.rules: dict[tuple[str, str], RuleCount] = defaultdict(RuleCount)
        self.outcomes: Counter[str] = Counter()
        self.order_outcomes: Counter[str] = Counter()
        self.not_sent: Counter[str] = Counter()  # by why
        self.effects: Counter[str] = Counter()
        self.values: dict[str, Spread] = defaultdict(Spread)
        self.uses: dict[tuple[str, str, str], LimitUse] = {}
        self.duration_us = Spread()
        self.reads: Counter[str] = Counter()
        self.summed: Counter[str] = Counter()
        self.doubts: dict[str, Doubt] = {}
        self.doubts_total = 0
        self.outside: Listed[Row] = Listed()
        self.reloads: Listed[Row] = Listed()
        self.key_reloads: Listed[Row] = Listed()
        self.states: Listed[Row] = Listed()
        self.runs: Listed[Row] = Listed()
        self.gaps: Listed[Row] = Listed()
        self.weakened: tuple[str, ...] = ()
        self.fills = 0
        self.noted: Counter[str] = Counter()  # of all that is listed, also of what is not shown

    def take(self, records: Iterable[FoundRecord]) -> None:
        """Counts every record of the time asked for. What settles an earlier doubt counts with the doubt."""
        for line, members in records:
            self.begins = self.begins or (line.seq, line.ts)
            if (self.since and line.ts < self.since) or (self.until and line.ts >= self.until):
                continue
            self.records += 1
            self.first_ts, self.last_ts = self.first_ts or line.ts, line.ts
            handler = _HANDLERS.get(line.type)
            if handler is not None:
                handler(self, line.ts, members)

    @property
    def doubts_open(self) -> int:
        """How many of the doubts that are listed nothing has settled."""
        return sum(doubt.settled is None for doubt in self.doubts.values())

    # ------------------------------------------------------------ decisions

    def decision(self, ts: str, members: Mapping[str, Any]) -> None:
        """One request: when, whose, what came of it, and against which limits."""
        outcome = str(members.get("outcome"))
        effect = "repeat" if members.get("replays") else str(members.get("effect") or "")
        key, is_order = str(members.get("key") or ""), effect in ORDERS
        self.days.add(ts[:_DAY_CHARS])
        self.hours[ts[:_HOUR_CHARS]][f"{'order' if is_order else 'other'}_{outcome}"] += 1
        counts = self.keys[_row_of(self.keys, key)]
        counts[outcome] += 1
        counts[f"order_{outcome}"] += is_order
        self.effects[f"{effect or 'none'}_{outcome}"] += 1
        if outcome == "refuse":
            self._refused(ts, members, key=key, is_order=is_order)
        if is_order:
            self._limits(ts[:_DAY_CHARS], members, is_refused=outcome == "refuse")
            self._worth(members, is_refused=outcome == "refuse")

    def _refused(self, ts: str, members: Mapping[str, Any], *, key: str, is_order: bool) -> None:
        code = str(members.get("code"))
        self.codes[code] += 1
        self.order_codes[code] += is_order
        for reason in _dicts(members.get("reasons")):
            policy, rule = str(reason.get("policy") or ""), str(reason.get("rule") or reason.get("code"))
            found = self.rules[_row_of(self.rules, (policy, rule))]
            found.count += 1
            found.days.add(ts[:_DAY_CHARS])
            found.keys[key] += 1
            unit = str(reason.get("unit") or "")
            if reason.get("limit") is not None and len(found.limits) < LISTED_MAX:
                found.limits.add(f"{reason['limit']} {unit}".rstrip())
            observed = decimal(reason.get("observed"))
            if observed is not None and (unit in found.highest or len(found.highest) < LISTED_MAX):
                found.highest[unit] = max(found.highest.get(unit, observed), observed)

    def _limits(self, day: str, members: Mapping[str, Any], *, is_refused: bool) -> None:
        used = members.get("used")
        for claim, before in zip(_dicts(members.get("claims")), used if isinstance(used, list) else [], strict=False):
            cap, window = claim.get("cap"), claim.get("window_ms")
            name = named(str(claim.get("counter")), window_ms=window if isinstance(window, int) else None)
            if not isinstance(cap, int) or name is None or not isinstance(before, int):
                continue
            use = self.uses.get(name)
            if use is None:
                if len(self.uses) >= ROWS_MAX:
                    continue
                use = self.uses[name] = LimitUse(cap)
            use.cap = cap
            part = Decimal(100) * (before + int(claim.get("amount") or 0)) / cap if cap else Decimal(100)
            if part > 100:  # noqa: PLR2004 - percent
                use.hits[day] += is_refused
            if is_refused:
                part = min(Decimal(100) * before / cap if cap else Decimal(100), Decimal(100))
            use.percent.add(part)
            use.peaks[day] = max(use.peaks.get(day, part), part)

    def _worth(self, members: Mapping[str, Any], *, is_refused: bool) -> None:
        valuation = members.get("valuation")
        money = valuation.get("value") if isinstance(valuation, dict) else None
        amount = decimal(money.get("amount")) if isinstance(money, dict) else None
        if isinstance(money, dict) and amount is not None and not is_refused:
            self.values[_row_of(self.values, str(money.get("currency")))].add(amount)

    # ------------------------------------------------------------ what came of them

    def outcome(self, ts: str, members: Mapping[str, Any]) -> None:
        """The daemon's word, or that there was none."""
        verdict, decision = str(members.get("verdict")), str(members.get("decision"))
        self.outcomes[verdict] += 1
        self.order_outcomes[verdict] += str(members.get("effect")) in ORDERS
        if verdict == "not_sent":
            self.not_sent[_row_of(self.not_sent, str(members.get("message") or ""))] += 1
        duration = members.get("duration_us")
        if isinstance(duration, int):
            self.duration_us.add(Decimal(duration))
        if verdict == "unknown":
            self._doubt(ts, decision, members, why=str(members.get("message") or ""))

    def _doubt(self, ts: str, decision: str, members: Mapping[str, Any], *, why: str) -> None:
        self.doubts_total += 1
        if len(self.doubts) < ROWS_MAX:
            key, symbol = str(members.get("key") or ""), str(members.get("symbol") or "")
            self.doubts[decision] = Doubt(ts, decision, key, symbol, why)

    def reconciled(self, ts: str, members: Mapping[str, Any]) -> None:
        """Evidence, or a person, settled an unknown; or a person gave up, or named, an order that no list showed."""
        decision, is_refused = str(members.get("decision")), members.get("verdict") == "refused"
        if members.get("by") and (members.get("order_id_ex") or members.get("order_id")):
            if is_refused:
                self._doubt(ts, decision, members, why="accepted, and in no list")
            elif decision not in self.doubts and len(self.doubts) < ROWS_MAX:  # those beyond are not told apart
                self._doubt(ts, decision, members, why=f"listed as {members.get('order_id_ex')}, a person said")
        doubt = self.doubts.get(decision)
        if doubt is not None:
            doubt.settled, doubt.source = ts, str(members.get("source"))
            doubt.verdict = str(members.get("verdict"))
            doubt.by, doubt.by_key = str(members.get("by") or ""), str(members.get("by_key") or "")
            doubt.reason = str(members.get("reason") or "")

    def order(self, ts: str, members: Mapping[str, Any]) -> None:
        """What was learned of an order; the first record of one that went round the guard names an owner."""
        if members.get("owner"):
            self.outside.add({"ts": ts, **members})
        self.fills += str(members.get("filled_qty") or 0) != "0"

    # ------------------------------------------------------------ what else

    def sums(self, _: str, members: Mapping[str, Any]) -> None:
        """What was summed up instead of being recorded."""
        count = members.get("count")
        if members.get("endpoint") and isinstance(count, int):
            self.reads[_row_of(self.reads, str(members.get("key")))] += count
        elif isinstance(count, int):
            self.summed[_row_of(self.summed, str(members.get("key") or members.get("source")))] += count

    def start(self, ts: str, members: Mapping[str, Any]) -> None:
        """A guard began: with which controls off or loose."""
        self.runs.add({"ts": ts, "what": "start", **members})
        weakened = members.get("weakened")
        self.weakened = tuple(str(one) for one in weakened) if isinstance(weakened, list) else ()


def named(counter: str, *, window_ms: int | None = None) -> tuple[str, str, str] | None:
    """The limit that a counter belongs to: its word, whom it counts for, its measure. None: nobody's limit.

    The measure is a limit's currency and after it those that are converted into it ("HKD", "HKD+USD"), or the time in
    which a rate counts ("30 s"): two rates of one key count on one counter.

    Periods are part of a counter's name (`daily_value/key=bot;real|HKD|2026-11-22@…`) and are left out here.
    """
    word, _, rest = counter.partition("/")
    if word in _NO_LIMITS or not rest:
        return None
    subject, *tags = rest.split("|")
    span = "" if window_ms is None else f"{window_ms / 1000:g} s"
    return word, subject, next((tag for tag in tags if _MONEY.fullmatch(tag)), span)


def decimal(value: object) -> Decimal | None:
    """A text that is a number; None for any other."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _row_of(table: Mapping[Any, Any], name: Any) -> Any:
    """The name, or "other" where the table is full."""
    if name in table or len(table) < ROWS_MAX:
        return name
    return ("", "other") if isinstance(name, tuple) else "other"


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _into(name: str, what: str = "") -> Callable[[Facts, str, Mapping[str, Any]], None]:
    def add(facts: Facts, ts: str, members: Mapping[str, Any]) -> None:
        listed: Listed[Row] = getattr(facts, name)
        listed.add({**members, "ts": ts, "what": what})
        cancels, result = members.get("cancels"), members.get("result")
        if members.get("reason") == "start" and members.get("by") is None:
            result = "at a start"  # what files that were edited while no guard ran have brought
        is_made = result in {None, "applied"}
        facts.noted += Counter(
            {
                what: 1,
                f"{name}: {result}": 1,
                f"{name}: reason": is_made and bool(members.get("by") and members.get("reason")),
                f"{name}: drill": bool(members.get("drill")),
                f"{name}: breaker": members.get("by") == "breaker",
                "cancels": cancels if isinstance(cancels, int) else 0,
            }
        )

    return add


_HANDLERS: Final[Mapping[str, Callable[[Facts, str, Mapping[str, Any]], None]]] = {
    "decision": Facts.decision,
    "outcome": Facts.outcome,
    "reconciled": Facts.reconciled,
    "order": Facts.order,
    "access": Facts.sums,
    "denied": Facts.sums,
    "start": Facts.start,
    "stop": _into("runs", "stop"),
    "policy": _into("reloads"),
    "keys": _into("key_reloads"),
    "state": _into("states"),
    "gap": _into("gaps", "gap"),
    "recovered": _into("gaps", "recovered"),
    "clock": _into("gaps", "clock"),
    "prune": _into("gaps", "prune"),
}
