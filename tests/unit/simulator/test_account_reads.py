"""Accounts, funds and positions follow what was traded."""

import pytest

from guard.simulator import Simulator
from tests.support.clock import ManualClock
from tests.support.daemon import ask, s2c
from tests.support.guards import order

WHO = {"acc_id": 123456, "env": "simulate", "market": "HK"}


async def test_accounts_are_listed_with_exact_numbers() -> None:
    """The 18-digit account keeps all its digits."""
    listed = (await s2c(Simulator(clock=ManualClock()), "/api/accounts"))["acc_list"]

    assert [(row["trd_env"], row["acc_id"]) for row in listed] == [
        (1, 123456),
        (0, 123456),
        (1, 281756478875559548),
        (0, 9032),
    ]
    assert listed[2]["card_num"] == "1001200130017680"


async def test_funds_follow_orders_and_fills() -> None:
    """A resting buy freezes, a filled one turns cash into market value."""
    simulator = Simulator(clock=ManualClock())
    before = (await s2c(simulator, "/api/funds", WHO))["funds"]
    await s2c(simulator, "/api/order", order(price=290))
    frozen = (await s2c(simulator, "/api/funds", WHO))["funds"]
    await s2c(simulator, "/api/order", order())
    after = (await s2c(simulator, "/api/funds", WHO))["funds"]

    assert before["power"] - frozen["power"] == frozen["frozen_cash"] == 29000
    assert (after["market_val"], before["cash"] - after["cash"]) == (30000, 30000)
    assert after["total_assets"] == before["total_assets"]


async def test_funds_can_be_asked_for_in_another_currency() -> None:
    """By number or name."""
    simulator = Simulator(clock=ManualClock())
    hkd, usd = [(await s2c(simulator, "/api/funds", WHO | {"currency": word}))["funds"] for word in (1, "USD")]

    assert (hkd["currency"], usd["currency"]) == (1, 2)
    assert usd["cash"] == pytest.approx(hkd["cash"] / 7.8)


async def test_futures_show_margin_and_profit() -> None:
    """A future takes margin, no cash."""
    simulator = Simulator(clock=ManualClock())
    body = order(market="FUTURES", code="HSImain", qty=1, price=25000)
    await s2c(simulator, "/api/order", body)
    funds = (await s2c(simulator, "/api/funds", WHO))["funds"]
    held = (await s2c(simulator, "/api/positions", WHO | {"market": "FUTURES"}))["position_list"]

    assert (funds["initial_margin"], funds["market_val"]) == (125000, 0)
    assert [(row["code"], row["qty"]) for row in held] == [("HSImain", 1)]


async def test_positions_follow_fills_in_their_market() -> None:
    """Long, then short through a plain sell (W19); other markets and accounts show nothing."""
    simulator = Simulator(clock=ManualClock())
    await s2c(simulator, "/api/order", order())
    await s2c(simulator, "/api/order", order(side="SELL", price=310))
    long = (await s2c(simulator, "/api/positions", WHO))["position_list"]
    await s2c(simulator, "/api/order", order(side="SELL", qty=300, order_type="MARKET"))
    short = (await s2c(simulator, "/api/positions", WHO | {"code_list": ["00700"]}))["position_list"]

    assert [(row["qty"], row["can_sell_qty"], row["position_side"]) for row in long] == [(100, 0, 0)]
    assert [(row["qty"], row["position_side"], row["trd_market"]) for row in short] == [(-200, 1, 1)]
    for other in ({"market": "US"}, {"env": "real"}, {"code_list": ["00005"]}, {"market": "FUTURES"}):
        assert (await s2c(simulator, "/api/positions", WHO | other))["position_list"] == []


async def test_max_quantities_are_whole_lots_of_what_cash_buys() -> None:
    """And what is held may be sold."""
    simulator = Simulator(clock=ManualClock())
    await s2c(simulator, "/api/order", order())
    body = WHO | {"code": "00700", "order_type": 1, "price": 300}
    shown = (await s2c(simulator, "/api/max-trd-qtys", body))["max_trd_qtys"]

    assert (shown["max_cash_buy"], shown["max_position_sell"]) == (333200, 100)
    assert (await ask(simulator, "/api/max-trd-qtys", WHO | {"code": "99999"})).status == 400  # type: ignore[union-attr]


async def test_margin_ratios_are_given_for_what_is_known() -> None:
    """Unknown securities are left out."""
    rows = await s2c(Simulator(clock=ManualClock()), "/api/margin-ratio", WHO | {"symbols": ["HK.00700", "HK.99999"]})

    assert [row["security"]["code"] for row in rows["margin_ratio_info_list"]] == ["00700"]
