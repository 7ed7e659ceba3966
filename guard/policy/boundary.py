"""Orders at the very boundary of one rule: what a looser value lets through that the tighter one refuses.

For one key of a policy file with two values, requests that should tell the two apart: at the new cap, one tick over the
old one, in the first minute of the new window, after as much usage as the old cap takes. Which of them really do is
for the rules to say (`witness`).
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from types import MappingProxyType
from typing import Any, Final

from msgspec.structs import replace

from guard.markets import currency_of
from guard.policy import notation
from guard.policy.compared import moneys
from guard.policy.document import PolicyDoc
from guard.policy.fx import MAX_AGE_DAYS
from guard.policy.hours import ALWAYS
from guard.policy.notation import Bad
from guard.policy.prices import BUFFER_PERCENT
from guard.policy.rows import RuleRow
from guard.policy.stand_ins import OPTION, SATURDAY, at_minute, noon, world_of
from guard.policy.trial import TrialRequest, Usage
from guard.terms import Effect, Exchange, Missing, OrderType, PlaceOrder, Side, TimeInForce
from guard.terms.world import NOT_ASKED

TICK: Final = Decimal("0.001")  # the smallest step of a price
ORDERS_MAX: Final = 100_000  # more stamps than any window takes
Vary = Callable[[TrialRequest, Any, Any], Iterator[TrialRequest]]
Both = tuple[Any, Any]  # the old value and the new one
Beside = Callable[[TrialRequest, Both, tuple[PolicyDoc, ...]], Iterator[TrialRequest]]
"""Varies what depends on other keys of the policy."""


def boundary(
    row: RuleRow, base: TrialRequest, *, old: Any, new: Any, docs: tuple[PolicyDoc, ...]
) -> Iterator[TrialRequest]:
    """Requests that should tell the two values of this key apart. `docs`: both documents, for what belongs to it."""
    beside = _BESIDE.get(row.path)
    if beside is not None:
        yield from beside(base, (old, new), docs)
        return
    vary = _BY_PATH.get(row.path)
    if vary is not None:
        yield from vary(base, old, new)


def _order(ask: TrialRequest) -> PlaceOrder:
    if ask.order is None:
        raise AssertionError("a boundary is varied from an order")
    return ask.order


def priced(ask: TrialRequest, price: Decimal, **fields: Any) -> TrialRequest:
    """The same order at this price, in a market where that is the price."""
    order = replace(_order(ask), price=price, **fields)
    return replace(ask, order=order, world=world_of(order, price=price, wall=ask.wall))


def _amounts(ask: TrialRequest, old: Any, new: Any) -> Iterator[Decimal]:
    """At the new cap, and a tick over the old one, in the order's own currency."""
    order = _order(ask)
    currency = currency_of(order.market, order.code)
    was = moneys(old).get(currency, Decimal(0)) if old else Decimal(0)
    if new is None:
        yield was + TICK
        return
    now = moneys(new).get(currency)
    if now is not None:
        yield now.quantize(TICK, ROUND_DOWN)
        yield was + TICK


