"""Lists of orders and fills, fees and cash flow."""

from typing import Any

from guard.simulator import Simulator
from tests.support.clock import ManualClock
from tests.support.daemon import s2c
from tests.support.guards import order

WHO = {"acc_id": 123456, "env": "simulate", "market": "HK"}


async def _orders(simulator: Simulator, path: str = "/api/orders", **members: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await s2c(simulator, path, WHO | members))["order_list"]
    return rows


async def test_orders_are_listed_for_one_account_and_market() -> None:
    """The market is that of the code (W03): an American order sent with a Hong Kong header is found under US."""
    simulator = Simulator(clock=ManualClock())
    await s2c(simulator, "/api/order", order())
    await s2c(simulator, "/api/order", order(code="US.AAPL", qty=1, price=100))
    await s2c(simulator, "/api/order", order(code="HSImain", qty=1, price=1))

    assert [row["code"] for row in await _orders(simulator)] == ["00700"]
    assert [row["code"] for row in await _orders(simulator, market="US")] == ["AAPL"]
    assert [row["code"] for row in await _orders(simulator, market="FUTURES_SIMULATE_HK")] == ["HSImain"]
    assert await _orders(simulator, env="real") == []


async def test_lists_can_be_narrowed() -> None:
    """By code, by either identifier, by status."""
    simulator = Simulator(clock=ManualClock())
    filled = await s2c(simulator, "/api/order", order())
    resting = await s2c(simulator, "/api/order", order(price=290))

    for members, expected in (
        ({"filter_status_list": [11]}, filled),
        ({"filter_status_list": [5]}, resting),
        ({"id_list": [filled["order_id"]]}, filled),
        ({"order_id_ex_list": [resting["order_id_ex"]]}, resting),
    ):
        assert [row["order_id_ex"] for row in await _orders(simulator, **members)] == [expected["order_id_ex"]]
    assert await _orders(simulator, code_list=["00005"]) == []


async def test_yesterdays_orders_are_history() -> None:
    """Today's list has today's orders and what still works; history has what has ended."""
    clock = ManualClock()
    simulator = Simulator(clock=clock)
    await s2c(simulator, "/api/order", order())
    good_till = await s2c(simulator, "/api/order", order(price=290, time_in_force="GTC"))
    clock.advance(s=86_400)
    simulator.tick(moves=False)

    assert [row["order_id_ex"] for row in await _orders(simulator)] == [good_till["order_id_ex"]]
    assert [row["order_status"] for row in await _orders(simulator, "/api/history-orders")] == [11]
    assert await _orders(simulator, "/api/history-orders", begin="2027-01-01") == []


async def test_fills_are_listed_today_and_in_history() -> None:
    """With the order they belong to."""
    clock = ManualClock()
    simulator = Simulator(clock=clock)
    placed = await s2c(simulator, "/api/order", order())

    today = (await s2c(simulator, "/api/order-fills", WHO))["order_fill_list"]
    assert [(row["order_id_ex"], row["qty"], row["price"]) for row in today] == [(placed["order_id_ex"], 100, 300)]
    clock.advance(s=86_400)
    assert (await s2c(simulator, "/api/order-fills", WHO))["order_fill_list"] == []
    assert (await s2c(simulator, "/api/history-order-fills", WHO))["order_fill_list"] == today


async def test_fees_and_cash_flow_follow_fills() -> None:
    """A fee for an order that filled, a row of cash for each fill."""
    simulator = Simulator(clock=ManualClock())
    filled = await s2c(simulator, "/api/order", order())
    resting = await s2c(simulator, "/api/order", order(price=290))
    ids = [filled["order_id_ex"], resting["order_id_ex"], "nobody"]

    fees = (await s2c(simulator, "/api/order-fee", WHO | {"order_id_ex_list": ids}))["order_fee_list"]
    flow = (await s2c(simulator, "/api/flow-summary", WHO))["flow_summary_info_list"]

    assert [row["order_id_ex"] for row in fees] == [filled["order_id_ex"]]
    assert [(row["cash_flow_amount"], row["currency"]) for row in flow] == [(-30000, 1)]
    other_day = WHO | {"clearing_date": "2000-01-01"}
    assert (await s2c(simulator, "/api/acc-cash-flow", other_day))["flow_summary_info_list"] == []
