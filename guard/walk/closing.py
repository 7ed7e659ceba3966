"""The end of a trade: what the daemon's answer means, settled in the ledger, recorded, and heeded."""

from collections.abc import Callable
from operator import attrgetter
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from guard.journal import OutcomeRecord, plain
from guard.limits import Opening, post, reserve, settle
from guard.policy import COUNTED
from guard.terms import Answer, Effect, Failure, Outcome, Refusal, Verdict
from guard.upstream import outcome_of
from guard.walk.breaker import NOTHING_COUNTED, BreakerCount, counted, trip
from guard.walk.desk import Desk
from guard.walk.recorder import Recorder
from guard.walk.sending import Sending, interrupted, kept_back
from guard.walk.together import raise_fault

RET_TYPE_MAX: Final = 2**31
_INTERRUPTED: Final = Outcome(Verdict.NOT_SENT, message="interrupted")
_CHANGE, _NOT_SENT = Effect.ORDER_CHANGE, Verdict.NOT_SENT  # asked of every trade
_RECORD: Final = attrgetter("record")
_log = structlog.get_logger("guard")

Verdicts = Callable[[Desk, Sending, Answer | Failure], Outcome]
"""What the daemon's answer to a trade means."""


def verdict(desk: Desk, sending: Sending, result: Answer | Failure) -> Outcome:
    """What the daemon's answer means, and how long it took."""
    visit, account = sending.visit, sending.situation.account
    visit.daemon_us += result.duration_us
    desk.metrics.daemon.add(result.duration_us / 1e6)
    known_ids = desk.state.ids.get(account, ()) if account else ()
    return outcome_of(visit.effect or Effect.ORDER_CHANGE, result, known_ids=known_ids)


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

    `verdict` works out what `result` means, once the trades before it are settled; without a result `outcome` is known
    already. `told` hears of the end; it must not raise. `late`: why it was not sent. `found`: what the outcome itself
    counts. `error`: a fault of our own.
    """

    sending: Sending
    verdict: Verdicts
    told: Callable[["Closing"], None] | None = None
    outcome: Outcome = _INTERRUPTED
    result: Answer | Failure | None = None
    late: Refusal | None = None
    t_us: int = 0
    found: BreakerCount = NOTHING_COUNTED
    record: OutcomeRecord | None = None
    error: Exception | None = None

    def keep_back(self, late: Refusal) -> None:
        """It was not sent, for this reason."""
        self.late, self.outcome, self.result = late, Outcome(Verdict.NOT_SENT, message=late.reasons[0].message), None

    def fail(self, recorder: Recorder, error: Exception) -> None:
        """A fault of our own: the outcome is what is known for certain in spite of it."""
        _log.error("sending_failed", decision=self.sending.visit.id, path=self.sending.visit.call.path, exc_info=error)
        recorder.desk.supervisor.fault("trade", event="sending_failed")
        self.outcome, self.result = interrupted(self.sending, f"the guard failed: {type(error).__name__}"), None


def close(recorder: Recorder, sending: Sending, outcome: Outcome) -> None:
    """Settles the step and records its outcome."""
    closing = Closing(sending, verdict, outcome=outcome)
    close_together(recorder, [closing])
    raise_fault(closing)


def close_together(recorder: Recorder, closings: list[Closing]) -> None:
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
    sending, result = closing.sending, closing.result
    if result is None:
        return
    try:
        closing.outcome = closing.verdict(recorder.desk, sending, result)
        if closing.outcome.verdict is _NOT_SENT and (late := kept_back(recorder.desk, sending, result)) is not None:
            closing.keep_back(late)
    except Exception as error:  # noqa: BLE001 - settled by what is known
        closing.fail(recorder, error)


def _settle(recorder: Recorder, closing: Closing) -> None:
    sending, desk = closing.sending, recorder.desk
    visit = sending.visit
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
