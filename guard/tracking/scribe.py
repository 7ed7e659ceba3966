"""Writes what was found, and folds it at once: the record first, so that nothing is in the ledger alone."""

from typing import Final

from guard.journal import Order, Reconciled
from guard.limits import State
from guard.terms import Verdict
from guard.tracking.apply import learned, reconciled
from guard.upstream.orderlist import OrderRow
from guard.walk.recorder import Recorder

SOURCE: Final = "orders"


class Scribe:
    """Over one recorder's desk. Raises JournalFault, and nothing has changed then."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.desk = recorder.desk

    @property
    def state(self) -> State:
        """The ledger."""
        return self.desk.state

    def settle(self, step: str, verdict: Verdict, why: str, *, row: OrderRow | None = None) -> None:
        """A step is in doubt no longer."""
        record = Reconciled(
            decision=step,
            t=self.desk.clock.t_us(),
            verdict=verdict,
            source=SOURCE,
            order_id=None if row is None else row.order_id,
            order_id_ex=None if row is None else row.order_id_ex,
            reason=why,
        )
        self._append("reconciled", record)
        reconciled(self.state, self.desk.recent, record)

    def learn(self, record: Order) -> None:
        """Something is known of an order."""
        self._append("order", record)
        learned(self.state, self.desk.recent, record)

    def _append(self, type_: str, record: Order | Reconciled) -> None:
        # An outcome that a full queue turned away comes before what builds on it.
        self._recorder.catch_up()
        self.desk.journal.append(type_, record)
