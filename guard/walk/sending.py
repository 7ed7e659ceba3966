"""A trade from its decision to its outcome: on the disk, looked at once more, sent, judged, settled, recorded."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from operator import attrgetter
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from guard.codes import Code
from guard.errors import JournalFault
from guard.journal import OutcomeRecord, plain
from guard.limits import Opening, post, reserve, settle
from guard.policy import COUNTED
from guard.terms import Answer, Effect, Failure, Outbound, Outcome, Refusal, Verdict, refuse
from guard.upstream import judge
from guard.walk.breaker import NOTHING_COUNTED, BreakerCount, counted, trip
from guard.walk.broker import bucket_of
from guard.walk.decisionrecord import Judged
from guard.walk.desk import Desk, Situation, Visit
from guard.walk.door import RISKY, late_objection
from guard.walk.recorder import Recorder
from guard.walk.together import Together, raise_fault

RET_TYPE_MAX: Final = 2**31
REACHES_OTHERS: Final = refuse(
    Code.NOT_YOUR_ORDER, "an order of another came in between, which a cancel of all would end; it was not sent"
)
LATE_S: Final = 10  # how old a decision may be at the last look; beyond it price, hours and caller may be others
_LATE: Final = (
    "it was decided {} s ago, and waited since for the disk of the record, for this machine or for a connection to the "
    "daemon; it was not sent: ask again"
)
_INTERRUPTED: Final = Outcome(Verdict.NOT_SENT, message="interrupted")
_CHANGE, _NOT_SENT = Effect.ORDER_CHANGE, Verdict.NOT_SENT  # asked of every trade
_RECORD: Final = attrgetter("record")
_log = structlog.get_logger("guard")


class Sending(Struct, gc=False):
    """A decided trade on its way to the daemon. `seq`: that of its decision; None where it is not on record (a cancel).

    `late`: why the last look kept it back. `reaches_others`: whether a cancel-all would by now also cancel orders
    that it was not decided on.
    """

    visit: Visit
    situation: Situation
    outbound: Outbound
    judged: Judged
    seq: int | None
    may_have_left: bool = False
    late: Refusal | None = None
    reaches_others: Callable[[], bool] | None = None


def hold(recorder: Recorder, sending: Sending, opening: Opening) -> None:
    """Reserves what the trade claims, before it is on record; if that raises, the step ends as not sent."""
    try:
        reserve(recorder.desk.state, opening, t_us=sending.visit.t_us)
    except BaseException:
        close(recorder, sending, Outcome(Verdict.NOT_SENT, message="the guard failed"))
        raise
    sending.visit.outcome = "allowed"


class Closing(Struct, gc=False):
    """A trade that is over, to be settled in the ledger and recorded, both with the same time.

    `verdict` works out what `result` means, once the trades before it are settled; None: `outcome` is known already.
    `late`: why it was not sent. `found`: what the outcome itself counts. `error`: a fault of our own.
    """

    sending: Sending
    outcome: Outcome = _INTERRUPTED
    result: Answer | Failure | None = None
    verdict: Callable[[Desk, Sending, Answer | Failure], Outcome] | None = None
    late: Refusal | None = None
    t_us: int = 0
    found: BreakerCount = NOTHING_COUNTED
    record: OutcomeRecord | None = None
    is_begun: bool = False
    error: Exception | None = None

    def keep_back(self, late: Refusal) -> None:
        """It was not sent, for this reason."""
        self.late, self.outcome, self.result = late, Outcome(Verdict.NOT_SENT, message=late.reasons[0].message), None

    def fail(self, recorder: Recorder, error: Exception) -> None:
        """A fault of our own: the outcome is what is known for certain in spite of it."""
        _log.error("sending_failed", decision=self.sending.visit.id, path=self.sending.visit.call.path, exc_info=error)
        recorder.desk.supervisor.fault("trade", event="sending_failed")
        self.outcome, self.result = interrupted(self.sending, error), None


def closings(recorder: Recorder) -> Together[Closing]:
    """Gathers the trades that are answered in one turn of the loop, so that they are settled and recorded together."""
    return Together(lambda closings: _close(recorder, closings), recorder.desk.supervisor)


def close(recorder: Recorder, sending: Sending, outcome: Outcome) -> None:
    """Settles the step and records its outcome."""
    _close_alone(recorder, Closing(sending, outcome))


def _close_alone(recorder: Recorder, closing: Closing) -> None:
    _close(recorder, [closing])
    raise_fault(closing)


async def _closed(recorder: Recorder, closing: Closing, together: Together[Closing] | None) -> None:
    if together is None:
        _close_alone(recorder, closing)
        return
    try:
        await together.join(closing)
    except BaseException:
        closing.error = None
        if not closing.is_begun:
            _close_alone(recorder, closing)
        raise
    if closing.error is not None:
        raise_fault(closing)


def _close(recorder: Recorder, closings: list[Closing]) -> None:
    """Each stage for all before the next (`together` says why); they are recorded in the order of their settling."""
    for stage in (_settle, _note, _heed):
        for closing in closings:
            if closing.error is None:
                try:
                    stage(recorder, closing)
                except Exception as error:  # noqa: BLE001 - whoever closes it raises it
                    closing.error = error
        if stage is _note:
            try:
                recorder.outcomes(list(filter(None, map(_RECORD, closings))))
            except Exception as error:  # noqa: BLE001 - likewise; and none may be missing unheard
                for closing in closings:
                    closing.error = closing.error or error


def _judge(recorder: Recorder, closing: Closing) -> None:
    """Works out the outcome; after those before it are settled, so that an order id given twice is noticed (B33)."""
    sending, result, verdict = closing.sending, closing.result, closing.verdict
    if result is None or verdict is None:
        return
    try:
        closing.outcome = verdict(recorder.desk, sending, result)
        if closing.outcome.verdict is _NOT_SENT and (late := _kept_back(recorder.desk, sending, result)) is not None:
            closing.keep_back(late)
    except Exception as error:  # noqa: BLE001 - settled by what is known
        closing.fail(recorder, error)


def _settle(recorder: Recorder, closing: Closing) -> None:
    sending, desk = closing.sending, recorder.desk
    visit, closing.is_begun = sending.visit, True
    _judge(recorder, closing)
    t_us, outcome = desk.clock.t_us(), recordable(closing.outcome)
    closing.t_us, closing.outcome = t_us, outcome
    settle(desk.state, visit.id, outcome, t_us=t_us)
    if outcome.verdict in COUNTED and sending.seq is not None and visit.batch is None:  # none of the guard's own
        closing.found = counted(visit, sending.situation, outcome, is_simulated=sending.judged.is_simulated)
        if closing.found.claims:
            post(desk.state, closing.found.claims, t_us=t_us)


def _note(recorder: Recorder, closing: Closing) -> None:
    """Its record; without one of its decision (a cancel) there is none of its outcome."""
    sending = closing.sending
    record = recorder.outcome(sending.visit, closing.outcome, t_us=closing.t_us, claims=closing.found.claims)
    closing.record = None if sending.seq is None else record


def _heed(recorder: Recorder, closing: Closing) -> None:
    """What follows from it, once it is written."""
    sending, outcome, t_us, found = closing.sending, closing.outcome, closing.t_us, closing.found
    visit = sending.visit
    if visit.effect is _CHANGE and outcome.verdict is Verdict.ACCEPTED:
        _refresh_lists(recorder.desk, sending)
    if found.limits:
        trip(recorder, visit, found.limits, t_us=t_us)


def _refresh_lists(desk: Desk, sending: Sending) -> None:
    """If room is held for fills that nobody has seen yet, asks for the order list soon, which shows them."""
    account = sending.situation.account
    if account is not None and any(claim.unseen for claim in sending.judged.claims):
        desk.order_lists.refresh_soon(account)


def recordable(outcome: Outcome) -> Outcome:
    """The outcome as a record may hold it: no control characters, no `ret_type` beyond 32 bits."""
    ret_type = outcome.ret_type
    if ret_type is not None and abs(ret_type) >= RET_TYPE_MAX:
        ret_type = None
    if not outcome.message and ret_type == outcome.ret_type and outcome.err_code is None:
        return outcome
    err_code = plain(outcome.err_code) if isinstance(outcome.err_code, str) else outcome.err_code
    return replace(outcome, ret_type=ret_type, message=plain(outcome.message), err_code=err_code)


async def recorded(recorder: Recorder, sending: Sending) -> Refusal | None:
    """Waits for the disk and for the broker's gap; why the trade cannot be sent. A cancel waits for neither."""
    desk, visit = recorder.desk, sending.visit
    if visit.effect in RISKY and sending.seq is not None:
        try:
            await desk.journal.durable(sending.seq)
        except JournalFault as fault:
            return refuse(Code.JOURNAL_UNAVAILABLE, str(fault))
    elif sending.seq is not None:
        _ = desk.supervisor.start(recorder.watch(visit, sending.seq), f"record {visit.id}")
    place = bucket_of(visit, sending.situation)
    if place is not None and visit.effect is not None:  # the broker's gap between two requests; a cancel goes at once
        wait_us = desk.spacing.take(place, visit.effect, now_us=desk.clock.mono_us())
        if wait_us:
            await asyncio.sleep(-(-wait_us // 1000) / 1000)  # whole milliseconds, as coarse timers keep them
    return None


def objection(desk: Desk, sending: Sending) -> Refusal | None:
    """What stands against sending it now: key, trading state, HALT file, or orders of others that it would cancel."""
    late = late_objection(desk, sending.visit, sending.situation)
    if late is None and sending.reaches_others is not None and sending.reaches_others():
        return REACHES_OTHERS
    return late


def _late(desk: Desk, visit: Visit) -> Refusal | None:
    """Refuses to send an order or change long after it was judged; the wall clock tells if the machine slept."""
    clock = desk.clock
    age_us = max(clock.t_us() - visit.t_us, clock.wall_us() - visit.wall_us)
    if age_us <= LATE_S * 1_000_000 or visit.effect not in RISKY:
        return None
    return refuse(Code.OVERLOADED, _LATE.format(age_us // 1_000_000))


def last_look(desk: Desk, sending: Sending) -> bool:
    """Key, state, HALT and age, looked at again in the step in which the first byte would leave; True: it may leave."""
    sending.may_have_left = False
    sending.late = objection(desk, sending) or _late(desk, sending.visit)
    sending.may_have_left = sending.late is None
    return sending.may_have_left


async def carry(
    recorder: Recorder,
    sending: Sending,
    carrying: "Carrying | None" = None,
    *,
    together: Together[Closing] | None = None,
) -> Closing:
    """Sends the trade and sees it to its end: whatever happens here, the step is settled and an outcome is recorded.

    Runs in a task that the program owns. `together`: where it is closed with others that are answered in the same turn
    of the loop; None: it is closed by itself.
    """
    desk, carrying, closing = recorder.desk, carrying or CARRYING, Closing(sending)
    try:
        sending.late = await carrying.recorded(recorder, sending)
        if sending.late is None:
            sending.may_have_left = True
            outbound = replace(sending.outbound, may_leave=partial(last_look, desk, sending))
            closing.result, closing.verdict = await desk.daemon.send(outbound), carrying.verdict
        if sending.late is not None:
            closing.keep_back(sending.late)
    except Exception as error:  # noqa: BLE001 - its outcome is what is known
        closing.fail(recorder, error)
    except BaseException as error:
        close(recorder, sending, interrupted(sending, error))
        raise
    await _closed(recorder, closing, together)
    return closing


def _kept_back(desk: Desk, sending: Sending, result: Answer | Failure) -> Refusal | None:
    """Why a trade that was not sent was kept back by the guard; None: the daemon could not be reached.

    Its age counts only where the guard itself held it.
    """
    is_held = isinstance(result, Failure) and result.kind == "held"
    return objection(desk, sending) or (_late(desk, sending.visit) if is_held else None)


def verdict(desk: Desk, sending: Sending, result: Answer | Failure) -> Outcome:
    """What the daemon's answer means, and how long it took."""
    visit, account = sending.visit, sending.situation.account
    visit.daemon_us += result.duration_us
    desk.heard(result)
    desk.metrics.daemon.add(result.duration_us / 1e6)
    known_ids = desk.state.ids.get(account, ()) if account else ()
    return judge(visit.effect or Effect.ORDER_CHANGE, result, known_ids=known_ids)


def interrupted(sending: Sending, error: BaseException) -> Outcome:
    """The outcome after a fault of our own: unknown once a byte may have left, else not sent."""
    what = Verdict.UNKNOWN if sending.may_have_left else Verdict.NOT_SENT
    return Outcome(what, message=f"the guard failed: {type(error).__name__}")


class Carrying(Struct, frozen=True):
    """The hooks of a trade on its way: before it is sent, and when the daemon has answered."""

    recorded: Callable[[Recorder, Sending], Awaitable[Refusal | None]] = recorded
    verdict: Callable[[Desk, Sending, Answer | Failure], Outcome] = verdict


CARRYING: Final = Carrying()
