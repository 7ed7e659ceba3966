"""Candles, minutes and ticks."""

from typing import Any

import pytest

from guard.simulator import Simulator
from tests.support.clock import ManualClock
from tests.support.daemon import ask, s2c


def _simulator() -> Simulator:
    return Simulator(clock=ManualClock())


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
