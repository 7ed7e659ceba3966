"""Reference data when the daemon fails, half fails, is late or says nonsense: nothing raises, nothing is invented.

Each question is tried as failed, as failed although the daemon carried it out, and as answered by half.
"""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from guard.codes import Code
from guard.reference import ReferenceBounds
from guard.simulator.faults import Fault, Garbage, Hold, HttpError, Reset, RetType, Unreachable
from guard.terms import Answer, Exchange, Failure, Instrument, Missing, Needs, Outbound, Position, Quote, World
from tests.support.looptime import timed
from tests.support.reference import ALL, BOTH, DOWN, PRICE, WHAT, answer, bench, order

OPTION = order("US.AAPL261218C200000", "US")
FUTURE = order("HK.HSI2612", "FUTURES_HK")
STATIC_ROW = {"basic": {"security": {"market": 1, "code": "00700"}, "lot_size": 100, "sec_type": 3}}
FAULTS: dict[str, Fault] = {
    "unreachable": Unreachable(),
    "reset": Reset(acts=False),
    "reset, but it happened": Reset(acts=True),
    "503": HttpError(503),
    "500, but it happened": HttpError(500, acts=True),
    "401": HttpError(401),
    "no": RetType(-1, "no quote right"),
    "timed out": RetType(-100),
    "garbage": Garbage(),
    "garbage, but it happened": Garbage(acts=True),
    "empty": Garbage(b""),
    "no result": Garbage(b'{"ret_type":0,"s2c":null}'),
    "cut off": Garbage(b'{"ret_type":0,"s2c":{"snapshot_list":[{"basic":{"sec'),
}
fails = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())


def missing(part: object) -> Missing:
    """The part, which is not there."""
    assert isinstance(part, Missing), part
    return part


@fails
async def test_without_a_snapshot_there_is_no_price_and_everything_else(fault: Fault) -> None:
    """503 `price_unavailable`, naming the datum; what the instrument is stands in static-info."""
    async with bench() as made:
        made.simulator.faults.always(fault, path="/api/snapshot")
        found = await made.world(order(), ALL)

        assert missing(found.quote).code is Code.PRICE_UNAVAILABLE
        assert missing(found.quote).message.startswith("no price of HK.00700 is known: ")
        assert isinstance(found.instrument, Instrument)
        assert isinstance(found.exchange, Exchange)
        assert isinstance(found.position, Position)


@fails
async def test_without_static_info_the_snapshot_tells_what_the_instrument_is(fault: Fault) -> None:
    """Kind and lot stand there too; without both nobody can say, and nothing is guessed."""
    async with bench() as made:
        made.simulator.faults.always(fault, path="/api/static-info")
        found = await made.world(order(), BOTH)
        assert found.instrument == Instrument("HK.00700", "stock", "HKD", lot_size=100)
        assert isinstance(found.quote, Quote)

        made.simulator.faults.always(fault, path="/api/snapshot")
        nothing = await made.world(order("HK.00005"), BOTH)
        assert missing(nothing.instrument).code is Code.REFERENCE_UNAVAILABLE
        assert missing(nothing.instrument).message.startswith("what HK.00005 is cannot be told: ")


@fails
async def test_w07_without_its_particulars_a_contract_is_not_valued(fault: Fault) -> None:
    """No multiplier of 1 for a future without future-info, nor for an option without a snapshot (W07)."""
    async with bench() as made:
        made.simulator.faults.always(fault, path="/api/future-info")
        future = await made.world(FUTURE, BOTH)
        assert missing(future.instrument).code is Code.REFERENCE_UNAVAILABLE
        assert missing(future.instrument).message.startswith("the multiplier of HK.HSI2612 is not known: ")
        assert isinstance(future.quote, Quote)

        made.simulator.faults.always(fault, path="/api/snapshot")
        option = await made.world(OPTION, WHAT)
        assert missing(option.instrument).message.startswith("the multiplier of US.AAPL261218C200000 is not known: ")


