"""Orders and fills as the daemon lists them, and the book that keeps them.

`order_id_ex` is the identifier that counts: digits in the simulated environment, letters and digits in the real one.
The numeric `order_id` is a 64-bit hash of it, so it exceeds what a double can hold, as the daemon's do.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final

from msgspec import Struct

from guard.simulator.accounts import cost_of
from guard.simulator.figures import seconds, tidy
from guard.simulator.instruments import CURRENCIES, MARKETS, Instrument
from guard.simulator.sessions import local, stamp
from guard.simulator.tape import noise
from guard.terms import Account, Env, OrderType, Side

_FIRST_ID: Final = 7_571_417


class Status(IntEnum):
    """Trd_Common.OrderStatus, as far as this daemon uses it."""

    WAITING = 1
    SUBMITTED = 5
    FILLED_PART = 10
    FILLED_ALL = 11
    CANCELLED_PART = 14
    CANCELLED_ALL = 15
    FAILED = 21
    DISABLED = 22
    DELETED = 23


OPEN: Final = frozenset({Status.SUBMITTED, Status.FILLED_PART})


class Order(Struct):
    """One order. `mark`: the market's price when it came. `triggered`: a stop or touch order has become a plain one.

    `peak`: the best price that a trail has seen.
    """

    account: Account
    order_id: int
    order_id_ex: str
    instrument: Instrument
    trd_market: int
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None
    created: datetime
    updated: datetime
    mark: Decimal
    status: Status = Status.SUBMITTED
    fill_qty: Decimal = Decimal(0)
    fill_value: Decimal = Decimal(0)
    remark: str | None = None
    time_in_force: int = 0
    aux_price: Decimal | None = None
    trail_type: int | None = None
    trail_value: Decimal | None = None
    trail_spread: Decimal | None = None
    fill_outside_rth: bool | None = None
    session: int | None = None
    jp_acc_type: int | None = None
    triggered: bool = False
    peak: Decimal | None = None
    needs_confirmation: bool = False
    last_err_msg: str | None = None

    @property
    def is_open(self) -> bool:
        """The order works: it rests or is partly filled."""
        return self.status in OPEN

    @property
    def left(self) -> Decimal:
        """The quantity that is not filled."""
        return self.qty - self.fill_qty

    @property
    def sign(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self.side in {Side.BUY, Side.BUY_BACK} else -1

    @property
    def cost(self) -> Decimal:
        """Buying power that the rest of the order takes; none for sells."""
        if self.sign < 0:
            return Decimal(0)
        return cost_of(self.instrument, self.left, self.mark if self.price is None else self.price)

    @property
    def born(self) -> date:
        """The exchange's own day on which the order came."""
        return local(self.instrument.prefix, self.created).date()

    def message(self) -> dict[str, Any]:
        """Trd_Common.Order; absent members are left out."""
        prefix = self.instrument.prefix
        average = self.fill_value / self.fill_qty if self.fill_qty else Decimal(0)
        full = {
            "trd_side": int(self.side),
            "order_type": int(self.order_type),
            "order_status": int(self.status),
            "order_id": self.order_id,
            "order_id_ex": self.order_id_ex,
            "code": self.instrument.code,
            "name": self.instrument.name,
            "qty": self.qty,
            "price": self.price,
            "create_time": stamp(prefix, self.created),
            "update_time": stamp(prefix, self.updated),
            "fill_qty": self.fill_qty,
            "fill_avg_price": tidy(round(average, 9)),
            "last_err_msg": self.last_err_msg,
            "sec_market": MARKETS[prefix].sec,
            "create_timestamp": seconds(self.created),
            "update_timestamp": seconds(self.updated),
            "remark": self.remark,
            "time_in_force": self.time_in_force,
            "fill_outside_rth": self.fill_outside_rth,
            "aux_price": self.aux_price,
            "trail_type": self.trail_type,
            "trail_value": self.trail_value,
            "trail_spread": self.trail_spread,
            "currency": CURRENCIES[self.instrument.currency],
            "trd_market": self.trd_market,
            "session": self.session,
            "jp_acc_type": self.jp_acc_type,
        }
        return {name: value for name, value in full.items() if value is not None}


