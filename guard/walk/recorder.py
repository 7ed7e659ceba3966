"""Writes every request down and counts it: a record for each decision and outcome, or a sum for many that are alike."""

from collections import deque
from collections.abc import Sequence
from itertools import islice, repeat
from typing import Final, NamedTuple

import structlog

from guard.errors import JournalFault
from guard.journal import OutcomeRecord, timestamp
from guard.journal.gaps import Missed, note
from guard.limits import Holder
from guard.terms import (
    TRADE_EFFECTS,
    Call,
    Claim,
    Effect,
    Outcome,
    Reason,
    RecordMode,
    Refusal,
    Verdict,
)
from guard.walk.decisionrecord import NOT_JUDGED, Judged, record_of
from guard.walk.desk import Desk
from guard.walk.floods import Floods
from guard.walk.recent import RecentDecision
from guard.walk.throttle import RefusalSource
from guard.walk.visit import NOTHING_KNOWN, Situation, Visit

_CANCEL, _UNKNOWN = Effect.ORDER_CANCEL, Verdict.UNKNOWN  # asked of every trade
_DURABLE: Final = RecordMode.DURABLE
AT_ONCE: Final = 64  # outcomes that are written in one step
_WRITES: Final = frozenset({RecordMode.DURABLE, RecordMode.APPENDED})
# What passes and gets a record of its own, by what `journal.reads` says.
_RECORDED: Final = {"refused": _WRITES, "account": _WRITES | {RecordMode.ACCOUNT}, "all": frozenset(RecordMode)}

_log = structlog.get_logger("guard")


class DecidedTrade(NamedTuple):
    """A trade that passes or is refused, and what was judged of it."""

    visit: Visit
    refusal: Refusal | None
    situation: Situation
    judged: Judged


