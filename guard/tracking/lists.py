"""The daemon asked for its order lists, at the guard's own part of the broker's limit of 10 in 30 s an account."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from guard.clock import Clock
from guard.reference.pace import Pace
from guard.terms import Account, Daemon, Outbound
from guard.tracking.places import Place
from guard.upstream.orderlist import OrderRow, read_orders

TODAY: Final = "/api/orders"
HISTORY: Final = "/api/history-orders"
BURST, INTERVAL_US = 3, 6_000_000  # at most 8 in 30 s
HISTORY_BURST, HISTORY_INTERVAL_US = 2, 10_000_000  # at most 5 in 30 s
TIMEOUT_S: Final = 5.0
_BACK: Final = timedelta(days=85)  # the daemon's own reach is ninety days


class Lists:
    """Today's and earlier orders of one place. Nothing raises; None: not whole, not believed, or not our turn."""

    def __init__(self, daemon: Daemon, clock: Clock) -> None:
        self._daemon = daemon
        self._clock = clock
        self._paces: dict[tuple[str, Account], Pace] = {}

    def may_ask(self, place: Place, *, spare: int = 0) -> bool:
        """It is our turn to ask for this account's orders, and `spare` questions more could be asked at once."""
        return not self._pace(TODAY, place.account).wait_us(self._clock.t_us() - spare * INTERVAL_US)

    async def today(self, place: Place, *, is_fresh: bool) -> tuple[OrderRow, ...] | None:
        """Today's orders and those that work. `is_fresh`: the broker is asked, not the daemon's memory."""
        return await self._ask(TODAY, place, {"refresh_cache": True} if is_fresh else {})

    async def history(self, place: Place) -> tuple[OrderRow, ...] | None:
        """Orders that are over."""
        now = self._clock.wall()
        span = {"begin_time": _stamp(now - _BACK), "end_time": _stamp(now + timedelta(days=2))}
        return await self._ask(HISTORY, place, {"filter_conditions": span})

    async def _ask(self, path: str, place: Place, more: dict[str, object]) -> tuple[OrderRow, ...] | None:
        now_us, pace = self._clock.t_us(), self._pace(path, place.account)
        if pace.wait_us(now_us):
            return None
        pace.take(now_us)
        header = {
            "trd_env": int(place.account.env),
            "acc_id": place.account.acc_id,
            "trd_market": place.trd_market,
        }
        if place.jp_acc_type is not None:
            header["jp_acc_type"] = place.jp_acc_type
        body = msgspec.json.encode({"c2s": {"header": header, **more}})
        result = await self._daemon.send(Outbound("POST", path, body, TIMEOUT_S))
        return read_orders(result, account=place.account)

    def _pace(self, path: str, account: Account) -> Pace:
        pace = self._paces.get((path, account))
        if pace is None:
            bounds = (BURST, INTERVAL_US) if path == TODAY else (HISTORY_BURST, HISTORY_INTERVAL_US)
            pace = self._paces[path, account] = Pace(*bounds)
        return pace


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")
