"""The simulated world: prices, accounts, orders, subscriptions, and the one place where an order meets the tape.

Handlers read and change it synchronously, so every request sees a whole world. What happens is told to `listeners` as
pushes: trades for accounts that were subscribed, quotes for symbols that were.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from msgspec import Struct

from guard.simulator import matching, sessions
from guard.simulator.accounts import Ledger
from guard.simulator.contracts import find
from guard.simulator.instruments import LISTED, MARKETS, Instrument
from guard.simulator.orders import Order, OrderBook, Status
from guard.simulator.proto import push_body
from guard.simulator.quirks import Quirks
from guard.simulator.refusals import to_json
from guard.simulator.tape import Tape
from guard.terms import TimeInForce

BASIC_QUOTE: Final = 1  # Qot_Common.SubType


class Clock(Protocol):
    """What the simulator asks of a clock."""

    def wall(self) -> datetime:
        """Wall-clock time, aware."""
        ...


class Push(Struct, frozen=True):
    """One push, before it becomes a frame."""

    type: str
    proto_id: int
    body: bytes
    sec_key: str | None = None
    acc_id: int | None = None
    trd_market: int | None = None

    def frame(self) -> str:
        """The text frame of `/ws`; members that do not apply are left out."""
        full = {
            "type": self.type,
            "proto_id": self.proto_id,
            "sec_key": self.sec_key,
            "acc_id": self.acc_id,
            "trd_market": self.trd_market,
            "body_b64": b64encode(self.body).decode(),
        }
        return to_json({name: value for name, value in full.items() if value is not None}).decode()


class Reminder(Struct):
    """A price reminder as it was set."""

    key: int
    symbol: str
    type: int
    value: Decimal
    note: str
    freq: int
    is_enable: bool = True


class World:
    """Everything that outlives a request."""

    def __init__(self, *, seed: int, clock: Clock, mode: sessions.Mode) -> None:
        self.clock = clock
        self.mode: sessions.Mode = mode
        self.quirks = Quirks()
        self.tape = Tape(seed)
        self.ledger = Ledger()
        self.book = OrderBook(seed)
        self.liquidity: dict[str, Decimal] = {}
        self.is_unlocked = True
        self.is_legacy = False
        self.wrong_passwords = 0
        self.is_backend_up = True
        self.subscribed: dict[str, set[int]] = {}
        self.push_accounts: frozenset[int] = frozenset()
        self.reminders: dict[int, Reminder] = {}
        self.watchlists: dict[str, list[str]] = {"Favourites": ["HK.00700", "US.AAPL"]}
        self.shutdowns = 0
        self.reloads = 0
        self.listeners: list[Callable[[Push], None]] = []

    def now(self) -> datetime:
        """Wall-clock time of the simulated world."""
        return self.clock.wall()

    def listed(self, symbols: frozenset[str] | None = None) -> list[Instrument]:
        """Listed instruments; or those of the symbols, contracts among them."""
        found = LISTED.values() if symbols is None else map(find, sorted(symbols))
        return [instrument for instrument in found if instrument is not None]

    def is_open(self, instrument: Instrument) -> bool:
        """Orders for this instrument can be taken now."""
        return sessions.is_open(instrument, self.now(), mode=self.mode)

    # ------------------------------------------------------------ time passes

    def tick(self, *, moves: bool) -> None:
        """Prices move (unless `moves` is False), day orders of yesterday end, working orders are matched."""
        if moves:
            self.tape.advance()
        today = {prefix: sessions.local(prefix, self.now()).date() for prefix in MARKETS}
        for order in self.book.working():
            if order.time_in_force == TimeInForce.DAY and order.born != today[order.instrument.prefix]:
                self.end(order, Status.CANCELLED_PART if order.fill_qty else Status.CANCELLED_ALL)
            else:
                self.match(order)
        for symbol in self.subscribed:
            self._push_quote(symbol)

    # ------------------------------------------------------------ orders

    def match(self, order: Order) -> None:
        """Fill what can be filled of a working order now."""
        price = matching.price_now(order, self.tape) if self.is_open(order.instrument) else None
        if price is None:
            return
        qty = matching.size_now(order, self.liquidity.get(order.instrument.symbol))
        if qty <= 0:
            return
        fill = self.book.fill(order, qty=qty, price=price, at=self.now())
        self.ledger.book(order.account, order.instrument, qty=qty * order.sign, price=price)
        self.announce(order)
        self._push_trade(order, 2218, {"order_fill": fill.message()})

    def end(self, order: Order, status: Status) -> None:
        """Cancel, disable or delete an order."""
        self.book.close(order, status, at=self.now())
        self.announce(order)

    # ------------------------------------------------------------ pushes

    def publish(self, push: Push) -> None:
        """Tell everybody who listens."""
        for listener in tuple(self.listeners):
            listener(push)

    def announce(self, order: Order) -> None:
        """Push an order as it stands now."""
        self._push_trade(order, 2208, {"order": order.message()})

    def _push_trade(self, order: Order, proto_id: int, body: Mapping[str, Any]) -> None:
        account = order.account
        if account.acc_id not in self.push_accounts:
            return
        header = {"trd_env": int(account.env), "acc_id": account.acc_id, "trd_market": order.trd_market}
        market = order.trd_market if self.quirks.names_push_market else None
        coded = push_body(proto_id, {"header": header, **body})
        self.publish(Push("trade", proto_id, coded, acc_id=account.acc_id, trd_market=market))

    def _push_quote(self, symbol: str) -> None:
        instrument = find(symbol)
        if instrument is None or BASIC_QUOTE not in self.subscribed[symbol]:
            return
        key = f"{MARKETS[instrument.prefix].qot}_{instrument.code}"
        coded = push_body(3005, {"basic_qot_list": [self.quote(instrument)]})
        self.publish(Push("quote", 3005, coded, sec_key=key))

    def notify(self, text: str) -> None:
        """Push a notification about the daemon itself (NotifyType 1, a gateway event)."""
        body = push_body(1003, {"type": 1, "event": {"event_type": 0, "desc": text}})
        self.publish(Push("notify", 1003, body))

    # ------------------------------------------------------------ the basic quote, asked for and pushed

    def quote(self, instrument: Instrument) -> dict[str, Any]:
        """Qot_Common.BasicQot."""
        today = self.tape.candles(instrument, 2, until=self.now(), count=2)
        before, candle = today
        return {
            "security": instrument.security,
            "name": instrument.name,
            "is_suspended": False,
            "list_time": "2004-06-16",
            "price_spread": instrument.spread,
            "update_time": sessions.stamp(instrument.prefix, self.now()),
            "high_price": candle.high,
            "open_price": candle.opened,
            "low_price": candle.low,
            "cur_price": candle.close,
            "last_close_price": before.close,
            "volume": candle.volume,
            "turnover": candle.volume * candle.close,
            "turnover_rate": Decimal("0.5"),
            "amplitude": Decimal("1.2"),
            "sec_status": 1,
        }
