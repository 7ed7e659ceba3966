"""Prices that move, the same way for the same seed."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from guard.simulator.tape import CANDLE_SPAN, Tape
from tests.support.daemon import listed

NOW = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)


def test_the_same_seed_shows_the_same_market() -> None:
    """Two tapes of one seed agree after a hundred ticks, a third of another seed does not."""
    one, two, other = Tape(7), Tape(7), Tape(8)
    for _ in range(100):
        for tape in (one, two, other):
            tape.advance()

    assert one.last == two.last
    assert one.last != other.last


def test_prices_move_and_stay_near_their_base() -> None:
    """Tencent moves, but not away from 300."""
    tape, seen = Tape(1), set()
    for _ in range(500):
        tape.advance()
        seen.add(tape.price(listed("HK.00700")))

    assert len(seen) > 5
    assert all(abs(price - 300) <= 8 for price in seen)


def test_a_price_can_be_put_anywhere() -> None:
    """What a test sets is the last price, the ask, and one step above the bid."""
    tape, tencent = Tape(1), listed("HK.00700")
    tape.last["HK.00700"] = Decimal("512.4")

    assert tape.ask(tencent) == Decimal("512.4")
    assert tape.bid(tencent) == Decimal("512.2")


def test_options_follow_their_owner_until_they_are_priced() -> None:
    """A call is worth more when its owner is; a price on the tape wins."""
    tape, call = Tape(1), listed("US.AAPL261218C200000")
    before = tape.price(call)
    tape.last["US.AAPL"] = Decimal(250)
    assert tape.price(call) >= Decimal(50) > before

    tape.last[call.symbol] = Decimal("1.23")
    assert tape.price(call) == Decimal("1.23")


def test_the_book_has_two_sides_and_ends_at_zero() -> None:
    """Asks rise, bids fall, and no level costs nothing."""
    tape, penny = Tape(1), listed("HK.14730")
    tape.last[penny.symbol] = Decimal("0.003")

    asks, bids = tape.levels(penny, 5, is_bid=False), tape.levels(penny, 5, is_bid=True)

    assert [level.price for level in asks] == sorted(level.price for level in asks)
    assert [level.price for level in bids] == [Decimal("0.002"), Decimal("0.001")]


@pytest.mark.parametrize("kl_type", sorted(CANDLE_SPAN))
def test_candles_hold_their_close_between_high_and_low(kl_type: int) -> None:
    """Every candle is possible, they are in order, and the newest closes at the last price."""
    tape, tencent = Tape(1), listed("HK.00700")
    candles = tape.candles(tencent, kl_type, until=NOW, count=20)

    assert len(candles) == 20
    assert all(row.low <= min(row.opened, row.close) <= max(row.opened, row.close) <= row.high for row in candles)
    assert [row.end for row in candles] == sorted(row.end for row in candles)
    assert candles[-1].close == tape.price(tencent)
    assert candles[-1].end <= NOW
