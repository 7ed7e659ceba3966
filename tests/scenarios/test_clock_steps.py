"""A wall clock that was wrong for a while, and right again: nothing is counted less, no record goes too early."""

from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from guard.admin.change import Who
from guard.journal.segments import segment_numbers
from tests.support.clock import ManualClock
from tests.support.guards import record
from tests.support.stage import Stage, again, code_of, is_passed, stage

DAY_S: Final = 86_400
WIDE: Final = '[orders]\nmax_value = "1000000 HKD"\n'
SMALL: Final = "[trading]\nenabled = true\n[journal]\nsegment_bytes_max = 8000\nretention_days = 30\n"


async def places(scene: Stage, many: int) -> None:
    """So many orders that are cancelled at once; the record has some segments more then."""
    state = scene.config.parent / "state"
    before = len(segment_numbers(state))
    for n in range(many):
        scene.clock.advance(s=1)
        assert is_passed(await scene.cancel(await scene.placed(remark=f"{scene.clock.wall_us()}-{n}")))
    for _ in range(3):
        scene.clock.advance(s=10)
        await scene.guard.reconciler.turn()
    assert not scene.guard.desk.state.holders
    await scene.written()
    assert len(segment_numbers(state)) > before + 1


async def asks_in_vain(scene: Stage, many: int) -> None:
    """So many refusals, a record each."""
    for _ in range(many):
        scene.clock.advance(s=1)
        assert code_of(await scene.place(qty=0)) == (400, "bad_value")


async def test_a_new_limit_counts_what_was_before_a_clock_that_was_set_back_for_a_while(tmp_path: Path) -> None:
    """Segments of a time long ago stand between two of today: those before them are of today as well."""
    async with stage(tmp_path, record("bot"), policies=WIDE, toml=SMALL) as scene:
        await places(scene, 12)
        scene.clock.step_wall(s=-20 * DAY_S)
        await asks_in_vain(scene, 40)
        scene.clock.step_wall(s=20 * DAY_S)
        await places(scene, 12)
        (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 24\n")
        change = await scene.guard.changes.policies.reload(Who("desk", "fewer"))
        assert change.result == "applied"
        assert code_of(await scene.place(remark="one too many")) == (403, "orders_per_day")


async def test_a_clock_that_jumps_ahead_ends_no_record(tmp_path: Path) -> None:
    """What is kept for years is not gone because a clock was wrong for seconds."""
    async with stage(tmp_path, record("bot"), policies=WIDE, toml=SMALL) as scene:
        await places(scene, 20)
        await scene.guard.keeper.round()
        scene.clock.step_wall(s=20 * 365 * DAY_S)
        await places(scene, 12)
        await scene.guard.keeper.round()
        assert segment_numbers(tmp_path / "state")[0] == 1


async def test_starts_under_a_clock_that_is_years_ahead_end_no_record(tmp_path: Path) -> None:
    """Neither the first nor the next, which finds that time on record already; it is told, and ends with the fault."""
    clock = ManualClock()
    async with stage(tmp_path, record("bot"), policies=WIDE, toml=SMALL, clock=clock) as scene:
        await places(scene, 20)
    late = ManualClock(clock.wall() + timedelta(days=20 * 365))
    for _ in range(3):
        with structlog.testing.capture_logs() as logs:
            async with again(scene.config, daemon=scene.daemon, clock=late) as scene:
                await places(scene, 12)
                for _ in range(2):
                    await scene.guard.keeper.round()
        assert segment_numbers(tmp_path / "state")[0] == 1
        assert [line["event"] for line in logs].count("not_pruned") == 1


async def test_once_a_clock_is_set_right_the_record_goes_in_its_time(tmp_path: Path) -> None:
    """No restart is needed, whether it was behind at the start or ahead for a while."""
    async with stage(tmp_path, record("bot"), policies=WIDE, toml=SMALL) as scene:
        await places(scene, 12)
        scene.clock.step_wall(s=20 * 365 * DAY_S)
        await asks_in_vain(scene, 20)
        scene.clock.step_wall(s=-20 * 365 * DAY_S)
        clock = ManualClock(scene.clock.wall() - timedelta(days=300))
    async with again(scene.config, daemon=scene.daemon, clock=clock) as scene:
        await places(scene, 12)
        before = segment_numbers(tmp_path / "state")[-1]
        scene.clock.step_wall(s=300 * DAY_S)
        scene.days_pass(20)
        await scene.written()
        await scene.guard.keeper.round()
        assert segment_numbers(tmp_path / "state")[0] == 1
        scene.days_pass(20)
        await scene.written()
        await scene.guard.keeper.round()
        assert segment_numbers(tmp_path / "state")[0] >= before, "those of the years to come as well"
