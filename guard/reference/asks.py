"""The questions: what the daemon is asked for each kind of reference data, and how its answer is read.

Every question answers a mapping by key, or `Declined`, or `Silence`; none raises. Questions are reads with the guard's
own key, each with its own timeout; lists stay within what the daemon takes at once.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from guard.clock import Clock
from guard.markets import QOT_MARKET_OF, ZONE_OF
from guard.reference.envelope import Declined, Silence, opened
from guard.reference.futures import FutureTerms, parse_future_info
from guard.reference.positions import Holdings, parse_positions
from guard.reference.sessions import GlobalState, parse_global_state, parse_market_states
from guard.reference.snapshot import Shown, parse_snapshot
from guard.reference.static import Static, parse_static_info
from guard.reference.tradingdays import Calendar, parse_trading_days
from guard.terms import Account, Answer, Daemon, Failure, Outbound, zone_of

EVERYWHERE: Final = "global-state"
"""The one key of GetGlobalState."""

_T = TypeVar("_T")
_AHEAD: Final = timedelta(days=15)  # longer than any market is closed
_DAY: Final = timedelta(days=1)
_GARBLED: Final = Silence("an answer that cannot be read")
# Qot_Common.TradeDateMarket; a market that is not here is asked for by one of its symbols alone.
_DATE_MARKETS: Final[Mapping[str, int]] = {
    "HK": 1,
    "US": 2,
    "CN": 3,
    "HKCC": 4,
    "HK_FUND": 1,
    "US_FUND": 2,
    "FUTURES_HK": 1,
    "FUTURES_US": 2,
    "FUTURES_JP": 6,
    "FUTURES_SG": 7,
}
_BY_SYMBOL: Final = frozenset({"FUTURES_HK", "FUTURES_US"})  # these have holidays of their own


class CalendarKey(Struct, frozen=True):
    """Whose trading days: a market's, or where the market does not tell, those of one symbol of it."""

    market: str
    symbol: str | None = None


OnPositions = Callable[[int, Mapping[str, str]], None]  # trd_market, currency by symbol


class PositionKey(Struct, frozen=True):
    """Whose positions: an account's, in the market that the trade header names."""

    account: Account
    trd_market: int
    jp_acc_type: int | None = None


def calendar_key(market: str, symbol: str) -> CalendarKey:
    """The key of the trading days that this symbol is traded on."""
    return CalendarKey(market, symbol if market in _BY_SYMBOL or market not in _DATE_MARKETS else None)


def trade_header(account: Account, trd_market: int, jp_acc_type: int | None) -> dict[str, int]:
    """The header by which the daemon knows whose orders or positions, and of which market, are asked for."""
    header = {"trd_env": int(account.env), "acc_id": account.acc_id, "trd_market": trd_market}
    return header if jp_acc_type is None else header | {"jp_acc_type": jp_acc_type}


class Asks:
    """The questions to one daemon. `timeout_s` bounds each of them."""

    def __init__(self, daemon: Daemon, clock: Clock, *, timeout_s: float) -> None:
        self._daemon = daemon
        self._clock = clock
        self._timeout_s = timeout_s
        self.on_positions: OnPositions = lambda *_: None

    async def snapshot(self, symbols: tuple[str, ...]) -> Mapping[str, Shown] | Declined | Silence:
        """Prices now."""
        return await self._listed("/api/snapshot", symbols, parse_snapshot)

    async def static(self, symbols: tuple[str, ...]) -> Mapping[str, Static] | Declined | Silence:
        """What instruments are."""
        return await self._listed("/api/static-info", symbols, parse_static_info)

    async def futures(self, symbols: tuple[str, ...]) -> Mapping[str, FutureTerms] | Declined | Silence:
        """Multipliers and currencies of futures."""
        return await self._listed("/api/future-info", symbols, parse_future_info)

    async def states(self, symbols: tuple[str, ...]) -> Mapping[str, int] | Declined | Silence:
        """The market state of single instruments."""
        return await self._listed("/api/market-state", symbols, parse_market_states)

    async def everywhere(self, keys: tuple[str, ...]) -> Mapping[str, GlobalState] | Declined | Silence:
        """The state of all markets that the daemon lists."""
        s2c = await self._said(Outbound("GET", "/api/global-state", None, self._timeout_s))
        if isinstance(s2c, Declined | Silence):
            return s2c
        found = parse_global_state(s2c)
        return _GARBLED if found is None else dict.fromkeys(keys, found)

    async def calendar(self, keys: tuple[CalendarKey, ...]) -> Mapping[CalendarKey, Calendar] | Declined | Silence:
        """The trading days around today of the first key; a calendar is asked for by itself."""
        key = keys[0]
        today = self._clock.wall().astimezone(zone_of(ZONE_OF[key.market])).date()
        found = await self._trading_days(key, today)
        if isinstance(found, Declined) and key.symbol is not None and key.market in _DATE_MARKETS:
            found = await self._trading_days(CalendarKey(key.market), today)
        return {key: found} if isinstance(found, Calendar) else found

    async def _trading_days(self, key: CalendarKey, today: date) -> Calendar | Declined | Silence:
        begin, end = today - _DAY, today + _AHEAD
        c2s: dict[str, object] = {
            "market": _DATE_MARKETS.get(key.market, 0),
            "begin_time": begin.isoformat(),
            "end_time": end.isoformat(),
        }
        if key.symbol is not None:
            c2s["security"] = _security(key.symbol)
        s2c = await self._said(self._post("/api/trading-days", c2s))
        if isinstance(s2c, Declined | Silence):
            return s2c
        return parse_trading_days(s2c, begin=begin, end=end) or _GARBLED

    async def positions(self, keys: tuple[PositionKey, ...]) -> Mapping[PositionKey, Holdings] | Declined | Silence:
        """What the account of the first key holds, asked of the broker rather than of the daemon's memory."""
        key = keys[0]
        header = trade_header(key.account, key.trd_market, key.jp_acc_type)
        s2c = await self._said(self._post("/api/positions", {"header": header, "refresh_cache": True}))
        if isinstance(s2c, Declined | Silence):
            return s2c
        found = parse_positions(s2c, account=key.account)
        if found is None:
            return _GARBLED
        self.on_positions(key.trd_market, found.currencies)
        return {key: found}

    # ------------------------------------------------------------ sending

    async def _listed(
        self, path: str, symbols: tuple[str, ...], parse: Callable[[Mapping[str, Any]], dict[str, _T] | None]
    ) -> dict[str, _T] | Declined | Silence:
        s2c = await self._said(self._post(path, {"security_list": [_security(symbol) for symbol in symbols]}))
        if isinstance(s2c, Declined | Silence):
            return s2c
        found = parse(s2c)
        return _GARBLED if found is None else found

    def _post(self, path: str, c2s: Mapping[str, object]) -> Outbound:
        return Outbound("POST", path, msgspec.json.encode({"c2s": c2s}), self._timeout_s)

    async def _said(self, question: Outbound) -> dict[str, Any] | Declined | Silence:
        result: Answer | Failure = await self._daemon.send(question)
        if isinstance(result, Failure):
            return Silence("no answer in time" if result.kind == "timeout" else result.message)
        return opened(result.status, result.body)


def _security(symbol: str) -> dict[str, object]:
    prefix, _, code = symbol.partition(".")
    return {"market": QOT_MARKET_OF.get(prefix, 0), "code": code}
