"""Time passes, orders meet the tape, and what happens is pushed."""

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal

from guard.simulator import Simulator
from guard.simulator.orders import Status
from guard.simulator.world import Push
from tests.support.clock import ManualClock
from tests.support.daemon import s2c
from tests.support.guards import order
from tests.support.protobuf import read_push


def _watched() -> tuple[Simulator, list[Push]]:
    simulator, seen = Simulator(clock=ManualClock()), list[Push]()
    simulator.world.listeners.append(seen.append)
    simulator.world.push_accounts = frozenset({123456})
    return simulator, seen


async def test_an_order_is_pushed_at_every_step() -> None:
    """Taken, filled, and its fill; each with account and market."""
    _, seen = pair = _watched()
    await s2c(pair[0], "/api/order", order())

    assert [push.proto_id for push in seen] == [2208, 2208, 2218]
    bodies = [read_push(push.proto_id, push.body)["s2c"] for push in seen]
    assert [body["order"]["order_status"] for body in bodies[:2]] == [5, 11]
    assert {(push.acc_id, push.trd_market) for push in seen} == {(123456, 1)}


async def test_w13_a_trade_push_may_lack_its_market() -> None:
    """A quirk, to see what the guard makes of it."""
    simulator, seen = _watched()
    simulator.quirks.names_push_market = False
    await s2c(simulator, "/api/order", order(price=290))

    frame = json.loads(seen[0].frame())
    assert "trd_market" not in frame
    assert read_push(2208, base64.b64decode(frame["body_b64"]))["s2c"]["header"]["trd_market"] == 1


async def test_day_orders_end_with_their_day() -> None:
    """On the exchange's own calendar; what was filled stays filled."""
    clock = ManualClock(datetime(2026, 11, 23, 2, tzinfo=UTC))
    simulator = Simulator(clock=clock)
    simulator.liquidity["HK.00700"] = Decimal(100)
    for price, qty in ((290, 100), (300, 200)):
        await s2c(simulator, "/api/order", order(price=price, qty=qty))
    simulator.prices["HK.00700"] = Decimal(310)
    clock.advance(s=13 * 3600)
    simulator.tick(moves=False)
    assert all(row.is_open for row in simulator.orders.values())

    clock.advance(s=3600)
    simulator.tick(moves=False)
    assert [row.status for row in simulator.orders.values()] == [Status.CANCELLED_ALL, Status.CANCELLED_PART]


async def test_without_liquidity_nothing_fills() -> None:
    """Zero is a bound too."""
    simulator = Simulator(clock=ManualClock())
    simulator.liquidity["HK.00700"] = Decimal(0)
    placed = await s2c(simulator, "/api/order", order())

    assert simulator.orders[placed["order_id_ex"]].status is Status.SUBMITTED


async def test_only_basic_subscriptions_push_quotes() -> None:
    """A ticker subscription pushes no quote."""
    simulator, seen = _watched()
    await s2c(simulator, "/api/subscribe", {"symbols": ["HK.00700"], "sub_types": [4]})
    simulator.tick()
    assert seen == []

    await s2c(simulator, "/api/subscribe", {"symbols": ["HK.00700"], "sub_types": [1]})
    simulator.tick()
    assert [push.sec_key for push in seen] == ["1_00700"]
