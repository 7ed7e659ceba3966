"""What a pass over an order list takes: counted in calls, so that a large book is no pause of the loop."""

import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from types import FrameType

import pytest

import guard
from guard.simulator.faults import Ids, Reset
from guard.simulator.instruments import LISTED
from tests.support.stage import ORDER, Stage, code_of, is_passed, stage

GUARD = str(Path(guard.__file__).parent)
POLICY = '[orders]\nmax_value = "1000000 HKD"\n[rates]\nnew_orders = "1000/60s"\n'
ROWS = 40


async def calls_of_a_turn(scene: Stage, *, s: int) -> Counter[str]:
    """How often each function of the guard's is called on this thread by one round of reading the lists."""
    await scene.guard.reconciler.turn()
    scene.clock.advance(s=s)
    counted = Counter[str]()

    def seen(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(GUARD):
            counted[frame.f_code.co_name] += 1

    sys.setprofile(seen)
    try:
        await scene.guard.reconciler.turn()
    finally:
        sys.setprofile(None)
    return counted


async def test_one_order_in_doubt_does_not_have_every_like_order_read(tmp_path: Path) -> None:
    """Theirs are known by their stamps; to read an order's body takes 0.1 ms, and a list may have thousands."""
    async with stage(tmp_path, policies=POLICY) as scene:
        for _ in range(ROWS):
            await scene.placed()
        scene.daemon.faults.add(Reset(acts=False), path=ORDER)
        assert code_of(await scene.place()) == (504, "outcome_unknown")
        counted = await calls_of_a_turn(scene, s=2)
        assert counted["read_orders"]
        assert counted["order_of"] < 5


async def test_answers_that_all_told_ids_of_nobodys_take_no_square_of_them(tmp_path: Path) -> None:
    """Each is looked for in the list a few times, however many there are, and gets its own."""
    async with stage(tmp_path, policies=POLICY) as scene:
        for number in range(ROWS):
            scene.daemon.faults.add(Ids(7_000 + number, f"N{number}", acts=True), path=ORDER)
            assert is_passed(await scene.place())
        counted = await calls_of_a_turn(scene, s=6)
        names = {holder.order_id_ex for holder in scene.guard.desk.state.holders.values()}
        assert names == set(scene.daemon.orders)
        assert counted["find_order"] < 12 * ROWS


@pytest.mark.parametrize("is_renamed", [False, True])
async def test_a_daemon_that_writes_remarks_or_symbols_otherwise_has_no_row_compared_with_all(
    tmp_path: Path, *, is_renamed: bool
) -> None:
    """Rows that nobody's remark or symbol is on cannot have been exchanged; they go by their ids."""
    async with stage(tmp_path, policies=POLICY) as scene:
        for number in range(ROWS):
            await scene.placed(price=200 + number / 10)
        for order in scene.daemon.orders.values():
            order.remark = None if is_renamed else "cut sho"
            order.instrument = LISTED["HK.09988"] if is_renamed else order.instrument
        counted = await calls_of_a_turn(scene, s=6)
        assert counted["read_orders"]
        assert counted["is_another"] < ROWS
        name = next(iter(scene.daemon.orders))
        scene.daemon.world.book.fill(
            scene.daemon.orders[name], qty=Decimal(100), price=Decimal(200), at=scene.clock.wall()
        )
        await calls_of_a_turn(scene, s=6)
        assert len(scene.guard.desk.state.holders) == ROWS - 1
