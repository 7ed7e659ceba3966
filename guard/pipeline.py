"""The walk: every request, from what the edge read to the answer. The only module that names every room.

read safely → find endpoint → identify caller → parse intent → gather reference data
→ [one synchronous step: key still valid, trading state, idempotency, every rule, all claims or none, sequence number]
→ [from here the program owns it: the caller may hang up]
→ decision durable → one more look → send the canonical body → verdict → settle and record → reply
"""

import asyncio

import structlog
from msgspec import Struct

from guard.catalogue import find
from guard.codes import Code
from guard.errors import JournalFault
from guard.intent import parse
from guard.limits import reserve, settle
from guard.terms import Answer, Call, Effect, Failure, Outbound, Outcome, Refusal, Reply, Verdict, in_order, refuse
from guard.upstream import judge as judge_answer
from guard.walk.desk import Desk, KnownIds, Situation, Visit
from guard.walk.door import RISKY, identify, in_the_way, ownership, revoked, rights, state_reasons
from guard.walk.gather import effect_of, gather
from guard.walk.judging import judge_trade, opening_of
from guard.walk.passing import pass_on
from guard.walk.questions import answer, is_question
from guard.walk.recorder import Judged, Recorder
from guard.walk.replies import again, refused, settled

_log = structlog.get_logger("guard")


class Sending(Struct):
    """A decided trade on its way to the daemon. `seq`: the record that must be durable first; None: not waited for."""

    visit: Visit
    situation: Situation
    outbound: Outbound
    judged: Judged
    seq: int | None
    may_have_left: bool = False


class Pipeline:
    """The walk over one desk. `handle` never raises and never answers 500."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.recorder = Recorder(desk)

    async def handle(self, call: Call) -> Reply:
        """The answer to one request."""
        visit = self.desk.open_visit(call)
        try:
            return await self.walk(visit)
        except Exception:  # noqa: BLE001 - a bug of ours must refuse, not answer 500 or let through
            _log.exception("walk_failed", decision=visit.id, path=call.path)
            broken = refuse(Code.RULE_ERROR, "the guard failed on this request; its log says why")
            return refused(self.recorder, visit, broken)
        finally:
            self.recorder.finished(visit)

    async def walk(self, visit: Visit) -> Reply:
        """Find, identify, parse, gather; then one of three roads: a question to the guard, a trade, anything else."""
        if is_question(visit.call):
            return await answer(self.recorder, visit)
        endpoint = find(visit.call.method, visit.call.path)
        if isinstance(endpoint, Refusal):
            return refused(self.recorder, visit, endpoint)
        visit.endpoint, visit.effect = endpoint, endpoint.effect
        stranger = identify(visit)
        if stranger is not None:
            return refused(self.recorder, visit, stranger)
        intent = parse(endpoint, visit.call.body)
        if isinstance(intent, Refusal):
            return refused(self.recorder, visit, intent)
        visit.effect = effect_of(intent, endpoint.effect)
        situation = await gather(self.desk, visit, intent)
        if not endpoint.is_trade:
            return await pass_on(self.recorder, visit, situation)
        sending = self.decide(visit, situation)
        if isinstance(sending, Reply):
            return sending
        task = self.desk.supervisor.start(self.carry_out(sending), f"trade {visit.id}")
        return await asyncio.shield(task)

    def decide(self, visit: Visit, situation: Situation) -> Sending | Reply:
        """The synchronous step: from the first look at shared state to the reservation there is no await."""
        desk, recorder = self.desk, self.recorder
        alone = revoked(desk, visit) or in_the_way(desk, visit, situation.holder)
        if alone is not None:
            return refused(recorder, visit, alone, situation=situation)
        look = judge_trade(desk, visit, situation)
        if look.taken is not None and look.slot is not None:
            return again(recorder, visit, situation, taken=look.taken, claim=look.slot)
        reasons = [
            *rights(visit, situation),
            *state_reasons(desk, visit, situation),
            *ownership(desk, visit, situation),
            *look.reasons,
        ]
        if reasons or look.outbound is None:
            refusal = Refusal(in_order(reasons), look.retry_after_s)
            return refused(recorder, visit, refusal, situation=situation, judged=look.judged)
        try:
            seq = recorder.allowed(visit, situation, look.judged)
        except JournalFault as fault:
            if visit.effect in RISKY:
                return refused(recorder, visit, refuse(Code.JOURNAL_UNAVAILABLE, str(fault)), situation=situation)
            recorder.gap(visit, fault)
            seq = None
        reserve(desk.state, opening_of(visit, situation, look.judged), t_us=visit.t_us)
        visit.outcome = "allowed"
        return Sending(visit, situation, look.outbound, look.judged, seq if visit.effect in RISKY else None)

    async def carry_out(self, sending: Sending) -> Reply:
        """Owned by the program: whatever happens here, the step is settled and an outcome is written."""
        visit = sending.visit
        outcome, result, late = Outcome(Verdict.NOT_SENT, message="interrupted"), None, None
        try:
            late = await self.last_look(sending)
            if late is not None:
                outcome = Outcome(Verdict.NOT_SENT, message=late.reasons[0].message)
            else:
                sending.may_have_left = True
                result = await self.desk.daemon.send(sending.outbound)
                outcome = self.verdict(sending, result)
        except BaseException as error:
            verdict = Verdict.UNKNOWN if sending.may_have_left else Verdict.NOT_SENT
            outcome = Outcome(verdict, message=f"the guard failed: {type(error).__name__}")
            raise
        finally:
            t_us = self.desk.clock.t_us()
            settle(self.desk.state, visit.id, outcome, t_us=t_us)
            self.recorder.outcome(visit, outcome, t_us=t_us)
        if late is not None:
            return refused(self.recorder, visit, late, is_recorded=False)
        if result is None:
            raise AssertionError("neither refused late nor sent")
        return settled(self.recorder, visit, outcome, result=result, judged=sending.judged)

    async def last_look(self, sending: Sending) -> Refusal | None:
        """The decision on the disk; then state, key and HALT once more, for they may have changed meanwhile."""
        try:
            if sending.seq is not None:
                await self.desk.journal.durable(sending.seq)
        except JournalFault as fault:
            return refuse(Code.JOURNAL_UNAVAILABLE, str(fault))
        gone = revoked(self.desk, sending.visit)
        reasons = state_reasons(self.desk, sending.visit, sending.situation, is_last=True)
        return gone or (Refusal(in_order(reasons)) if reasons else None)

    def verdict(self, sending: Sending, result: Answer | Failure) -> Outcome:
        """What the daemon's answer means, and how long it took."""
        visit, account = sending.visit, sending.situation.account
        visit.daemon_us += result.duration_us
        self.desk.is_daemon_up = isinstance(result, Answer)
        self.desk.metrics.observe("guard_upstream_duration_seconds", result.duration_us / 1e6)

        known_ids = KnownIds(self.desk.state, account) if account else ()
        return judge_answer(visit.effect or Effect.ORDER_CHANGE, result, known_ids=known_ids)
