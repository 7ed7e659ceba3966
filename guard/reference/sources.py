"""Every kind of reference data of one daemon: how often it may be asked for, how long it is believed, and the look-ups.

What the guard keeps of each broker limit for itself, in any 30 s: snapshots 20 of 60, future-info 15 of 30, trading
days 16 of 30, market-state 5 of 10, positions and orders 8 and order history 5 of 10 an account. Static-info and
global-state have no limit.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from guard.clock import Clock
from guard.markets import currency_of, split_symbol
from guard.reference.answercache import Kept
from guard.reference.asks import EVERYWHERE, Asks, CalendarKey, PositionKey
from guard.reference.futures import FutureTerms
from guard.reference.positions import Holdings
from guard.reference.sessions import GlobalState, global_name
from guard.reference.snapshot import Shown
from guard.reference.source import Manner, Source, Surroundings
from guard.reference.static import Static
from guard.reference.tradingdays import Calendar
from guard.terms import Account, PlaceOrder

_T = TypeVar("_T")
_SECOND_US: Final = 1_000_000
_HOUR_US: Final = 3600 * _SECOND_US

FACT_AGE_US: Final = 24 * _HOUR_US  # board lots and multipliers change overnight, if ever
FACT_RENEW_US: Final = 4 * _HOUR_US
STATE_AGE_US: Final = 10 * _SECOND_US
CALENDAR_AGE_US: Final = 72 * _HOUR_US
CALENDAR_RENEW_US: Final = 6 * _HOUR_US
POSITION_AGE_US: Final = 5 * _SECOND_US
HELD_AGE_US: Final = 60 * _SECOND_US  # a position's price: their pace is slow, exits need it, and any beats none
UNHELD_AGE_US: Final = 15 * _SECOND_US  # that there is none: it may have been bought since
LISTED_MAX: Final = 100  # symbols that the daemon's REST door takes in one list
CURRENCIES_MAX: Final = 10_000
ACCOUNTS_MAX: Final = 1000

MANNERS: Final[Mapping[str, Manner]] = {
    "price": Manner(batch_max=LISTED_MAX, burst=5, interval_us=2 * _SECOND_US, ride_us=60 * _SECOND_US),
    "instrument": Manner(batch_max=LISTED_MAX, burst=30, interval_us=_SECOND_US // 5, denied_us=30 * _SECOND_US),
    "future": Manner(batch_max=LISTED_MAX, burst=5, interval_us=3 * _SECOND_US),
    "state": Manner(batch_max=LISTED_MAX, burst=2, interval_us=10 * _SECOND_US, ride_us=60 * _SECOND_US),
    "session": Manner(burst=5, interval_us=_SECOND_US, denied_us=_SECOND_US),
    "calendar": Manner(burst=10, interval_us=5 * _SECOND_US),
    # A position can only excuse an order that is refused without it: no caller is kept waiting for the pace.
    "position": Manner(lanes_max=1, burst=3, interval_us=6 * _SECOND_US, denied_us=_SECOND_US, patience_us=0),
    "today": Manner(burst=3, interval_us=6 * _SECOND_US),
    "history": Manner(burst=2, interval_us=10 * _SECOND_US),
}
_ASKED_AT: Final[Mapping[str, str]] = {
    "/api/snapshot": "price",
    "/api/future-info": "future",
    "/api/market-state": "state",
    "/api/trading-days": "calendar",
    "/api/positions": "position",
    "/api/orders": "today",
    "/api/history-orders": "history",  # of orders whose end or outcome is looked for
}


def part_kept(path: str, *, window_s: int) -> int:
    """How many requests of a broker's bucket the guard keeps for itself at this path, in any window; 0: none."""
    kind = _ASKED_AT.get(path)
    return 0 if kind is None else MANNERS[kind].burst + window_s * _SECOND_US // MANNERS[kind].interval_us


def position_key(order: PlaceOrder, account: Account) -> PositionKey:
    """Under what the positions of the order's account are kept."""
    header = order.header
    return PositionKey(account, header.trd_market, header.jp_acc_type)


