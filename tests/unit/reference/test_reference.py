"""The world of one order, from the simulated daemon's real shapes."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from guard.codes import Code
from guard.markets import split_symbol
from guard.reference import ReferenceBounds
from guard.terms import Account, Env, Exchange, Instrument, Missing, Needs, PlaceOrder, Position, Quote, Side, World
from tests.support.daemon import s2c
from tests.support.guards import order as simulated_order
from tests.support.reference import ACCOUNT, ALL, BOTH, PRICE, WHAT, Bench, bench, order

OPTION = "US.AAPL261218C200000"


async def test_an_order_without_needs_asks_nothing() -> None:
    """Not even whether the instrument exists."""
    async with bench() as made:
        found = await made.world(needs=Needs())

        assert made.wire.asked == []
        assert all(isinstance(part, Missing) for part in (found.instrument, found.quote, found.exchange))
        assert (found.underlying, found.position) == (None, None)


async def test_a_stock_with_everything() -> None:
    """One question of each kind; the price is asked for once the symbol is known."""
    async with bench() as made:
        found = await made.world(order())

        assert found.instrument == Instrument("HK.00700", "stock", "HKD", lot_size=100)
        assert isinstance(found.quote, Quote)
        assert (found.quote.last, found.quote.bid, found.quote.ask) == (Decimal(300), Decimal("299.8"), Decimal(300))
        assert (found.quote.session, found.quote.is_current, found.quote.age_ms) == ("continuous", True, 0)
        assert isinstance(found.exchange, Exchange)
        assert (found.exchange.is_trading_day, found.exchange.was_trading_day) == (True, False)
        assert found.position == Position("HK.00700", Decimal(0))
        assert found.underlying is None
        assert sorted(made.wire.paths()) == ["global-state", "positions", "snapshot", "static-info", "trading-days"]
        assert made.wire.paths()[-1] == "snapshot"


@pytest.mark.parametrize(
    ("needs", "paths"),
    [
        (PRICE, {"static-info", "global-state", "snapshot"}),
        (WHAT, {"static-info"}),
        (Needs(exchange=True), {"global-state", "trading-days"}),
        (Needs(position=True), {"positions"}),
        (Needs(underlying=True), {"static-info", "global-state"}),
    ],
)
async def test_only_what_is_needed_is_asked_for(needs: Needs, paths: set[str]) -> None:
    """The daemon is not asked for what no rule looks at."""
    async with bench() as made:
        await made.world(order(), needs)

        assert set(made.wire.paths()) == paths


async def test_an_option_has_multiplier_strike_underlying_and_two_quotes() -> None:
    """Its own, and that of what it is on."""
    async with bench() as made:
        found = await made.world(order(OPTION, "US"))

        assert found.instrument == Instrument(
            OPTION, "option", "USD", Decimal(100), lot_size=1, strike=Decimal(200), underlying="US.AAPL"
        )
        assert isinstance(found.quote, Quote)
        assert isinstance(found.underlying, Quote)
        assert (found.quote.last, found.underlying.last) == (Decimal("4.00"), Decimal(200))


async def test_an_options_multiplier_needs_no_young_price() -> None:
    """What the contract is, is known for a day from one snapshot."""
    async with bench() as made:
        first = await made.world(order(OPTION, "US"), WHAT)
        made.clock.advance(s=3 * 3600)
        second = await made.world(order(OPTION, "US"), WHAT)

        assert first.instrument == second.instrument
        assert isinstance(first.instrument, Instrument)
        assert made.wire.paths() == ["static-info", "snapshot"]


@pytest.mark.parametrize(
    ("symbol", "market", "multiplier", "currency"),
    [
        ("HK.HSI2612", "FUTURES_HK", 50, "HKD"),
        ("US.ES2612", "FUTURES_US", 50, "USD"),
        ("SG.CN2612", "FUTURES_SG", 1, "USD"),
        ("JP.NK2252612", "FUTURES_JP", 1000, "JPY"),
    ],
)
async def test_futures_have_multiplier_and_currency_of_their_own(
    symbol: str, market: str, multiplier: int, currency: str
) -> None:
    """From future-info, by the contract."""
    async with bench() as made:
        found = await made.world(order(symbol, market), BOTH)

        assert isinstance(found.instrument, Instrument)
        assert found.instrument.kind == "future"
        assert found.instrument.multiplier == multiplier
        assert (found.instrument.currency, found.instrument.source) == (currency, "future-info")
        assert isinstance(found.quote, Quote)


async def test_a_warrant_names_what_it_is_on_and_its_strike() -> None:
    """The strike is told by the snapshot alone."""
    async with bench() as made:
        found = await made.world(order("HK.14730"), BOTH)

        assert isinstance(found.instrument, Instrument)
        assert (found.instrument.kind, found.instrument.underlying) == ("warrant", "HK.00700")
        assert found.underlying is None


@pytest.mark.parametrize(("symbol", "market"), [("JP.7203", "JP"), ("SG.D05", "SG"), ("AU.BHP", "AU")])
async def test_markets_that_the_global_state_does_not_name_are_asked_by_symbol(symbol: str, market: str) -> None:
    """State and trading days alike."""
    async with bench() as made:
        found = await made.world(order(symbol, market), Needs(exchange=True))

        assert isinstance(found.exchange, Exchange)
        assert (found.exchange.state, found.exchange.is_trading_day) == ("continuous", True)
        assert set(made.wire.paths()) == {"market-state", "trading-days"}


# ---------------------------------------------------------------- kept and shared


async def test_peek_tells_what_is_known_and_asks_nobody() -> None:
    """Before, nothing; afterwards the same as `world`."""
    async with bench() as made:
        cold = made.peek()
        assert isinstance(cold.instrument, Missing)
        assert made.wire.asked == []

        warm = await made.world()
        assert made.peek() == warm


async def test_a_hundred_orders_of_one_turn_share_one_question_of_each_kind() -> None:
    """Whatever they trade."""
    symbols = [row for row in ("HK.00700", "HK.00005", "HK.09988", "HK.03690") for _ in range(25)]
    async with bench() as made:
        found = await asyncio.gather(*(made.world(order(symbol), BOTH) for symbol in symbols))

        assert all(isinstance(world.quote, Quote) for world in found)
        assert sorted(made.wire.paths()) == ["global-state", "snapshot", "static-info"]
        assert made.wire.symbols("snapshot") == [["00700", "00005", "09988", "03690"]]


async def test_400_symbols_at_once_go_in_lists_that_the_daemon_takes() -> None:
    """A hundred each; nobody is left out."""
    symbols = [f"US.AAPL261218C{strike}000" for strike in range(100, 500)]
    async with bench(bounds=ReferenceBounds(timeout_s=10)) as made:
        found = await asyncio.gather(*(made.world(order(symbol, "US"), BOTH) for symbol in symbols))

        assert all(isinstance(world.quote, Quote) for world in found)
        assert [len(codes) for codes in made.wire.symbols("snapshot")] == [100] * 4
        assert [len(codes) for codes in made.wire.symbols("static-info")] == [100] * 4


async def test_a_price_is_kept_while_it_is_young_enough_for_the_policy() -> None:
    """Each order brings its own bound."""
    async with bench() as made:
        await made.world(needs=PRICE)
        made.clock.advance(s=2)
        found = await made.world(needs=PRICE)
        assert isinstance(found.quote, Quote)
        assert found.quote.age_ms == 2000
        assert made.wire.count("snapshot") == 1

        await made.world(needs=Needs(quote=True, price_age_max_ms=1000))
        assert made.wire.count("snapshot") == 2


async def test_prices_that_are_traded_stay_young_with_one_question() -> None:
    """What was used within a minute rides along."""
    async with bench() as made:
        for symbol in ("HK.00700", "HK.00005"):
            await made.world(order(symbol), PRICE)
        made.clock.advance(s=6)
        await made.world(order("HK.00700"), PRICE)
        found = await made.world(order("HK.00005"), PRICE)

        assert isinstance(found.quote, Quote)
        assert made.wire.symbols("snapshot") == [["00700"], ["00005", "00700"], ["00700", "00005"]]


async def test_facts_and_days_are_kept_for_hours() -> None:
    """An order a minute asks for prices, and for nothing else."""
    async with bench() as made:
        await made.world(order("HK.HSI2612", "FUTURES_HK"), Needs(instrument=True, quote=True, exchange=True))
        made.wire.asked.clear()
        for _ in range(10):
            made.clock.advance(s=60)
            await made.world(order("HK.HSI2612", "FUTURES_HK"), Needs(instrument=True, quote=True, exchange=True))

        assert set(made.wire.paths()) == {"snapshot", "global-state"}


async def test_a_caller_that_hangs_up_takes_nothing_from_the_others() -> None:
    """The question is the program's."""
    async with bench() as made:
        made.wire.gate.clear()
        waiting = [asyncio.ensure_future(made.world(needs=PRICE)) for _ in range(3)]
        await made.settle()
        waiting[0].cancel()
        await made.settle()
        made.wire.gate.set()

        assert isinstance((await waiting[1]).quote, Quote)
        assert isinstance((await waiting[2]).quote, Quote)
        assert made.wire.count("static-info") == 1


