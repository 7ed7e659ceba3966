"""Reference data for orders: what the rules that bind an order have to know of the world, and nothing else.

`prepare` asks for what is not known or too old, and waits no longer than its bound; `peek` hands over what there is.
They never raise and never refuse: a datum that cannot be had is a `Missing` in its place. Orders that want the same
thing share one question.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from guard.clock import Clock
from guard.markets import FUTURES, split_symbol
from guard.reference.asks import EVERYWHERE, Asks, OnPositions, calendar_key
from guard.reference.sessions import global_name
from guard.reference.source import Sleep, Surroundings
from guard.reference.sources import (
    CALENDAR_AGE_US,
    CALENDAR_RENEW_US,
    FACT_AGE_US,
    FACT_RENEW_US,
    POSITION_AGE_US,
    STATE_AGE_US,
    Sources,
)
from guard.reference.views import OrderQuery, instrument, is_option, spared, underlying, view, wants_held
from guard.supervisor import Supervisor
from guard.terms import Account, Daemon, Instrument, Missing, Needs, PlaceOrder, World

YOUNG_US: Final = 100_000  # a price as young as that is not asked for again, however young a policy wants it
ROUNDS_MAX: Final = 16  # every part answers once, and a few of them again

Waits = Iterable[asyncio.Future[None] | None]


class ReferenceBounds(Struct, frozen=True, kw_only=True):
    """`timeout_s`: the most that an order waits, and that a question may take. `waiters_max` orders wait at a time."""

    timeout_s: float = 2.0
    waiters_max: int = 4096


class Reference:
    """The reference data of one daemon. Used on one event loop; `sleep` waits for the pace of questions."""

    def __init__(
        self,
        daemon: Daemon,
        clock: Clock,
        supervisor: Supervisor,
        *,
        bounds: ReferenceBounds | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._bounds = bounds or ReferenceBounds()
        self._asks = Asks(daemon, clock, timeout_s=self._bounds.timeout_s)
        self._sources = Sources(self._asks, Surroundings(clock, supervisor, sleep))
        self._waiting = 0

    async def prepare(
        self, order: PlaceOrder, *, account: Account, needs: Needs, position_since_us: int = 0, spared: int = 0
    ) -> None:
        """Has asked for what `needs` names, as new as it can be had within the bound: `peek` tells it a moment later.

        `position_since_us`: when the symbol was last executed in this account, on the clock's `t`; a position that was
        asked for earlier is not believed. `spared`: how many questions for positions are left to others in any case.
        """
        if needs.is_nothing or self._waiting >= self._bounds.waiters_max:
            return
        self._waiting += 1
        try:
            await self._fetch(OrderQuery(order, account, needs, position_since_us, spared))
        finally:
            self._waiting -= 1

    def is_at_hand(self, order: PlaceOrder, *, account: Account, needs: Needs) -> bool:
        """`prepare` would wait for nothing: all is known, or cannot be had. What is half old is renewed beside."""
        return needs.is_nothing or all(future is None for future in self._wants(OrderQuery(order, account, needs)))

    def instrument(self, order: PlaceOrder, *, account: Account) -> Instrument | Missing:
        """What the order trades, as far as it is known already. Asks nobody."""
        return instrument(self._sources, OrderQuery(order, account, Needs(instrument=True)))

    def peek(self, order: PlaceOrder, *, account: Account, needs: Needs, position_since_us: int) -> World:
        """What is known already, judged by the same ages. Asks nobody."""
        return view(self._sources, OrderQuery(order, account, needs, position_since_us))

    def observe_currency(self, symbol: str, currency: str) -> None:
        """The daemon's own orders or positions show this symbol in this currency: that wins over every table."""
        self._sources.observe_currency(symbol, currency)

    def hear_positions(self, on_positions: OnPositions) -> None:
        """Whom to tell in which currencies an account's positions are shown, each time that they are."""
        self._asks.on_positions = on_positions

    def is_in_other_currency(self, order: PlaceOrder, *, account: Account) -> bool:
        """The daemon showed the symbol in another currency than its market's."""
        return bool(self._sources.other_currency(order, account))

    def ages_s(self) -> dict[str, float]:
        """How long ago the daemon last answered a question of each kind; kinds that were never asked are left out."""
        return self._sources.ages_s()

    # ------------------------------------------------------------ asking

    async def _fetch(self, asked: OrderQuery) -> None:
        """Wants what is needed, again after every answer: one may be what another question begins with."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._bounds.timeout_s
        for _ in range(ROUNDS_MAX):
            pending = {future for future in self._wants(asked) if future is not None}
            left_s = deadline_s - loop.time()
            if not pending or left_s <= 0:
                return
            # Waiting does not own the question: a caller may hang up, and others wait for the same answer.
            await asyncio.wait(pending, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)

    def _wants(self, asked: OrderQuery) -> Waits:
        sources, order, needs = self._sources, asked.order, asked.needs
        if needs.instrument or needs.quote or needs.underlying:
            yield from self._facts(asked)
        if needs.quote or needs.exchange or needs.underlying:
            yield self._state(asked)
        if needs.exchange:
            key = calendar_key(order.market, order.symbol)
            yield sources.calendars.want(key, age_max_us=CALENDAR_AGE_US, renew_us=CALENDAR_RENEW_US)
        if wants_held(sources, asked):
            source, held_us = sources.positions(asked.account), sources.held_age_us(asked.positions, asked.symbol)
            renew_us, left = held_us // 3, spared(sources, asked)
            yield source.want(asked.positions, age_max_us=_early(held_us), renew_us=renew_us, spared=left)
        if needs.position:
            source, since_us = sources.positions(asked.account), asked.position_since_us
            age_us, left = _early(POSITION_AGE_US), spared(sources, asked)
            yield source.want(asked.positions, age_max_us=age_us, not_before_us=since_us, spared=left)

    def _facts(self, asked: OrderQuery) -> Waits:
        """What the symbol is, then its prices: one that does not exist spoils the question of all others."""
        sources, order = self._sources, asked.order
        future = sources.statics.want(order.symbol, age_max_us=FACT_AGE_US, renew_us=FACT_RENEW_US)
        yield future
        if asked.needs.instrument and order.market in FUTURES:
            yield sources.futures.want(order.symbol, age_max_us=FACT_AGE_US, renew_us=FACT_RENEW_US)
        if sources.is_unknown(order.symbol):
            # A daemon that has lost its login knows nothing either.
            yield sources.sessions.want(EVERYWHERE, age_max_us=_early(STATE_AGE_US))
        elif future is None or sources.static(order.symbol) is not None:
            yield from self._prices(asked)

    def _prices(self, asked: OrderQuery) -> Waits:
        """The symbol's, and that of what it is on; an option's snapshot also tells its multiplier."""
        needs, prices = asked.needs, self._sources.prices
        age_max_us = _early(max(needs.price_age_max_ms * 1000, YOUNG_US))
        if needs.quote:
            yield prices.want(asked.symbol, age_max_us=age_max_us)
        elif needs.instrument and is_option(self._sources, asked.order):
            yield prices.want(asked.symbol, age_max_us=FACT_AGE_US, renew_us=FACT_RENEW_US)
        owner = underlying(self._sources, asked)
        if owner is not None:
            yield prices.want(owner, age_max_us=age_max_us)

    def _state(self, asked: OrderQuery) -> asyncio.Future[None] | None:
        if global_name(asked.order.market, split_symbol(asked.symbol)[0]) is None:
            return self._sources.states.want(asked.symbol, age_max_us=_early(STATE_AGE_US))
        return self._sources.sessions.want(EVERYWHERE, age_max_us=_early(STATE_AGE_US))


def _early(age_us: int) -> int:
    """A datum that is about to be too old is asked for anew: it is looked at a moment after it was found good."""
    return age_us - age_us // 10
