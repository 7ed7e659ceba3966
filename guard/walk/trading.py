"""The way of an order or change without a task: decided with the others of its turn of the loop, carried, and told.

What something has to be asked for first goes on in a task, and so does a fault of ours, up to the reply.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec import Struct

from guard.server import Asker, answered
from guard.terms import Reply
from guard.walk.carrier import Carrier, Carrying
from guard.walk.closing import Closing
from guard.walk.deciding import Deciding, PendingTrade
from guard.walk.reading import answer
from guard.walk.recorder import Recorder
from guard.walk.replies import refused, settled, walked
from guard.walk.sending import Sending
from guard.walk.together import raise_fault


class Trade(Struct, eq=False, gc=False):
    """A trade on its way, and who waits for its answer. `closing`: its end to be, while it is carried."""

    pending: PendingTrade
    asker: Asker
    trades: "Trades"
    closing: Closing | None = None

    @property
    def name(self) -> str:
        """As the operator is told it where the guard stops before its end."""
        return f"trade {self.pending.visit.id}"

    def cut(self) -> bool:
        """The program ends: it is settled and recorded by what is known, and its caller hears nothing more."""
        return self.trades.cut(self)


class Trades:
    """Takes trades from their deciding to their answers, each step together with those of the same turn."""

    def __init__(
        self, deciding: Deciding, carrier: Carrier, *, go_on: Callable[[PendingTrade], Awaitable[Reply]]
    ) -> None:
        """`go_on`: the rest of the road of one that could not be decided at once."""
        self._recorder = deciding.recorder
        self._desk = self._recorder.desk
        self._deciding = deciding
        self._carrier = carrier
        self._go_on = go_on

    def begin(self, trades: Sequence[Trade], carrying: Carrying) -> None:
        """Decides all of them, then carries what passes."""
        self._deciding.decide([trade.pending for trade in trades])
        for trade in trades:
            found, visit = trade.pending.found, trade.pending.visit
            if isinstance(found, Sending):
                self._desk.supervisor.hold(trade)
                trade.closing = Closing(found, carrying.verdict, partial(self._told, trade))
                self._carrier.carry(trade.closing, carrying)
            elif isinstance(found, Reply):
                answer(self._recorder, visit, found, to=trade.asker)
            else:
                self._in_a_task(trade, partial(self._go_on, trade.pending))

    def cut(self, trade: Trade) -> bool:
        """The program ends before the trade does; False: it was over, and its caller has been told."""
        if trade.closing is None or not self._carrier.cut(trade.closing):
            return False
        trade.closing = None
        self._desk.supervisor.release(trade)
        self._recorder.finished(trade.pending.visit)
        trade.asker.cut()
        return True

    def _told(self, trade: Trade, closing: Closing) -> None:
        """It is settled and recorded."""
        trade.closing = None
        self._desk.supervisor.release(trade)
        visit = trade.pending.visit
        try:
            raise_fault(closing)
            reply = reply_to(self._recorder, closing)
        except Exception as error:  # noqa: BLE001 - its own task raises it
            self._in_a_task(trade, partial(_raised, error))
        else:
            answer(self._recorder, visit, reply, to=trade.asker)

    def _in_a_task(self, trade: Trade, walk: Callable[[], Awaitable[Reply]]) -> None:
        walk = partial(walked, self._recorder, trade.pending.visit, walk)
        self._desk.supervisor.take(answered(trade.asker, walk), "request")


async def _raised(error: Exception) -> Reply:
    raise error


def reply_to(recorder: Recorder, closing: Closing) -> Reply:
    """What the caller is told of how its trade ended."""
    sending, visit = closing.sending, closing.sending.visit
    if closing.late is not None:
        return refused(recorder, visit, closing.late, is_recorded=False)
    return settled(recorder, visit, closing.outcome, result=closing.result, judged=sending.judged)
