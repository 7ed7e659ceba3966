"""What the world looked like to the rules of one decision, as its record holds it. Pure.

It holds only what was looked at; for an order whose rules needed nothing there is none. A datum that could not be had
stands under its name in `missing`. `exits`: what other working orders took off the position then, in ledger units,
since the position may have been read before a fill that the counters know of; for a changed order less what is filled
of it, because its whole quantity is compared.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from guard.codes import Code
from guard.terms import NOT_ASKED, Exchange, Instrument, Missing, Position, Quote, World

NOT_ON_RECORD: Final = Missing(Code.REFERENCE_UNAVAILABLE, "not on record: no rule of the day looked at it")


class SeenWorld(Struct, frozen=True, omit_defaults=True):
    """The instrument, its price, what it is on, the exchange, the position and its price, as far as they were known."""

    instrument: Instrument | None = None
    quote: Quote | None = None
    exchange: Exchange | None = None
    underlying: Quote | None = None
    position: Position | None = None
    held: Quote | None = None
    missing: Mapping[str, Missing] = {}
    exits: int = 0

    def world(self) -> World:
        """The world that the rules were given."""
        return World(
            instrument=self._missing("instrument") if self.instrument is None else self.instrument,
            quote=self._missing("quote") if self.quote is None else self.quote,
            exchange=self._missing("exchange") if self.exchange is None else self.exchange,
            underlying=self._or_none("underlying") if self.underlying is None else self.underlying,
            position=self._or_none("position") if self.position is None else self.position,
            held=self._or_none("held") if self.held is None else self.held,
        )

    def _or_none(self, name: str) -> Missing | None:
        return self._missing(name) if name in self.missing else None

    def _missing(self, name: str) -> Missing:
        return self.missing.get(name, NOT_ON_RECORD)


def seen_of(world: World, *, exits: int = 0) -> SeenWorld:
    """What a record holds of the world."""
    known: dict[str, Any] = {}
    missing: dict[str, Missing] = {}
    for name in World.__struct_fields__:
        datum = getattr(world, name)
        if datum is None or datum is NOT_ASKED:
            continue
        if isinstance(datum, Missing):
            missing[name] = datum
        else:
            known[name] = datum
    return SeenWorld(**known, missing=missing, exits=exits)
