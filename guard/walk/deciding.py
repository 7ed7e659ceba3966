"""The synchronous step that decides trades, all those together that reached it in one turn of the loop.

Nothing in it is awaited: between the first look at shared state and the reservation with its place in the record no
other change can come. Of several trades each stage is done for all of them before the next (`together` says why). They
take room one after the other, each seeing what those before it hold, and they are recorded in that order.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.errors import JournalFault
from guard.limits import settle
from guard.terms import CancelAll, Intent, Needs, Outcome, Reply, Verdict
from guard.walk.cancelling import close_split
from guard.walk.decisionrecord import NOT_JUDGED
from guard.walk.door import RISKY, unrecorded
from guard.walk.floods import is_never_summed
from guard.walk.hooks import Hooks
from guard.walk.judging import ask_rules
from guard.walk.obstacle import Obstacle, obstacle_to
from guard.walk.outgoing import opening_of
from guard.walk.prepare import ask_more, at_once, prepare
from guard.walk.recorder import DecidedTrade, Recorder
from guard.walk.repeats import again
from guard.walk.replies import as_told, refused, told
from guard.walk.sending import Sending
from guard.walk.shadow import shadowed
from guard.walk.together import raise_fault
from guard.walk.visit import Situation, Visit

_UNSENT: Final = Outcome(Verdict.NOT_SENT, message="it was not recorded")


class PendingTrade(Struct, gc=False):
    """A trade up to its decision.

    `situation` None: something has to be asked for first. Before the record is written, `sending` holds room for it or
    `obstacle` says why it may not be sent. `is_placed`: its record has its place. `found` is the decision, `error` a
    fault of our own.
    """

    visit: Visit
    intent: Intent
    situation: Situation | None = None
    sending: Sending | None = None
    obstacle: Obstacle | None = None
    is_placed: bool = False
    found: Sending | Reply | Needs | None = None
    error: Exception | None = None


class Deciding:
    """Decides trades over one recorder's desk."""

    def __init__(self, recorder: Recorder, hooks: Callable[[], Hooks]) -> None:
        self.recorder = recorder
        self._desk = recorder.desk
        self._hooks = hooks

    async def go_on(self, trade: PendingTrade) -> Sending | Reply:
        """What `decide` has looked at: with its room taken and its record queued, ready to be sent; or its refusal.

        What was missing is asked for.
        """
        if trade.situation is None and trade.error is None:
            trade.situation = await prepare(self._desk, trade.visit, trade.intent)
            self.decide([trade])
        while trade.situation is not None and isinstance(more := trade.found, Needs):  # at most once
            trade.found = trade.obstacle = None
            trade.situation = await ask_more(self._desk, trade.visit, trade.situation, more=more)
            self.decide([trade])
        if trade.error is not None:
            raise_fault(trade)
        if trade.found is None or isinstance(trade.found, Needs):
            raise AssertionError("a trade was not decided")
        return trade.found

    def decide(self, trades: list[PendingTrade]) -> None:
        """The synchronous step: no await between the first look at shared state and the record of the reservation.

        A fault of our own fails only the trade that it met. If `found` comes out as `Needs`, these have to be asked for
        first, since they may change the refusal; nothing was changed or recorded.
        """
        for stage in (self._gather, self._weigh, self._hold, self._write):
            if stage == self._write and len(trades) > 1:
                self._record(trades)
            for trade in trades:
                if trade.found is None and trade.error is None:
                    try:
                        stage(trade)
                    except Exception as error:  # noqa: BLE001 - its own task raises it
                        trade.error = error

    def _gather(self, trade: PendingTrade) -> None:
        """What is known of the world, where nobody has to be asked."""
        visit, desk = trade.visit, self._desk
        if trade.situation is not None:
            return
        if visit.config is not desk.config:
            desk.renew(visit)
        trade.situation = at_once(desk, visit, trade.intent)

    def _weigh(self, trade: PendingTrade) -> None:
        """What the rules say before the ledger is asked, and what would be sent."""
        if trade.situation is not None:
            trade.situation.ruling = ask_rules(self._desk, trade.visit, trade.situation)

    def _hold(self, trade: PendingTrade) -> None:
        """Takes room for every claim, unless something stands against the trade."""
        visit, situation, hooks, desk = trade.visit, trade.situation, self._hooks(), self._desk
        if situation is None:
            return
        situation.each = hooks.own_orders_only(desk, visit, situation) if type(situation.intent) is CancelAll else None
        gone = hooks.revoked(desk, visit)
        if gone is not None:
            trade.obstacle = Obstacle(gone)
            return
        assessment = hooks.judge(desk, visit, situation)
        trade.obstacle = obstacle_to(desk, visit, situation, assessment=assessment, hooks=hooks)
        if trade.obstacle is not None:
            trade.found = trade.obstacle.more
            return
        if assessment.outbound is None:
            raise AssertionError("a trade with nothing to send was let through")
        judged = shadowed(desk, visit, situation, judged=assessment.judged)
        opening = opening_of(visit, situation, judged)
        sending = Sending(visit, situation, assessment.outbound, judged, None)
        hooks.hold(self.recorder, sending, opening)
        trade.sending = sending
        desk.unwritten += 1

    def _record(self, trades: list[PendingTrade]) -> None:
        """Records trades all at once, up to the first that cannot go with the others: the record has their order.

        Whoever has none then is recorded by itself, and told why not.
        """
        pending = [trade for trade in trades if not isinstance(trade.found, Needs)]
        decided: list[DecidedTrade] = []
        try:
            for trade in pending:
                one = self._decided(trade)
                if one is None:
                    break
                decided.append(one)
            seqs = self.recorder.all_decided(decided) if len(decided) > 1 else ()
        except Exception:  # noqa: BLE001 - each by itself: the fault is that trade's alone that it meets
            return
        for trade, seq in zip(pending, seqs, strict=False):
            trade.is_placed = True
            if trade.sending is not None:
                trade.sending.seq = seq

    def _decided(self, trade: PendingTrade) -> DecidedTrade | None:
        """What is recorded of it with the others; None: it is recorded by itself."""
        visit, sending, obstacle, situation = trade.visit, trade.sending, trade.obstacle, trade.situation
        if trade.error is not None or situation is None:
            return None
        if sending is not None:
            return None if sending.judged.shadow else DecidedTrade(visit, None, situation, sending.judged)
        if obstacle is None or obstacle.refusal is None or not is_never_summed(visit):
            return None
        trade.obstacle = replace(obstacle, refusal=as_told(self.recorder, visit, obstacle.refusal))
        return DecidedTrade(visit, trade.obstacle.refusal, situation, obstacle.judged or NOT_JUDGED)

    def _write(self, trade: PendingTrade) -> None:
        """Writes its record; called in the order in which room was taken."""
        visit, situation, obstacle, recorder = trade.visit, trade.situation, trade.obstacle, self.recorder
        if trade.sending is not None:
            trade.found = self._recorded(trade.sending)
        elif obstacle is not None and obstacle.refusal is not None and trade.is_placed:
            recorder.count_refused(visit, obstacle.refusal)
            trade.found = told(recorder, visit, obstacle.refusal, judged=obstacle.judged)
        elif obstacle is not None and obstacle.refusal is not None:
            trade.found = refused(recorder, visit, obstacle.refusal, situation=situation, judged=obstacle.judged)
        elif obstacle is not None and obstacle.first is not None and situation is not None:
            trade.found = again(recorder, visit, situation, first=obstacle.first, step=obstacle.replays)

    def _recorded(self, sending: Sending) -> Sending | Reply:
        """An order or change that cannot be recorded gives its room back; a cancel passes and is noted as a gap."""
        visit, situation, desk = sending.visit, sending.situation, self._desk
        desk.unwritten -= 1
        try:
            if sending.seq is None:
                sending.seq = self.recorder.allowed(visit, situation, sending.judged)
        except JournalFault as fault:
            if visit.effect in RISKY:
                settle(desk.state, visit.id, _UNSENT, t_us=visit.t_us)
                refusal = unrecorded(desk.journal, fault)
                return refused(self.recorder, visit, refusal, situation=situation)
            self.recorder.gap(visit, fault)
        except Exception:
            settle(desk.state, visit.id, _UNSENT, t_us=visit.t_us)
            visit.outcome = "failed"
            raise
        if situation.each is not None:
            close_split(self.recorder, sending, situation.each)
        elif type(situation.intent) is CancelAll:
            sending.reaches_others = lambda: self._hooks().own_orders_only(desk, visit, situation) is not None
        return sending
