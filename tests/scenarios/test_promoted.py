"""A policy that is promoted goes on from what its shadow counted, as if it had been enforced all along."""

from pathlib import Path
from typing import Any, Final

import pytest

from guard.admin.change import ChangeResult, Who
from tests.support.stage import Stage, again, code_of, is_passed, stage
from tests.support.story import DESK, PEOPLE, live

WIDE: Final = '[orders]\nmax_value = ["60000 HKD", "9000 USD"]\n'
ROOMY: Final = """
[policy]
mode = "{mode}"
[orders]
per_day = 100000
[budgets]
per = "account"
daily_value = ["900000000 HKD", "900000000 USD"]
open_orders = 100000
open_value = ["900000000 HKD", "900000000 USD"]
[rates]
per = "account"
new_orders = "100000/60s"
changes = "100000/60s"
"""

pytestmark = pytest.mark.usefixtures("lists_when_told")


def plain(scene: Stage) -> dict[str, Any]:
    """The ledger without shadows: sums, what is spent, windows, and what each order holds."""
    found = scene.ledger()
    held = [
        sorted((cell, *part) for cell, part in holder["holds"].items() if "/shadow:" not in cell)
        for holder in found["holders"].values()
    ]
    cells = {name: {c: v for c, v in found[name].items() if "/shadow:" not in c} for name in ("sums", "spent", "logs")}
    return cells | {"holders": sorted(held)}


async def promote(scene: Stage, text: str, name: str = "roomy.toml") -> ChangeResult:
    """The policy's file says enforce from now on."""
    scene.write_policy(text.format(mode="enforce"), name)
    return await scene.guard.changes.policies.reload(Who("desk", "watched long enough"))


@pytest.mark.parametrize("seed", range(2))
async def test_promoted_counters_are_those_of_a_policy_that_was_always_enforced(tmp_path: Path, seed: int) -> None:
    """The same day, enforced from the start and promoted in the middle of it: one ledger, live and after a restart."""
    ledgers = []
    for name, mode in (("always", "enforce"), ("promoted", "shadow")):
        (tmp_path / name).mkdir()
        policies = {"desk.toml": DESK, "roomy.toml": ROOMY.format(mode=mode)}
        async with stage(tmp_path / name, *PEOPLE, policies=policies) as scene:
            await live(scene, turns=25, seed=seed)
            if mode == "shadow":
                change = await promote(scene, ROOMY)
                assert change.result == "applied"
                assert set(change.counters) >= {"daily_value", "open_orders", "new_orders"}
            await live(scene, turns=25, seed=seed + 100)
            ledgers.append(plain(scene))
            whole = scene.ledger()
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            assert scene.ledger() == whole
    assert ledgers[0] == ledgers[1]


async def test_a_promoted_budget_counts_what_went_before(tmp_path: Path) -> None:
    """Two orders of the morning are on the budget that is enforced from noon on; a rate sees the last minute."""
    tight = '[policy]\nmode = "{mode}"\n[budgets]\ndaily_value = "50000 HKD"\n'
    async with stage(
        tmp_path, *PEOPLE, policies={"desk.toml": WIDE, "tight.toml": tight.format(mode="shadow")}
    ) as scene:
        for turn in range(2):
            assert is_passed(await scene.place(price=200, remark=str(turn)))
        assert (await promote(scene, tight, "tight.toml")).counters == ("daily_value",)
        assert code_of(await scene.place(price=200, remark="3")) == (403, "daily_value")
