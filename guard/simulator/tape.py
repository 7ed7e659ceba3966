"""Prices: where they stand, how they move, and the candles of a past that never was.

Everything is a function of the seed, the symbol and a step or a time, so the same seed shows the same market. A price
moves by at most two price steps a tick and stays within two per cent of its base; `last[symbol] = Decimal(...)` puts it
anywhere.
"""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from guard.simulator.contracts import FUTURES, find
from guard.simulator.instruments import LISTED, Instrument, Kind

_BAND: Final = Decimal("0.02")
_STEPS_MAX: Final = 2
_BOOK_LOTS: Final = 20
CANDLE_SPAN: Final = {  # Qot_Common.KLType → length
    1: timedelta(minutes=1),
    2: timedelta(days=1),
    3: timedelta(weeks=1),
    4: timedelta(days=30),
    5: timedelta(days=365),
    6: timedelta(minutes=5),
    7: timedelta(minutes=15),
    8: timedelta(minutes=30),
    9: timedelta(hours=1),
    10: timedelta(minutes=3),
    11: timedelta(days=91),
}


class Candle(Struct, frozen=True):
    """One candle: its end, four prices and the number of shares."""

    end: datetime
    opened: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


class Level(Struct, frozen=True):
    """One level of the displayed book."""

    price: Decimal
    volume: int


def noise(*parts: object) -> int:
    """A number below 2⁶⁴ that depends on nothing but its arguments."""
    text = "|".join(map(str, parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def to_spread(price: Decimal, instrument: Instrument) -> Decimal:
    """The price on the instrument's grid, never below one step."""
    steps = (price / instrument.spread).quantize(Decimal(1), ROUND_HALF_UP)
    return max(steps, Decimal(1)) * instrument.spread


class Tape:
    """The last price of everything that was asked for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.step = 0
        self.last: dict[str, Decimal] = {row.symbol: row.base for row in LISTED.values()}
        self.last |= {f"{terms.prefix}.{root}main": terms.base for root, terms in FUTURES.items()}

    def price(self, instrument: Instrument) -> Decimal:
        """The last price; an option follows its owner until a price is put on the tape for it."""
        known = self.last.get(instrument.symbol)
        if known is not None:
            return known
        if instrument.kind is Kind.OPTION:
            return self._premium(instrument)
        return self.last.setdefault(instrument.symbol, instrument.base)

    def bid(self, instrument: Instrument) -> Decimal:
        """The best bid: one step below the last price (the price itself where a step would reach zero)."""
        price = self.price(instrument)
        return price - instrument.spread if price > instrument.spread else price

    def ask(self, instrument: Instrument) -> Decimal:
        """The best ask: the last price."""
        return self.price(instrument)

    def levels(self, instrument: Instrument, count: int, *, is_bid: bool) -> list[Level]:
        """The displayed book on one side, best first."""
        best, step = (self.bid(instrument), -instrument.spread) if is_bid else (self.ask(instrument), instrument.spread)
        rows = []
        for place in range(count):
            price = best + step * place
            if price <= 0:
                break
            lots = 1 + noise(self.seed, instrument.symbol, price, self.step) % _BOOK_LOTS
            rows.append(Level(price, lots * max(instrument.lot, 1)))
        return rows

    def advance(self) -> None:
        """One tick: every price on the tape moves."""
        self.step += 1
        for symbol, price in self.last.items():
            instrument = find(symbol)
            if instrument is not None:
                self.last[symbol] = self._moved(instrument, price)

    def _moved(self, instrument: Instrument, price: Decimal) -> Decimal:
        steps = noise(self.seed, instrument.symbol, self.step) % (2 * _STEPS_MAX + 1) - _STEPS_MAX
        away = price - instrument.base
        if abs(away) > instrument.base * _BAND:
            steps = -abs(steps) if away > 0 else abs(steps)
        return max(price + steps * instrument.spread, instrument.spread)

    def _premium(self, option: Instrument) -> Decimal:
        owner = find(option.owner or "")
        if owner is None or option.strike is None:
            raise AssertionError(f"{option.symbol} has no owner")
        spot = self.price(owner)
        inside = spot - option.strike if option.right == 1 else option.strike - spot
        distance = abs(inside) / (spot / 5)
        time_value = spot / 50 * max(Decimal(0), 1 - distance)
        return to_spread(max(inside, Decimal(0)) + time_value, option)

    def candles(self, instrument: Instrument, kl_type: int, *, until: datetime, count: int) -> list[Candle]:
        """The last `count` candles that begin before `until`, oldest first; the newest closes at the last price."""
        span = CANDLE_SPAN.get(kl_type, CANDLE_SPAN[2])
        seconds = int(span.total_seconds())
        newest = int(until.timestamp()) // seconds
        rows = []
        for bucket in range(newest - count + 1, newest + 1):
            end = datetime.fromtimestamp(min((bucket + 1) * seconds, int(until.timestamp())), tz=until.tzinfo)
            rows.append(self._candle(instrument, kl_type, bucket, end=end, is_last=bucket == newest))
        return rows

    def _candle(self, instrument: Instrument, kl_type: int, bucket: int, *, end: datetime, is_last: bool) -> Candle:
        def point(place: int) -> Decimal:
            wobble = Decimal(noise(self.seed, instrument.symbol, kl_type, place) % 401 - 200) / 10_000
            return to_spread(instrument.base * (1 + wobble), instrument)

        opened, close = point(bucket - 1), self.price(instrument) if is_last else point(bucket)
        high = max(opened, close) + instrument.spread
        low = max(min(opened, close) - instrument.spread, instrument.spread)
        volume = (1 + noise(self.seed, instrument.symbol, bucket) % 5000) * max(instrument.lot, 1)
        return Candle(end, opened, high, low, close, volume)