async def test_only_so_many_orders_wait() -> None:
    """The others are told at once what is known."""
    async with bench(bounds=ReferenceBounds(timeout_s=0.2, waiters_max=1)) as made:
        made.wire.gate.clear()
        first = asyncio.ensure_future(made.world(needs=PRICE))
        await made.settle()

        second = await made.world(order("HK.00005"), PRICE)
        assert isinstance(second.quote, Missing)
        made.wire.gate.set()
        assert isinstance((await first).quote, Quote)


# ---------------------------------------------------------------- positions


async def _buy(made: Bench, qty: int = 300) -> None:
    await s2c(made.simulator, "/api/order", simulated_order(qty=qty, price=310))


async def test_a_position_is_signed_and_of_the_account() -> None:
    """Read from the daemon's list, shared for a few seconds."""
    async with bench() as made:
        await _buy(made)
        found = await made.world(needs=Needs(position=True))
        assert found.position == Position("HK.00700", Decimal(300), price=Decimal(300))

        other = await made.world(needs=Needs(position=True), account=Account(Env.REAL, 1))
        assert isinstance(other.position, Missing)
        made.clock.advance(s=2)
        await made.world(order("HK.00005"), Needs(position=True))
        assert made.wire.count("positions") == 2


async def test_a_position_that_was_asked_for_before_the_fill_is_asked_for_again() -> None:
    """However young it is: an exit must not sell what is sold already."""
    async with bench() as made:
        await made.world(needs=Needs(position=True))
        made.clock.advance(us=1)
        await _buy(made)
        since_us = made.clock.t_us()
        stale = made.peek(needs=Needs(position=True), position_since_us=since_us)
        found = await made.world(needs=Needs(position=True), position_since_us=since_us)

        assert isinstance(stale.position, Missing)
        assert "may have changed since" in stale.position.message
        assert found.position == Position("HK.00700", Decimal(300), price=Decimal(300))


