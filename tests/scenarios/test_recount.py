"""New limits begin at what the record shows, not at zero, and the record alone says so afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from guard.admin import recount, recounting
from guard.admin.change import Who
from guard.errors import JournalFault
from guard.loop.child import Child, child
from guard.policy import PolicyDoc, parse_policy
from guard.replay import Options, counted, replayed
from tests.support.guards import operate, record, write_keys
from tests.support.journal import overwrite
from tests.support.stage import again, code_of, is_passed, stage
from tests.support.story import DESK, PEOPLE, ROOMY, WIDE, live, plain

NEW = ROOMY.format(mode="enforce") + '[breaker]\nunknowns = "1000/600s"\ndaemon_refusals = "1000/900s"\n'

pytestmark = pytest.mark.usefixtures("lists_when_told")


class Held(NamedTuple):
    """The programs that read the past: whether one was asked for, and that they may begin."""

    begun: asyncio.Event
    go: asyncio.Event


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """They wait until the test lets them go."""
    events = Held(asyncio.Event(), asyncio.Event())

    @asynccontextmanager
    async def late(*words: str) -> AsyncIterator[Child]:
        events.begun.set()
        await events.go.wait()
        async with child(*words) as process:
            yield process

    monkeypatch.setattr(recounting, "child", late)
    return events


@pytest.mark.parametrize("seed", range(3))
async def test_counters_are_those_of_policies_that_were_always_in_force(tmp_path: Path, seed: int) -> None:
    """A new policy in the middle of a day with fills, faults and changes: one ledger, live and after a restart."""
    ledgers = []
    for name in ("always", "later"):
        (tmp_path / name).mkdir()
        policies = {"desk.toml": DESK} | ({"roomy.toml": NEW} if name == "always" else {})
        async with stage(tmp_path / name, *PEOPLE, policies=policies) as scene:
            await live(scene, turns=25, seed=seed)
            if name == "later":
                scene.write_policy(NEW, "roomy.toml")
                change = await scene.guard.changes.policies.reload(Who("desk", "from now on"))
                assert (change.result, change.errors) == ("applied", ())
                assert {cell.partition("/")[0] for cell in change.counters} >= {"daily_value", "new_orders"}
            await live(scene, turns=25, seed=seed + 100)
            ledgers.append(plain(scene))
            whole = scene.ledger()
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            assert scene.ledger() == whole
    assert ledgers[0] == ledgers[1]


async def test_a_new_budget_counts_the_morning_and_a_cancel_gives_it_back(tmp_path: Path) -> None:
    """Two orders went before the budget came: the third is refused, until one of them is cancelled."""
    tight = '[budgets]\nopen_value = "50000 HKD"\n'
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        first = await scene.placed(price=200, remark="1")
        await scene.placed(price=200, remark="2")
        (tmp_path / "policies/tight.toml").write_text(tight)
        change = await scene.guard.changes.policies.reload(Who("desk", "less"))
        assert change.counters == ("open_value/key=bot;simulate|HKD",)
        assert code_of(await scene.place(price=200, remark="3")) == (403, "open_value")
        assert is_passed(await scene.cancel(first))
        scene.clock.advance(s=61)
        await scene.guard.reconciler.turn()
        assert is_passed(await scene.place(price=200, remark="3"))


async def test_an_order_that_a_person_gave_up_is_on_no_new_counter_but_for_its_fills(tmp_path: Path) -> None:
    """Nor does it stand in the way of another where the past is replayed under that budget."""
    tight = '[orders]\nmax_value = "900000 HKD"\n[budgets]\nopen_value = "30000 HKD"\ndaily_value = "90000 HKD"\n'
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        order = scene.daemon.orders.pop(name := await scene.placed(price=200, time_in_force="GTC"))
        (unseen,) = scene.guard.desk.state.holders
        for s in (0, 86_400, 6):
            scene.clock.advance(s=s)
            await scene.guard.reconciler.turn()
        word = {"verdict": "refused", "reason": "the broker knows of no such order"}
        assert (await operate(scene.guard, f"/admin/decisions/{unseen}/settle", word))[0] == 200
        assert is_passed(await scene.place(price=200, remark="2"))
        scene.daemon.orders[name] = order
        scene.daemon.world.book.fill(order, qty=Decimal(50), price=Decimal(198), at=scene.clock.wall())
        scene.clock.advance(s=6)
        await scene.guard.reconciler.turn()
        await scene.written()
        doc = parse_policy(tight, file="tight.toml")
        assert isinstance(doc, PolicyDoc)
        found = replayed(tmp_path / "state", Options("2000-01-01T00:00:00Z", docs=[doc]), now=scene.clock.wall())
        assert (found.newly_refused, found.replayed, found.broken) == (0, 2, [])
        (tmp_path / "policies/tight.toml").write_text(tight)
        assert (await scene.guard.changes.policies.reload(Who("desk", "less"))).result == "applied"
        assert (scene.sums("open_value"), scene.sums("daily_value")) == (200_000_000, 200_000_000 + 99_000_000)


async def test_an_order_that_is_given_up_while_the_past_is_read_is_on_no_new_counter(
    tmp_path: Path, held: Held
) -> None:
    """What reads the past counts it still; one ledger, live and after a restart."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        del scene.daemon.orders[await scene.placed(price=200, time_in_force="GTC")]
        (unseen,) = scene.guard.desk.state.holders
        for s in (0, 86_400, 6):
            scene.clock.advance(s=s)
            await scene.guard.reconciler.turn()
        (tmp_path / "policies/tight.toml").write_text(
            '[budgets]\nopen_value = "30000 HKD"\ndaily_value = "90000 HKD"\n'
        )
        reload = asyncio.ensure_future(scene.guard.changes.policies.reload(Who("desk", "less")))
        await held.begun.wait()
        word = {"verdict": "refused", "reason": "the broker knows of no such order"}
        assert (await operate(scene.guard, f"/admin/decisions/{unseen}/settle", word))[0] == 200
        held.go.set()
        assert (await reload).result == "applied"
        assert scene.guard.desk.state.sums == {}
        whole = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole


