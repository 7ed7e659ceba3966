"""Writes what was found, and folds it at once: the record first, so that nothing is in the ledger alone."""

from collections.abc import Iterable
from typing import Final

from guard.journal import Order, Reconciled
from guard.limits import State
from guard.markets import currency_of, market_words
from guard.terms import Verdict
from guard.tracking.apply import learned, reconciled
from guard.tracking.places import Place
from guard.upstream.orderlist import OrderRow
from guard.walk.recorder import Recorder

SOURCE: Final = "orders"


def _usual(place: Place, row: OrderRow) -> set[str]:
    """In what the market of this list trades the code."""
    return {currency_of(market, row.code) for market in market_words(place.trd_market)}


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

    def note_currencies(self, place: Place, rows: Iterable[OrderRow]) -> None:
        """Symbols that these rows show in another currency than is known of them; so that a start knows it too."""
        for row in rows:
            if row.symbol is None or row.currency is None:
                continue
            known = self.state.currencies.get(row.symbol)
            if row.currency == known or (known is None and row.currency in _usual(place, row)):
                continue
            record = Order(
                decision="",
                t=self.desk.clock.t_us(),
                status="listed",
                source=SOURCE,
                symbol=row.symbol,
                currency=row.currency,
            )
            self.learn(record)

    def _append(self, type_: str, record: Order | Reconciled) -> None:
        # An outcome that a full queue turned away comes before what builds on it.
        self._recorder.catch_up()
        self.desk.journal.append(type_, record)
