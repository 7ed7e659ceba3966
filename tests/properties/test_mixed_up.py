"""Orders whose answers were given to one another (B33), through random lives and a restart: what works is held."""

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guard.recovery.readback import recover
from guard.simulator import Simulator
from guard.simulator.orders import Order, Status
from guard.terms import Reply
from tests.support.stage import ORDER, Stage, again, is_passed, ledger_of, stage
from tests.support.tracked import LIMITS, round_trip

ROOM: Final = LIMITS.replace("00000 HKD", "000000 HKD")
ACTS: Final = ("end", "fill", "fill_all", "cancel", "look", "look")


async def mixed_up(scene: Stage, chance: Any, *, remarks: list[str | None]) -> None:
    """As many orders at once, the answers to which are shuffled."""
    answers, go = list[Any](), asyncio.Event()
    whose = list(range(len(remarks)))
    chance.shuffle(whose)

    class Mixed:
        async def play(self, call: Any) -> Any:
            own = len(answers)
            answers.append(call.act())
            await go.wait()
            return answers[whose[own]]

    scene.daemon.faults.always(Mixed(), path=ORDER)
    members: list[dict[str, Any]] = [
        {"qty": 100 * number, "remark": remark, "time_in_force": chance.choice(["DAY", "GTC"])}
        for number, remark in enumerate(remarks, 1)
    ]
    asked = [asyncio.ensure_future(scene.place(**each)) for each in members]
    await scene.until_reached(times=len(remarks))
    go.set()
    assert all([is_passed(await each) for each in asked])
    scene.daemon.faults.clear()


def working(daemon: Simulator) -> list[Order]:
    """The orders that may be filled yet."""
    return [order for order in daemon.orders.values() if order.status in {Status.SUBMITTED, Status.FILLED_PART}]


def at_risk(daemon: Simulator) -> Decimal:
    """What they may cost yet, all being at 200."""
    return sum((order.qty - order.fill_qty for order in working(daemon)), Decimal(0)) * 200


async def act(scene: Stage, chance: Any) -> None:
    """One of them ends, is filled or cancelled, or the lists are read."""
    left, what = working(scene.daemon), chance.choice(ACTS)
    if what == "look" or not left:
        await round_trip(scene)
        return
    order, world, now = chance.choice(left), scene.daemon.world, scene.clock.wall()
    if what == "end":
        world.end(order, Status.CANCELLED_ALL)
    elif what == "cancel":
        await scene.cancel(order.order_id_ex)
    else:
        qty = Decimal(10) if what == "fill" else order.qty - order.fill_qty
        world.book.fill(order, qty=qty, price=Decimal(200), at=now)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chance=st.randoms(), remarks=st.lists(st.booleans(), min_size=2, max_size=4))
def test_whatever_becomes_of_them_no_less_is_held_than_works(chance: Any, remarks: list[bool]) -> None:
    """Never less, and in the end no more, also after a restart; the record says the same."""
    own = [f"r{number}" if has_own else None for number, has_own in enumerate(remarks)]
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(lives(Path(directory), chance, remarks=own))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chance=st.randoms(), remarks=st.lists(st.booleans(), min_size=2, max_size=4))
def test_they_are_told_apart_although_they_were_changed_before_a_list_showed_them(
    chance: Any, remarks: list[bool]
) -> None:
    """A change by the id of an answer reached another order than it was judged for; lists tell them apart."""
    own = [f"r{number}" if has_own else None for number, has_own in enumerate(remarks)]
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(changed_lives(Path(directory), chance, remarks=own))


async def changed_lives(directory: Path, chance: Any, *, remarks: list[str | None]) -> None:
    """Changes, a look at the lists, and whatever may happen then, changes among it."""
    async with stage(directory, policies=ROOM) as scene:
        await mixed_up(scene, chance, remarks=remarks)
        for _ in range(chance.choice([1, 2])):
            assert is_passed(await resized(scene, chance))
        await round_trip(scene)
        assert scene.held("open_value") >= at_risk(scene.daemon)
        assert [one.order_id_ex for one in scene.guard.desk.state.holders.values()] == list(scene.daemon.orders)
        for _ in range(6):
            await (resized(scene, chance) if working(scene.daemon) and chance.random() < 0.3 else act(scene, chance))
            assert scene.held("open_value") >= at_risk(scene.daemon)
        await scene.written()
        assert ledger_of(recover(scene.config.parent / "state").state) == scene.ledger()


async def resized(scene: Stage, chance: Any) -> Reply:
    """One of them is to have another quantity."""
    order = chance.choice(working(scene.daemon))
    return await scene.modify(order.order_id_ex, qty=100 * chance.randint(1, 6))


async def lives(directory: Path, chance: Any, *, remarks: list[str | None]) -> None:
    """Some of what may happen to them, a restart, and some more."""
    async with stage(directory, policies=ROOM) as scene:
        await mixed_up(scene, chance, remarks=remarks)
        for _ in range(6):
            await act(scene, chance)
            assert scene.held("open_value") >= at_risk(scene.daemon)
        daemon, clock, config = scene.daemon, scene.clock, scene.config
    async with again(config, daemon=daemon, clock=clock) as scene:
        for _ in range(4):
            await act(scene, chance)
            assert scene.held("open_value") >= at_risk(daemon)
        for _ in range(2):
            await round_trip(scene)
        assert scene.held("open_value") == at_risk(daemon)
        await scene.written()
        assert ledger_of(recover(config.parent / "state").state) == scene.ledger()