async def _asked_anew(made: Bench, placed: PlaceOrder) -> Position | Missing:
    """The position as an order is told that begins now."""
    made.clock.advance(us=1)
    world = await made.world(placed, Needs(position=True), position_since_us=made.clock.t_us())
    found = world.position
    assert found is not None
    return found


async def test_an_account_is_asked_for_its_positions_at_the_brokers_pace() -> None:
    """Three at once; then an exit is told at once that there is none fresh enough, and when there will be."""
    async with bench() as made:
        await _buy(made)
        found = [await _asked_anew(made, order(side=Side.SELL)) for _ in range(4)]

        assert [isinstance(position, Position) for position in found] == [True, True, True, False]
        assert isinstance(found[3], Missing)
        assert "the guard's part of the broker's limit is used up for another 6.0 s" in found[3].message


async def test_what_is_no_exit_leaves_an_exit_its_turn() -> None:
    """A program that goes on buying beyond its budget does not keep others from getting out: one question is theirs."""
    async with bench() as made:
        await _buy(made)
        for _ in range(3):
            for _ in range(15):
                await _asked_anew(made, order(side=Side.BUY))
                await _asked_anew(made, order("HK.00005", side=Side.SELL))
                made.clock.advance(s=1)
            assert isinstance(await _asked_anew(made, order(side=Side.SELL)), Position)


async def test_a_position_that_contradicts_itself_is_missing() -> None:
    """Unknown is not flat."""
    async with bench() as made:
        await _buy(made)
        made.wire.edit("/api/positions", lambda s2c: s2c["position_list"][0].update(position_side=-1))
        found = await made.world(needs=Needs(position=True))

        assert found.position == Missing(
            Code.REFERENCE_UNAVAILABLE, "the position in HK.00700 cannot be told from the daemon's list of positions"
        )


async def test_an_answer_without_a_multiplier_is_not_called_silence() -> None:
    """The daemon answered in time; it is its answer that lacks the datum."""
    async with bench() as made:
        made.wire.edit("/api/future-info", lambda s2c: s2c["future_info_list"][0].update(contract_size=0))
        made.wire.edit("/api/snapshot", lambda s2c: s2c["snapshot_list"][0].pop("option_ex_data", None))
        future = (await made.world(order("HK.HSI2612", "FUTURES_HK"), WHAT)).instrument
        option = (await made.world(order("US.AAPL260116C200000", "US"), WHAT)).instrument

        for found in (future, option):
            assert isinstance(found, Missing)
            assert found.message.endswith("is not known: the daemon's answer does not tell")


# ---------------------------------------------------------------- currencies


async def test_w08_a_currency_that_orders_show_wins_and_is_named() -> None:
    """Over the market's table and over what the contract says (W08)."""
    async with bench() as made:
        made.reference.observe_currency("HK.00700", "USD")
        made.reference.observe_currency("HK.HSI2612", "CNH")
        stock = (await made.world(order(), WHAT)).instrument
        future = (await made.world(order("HK.HSI2612", "FUTURES_HK"), WHAT)).instrument

        assert isinstance(stock, Instrument)
        assert isinstance(future, Instrument)
        assert [(found.currency, found.source) for found in (stock, future)] == [("USD", "orders"), ("CNH", "orders")]


