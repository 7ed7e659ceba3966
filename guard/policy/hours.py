"""Rules on when: a market's hours in its own zone, and a key's one window.

Windows are [start, end) by the wall clock of their zone, so they move with daylight saving time. One that crosses
midnight belongs to the day on which it begins. Within a window the exchange has the last word where it is known: a day
that is no trading day is closed, and a market whose state is closed is closed, whatever the hour (holidays, half-days,
typhoons). Where the calendar is not known the days are Monday to Friday.
"""

from collections.abc import Hashable
from datetime import date, datetime, timedelta
from typing import ClassVar, Final

from guard.codes import Code
from guard.markets import ZONE_OF
from guard.policy.instruments import shown
from guard.policy.notation import Window, clock_text
from guard.policy.rule import OrderRule, Proposal
from guard.terms import Exchange, Missing, Reason, zone_of

ALWAYS: Final = "always"
_SATURDAY: Final = 5
_NOON_MIN: Final = 12 * 60
# Where a half-day turns, by the market's own clock, if not at noon.
HALF_DAY_MIN: Final = {"US": 13 * 60, "US_FUND": 13 * 60, "FUTURES_US": 13 * 60, "AU": 14 * 60 + 10}
_DAY: Final = timedelta(days=1)


class Hours(OrderRule, frozen=True):
    """Only within the market's windows, on its trading days; None: always, at weekends too, whatever the exchange."""

    name: ClassVar[str] = "hours"
    windows: dict[str, tuple[Window, ...] | None]

    @property
    def kin(self) -> Hashable:
        """The same hours."""
        return frozenset(self.windows.items())

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses outside the windows, while the exchange is closed, and in a market that has no windows."""
        market = proposal.order.market
        windows = self.windows.get(market, ())
        if windows is None:
            return None
        zone = ZONE_OF[market]
        local = proposal.wall.astimezone(zone_of(zone))
        begun, why = _begun(windows, local), ""
        if begun is not None:
            exchange = None if proposal.world is None else proposal.world.exchange
            if isinstance(exchange, Missing):
                return self.reason(exchange.code, exchange.message)
            why = _closed(exchange, begun, local)
            if not why:
                return None
        allowed = shown(tuple(str(window) for window in windows))
        observed = f"{local:%a %H:%M} {zone}"
        message = f"{market} is closed to orders on {observed}; open on trading days: {allowed}"
        return self.reason(Code.HOURS, f"{message}; {why}" if why else message, observed=observed, limit=allowed)


class AlwaysOrNever(Hours, frozen=True):
    """Each of its markets is open at any time, or never: what it says hangs on the market alone."""

    is_of_shape: ClassVar[bool] = True


def _begun(windows: tuple[Window, ...], local: datetime) -> date | None:
    """The day on which the window around this minute began; None outside of all windows."""
    minute = local.hour * 60 + local.minute
    for window in windows:
        if any(minute in span for span in window.minutes):
            return (local if minute >= window.start_min else local - timedelta(days=1)).date()
    return None


def _closed(exchange: Exchange | None, begun: date, local: datetime) -> str:
    """What stands against trading in a window that began on this day; empty where nothing does."""
    is_open_day = None
    if exchange is not None and exchange.day is not None:
        days = {exchange.day: exchange.is_trading_day, exchange.day - _DAY: exchange.was_trading_day}
        is_open_day = days.get(begun)
    if is_open_day is None:
        is_open_day = begun.weekday() < _SATURDAY
    if not is_open_day:
        return f"{begun:%a %Y-%m-%d} is no trading day"
    if exchange is None:
        return ""
    if exchange.state == "closed":
        return "the exchange says that it is closed"
    return _half_day(exchange, begun, local)


def _half_day(exchange: Exchange, begun: date, local: datetime) -> str:
    """Where the market's state is not known, a half-day is told from the calendar and the clock."""
    if not exchange.is_half_day or exchange.state != "unknown" or begun != exchange.day:
        return ""
    noon = HALF_DAY_MIN.get(exchange.market, _NOON_MIN)
    minute = local.hour * 60 + local.minute
    is_over = minute < noon if exchange.is_afternoon_only else minute >= noon
    part = "afternoon" if exchange.is_afternoon_only else "morning"
    return f"only the {part} of {begun} is traded, and it turns at {clock_text(noon)}" if is_over else ""


class KeyHours(OrderRule, frozen=True):
    """Only within one window of every day, in the zone of the keys file (`keys.tz`)."""

    name: ClassVar[str] = "hours_window"
    window: Window
    zone: str

    def judge(self, proposal: Proposal) -> Reason | None:
        """Refuses outside the window."""
        local = proposal.wall.astimezone(zone_of(self.zone))
        if any(local.hour * 60 + local.minute in span for span in self.window.minutes):
            return None
        observed, allowed = f"{local:%H:%M} {self.zone}", str(self.window)
        message = f"{observed} is outside of {allowed}"
        return self.reason(Code.HOURS, message, observed=observed, limit=allowed)
