"""Lists of the daemon that lag, contradict each other or come from another clock: nothing is freed by them."""

from decimal import Decimal
from pathlib import Path

import pytest

from guard.admin.change import Who
from guard.admin.health import degraded
from guard.simulator import Simulator
from guard.simulator.faults import Reset
from guard.simulator.orders import Status
from tests.support.clock import ManualClock
from tests.support.stage import ORDER, code_of, stage
from tests.support.tracked import LIMITS, at_daemon, fill, held, holds, round_trip


@pytest.mark.parametrize("tif", ["DAY", "GTC"])
@pytest.mark.parametrize("status", [Status.CANCELLED_ALL, Status.CANCELLED_PART, Status.FAILED])
async def test_an_end_that_forgets_fills_frees_nothing_that_was_paid(tmp_path: Path, status: Status, tif: str) -> None:
    """A list showed 200 filled; one that shows the end with none, or less, is behind in that."""
    async with stage(tmp_path, policies=LIMITS) as s:
        name = await s.placed(qty=300, time_in_force=tif)
        fill(s, name, 200, "199")
        await round_trip(s)
        order = at_daemon(s, name)
        order.status = status
        order.fill_qty = Decimal(0)
        await round_trip(s)

        assert s.ledger()["holders"] == {}
        assert held(s) == holds(39_800, 0, 0, 0)


@pytest.mark.parametrize("remark", ["mine", None])
@pytest.mark.parametrize("ahead_s", [11, 600])
async def test_an_order_in_doubt_is_not_freed_by_a_clock_that_is_ahead(
    tmp_path: Path, remark: str | None, ahead_s: int
) -> None:
    """The broker's list says that it was made before it was sent: so one of the clocks is wrong, and nothing absent."""
    clock, brokers = ManualClock(), ManualClock()
    clock.step_wall(s=ahead_s)
    daemon = Simulator(clock=brokers)
    async with stage(tmp_path, policies=LIMITS, clock=clock, daemon=daemon) as s:
        daemon.faults.add(Reset(acts=True), path=ORDER)
        assert code_of(await s.place(qty=300, remark=remark)) == (504, "outcome_unknown")
        for _ in range(6):
            await s.guard.reconciler.turn()
            clock.advance(s=31)
            brokers.advance(s=31)
        assert held(s) == holds(60_000, 60_000, 300, 1)


@pytest.mark.parametrize("resets", ["", 'resets = "00:00 UTC"'])
async def test_a_fill_of_yesterday_that_is_learned_today_is_not_counted_anew_by_a_reload(
    tmp_path: Path, resets: str
) -> None:
    """A limit that is new is counted from the record; what stood on the others' days stays there, and is all of it."""
    kept = LIMITS.replace("[budgets]", f"[budgets]\n{resets}")
    new = '[orders]\nmax_value = "1000000 HKD"\n[budgets]\nper = "policy"\ndaily_value = "90000 HKD"\n' + resets
    async with stage(tmp_path, policies={"desk.toml": kept}) as s:
        name = await s.placed(qty=300, time_in_force="GTC")
        await round_trip(s)
        fill(s, name, 300, "199")
        s.clock.advance(s=86_400)
        await round_trip(s)
        before = s.ledger()["sums"]
        assert held(s)["daily_value"] == 59_700

        (tmp_path / "policies/new.toml").write_text(new)
        assert (await s.guard.changes.policies.reload(Who(reason="test"))).result == "applied"
        after = s.ledger()["sums"]
        assert {cell: amount for cell, amount in after.items() if "policy=new" not in cell} == before
        assert sum(n for cell, n in after.items() if cell.startswith("daily_value/policy=new")) == 597_000_000


async def test_a_list_that_can_never_be_read_is_told_until_it_can(tmp_path: Path) -> None:
    """Nothing is freed by it, and budgets fill up: whoever operates the guard has to know why."""
    async with stage(tmp_path, policies=LIMITS) as s:
        order = at_daemon(s, await s.placed(qty=300))
        stamp, order.remark = order.remark, "x" * 1_000
        for _ in range(12):
            await round_trip(s, s=10)
        (told,) = [word for word in degraded(s.guard.desk) if word.startswith("orders:")]
        assert "simulate:123456" in told
        assert held(s) == holds(60_000, 60_000, 300, 1)

        order.remark = stamp
        await round_trip(s, s=10)
        assert not [word for word in degraded(s.guard.desk) if word.startswith("orders:")]