async def test_w08_a_currency_that_was_seen_is_told_of_a_stock_that_nobody_asked_about() -> None:
    """Of a stock only, and only where it is not the one that the market has."""
    async with bench() as made:
        made.reference.observe_currency("HK.00700", "HKD")
        assert not made.reference.is_in_other_currency(order(), account=ACCOUNT)
        made.reference.observe_currency("HK.00700", "USD")
        made.reference.observe_currency("HK.HSI2612", "CNH")
        stock = made.reference.peek(order(), account=ACCOUNT, needs=Needs(), position_since_us=0).instrument
        future = made.reference.peek(
            order("HK.HSI2612", "FUTURES_HK"), account=ACCOUNT, needs=Needs(), position_since_us=0
        ).instrument

        assert made.reference.is_in_other_currency(order(), account=ACCOUNT)
        assert isinstance(stock, Instrument)
        assert stock.currency == "USD"
        assert isinstance(future, Missing)


async def test_w08_a_currency_that_positions_show_wins_too() -> None:
    """Once they were read."""
    async with bench() as made:
        await _buy(made)
        made.wire.edit("/api/positions", lambda s2c: s2c["position_list"][0].update(currency=3))
        found = (await made.world(needs=Needs(instrument=True, position=True))).instrument

        assert isinstance(found, Instrument)
        assert (found.currency, found.source) == ("CNH", "orders")


# ---------------------------------------------------------------- sessions

SUNDAY = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
LUNCH = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(("start", "session"), [(SUNDAY, "closed"), (LUNCH, "break")])
async def test_outside_of_hours_there_is_a_price_and_it_is_flagged(start: datetime, session: str) -> None:
    """At lunch and after the close the last price is used, and everybody can see that it was."""
    async with bench(start=start) as made:
        made.simulator.world.mode = "real"
        found = await made.world(needs=Needs(quote=True, exchange=True))

        assert isinstance(found.quote, Quote)
        assert isinstance(found.exchange, Exchange)
        assert (found.quote.session, found.exchange.state) == (session, session)
        assert found.quote.last == 300


async def test_without_a_login_the_session_is_unknown() -> None:
    """The daemon shows the state it last heard of (B20)."""
    async with bench() as made:
        made.wire.edit("/api/global-state", lambda s2c: s2c.update(qot_logined=False))
        found = await made.world(needs=PRICE)

        assert isinstance(found.quote, Quote)
        assert found.quote.session == "unknown"


async def test_ages_by_kind() -> None:
    """For the metric: the newest answer of each kind."""
    async with bench() as made:
        assert made.reference.ages_s() == {}
        await made.world()
        made.clock.advance(s=3)

        assert made.reference.ages_s() == dict.fromkeys(("price", "instrument", "session", "calendar", "position"), 3.0)


async def test_a_policy_that_wants_no_age_at_all_does_not_hammer_the_daemon() -> None:
    """The answer is asked for once, and is already too old."""
    async with bench() as made:
        world: World = await made.world(needs=Needs(quote=True, price_age_max_ms=0))
        made.clock.advance(us=1)

        assert isinstance(world.quote, Quote)
        assert isinstance(made.peek(needs=Needs(quote=True, price_age_max_ms=0)).quote, Missing)
        assert made.wire.count("snapshot") == 1


async def test_every_listed_instrument_of_the_simulator_has_a_world() -> None:
    """Whatever it is and wherever it is traded: kind, currency, price, day."""
    async with bench(bounds=ReferenceBounds(timeout_s=10)) as made:
        rows = [row for row in made.simulator.world.listed() if row.prefix in {"HK", "US", "SG", "JP", "AU"}]
        needs = Needs(instrument=True, quote=True, exchange=True)
        placed = [order(row.symbol, split_symbol(row.symbol)[0]) for row in rows]
        found = await asyncio.gather(*(made.world(one, needs) for one in placed))

        parts = [part for world in found for part in (world.instrument, world.quote, world.exchange)]
        assert [part for part in parts if isinstance(part, Missing)] == []
        currencies = {(row.symbol, row.currency) for row in rows}
        assert currencies == {(w.instrument.symbol, w.instrument.currency) for w in found}  # type: ignore[union-attr]


def test_the_account_of_the_bench_is_simulated() -> None:
    """The orders of these tests are of the simulator's first account."""
    assert Account(Env.SIMULATE, 123456) == ACCOUNT
    assert not ALL.is_nothing
