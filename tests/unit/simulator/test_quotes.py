"""Market data of single instruments."""

from typing import Any

import pytest

from guard.simulator import Simulator
from tests.support.clock import ManualClock
from tests.support.daemon import ask, s2c, said

SINGLES = ["broker", "capital-distribution", "capital-flow", "history-kline", "kline", "orderbook", "rt", "ticker"]


def _simulator() -> Simulator:
    return Simulator(clock=ManualClock())


@pytest.mark.parametrize("name", SINGLES)
async def test_an_unknown_security_is_declined(name: str) -> None:
    """Market data writes its error number as text."""
    envelope = await said(_simulator(), f"/api/{name}", {"symbol": "HK.99999"})

    assert (envelope["ret_type"], envelope["err_code"]) == (-1, "3001")


@pytest.mark.parametrize("name", SINGLES)
async def test_a_request_without_a_security_is_answered_for_the_first(name: str) -> None:
    """Or refused with 400 where blanks are not filled."""
    simulator = _simulator()
    assert (await said(simulator, f"/api/{name}", {}))["ret_type"] == 0

    simulator.quirks.fills_blanks = False
    assert (await ask(simulator, f"/api/{name}", {})).status == 400  # type: ignore[union-attr]


async def test_quote_snapshot_and_book_agree() -> None:
    """One price everywhere, and the book around it."""
    simulator = _simulator()
    for _ in range(10):
        simulator.tick()
    body = {"symbol": "HK.00700"}
    quote = (await s2c(simulator, "/api/quote", body))["basic_qot_list"][0]
    basic = (await s2c(simulator, "/api/snapshot", body))["snapshot_list"][0]["basic"]
    book = await s2c(simulator, "/api/orderbook", body | {"depth": 3})

    assert quote["cur_price"] == basic["cur_price"] == float(simulator.prices["HK.00700"])
    assert (book["order_book_ask_list"][0]["price"], book["order_book_bid_list"][0]["price"]) == (
        basic["ask_price"],
        basic["bid_price"],
    )
    assert basic["lot_size"] == 100
    assert len(book["order_book_ask_list"]) == 3
    assert quote["low_price"] <= quote["cur_price"] <= quote["high_price"]


async def test_snapshots_carry_what_the_kind_needs() -> None:
    """Multiplier and owner of options, settlement of futures, no currency anywhere."""
    symbols = ["US.AAPL261218C200000", "HK.HSI2612", "HK.00700", "HK.02800"]
    option, future, equity, trust = (await s2c(_simulator(), "/api/snapshot", {"symbols": symbols}))["snapshot_list"]

    assert option["option_ex_data"]["contract_multiplier"] == option["option_ex_data"]["contract_size"] == 100
    assert option["option_ex_data"]["owner"] == {"market": 11, "code": "AAPL"}
    assert option["option_ex_data"]["strike_time"] == "2026-12-18"
    assert future["future_ex_data"]["last_trade_time"] == "2026-12-28"
    assert "equity_ex_data" in equity
    assert list(trust) == ["basic"]
    assert "currency" not in str([option, future, equity, trust])


@pytest.mark.parametrize(
    ("name", "extra", "rows"), [("kline", {"count": 7}, 7), ("history-kline", {"max_count": 5}, 5)]
)
async def test_candles_come_in_the_number_asked_for(name: str, extra: dict[str, Any], rows: int) -> None:
    """Of the type asked for, oldest first."""
    body = {"symbol": "HK.00700", "kl_type": "day"} | extra
    listed = (await s2c(_simulator(), f"/api/{name}", body))["kl_list"]

    assert len(listed) == rows
    assert [row["time"] for row in listed] == sorted(row["time"] for row in listed)


async def test_history_is_within_its_span() -> None:
    """Both days included."""
    body = {"symbol": "HK.00700", "kl_type": 2, "begin": "2026-11-02", "end": "2026-11-06"}
    listed = (await s2c(_simulator(), "/api/history-kline", body))["kl_list"]

    assert [row["time"][:10] for row in listed] == [f"2026-11-0{day}" for day in range(2, 7)]


@pytest.mark.parametrize("body", [{"symbol": "HK.00700", "kl_type": 99}, {"symbol": "HK.00700", "num": "9"}])
async def test_odd_members_are_400(body: dict[str, Any]) -> None:
    """An unknown candle type; a number as text."""
    path = "/api/kline" if "kl_type" in body else "/api/orderbook"

    assert (await ask(_simulator(), path, body)).status == 400  # type: ignore[union-attr]


async def test_ticks_and_minutes_are_in_order() -> None:
    """The number asked for, ending now."""
    ticks = (await s2c(_simulator(), "/api/ticker", {"symbol": "US.AAPL", "count": 5}))["ticker_list"]
    minutes = (await s2c(_simulator(), "/api/rt", {"symbol": "US.AAPL"}))["rt_list"]

    assert [row["sequence"] for row in ticks] == sorted(row["sequence"] for row in ticks)
    assert len(ticks) == 5
    assert len(minutes) == 30


async def test_static_info_is_by_list_or_by_market() -> None:
    """Without either it is 400; a market can be narrowed by type."""
    simulator = _simulator()
    listed = await s2c(simulator, "/api/static-info", {"symbols": ["HK.00700", "US.AAPL"]})
    indices = await s2c(simulator, "/api/static-info", {"market": "HK", "sec_type": 6})

    assert [row["basic"]["lot_size"] for row in listed["static_info_list"]] == [100, 1]
    assert [row["basic"]["security"]["code"] for row in indices["static_info_list"]] == ["800000"]
    assert (await ask(simulator, "/api/static-info", {})).status == 400  # type: ignore[union-attr]


async def test_market_state_follows_the_sessions() -> None:
    """Open at any hour, or closed on a Sunday."""
    body = {"symbols": ["HK.00700", "HK.HSImain"]}
    opened = await s2c(_simulator(), "/api/market-state", body)
    real = await s2c(Simulator(clock=ManualClock(), sessions="real"), "/api/market-state", body)

    assert [row["market_state"] for row in opened["market_info_list"]] == [5, 23]
    assert [row["market_state"] for row in real["market_info_list"]] == [6, 26]
