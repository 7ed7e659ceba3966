"""When the simulated exchanges trade: at any hour, or in real regular hours on weekdays.

Real hours know lunch breaks and zones, not holidays or half-days: the simulated daemon is for trying things out.
"""

from datetime import date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from guard.simulator.instruments import MARKETS, Instrument, Kind

Mode = Literal["open", "real"]

# Qot_Common.QotMarketState
MORNING: Final = 3
REST: Final = 4
AFTERNOON: Final = 5
CLOSED: Final = 6
FUTURE_OPEN: Final = 23
FUTURE_CLOSE: Final = 26

_SATURDAY: Final = 5
_HOURS: Final = {
    "HK": ((time(9, 30), time(12, 0)), (time(13, 0), time(16, 0))),
    "US": ((time(9, 30), time(16, 0)),),
    "SH": ((time(9, 30), time(11, 30)), (time(13, 0), time(15, 0))),
    "SZ": ((time(9, 30), time(11, 30)), (time(13, 0), time(15, 0))),
    "SG": ((time(9, 0), time(12, 0)), (time(13, 0), time(17, 0))),
    "JP": ((time(9, 0), time(11, 30)), (time(12, 30), time(15, 30))),
    "AU": ((time(10, 0), time(16, 0)),),
    "MY": ((time(9, 0), time(12, 30)), (time(14, 30), time(17, 0))),
    "CA": ((time(9, 30), time(16, 0)),),
}
_FUTURE_HOURS: Final = {
    "HK": ((time(9, 15), time(12, 0)), (time(13, 0), time(16, 30)), (time(17, 15), time(23, 59, 59))),
    "US": ((time(0, 0), time(17, 0)), (time(18, 0), time(23, 59, 59))),
    "SG": ((time(7, 30), time(23, 59, 59)),),
    "JP": ((time(8, 45), time(15, 45)), (time(17, 0), time(23, 59, 59))),
}


def local(prefix: str, moment: datetime) -> datetime:
    """The moment on the exchange's own clock."""
    return moment.astimezone(ZoneInfo(MARKETS[prefix].zone))


def stamp(prefix: str, moment: datetime) -> str:
    """The moment as the daemon writes times: the exchange's own clock, no zone."""
    return f"{local(prefix, moment):%Y-%m-%d %H:%M:%S}"


def state(prefix: str, moment: datetime, *, mode: Mode, is_future: bool = False) -> int:
    """Qot_Common.QotMarketState of one market."""
    is_open_state, shut_state = (FUTURE_OPEN, FUTURE_CLOSE) if is_future else (AFTERNOON, CLOSED)
    if mode == "open":
        return is_open_state
    here = local(prefix, moment)
    if here.weekday() >= _SATURDAY:
        return shut_state
    hours = (_FUTURE_HOURS if is_future else _HOURS).get(prefix, ())
    for place, (opens, shuts) in enumerate(hours):
        if opens <= here.time() < shuts:
            return MORNING if place == 0 and len(hours) > 1 and not is_future else is_open_state
    if not is_future and hours and hours[0][1] <= here.time() < hours[-1][0]:
        return REST
    return shut_state


def is_open(instrument: Instrument, moment: datetime, *, mode: Mode) -> bool:
    """An order for this instrument can be taken now."""
    now = state(instrument.prefix, moment, mode=mode, is_future=instrument.kind is Kind.FUTURE)
    return now in {MORNING, AFTERNOON, FUTURE_OPEN}


def trading_days(begin: date, end: date) -> list[date]:
    """Weekdays in [begin, end]."""
    days = (begin + timedelta(days=place) for place in range((end - begin).days + 1))
    return [day for day in days if day.weekday() < _SATURDAY]
