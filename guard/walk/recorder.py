"""What is written down of a request, and what is counted of it: one record a decision, one an outcome."""

import hashlib
import re
from collections import deque
from typing import Final, Literal

import structlog
from msgspec import Raw, Struct

from guard.errors import JournalFault
from guard.journal import ABSENT, Decision, OutcomeRecord, Seen, plain, seen_of, timestamp
from guard.journal.gaps import Missed, note
from guard.policy import Maker
from guard.terms import Call, Claim, Effect, Outcome, Reason, RecordMode, Refusal, Valuation, Verdict, masked
from guard.walk.crowd import Refused
from guard.walk.desk import NOTHING_KNOWN, Desk, Known, Situation, Visit
from guard.walk.floods import Floods

INTENT_BYTES_MAX: Final = 256
_DIGEST: Final = re.compile(r"[0-9A-Fa-f]{16,}", re.ASCII)

_log = structlog.get_logger("guard")


class Judged(Struct):
    """What the rules and the ledger said: claims, who made them, what was used before; and what would be sent.

    `order` is the canonical body, `resulting` the whole order after a change. `exits`: what the rules were told other
    working orders take off the position. `shadow`: what shadow policies would have refused it for.
    """

    claims: tuple[Claim, ...] = ()
    makers: tuple[Maker | None, ...] = ()
    used: tuple[int, ...] = ()
    order: bytes = b""
    resulting: bytes = b""
    is_simulated: bool = False
    exits: int = 0
    shadow: tuple[Reason, ...] = ()


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
        """A request that passes; None where this kind is not recorded. Raises JournalFault."""
        self._remember(visit, "allow", None)
        if judged is not None:
            self._diverges(judged.shadow)
        if not self._is_recorded(visit):
            if visit.standing.settings.journal.reads != "refused":
                self.floods.read(visit)
            return None
        self.catch_up()
        record = self._decision(visit, "allow", situation=situation, judged=judged, replays=replays)
        is_lazy = visit.endpoint is not None and visit.endpoint.record is not RecordMode.DURABLE
        seq = self.desk.journal.append("decision", record, wall_us=visit.wall_us, lazy=is_lazy)
        visit.is_decided = True
        return seq

    def refused_at_edge(self, decision: str, refusal: Refusal, peer: str) -> float:
        """What the edge refused by itself is counted and recorded like any other refusal; how long its answer waits."""
        visit = self.desk.open_visit(Call(method="", path="other", head={}, body=b"", peer=peer))
        visit.id = decision
        self.refused(visit, refusal)
        self.finished(visit)
        return visit.call.wait_s

    def refused_late(self, visit: Visit, refusal: Refusal) -> None:
        """A trade that was decided and is not sent after all: its outcome is its record, here it is counted."""
        visit.outcome = "refused"
        self._count(visit, refusal)

    def refused(
        self, visit: Visit, refusal: Refusal, situation: Situation | None = None, judged: Judged | None = None
    ) -> None:
        """A request that does not pass. With the journal broken the operational log is told instead."""
        visit.outcome = "refused"
        self._count(visit, refusal)
        self._remember(visit, "refuse", refusal)
        if not self.floods.is_below(visit, refusal):
            return
        record = self._decision(visit, "refuse", refusal=refusal, situation=situation, judged=judged)
        try:
            self.desk.journal.append("decision", record, wall_us=visit.wall_us, lazy=True)
        except JournalFault as fault:
            _log.error("refusal_not_recorded", decision=visit.id, code=refusal.code.value, why=str(fault))

    def _remember(self, visit: Visit, outcome: str, refusal: Refusal | None) -> None:
        if visit.principal is None:
            return
        known = Known(
            id=visit.id,
            name=visit.principal.name,
            ts=timestamp(visit.wall_us),
            endpoint=visit.endpoint.path if visit.endpoint else "other",
            outcome=outcome,
            code=refusal.code.value if refusal else None,
            reasons=refusal.reasons if refusal else (),
            batch=visit.batch,
            retry_after_s=refusal.retry_after_s if refusal else None,
            largest_qty=refusal.largest_qty if refusal else None,
        )
        self.desk.recent.put(known)

    def _is_recorded(self, visit: Visit) -> bool:
        endpoint, reads = visit.endpoint, visit.standing.settings.journal.reads
        if endpoint is None or endpoint.record in {RecordMode.DURABLE, RecordMode.APPENDED}:
            return True
        return reads == "all" or (reads == "account" and endpoint.record is RecordMode.ACCOUNT)

    def _decision(
        self,
        visit: Visit,
        outcome: Literal["allow", "refuse"],
        *,
        refusal: Refusal | None = None,
        situation: Situation | None = None,
        judged: Judged | None = None,
        replays: str | None = None,
    ) -> Decision:
        head, principal = visit.call.head, visit.principal
        seen = situation or NOTHING_KNOWN
        judged = judged or Judged()
        key = head.get("idempotency-key")
        return Decision(
            id=visit.id,
            t=visit.t_us,
            key=principal.id if principal else None,
            endpoint=visit.endpoint.path if visit.endpoint else _unknown_path(visit.call.path),
            outcome=outcome,
            code=refusal.code.value if refusal else None,
            reasons=refusal.reasons if refusal else (),
            policy_sha256=visit.standing.policy_sha256,
            config_sha256=visit.standing.config_sha256,
            effect=visit.effect.value if visit.effect else None,
            intent=_intent(head.get("guard-intent")),
            environment=_environment(visit, seen),
            account=seen.acc_id,
            market=seen.market,
            symbol=seen.symbol,
            of=seen.holder.id if seen.holder else None,
            replays=replays,
            batch=visit.batch,
            anew=seen.comes_back,
            order=Raw(judged.order) if judged.order else ABSENT,
            resulting=Raw(judged.resulting) if judged.resulting else ABSENT,
            valuation=seen.worth if isinstance(seen.worth, Valuation) else None,
            world=_seen(seen, judged),
            claims=judged.claims,
            used=judged.used,
            shadow=judged.shadow,
            idempotency=hashlib.sha256(key.encode()).hexdigest() if key else None,
            packet_id=getattr(seen.intent, "packet_id", None),
            retry_after_s=refusal.retry_after_s if refusal else None,
            largest_qty=refusal.largest_qty if refusal else None,
            peer=visit.call.peer,
            user_agent=_plain(head.get("user-agent"), 100),
            request_id=_plain(head.get("x-request-id"), 100),
            jti=plain(principal.jti, chars_max=100) if principal and principal.jti else None,
            scopes=tuple(sorted(principal.scopes)) if principal and principal.jti else (),
            note=refusal.note if refusal else visit.why,
        )

    # ------------------------------------------------------------ outcomes

    def outcome(
        self, visit: Visit, outcome: Outcome, *, t_us: int, is_decided: bool = True, claims: tuple[Claim, ...] = ()
    ) -> None:
        """What became of a trade, settled at `t_us`. Where it cannot be written, a start finds it unknown.

        `is_decided` False: its decision is in no record (a cancel), so its outcome is in none either. `claims`: what
        the outcome itself counts.
        """
        desk = self.desk
        desk.metrics.count("guard_order_outcomes_total", outcome.verdict.value)
        desk.recent.settle(visit.id, outcome)
        if outcome.verdict is Verdict.UNKNOWN:
            _log.warning("outcome_unknown", decision=visit.id, why=outcome.message)
        if not is_decided:
            return
        record = OutcomeRecord(
            decision=visit.id,
            t=t_us,
            verdict=outcome.verdict,
            status=outcome.status,
            ret_type=outcome.ret_type,
            order_id=outcome.order_id,
            order_id_ex=outcome.order_id_ex,
            duration_us=outcome.duration_us,
            message=outcome.message,
            claims=claims,
        )
        self._late.append(record)
        try:
            self.catch_up()
        except JournalFault as fault:
            _log.error("outcome_not_recorded", decision=visit.id, verdict=outcome.verdict.value, why=str(fault))

    def catch_up(self) -> None:
        """Outcomes that a full queue turned away, in order: before any decision that builds on them. JournalFault."""
        while self._late:
            self.desk.journal.append("outcome", self._late[0], lazy=True)
            self._late.popleft()

    async def watch(self, visit: Visit, seq: int) -> None:
        """A cancel was sent without waiting for its record; a disk that then fails to take it leaves a gap."""
        try:
            await self.desk.journal.durable(seq)
        except JournalFault as fault:
            self.gap(visit, fault)

    def gap(self, visit: Visit, fault: JournalFault) -> None:
        """A cancel that passes although the journal is broken: the log has it now, the record at the next start."""
        name = visit.principal.id if visit.principal else None
        missed = Missed(timestamp(visit.wall_us), visit.id, str(fault))
        is_noted = note(self.desk.directory, missed)
        _log.error(
            "cancel_not_recorded", decision=visit.id, key=name, path=visit.call.path, why=str(fault), noted=is_noted
        )

    # ------------------------------------------------------------ counts

    def _count(self, visit: Visit, refusal: Refusal) -> None:
        metrics = self.desk.metrics
        visit.call.wait_s = max(visit.call.wait_s, self._wait_s(visit))
        policy = refusal.reasons[0].policy
        metrics.count("guard_refusals_total", refusal.code.value, policy if not policy.startswith("key:") else "key")
        if visit.principal is not None:
            metrics.count("guard_refusals_by_key_total", metrics.key(visit.principal.name), refusal.code.value)

    def _wait_s(self, visit: Visit) -> float:
        """How long the answer waits, where its source is refused too often. A key's cancel never does."""
        principal, most = visit.principal, visit.standing.settings.bounds.refusals_per_second_max
        if principal is not None and visit.effect is Effect.ORDER_CANCEL:
            return 0.0
        source = Refused(address=visit.call.peer) if principal is None else Refused(principal.name)
        return self.desk.refusals.wait_us(source, most=most, t_us=visit.t_us) / 1_000_000

    def _diverges(self, reasons: tuple[Reason, ...]) -> None:
        """What passed and a shadow policy would have refused: once for each policy and code."""
        for policy, code in {(reason.policy, reason.code.value): None for reason in reasons}:
            self.desk.metrics.count("guard_shadow_divergence_total", policy, code)

    def finished(self, visit: Visit) -> None:
        """Counts the request once it is answered."""
        metrics = self.desk.metrics
        endpoint = metrics.endpoint(visit.call.path)
        elapsed_us = self.desk.clock.mono_us() - visit.started_us
        metrics.count("guard_requests_total", endpoint, visit.outcome)
        if visit.principal is not None:
            metrics.count("guard_requests_by_key_total", metrics.key(visit.principal.name), visit.outcome)
        metrics.observe("guard_request_duration_seconds", elapsed_us / 1e6, endpoint)
        metrics.observe("guard_overhead_seconds", max(0, elapsed_us - visit.daemon_us) / 1e6)


