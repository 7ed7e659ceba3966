"""One order's world, as far as it is known: each part from what is kept, with its age, or `Missing` with the reason.

Asks nobody.
"""

from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guard.codes import Code
from guard.markets import FUTURES, kind_of
from guard.reference import assembly
from guard.reference.asks import PositionKey, calendar_key
from guard.reference.assembly import InstrumentFacts, Market, aged
from guard.reference.sources import (
    CALENDAR_AGE_US,
    FACT_AGE_US,
    POSITION_AGE_US,
    Sources,
    position_key,
)
from guard.terms import (
    NOT_ASKED,
    Account,
    Exchange,
    Instrument,
    Missing,
    Needs,
    PlaceOrder,
    Position,
    Quote,
    Side,
    World,
)

NOTHING: Final = World(NOT_ASKED, NOT_ASKED, NOT_ASKED)
"""The world of a request that is not to be judged: a rule that looks at it refuses."""


class OrderQuery(Struct, frozen=True):
    """One order's question. `position_since_us`: a position that was asked for earlier is not believed.

    `spared`: how many questions for positions it leaves to others in any case.
    """

    order: PlaceOrder
    account: Account
    needs: Needs
    position_since_us: int = 0
    spared: int = 0

    @property
    def symbol(self) -> str:
        """What is traded."""
        return self.order.symbol

    @property
    def positions(self) -> PositionKey:
        """Whose positions."""
        return position_key(self.order, self.account)


def view(sources: Sources, asked: OrderQuery) -> World:
    """Every part that is needed; the others are as if they were missing."""
    needs, order = asked.needs, asked.order
    clock = sources.clock
    market = Market(order.market, sources.state(order.market, order.symbol), clock.wall(), clock.t_us())
    owner = underlying(sources, asked)
    return World(
        instrument=instrument(sources, asked) if needs.instrument else _stock(sources, asked),
        quote=_own_quote(sources, order.symbol, market, needs=needs) if needs.quote else NOT_ASKED,
        exchange=_exchange(sources, asked, market) if needs.exchange else NOT_ASKED,
        underlying=None if owner is None else _quote(sources, owner, market, needs=needs),
        position=_position(sources, asked) if needs.position else None,
        held=_held_price(sources, asked) if wants_held(sources, asked) else None,
    )


def is_option(sources: Sources, order: PlaceOrder) -> bool:
    """The daemon lists it as an option; while that is not known, its spelling says so."""
    static = sources.static(order.symbol)
    return kind_of(order.market, order.code) == "option" if static is None else static.kind == "option"


def underlying(sources: Sources, asked: OrderQuery) -> str | None:
    """What an option is on, where that is to be known and is."""
    static = sources.static(asked.symbol) if asked.needs.underlying else None
    return static.underlying if static is not None and static.kind == "option" else None


def instrument(sources: Sources, asked: OrderQuery) -> Instrument | Missing:
    """What the order trades, from static data and, for contracts, what tells their multiplier."""
    symbol = asked.symbol
    static, shown = sources.static(symbol), sources.shown(symbol)
    if static is None:
        return _untold(sources, symbol)
    if shown is not None and static.strike is None:  # static-info has no strike for warrants
        static = replace(static, strike=shown.static.strike)
    is_future = asked.order.market in FUTURES
    terms = sources.fresh(sources.futures.cache.get(symbol), age_max_us=FACT_AGE_US)
    is_told = (terms if is_future else shown) is not None
    facts = InstrumentFacts(
        static=static,
        currency=sources.seen_currency(symbol, asked.positions),
        multiplier=None if shown is None else shown.multiplier,
        terms=terms,
        why=_untold_there if is_told else partial(sources.futures.why if is_future else sources.prices.why, symbol),
    )
    return assembly.instrument(asked.order, facts)


def _untold_there() -> str:
    return "the daemon's answer does not tell"


def _stock(sources: Sources, asked: OrderQuery) -> Instrument | Missing:
    """What nobody asked about is what its market says, unless the daemon showed it in another currency (W08)."""
    order, seen = asked.order, sources.other_currency(asked.order, asked.account)
    if not seen or kind_of(order.market, order.code) != "stock":
        return NOT_ASKED
    return Instrument(symbol=order.symbol, kind="stock", currency=seen, source="orders")


