"""The way of a decided trade to its outcome: on the disk, looked at once more, sent, judged, settled, recorded.

It waits in no task: whoever it waits for (the disk, the broker's gap, the daemon) calls the next step. Only what cannot
be sent at once, since no connection is free and open, is sent in a task. Trades that are answered in one turn of the
loop are closed together (`together` says why). Whatever happens on the way, a trade is settled, recorded and told of
exactly once.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from guard.errors import JournalFault
from guard.server import AT_ONCE_MAX
from guard.terms import Answer, Effect, Failure, Outbound
from guard.walk.broker import bucket_of
from guard.walk.closing import Closing, Verdicts, close_together, verdict
from guard.walk.door import RISKY, unrecorded
from guard.walk.recorder import Recorder
from guard.walk.sending import Sending, interrupted, last_look
from guard.walk.together import raise_fault

_CANCEL: Final = Effect.ORDER_CANCEL  # asked of every trade
_log = structlog.get_logger("guard")

OnRecord = Callable[[JournalFault | None], None]
"""Hears that the decision is on record as far as it has to be, or that it never will be."""


def when_recorded(recorder: Recorder, sending: Sending, told: OnRecord) -> None:
    """Waits for the disk; a cancel does not."""
    visit = sending.visit
    if sending.seq is None or visit.effect not in RISKY:
        if sending.seq is not None:
            _ = recorder.desk.supervisor.start(recorder.watch(visit, sending.seq), f"record {visit.id}")
        told(None)
        return
    recorder.desk.journal.when_durable(sending.seq, told)


class Carrying(Struct, frozen=True):
    """The hooks of a trade on its way: before it is sent, and when the daemon has answered."""

    when_recorded: Callable[[Recorder, Sending, OnRecord], None] = when_recorded
    verdict: Verdicts = verdict


CARRYING: Final = Carrying()


class Carrier:
    """Carries trades over one recorder's desk."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._desk = recorder.desk
        self._ended: list[Closing] = []  # in this turn of the loop, and closed at its end

    async def carried(self, sending: Sending, carrying: Carrying = CARRYING) -> Closing:
        """How it ended. Runs in a task that the program owns: when that is cancelled, the trade is cut off."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        closing = Closing(sending, carrying.verdict, lambda _: None if done.done() else done.set_result(None))
        self.carry(closing, carrying)
        try:
            await done
        except BaseException:
            self.cut(closing)
            raise
        raise_fault(closing)
        return closing

    def carry(self, closing: Closing, carrying: Carrying) -> None:
        """Sees a trade to its end, of which `closing.told` hears, perhaps before this returns."""
        try:
            carrying.when_recorded(self._recorder, closing.sending, partial(self._on_record, closing))
        except Exception as error:  # noqa: BLE001 - its outcome is what is known
            self._fail(closing, error)

    def cut(self, closing: Closing) -> bool:
        """The program ends: what is not over by now is unknown once a byte may have left, else not sent.

        False: it was over, and whoever waits for its end has been told.
        """
        while self._ended:
            self._close_ended()
        if closing.sending.is_over:
            return False
        closing.sending.is_over = True
        closing.outcome, closing.result = interrupted(closing.sending, "the guard was stopped"), None
        closing.told = None
        close_together(self._recorder, [closing])
        if closing.error is not None:
            _log.error("closing_failed", decision=closing.sending.visit.id, exc_info=closing.error)
            closing.error = None
        return True

    def _on_record(self, closing: Closing, fault: JournalFault | None) -> None:
        try:
            if fault is not None:
                closing.keep_back(unrecorded(self._recorder.desk.journal, fault))
                self._end(closing)
                return
            wait_us = self._gap_us(closing.sending)
        except Exception as error:  # noqa: BLE001 - likewise
            self._fail(closing, error)
            return
        if wait_us:  # whole milliseconds, as coarse timers keep them
            asyncio.get_running_loop().call_later(-(-wait_us // 1000) / 1000, self._send, closing)
        else:
            self._send(closing)

    def _gap_us(self, sending: Sending) -> int:
        """How long the broker's gap between two requests keeps it; a cancel goes at once."""
        visit, desk = sending.visit, self._desk
        bucket = bucket_of(visit, sending.situation)
        if bucket is None or visit.effect is None:
            return 0
        return desk.spacing.take(bucket, visit.effect, now_us=desk.clock.mono_us())

    def _send(self, closing: Closing) -> None:
        if closing.sending.is_over:  # it was cut off meanwhile
            return
        sending, desk = closing.sending, self._desk
        outbound = replace(sending.outbound, may_leave=partial(last_look, desk, sending))
        try:
            is_asked = desk.daemon.ask(outbound, partial(self._answered, closing, outbound))
        except Exception as error:  # noqa: BLE001 - likewise
            self._fail(closing, error)
            return
        if not is_asked:
            self._send_in_a_task(closing, outbound)

    def _send_in_a_task(self, closing: Closing, outbound: Outbound) -> None:
        """Not work of its own to the supervisor: whoever waits for the end of the trade is."""
        _ = self._desk.supervisor.start(self._sent(closing, outbound), "sending", service=True)

    async def _sent(self, closing: Closing, outbound: Outbound) -> None:
        try:
            result = await self._desk.daemon.send(outbound)
        except Exception as error:  # noqa: BLE001 - likewise
            self._fail(closing, error)
        else:
            self._answered(closing, outbound, result)

    def _answered(self, closing: Closing, outbound: Outbound, result: Answer | Failure | None) -> None:
        """What the daemon said; None: nothing of it was sent, and it has to be sent anew."""
        if result is None:
            if not closing.sending.is_over:
                self._send_in_a_task(closing, outbound)
            return
        closing.result = result
        self._end(closing)

    def _fail(self, closing: Closing, error: Exception) -> None:
        closing.fail(self._recorder, error)
        self._end(closing)

    def _end(self, closing: Closing) -> None:
        """Closes it: a cancel, or what is alone, at once, anything else with the others of this turn."""
        if closing.sending.is_over:
            return
        closing.sending.is_over = True
        if closing.sending.late is not None:
            closing.keep_back(closing.sending.late)
        if closing.sending.visit.effect is _CANCEL or self._desk.supervisor.in_flight == 1:
            self._close([closing])
            return
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._close_ended)
        self._ended.append(closing)

    def _close_ended(self) -> None:
        now, self._ended = self._ended[:AT_ONCE_MAX], self._ended[AT_ONCE_MAX:]
        if self._ended:
            asyncio.get_running_loop().call_soon(self._close_ended)
        self._close(now)

    def _close(self, closings: list[Closing]) -> None:
        close_together(self._recorder, closings)
        for closing in closings:
            told, closing.told = closing.told, None  # which may hold what holds this
            if told is not None:
                told(closing)