_TRADES: Final = frozenset({Effect.ORDER_NEW, Effect.ORDER_CHANGE, Effect.ORDER_CANCEL})


def _environment(visit: Visit, seen: Situation) -> str | None:
    """Where a trade counts, also where neither body nor order said so; for the rest, what was named."""
    env = seen.account.env if seen.account is not None and visit.effect in _TRADES else seen.env
    return None if env is None else env.word


def _seen(situation: Situation, judged: Judged) -> Seen | None:
    """What the rules looked at, where there was anything to look at and they were asked."""
    if situation.world is None or not judged.claims:
        return None
    return seen_of(situation.world, exits=judged.exits)


def _unknown_path(path: str) -> str:
    """The path as asked for, without what may be a key or a digest that somebody put there."""
    return plain(_DIGEST.sub("...", path), chars_max=100)


def _intent(text: str | None) -> str | None:
    """The caller's own word why: UTF-8 (the edge reads a head as latin-1), at most 256 bytes of it."""
    if text is None:
        return None
    words = masked(text.encode("latin-1", "replace").decode("utf-8", "replace"))
    said = plain(words, chars_max=INTENT_BYTES_MAX)
    return said.encode()[:INTENT_BYTES_MAX].decode("utf-8", "ignore")


def _plain(text: str | None, chars_max: int) -> str | None:
    return None if text is None else plain(masked(text), chars_max=chars_max)
