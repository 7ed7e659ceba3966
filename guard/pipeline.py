"""The walk: every request from what the edge has read to its answer. Each step is a module of `guard.walk`.

read safely → find endpoint → identify caller → parse intent → gather reference data
→ [one synchronous step: key still valid, trading state, idempotency, every rule, all claims or none, sequence number]
→ [from here the program owns it: the caller may hang up]
→ decision durable → one more look → send the canonical body → verdict → settle and record → reply
"""

import structlog

from guard.terms import TRADE_EFFECTS, Call, CancelAll, Effect, Refusal, Reply
from guard.walk.cancelall import CancelAlls
from guard.walk.cancelling import Cancelling
from guard.walk.deciding import Deciding, PendingTrade
from guard.walk.desk import Desk, Visit
from guard.walk.door import admitted, misunderstood
from guard.walk.gather import CANCELS
from guard.walk.hooks import HOOKS, Hooks
from guard.walk.passthrough import PassThrough, PendingCall
from guard.walk.questions import answer, is_question
from guard.walk.recorder import Recorder
from guard.walk.replies import broken, refused, settled, turned_away
from guard.walk.sending import REACHES_OTHERS, Sending, carry, closings

_CANCEL = Effect.ORDER_CANCEL  # asked of every trade
_log = structlog.get_logger("guard")


class Pipeline:
    """The walk over one desk. `handle` never raises and never answers 500."""

    def __init__(self, desk: Desk, hooks: Hooks = HOOKS) -> None:
        self.desk = desk
        self.hooks = hooks
        self.recorder = Recorder(desk)
        self.deciding = Deciding(self.recorder, lambda: self.hooks)
        self.pass_through = PassThrough(self.recorder)
        self.closings = closings(self.recorder)
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
                self.desk.in_flight.leave(visit.under_way)
            self.recorder.finished(visit)

    async def walk(self, visit: Visit) -> Reply:
        """Finds, identifies, parses; then one of three roads: a question to the guard, a trade, anything else."""
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
            return refused(self.recorder, visit, misunderstood(endpoint, visit.principal, intent))
        if type(intent) in CANCELS:
            visit.effect = _CANCEL
        crowded = admitted(self.desk, visit)
        if crowded is not None:
            return refused(self.recorder, visit, crowded)
        if visit.effect not in TRADE_EFFECTS:
            pending = PendingCall(visit, intent, self.hooks)
            judged = await self.pass_through.admitted(pending)
            return judged if isinstance(judged, Reply) else await self.pass_through.pass_on(pending, judged)
        sending = await self.deciding.decided(PendingTrade(visit, intent))
        if isinstance(sending, Reply):
            return sending
        return await self.desk.supervisor.see_through(self.carry_out(sending), f"trade {visit.id}")

    async def carry_out(self, sending: Sending) -> Reply:
        """Takes a decided trade to its outcome, in a task that the program owns; the reply to its caller."""
        visit, each = sending.visit, sending.situation.each
        if each is not None:
            return await self.cancel_alls.told(sending, self.cancel_alls.begin(sending, each))
        others = None if visit.effect is _CANCEL else self.closings
        carried = await carry(self.recorder, sending, self.hooks.carrying, together=others)
        if carried.late is REACHES_OTHERS:
            return await self.cancel_alls.one_by_one(sending)
        if carried.late is not None:
            return refused(self.recorder, visit, carried.late, is_recorded=False)
        reply = settled(self.recorder, visit, carried.outcome, result=carried.result, judged=sending.judged)
        if not isinstance(sending.situation.intent, CancelAll):
            return reply
        return await self.cancel_alls.all_at_once(sending, carried, reply)
