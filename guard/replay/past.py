"""The record read through once: folded as a start folds it, and each decision judged again on the way.

Every decision from `since` on is made again by the policies of its day over the ledger of its moment; it is reproduced
when the reasons that rules and ledger gave, the claims and the counters before them are those on record. With other
policies it is made once more over the ledger of `Counterfactual`. What is no trade has ledgers of its own (`Reads`).
What is summed up in the record is counted, and not judged.
"""

import gc
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from guard.errors import JournalFault
from guard.journal import Decision, Line, Order, OutcomeRecord, Reconciled, Start, recorded, timestamp
from guard.journal.configstore import ConfigStore
from guard.journal.seek import APART_US
from guard.journal.segments import segment_numbers
from guard.limits import SHADOW
from guard.policy import PolicyDoc
from guard.recovery.readback import fold_record
from guard.replay.counterfactual import ACCEPTED, Counterfactual
from guard.replay.inforce import History, InForce
from guard.replay.judging import (
    TOUCH,
    RecordedRequest,
    ReplayVerdict,
    asked,
    decided,
    is_judged,
    is_passing,
    reached,
    touch,
    unjudged,
)
from guard.replay.reading import Reads
from guard.replay.report import ENGINE, NO_READS, PRUNED, UNKNOWN, Difference, Kind, NotReproduced, Replay, summed_up
from guard.replay.span import Span, begins, earlier, lines_of, span_from, whole
from guard.terms import Claim, Reason, us_of

_EVERY: Final = 1_000  # records between two words to whoever waits
Tell = Callable[[int, int], None]
_Marks = tuple[tuple[str, ...], ...]
_Found = tuple[_Marks, tuple[Claim, ...], tuple[int, ...]]