@fails
async def test_without_the_state_the_session_is_unknown(fault: Fault) -> None:
    """Never continuous by default."""
    async with bench() as made:
        made.simulator.faults.always(fault, path="/api/global-state")
        found = await made.world(order(), Needs(quote=True, exchange=True))

        assert isinstance(found.quote, Quote)
        assert isinstance(found.exchange, Exchange)
        assert (found.quote.session, found.exchange.state) == ("unknown", "unknown")
        assert found.exchange.is_trading_day is True


@fails
async def test_without_trading_days_nobody_says_that_today_is_one(fault: Fault) -> None:
    """Nor that it is none; the note says why."""
    async with bench() as made:
        made.simulator.faults.always(fault, path="/api/trading-days")
        found = await made.world(order(), Needs(exchange=True))
        assert isinstance(found.exchange, Exchange)
        assert found.exchange.is_trading_day is None
        assert found.exchange.note.startswith("the trading days of HK are not known: ")

        made.clock.advance(s=60)
        made.simulator.faults.always(fault, path="/api/global-state")
        assert missing((await made.world(order(), Needs(exchange=True))).exchange).code is Code.REFERENCE_UNAVAILABLE


@fails
async def test_without_positions_nothing_is_held_to_be_flat(fault: Fault) -> None:
    """Missing, naming the datum."""
    async with bench() as made:
        made.simulator.faults.always(fault, path="/api/positions")
        found = await made.world(order(), Needs(position=True))

        assert missing(found.position).code is Code.REFERENCE_UNAVAILABLE
        assert missing(found.position).message.startswith("the position in HK.00700 is not known: ")


@fails
async def test_after_the_fault_the_next_order_finds_everything(fault: Fault) -> None:
    """Nothing stays broken for longer than a refusal is remembered."""
    async with bench() as made:
        made.simulator.faults.always(fault)
        await made.world(order(), ALL)
        made.simulator.faults.always(None)
        made.clock.advance(s=31)
        found = await made.world(order(), ALL)

        parts = (found.instrument, found.quote, found.exchange, found.position)
        assert [part for part in parts if isinstance(part, Missing)] == []


@pytest.mark.parametrize("fault", [f for name, f in FAULTS.items() if name != "no"])
async def test_what_is_known_stays_with_its_age_while_the_daemon_fails(fault: Fault) -> None:
    """Facts for a day, calendars for three, prices for as long as the policy believes them."""
    async with bench() as made:
        warm = await made.world(FUTURE, Needs(instrument=True, quote=True, exchange=True))
        made.simulator.faults.always(fault)
        made.clock.advance(s=8 * 3600)
        later = await made.world(FUTURE, Needs(instrument=True, quote=True, exchange=True))

        assert later.instrument == warm.instrument
        assert isinstance(later.exchange, Exchange)
        assert later.exchange.is_trading_day is True
        assert missing(later.quote).message.startswith("the price of HK.HSI2612 is 8 h old, and 5.0 s is the oldest")

        made.clock.advance(s=17 * 3600)
        assert missing((await made.world(FUTURE, WHAT)).instrument).code is Code.REFERENCE_UNAVAILABLE


# ---------------------------------------------------------------- time


def test_a_daemon_that_hangs_costs_an_order_its_bound_and_no_more() -> None:
    """All parts together, not one after the other."""

    async def main() -> None:
        async with bench(bounds=ReferenceBounds(timeout_s=0.1)) as made:
            release, now = asyncio.Event(), asyncio.get_running_loop().time
            made.simulator.faults.always(Hold(release))
            found = await made.world(OPTION, ALL)
            took_s = now()
            made.simulator.faults.always(None)
            release.set()

            assert took_s == pytest.approx(0.1)
            assert missing(found.instrument).message.endswith("the daemon did not answer in time")

    timed(main())


