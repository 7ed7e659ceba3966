"""New limits over a large book: counters come in slices and parts, with orders going on in between, and all at once."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guard.admin import recount
from guard.admin.change import Who
from guard.admin.recount import Recount
from guard.errors import JournalFault
from guard.journal import plain as bounded
from guard.journal import recordend
from guard.limits import grafting, staging
from guard.recovery import beginning
from guard.replay import counted
from guard.tracking import Reconciler
from tests.support.guards import record
from tests.support.stage import Stage, again, is_passed, stage
from tests.support.story import DESK, PEOPLE, ROOMY, WIDE, live, plain

NEW = ROOMY.format(mode="enforce")


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two orders a record, one a slice; and lists are asked for when a test says so."""

    async def only_when_told(_: Reconciler) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Reconciler, "run", only_when_told)
    monkeypatch.setattr(staging, "ORDERS_MAX", 1)
    monkeypatch.setattr(recount, "PART_ORDERS", 2)
    monkeypatch.setattr(beginning, "PART_ORDERS", 2)


async def reloaded(scene: Stage, text: str = NEW) -> Any:
    """One policy more."""
    scene.write_policy(text, "roomy.toml")
    return await scene.guard.changes.policies.reload(Who("desk", "from now on"))


@pytest.mark.parametrize("seed", range(2))
async def test_counters_in_parts_are_those_of_policies_that_were_always_in_force(tmp_path: Path, seed: int) -> None:
    """One ledger, live and after a restart, though the record of the change holds the last part only."""
    ledgers = []
    for name in ("always", "later"):
        (tmp_path / name).mkdir()
        policies = {"desk.toml": DESK} | ({"roomy.toml": NEW} if name == "always" else {})
        async with stage(tmp_path / name, *PEOPLE, policies=policies) as scene:
            await live(scene, turns=40, seed=seed)
            if name == "later":
                assert (await reloaded(scene)).result == "applied"
                parts = await scene.records("counters")
                assert parts
                assert {part["batch"] for part in parts} == {(await scene.records("policy"))[-1]["batch"]}
            await live(scene, turns=20, seed=seed + 100)
            ledgers.append(plain(scene))
            whole = scene.ledger()
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            assert scene.ledger() == whole
    assert ledgers[0] == ledgers[1]


async def test_orders_that_come_between_slices_are_counted_once(tmp_path: Path) -> None:
    """Orders are placed and cancelled all the while; each that is live is on the new counter, live and on record."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        mine = [await scene.placed(price=200, remark=str(n)) for n in range(12)]
        reload = asyncio.ensure_future(reloaded(scene, "[budgets]\nopen_orders = 1000\n"))
        while not reload.done():
            mine.append(await scene.placed(price=200, remark=str(len(mine))))
            assert is_passed(await scene.cancel(mine.pop(0)))
            await asyncio.sleep(0.01)
        assert (await reload).result == "applied"
        assert len(await scene.records("counters")) > 3
        scene.clock.advance(s=61)
        await scene.guard.reconciler.turn()
        assert scene.sums("open_orders") == len(scene.guard.desk.state.holders)
        await scene.written()
        whole = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole


async def test_parts_of_a_change_that_failed_move_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parts are on record and the change is not: the ledger is that of before, here, at a start, and afterwards."""
    caught_up: Callable[[Recount], Any] = Recount.caught_up

    def broken(_: Recount) -> None:
        raise JournalFault("no more")

    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        for n in range(7):
            await scene.placed(price=200, remark=str(n))
        before = scene.ledger()
        monkeypatch.setattr(Recount, "caught_up", broken)
        assert (await reloaded(scene)).result == "unrecorded"
        assert len(await scene.records("counters")) > 1
        assert scene.ledger() == before
        monkeypatch.setattr(Recount, "caught_up", caught_up)
        assert (await reloaded(scene, "[budgets]\nopen_orders = 1000\n")).result == "applied"
        assert scene.sums("open_orders") == 7
        assert scene.sums("daily_value") == 0
        whole = scene.ledger()
    scene.write_policy("[budgets]\nopen_orders = 1000\n", "roomy.toml")
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole


async def test_a_start_tells_new_counters_in_parts_too(tmp_path: Path) -> None:
    """A policy that was added while no guard ran, over a book that would not fit one record."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        for n in range(5):
            await scene.placed(price=200, remark=str(n))
    scene.write_policy("[budgets]\nopen_orders = 1000\n", "roomy.toml")
    ledgers = []
    for _ in range(2):
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            assert scene.sums("open_orders") == 5
            ledgers.append(scene.ledger())
    assert ledgers[0] == ledgers[1]
    assert len(await scene.records("counters")) == 2


async def test_what_a_start_was_cut_short_in_telling_is_told_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, or without power, wherever among its first records: no limit begins at zero."""
    monkeypatch.setattr(grafting, "PIECE_STAMPS", 2)
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        for n in range(5):
            await scene.placed(remark=str(n))
    new = '[rates]\nper = "key"\nnew_orders = "100000/3600s"\n[budgets]\nopen_orders = 1000\n'
    scene.write_policy(new, "roomy.toml")
    state, before = tmp_path / "state", tmp_path / "before"
    shutil.copytree(state, before)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        whole = scene.ledger()
    lines = (state / "journal/00000001.jsonl").read_bytes().splitlines(keepends=True)
    begun = len((before / "journal/00000001.jsonl").read_bytes().splitlines())
    assert len(lines) > begun + 4, "a start, some parts, the policies"
    for end in range(begun, len(lines)):
        shutil.rmtree(state)
        shutil.copytree(before, state)
        (state / "journal/00000001.jsonl").write_bytes(b"".join(lines[:end]))
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            assert (scene.sums("open_orders"), scene.stamps("new_orders")) == (5, 5)
            assert scene.ledger() == whole
    monkeypatch.setattr(counted, "counted", None)  # what was told whole is not counted again
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole


async def test_a_start_tells_stamps_of_a_new_rate_in_parts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate that was added while no guard ran, over keys whose stamps would not fit one record."""
    monkeypatch.setattr(beginning, "PART_STAMPS", 2)
    people = [f"bot-{n}" for n in range(5)]
    async with stage(tmp_path, *map(record, people), policies={"desk.toml": WIDE}) as scene:
        for who in people:
            await scene.placed(who=who, remark=who)
    scene.write_policy('[rates]\nper = "key"\nnew_orders = "100000/3600s"\n', "roomy.toml")
    ledgers = []
    for _ in range(2):
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            ledgers.append(scene.ledger())
    assert ledgers[0] == ledgers[1]
    assert {f"new_orders/key={who}" for who in people} <= ledgers[0]["logs"].keys()
    assert [len(part["targets"]["logs"]) for part in await scene.records("counters")] == [2, 2]


@pytest.mark.parametrize("is_start", [True, False])
async def test_a_log_longer_than_a_record_takes_is_told_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_start: bool
) -> None:
    """A new rate over one key with many orders in its window: no start and no reload is refused for their number."""
    monkeypatch.setattr(grafting, "PIECE_STAMPS", 100)
    text, count = '[rates]\nper = "key"\nnew_orders = "100000/3600s"\n', 450
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        for n in range(count):
            await scene.placed(remark=str(n), qty=100 + 100 * (n % 2))
        await scene.written()
        monkeypatch.setattr(recordend, "LINE_BYTES_MAX", 6_000)
        monkeypatch.setattr(recount, "TARGETS_BYTES_MAX", 5_000)
        if not is_start:
            assert (await reloaded(scene, text)).result == "applied"
            assert scene.stamps("new_orders") == count
    scene.write_policy(text, "roomy.toml")
    ledgers = []
    for _ in range(2):
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            assert scene.stamps("new_orders") == count
            ledgers.append(scene.ledger())
    assert ledgers[0] == ledgers[1]


async def test_a_long_log_that_goes_on_is_told_in_pieces_with_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was told of it before the step is told anew with it, piece by piece: none twice, and none left out."""
    monkeypatch.setattr(grafting, "PIECE_STAMPS", 2)
    monkeypatch.setattr(staging, "AGAIN_MAX", 1)
    monkeypatch.setattr(recount, "PART_STAMPS", 1)
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        count = 9
        for n in range(count):
            await scene.placed(remark=str(n))
        reload = asyncio.ensure_future(reloaded(scene, '[rates]\nper = "key"\nnew_orders = "100000/3600s"\n'))
        while not reload.done():
            await scene.placed(remark=f"{count}")
            count += 1
            await asyncio.sleep(0.01)
        assert (await reload).result == "applied"
        assert scene.stamps("new_orders") == count
        told = [part["targets"] for part in await scene.records("counters")]
        assert sum("logs" in targets for targets in told) > 1, "it is on record twice, and counts once"
        assert any("more" in targets for targets in told)
        whole = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole


async def test_a_keys_own_limit_is_counted_in_parts(tmp_path: Path) -> None:
    """keys.json gives the key a budget of the day; the record of the keys names the parts before it."""
    async with stage(tmp_path, record("bot"), policies={"desk.toml": WIDE}) as scene:
        for n in range(5):
            await scene.placed(price=100, remark=str(n))
        keys = tmp_path / "keys.json"
        keys.write_text(keys.read_text().replace('"id": "bot"', '"id": "bot", "max_daily_value": 90000', 1))
        assert (await scene.guard.changes.reload_keys(Who("desk", "less"))).result == "applied"
        assert scene.sums("daily_value") == 5 * 100 * 100 * 10_000
        assert (await scene.records("counters"))[-1]["batch"] == (await scene.records("keys"))[-1]["batch"]
        whole = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole


async def test_counters_that_a_change_could_not_make_are_made_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that are taken away wait for no counters: that these began at zero is on record, and ends with a start."""
    async with stage(tmp_path, record("bot"), policies={"desk.toml": WIDE}) as scene:
        for n in range(5):
            await scene.placed(remark=str(n))
        keys = scene.config.parent / "keys.json"
        keys.write_text(json.dumps({"version": 1, "keys": [record("bot", max_daily_value=1_000_000)]}))
        with monkeypatch.context() as small:
            small.setattr(recount, "TARGETS_BYTES_MAX", 10)
            change = await scene.guard.changes.reload_keys(Who("desk", "less"))
        assert change.result == "applied"
        assert [bounded(warning) for warning in change.warnings] == (await scene.records("keys"))[-1]["errors"] != []
        await scene.placed(remark="after it")
        assert scene.held() == 100 * 200, "the order after it alone"
    for _ in range(2):
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            assert scene.held() == 6 * 100 * 200
            assert "errors" not in (await scene.records("keys"))[-1]


async def test_stamps_of_a_new_rate_are_recorded_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One log for each key, all but the last few on record before the change; orders of the keys come meanwhile."""
    monkeypatch.setattr(recount, "PART_CELLS", 2)
    monkeypatch.setattr(staging, "CELLS_MAX", 2)
    people = [f"bot-{n}" for n in range(9)]
    async with stage(tmp_path, *map(record, people), policies={"desk.toml": WIDE}) as scene:
        for who in (*people, *people):
            await scene.placed(who=who, remark=f"{who} {len(scene.daemon.requests)}")
        reload = asyncio.ensure_future(reloaded(scene, '[rates]\nper = "key"\nnew_orders = "100000/3600s"\n'))
        extra = 0
        while not reload.done():
            await scene.placed(who=people[0], remark=f"meanwhile {extra}")
            extra += 1
            await asyncio.sleep(0.01)
        assert (await reload).result == "applied"
        whole = scene.ledger()
        counts = {cell: len(log["stamps"]) for cell, log in whole["logs"].items() if cell.startswith("new_orders/key=")}
        assert counts == {f"new_orders/key={who}": 2 + (extra if who == people[0] else 0) for who in people}
        parts, change = await scene.records("counters"), (await scene.records("policy"))[-1]
        assert {cell for part in parts for cell in part["targets"].get("logs", {})} >= set(counts) - set(
            change.get("targets", {}).get("logs", {})
        )
        assert len(change.get("targets", {}).get("logs", {})) < len(people)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole


async def test_of_many_counters_the_first_are_named_and_no_more_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be one for each live order: to sort them all would hold up the loop in the step of the change."""
    monkeypatch.setattr(recount, "SHOWN_MAX", 2)
    kept, built = [0], Recount._told

    async def told(self: Recount, part: Any) -> None:
        await built(self, part)
        kept.append(len(self._names))

    monkeypatch.setattr(Recount, "_told", told)
    people = [f"bot-{n}" for n in range(8)]
    async with stage(tmp_path, *map(record, people), policies={"desk.toml": WIDE}) as scene:
        for who in reversed(people):
            await scene.placed(who=who, remark=who)
        change = await reloaded(scene, '[budgets]\nopen_value = "50000 HKD"\n')

    assert change.counters == tuple(f"open_value/key={who};simulate|HKD" for who in people[:2])
    assert max(kept) == 4