class Sources:
    """What is kept of each kind, and who asks for it. Used on one event loop."""

    def __init__(self, asks: Asks, around: Surroundings) -> None:
        self.clock: Clock = around.clock
        self._asks = asks
        self._around = around
        self.prices: Source[str, Shown] = Source("price", asks.snapshot, around, manner=MANNERS["price"])
        self.statics: Source[str, Static] = Source("instrument", asks.static, around, manner=MANNERS["instrument"])
        self.futures: Source[str, FutureTerms] = Source("future", asks.futures, around, manner=MANNERS["future"])
        self.states: Source[str, int] = Source("state", asks.states, around, manner=MANNERS["state"])
        self.sessions: Source[str, GlobalState] = Source("session", asks.everywhere, around, manner=MANNERS["session"])
        self.calendars: Source[CalendarKey, Calendar] = Source(
            "calendar", asks.calendar, around, manner=MANNERS["calendar"]
        )
        self._positions: dict[Account, Source[PositionKey, Holdings]] = {}
        self._currencies: dict[str, str] = {}

    def positions(self, account: Account) -> Source[PositionKey, Holdings]:
        """The positions of one account: the broker counts the questions by account."""
        found = self._positions.get(account)
        if found is None:
            if len(self._positions) >= ACCOUNTS_MAX:
                del self._positions[next(iter(self._positions))]
            found = Source("position", self._asks.positions, self._around, manner=MANNERS["position"])
            self._positions[account] = found
        return found

    def held_age_us(self, key: PositionKey, symbol: str) -> int:
        """How old the list of positions may be that is to tell at which price the symbol is held."""
        kept = self.positions(key.account).cache.get(key)
        return HELD_AGE_US if kept is not None and symbol in kept.value.prices else UNHELD_AGE_US

    def ages_s(self) -> dict[str, float]:
        """How long ago the daemon last answered a question of each kind; kinds that were never asked are left out."""
        now_us = self.clock.t_us()
        answered: dict[str, tuple[int | None, ...]] = {
            "price": (self.prices.answered_us,),
            "instrument": (self.statics.answered_us,),
            "future": (self.futures.answered_us,),
            "session": (self.sessions.answered_us, self.states.answered_us),
            "calendar": (self.calendars.answered_us,),
            "position": tuple(source.answered_us for source in self._positions.values()),
        }
        newest = {kind: max((at for at in times if at is not None), default=None) for kind, times in answered.items()}
        return {kind: (now_us - at_us) / _SECOND_US for kind, at_us in newest.items() if at_us is not None}

    # ------------------------------------------------------------ look-ups

    def fresh(self, kept: Kept[_T] | None, *, age_max_us: int) -> _T | None:
        """What is kept, unless it is too old."""
        if kept is None or self.clock.t_us() - kept.answered_us > age_max_us:
            return None
        return kept.value

    def shown(self, symbol: str) -> Shown | None:
        """The last snapshot row that still tells what the instrument is; its prices may be old."""
        return self.fresh(self.prices.cache.get(symbol), age_max_us=FACT_AGE_US)

    def static(self, symbol: str) -> Static | None:
        """What the instrument is: from static-info, else from the snapshot, which tells the same."""
        found = self.fresh(self.statics.cache.get(symbol), age_max_us=FACT_AGE_US)
        shown = self.shown(symbol) if found is None else None
        return found if shown is None else shown.static

    def is_unknown(self, symbol: str) -> bool:
        """The daemon said a moment ago that it knows no such instrument."""
        denied = self.statics.cache.denied(symbol, self.clock.t_us())
        return denied is not None and denied.is_unknown

    def lacks_price(self, symbol: str) -> bool:
        """The daemon said that it has no price of the symbol; not that it has none at the moment."""
        kept = self.prices.cache.get(symbol)
        if kept is not None:
            return not kept.value.has_price
        denied = self.prices.cache.denied(symbol, self.clock.t_us())
        is_denied = self.is_unknown(symbol) or (denied is not None and not denied.is_transient)
        return is_denied and not self.is_logged_out

    @property
    def is_logged_out(self) -> bool:
        """The daemon is not logged in for quotes: then it knows no instrument and no price."""
        everywhere = self.everywhere()
        return everywhere is not None and not everywhere.is_quoting

    def everywhere(self) -> GlobalState | None:
        """The state of the markets that the daemon lists."""
        return self.fresh(self.sessions.cache.get(EVERYWHERE), age_max_us=STATE_AGE_US)

    def state(self, market: str, symbol: str) -> int | None:
        """The QotMarketState of an instrument's market; None where it is not known, or the daemon is not logged in."""
        name = global_name(market, split_symbol(symbol)[0])
        if name is None:
            return self.fresh(self.states.cache.get(symbol), age_max_us=STATE_AGE_US)
        everywhere = self.everywhere()
        return everywhere.states.get(name) if everywhere is not None and everywhere.is_quoting else None

    # ------------------------------------------------------------ currencies that were seen

    def observe_currency(self, symbol: str, currency: str) -> None:
        """The daemon's own orders or positions show this symbol in this currency."""
        if self._currencies.pop(symbol, None) is None and len(self._currencies) >= CURRENCIES_MAX:
            del self._currencies[next(iter(self._currencies))]
        self._currencies[symbol] = currency

    def seen_currency(self, symbol: str, key: PositionKey) -> str:
        """The currency in which orders, else the account's positions, show the symbol; "" where none do."""
        seen = self._currencies.get(symbol)
        if seen:
            return seen
        source = self._positions.get(key.account)
        kept = None if source is None else source.cache.get(key)
        return "" if kept is None else kept.value.currencies.get(symbol, "")

    def other_currency(self, order: PlaceOrder, account: Account) -> str:
        """The currency that was seen where it is not the one that the market's table has; else ""."""
        seen = self._currencies.get(order.symbol)
        if not seen and self._positions:
            seen = self.seen_currency(order.symbol, position_key(order, account))
        return "" if not seen or seen == currency_of(order.market, order.code) else seen