async def test_one_part_that_hangs_does_not_keep_the_others() -> None:
    """The price is asked for as soon as the symbol is known, whatever the positions do."""
    async with bench(bounds=ReferenceBounds(timeout_s=0.1)) as made:
        release = asyncio.Event()
        made.simulator.faults.always(Hold(release), path="/api/positions")
        found = await made.world(OPTION, ALL)
        made.simulator.faults.always(None, path="/api/positions")
        release.set()

        assert isinstance(missing(found.position), Missing)
        assert isinstance(found.quote, Quote)
        assert isinstance(found.underlying, Quote)


def test_orders_that_wait_for_a_hung_daemon_wait_together() -> None:
    """Fifty orders, one question, one bound."""

    async def main() -> None:
        async with bench(bounds=ReferenceBounds(timeout_s=0.1)) as made:
            release, now = asyncio.Event(), asyncio.get_running_loop().time
            made.simulator.faults.always(Hold(release))
            await asyncio.gather(*(made.world(order(), PRICE) for _ in range(50)))
            took_s = now()
            made.simulator.faults.always(None)
            release.set()

            assert took_s == pytest.approx(0.1)
            assert made.wire.count("static-info") == 1

    timed(main())


async def test_a_daemon_that_is_down_is_not_asked_by_every_order() -> None:
    """After a failure nobody asks for half a second, and orders do not wait."""
    async with bench() as made:
        made.simulator.faults.always(Unreachable())
        for _ in range(50):
            await made.world(order(), PRICE)

        assert made.wire.count("static-info") == 1
        assert made.wire.count("snapshot") == 1


async def test_a_late_answer_is_there_for_the_next_order() -> None:
    """The question goes on when its order has given up."""
    async with bench(bounds=ReferenceBounds(timeout_s=0.05)) as made:
        release = asyncio.Event()
        made.simulator.faults.add(Hold(release), path="/api/static-info")
        assert isinstance((await made.world(order(), WHAT)).instrument, Missing)
        release.set()
        await made.settle()

        assert isinstance(made.peek(order(), WHAT).instrument, Instrument)


async def test_a_stale_price_is_refused_with_its_age() -> None:
    """And the reason why there is no newer one."""
    async with bench() as made:
        await made.world(order(), PRICE)
        made.wire.always("/api/snapshot", DOWN)
        made.clock.advance(s=12, us=300_000)
        found = await made.world(order(), PRICE)

        assert found.quote == Missing(
            Code.PRICE_UNAVAILABLE,
            "the price of HK.00700 is 12.3 s old, and 5.0 s is the oldest that is believed: "
            "the last question failed: nobody there",
            is_late=True,
        )


async def test_a_young_price_serves_while_the_daemon_is_down() -> None:
    """With its real age."""
    async with bench() as made:
        await made.world(order(), PRICE)
        made.wire.always("/api/snapshot", DOWN)
        made.clock.advance(s=4)
        found = await made.world(order(), PRICE)

        assert isinstance(found.quote, Quote)
        assert found.quote.age_ms == 4000


async def test_a_stock_that_has_not_traded_today_is_not_current() -> None:
    """However young the daemon's answer is: a market order needs a price of this session."""
    async with bench() as made:
        old_s = datetime(2026, 11, 20, 8, 0, tzinfo=UTC).timestamp()
        made.wire.edit("/api/snapshot", lambda s2c: s2c["snapshot_list"][0]["basic"].update(update_timestamp=old_s))
        found = await made.world(order(), PRICE)

        assert isinstance(found.quote, Quote)
        assert (found.quote.age_ms, found.quote.is_current) == (0, False)


# ---------------------------------------------------------------- unknown symbols


async def test_an_instrument_that_nobody_knows_is_not_supported() -> None:
    """403 `unsupported_instrument`; its price is never asked for."""
    async with bench() as made:
        found = await made.world(order("HK.99999"), BOTH)

        assert found.instrument == Missing(
            Code.UNSUPPORTED_INSTRUMENT, "HK.99999 is no instrument that the daemon knows"
        )
        assert found.quote == found.instrument
        assert made.wire.count("snapshot") == 0

        await made.world(order("HK.99999"), BOTH)
        assert made.wire.count("static-info") == 1