class Recorder:
    """Writes decisions and outcomes into the journal, and counts them."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.floods = Floods(desk.journal)
        self._late: deque[OutcomeRecord] = deque()

    # ------------------------------------------------------------ decisions

    def allowed(
        self,
        visit: Visit,
        situation: Situation | None = None,
        judged: Judged | None = None,
        *,
        replays: str | None = None,
    ) -> int | None:
        """Records a request that passes: its seq; None where no record of its own is due. Raises JournalFault."""
        if judged is not None and judged.shadow:
            self._diverges(judged.shadow)
        mode = _DURABLE if visit.endpoint is None else visit.endpoint.record
        if mode is not _DURABLE and mode not in _RECORDED[reads := visit.config.settings.journal.reads]:
            self._passed(visit, is_counted=reads != "refused")
            return None
        if visit.principal is None and mode is not _DURABLE and not self.floods.is_visit_below(visit):
            self._passed(visit, is_counted=True)
            return None
        self._remember(visit, None, None if situation is None else situation.holder)
        if self._late:
            self.catch_up()
        record = record_of(visit, None, situation or NOTHING_KNOWN, judged=judged or NOT_JUDGED, replays=replays)
        # A trade's record goes to the disk at once, also a cancel's, for which nobody waits.
        lazy = mode is not _DURABLE and visit.effect is not _CANCEL
        seq = self.desk.journal.append("decision", record, wall_us=visit.wall_us, lazy=lazy, yields=lazy)
        visit.is_decided = True
        return seq

    def all_decided(self, trades: Sequence[DecidedTrade]) -> range:
        """Records several trades, as `allowed` and `refused` do for one; fewer than all if not all can be placed.

        What passes must be on the disk before it is sent, and no shadow policy refuses any of it. A refusal is one that
        is recorded by itself (`is_never_summed`), and is counted by `count_refused` afterwards.
        """
        for trade in trades:
            if trade.refusal is None:
                self._remember(trade.visit, None)
        if self._late:
            self.catch_up()
        records = [
            (record_of(visit, refusal, situation, judged=judged), visit.wall_us)
            for visit, refusal, situation, judged in trades
        ]
        is_lazy = all(trade.refusal is not None for trade in trades)
        seqs = self.desk.journal.append_all("decision", records, lazy=is_lazy, yields=is_lazy)
        for trade in trades[: len(seqs)]:
            trade.visit.is_decided = True
        return seqs

    def refused_at_edge(self, decision: str, refusal: Refusal, peer: str) -> float:
        """Counts and records what the edge refused by itself; for how many seconds the answer has to wait."""
        visit = self.desk.open_visit(Call(method="", path="other", head={}, body=b"", peer=peer))
        visit.id = decision
        self.refused(visit, refusal)
        self.finished(visit)
        return visit.call.wait_s

    def refused_late(self, visit: Visit, refusal: Refusal) -> None:
        """Counts the refusal of what was allowed and in the end not sent; its record is the outcome."""
        visit.outcome = "refused"
        self._count(visit, refusal)

    def count_refused(self, visit: Visit, refusal: Refusal) -> None:
        """Counts a refusal, and remembers it for its caller."""
        visit.outcome = "refused"
        self._count(visit, refusal)
        self._remember(visit, refusal)

    def refused(
        self, visit: Visit, refusal: Refusal, *, situation: Situation | None = None, judged: Judged | None = None
    ) -> None:
        """Records and counts a refusal. If the journal is broken, or crowded, the log has it instead."""
        self.count_refused(visit, refusal)
        if not self.floods.is_below(visit, refusal):
            return
        record = record_of(visit, refusal, situation or NOTHING_KNOWN, judged=judged or NOT_JUDGED)
        try:
            self.desk.journal.append("decision", record, wall_us=visit.wall_us, lazy=True, yields=True)
        except JournalFault as fault:
            _log.error("refusal_not_recorded", decision=visit.id, code=refusal.code.value, why=str(fault))

    def _remember(self, visit: Visit, refusal: Refusal | None, holder: Holder | None = None) -> None:
        principal, endpoint = visit.principal, visit.endpoint
        if refusal is None and visit.effect not in TRADE_EFFECTS:
            self._passed(visit, is_counted=False)
            return
        if principal is None:
            return
        path = "other" if endpoint is None else endpoint.path
        known = RecentDecision(visit.id, principal.name, visit.wall_us, path, "allow", batch=visit.batch)
        if refusal is not None:
            known.outcome, known.code, known.reasons = "refuse", refusal.code, refusal.reasons
            known.retry_after_s, known.largest_qty = refusal.retry_after_s, refusal.largest_qty
        elif holder is not None and visit.effect is _CANCEL:
            known.order_id, known.order_id_ex = holder.order_id, holder.order_id_ex
        self.desk.recent.put(known)

    def _passed(self, visit: Visit, *, is_counted: bool) -> None:
        """Remembers a request that passed and is no trade; `is_counted`: it gets no record and is summed up."""
        principal, endpoint, key = visit.principal, visit.endpoint, ""
        path = "other" if endpoint is None else endpoint.path
        if principal is not None:
            key = principal.id
            self.desk.recent.passed.add(visit.id, principal.name, path, wall_us=visit.wall_us)
        if is_counted:
            self.floods.reads.add((key, path), wall_us=visit.wall_us)

    # ------------------------------------------------------------ outcomes

    def outcome(self, visit: Visit, outcome: Outcome, *, t_us: int, claims: tuple[Claim, ...]) -> OutcomeRecord:
        """Counts what became of a trade that was settled at `t_us`; its record. `claims`: what the outcome counts."""
        desk = self.desk
        desk.metrics.count("guard_order_outcomes_total", outcome.verdict)
        desk.recent.settle(visit.id, outcome)
        if outcome.verdict is _UNKNOWN:
            _log.warning("outcome_unknown", decision=visit.id, why=outcome.message)
        return OutcomeRecord(
            visit.id,
            t_us,
            outcome.verdict,
            outcome.status,
            outcome.ret_type,
            outcome.order_id,
            outcome.order_id_ex,
            outcome.duration_us,
            outcome.message,
            outcome.err_code,
            claims,
        )

    def outcomes(self, records: Sequence[OutcomeRecord]) -> None:
        """Writes these in their order. What cannot be written is tried again later; a start takes it for unknown."""
        if not records:
            return
        self._late += records
        try:
            self.catch_up()
        except JournalFault as fault:
            for record in list(self._late)[-len(records) :]:
                verdict = record.verdict.value
                _log.error("outcome_not_recorded", decision=record.decision, verdict=verdict, why=str(fault))

    def catch_up(self) -> None:
        """Writes the outcomes that wait, in their order and before any record that builds on them. JournalFault."""
        late, journal, clock = self._late, self.desk.journal, self.desk.clock
        while late:
            wall_us = clock.wall_us()
            for _ in journal.append_all("outcome", list(zip(islice(late, AT_ONCE), repeat(wall_us))), lazy=True):
                late.popleft()
            if late:  # it begins a new file, or cannot be written at all
                journal.append("outcome", late[0], lazy=True)
                late.popleft()

    async def watch(self, visit: Visit, seq: int) -> None:
        """Waits for the record of a cancel that was sent without waiting; notes a gap if the disk fails."""
        try:
            await self.desk.journal.durable(seq)
        except JournalFault as fault:
            self.gap(visit, fault)

    def gap(self, visit: Visit, fault: JournalFault) -> None:
        """Notes a cancel that passes while the journal is broken: in the log now, in the record at the next start."""
        name = visit.principal.id if visit.principal else None
        missed = Missed(timestamp(visit.wall_us), visit.id, str(fault))
        # A disk that does not answer would hold up the loop, and with it every other cancel.
        is_noted = not self.desk.journal.hangs_s and note(self.desk.directory, missed)
        _log.error(
            "cancel_not_recorded", decision=visit.id, key=name, path=visit.call.path, why=str(fault), noted=is_noted
        )

    # ------------------------------------------------------------ counts

    def _count(self, visit: Visit, refusal: Refusal) -> None:
        metrics = self.desk.metrics
        visit.call.wait_s = max(visit.call.wait_s, self._wait_s(visit))
        code, policy = refusal.code, refusal.reasons[0].policy
        metrics.count("guard_refusals_total", code, policy if not policy.startswith("key:") else "key")
        if visit.principal is not None:
            metrics.count("guard_refusals_by_key_total", metrics.key(visit.principal.name), code)

    def _wait_s(self, visit: Visit) -> float:
        """How long the answer of a source that is refused too often has to wait; a key's cancel never waits."""
        principal, most = visit.principal, visit.config.settings.bounds.refusals_per_second_max
        if principal is not None and visit.effect is Effect.ORDER_CANCEL:
            return 0.0
        source = RefusalSource(address=visit.call.peer) if principal is None else RefusalSource(principal.name)
        return self.desk.refusal_pacer.wait_us(source, most=most, t_us=visit.t_us) / 1_000_000

    def _diverges(self, reasons: tuple[Reason, ...]) -> None:
        """Counts what passed although a shadow policy would have refused it: once for each policy and code."""
        for policy, code in {(reason.policy, reason.code.value): None for reason in reasons}:
            self.desk.metrics.count("guard_shadow_divergence_total", policy, code)

    def finished(self, visit: Visit) -> None:
        """Counts the request once it is answered; it is no longer one of those under way."""
        desk, principal = self.desk, visit.principal
        if visit.under_way is not None:
            desk.in_flight.leave(visit.under_way)
        took_us = desk.clock.t_us() - visit.started_us
        overhead_us = took_us - visit.daemon_us
        desk.metrics.answered(
            visit.call.path,
            None if principal is None else principal.name,
            visit.outcome,
            took_s=took_us / 1e6,
            overhead_s=overhead_us / 1e6 if overhead_us > 0 else 0.0,
        )
