"""Accepted orders that no list shows, through random lives in which a person settles what he can."""

from pathlib import Path
from random import Random  # noqa: TID251 - seeded
from typing import Any, Final

import pytest

from guard.recovery.readback import recover
from guard.replay import Options, replayed
from guard.simulator.faults import Ids, Reset
from tests.support.guards import operate, record
from tests.support.stage import MODIFY, ORDER, Stage, again, ledger_of, stage
from tests.support.tracked import elsewhere, round_trip

ROOM: Final = """
[orders]
max_value = "100000000 HKD"
[budgets]
daily_value = "50000000 HKD"
open_value = "40000000 HKD"
[rates]
new_orders = "1000/60s"
"""


async def place(scene: Stage, dice: Random) -> None:
    """An order whose answer may name a stranger's id, and which may be there or not."""
    if dice.random() < 0.6:
        number = dice.randrange(10**6, 10**9)
        scene.daemon.faults.add(Ids(number, str(number), acts=dice.random() < 0.6), path=ORDER)
    remark = f"own {dice.random()}" if dice.random() < 0.6 else None
    await scene.place(time_in_force=dice.choice(["GTC", "DAY"]), qty=dice.choice([100, 200]), remark=remark)


async def touch(scene: Stage, dice: Random) -> None:
    """Something happens to a live order, or one is placed elsewhere."""
    live = [one.order_id_ex for one in scene.guard.desk.state.holders.values() if one.order_id_ex is not None]
    match dice.randrange(3):
        case 0 if live:
            scene.daemon.faults.add(Reset(acts=dice.random() < 0.5), path=MODIFY)
            await scene.modify(dice.choice(live), qty=dice.choice([100, 300]))
        case 1 if live:
            await scene.cancel(dice.choice(live))
        case _:
            await elsewhere(scene, price=200, time_in_force="GTC")


async def settle_all(scene: Stage, dice: Random) -> int:
    """A person says something of every live order; how often that was taken."""
    words: list[dict[str, Any]] = [{"verdict": "refused"}, {"verdict": "not_sent"}]
    words += [{"verdict": "accepted", "order_id_ex": name} for name in scene.daemon.orders]
    codes = [
        (await operate(scene.guard, f"/admin/decisions/{name}/settle", dice.choice(words) | {"reason": "r"}))[0]
        for name in list(scene.guard.desk.state.holders)
    ]
    assert set(codes) <= {200, 422}
    return codes.count(200)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_a_person_settles_the_record_says_the_same(tmp_path: Path, seed: int) -> None:
    """Live, read back and decided again; nothing of the guard's own fails."""
    dice, taken = Random(seed), 0
    async with stage(tmp_path, record("bot"), record("desk", owner="a person"), policies=ROOM) as scene:
        daemon, clock, config = scene.daemon, scene.clock, scene.config
    for _ in range(3):
        async with again(config, daemon=daemon, clock=clock) as scene:
            for _ in range(12):
                await dice.choice([place, place, touch])(scene, dice)
                await round_trip(scene, s=dice.choice([6, 61, 86_400]))
                taken += await settle_all(scene, dice)
            await round_trip(scene, s=6)
            assert scene.guard.supervisor.concerns() == ()
            await scene.written()
            assert ledger_of(recover(tmp_path / "state").state) == scene.ledger()
            found = replayed(tmp_path / "state", Options("2000-01-01T00:00:00Z"), now=clock.wall())
            assert (found.broken, found.replayed > 0) == ([], True)
    assert taken > 3