async def test_an_unknown_symbol_spoils_no_other_orders_question() -> None:
    """A typing error of one bot costs the others nothing."""
    async with bench() as made:
        symbols = ("HK.00700", "HK.99999", "HK.00005", "HK.88888")
        found = await asyncio.gather(*(made.world(order(symbol), BOTH) for symbol in symbols))

        assert [isinstance(world.quote, Quote) for world in found] == [True, False, True, False]
        assert all("99999" not in codes for codes in made.wire.symbols("snapshot"))


async def test_b20_a_daemon_without_a_login_knows_nothing_and_that_is_said() -> None:
    """An empty success proves nothing: 503 and try again, not 403 (B20)."""
    async with bench() as made:
        made.wire.always("/api/static-info", answer({"static_info_list": []}))
        made.wire.edit("/api/global-state", lambda s2c: s2c.update(qot_logined=False))
        found = await made.world(order(), BOTH)

        assert found.instrument == Missing(
            Code.REFERENCE_UNAVAILABLE, "what HK.00700 is cannot be told: the daemon is not logged in for quotes"
        )
        assert missing(found.quote).code is Code.PRICE_UNAVAILABLE


async def test_a_market_without_quote_rights_does_not_take_the_others_along() -> None:
    """The daemon declines the whole list; the half that it does not decline is asked for again."""
    async with bench() as made:

        def no_us(request: Outbound, found: Answer | Failure) -> Answer | Failure:
            has_us = b'"market":11' in (request.body or b"")
            return answer(None, ret_type=-1, ret_msg="no quote right for US") if has_us else found

        made.wire.edits["/api/snapshot"] = no_us
        both = (order("HK.00700"), order("US.AAPL", "US"))
        hong_kong, us = await asyncio.gather(*(made.world(placed, PRICE) for placed in both))

        assert isinstance(hong_kong.quote, Quote)
        assert missing(us.quote).message.endswith("the daemon has none: no quote right for US")


async def test_a_stock_that_the_daemon_lists_as_a_contract_is_not_supported() -> None:
    """Its multiplier would be anybody's guess."""
    async with bench() as made:
        made.wire.edit("/api/static-info", lambda s2c: s2c["static_info_list"][0]["basic"].update(sec_type=10))

        found = await made.world(order(), WHAT)
        assert missing(found.instrument).code is Code.UNSUPPORTED_INSTRUMENT


# ---------------------------------------------------------------- half an answer


async def test_half_a_list_is_asked_for_again() -> None:
    """The symbols that an answer left out are not unknown."""
    async with bench() as made:
        halves = iter([answer({"static_info_list": [STATIC_ROW]})])
        made.wire.edits["/api/static-info"] = lambda _, found: next(halves, found)
        found = await asyncio.gather(*(made.world(order(symbol), WHAT) for symbol in ("HK.00700", "HK.00005")))

        assert all(isinstance(world.instrument, Instrument) for world in found)
        assert made.wire.symbols("static-info") == [["00700", "00005"], ["00005"]]


async def test_a_row_of_another_symbol_is_no_answer() -> None:
    """A daemon that answers a different question tells nothing of ours."""
    async with bench() as made:
        made.wire.edit("/api/snapshot", lambda s2c: s2c["snapshot_list"][0]["basic"]["security"].update(code="00005"))
        found = await made.world(order(), PRICE)

        assert missing(found.quote).message == (
            "no price of HK.00700 is known: the daemon has none: its answer does not name it"
        )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ask_price": 0}, (300, "299.8", None)),
        ({"bid_price": 0}, (300, None, 300)),
        ({"bid_price": 0, "ask_price": 0}, (300, None, None)),
        ({"cur_price": 0}, (None, "299.8", 300)),
        ({"cur_price": -5}, (None, "299.8", 300)),
        ({"ask_price": None, "cur_price": "300"}, (None, "299.8", None)),
    ],
)
async def test_a_one_sided_book_and_prices_that_are_none(change: dict[str, Any], expected: Any) -> None:
    """What there is is told; the rest is None, never zero: nothing is ever valued at nothing."""
    async with bench() as made:
        made.wire.edit("/api/snapshot", lambda s2c: s2c["snapshot_list"][0]["basic"].update(change))
        found = (await made.world(order(), PRICE)).quote

        assert isinstance(found, Quote)
        wanted = tuple(None if price is None else Decimal(str(price)) for price in expected)
        assert (found.last, found.bid, found.ask) == wanted


