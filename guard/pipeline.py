"""The walk: every request, from what the edge read to the answer. Each step is a module of `guard.walk`.

read safely → find endpoint → identify caller → parse intent → gather reference data
→ [one synchronous step: key still valid, trading state, idempotency, every rule, all claims or none, sequence number]
→ [from here the program owns it: the caller may hang up]
→ decision durable → one more look → send the canonical body → verdict → settle and record → reply
"""

import structlog

from guard.codes import Code
from guard.errors import JournalFault
from guard.terms import Call, CancelAll, Needs, Refusal, Reply, refuse
from guard.walk.cancelall import CancelAlls
from guard.walk.cancelling import Cancelling, spread
from guard.walk.desk import Desk, Situation, Visit
from guard.walk.door import RISKY, admitted, against_original
from guard.walk.gather import effect_of
from guard.walk.hooks import HOOKS, Hooks
from guard.walk.judging import opening_of
from guard.walk.naming import NAMING
from guard.walk.passing import pass_on
from guard.walk.prepare import ask_more, at_once, more_to_ask, prepare
from guard.walk.questions import answer, is_question
from guard.walk.recorder import Recorder
from guard.walk.replies import again, broken, refused, settled, turned_away
from guard.walk.sending import MEETS_OTHERS, Sending, carry
from guard.walk.shadow import shadowed
from guard.walk.together import together

_log = structlog.get_logger("guard")


class Pipeline:
    """The walk over one desk. `handle` never raises and never answers 500."""

    def __init__(self, desk: Desk, hooks: Hooks = HOOKS) -> None:
        self.desk = desk
        self.hooks = hooks
        self.recorder = Recorder(desk)
        self.cancelling = Cancelling(self.recorder)
        self.cancel_alls = CancelAlls(self.recorder, self.cancelling)

    async def handle(self, call: Call) -> Reply:
        """The answer to one request."""
        visit = self.desk.open_visit(call)
        try:
            return await self.walk(visit)
        except Exception:  # noqa: BLE001 - a bug of ours must refuse, not answer 500 or let through
            _log.exception("walk_failed", decision=visit.id, path=call.path)
            self.desk.supervisor.fault("request", event="walk_failed")
            return broken(self.recorder, visit)
        finally:
            if visit.under_way is not None:
                self.desk.crowd.leave(visit.under_way)
            self.recorder.finished(visit)

    async def walk(self, visit: Visit) -> Reply:
        """Find, identify, parse, gather; then one of three roads: a question to the guard, a trade, anything else."""
        endpoint = self.hooks.find(visit.call.method, visit.call.path)
        if isinstance(endpoint, Refusal):
            if is_question(visit.call):
                return await answer(self.recorder, visit)
            return refused(self.recorder, visit, endpoint)
        visit.endpoint, visit.effect = endpoint, endpoint.effect
        stranger = self.hooks.identify(visit)
        if stranger is not None:
            return turned_away(self.recorder, visit, stranger)
        intent = self.hooks.parse(endpoint, visit.call.body)
        if isinstance(intent, Refusal):
            return refused(self.recorder, visit, intent)
        visit.effect = effect_of(intent, endpoint.effect)
        crowded = admitted(self.desk, visit)
        if crowded is not None:
            return refused(self.recorder, visit, crowded)
        if not endpoint.is_trade:
            await together(self.desk, visit)
        situation = at_once(self.desk, visit, intent) or await prepare(self.desk, visit, intent)
        if not endpoint.is_trade:
            return await pass_on(self.recorder, visit, situation, hooks=self.hooks)
        sending = self.decide(visit, situation)
        while isinstance(sending, Needs):  # at most once
            situation = await ask_more(self.desk, visit, situation, more=sending)
            sending = self.decide(visit, situation)
        if isinstance(sending, Reply):
            return sending
        return await self.desk.supervisor.see_through(self.carry_out(sending), f"trade {visit.id}")

    def decide(self, visit: Visit, situation: Situation) -> Sending | Reply | Needs:
        """The synchronous step: from the first look at shared state to the reservation there is no await.

        Nor is there one between the situation and this step.

        `Needs`: what has to be asked for first, since it may change the refusal; nothing was changed or recorded.
        """
        desk, recorder, hooks = self.desk, self.recorder, self.hooks
        situation.each = hooks.each_of(desk, visit, situation) if type(situation.intent) is CancelAll else None
        gone = hooks.revoked(desk, visit)
        if gone is not None:
            return refused(recorder, visit, gone, situation=situation)
        look = hooks.judge(desk, visit, situation)
        if look.taken is not None and look.slot is not None:
            return again(recorder, visit, situation, taken=look.taken, claim=look.slot)
        reasons = hooks.rights(visit, situation)
        if type(situation.intent) in NAMING:
            reasons += hooks.ownership(visit, situation)
            waiting = hooks.in_the_way(desk, visit, situation.holder)
            if waiting is not None and not reasons:
                return refused(recorder, visit, waiting, situation=situation)
            reasons += against_original(desk, situation) if not reasons else ()
        reasons += hooks.state(desk, visit, situation)
        if reasons or look.reasons or look.outbound is None:
            more = more_to_ask(visit, situation, look, beside=reasons)
            refusal = look.refusal([*reasons, *look.reasons])
            return more or refused(recorder, visit, refusal, situation=situation, judged=look.judged)
        judged = shadowed(desk, visit, situation, judged=look.judged)
        opening = opening_of(visit, situation, judged)
        try:
            seq = recorder.allowed(visit, situation, judged)
        except JournalFault as fault:
            if visit.effect in RISKY:
                return refused(recorder, visit, refuse(Code.JOURNAL_UNAVAILABLE, str(fault)), situation=situation)
            recorder.gap(visit, fault)
            seq = None
        sending = Sending(visit, situation, look.outbound, judged, seq)
        if isinstance(situation.intent, CancelAll) and situation.each is None:
            sending.meets_others = lambda: hooks.each_of(desk, visit, situation) is not None
        hooks.hold(recorder, sending, opening)
        if situation.each is not None:
            spread(recorder, sending, situation.each)
        return sending

    async def carry_out(self, sending: Sending) -> Reply:
        """Owned by the program: the trade to its outcome, and what its caller is told of that."""
        visit, each = sending.visit, sending.situation.each
        if each is not None:
            return await self.cancel_alls.told(sending, self.cancel_alls.begin(sending, each))
        carried = await carry(self.recorder, sending, self.hooks.carrying)
        if carried.late is MEETS_OTHERS:
            return await self.cancel_alls.one_by_one(sending)
        if carried.late is not None:
            return refused(self.recorder, visit, carried.late, is_recorded=False)
        reply = settled(self.recorder, visit, carried.outcome, result=carried.result, judged=sending.judged)
        if not isinstance(sending.situation.intent, CancelAll):
            return reply
        return await self.cancel_alls.all_at_once(sending, carried, reply)
