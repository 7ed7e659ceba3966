"""A guard that lives through many segments: small ones, roomy limits, and one busy caller."""

from random import Random  # noqa: TID251 - seeded
from typing import Final

from guard.simulator.faults import RetType
from tests.support.guards import said
from tests.support.stage import Stage

SMALL: Final = "[trading]\nenabled = true\n[journal]\nsegment_bytes_max = 30000\nretention_days = 30\n"
POLICY: Final = """
[orders]
max_value = "1000000 HKD"
per_day = 600
[budgets]
daily_value = "90000000 HKD"
[rates]
new_orders = "500/60s"
changes = "500/60s"
"""


async def busy(scene: Stage, rng: Random, steps: int, orders: list[str]) -> None:
    """Orders, changes, cancels and faults of the daemon's, in any order."""
    for _ in range(steps):
        if rng.random() < 0.2:
            scene.daemon.faults.add(RetType(rng.choice([-1, -100]), acts=rng.random() < 0.5))
        who, key = rng.choice(["bot", "other"]), rng.choice([None, f"k{rng.randrange(30)}"])
        if not orders or rng.random() < 0.5:
            reply = await scene.place(who=who, key=key, qty=rng.choice([100, 200]), remark=f"n{rng.random()}")
            if reply.status == 200 and said(reply)["ret_type"] == 0:
                orders.append(said(reply)["s2c"]["order_id_ex"])
        elif rng.random() < 0.7:
            await scene.modify(rng.choice(orders), who=who, key=key, price=rng.choice([150, 210]))
        else:
            await scene.cancel(rng.choice(orders), who=who)
        scene.clock.advance(us=rng.choice([1, 999, 5_000_000]))