async def test_a_row_without_any_price_is_no_price() -> None:
    """A suspended newcomer, say."""
    async with bench() as made:
        nothing = dict.fromkeys(("cur_price", "bid_price", "ask_price", "last_close_price"), 0)
        made.wire.edit("/api/snapshot", lambda s2c: s2c["snapshot_list"][0]["basic"].update(nothing))
        found = await made.world(order(), BOTH)

        assert missing(found.quote).message == "the daemon shows no price of HK.00700, 0.0 s ago"
        assert isinstance(found.instrument, Instrument)


async def test_a_negative_price_of_a_future_is_a_price() -> None:
    """Oil traded at -37.63 once."""
    async with bench() as made:
        made.wire.edit("/api/snapshot", lambda s2c: s2c["snapshot_list"][0]["basic"].update(cur_price=-37.63))
        found = (await made.world(order("US.CL2612", "FUTURES_US"), PRICE)).quote

        assert isinstance(found, Quote)
        assert found.last == Decimal("-37.63")


async def test_an_option_whose_row_has_no_size_is_not_valued() -> None:
    """Neither of the three fields says anything (W07)."""
    async with bench() as made:
        nothing = dict.fromkeys(("contract_size", "contract_size_float", "contract_multiplier"), 0)
        made.wire.edit("/api/snapshot", lambda s2c: s2c["snapshot_list"][0]["option_ex_data"].update(nothing))
        found = await made.world(OPTION, WHAT)

        assert missing(found.instrument).code is Code.REFERENCE_UNAVAILABLE


async def test_positions_of_another_account_are_not_taken_for_ours() -> None:
    """An answer that was mixed up (B15)."""
    async with bench() as made:
        made.wire.edit("/api/positions", lambda s2c: s2c["header"].update(acc_id=123457))
        found = await made.world(order(), Needs(position=True))

        assert missing(found.position).code is Code.REFERENCE_UNAVAILABLE


# ---------------------------------------------------------------- many


async def test_a_refused_list_of_400_symbols_is_given_up_with_its_orders() -> None:
    """The search for the one that spoils it ends when nobody waits any more, within the guard's own pace."""
    async with bench(bounds=ReferenceBounds(timeout_s=0.2)) as made:
        made.wire.always("/api/snapshot", answer(None, ret_type=-1, ret_msg="no"))
        symbols = [f"US.AAPL261218C{strike}000" for strike in range(100, 500)]
        found: list[World] = await asyncio.gather(*(made.world(order(symbol, "US"), PRICE) for symbol in symbols))

        assert all(isinstance(world.quote, Missing) for world in found)
        assert made.wire.count("snapshot") <= 5 + sum(made.slept) / 2 + 1


def test_draining_ends_every_wait_with_a_value() -> None:
    """An order that waits for its price when the guard stops is told that there is none, at once."""

    async def main() -> None:
        async with bench(bounds=ReferenceBounds(timeout_s=5)) as made:
            made.wire.gate.clear()
            waiting = asyncio.ensure_future(made.world(order(), PRICE))
            await made.settle()
            await made.supervisor.drain(0.01)

            assert isinstance((await waiting).quote, Missing)
            assert isinstance((await made.world(order("HK.00005"), PRICE)).quote, Missing)
            assert asyncio.get_running_loop().time() <= 0.01

    timed(main())