class Fill(Struct, frozen=True):
    """One fill of an order."""

    order: Order
    fill_id: int
    fill_id_ex: str
    qty: Decimal
    price: Decimal
    at: datetime

    def message(self) -> dict[str, Any]:
        """Trd_Common.OrderFill."""
        order = self.order
        return {
            "trd_side": int(order.side),
            "fill_id": self.fill_id,
            "fill_id_ex": self.fill_id_ex,
            "order_id": order.order_id,
            "order_id_ex": order.order_id_ex,
            "code": order.instrument.code,
            "name": order.instrument.name,
            "qty": self.qty,
            "price": self.price,
            "create_time": stamp(order.instrument.prefix, self.at),
            "counter_broker_id": 5,
            "counter_broker_name": "simulated",
            "sec_market": MARKETS[order.instrument.prefix].sec,
            "create_timestamp": seconds(self.at),
            "update_timestamp": seconds(self.at),
            "status": 0,
            "trd_market": order.trd_market,
        }


class OrderBook:
    """Every order and fill, in the order in which they came. `by_id_ex` is what tests look at.

    `ids_given`: how many orders have got ids, those of earlier runs among them: a broker gives none twice.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.by_id_ex: dict[str, Order] = {}
        self._by_id: dict[int, Order] = {}
        self._working: dict[str, Order] = {}
        self._held: dict[str, Decimal] = {}
        self._frozen: dict[tuple[Account, str], Decimal] = {}
        self.fills: list[Fill] = []
        self.ids_given = 0

    def new_ids(self, env: Env) -> tuple[int, str]:
        """A fresh pair of identifiers."""
        self.ids_given += 1
        mark = noise(self._seed, "order", self.ids_given)
        id_ex = str(_FIRST_ID + self.ids_given) if env is Env.SIMULATE else f"FH1C{mark:016X}"[:18]
        return 2**53 + noise(self._seed, id_ex) % 2**62, id_ex

    def add(self, order: Order) -> None:
        """Keep a new order."""
        self.by_id_ex[order.order_id_ex] = order
        self._by_id[order.order_id] = order
        self.settle(order)

    def settle(self, order: Order) -> None:
        """After any change: an order works or it does not, and holds buying power accordingly."""
        cell = order.account, order.instrument.currency
        held = order.cost if order.is_open else Decimal(0)
        before = self._held.pop(order.order_id_ex, Decimal(0))
        self._frozen[cell] = self._frozen.get(cell, Decimal(0)) + held - before
        if order.is_open:
            self._working[order.order_id_ex], self._held[order.order_id_ex] = order, held
        else:
            self._working.pop(order.order_id_ex, None)

    def frozen(self, account: Account, currency: str) -> Decimal:
        """Buying power that the account's open buys hold."""
        return self._frozen.get((account, currency), Decimal(0))

    def working(self) -> list[Order]:
        """The open orders, oldest first."""
        return list(self._working.values())

    def find(self, order_id: int | None, order_id_ex: str | None) -> Order | None:
        """An order by either identifier; the external one counts where both are given."""
        if order_id_ex:
            return self.by_id_ex.get(order_id_ex)
        if order_id is None:
            return None
        return self._by_id.get(order_id) or self.by_id_ex.get(str(order_id))

    def fill(self, order: Order, *, qty: Decimal, price: Decimal, at: datetime) -> Fill:
        """Record a fill of a working order."""
        number = len(self.fills) + 1
        mark = noise(self._seed, "fill", number)
        fill = Fill(order, 2**53 + mark % 2**62, f"F{mark:016X}", qty, price, at)
        self.fills.append(fill)
        order.fill_qty += qty
        order.fill_value += qty * price
        order.status = Status.FILLED_ALL if order.left <= 0 else Status.FILLED_PART
        order.updated = at
        self.settle(order)
        return fill

    def close(self, order: Order, status: Status, *, at: datetime) -> None:
        """End a working order, or put it aside."""
        order.status = status
        order.updated = at
        self.settle(order)
