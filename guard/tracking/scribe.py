"""Records what was found, then folds it into the ledger, which so never holds what no record shows."""

from collections.abc import Mapping
from typing import Final

from guard.journal import Order, Reconciled
from guard.limits import State
from guard.markets import currency_of, market_words, split_symbol
from guard.terms import Verdict
from guard.tracking.apply import learned, reconciled
from guard.upstream.orderlist import OrderRow
from guard.walk.recorder import Recorder

SOURCE: Final = "orders"
POSITIONS: Final = "positions"
VANISHED: Final = "vanished"


def _usual(trd_market: int, symbol: str) -> set[str]:
    """The currency in which the market of a list usually trades the symbol."""
    return {currency_of(market, split_symbol(symbol)[1]) for market in market_words(trd_market)}


class Scribe:
    """Writes to one recorder. Raises JournalFault, and then nothing has changed."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.desk = recorder.desk

    @property
    def state(self) -> State:
        """The ledger."""
        return self.desk.state

    def settle(self, step: str, verdict: Verdict, why: str, *, row: OrderRow | None = None) -> None:
        """Records that a step is no longer in doubt."""
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
        """Records what was learned of an order."""
        self._append("order", record)
        learned(self.state, self.desk.recent, record)

    def note_currencies(self, trd_market: int, shown: Mapping[str, str], *, source: str = SOURCE) -> None:
        """Records symbols shown in another currency than is known, so that the next start knows it too.

        Orders have the last word, so what positions show counts only where nothing is known.
        """
        for symbol, currency in shown.items():
            known = self.state.currencies.get(symbol)
            if currency == known or (known is not None and source != SOURCE):
                continue
            if known is None and currency in _usual(trd_market, symbol):
                continue
            t_us = self.desk.clock.t_us()
            self.learn(Order(decision="", t=t_us, status="listed", source=source, symbol=symbol, currency=currency))

    def _append(self, type_: str, record: Order | Reconciled) -> None:
        # An outcome that a full queue turned away comes before what builds on it.
        self._recorder.catch_up()
        self.desk.journal.append(type_, record)
