"""Orders that are partly filled when something else happens to them: what was paid stays paid."""

from pathlib import Path
from typing import Any, Final

import pytest

from guard.replay.past import Options, replayed
from guard.simulator.faults import HttpError, Reset, RetType
from guard.terms import LEDGER_UNIT
from tests.support.guards import record, said
from tests.support.stage import MODIFY, Stage, again, change, code_of, is_passed, stage
from tests.support.tracked import LIMITS, fill, held, holds, round_trip

TIGHT: Final = LIMITS.replace("500000", "200000")
PER_KEY: Final = '[orders]\nmax_value = "1000000 HKD"\n[budgets]\nper = "key"\ndaily_value = "500000 HKD"'
PER_ACCOUNT: Final = PER_KEY.replace('"key"', '"account"')


async def half_filled(scene: Stage, *, is_told: bool = True, **members: Any) -> str:
    """1,000 at 200, of which 500 are filled; the lists have shown it."""
    name = await scene.placed(qty=1000, **members)
    fill(scene, name, 500, "200")
    if is_told:
        await round_trip(scene)
    return name


async def test_a_cheaper_price_takes_back_nothing_that_was_paid(tmp_path: Path) -> None:
    """500 for 100,000 were paid; the rest is open at 100. It stood at 100,000 until the next list."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await half_filled(scene)
        assert is_passed(await scene.modify(name, qty=1000, price=100))
        await scene.guard.reconciler.turn()
        assert held(scene) == holds(150_000, 50_000, 500, 1)
        before = scene.ledger()
        await round_trip(scene)
        assert scene.ledger()["sums"] == before["sums"]


async def test_what_was_paid_stands_against_a_larger_order(tmp_path: Path) -> None:
    """100,000 paid and 1,400 more at 100 are 240,000, above 200,000: it was let through as 1,900 at 100."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        name = await half_filled(scene)
        refused = await scene.modify(name, qty=1900, price=100)
        assert code_of(refused) == (403, "daily_value")
        told = said(refused)["guard"]
        assert is_passed(await scene.modify(name, qty=int(told["largest_qty"]), price=200))
        await round_trip(scene)
        assert scene.held() <= 200_000


@pytest.mark.parametrize("tif", ["DAY", "GTC"])
async def test_a_dearer_price_is_asked_of_the_rest_alone(tmp_path: Path, tif: str) -> None:
    """What is filled is not filled again: 500 paid at 200 and 100 open at 250 fit where 600 at 250 would not."""
    async with stage(tmp_path, policies=LIMITS.replace("500000", "170000").replace("400000", "130000")) as scene:
        name = await scene.placed(qty=600, time_in_force=tif)
        fill(scene, name, 500, "200")
        await round_trip(scene)
        await scene.placed(qty=200)
        assert is_passed(await scene.modify(name, qty=600, price=250))
        assert held(scene) == holds(165_000, 65_000, 300, 2, per_day=2)
        await round_trip(scene)
        assert held(scene) == holds(165_000, 65_000, 300, 2, per_day=2)


async def test_a_fill_that_nobody_told_of_is_not_made_cheaper(tmp_path: Path) -> None:
    """It filled at 200 while its price became 10: its money is held until a list has shown it, and counted then."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        name = await half_filled(scene, is_told=False)
        scene.daemon.faults.add(HttpError(500), path="/api/orders", times=9)
        assert is_passed(await scene.modify(name, qty=1000, price=10))
        await round_trip(scene)
        assert scene.held() == 200_000
        scene.daemon.faults.clear()
        await round_trip(scene)
        assert scene.held() == 105_000


async def test_what_was_paid_is_known_after_a_restart(tmp_path: Path) -> None:
    """Read back from the record, an order is changed with what was paid for it."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        name = await half_filled(scene)
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before
        assert code_of(await scene.modify(name, qty=1900, price=100)) == (403, "daily_value")


@pytest.mark.parametrize("is_new", [False, True])
async def test_fills_are_counted_by_every_budget_of_a_day_whenever_that_begins(tmp_path: Path, *, is_new: bool) -> None:
    """The key's own budget and a policy's with a reset: 100,000 of each is spent, also where one comes later."""
    own = '[budgets]\nper = "key"\ndaily_value = "210000 HKD"\nresets = "00:00 UTC"\n'
    policies = {"desk.toml": PER_KEY} | ({} if is_new else {"own.toml": own})
    async with stage(tmp_path, record("bot"), record("desk", owner="Ada"), policies=policies) as scene:
        name = await half_filled(scene, time_in_force="GTC")
        if is_new:
            (tmp_path / "policies/own.toml").write_text(own)
            await scene.guard.reload()
        assert is_passed(await scene.cancel(name))
        await round_trip(scene)
        assert set(scene.ledger()["sums"].values()) == {100_000 * LEDGER_UNIT}
        assert len(scene.ledger()["sums"]) == 2
        refused = said(await scene.place(qty=600, price=200))["guard"]["reasons"][0]
        assert (refused["policy"], refused["observed"]) == ("own", "220000")