def _values(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:
    for amount in _amounts(ask, old, new):
        if amount > 0:
            yield priced(ask, amount)


def _as_option(ask: TrialRequest) -> TrialRequest:
    order = _order(ask)
    return replace(ask, order=replace(order, symbol=f"US.{OPTION}", code=OPTION)) if order.market == "US" else ask


def _premiums(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:
    yield from _values(_as_option(ask), old, new)


def _underlyings(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:
    option = priced(_as_option(ask), TICK)
    for amount in _amounts(option, old, new):
        world = world_of(_order(option), price=TICK, wall=ask.wall, strike=amount)
        yield replace(option, world=world)


def _sums(field: str) -> Vary:
    """As much is used as the old cap takes; the order is a tick more."""

    def vary(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:  # noqa: ARG001 - one shape for all
        order = _order(ask)
        currency = currency_of(order.market, order.code)
        used = moneys(old).get(currency, Decimal(0)) if old else Decimal(0)
        yield replace(priced(ask, TICK), usage=replace(Usage(), **{field: {currency: used}}))

    return vary


def _quantities(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:
    for qty in (new, None if old is None else Decimal(old) + 1):
        if qty is not None and Decimal(qty) > 0:
            yield priced(ask, TICK, qty=Decimal(qty))


def _counts(field: str) -> Vary:
    def vary(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:  # noqa: ARG001 - as above
        if old is not None:
            yield replace(priced(ask, TICK), usage=replace(Usage(), **{field: old}))

    return vary


def _windows(field: str, effect: Effect) -> Vary:
    """As many requests as the old rate takes, at the far end of its window."""

    def vary(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:  # noqa: ARG001 - as above
        rates = notation.read_rates(old) if old else ()
        plain = priced(ask, TICK)
        for rate in () if isinstance(rates, Bad) else rates:
            order = None if effect in {Effect.ORDER_CANCEL, Effect.READ} else plain.order
            ages = (rate.window_ms - 1,) * min(rate.count, ORDERS_MAX)
            yield replace(plain, order=order, effect=effect, usage=replace(Usage(), **{field: ages}))

    return vary


def _repeats(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:  # noqa: ARG001 - as above
    yield replace(priced(ask, TICK), usage=Usage(same_order_ms=((new or 0) * 1000,)))


def _collars(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:
    """A price as far from the reference price as the new collar lets it be."""
    reference = Decimal(1000)
    for name in dict.fromkeys([*(old or {}), *(new or {})]):
        start = _as_option(ask) if name == "option" else ask
        for percent in ((new or {}).get(name), Decimal((old or {}).get(name, 0)) + 1):
            if percent is None:
                continue
            distance = reference * Decimal(percent) / 100
            for side, price in ((Side.BUY, reference + distance), (Side.SELL, reference - distance)):
                order = replace(_order(start), price=price.quantize(TICK, ROUND_DOWN), side=side)
                yield replace(start, order=order, world=world_of(order, price=reference, wall=ask.wall))


def _collar_missing(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:  # noqa: ARG001 - as above
    plain = priced(ask, TICK)
    if plain.world is not None:
        yield replace(plain, world=replace(plain.world, quote=NOT_ASKED))


def _buffered(ask: TrialRequest, both: Both, docs: tuple[PolicyDoc, ...]) -> Iterator[TrialRequest]:
    """A market order that is worth just the cap with the new buffer."""
    order, (_, new) = _order(ask), both
    currency = currency_of(order.market, order.code)
    buffer = BUFFER_PERCENT if new is None else Decimal(new)
    for doc in docs:
        for caps in (doc.orders.max_value, doc.budgets.daily_value, doc.budgets.open_value):
            cap = moneys(caps).get(currency) if caps else None
            price = None if cap is None else (cap / (1 + buffer / 100)).quantize(TICK, ROUND_DOWN)
            if price:
                yield priced(replace(ask, order=replace(order, order_type=OrderType.MARKET)), price)


def _converted(ask: TrialRequest, both: Both, docs: tuple[PolicyDoc, ...]) -> Iterator[TrialRequest]:
    """An order in another currency that is worth just the cap with the new buffer."""
    order, (_, new) = _order(ask), both
    currency = currency_of(order.market, order.code)
    buffer = Decimal(new or 0)
    for doc in docs:
        for caps in (doc.orders.max_value, doc.budgets.daily_value, doc.budgets.open_value):
            for target, cap in moneys(caps).items() if caps and doc.fx else ():
                rate = Decimal(doc.fx.rates.get(f"{currency}{target}", "0")) if doc.fx else Decimal(0)
                price = (cap / rate / (1 + buffer / 100)).quantize(TICK, ROUND_DOWN) if rate else rate
                if price:
                    yield priced(ask, price)


def _outdated(ask: TrialRequest, both: Both, docs: tuple[PolicyDoc, ...]) -> Iterator[TrialRequest]:
    """The day after the last one on which the old age believed the rates."""
    old, _ = both
    age = timedelta(days=(MAX_AGE_DAYS if old is None else old) + 1)
    for doc in docs:
        if doc.fx is not None:
            yield _moved(ask, noon(_order(ask).market, doc.fx.as_of + age))


def _sides(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:
    for word in _fresh(old, new, Side.__members__):
        yield priced(ask, TICK, side=Side[word])


def _types(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:
    for word in _fresh(old, new, OrderType.__members__):
        yield priced(ask, TICK, order_type=OrderType[word], aux_price=TICK)


def _times(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:
    for word in _fresh(old, new, TimeInForce.__members__):
        yield priced(ask, TICK, time_in_force=TimeInForce[word])


def _fresh(old: Any, new: Any, words: Mapping[str, object]) -> list[str]:
    return [word for word in (words if new is None else new) if old is None or word not in old]


def _as_it_is(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:  # noqa: ARG001 - as above
    """Which market, symbol, key or account is asked for already tells the two apart."""
    yield priced(ask, TICK)


def _hours(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:
    """The first and the last minute of every window, the minute after it, and a Saturday."""
    market = _order(ask).market
    minutes = {0, 12 * 60}
    for texts in ((old or {}).get(market), (new or {}).get(market)):
        windows = notation.read_windows(texts) if texts and texts != (ALWAYS,) else ()
        for window in () if isinstance(windows, Bad) else windows:
            edges = (window.start_min, window.start_min - 1, window.end_min - 1, window.end_min)
            minutes |= {edge % notation.DAY_MIN for edge in edges}
    for minute in sorted(minutes):
        yield _moved(ask, at_minute(market, minute))
    saturday = _moved(ask, at_minute(market, 12 * 60, SATURDAY))
    if saturday.world is not None:
        yield replace(saturday, world=replace(saturday.world, exchange=Exchange(market)))


def _moved(ask: TrialRequest, wall: datetime) -> TrialRequest:
    return priced(replace(ask, wall=wall), TICK)


def _aged(ask: TrialRequest, old: Any, new: Any) -> Iterator[TrialRequest]:
    """A market order at a price that is just young enough for the larger age."""
    plain = priced(replace(ask, order=replace(_order(ask), order_type=OrderType.MARKET)), TICK)
    world = plain.world
    if world is None or isinstance(world.quote, Missing):
        return
    for age_s in (old, new):
        quote = replace(world.quote, age_ms=int(Decimal(age_s or 5) * 1000))
        yield replace(plain, world=replace(world, quote=quote))


_BESIDE: Final[Mapping[str, Beside]] = MappingProxyType(
    {
        "orders.market_buffer_percent": _buffered,
        "fx.buffer_percent": _converted,
        "fx.max_age_days": _outdated,
    }
)
_BY_PATH: Final[Mapping[str, Vary]] = MappingProxyType(
    {
        "instruments.markets": _as_it_is,
        "instruments.symbols": _as_it_is,
        "instruments.blocked_symbols": _as_it_is,
        "orders.sides": _sides,
        "orders.types": _types,
        "orders.time_in_force": _times,
        "orders.max_value": _values,
        "orders.max_premium": _premiums,
        "orders.max_underlying_value": _underlyings,
        "orders.max_qty": _quantities,
        "orders.per_day": _counts("per_day"),
        "orders.price_collar_percent": _collars,
        "orders.duplicate_window_s": _repeats,
        "hours": _hours,
        "budgets.daily_value": _sums("daily_value"),
        "budgets.open_orders": _counts("open_orders"),
        "budgets.open_value": _sums("open_value"),
        "rates.new_orders": _windows("new_orders_ms", Effect.ORDER_NEW),
        "rates.changes": _windows("changes_ms", Effect.ORDER_CHANGE),
        "rates.reads": _windows("reads_ms", Effect.READ),
        "rates.cancels": _windows("cancels_ms", Effect.ORDER_CANCEL),
        "reference.price_age_max_s": _aged,
        "reference.price_collar_missing": _collar_missing,
        "fx.rates": _as_it_is,
        "fx.as_of": _as_it_is,
    }
)
