"""The questions: paths, bodies, whose key, and how answers are read."""

import json
from datetime import date
from typing import Any

import pytest

from guard.reference.asks import EVERYWHERE, Asks, CalendarKey, PositionKey, calendar_key
from guard.reference.envelope import Declined, Silence
from guard.reference.tradingdays import Calendar
from guard.terms import Account, Answer, Env, Failure
from tests.support.reference import ACCOUNT, DOWN, LATE, MONDAY, Bench, answer, bench


def asks(made: Bench) -> Asks:
    """The questions of a bench."""
    return Asks(made.wire, made.clock, timeout_s=1.5)


def body(made: Bench, place: int = -1) -> Any:
    """The `c2s` of a question."""
    return json.loads(made.wire.asked[place].body or b"{}")["c2s"]


async def test_lists_of_securities() -> None:
    """By QotMarket and code, with the guard's own key, as reads with a timeout of their own."""
    async with bench() as made:
        found = await asks(made).snapshot(("HK.00700", "US.BRK.B"))

        assert isinstance(found, dict)
        assert set(found) == {"HK.00700", "US.BRK.B"}
        assert body(made) == {"security_list": [{"market": 1, "code": "00700"}, {"market": 11, "code": "BRK.B"}]}
        sent = made.wire.asked[-1]
        assert (sent.method, sent.path, sent.lend, sent.is_trade, sent.timeout_s) == (
            "POST",
            "/api/snapshot",
            "guard",
            False,
            1.5,
        )


async def test_every_list_is_asked_at_its_own_path() -> None:
    """And read by its own reader."""
    async with bench() as made:
        one = asks(made)
        static = await one.static(("HK.00700",))
        future = await one.futures(("HK.HSI2612",))
        state = await one.states(("JP.7203",))

        assert isinstance(static, dict)
        assert isinstance(future, dict)
        assert static["HK.00700"].lot_size == 100
        assert future["HK.HSI2612"].currency == "HKD"
        assert state == {"JP.7203": 5}
        assert made.wire.paths() == ["static-info", "future-info", "market-state"]


async def test_the_global_state_is_one_question_without_a_body() -> None:
    """For all markets at once."""
    async with bench() as made:
        found = await asks(made).everywhere((EVERYWHERE,))

        assert isinstance(found, dict)
        assert found[EVERYWHERE].states["market_hk"] == 5
        assert (made.wire.asked[0].method, made.wire.asked[0].body) == ("GET", None)


@pytest.mark.parametrize(
    ("market", "symbol", "number", "is_by_symbol"),
    [
        ("HK", "HK.00700", 1, False),
        ("HKCC", "SH.600519", 4, False),
        ("FUTURES_JP", "JP.NK2252612", 6, False),
        ("FUTURES_HK", "HK.HSI2612", 1, True),
        ("JP", "JP.7203", 0, True),
    ],
)
async def test_trading_days_of_a_market_or_of_a_symbol(
    market: str, symbol: str, number: int, is_by_symbol: bool
) -> None:
    """From yesterday to a fortnight ahead, in the market's own dates; Stock Connect has a calendar of its own."""
    async with bench() as made:
        key = calendar_key(market, symbol)
        found = await asks(made).calendar((key,))

        assert key == CalendarKey(market, symbol if is_by_symbol else None)
        assert isinstance(found, dict)
        assert found[key].begin == date(2026, 11, 22)
        assert found[key].is_trading_day(date(2026, 11, 23)) is True
        asked = body(made)
        assert (asked["market"], asked["begin_time"], asked["end_time"]) == (number, "2026-11-22", "2026-12-08")
        assert ("security" in asked) is is_by_symbol


async def test_the_date_is_the_markets_own() -> None:
    """When it is Monday morning in Hong Kong it is Sunday in New York."""
    async with bench() as made:
        await asks(made).calendar((CalendarKey("US"),))

        assert body(made)["begin_time"] == "2026-11-21"
        assert MONDAY.day == 23


async def test_a_daemon_that_knows_no_calendar_by_symbol_is_asked_by_market() -> None:
    """Futures have holidays of their own; where nobody tells them, the country's."""
    async with bench() as made:

        def by_market_only(request: Any, found: Answer | Failure) -> Answer | Failure:
            return answer(None, ret_type=-1) if b"security" in request.body else found

        made.wire.edits["/api/trading-days"] = by_market_only
        found = await asks(made).calendar((CalendarKey("FUTURES_US", "US.ES2612"),))
        nobody = await asks(made).calendar((CalendarKey("JP", "JP.7203"),))

        assert isinstance(found, dict)
        assert isinstance(found[CalendarKey("FUTURES_US", "US.ES2612")], Calendar)
        assert isinstance(nobody, Declined)


async def test_positions_are_asked_of_the_broker() -> None:
    """Not of the daemon's memory, for the account, environment and market of the order, 64-bit ids exact."""
    async with bench() as made:
        made.wire.always("/api/positions", answer({"position_list": []}))
        big = PositionKey(Account(Env.REAL, 2**64 - 1), 15, jp_acc_type=2)
        found = await asks(made).positions((big,))

        assert isinstance(found, dict)
        assert found[big].of("JP.7203") == 0
        header = {"trd_env": 1, "acc_id": 2**64 - 1, "trd_market": 15, "jp_acc_type": 2}
        assert body(made) == {"header": header, "refresh_cache": True}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (DOWN, Silence("nobody there")),
        (LATE, Silence("no answer in time")),
        (answer({}, status=503), Silence("HTTP 503")),
        (answer({}, ret_type=-100), Silence("an answer without a result")),
        (answer(None, ret_type=-1, ret_msg="no quote right"), Declined("no quote right")),
        (Answer(200, "application/json", b"\x00<html>"), Silence("an answer that cannot be read")),
    ],
)
async def test_what_goes_wrong_is_a_value(result: Answer | Failure, expected: Declined | Silence) -> None:
    """For every question alike."""
    async with bench() as made:
        one, key = asks(made), PositionKey(ACCOUNT, 1)
        for path in ("snapshot", "global-state", "trading-days", "positions"):
            made.wire.always(f"/api/{path}", result)

        assert await one.snapshot(("HK.00700",)) == expected
        assert await one.everywhere((EVERYWHERE,)) == expected
        assert await one.calendar((CalendarKey("HK"),)) == expected
        assert await one.positions((key,)) == expected


@pytest.mark.parametrize("s2c", [{}, {"snapshot_list": 1, "trade_date_list": {}, "position_list": 5, "market_hk": "x"}])
async def test_answers_that_make_no_sense_are_silence(s2c: Any) -> None:
    """An answer without states, days or positions that can be read."""
    async with bench() as made:
        one = asks(made)
        for path in ("snapshot", "global-state", "trading-days", "positions"):
            made.wire.always(f"/api/{path}", answer(s2c))

        assert isinstance(await one.everywhere((EVERYWHERE,)), Silence)
        assert isinstance(await one.calendar((CalendarKey("HK"),)), Silence)
        if s2c:
            assert isinstance(await one.snapshot(("HK.00700",)), Silence)
            assert isinstance(await one.positions((PositionKey(ACCOUNT, 1),)), Silence)
