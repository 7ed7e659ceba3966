"""A guard that has lived through many segments: a start from its last snapshot is a start from the whole record."""

from pathlib import Path
from random import Random  # noqa: TID251 - seeded
from typing import Any

import pytest

from guard.journal.segments import segment_numbers
from guard.recovery.readback import recover
from guard.recovery.snapshots import resume
from tests.support.dump import dump
from tests.support.guards import record, said
from tests.support.longlived import POLICY, SMALL, busy
from tests.support.signed import verdict
from tests.support.stage import Stage, again, decision_of, is_passed, stage


def told(state: Path, *, whole: bool) -> dict[str, Any]:
    """The ledger that a start finds, from the whole record or from the last snapshot on."""
    found = recover(state) if whole else resume(state)[0]
    return dump(found.state) | {"t": found.t_us, "policy": found.policy_sha256, "crash": found.is_crashed}


@pytest.mark.parametrize("seed", range(3))
async def test_a_start_from_a_snapshot_finds_what_the_whole_record_tells(tmp_path: Path, seed: int) -> None:
    """Through several runs, segments and snapshots; and the record verifies."""
    rng, orders, state = Random(seed), list[str](), tmp_path / "state"
    scene: Stage
    async with stage(tmp_path, record("bot"), record("other"), policies=POLICY, toml=SMALL) as scene:
        for _ in range(2):
            await busy(scene, rng, 20, orders)
            await scene.guard.keeper.round()
    for _ in range(2):
        assert resume(state)[1] is not None
        assert told(state, whole=False) == told(state, whole=True)
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            await busy(scene, rng, 20, orders)
            await scene.guard.keeper.round()

    assert len(segment_numbers(state)) > 5
    assert told(state, whole=False) == told(state, whole=True)
    assert verdict(state) == "ok"


async def test_after_its_time_the_record_goes_and_the_orders_stay(tmp_path: Path) -> None:
    """Old segments are deleted with a word; a live order from then is still known, owned, and can be cancelled."""
    state = tmp_path / "state"
    async with stage(tmp_path, record("bot"), record("other"), policies=POLICY, toml=SMALL) as scene:
        old = await scene.place(remark="old")
        order = said(old)["s2c"]["order_id_ex"]
        await busy(scene, Random(1), 40, [])
        scene.days_pass(40)
        await scene.place()
        await scene.guard.keeper.round()
    assert segment_numbers(state)[0] > 1
    assert verdict(state) == "ok"

    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert decision_of(old) in scene.guard.desk.state.holders
        assert not is_passed(await scene.cancel(order, who="other"))
        assert is_passed(await scene.cancel(order))
    assert verdict(state) == "ok"
