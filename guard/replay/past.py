"""The record read through once: folded as a start folds it, and each decision judged again on the way.

Every decision from `since` on is made again by the policies of its day over the ledger of its moment; it is reproduced
when the reasons that rules and ledger gave, the claims and the counters before them are those on record. With other
policies it is made once more over the ledger of `Elsewhere`.
"""

import gc
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct

from guard.errors import JournalFault
from guard.journal import Decision, Line, Order, OutcomeRecord, Reconciled, decode, replay
from guard.journal.chain import BrokenChain, Head
from guard.journal.segments import first_line, segment_numbers, segment_path
from guard.journal.shelf import Shelf
from guard.policy import PolicyDoc
from guard.recovery import Recovered, fold_record
from guard.replay.days import Day, Days
from guard.replay.elsewhere import ACCEPTED, Elsewhere
from guard.replay.judging import SHADOW, TOUCH, Asked, Verdict, asked, decided, is_judged, reached, touch
from guard.replay.report import Broken, Difference, Replay
from guard.snapshots import resume
from guard.terms import Outcome, Reason

WARM_UP: Final = timedelta(days=2)  # before `since`: the budget day that it lies in, wherever its reset is
_EVERY: Final = 1_000  # records between two words to whoever waits
Tell = Callable[[int, int], None]


class Options(Struct, frozen=True):
    """What to replay: from when, until when (as `ts` is written), by which policies; None: by those of the day."""

    since: str
    until: str | None = None
    docs: list[PolicyDoc] | None = None


def replayed(state: Path, options: Options, *, now: datetime, tell: Tell = lambda *_: None) -> Replay:
    """The past of this state directory, which is only read. Raises JournalFault where the record is broken.

    `tell` is told how many bytes were read, and how many there are.
    """
    was_enabled = gc.isenabled()
    gc.disable()  # what is read back stays; looking through it as it grows finds nothing
    try:
        return _Past(state, options, now=now).run(tell)
    finally:
        if was_enabled:
            gc.enable()


class _Past:
    def __init__(self, state: Path, options: Options, *, now: datetime) -> None:
        self._state = state
        self._options = options
        self._days = Days(Shelf(state / "config").get, docs=options.docs, now=now)
        self._report = Replay(options.since, options.until)

    def run(self, tell: Tell) -> Replay:
        self._found, lines, total = lines_from(self._state, _earlier(self._options.since))
        real = self._found.state
        self._other = None
        if self._options.docs is not None:
            self._other = Elsewhere(real, deepcopy(real))
        until = self._options.until
        count = done = 0
        for line in whole(lines):
            if until is not None and line.ts >= until:
                break
            try:
                self._line(line)
            except (ValueError, AssertionError) as error:
                raise JournalFault(f"record {line.seq}: {error}") from error
            count, done = count + 1, done + len(line.raw) + 1
            if count % _EVERY == 0:
                tell(done, total)
        tell(total, total)
        return self._report

    def _line(self, line: Line) -> None:
        record = line.typed()
        if isinstance(record, Decision):
            self._decision(record, line.ts)
        elif self._other is not None and isinstance(record, OutcomeRecord | Order | Reconciled):
            self._other.fold(record, outcome_of(record), wall=datetime.fromisoformat(line.ts))
        fold_record(self._found, record, line.ts)

    # ------------------------------------------------------------ one decision

    def _decision(self, record: Decision, ts: str) -> None:
        is_asked_for = ts >= self._options.since
        self._report.decisions += is_asked_for
        if not is_asked_for and (self._other is None or record.outcome != "allow"):
            return
        day = self._day(record)
        one = day if isinstance(day, str) else asked(record, day.principals, datetime.fromisoformat(ts))
        if isinstance(day, str) or isinstance(one, str):
            if is_asked_for:
                self._report.left_out[str(one)] += 1
            return
        if is_asked_for and day.policies is not None:
            self._again(one, decided(day.policies, one, self._found.state, is_of_the_day=True), ts)
        if self._other is None or day.other is None:
            return
        verdict = decided(day.other, one, self._other.state, is_of_the_day=False)
        if is_asked_for:
            self._compare(one, verdict, touch(day.other, one, self._found.state), ts)
        else:
            self._other.takes(one, verdict)

    def _day(self, record: Decision) -> Day | str:
        """What decided; a word where nothing did, or nobody knows."""
        if not reached(record):
            return record.code or record.effect or "other"
        day = self._days.day(record.config_sha256, record.policy_sha256)
        return "no policies" if isinstance(day, Day) and day.policies is None else day

    def _again(self, one: Asked, verdict: Verdict, ts: str) -> None:
        """Whether it comes out as it is on record."""
        report, record = self._report, one.record
        report.replayed += 1
        claimed = [(c, u) for c, u in zip(record.claims, record.used, strict=False) if SHADOW not in c.counter]
        was = (_marks(filter(is_judged, record.reasons)), tuple(c for c, _ in claimed), tuple(u for _, u in claimed))
        now = (_marks(verdict.reasons), verdict.claims, verdict.used)
        if was == now:
            report.reproduced += 1
            return
        report.is_unlike(Broken(record.id, ts, _told(was, now), _told(now, was)))

    def _compare(self, one: Asked, verdict: Verdict, hands_off: Reason | None, ts: str) -> None:
        """What the other policies would have made of it."""
        other, record, report = self._other, one.record, self._report
        if other is None:
            return
        if verdict.is_repeat or not other.knows(record.of):
            report.left_out["hangs on another difference"] += 1
            return
        beside = [reason for reason in record.reasons if not is_judged(reason)]
        touched = [reason for reason in beside if reason.rule == TOUCH and record.of is not None]
        reasons = [*verdict.reasons, *([hands_off] if hands_off else [])]
        seen = [reason for reason in reasons if reason not in verdict.unseen]
        if reasons and not seen:
            report.left_out["needs what is not on record"] += 1
            if record.outcome == "allow":
                other.takes(one, verdict)
            return
        is_allowed = not seen and len(touched) == len(beside)
        if record.outcome == "allow" and is_allowed:
            other.takes(one, verdict)
        elif record.outcome == "allow":
            hanging = {id(reason) for reason, claim in verdict.short if other.is_apart(claim)}
            certain = any(id(reason) not in hanging for reason in seen)
            report.differs(_difference("newly_refused", one, ts, seen[0], certain=certain))
            other.refuses(one, verdict)
        elif is_allowed:
            certain = not any(claim.cap is not None and other.is_apart(claim) for claim in verdict.claims)
            report.differs(_difference("newly_allowed", one, ts, record.reasons[0], certain=certain))
            other.lets_through(one, verdict, ACCEPTED)


