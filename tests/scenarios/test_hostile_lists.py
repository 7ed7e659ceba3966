"""Lists of the daemon that lag, contradict each other or come from another clock: nothing is freed by them."""

from decimal import Decimal
from pathlib import Path

import pytest

from guard.simulator import Simulator
from guard.simulator.faults import Reset
from guard.simulator.orders import Status
from tests.scenarios.test_tracking import LIMITS, at_daemon, fill, held, holds, round_trip
from tests.support.clock import ManualClock
from tests.support.stage import ORDER, code_of, stage


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
