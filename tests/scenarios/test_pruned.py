"""A record whose beginning is pruned: limits that are new still count what is kept, and its past is decided again."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random  # noqa: TID251 - seeded
from typing import Final

import pytest

from guard.admin.change import Who
from guard.journal.segments import segment_numbers
from guard.policy import PolicyDoc, parse_policy
from guard.recovery.keeper import Keeper
from guard.replay import Options, Replay, replayed
from guard.replay.suggested import suggested
from tests.support.guards import record
from tests.support.longlived import POLICY, SMALL, busy
from tests.support.stage import Stage, again, code_of, decision_of, is_passed, stage

LONG_AGO: Final = "2020-01-01T00:00:00.000000Z"
TIGHT: Final = '[orders]\nmax_value = "1000000 HKD"\n[budgets]\nper = "policy"\nopen_orders = {}\n'


@pytest.fixture(autouse=True)
def _rounds_are_made_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper's own ones come every five seconds, whatever the scenes' clock says: a busy machine meets them."""

    async def only_when_told(_: Keeper) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Keeper, "serve", only_when_told)


@asynccontextmanager
async def pruned(directory: Path) -> AsyncIterator[Stage]:
    """One live order from before what is kept; forty steps from then are gone."""
    async with stage(directory, record("bot"), record("other"), policies=POLICY, toml=SMALL) as scene:
        await scene.place(remark="old")
        await busy(scene, Random(1), 40, [])
        scene.days_pass(40)
        await scene.place(remark="young")
        await scene.guard.keeper.round()
        assert segment_numbers(directory / "state")[0] > 1
        yield scene


def again_of(scene: Stage, docs: list[PolicyDoc] | None = None) -> Replay:
    """The whole record decided again."""
    state = scene.config.parent / "state"
    return replayed(state, Options(LONG_AGO, docs=docs), now=scene.clock.wall())


async def lives_on(scene: Stage) -> tuple[int, int]:
    """How many live orders have their decision on record, and of how many it is gone."""
    kept = {one["id"] for one in await scene.records("decision")}
    live = [holder.id in kept for holder in scene.guard.desk.state.holders.values() if holder.key]
    return live.count(True), live.count(False)


async def test_new_limits_count_what_is_kept_and_say_what_is_not(tmp_path: Path) -> None:
    """A reload is no less possible because an order is older than the record; each such order is told."""
    async with pruned(tmp_path) as scene:
        known, unknown = await lives_on(scene)
        (tmp_path / "policies/tight.toml").write_text(TIGHT.format(known + 1))
        change = await scene.guard.changes.policies.reload(Who("desk", "fewer at once"))
        assert (change.result, change.errors) == ("applied", ())
        (told,) = [warning for warning in change.warnings if "trades are not counted" in warning]
        assert int(told.split()[0]) >= unknown > 0, "some may have ended since the snapshot"
        assert is_passed(await scene.place(remark="one more"))
        assert code_of(await scene.place(remark="one too many")) == (403, "open_orders")


async def test_a_start_with_other_limits_takes_orders(tmp_path: Path) -> None:
    """What was edited while the guard was stopped is in force, and counts what is kept."""
    async with pruned(tmp_path) as scene:
        known, _ = await lives_on(scene)
    (tmp_path / "policies/tight.toml").write_text(TIGHT.format(known + 1))
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert is_passed(await scene.place(remark="one more"))
        assert code_of(await scene.place(remark="one too many")) == (403, "open_orders")


async def test_texts_that_no_kept_record_names_go_with_their_records(tmp_path: Path) -> None:
    """Those of every kept decision stay, so each can be made again; what is in force stays in any case."""
    config = tmp_path / "state/config"
    async with stage(tmp_path, record("bot"), record("other"), policies=POLICY, toml=SMALL) as scene:
        first = scene.guard.desk.config.named
        await busy(scene, Random(1), 40, [])
        (tmp_path / "policies/tight.toml").write_text(TIGHT.format(400))
        await scene.guard.changes.policies.reload(Who("desk", "other limits"))
        second = scene.guard.desk.config.named
        await busy(scene, Random(2), 10, [])
        for path in config.iterdir():
            os.utime(path, (0, 0))
        scene.days_pass(40)
        await scene.place(remark="young")
        await scene.guard.keeper.round()
        kept = {path.stem for path in config.iterdir()}
        assert kept >= set(second)
        assert not kept & (set(first) - set(second))
        assert again_of(scene).left_out["not kept"] == 0


async def test_what_is_kept_comes_out_as_it_is_on_record(tmp_path: Path) -> None:
    """From the oldest snapshot on; what is gone, and what lies before that snapshot, is told and not guessed at."""
    async with pruned(tmp_path) as scene:
        fresh = [await scene.place(remark=f"n{n}") for n in range(3)]
        await scene.written()
        found = again_of(scene)
        assert found.unlike == 0
        assert found.reproduced >= len(fresh)
        assert any("pruned" in note for note in found.notes)
        kept = [one["id"] for one in await scene.records("decision")]
        assert found.decisions == len(kept)

        tight = parse_policy('[orders]\nmax_value = "1 HKD"\n', file="tight.toml")
        assert isinstance(tight, PolicyDoc)
        other = again_of(scene, [tight])
        assert {decision_of(reply) for reply in fresh} <= {one.decision for one in other.differences}
        assert suggested(scene.config.parent / "state", since=LONG_AGO, keys=frozenset(), now=scene.clock.wall())


async def test_records_before_the_oldest_snapshot_are_counted_and_not_judged(tmp_path: Path) -> None:
    """Kept a little longer than they need be, but nobody knows any more what stood on the counters before them."""
    async with stage(tmp_path, record("bot"), record("other"), policies=POLICY, toml=SMALL) as scene:
        await busy(scene, Random(1), 40, [])
        scene.days_pass(20)
        await busy(scene, Random(2), 40, [])
        scene.days_pass(15)
        await scene.place()
        await scene.guard.keeper.round()
        found = again_of(scene)
        assert found.unlike == 0
        assert sum(count for why, count in found.left_out.items() if "snapshot" in why) > 0
        assert found.decisions == len(await scene.records("decision"))