def _difference(kind: str, one: Asked, ts: str, reason: Reason, *, certain: bool) -> Difference:
    record = one.record
    return Difference(
        kind="newly_refused" if kind == "newly_refused" else "newly_allowed",
        decision=record.id,
        ts=ts,
        key=one.principal.name,
        symbol=record.symbol or "",
        certain=certain,
        code=reason.code.value,
        policy=reason.policy,
        rule=reason.rule,
        message=reason.message,
    )


def _marks(reasons: Iterator[Reason] | tuple[Reason, ...]) -> tuple[tuple[str, ...], ...]:
    """What must be the same of reasons; their order is that of precedence and says nothing here."""
    return tuple(sorted((r.code, r.policy, r.rule, r.observed or "", r.limit or "") for r in reasons))


def _told(mine: tuple[object, ...], theirs: tuple[object, ...]) -> str:
    names = ("reasons", "claims", "used")
    return "; ".join(f"{name} {one}" for name, one, two in zip(names, mine, theirs, strict=True) if one != two)


def outcome_of(record: OutcomeRecord | Order | Reconciled) -> Outcome | None:
    """What the record says became of a step; None where it says something else."""
    if isinstance(record, Order):
        return None
    message = record.message if isinstance(record, OutcomeRecord) else record.reason or ""
    return Outcome(record.verdict, order_id=record.order_id, order_id_ex=record.order_id_ex, message=message)


# ---------------------------------------------------------------- where to begin


def _earlier(since: str) -> str:
    return (datetime.fromisoformat(since) - WARM_UP).isoformat().replace("+00:00", "Z")


def lines_from(state: Path, since: str) -> tuple[Recovered, Iterator[Line], int]:
    """The ledger before the segment that `since` lies in, and all lines from there on, with their size in bytes."""
    numbers = segment_numbers(state)
    if not numbers:
        raise JournalFault(f"{state}: no journal there")
    begun = [number for number in numbers if _begins(state, number) <= since]
    if not begun or begun[-1] == numbers[0]:
        return Recovered(), replay(state), _size(state, numbers)
    first = begun[-1]
    line = decode(first_line(state, first).removesuffix(b"\n"))
    found, _ = resume(state, last=numbers[numbers.index(first) - 1])
    lines = replay(state, first=first, head=Head(line.seq - 1, line.prev))
    return found, lines, _size(state, numbers[numbers.index(first) :])


def _size(state: Path, numbers: list[int]) -> int:
    return sum(segment_path(state, number).stat().st_size for number in numbers)


def whole(lines: Iterator[Line]) -> Iterator[Line]:
    """Without the line that a running guard is writing."""
    try:
        yield from lines
    except BrokenChain as broken:
        if not broken.is_torn:
            raise


def _begins(state: Path, number: int) -> str:
    try:
        return decode(first_line(state, number).removesuffix(b"\n")).ts
    except ValueError:
        return "9"
