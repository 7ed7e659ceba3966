"""Sessions: what state a market is in, and when its present session day began. Pure.

Source: Qot_Common.QotMarketState in GetGlobalState and Qot_GetMarketState. A number that we do not know is "unknown",
never "continuous".
"""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any, Final

from msgspec import Struct

from guard.markets import FUTURES, ZONE_OF
from guard.reference.envelope import by_symbol, rows_of, symbol_of, whole
from guard.terms import SessionState, zone_of

PRE_MARKET: Final = 8
AFTER_HOURS: Final = 10
OVERNIGHT: Final = frozenset({32, 33, 37})

# Between an auction and the open (2, 9, 18) orders gather for the open, whose reference is the previous close.
_NUMBERS: Final[Mapping[SessionState, tuple[int, ...]]] = {
    "continuous": (3, 5, 13, 15, 21, 23, 25),
    "auction": (1, 2, 9, 18, 19, 30, 36),
    "break": (4, 16, 20, 24, 27),
    "extended": (8, 10, 28, 32, 33, 35, 37),
    "closed": (6, 11, 12, 14, 17, 22, 26, 29, 31, 34),
}
_STATES: Final = {number: state for state, numbers in _NUMBERS.items() for number in numbers}

# GetGlobalState names these markets; others are asked for by symbol.
_BY_PREFIX: Final = {"HK": "market_hk", "US": "market_us", "SH": "market_sh", "SZ": "market_sz"}
_BY_MARKET: Final = {
    "FUTURES_HK": "market_hk_future",
    "FUTURES_US": "market_us_future",
    "FUTURES_SG": "market_sg_future",
    "FUTURES_JP": "market_jp_future",
}
_NAMES: Final = (*_BY_PREFIX.values(), *_BY_MARKET.values())
_US: Final = frozenset({"US", "US_FUND"})
_NIGHT: Final = timedelta(hours=4)  # New York's overnight session opens at 20:00 the evening before


class GlobalState(Struct, frozen=True):
    """The QotMarketState of the markets that the daemon lists; `is_quoting`: it is logged in for quotes at all."""

    states: Mapping[str, int]
    is_quoting: bool


def session_of(number: int | None) -> SessionState:
    """The session that a QotMarketState stands for."""
    return "unknown" if number is None else _STATES.get(number, "unknown")


def parse_global_state(s2c: Mapping[str, Any]) -> GlobalState | None:
    """The state of every market that is named; None where none is."""
    found = {name: whole(s2c.get(name)) for name in _NAMES}
    states = {name: number for name, number in found.items() if number is not None}
    return GlobalState(states, s2c.get("qot_logined") is not False) if states else None


def parse_market_states(s2c: Mapping[str, Any]) -> dict[str, int] | None:
    """QotMarketState by symbol; None where the answer is none to the question."""
    rows = rows_of(s2c, "market_info_list")
    if rows is None:
        return None
    return by_symbol((symbol_of(row.get("security")), whole(row.get("market_state"))) for row in rows)


def global_name(market: str, prefix: str) -> str | None:
    """What GetGlobalState calls a policy's market; None for one that it does not list."""
    return _BY_MARKET.get(market) or (None if market in FUTURES else _BY_PREFIX.get(prefix))


def session_from(market: str, now: datetime) -> datetime:
    """The earliest time that a price of the present session day can have.

    Securities: midnight of the market's own date, in New York four hours before. Futures trade through the night and
    their day is no date: the last 24 hours.
    """
    if market in FUTURES:
        return now - timedelta(hours=24)
    zone = zone_of(ZONE_OF[market])
    midnight = datetime.combine(now.astimezone(zone).date(), time(), tzinfo=zone)
    return midnight - _NIGHT if market in _US else midnight