class Options(Struct, frozen=True):
    """What to replay: from when, until when (as `ts` is written), by which policies; None: by those in force then.

    `are_added`: they bind beside those of the day, and not in their place, so what was refused stays refused.
    """

    since: str
    until: str | None = None
    docs: list[PolicyDoc] | None = None
    are_added: bool = False


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
        self._history = History(ConfigStore(state / "config").get, docs=options.docs, now=now)
        self._report = Replay(options.since, options.until)
        self._reads = Reads()
        self._version: str | None = None

    def run(self, tell: Tell) -> Replay:
        span = span_from(self._state, earlier(self._options.since))
        self._found, total = span.found, span.size
        self._is_cut(span)
        real = self._found.state
        self._other = None
        if self._options.docs is not None:
            self._other = Counterfactual(real, deepcopy(real))
        until = self._options.until
        over = None if until is None else timestamp(us_of(datetime.fromisoformat(until)) + APART_US)
        count = done = 0
        for line in whole(lines_of(self._state, span.first)):
            if over is not None and line.ts >= over:
                break
            try:
                self._line(line)
            except (ValueError, AssertionError) as error:
                raise JournalFault(f"record {line.seq}: {error}") from error
            count, done = count + 1, done + len(line.raw) + 1
            if count % _EVERY == 0:
                tell(done, total)
        tell(total, total)
        self._report.ends()
        self._report.notes.update(self._history.lacking.values())
        return self._report

    def _is_cut(self, span: Span) -> None:
        """Says what of the time that is asked for is pruned, or kept without what stood on the counters then."""
        since = self._options.since
        if span.pruned and since < begins(self._state, segment_numbers(self._state)[0]):
            self._report.notes.add(PRUNED.format(span.pruned))
        if not span.unknown:
            return
        for line in lines_of(self._state, span.unknown[0], span.unknown[-1]):
            if line.type == "decision" and self._is_asked_for(line.ts):
                self._report.leaves_out(UNKNOWN)

    def _is_asked_for(self, ts: str) -> bool:
        return self._options.since <= ts and (self._options.until is None or ts < self._options.until)

    def _line(self, line: Line) -> None:
        record = line.typed()
        if isinstance(record, Decision) and is_passing(record):
            self._passing(record, line.ts)
        elif isinstance(record, Decision):
            self._decision(record, line.ts)
        elif isinstance(record, Start):
            self._reads.begin()
            self._version = record.version
        elif self._other is not None and isinstance(record, OutcomeRecord | Order | Reconciled):
            self._other.fold(record, wall=datetime.fromisoformat(line.ts))
        if self._is_asked_for(line.ts):
            for why, count in summed_up(record):
                self._report.leaves_out(why, count)
        fold_record(self._found, record, line.ts)

    # ------------------------------------------------------------ one decision

    def _decision(self, record: Decision, ts: str) -> None:
        is_asked_for = self._is_asked_for(ts)
        if not is_asked_for and (self._other is None or record.outcome != "allow"):
            return
        found = self._asked(record, ts)
        if isinstance(found, str):
            if is_asked_for:
                self._leave_out(found)
            return
        in_force, one = found
        self._report.decisions += is_asked_for
        if is_asked_for and in_force.policies is not None:
            self._again(one, decided(in_force.policies, one, self._found.state, is_of_the_day=True), ts)
        if self._other is None or in_force.other is None or self._is_settled(record):
            return
        verdict = decided(in_force.other, one, self._other.state, is_of_the_day=False)
        if is_asked_for:
            self._compare(one, verdict, touch(in_force.other, one, self._found.state), ts=ts)
        else:
            self._other.takes(one, verdict)

    def _leave_out(self, why: str) -> None:
        self._report.leaves_out(why)
        if why == ENGINE:
            self._report.is_of_another(self._version)

    def _is_settled(self, record: Decision) -> bool:
        """The policies of the day have refused it, and they are among the other ones."""
        return self._options.are_added and record.outcome != "allow"

    def _asked(self, record: Decision, ts: str) -> tuple[InForce, RecordedRequest] | str:
        """What decided, and who was asked what; words where nothing did, or nobody knows."""
        if not reached(record):
            return unjudged(record)
        in_force = self._history.in_force(record.config_sha256, record.policy_sha256)
        if isinstance(in_force, str):
            return in_force
        if in_force.reads == "refused":
            self._report.notes.add(NO_READS)
        if in_force.policies is None:
            return "no policies"
        one = asked(record, in_force.principals, datetime.fromisoformat(ts))
        return one if isinstance(one, str) else (in_force, one)

    def _passing(self, record: Decision, ts: str) -> None:
        """One that is no trade: by the rates that it meets."""
        is_asked_for, reads = self._is_asked_for(ts), self._reads
        found = self._asked(record, ts)
        if isinstance(found, str):
            if is_asked_for:
                self._leave_out(found)
        else:
            in_force, one = found
            if is_asked_for and in_force.policies is not None:
                self._report.decisions += 1
                self._again(one, reads.again(in_force.policies, one), ts)
            if in_force.other is not None and not self._is_settled(record):
                self._compare_read(one, in_force, reads.elsewhere(in_force.other, one), ts=ts if is_asked_for else None)
        reads.happened(record)

    def _again(self, one: RecordedRequest, verdict: ReplayVerdict, ts: str) -> None:
        """Whether it comes out as it is on record."""
        report, record = self._report, one.record
        report.is_again(ts)
        claimed = [(c, u) for c, u in zip(record.claims, record.used, strict=False) if SHADOW not in c.counter]
        was = (_marks(filter(is_judged, record.reasons)), tuple(c for c, _ in claimed), tuple(u for _, u in claimed))
        now = (_marks(verdict.reasons), recorded(verdict.claims), verdict.used)
        if was == now or _by_counter(was) == _by_counter(now):
            report.reproduced += 1
            return
        report.is_unlike(NotReproduced(record.id, ts, _told(was, now), _told(now, was)))

    def _compare_read(self, one: RecordedRequest, in_force: InForce, verdict: ReplayVerdict, *, ts: str | None) -> None:
        """What the other policies would have made of it; before the replay begins what passed passes (`ts` None)."""
        record, reads = one.record, self._reads
        beside = [reason for reason in record.reasons if not is_judged(reason)]
        is_allowed = not verdict.reasons and not beside
        if ts is None or is_allowed == (record.outcome == "allow"):
            if record.outcome == "allow":
                reads.passes(one, verdict)
            return
        if is_allowed:
            certain = all(reads.is_known(claim, one, in_force) for claim in verdict.claims)
            self._report.differs(_difference("newly_allowed", one, record.reasons[0], ts=ts, certain=certain))
            reads.passes(one, verdict)
        else:
            hanging = {id(reason) for reason, claim in verdict.short if reads.is_apart(claim, one)}
            certain = any(id(reason) not in hanging for reason in verdict.reasons)
            self._report.differs(_difference("newly_refused", one, verdict.reasons[0], ts=ts, certain=certain))
        reads.differs(one, verdict)

    def _compare(self, one: RecordedRequest, verdict: ReplayVerdict, hands_off: Reason | None, *, ts: str) -> None:
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
            report.differs(_difference("newly_refused", one, seen[0], ts=ts, certain=certain))
            other.refuses(one, verdict)
        elif is_allowed:
            certain = not any(claim.cap is not None and other.is_apart(claim) for claim in verdict.claims)
            report.differs(_difference("newly_allowed", one, record.reasons[0], ts=ts, certain=certain))
            other.lets_through(one, verdict, ACCEPTED)


def _difference(kind: Kind, one: RecordedRequest, reason: Reason, *, ts: str, certain: bool) -> Difference:
    record = one.record
    return Difference(
        kind=kind,
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


def _marks(reasons: Iterator[Reason] | tuple[Reason, ...]) -> _Marks:
    """What must be the same of reasons; their order is that of precedence and says nothing here."""
    return tuple(sorted((r.code, r.policy, r.rule, r.observed or "", r.limit or "") for r in reasons))


def _by_counter(found: _Found) -> tuple[object, ...]:
    """In no order: which claim comes first hangs on what was judged before, dry runs too, and says nothing."""
    marks, claims, used = found
    places = sorted(range(len(claims)), key=lambda n: (claims[n].counter, claims[n].window_ms))
    return marks, [claims[n] for n in places], [used[n] for n in places if n < len(used)]


def _told(mine: tuple[object, ...], theirs: tuple[object, ...]) -> str:
    names = ("reasons", "claims", "used")
    return "; ".join(f"{name} {one}" for name, one, two in zip(names, mine, theirs, strict=True) if one != two)
