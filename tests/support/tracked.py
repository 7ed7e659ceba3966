"""Orders after they were answered: how they fill at the daemon, and what then should stand on the counters."""

import json
from decimal import Decimal
from typing import Any, Final

from guard.simulator.orders import Order
from guard.terms import Answer, Outbound
from tests.support.guards import order
from tests.support.stage import ORDER, Stage, is_passed

LIMITS: Final = """
[orders]
max_value = "1000000 HKD"
per_day = 50
time_in_force = ["DAY", "GTC"]
[budgets]
daily_value = "500000 HKD"
open_value = "400000 HKD"
open_orders = 5
"""
ROUND_S: Final = 6
TOUCH: Final = LIMITS + '[rights]\ntouch = "account"\n'
ENABLE: Final[dict[str, Any]] = {"op": "ENABLE", "qty": None, "price": None}


async def round_trip(scene: Stage, *, s: int = ROUND_S) -> None:
    """Time passes, and the daemon's lists are looked at."""
    await scene.guard.reconciler.turn()
    scene.clock.advance(s=s)
    await scene.guard.reconciler.turn()


def at_daemon(scene: Stage, order_id_ex: str) -> Order:
    """The order as the daemon has it."""
    return scene.daemon.orders[order_id_ex]


def fill(scene: Stage, order_id_ex: str, qty: int, price: str) -> None:
    """Some of a working order fills at the daemon."""
    order = at_daemon(scene, order_id_ex)
    scene.daemon.world.book.fill(order, qty=Decimal(qty), price=Decimal(price), at=scene.clock.wall())


def held(scene: Stage) -> dict[str, Any]:
    """What stands on each kind of counter."""
    return {word: scene.held(word) for word in ("daily_value", "open_value", "exits")} | {
        word: scene.sums(word) for word in ("open_orders", "orders_per_day")
    }


def holds(day: float, working: float, exits: float, orders: int, *, per_day: int = 1) -> dict[str, Any]:
    """What should stand there."""
    return {
        "daily_value": Decimal(str(day)),
        "open_value": Decimal(str(working)),
        "exits": Decimal(str(exits)),
        "open_orders": orders,
        "orders_per_day": per_day,
    }


async def elsewhere(scene: Stage, **members: Any) -> str:
    """Somebody places an order at the daemon itself: its external id."""
    body = json.dumps(order(**{"price": 200} | members)).encode()
    answer = await scene.daemon.send(Outbound("POST", ORDER, body, 5.0))
    assert isinstance(answer, Answer)
    told = json.loads(answer.body)
    assert told["ret_type"] == 0, told
    scene.daemon.requests.clear()
    return str(told["s2c"]["order_id_ex"])


async def seen(scene: Stage) -> None:
    """A list shows it, as it does within a minute where nothing else is going on."""
    scene.clock.advance(s=61)
    await scene.guard.reconciler.turn()
    await scene.guard.reconciler.turn()


async def rested(scene: Stage, order_id_ex: str) -> None:
    """The order is disabled, and the guard has seen that it is."""
    assert is_passed(await scene.cancel(order_id_ex, op="DISABLE"))
    for _ in range(4):
        scene.clock.advance(s=31)
        await scene.guard.reconciler.turn()
