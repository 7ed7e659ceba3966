"""A disabled order takes no room, and comes back as a new order would come (W05)."""

from pathlib import Path
from typing import Final

import pytest

from guard.simulator.faults import Fault, HttpError, RetType, Unreachable
from guard.simulator.orders import Status
from tests.support.guards import codes
from tests.support.stage import MODIFY, again, code_of, is_passed, stage
from tests.support.tracked import ENABLE, at_daemon, rested

LOOSE: Final = """
[orders]
max_value = "20000 HKD"
duplicate_window_s = 600
per_day = 50
[rates]
new_orders = "50/60s"
"""


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ('max_value = "19999 HKD"', (403, "max_order_value")),
        ('max_value = "20000 HKD"\nsides = ["SELL"]', (403, "side")),
        ('max_value = "20000 HKD"\nper_day = 1', (403, "orders_per_day")),
        ('max_value = "20000 HKD"\n[rates]\nnew_orders = "1/600s"', (429, "rate")),
        ('max_value = "20000 HKD"\n[hours]\nHK = ["03:00-03:01"]\n[instruments]\nmarkets = ["HK"]', (403, "hours")),
        ('max_value = "20000 HKD"\nduplicate_window_s = 600', (409, "duplicate_order")),
    ],
)
async def test_w05_enabling_is_judged_and_counted_as_a_new_order(
    tmp_path: Path, limit: str, told: tuple[int, str]
) -> None:
    """An order that was put aside comes back only if the same order would be let through now as another one."""
    async with stage(tmp_path, policies=LOOSE) as scene:
        mine = await scene.placed()
        await rested(scene, mine)
        (tmp_path / "policies/desk.toml").write_text(f"[orders]\n{limit}")
        await scene.guard.reload()
        assert code_of(await scene.modify(mine, **ENABLE)) == told
        assert [sent.json["c2s"]["modify_order_op"] for sent in scene.reached(MODIFY)] == [3]


BACK: Final = """
[orders]
max_value = "100000 HKD"
per_day = 3
[budgets]
daily_value = "30000 HKD"
open_value = "30000 HKD"
open_orders = 1
[rates]
changes = "0/60s"
"""


async def test_w05_a_disabled_order_leaves_room_and_needs_it_again(tmp_path: Path) -> None:
    """What rests takes no room from others; when it comes back there must be room, and it is one more of the day."""
    async with stage(tmp_path, policies=BACK) as scene:
        first = await scene.placed()
        assert code_of(await scene.place(remark="2"))[1] in {"open_orders", "daily_value"}
        await rested(scene, first)
        assert scene.held() == scene.held("open_value") == scene.sums("open_orders") == 0
        second = await scene.placed(remark="2")
        refused = await scene.modify(first, **ENABLE)
        assert code_of(refused) == (403, "daily_value")
        assert {"open_orders", "open_value"} <= set(codes(refused))
        await rested(scene, second)
        reply = await scene.modify(first, **ENABLE)
        assert is_passed(reply)
        record = await scene.decision(reply)
        assert (record["effect"], record["anew"]) == ("order_change", True)
        assert scene.held() == scene.held("open_value") == 20_000
        assert (scene.sums("open_orders"), scene.sums("orders_per_day")) == (1, 3)
        await rested(scene, first)
        assert code_of(await scene.modify(second, **ENABLE)) == (403, "orders_per_day")
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == before


async def test_a_disabled_order_takes_no_room_after_a_start_either(tmp_path: Path) -> None:
    """That it rests is on record: the first list that shows it so again changes nothing."""
    async with stage(tmp_path, policies=BACK) as scene:
        first = await scene.placed()
        await rested(scene, first)
        assert scene.held() == scene.held("open_value") == scene.sums("open_orders") == 0
        before = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        asked = len(scene.reached("/api/orders"))
        await scene.guard.reconciler.turn()
        scene.clock.advance(s=6)
        await scene.guard.reconciler.turn()
        assert len(scene.reached("/api/orders")) > asked
        assert scene.ledger() == before
        assert is_passed(await scene.modify(first, **ENABLE))
        assert scene.held() == scene.held("open_value") == 20_000


@pytest.mark.parametrize(("fault", "back"), [(RetType(-1), 0), (HttpError(500), 20_000), (Unreachable(), 0)])
async def test_w05_what_an_enable_claims_is_settled_like_an_order(tmp_path: Path, fault: Fault, back: int) -> None:
    """Refused or never sent: nothing is held; unknown: all of it, until a list shows what became of it."""
    async with stage(tmp_path, policies=BACK) as scene:
        mine = await scene.placed()
        await rested(scene, mine)
        scene.daemon.faults.add(fault, path=MODIFY)
        assert not is_passed(await scene.modify(mine, **ENABLE))
        assert scene.held() == scene.held("open_value") == back
        assert scene.sums("orders_per_day") == (2 if back else 1)
        for _ in range(4):
            scene.clock.advance(s=31)
            await scene.guard.reconciler.turn()
        assert scene.held() == scene.held("open_value") == 0
        assert scene.sums("orders_per_day") == 1


async def test_an_order_that_rests_goes_on_resting_when_a_reload_brings_a_counter(tmp_path: Path) -> None:
    """It took up again, for a minute, all that it would hold if it worked: an exit of the position among it."""
    async with stage(tmp_path, policies=BACK) as scene:
        await rested(scene, await scene.placed())
        assert scene.held() == scene.held("open_value") == scene.sums("open_orders") == scene.sums("exits") == 0
        (tmp_path / "policies/more.toml").write_text('[budgets]\nper = "account"\nopen_value = "40000 HKD"\n')
        await scene.guard.reload()
        scene.clock.advance(s=6)
        await scene.guard.reconciler.turn()
        assert scene.held() == scene.held("open_value") == scene.sums("open_orders") == scene.sums("exits") == 0


async def test_an_order_that_was_at_work_meanwhile_rests_from_its_new_beginning(tmp_path: Path) -> None:
    """Enabled and put aside again elsewhere: what the first rest lasted frees nothing; lists lag."""
    async with stage(tmp_path, policies=BACK) as scene:
        mine = await scene.placed()
        await rested(scene, mine)
        assert scene.held("open_value") == 0
        for status in (Status.SUBMITTED, Status.DISABLED):
            at_daemon(scene, mine).status = status
            scene.clock.advance(s=6)
            await scene.guard.reconciler.turn()
            assert scene.held("open_value") == 20_000
        for _ in range(2):
            scene.clock.advance(s=31)
            await scene.guard.reconciler.turn()
        assert scene.held("open_value") == 0