def _untold(sources: Sources, symbol: str) -> Missing:
    """Nobody knows the instrument, or nobody can be asked; a daemon without a login knows none (B20)."""
    if _is_nobodys(sources, symbol):
        return Missing(Code.UNSUPPORTED_INSTRUMENT, f"{symbol} is no instrument that the daemon knows")
    is_logged_out = sources.is_unknown(symbol)
    why = "the daemon is not logged in for quotes" if is_logged_out else sources.statics.why(symbol)
    return Missing(Code.REFERENCE_UNAVAILABLE, f"what {symbol} is cannot be told: {why}")


def _is_nobodys(sources: Sources, symbol: str) -> bool:
    return sources.is_unknown(symbol) and not sources.is_logged_out


def _own_quote(sources: Sources, symbol: str, market: Market, *, needs: Needs) -> Quote | Missing:
    """The price of what is ordered. Of what nobody knows none will ever come: nobody is told to try again."""
    is_nobodys = _is_nobodys(sources, symbol)
    return _untold(sources, symbol) if is_nobodys else _quote(sources, symbol, market, needs=needs)


def _quote(sources: Sources, symbol: str, market: Market, *, needs: Needs) -> Quote | Missing:
    def why() -> str:
        return "the daemon knows no such instrument" if sources.is_unknown(symbol) else sources.prices.why(symbol)

    kept = sources.prices.cache.get(symbol)
    is_late = kept is not None or not sources.lacks_price(symbol)
    return assembly.quote(symbol, kept, market, age_max_ms=needs.price_age_max_ms, why=why, is_late=is_late)


def spared(sources: Sources, asked: OrderQuery) -> int:
    """How many questions for positions an order leaves to others: one where what was last told makes it no exit.

    So whoever goes on sending what cannot be an exit uses up no turn of those that are.
    """
    kept = sources.positions(asked.account).cache.get(asked.positions)
    held = None if kept is None else kept.value.of(asked.symbol)
    is_exit = held is None or (held < 0 if asked.order.side is Side.BUY else held > 0)
    return asked.spared if is_exit else max(asked.spared, 1)


def wants_held(sources: Sources, asked: OrderQuery) -> bool:
    """A sale of what the daemon has no price of: what is held of it is shown at one, without a right to quotes."""
    order = asked.order
    return asked.needs.quote and order.side is Side.SELL and sources.lacks_price(order.symbol)


def _held_price(sources: Sources, asked: OrderQuery) -> Quote | Missing | None:
    """None: the positions show no price of it, or the daemon does not tell them."""
    source, symbol = sources.positions(asked.account), asked.symbol
    kept, now_us = source.cache.get(asked.positions), sources.clock.t_us()
    if kept is not None and now_us - kept.answered_us <= sources.held_age_us(asked.positions, symbol):
        price, age_us = kept.value.prices.get(symbol), max(now_us - kept.answered_us, 0)
        return None if price is None else Quote(symbol, last=price, age_ms=age_us // 1000)
    if kept is None and source.cache.was_denied(asked.positions):
        return None
    why = f"the daemon has no price of {symbol}, and what is held of it was not told: {source.why(asked.positions)}"
    return Missing(Code.PRICE_UNAVAILABLE, why, is_late=True)


def _exchange(sources: Sources, asked: OrderQuery, market: Market) -> Exchange | Missing:
    key = calendar_key(asked.order.market, asked.symbol)
    calendar = sources.fresh(sources.calendars.cache.get(key), age_max_us=CALENDAR_AGE_US)
    return assembly.exchange(market, calendar, why=partial(sources.calendars.why, key))


def _position(sources: Sources, asked: OrderQuery) -> Position | Missing:
    source, what = sources.positions(asked.account), f"the position in {asked.symbol}"
    kept = source.cache.get(asked.positions)
    if kept is None:
        return Missing(Code.REFERENCE_UNAVAILABLE, f"{what} is not known: {source.why(asked.positions)}")
    age_us = sources.clock.t_us() - kept.answered_us
    if age_us > POSITION_AGE_US or kept.asked_us < asked.position_since_us:
        message = f"{what} was read {aged(age_us)} ago and may have changed since: {source.why(asked.positions)}"
        return Missing(Code.REFERENCE_UNAVAILABLE, message)
    qty = kept.value.of(asked.symbol)
    if qty is None:
        return Missing(Code.REFERENCE_UNAVAILABLE, f"{what} cannot be told from the daemon's list of positions")
    price = kept.value.prices.get(asked.symbol) or kept.value.costs.get(asked.symbol)
    return Position(asked.symbol, qty, max(age_us, 0) // 1000, price)
