"""Is there room: sliding windows, duplicates, money and orders of the day. All are taken, or none."""

import hashlib
from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from access import Key
from orders import Market, Order
from policy import ZONES, Asked, Policy, Rate
from refusals import Reason, Refused

RESETS: Final = {
    **dict.fromkeys(Market, timedelta(hours=6)),
    **dict.fromkeys((Market.HK, Market.CN), timedelta(hours=8, minutes=30)),
    Market.US: timedelta(hours=4),
}


class Window:
    """An exact sliding window."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.times: deque[float] = deque()

    def count(self, now: float) -> int:
        """How many there are in it."""
        while self.times and self.times[0] <= now - self.rate.seconds:
            self.times.popleft()
        return len(self.times)

    def fields(self, name: str, now: float) -> tuple[str, str]:
        """What is allowed, and what is left."""
        left = max(0, self.rate.count - self.count(now))
        return f'"{name}";q={self.rate.count};w={self.rate.seconds}', f'"{name}";r={left};t={self.rate.seconds}'


class Use(NamedTuple):
    """A counter before this step, and what is wanted of it."""

    counter: str
    used: Decimal | int
    amount: Decimal | int
    cap: Decimal | int | None


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters that an order meets: its market's day, its mark, its windows by name."""

    period: str
    mark: str
    windows: dict[str, Window]


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an order took: money that is given back where the order is known to be none."""

    period: str
    value: Decimal
    uses: tuple[Use, ...]


class Limits:
    """The counters of every key, in memory."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.orders_a_minute: dict[str, Window] = {}
        self.new_orders: dict[str, Window] = defaultdict(lambda: Window(policy.new_orders))
        self.reads: dict[str, Window] = defaultdict(lambda: Window(policy.reads))
        self.spent: dict[str, Decimal] = defaultdict(Decimal)
        self.placed: dict[str, int] = defaultdict(int)
        self.seen: dict[str, float] = {}

    def read(self, key: Key, now: float) -> dict[str, str]:
        """One more read; the fields of its answer. Raises `Refused`."""
        window = self.reads[key.id]
        if window.count(now) >= window.rate.count:
            raise Refused(_rate(self.policy.id, "reads", window))
        window.times.append(now)
        return rate_fields({"reads": window}, now)

    def counters(self, asked: Asked) -> Counters:
        """Those that the order meets."""
        return Counters(_period(asked), _mark(asked.order, asked.key), self.windows(asked.key))

    def windows(self, key: Key) -> dict[str, Window]:
        """The key's sliding windows for new orders: the policy's and its own."""
        windows = {"new_orders": self.new_orders[key.id]}
        if key.max_orders_per_minute is not None:
            if key.id not in self.orders_a_minute:
                self.orders_a_minute[key.id] = Window(Rate(key.max_orders_per_minute, 60))
            windows["orders"] = self.orders_a_minute[key.id]
        return windows

    def violations(self, asked: Asked, counters: Counters, now: float) -> list[Reason]:
        """Which of them have no room; nothing is taken."""
        policy, currency = self.policy, asked.order.market.currency
        found = []
        if self.seen.get(counters.mark, now) > now:
            found.append(Reason("duplicate_order", "the same order again", policy.id, "orders.duplicate_window_s"))
        if self.placed[counters.period] >= policy.per_day:
            message = f"more than {policy.per_day} orders a day"
            found.append(Reason("orders_per_day", message, policy.id, "orders.per_day", limit=str(policy.per_day)))
        spent = self.spent[counters.period] + asked.value
        caps = {f"key:{asked.key.id}": asked.key.max_daily_value, policy.id: policy.daily_value.get(currency)}
        for owner, cap in caps.items():
            if cap is not None and spent > cap:
                message = f"{spent} {currency} of the day would be above {cap}"
                found.append(Reason("daily_value", message, owner, "daily_value", str(spent), str(cap), currency))
        for name, window in counters.windows.items():
            if window.count(now) >= window.rate.count:
                found.append(_rate(policy.id, name, window))
        return found

    def reserve(self, asked: Asked, counters: Counters, now: float) -> Reservation:
        """Take what the order needs of each counter."""
        period, policy = counters.period, self.policy
        caps = [asked.key.max_daily_value, policy.daily_value.get(asked.order.market.currency)]
        cap = min((cap for cap in caps if cap is not None), default=None)
        uses = (
            Use(f"daily_value/{period}", self.spent[period], asked.value, cap),
            Use(f"orders_per_day/{period}", self.placed[period], 1, policy.per_day),
            *(
                Use(f"{name}/{asked.key.id}", len(window.times), 1, window.rate.count)
                for name, window in counters.windows.items()
            ),
        )
        self.spent[period] += asked.value
        self.placed[period] += 1
        for window in counters.windows.values():
            window.times.append(now)
        self._remember(counters.mark, now)
        return Reservation(period, asked.value, uses)

    def release(self, reservation: Reservation) -> None:
        """There is no order: the money is free again, the counts stay."""
        self.spent[reservation.period] -= reservation.value

    def _remember(self, mark: str, now: float) -> None:
        self.seen.pop(mark, None)  # so that the oldest stay in front
        self.seen[mark] = now + self.policy.duplicate_window_s
        while (oldest := next(iter(self.seen))) != mark and self.seen[oldest] <= now:
            del self.seen[oldest]


def _period(asked: Asked) -> str:
    """The day of a market begins at its own reset."""
    market = asked.order.market
    day = (asked.now.astimezone(ZONES[market]) - RESETS[market]).date()
    return f"{asked.key.id}|{asked.order.env}|{market.currency}|{day}"


def _mark(order: Order, key: Key) -> str:
    """Two orders are the same if all of this is."""
    parts = (key.id, order.env, order.acc_id, order.symbol, order.side, order.order_type, order.qty, order.price)
    rest = (order.aux_price, order.time_in_force, order.remark)
    return hashlib.sha256("|".join(map(str, (*parts, *rest))).encode()).hexdigest()


def _rate(policy: str, name: str, window: Window) -> Reason:
    rate = window.rate
    return Reason("rate", f"more than {rate.count} in {rate.seconds} s", policy, f"rates.{name}", limit=str(rate.count))


def rate_fields(windows: dict[str, Window], now: float) -> dict[str, str]:
    """What is allowed and what is left, as the fields of an answer."""
    pairs = [window.fields(name, now) for name, window in windows.items()]
    return {
        "RateLimit-Policy": ", ".join(policy for policy, _ in pairs),
        "RateLimit": ", ".join(left for _, left in pairs),
    }
