"""The way of a read without a task: judged with the others of its turn of the loop, sent, and told by a callback.

Most requests are reads, and a task for each, with the coroutines in which it waits, costs a quarter of a read. What
cannot leave at once (no open connection, something to be asked for first, a fault of ours) goes on in a task.
"""

from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from guard.server import Asker, answered
from guard.terms import Answer, Failure, Reply
from guard.walk.passthrough import PassThrough, PendingCall
from guard.walk.recorder import Recorder
from guard.walk.replies import walked
from guard.walk.visit import Visit


class Reading(Struct, eq=False, gc=False):
    """A read on its way, and who waits for its answer."""

    pending: PendingCall
    asker: Asker

    @property
    def name(self) -> str:
        """As the operator is told it where the guard stops before its end."""
        return "request"

    def cut(self) -> bool:
        """The program ends: soon the client does, and with that it is answered."""
        return True


class Readings:
    """Takes reads from their judging to their answers, each step together with those of the same turn."""

    def __init__(self, recorder: Recorder, pass_through: PassThrough) -> None:
        self._recorder = recorder
        self._desk = recorder.desk
        self._pass_through = pass_through

    def begin(self, readings: Sequence[Reading]) -> None:
        """Judges, counts and records all of them, then sends what passes."""
        self._pass_through.admit([reading.pending for reading in readings])
        for reading in readings:
            found = reading.pending.found
            if isinstance(found, Reply):
                answer(self._recorder, reading.pending.visit, found, to=reading.asker)
            elif found is None or not self._is_sent(reading):
                self._go_on_alone(reading)

    def _is_sent(self, reading: Reading) -> bool:
        """It leaves in this turn, and `_told` hears of its answer."""
        desk, pending = self._desk, reading.pending
        try:
            is_sent = desk.daemon.ask(self._pass_through.outbound(pending), partial(self._told, reading))
        except Exception as error:  # noqa: BLE001 - its own task raises it
            pending.error = error
            return False
        if is_sent:
            desk.supervisor.hold(reading)
        return is_sent

    def _told(self, reading: Reading, result: Answer | Failure | None) -> None:
        """What the daemon said; None: nothing of it was sent, and it has to be sent anew."""
        self._desk.supervisor.release(reading)
        pending = reading.pending
        if result is None:
            self._go_on_alone(reading)
            return
        try:
            reply = self._pass_through.concluded(pending, result)
        except Exception as error:  # noqa: BLE001 - its own task raises it
            pending.error = error
            self._go_on_alone(reading)
        else:
            answer(self._recorder, pending.visit, reply, to=reading.asker)

    def _go_on_alone(self, reading: Reading) -> None:
        pending = reading.pending
        walk = partial(walked, self._recorder, pending.visit, partial(self._pass_through.go_on, pending))
        self._desk.supervisor.take(answered(reading.asker, walk), "request")


def answer(recorder: Recorder, visit: Visit, reply: Reply, *, to: Asker) -> None:
    """Counts the request and tells its caller."""
    try:
        recorder.finished(visit)
    except Exception:  # noqa: BLE001 - the others of its turn are answered
        to.fail()
    else:
        to.answer(reply)
