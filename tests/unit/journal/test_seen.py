"""The world of a decision as its record holds it."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec

from guard.codes import Code
from guard.journal.seen import NOT_ON_RECORD, SeenWorld, seen_of
from guard.terms import NOT_ASKED, Exchange, Instrument, Missing, Position, Quote, World

QUOTE = Quote(
    "HK.00700", last=Decimal("300.20"), bid=Decimal(-1), age_ms=7, exchange_at=datetime(2026, 1, 2, tzinfo=UTC)
)
FULL = World(
    instrument=Instrument("HK.00700", "stock", "HKD", lot_size=100, strike=Decimal("1.10")),
    quote=QUOTE,
    exchange=Exchange("HK", day=date(2026, 1, 2), is_trading_day=True),
    underlying=QUOTE,
    position=Position("HK.00700", Decimal(-300), age_ms=3, price=Decimal("300.2")),
)
GONE = Missing(Code.PRICE_UNAVAILABLE, "the daemon is silent")
EMPTY = World(instrument=GONE, quote=GONE, exchange=GONE, underlying=GONE, position=GONE)
LEAN = World(instrument=GONE, quote=QUOTE, exchange=GONE)


def read_back(seen: SeenWorld) -> SeenWorld:
    """As a line of the journal holds it."""
    return msgspec.json.decode(msgspec.json.encode(seen), type=SeenWorld)


def test_a_world_is_read_back_as_it_was() -> None:
    """What was known, to the digit, and why the rest was not."""
    for world in (FULL, EMPTY, LEAN):
        assert read_back(seen_of(world)).world() == world
    assert read_back(seen_of(FULL, exits=12)).exits == 12


def test_what_nobody_asked_for_is_told_as_such() -> None:
    """A record without a datum says that it is not on record, not that the daemon was silent."""
    assert SeenWorld().world() == World(NOT_ON_RECORD, NOT_ON_RECORD, NOT_ON_RECORD)


def test_what_nobody_asked_for_takes_no_bytes() -> None:
    """A world of which only the price was wanted is written as that price."""
    lean = World(instrument=NOT_ASKED, quote=QUOTE, exchange=NOT_ASKED)

    assert list(msgspec.json.decode(msgspec.json.encode(seen_of(lean)))) == ["quote"]
    assert seen_of(lean).world().exchange == NOT_ON_RECORD
