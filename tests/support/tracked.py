"""Orders after they were answered: how they fill at the daemon, and what then should stand on the counters."""

from decimal import Decimal
from typing import Any, Final

from guard.simulator.orders import Order
from tests.support.stage import Stage

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
