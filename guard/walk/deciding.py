"""The synchronous step that decides trades, all those together that reached it in one turn of the loop.

Nothing in it is awaited: between the first look at shared state and the reservation with its place in the record no
other change can come. Of several trades each stage is done for all of them before the next (`together` says why). They
take room one after the other, each seeing what those before it hold, and they are recorded in that order.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.errors import JournalFault
from guard.limits import settle
from guard.terms import CancelAll, Effect, Intent, Needs, Outcome, Reply, Verdict, refuse
from guard.walk.barring import Bar, bar_of
from guard.walk.cancelling import close_split
from guard.walk.desk import Situation, Visit
from guard.walk.door import RISKY
from guard.walk.hooks import Hooks
from guard.walk.judging import opening_of, weigh
from guard.walk.prepare import ask_more, at_once, prepare
from guard.walk.recorder import Recorder
from guard.walk.replies import again, refused
from guard.walk.sending import Sending, close
from guard.walk.shadow import shadowed
from guard.walk.together import Together, raise_fault

_CANCEL = Effect.ORDER_CANCEL  # asked of every trade
_UNSENT: Final = Outcome(Verdict.NOT_SENT, message="it was not recorded")
_INTERRUPTED: Final = Outcome(Verdict.NOT_SENT, message="interrupted")


class Case(Struct, gc=False):
    """A trade up to its decision.

    `situation` None: something has to be asked for first. Before the record is written, `sending` holds room for it or
    `bar` says why it may not be sent. `found` is the decision, `error` a fault of our own.
    """

    visit: Visit
    intent: Intent
    situation: Situation | None = None
    sending: Sending | None = None
    bar: Bar | None = None
    found: Sending | Reply | Needs | None = None
    error: Exception | None = None


class Deciding:
    """Decides trades over one recorder's desk."""

    def __init__(self, recorder: Recorder, hooks: Callable[[], Hooks]) -> None:
        self._recorder = recorder
        self._desk = recorder.desk
        self._hooks = hooks
        self._together = Together(self.decide, self._desk.supervisor)

    async def decided(self, case: Case) -> Sending | Reply:
        """The trade with its room taken and its record queued, ready to be sent; or the reply to a refusal."""
        if case.visit.effect is _CANCEL:  # it waits for nobody
            self.decide([case])
        else:
            await self._joined(case)
        if case.situation is None and case.error is None:
            case.situation = await prepare(self._desk, case.visit, case.intent)
            self.decide([case])
        while case.situation is not None and isinstance(more := case.found, Needs):  # at most once
            case.found = case.bar = None
            case.situation = await ask_more(self._desk, case.visit, case.situation, more=more)
            self.decide([case])
        raise_fault(case)
        if case.found is None or isinstance(case.found, Needs):
            raise AssertionError("a trade was not decided")
        return case.found

    async def _joined(self, case: Case) -> None:
        try:
            await self._together.join(case)
        except BaseException:
            case.error = None
            if isinstance(case.found, Sending):
                close(self._recorder, case.found, _INTERRUPTED)
            raise

    def decide(self, cases: list[Case]) -> None:
        """The synchronous step: no await between the first look at shared state and the record of the reservation.

        A fault of our own fails only the trade that it met. If `found` comes out as `Needs`, these have to be asked for
        first, since they may change the refusal; nothing was changed or recorded.
        """
        for stage in (self._gather, self._weigh, self._hold, self._write):
            if stage == self._write and len(cases) > 1:
                self._record(cases)
            for case in cases:
                if case.found is None and case.error is None:
                    try:
                        stage(case)
                    except Exception as error:  # noqa: BLE001 - its own task raises it
                        case.error = error

    def _gather(self, case: Case) -> None:
        """What is known of the world, where nobody has to be asked."""
        visit, desk = case.visit, self._desk
        if case.situation is not None:
            return
        if visit.standing is not desk.standing:
            desk.renew(visit)
        case.situation = at_once(desk, visit, case.intent)

    def _weigh(self, case: Case) -> None:
        """What the rules say before the ledger is asked, and what would be sent."""
        if case.situation is not None:
            weigh(self._desk, case.visit, case.situation)

    def _hold(self, case: Case) -> None:
        """Takes room for every claim, unless something stands against the trade."""
        visit, situation, hooks, desk = case.visit, case.situation, self._hooks(), self._desk
        if situation is None:
            return
        situation.each = hooks.own_orders_only(desk, visit, situation) if type(situation.intent) is CancelAll else None
        gone = hooks.revoked(desk, visit)
        if gone is not None:
            case.bar = Bar(gone)
            return
        look = hooks.judge(desk, visit, situation)
        case.bar = bar_of(desk, visit, situation, look=look, hooks=hooks)
        if case.bar is not None:
            case.found = case.bar.more
            return
        if look.outbound is None:
            raise AssertionError("a trade with nothing to send was let through")
        judged = shadowed(desk, visit, situation, judged=look.judged)
        opening = opening_of(visit, situation, judged)
        sending = Sending(visit, situation, look.outbound, judged, None)
        hooks.hold(self._recorder, sending, opening)
        case.sending = sending
        desk.unwritten += 1

    def _record(self, cases: list[Case]) -> None:
        """Records of what may be sent, all at once, up to the first that may not: the record has them in their order.

        Whoever has none then is recorded by itself, and told why not.
        """
        held: list[Sending] = []
        for case in cases:
            if case.sending is None or case.error is not None or case.sending.judged.shadow:
                break
            held.append(case.sending)
        if len(held) <= 1:
            return
        try:
            seqs = self._recorder.all_allowed(held)
        except Exception:  # noqa: BLE001 - each by itself: the fault is that trade's alone that it meets
            return
        for sending, seq in zip(held, seqs, strict=False):
            sending.seq = seq

    def _write(self, case: Case) -> None:
        """Writes its record; called in the order in which room was taken."""
        visit, situation, bar, recorder = case.visit, case.situation, case.bar, self._recorder
        if case.sending is not None:
            case.found = self._recorded(case.sending)
        elif bar is not None and bar.refusal is not None:
            case.found = refused(recorder, visit, bar.refusal, situation=situation, judged=bar.judged)
        elif bar is not None and bar.first is not None and situation is not None:
            case.found = again(recorder, visit, situation, first=bar.first, step=bar.replays)

    def _recorded(self, sending: Sending) -> Sending | Reply:
        """An order or change that cannot be recorded gives its room back; a cancel passes and is noted as a gap."""
        visit, situation, desk = sending.visit, sending.situation, self._desk
        desk.unwritten -= 1
        try:
            if sending.seq is None:
                sending.seq = self._recorder.allowed(visit, situation, sending.judged)
        except JournalFault as fault:
            if visit.effect in RISKY:
                settle(desk.state, visit.id, _UNSENT, t_us=visit.t_us)
                refusal = refuse(Code.JOURNAL_UNAVAILABLE, str(fault))
                return refused(self._recorder, visit, refusal, situation=situation)
            self._recorder.gap(visit, fault)
        except Exception:
            settle(desk.state, visit.id, _UNSENT, t_us=visit.t_us)
            visit.outcome = "failed"
            raise
        if situation.each is not None:
            close_split(self._recorder, sending, situation.each)
        elif type(situation.intent) is CancelAll:
            sending.reaches_others = lambda: self._hooks().own_orders_only(desk, visit, situation) is not None
        return sending
