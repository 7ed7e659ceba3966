"""Market data of single instruments."""

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
