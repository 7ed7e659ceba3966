"""The daemon asked for its order lists, at the guard's own part of the broker's limit of 10 in 30 s an account."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from guard.clock import Clock
from guard.reference.asks import trade_header
from guard.reference.pace import Pace
from guard.terms import Account, Answer, Daemon, Outbound, utc
from guard.tracking.places import Place
from guard.upstream.orderlist import OrderRow, is_logged_out, read_orders

TODAY: Final = "/api/orders"
HISTORY: Final = "/api/history-orders"
STATE: Final = "/api/global-state"
BURST, INTERVAL_US = 3, 6_000_000  # at most 8 in 30 s
HISTORY_BURST, HISTORY_INTERVAL_US = 2, 10_000_000  # at most 5 in 30 s
TIMEOUT_S: Final = 5.0
_BACK: Final = timedelta(days=85)  # the daemon's own reach is ninety days
_AHEAD: Final = timedelta(days=2)  # its stamps are in the exchange's own time
_LEAD_MAX: Final = timedelta(days=60)  # how far the broker is followed beyond our clock, which may be the right one
_LEAD_TOLD: Final = timedelta(minutes=1)
_BEHIND: Final = (
    "clock: the daemon lists an order of {newest:%Y-%m-%dT%H:%M:%SZ}, and this machine's clock is {lead} behind that: "
    "set it right, and look whether the daemon's is; budget days, hours and expiry go by it"
)
_UNREAD_TOLD_US: Final = 60_000_000  # how long a list has been none that can be believed until that is told
_UNREAD: Final = (
    "orders: the daemon's order list of account {account} has been unreadable for {span}: what becomes of orders there "
    "is not learned, and nothing that they hold is given back; see what it answers to /api/orders"
)


class Lists:
    """Today's orders and the history of one place. Nothing raises; None: incomplete, not believed, or not our turn."""

    def __init__(self, daemon: Daemon, clock: Clock) -> None:
        self._daemon = daemon
        self._clock = clock
        self._paces: dict[tuple[str, Account], Pace] = {}
        self._unread: dict[Place, int] = {}  # since when its list is none that can be believed
        self._newest, self._apart = utc(0), timedelta(0)  # of all rows; and what its time was ahead of `mono` then

    def concerns(self) -> tuple[str, ...]:
        """What the lists say of this machine's clock, and those that say nothing."""
        lead = self._lead()
        if lead < _LEAD_TOLD:
            return self._silent()
        return (
            *self._silent(),
            _BEHIND.format(newest=self._newest.astimezone(UTC), lead=timedelta(minutes=lead // _LEAD_TOLD)),
        )

    def keep(self, wanted: Collection[Place]) -> None:
        """Only the lists of these places matter now; that another cannot be read is reported no longer."""
        for place in self._unread.keys() - set(wanted):
            del self._unread[place]

    def may_ask(self, place: Place, *, spare: int = 0) -> bool:
        """Whether the pace lets us ask for this account's orders now, with `spare` more questions right after."""
        return not self._pace(TODAY, place.account).wait_us(self._clock.t_us() - spare * INTERVAL_US)

    async def today(self, place: Place, *, is_fresh: bool) -> tuple[OrderRow, ...] | None:
        """Today's orders and those still at work. `is_fresh`: the broker is asked, not the daemon's cache."""
        return await self._ask(TODAY, place, {"refresh_cache": True} if is_fresh else {})

    async def history(self, place: Place) -> tuple[OrderRow, ...] | None:
        """Orders that are over. If our clock is behind the broker's, the broker's time counts, so that none is missed.

        How far it is behind say the newest order that was listed, and `t`, which was never set back. A daemon that has
        lost its login for trading shows what it likes, and it is asked for this where something is missing.
        """
        wall = self._clock.wall()
        now = wall + min(max(timedelta(0), self._lead(), utc(self._clock.t_us()) - wall), _LEAD_MAX)
        span = {"begin_time": _stamp(now - _BACK), "end_time": _stamp(now + _AHEAD)}
        rows = await self._ask(HISTORY, place, {"filter_conditions": span})
        if rows is None or is_logged_out(await self._daemon.send(Outbound("GET", STATE, None, TIMEOUT_S))):
            return None
        return rows

    async def _ask(self, path: str, place: Place, more: dict[str, object]) -> tuple[OrderRow, ...] | None:
        now_us, pace = self._clock.t_us(), self._pace(path, place.account)
        if pace.wait_us(now_us):
            return None
        pace.take(now_us)
        header = trade_header(place.account, place.trd_market, place.jp_acc_type)
        body = msgspec.json.encode({"c2s": {"header": header, **more}})
        result = await self._daemon.send(Outbound("POST", path, body, TIMEOUT_S))
        rows = read_orders(result, account=place.account)
        if path == TODAY and isinstance(result, Answer):
            self._note_unread(place, is_read=rows is not None)
        self._look_at_clocks(rows or ())
        return rows

    def _note_unread(self, place: Place, *, is_read: bool) -> None:
        if is_read:
            self._unread.pop(place, None)
        else:
            _ = self._unread.setdefault(place, self._clock.t_us())

    def _silent(self) -> tuple[str, ...]:
        now_us = self._clock.t_us()
        silent = {place.account: since_us for place, since_us in self._unread.items()}
        return tuple(
            _UNREAD.format(account=f"{one.env.word}:{one.acc_id}", span=timedelta(seconds=(now_us - us) // 1_000_000))
            for one, us in silent.items()
            if now_us - us >= _UNREAD_TOLD_US
        )

    def _look_at_clocks(self, rows: Sequence[OrderRow]) -> None:
        newest = max((row.created for row in rows if row.created is not None), default=self._newest)
        if newest > self._newest:
            self._newest, self._apart = newest, newest - utc(self._clock.mono_us())

    def _lead(self) -> timedelta:
        """How far the broker's clock is ahead of ours, at least; also after ours was set."""
        return utc(self._clock.mono_us()) + self._apart - self._clock.wall()

    def _pace(self, path: str, account: Account) -> Pace:
        pace = self._paces.get((path, account))
        if pace is None:
            bounds = (BURST, INTERVAL_US) if path == TODAY else (HISTORY_BURST, HISTORY_INTERVAL_US)
            pace = self._paces[path, account] = Pace(*bounds)
        return pace


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")
