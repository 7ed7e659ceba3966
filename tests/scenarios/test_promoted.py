"""A policy that is promoted goes on from what its shadow counted, as if it had been enforced all along."""

from pathlib import Path

import pytest

from guard.admin.change import ChangeResult, Who
from tests.support.stage import Stage, again, code_of, is_passed, stage
from tests.support.story import DESK, PEOPLE, ROOMY, WIDE, live, plain

pytestmark = pytest.mark.usefixtures("lists_when_told")


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