async def test_an_order_that_vanished_is_not_charged_for_ever(tmp_path: Path) -> None:
    """What a good-till-cancelled order held counts as filled the day that it was lost, and no longer."""
    async with stage(tmp_path, policies=LIMITS) as scene:
        name = await half_filled(scene, time_in_force="GTC")
        del scene.daemon.orders[name]
        for _ in range(6):
            await round_trip(scene, s=31)
        assert held(scene) == holds(200_000, 0, 0, 0)
        assert not [cell for cell in scene.guard.desk.state.sums if "gtc" in cell]


async def test_a_change_under_other_policies_moves_what_the_order_stood_on_at_once(tmp_path: Path) -> None:
    """Larger or cheaper: counters that no policy has now are right again in the step of the change."""
    async with stage(tmp_path, record("bot"), record("desk", owner="Ada"), policies=PER_KEY) as scene:
        more, cheaper = await scene.placed(qty=100), await scene.placed(qty=100)
        (tmp_path / "policies/desk.toml").write_text(PER_ACCOUNT)
        await scene.guard.reload()
        assert is_passed(await scene.modify(more, qty=300))
        assert is_passed(await scene.modify(cheaper, price=100))
        per_key = {name: amount for name, amount in scene.ledger()["sums"].items() if "daily_value/key=" in name}
        assert set(per_key.values()) <= {80_000 * LEDGER_UNIT, 70_000 * LEDGER_UNIT}
        await round_trip(scene)
        (tmp_path / "policies/desk.toml").write_text(PER_KEY)
        await scene.guard.reload()
        per_key = {name: amount for name, amount in scene.ledger()["sums"].items() if "daily_value/key=" in name}
        assert list(per_key.values()) == [70_000 * LEDGER_UNIT]


async def test_a_refused_change_leaves_other_counters_as_they_were(tmp_path: Path) -> None:
    """What went with a change goes back with it."""
    async with stage(tmp_path, policies=PER_KEY) as scene:
        name = await scene.placed(qty=100)
        (tmp_path / "policies/desk.toml").write_text(PER_ACCOUNT)
        await scene.guard.reload()
        before = scene.ledger()["sums"]
        scene.daemon.faults.add(RetType(-1), path=MODIFY)
        _ = await scene.ask(MODIFY, change(name, qty=300))
        assert scene.ledger()["sums"] == before


async def test_a_change_in_doubt_counts_where_the_order_stood_before(tmp_path: Path) -> None:
    """While nobody knows whether it became larger, counters that come back hold it as if it had."""
    async with stage(tmp_path, policies=PER_KEY) as scene:
        name = await scene.placed(qty=100)
        (tmp_path / "policies/desk.toml").write_text(PER_ACCOUNT)
        await scene.guard.reload()
        scene.daemon.faults.add(Reset(acts=False), path=MODIFY)
        assert (await scene.modify(name, qty=300)).status == 504
        (tmp_path / "policies/desk.toml").write_text(PER_KEY)
        await scene.guard.reload()
        sums = {cell: amount for cell, amount in scene.ledger()["sums"].items() if "daily_value/" in cell}
        assert list(sums.values()) == [60_000 * LEDGER_UNIT] * 2


async def test_changes_of_partly_filled_orders_are_reproduced(tmp_path: Path) -> None:
    """Judged again from the record they come out the same, refused and allowed ones, also under other policies."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        name = await half_filled(scene)
        for qty, price in ((1900, 100), (1000, 100), (1000, 90)):
            _ = await scene.modify(name, qty=qty, price=price)
        (tmp_path / "policies/desk.toml").write_text(PER_ACCOUNT)
        await scene.guard.reload()
        assert is_passed(await scene.modify(name, qty=1200, price=95))
        await scene.written()
        told = replayed(tmp_path / "state", Options("2020-01-01T00:00:00Z"), now=scene.clock.wall())
        assert (told.replayed, told.reproduced) == (5, 5)


async def test_a_shadow_counts_what_was_paid_too(tmp_path: Path) -> None:
    """A shadow's counters follow a change as those in force do."""
    files = {"desk.toml": LIMITS, "watch.toml": '[policy]\nmode = "shadow"\n' + LIMITS.replace("500000", "150000")}
    async with stage(tmp_path, policies=files) as scene:
        name = await half_filled(scene)
        assert is_passed(await scene.modify(name, qty=1000, price=100))
        await scene.guard.reconciler.turn()
        sums = scene.ledger()["sums"]
        daily = [amount for cell, amount in sums.items() if cell.startswith("daily_value/")]
        assert daily == [150_000 * LEDGER_UNIT] * 2