async def test_what_happens_while_the_past_is_read_is_counted(tmp_path: Path) -> None:
    """Orders that are placed while the other process reads are on the new counters, each once."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200, remark="0")
        (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 1000\n")
        reload = asyncio.ensure_future(scene.guard.changes.policies.reload(Who("desk", "count")))
        placed = 1
        while not reload.done():
            await scene.placed(price=200, remark=str(placed))
            placed += 1
            await asyncio.sleep(0.02)
        assert (await reload).result == "applied"
        assert placed > 2
        assert scene.sums("orders_per_day") == placed


async def test_a_keys_own_new_limit_counts_what_went_before(tmp_path: Path) -> None:
    """keys.json gives the key a budget of the day: what it bought before is on it."""
    async with stage(tmp_path, record("bot"), policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200, remark="1")
        keys = tmp_path / "keys.json"
        keys.write_text(keys.read_text().replace('"id": "bot"', '"id": "bot", "max_daily_value": 30000', 1))
        change = await scene.guard.changes.reload_keys(Who("desk", "less"))
        assert (change.result, len(change.counters)) == ("applied", 1)
        assert code_of(await scene.place(price=200, remark="2")) == (403, "daily_value")
        whole = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole


async def test_a_record_that_cannot_be_read_refuses_the_new_limits(tmp_path: Path) -> None:
    """What was in force stays, and the answer says why."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200)
        await scene.written()
        was = scene.guard.desk.config
        path = tmp_path / "state/journal/00000001.jsonl"
        overwrite(path, b'"type":"decision"', b'"type":"decisiom"')
        (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 1000\n")
        change = await scene.guard.changes.policies.reload(Who("desk", "count"))
        assert change.result == "unrecorded"
        assert "could not be made from the record" in str(change.errors[0])
        assert scene.guard.desk.config is was


@pytest.mark.parametrize("seed", range(2))
async def test_files_that_were_edited_while_no_guard_ran_count_from_the_record(tmp_path: Path, seed: int) -> None:
    """A budget and a key's own limit that a start finds: the ledger is that of a day under them, and stays it."""
    ledgers = []
    limited = (*PEOPLE[:2], record("desk", owner="a person"), record("third", max_daily_value=10_000))
    for name in ("always", "later"):
        (tmp_path / name).mkdir()
        policies = {"desk.toml": DESK} | ({"roomy.toml": NEW} if name == "always" else {})
        async with stage(tmp_path / name, *limited, policies=policies) as scene:
            await live(scene, turns=30, seed=seed)
        scene.write_policy(NEW, "roomy.toml")
        for run in range(2):
            async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
                await live(scene, turns=10, seed=seed + run)
                ledgers.append(plain(scene))
    assert ledgers[:2] == ledgers[2:]


async def test_a_keys_limit_that_was_added_while_no_guard_ran_counts_from_the_record(tmp_path: Path) -> None:
    """keys.json alone has changed: what the key bought before is on its new budget, also after another start."""
    async with stage(tmp_path, record("bot"), policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200, remark="1")
    keys = tmp_path / "keys.json"
    keys.write_text(keys.read_text().replace('"id": "bot"', '"id": "bot", "max_daily_value": 30000', 1))
    for _ in range(2):
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            assert code_of(await scene.place(price=200, remark="2")) == (403, "daily_value")
    assert len(await scene.records("keys")) == 1


async def test_an_order_of_last_week_is_on_the_new_counter(tmp_path: Path) -> None:
    """It still works, so it is among the open ones, however far back the record has to be read."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        old = await scene.placed(price=200, time_in_force="GTC", remark="old")
        for day in range(6):
            scene.clock.advance(s=86_400)
            await scene.placed(price=200, time_in_force="GTC", remark=str(day))
        assert len(list((tmp_path / "state/journal").glob("*.jsonl"))) > 5
        (tmp_path / "policies/tight.toml").write_text("[budgets]\nopen_orders = 7\n")
        assert (await scene.guard.changes.policies.reload(Who("desk", "fewer"))).result == "applied"
        assert code_of(await scene.place(price=200, remark="more")) == (403, "open_orders")
        assert is_passed(await scene.cancel(old))
        scene.clock.advance(s=61)
        await scene.guard.reconciler.turn()
        assert scene.sums("open_orders") == 6


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [(recounting, "TAIL_MAX", 0), (recounting, "TIMEOUT_S", 0.0), (recount, "TARGETS_BYTES_MAX", 0)],
)
async def test_what_cannot_be_caught_up_with_refuses_policies_and_not_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, value: float
) -> None:
    """Too much happened meanwhile, or it takes too long: policies stay as they were, keys change all the same."""
    monkeypatch.setattr(module, name, value)
    async with stage(tmp_path, record("bot"), policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200, remark="1")
        was = scene.guard.desk.config
        (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 1000\n")
        assert (await scene.guard.changes.policies.reload(Who("desk", "count"))).result == "unrecorded"
        assert scene.guard.desk.config is was
        keys = tmp_path / "keys.json"
        keys.write_text(keys.read_text().replace('"id": "bot"', '"id": "bot", "max_daily_value": 30000', 1))
        change = await scene.guard.changes.reload_keys(Who("desk", "less"))
        assert (change.result, change.counters) == ("applied", ())
        assert "new limits count from now on" in change.warnings[0]
        assert is_passed(await scene.place(price=200, remark="2"))


async def test_what_comes_in_while_it_catches_up_is_counted_or_the_change_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: Held
) -> None:
    """More than is held of what is appended meanwhile: none of it is left out of a counter without a word."""
    monkeypatch.setattr(recounting, "TAIL_MAX", 40)
    async with stage(tmp_path, record("bot"), policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200, remark="0")
        (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 1000\n")
        prepare = recount.Recount.prepare

        async def busy(self: recount.Recount) -> None:
            for number in range(30):
                await scene.placed(price=200, remark=f"busy {number}")
            await prepare(self)

        held.go.set()
        with monkeypatch.context() as patch:
            patch.setattr(recount.Recount, "prepare", busy)
            change = await scene.guard.changes.policies.reload(Who("desk", "count"))
        assert change.result == "unrecorded"
        assert "more happened meanwhile" in str(change.errors[0])
        assert (await scene.guard.changes.policies.reload(Who("desk", "count"))).result == "applied"
        assert scene.sums("orders_per_day") == 31


@pytest.mark.parametrize("is_revoked", [True, False])
async def test_a_key_that_is_taken_away_does_not_wait_for_a_reload_that_counts(
    tmp_path: Path, held: Held, *, is_revoked: bool
) -> None:
    """The reload of policies gives way and may be asked for again; keys that are what they were wait their turn."""
    async with stage(tmp_path, record("bot"), record("other"), policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200, remark="1")
        was, changes = scene.guard.desk.config, scene.guard.changes
        (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 1000\n")
        counting = asyncio.ensure_future(changes.policies.reload(Who("desk", "count")))
        await held.begun.wait()
        if is_revoked:
            write_keys(tmp_path / "keys.json", record("other"))
        keys = asyncio.ensure_future(changes.reload_keys(Who("desk", "leaked")))
        if is_revoked:
            assert (await asyncio.wait_for(keys, 60)).result == "applied"
            assert code_of(await scene.place(price=200, remark="2"))[0] == 401
            told = str((await counting).errors[0])
            assert f"{recounting.GAVE_WAY}; reload again; nothing has changed" in told
            assert scene.guard.desk.config.policy_sha256 == was.policy_sha256
        else:
            await asyncio.sleep(0.1)
        held.go.set()
        if not is_revoked:
            assert ((await counting).result, (await keys).result) == ("applied", "unchanged")
        found = await changes.policies.reload(Who("desk", "count"))
        assert found.result == ("applied" if is_revoked else "unchanged")


async def test_who_asks_again_while_the_reload_gives_way_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reads the past takes a moment to end; another key that leaked may be taken away in that moment."""
    begun, ending, go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slow_to_end(*words: str) -> AsyncIterator[Child]:
        async with child(*words) as process:
            begun.set()
            try:
                yield process
            finally:
                ending.set()
                await go.wait()

    monkeypatch.setattr(recounting, "child", slow_to_end)
    keys = record("bot"), record("other"), record("third")
    async with stage(tmp_path, *keys, policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200, remark="1")
        changes = scene.guard.changes
        (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 1000\n")
        counting = asyncio.ensure_future(changes.policies.reload(Who("desk", "count")))
        await begun.wait()
        write_keys(tmp_path / "keys.json", *keys[1:])
        first = asyncio.ensure_future(changes.reload_keys(Who("desk", "leaked")))
        await ending.wait()
        write_keys(tmp_path / "keys.json", keys[2])
        second = asyncio.ensure_future(changes.reload_keys(Who("desk", "that one too")))
        await asyncio.sleep(0.1)
        go.set()
        assert {(await each).result for each in (first, second)} == {"applied", "unchanged"}
        assert recounting.GAVE_WAY in str((await counting).errors[0])
        assert {key.id for key in scene.guard.desk.config.keyring.by_grant.values()} == {"third"}


async def test_a_key_that_is_taken_away_waits_for_no_reload_in_the_queue_either(tmp_path: Path, held: Held) -> None:
    """The one that reads the past gives way, and so does the one that has its turn before the keys."""
    async with stage(tmp_path, record("bot"), record("other"), policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200, remark="1")
        changes = scene.guard.changes
        (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 1000\n")
        counting = [asyncio.ensure_future(changes.policies.reload(Who("desk", "count"))) for _ in range(2)]
        await held.begun.wait()
        write_keys(tmp_path / "keys.json", record("other"))
        assert (await asyncio.wait_for(changes.reload_keys(Who("desk", "leaked")), 60)).result == "applied"
        assert [(await each).result for each in counting] == ["unrecorded", "unrecorded"]


async def test_whose_key_ends_while_the_past_is_read_makes_no_change(tmp_path: Path, held: Held) -> None:
    """It stood when the change had its turn, and two minutes may go by until the swap."""
    brief = record("brief", owner="a person", scopes=["guard:policy"], expires_at="2026-11-22T09:46:29Z")
    async with stage(tmp_path, record("bot"), brief, policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200, remark="1")
        config = scene.guard.desk.config
        (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 1000\n")
        counting = asyncio.ensure_future(operate(scene.guard, "/admin/policy/reload", {"reason": "mine"}, who="brief"))
        await held.begun.wait()
        scene.clock.advance(s=60)
        held.go.set()
        status, told = await counting
        assert (status, told["result"]) == (401, "ended")
        assert scene.guard.desk.config is config


async def test_a_key_that_is_added_waits_for_its_turn(tmp_path: Path, held: Held) -> None:
    """Nor do keys that are refused stop a reload of policies: it could never come to its end."""
    async with stage(tmp_path, record("bot"), record("other"), policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200, remark="1")
        changes = scene.guard.changes
        (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 1000\n")
        counting = asyncio.ensure_future(changes.policies.reload(Who("desk", "count")))
        await held.begun.wait()
        write_keys(tmp_path / "keys.json", record("other"))
        stale = asyncio.ensure_future(changes.reload_keys(Who("desk", "a guess"), if_match=frozenset({"0" * 64})))
        await asyncio.sleep(0.1)
        write_keys(tmp_path / "keys.json", record("bot"), record("other"), record("new"))
        added = asyncio.ensure_future(changes.reload_keys(Who("desk", "one more")))
        await asyncio.sleep(0.1)
        held.go.set()
        results = [(await each).result for each in (counting, stale, added)]
        assert results == ["applied", "stale", "applied"]


async def test_a_change_that_counts_nothing_new_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller order value needs no counter: the reload does not wait for the past."""
    monkeypatch.setattr(recounting, "TIMEOUT_S", 0.0)
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        await scene.placed(price=200)
        (tmp_path / "policies/desk.toml").write_text(WIDE.replace("60000", "50000"))
        assert (await scene.guard.changes.policies.reload(Who("desk", "less"))).result == "applied"


async def test_a_start_that_cannot_count_refuses_new_orders_and_lets_cancels_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new limit is not guessed at; readiness says why, and what those decisions name is kept beside them."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        mine = await scene.placed(price=200)
    (tmp_path / "policies/tight.toml").write_text("[orders]\nper_day = 1000\n")

    def broken(*_: object, **__: object) -> None:
        raise JournalFault("not to be read")

    monkeypatch.setattr(counted, "counted", broken)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        refused = await scene.place(price=200, remark="2")
        assert code_of(refused) == (503, "policy_unavailable")
        assert is_passed(await scene.cancel(mine))
        assert any("not to be read" in told for concern in scene.guard.desk.concerns for told in concern())
        named = (await scene.decision(refused))["config_sha256"]
        assert (tmp_path / f"state/config/{named}.json").exists()


async def test_a_new_limit_on_what_is_counted_already_moves_nothing(tmp_path: Path) -> None:
    """The past is read and says what the ledger says: nothing is rebuilt, and the record carries nothing."""
    daily = WIDE + '[budgets]\ndaily_value = "{} HKD"\n'
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": daily.format(100_000)}) as scene:
        await scene.placed(price=200, remark="1")
        (tmp_path / "policies/desk.toml").write_text(daily.format(30_000))
        change = await scene.guard.changes.policies.reload(Who("desk", "less"))
        assert (change.result, change.counters) == ("applied", ())
        assert "targets" not in (await scene.records("policy"))[-1]
        assert code_of(await scene.place(price=200, remark="2")) == (403, "daily_value")
