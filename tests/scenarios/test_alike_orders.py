"""Orders like one that passed, as one sends them who wants past a limit, or whose disk is full."""

import asyncio
from pathlib import Path

from tests.support.disk import FaultyDisk
from tests.support.stage import Stage, again, code_of, is_passed, stage
from tests.support.tracked import LIMITS

DAY = LIMITS.replace("open_orders = 5\n", "").replace("500000", "100000")


async def _flood(scene: Stage, *, count: int) -> list[tuple[int, str] | None]:
    """So many orders of 20,000 HKD at once: the code of each that was refused."""
    replies = await asyncio.gather(*[scene.place(qty=100, price=200, remark=f"n{n}") for n in range(count)])
    return [None if is_passed(reply) else code_of(reply) for reply in replies]


async def test_a_crowd_of_orders_like_one_that_passed_fills_the_day_and_no_more(tmp_path: Path) -> None:
    """One of 20,000 makes them known; of thirty at once four more fit in 100,000, then not a share."""
    async with stage(tmp_path, policies=DAY) as scene:
        assert is_passed(await scene.place(qty=100, price=200))
        told = await _flood(scene, count=30)

        assert told.count(None) == 4
        assert set(told) == {None, (403, "daily_value")}
        assert code_of(await scene.place(qty=100, price=0.01)) == (403, "daily_value")
        assert scene.held() == 100_000
        assert len(scene.reached()) == 5


async def test_where_the_record_is_gone_no_order_is_sent_for_being_like_one_that_passed(tmp_path: Path) -> None:
    """The disk fills after the first: each of the others is refused, holds nothing of the day and reaches nobody."""
    disk = FaultyDisk()
    async with stage(tmp_path, policies=DAY, disk=disk) as scene:
        assert is_passed(await scene.place(qty=100, price=200))
        await scene.written()
        disk.write_bytes_left = 0
        told = await _flood(scene, count=4)

        assert set(told) == {(503, "journal_unavailable")}
        assert scene.held() == 20_000
        assert len(scene.reached()) == 1


async def test_a_record_that_ended_in_a_full_disk_begins_where_the_ledger_was(tmp_path: Path) -> None:
    """What was refused for want of a record is in neither; the day of two that passed is in both, to the last cell."""
    disk = FaultyDisk()
    async with stage(tmp_path, policies=DAY, disk=disk) as scene:
        assert is_passed(await scene.place(qty=100, price=200))
        assert is_passed(await scene.place(qty=100, price=200, time_in_force="GTC", remark="rests"))
        await scene.written()
        disk.write_bytes_left = 0
        assert set(await _flood(scene, count=3)) == {(503, "journal_unavailable")}
        was = scene.ledger()
        daemon, clock, config = scene.daemon, scene.clock, scene.config
    async with again(config, daemon=daemon, clock=clock) as scene:
        assert scene.ledger() == was
        assert (await _flood(scene, count=9)).count(None) == 3


async def test_who_waits_for_the_sweep_finds_the_mark_of_a_duplicate_till_its_very_end(tmp_path: Path) -> None:
    """Marks are let go by the second, and other orders make that happen: none goes before its own five seconds."""
    rules = DAY.replace("[budgets]", "duplicate_window_s = 5\n[budgets]")
    async with stage(tmp_path, policies=rules) as scene:
        scene.clock.advance(us=900_000)
        assert is_passed(await scene.place(qty=100, price=200))
        for price, us in ((201, 4_500_000), (202, 499_999)):
            scene.clock.advance(us=us)
            assert is_passed(await scene.place(qty=100, price=price)), "which sweeps"
            assert code_of(await scene.place(qty=100, price=200)) == (409, "duplicate_order")
        scene.clock.advance(us=1)
        assert is_passed(await scene.place(qty=100, price=200))


async def test_hours_that_hung_on_no_clock_bind_from_the_reload_on_that_gives_them_one(tmp_path: Path) -> None:
    """A shape that passed under `always` is asked again by new policies, and so is the way back."""
    always = '[instruments]\nmarkets = ["HK"]\n[orders]\nmax_value = "90000 HKD"\n[hours]\nHK = "always"\n'
    never = always.replace('"always"', "[]")
    async with stage(tmp_path, policies=always) as scene:
        for number, (policies, against) in enumerate(((always, None), (never, (403, "hours")), (always, None))):
            scene.write_policy(policies)
            await scene.guard.reload()
            for repeat in range(2):
                reply = await scene.place(remark=f"{number} {repeat}")
                assert (None if is_passed(reply) else code_of(reply)) == against
