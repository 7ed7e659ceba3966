"""The walk: every request from what the edge has read to its answer. Each step is a module of `guard.walk`.

read safely → find endpoint → identify caller → parse intent → gather reference data
→ [one synchronous step: key still valid, trading state, idempotency, every rule, all claims or none, sequence number]
→ [from here the program owns it: the caller may hang up]
→ decision durable → one more look → send the canonical body → verdict → settle and record → reply
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from guard.server import Asker, answered
from guard.terms import TRADE_EFFECTS, Call, CancelAll, Effect, Intent, Refusal, Reply
from guard.walk.cancelall import CancelAlls
from guard.walk.cancelling import Cancelling
from guard.walk.carrier import Carrier
from guard.walk.deciding import Deciding, PendingTrade
from guard.walk.desk import Desk
from guard.walk.door import RISKY, admitted, mispresented, misunderstood
from guard.walk.gather import CANCELS
from guard.walk.hooks import HOOKS, Hooks
from guard.walk.passthrough import PassThrough, PendingCall
from guard.walk.questions import answer as question
from guard.walk.questions import is_question
from guard.walk.reading import Reading, Readings, answer
from guard.walk.recorder import Recorder
from guard.walk.replies import refused, turned_away, walked
from guard.walk.sending import REACHES_OTHERS, Sending
from guard.walk.trading import Trade, Trades, reply_to
from guard.walk.visit import Visit

_CANCEL, _READ = Effect.ORDER_CANCEL, Effect.READ  # asked of every request
_TOGETHER: Final = RISKY | {_READ}


class Pipeline:
    """The walk over one desk. `handle` never raises and never answers 500."""

    def __init__(self, desk: Desk, hooks: Hooks = HOOKS) -> None:
        self.desk = desk
        self.hooks = hooks
        self.recorder = Recorder(desk)
        self.deciding = Deciding(self.recorder, lambda: self.hooks)
        self.pass_through = PassThrough(self.recorder)
        self.readings = Readings(self.recorder, self.pass_through)
        self.carrier = Carrier(self.recorder)
        self.trades = Trades(self.deciding, self.carrier, go_on=self._go_on)
        self.cancelling = Cancelling(self.recorder, self.carrier)
        self.cancel_alls = CancelAlls(self.recorder, self.cancelling)

    async def handle(self, call: Call) -> Reply:
        """The answer to one request."""
        visit = self.desk.open_visit(call)
        entered = self.entered(visit)
        return await walked(self.recorder, visit, partial(self.walk, visit, entered))

    def begin(self, askers: Sequence[Asker]) -> None:
        """The requests of one turn of the loop: trades go on together, so do reads; all else in a task each."""
        trades: list[Trade] = []
        readings: list[Reading] = []
        try:
            visits = self.desk.open_visits([asker.call for asker in askers])
        except Exception:  # noqa: BLE001 - each of them is owed an answer; none has begun
            for asker in askers:
                asker.fail()
            return
        for asker, visit in zip(askers, visits, strict=True):
            entered = self.entered(visit)
            if isinstance(entered, Reply):
                answer(self.recorder, visit, entered, to=asker)
            elif entered is None or isinstance(entered, Exception) or visit.effect not in _TOGETHER:
                walk = partial(walked, self.recorder, visit, partial(self.walk, visit, entered))
                self.desk.supervisor.take(answered(asker, walk), "request")
            elif visit.effect is _READ:
                readings.append(Reading(PendingCall(visit, entered, self.hooks), asker))
            else:
                trades.append(Trade(PendingTrade(visit, entered), asker, self.trades))
        if len(trades) + len(readings) == len(askers):
            self._go_together(trades, readings)
        elif trades or readings:  # a cancel that came with them does not wait for them
            asyncio.get_running_loop().call_soon(self._go_together, trades, readings)

    def _go_together(self, trades: list[Trade], readings: list[Reading]) -> None:
        if trades:
            self.trades.begin(trades, self.hooks.carrying)
        if readings:
            self.readings.begin(readings)

    def entered(self, visit: Visit) -> Intent | Reply | Exception | None:
        """The request found, identified and parsed, or its refusal; None: it is a question to the guard itself.

        An exception is a fault of ours, which `walk` raises.
        """
        try:
            return self._enter(visit)
        except Exception as error:  # noqa: BLE001 - its own task raises it
            return error

    def _enter(self, visit: Visit) -> Intent | Reply | None:
        endpoint = self.hooks.find(visit.call.method, visit.call.path)
        if isinstance(endpoint, Refusal):
            if is_question(visit.call):
                return None
            wrong = mispresented(visit)
            return (
                refused(self.recorder, visit, endpoint) if wrong is None else turned_away(self.recorder, visit, wrong)
            )
        visit.endpoint, visit.effect = endpoint, endpoint.effect
        denied = self.hooks.identify(visit)
        if denied is not None:
            return turned_away(self.recorder, visit, denied)
        intent = self.hooks.parse(endpoint, visit.call.body)
        if isinstance(intent, Refusal):
            return refused(self.recorder, visit, misunderstood(endpoint, visit.principal, intent))
        if type(intent) in CANCELS:
            visit.effect = _CANCEL
        too_many = admitted(self.desk, visit)
        return intent if too_many is None else refused(self.recorder, visit, too_many)

    async def walk(self, visit: Visit, entered: Intent | Reply | Exception | None) -> Reply:
        """One of three roads: a question to the guard, a trade, anything else."""
        if isinstance(entered, Exception):
            raise entered
        if isinstance(entered, Reply):
            return entered
        if entered is None:
            return await question(self.recorder, visit)
        if visit.effect not in TRADE_EFFECTS:
            return await self.pass_through.handled(PendingCall(visit, entered, self.hooks))
        trade = PendingTrade(visit, entered)
        self.deciding.decide([trade])
        return await self._go_on(trade)

    async def _go_on(self, trade: PendingTrade) -> Reply:
        """The rest of the road of a trade that was looked at."""
        sending = await self.deciding.go_on(trade)
        if isinstance(sending, Reply):
            return sending
        return await self.desk.supervisor.see_through(self.carry_out(sending), f"trade {sending.visit.id}")

    async def carry_out(self, sending: Sending) -> Reply:
        """Takes a decided trade to its outcome, in a task that the program owns; the reply to its caller."""
        each = sending.situation.each
        if each is not None:
            return await self.cancel_alls.told(sending, self.cancel_alls.begin(sending, each))
        carried = await self.carrier.carried(sending, self.hooks.carrying)
        if carried.late is REACHES_OTHERS:
            return await self.cancel_alls.one_by_one(sending)
        reply = reply_to(self.recorder, carried)
        if carried.late is not None or not isinstance(sending.situation.intent, CancelAll):
            return reply
        return await self.cancel_alls.all_at_once(sending, carried, reply)
