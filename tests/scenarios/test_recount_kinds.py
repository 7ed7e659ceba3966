"""A new breaker and a new rate of reads begin with what the record shows; the answer says what it does not show."""

from pathlib import Path
from typing import Final

import pytest

from guard.admin.change import ChangeResult, Who
from guard.errors import JournalFault
from guard.journal.configstore import ConfigStore
from guard.replay.counted import counted, principals_of
from guard.replay.inforce import History
from guard.simulator.faults import Reset
from tests.support.faulted import declined, lost
from tests.support.guards import operate, record, write_keys
from tests.support.journal import overwrite
from tests.support.stage import ORDER, TRADING, Stage, account, again, code_of, is_passed, stage
from tests.support.tracked import TOUCH, elsewhere, seen

KEYS: Final = (record("bot"), record("other"), record("desk", owner="a person"))
CAP: Final = '[orders]\nmax_value = "1000000 HKD"\n'
BREAKER: Final = '[breaker]\nunknowns = "3/300s"\ndaemon_refusals = "3/900s"\n'
READS: Final = '[rates]\nreads = "3/300s"\n'


async def reload(scene: Stage, text: str) -> ChangeResult:
    """One more policy, in force from now on."""
    scene.write_policy(text, "more.toml")
    change = await scene.guard.changes.policies.reload(Who("desk", "careful"))
    assert change.result == "applied", change
    return change


async def test_a_new_breaker_counts_as_far_back_as_it_looks(tmp_path: Path) -> None:
    """Two losses four minutes ago are on it, and refusals of eleven minutes ago: the next loss stops the key."""
    async with stage(tmp_path, *KEYS, policies=CAP) as scene:
        for _ in range(2):
            await declined(scene)
        scene.clock.advance(s=400)
        for _ in range(2):
            await lost(scene)
        scene.clock.advance(s=240)
        change = await reload(scene, BREAKER)
        assert change.counters == ("breaker_daemon_refusals/key=bot", "breaker_unknowns/key=bot")
        assert change.warnings == ()
        assert is_passed(await scene.place())
        await lost(scene)
        assert code_of(await scene.place()) == (423, "halted")
        whole = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole
        assert code_of(await scene.place()) == (423, "halted")


async def test_a_key_that_a_person_set_active_begins_anew(tmp_path: Path) -> None:
    """What its breaker counted was forgotten then, and no recount brings it back."""
    async with stage(tmp_path, *KEYS, policies=CAP) as scene:
        for _ in range(3):
            await lost(scene)
        await scene.set_state("active", keys=("bot",))
        assert (await reload(scene, BREAKER)).counters == ()
        await lost(scene)
        assert is_passed(await scene.place())


async def test_a_breaker_that_a_start_finds_counts_from_the_record(tmp_path: Path) -> None:
    """The file was written while no guard ran."""
    async with stage(tmp_path, *KEYS, policies=CAP) as scene:
        for _ in range(2):
            await lost(scene)
        scene.clock.advance(s=200)
    (tmp_path / "policies/more.toml").write_text(BREAKER)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert is_passed(await scene.place())
        await lost(scene)
        assert code_of(await scene.place()) == (423, "halted")


@pytest.mark.parametrize(
    ("reads", "left", "says"),
    [
        ("all", 0, ""),
        ("account", 1, "the record sums market-data reads up"),
        ("refused", 3, "begins at zero"),
    ],
)
async def test_a_new_rate_of_reads_counts_what_is_on_record_and_says_what_is_not(
    tmp_path: Path, reads: str, left: int, says: str
) -> None:
    """Three reads four minutes ago, one of them of market data: how many more pass is what the answer foretells."""
    async with stage(tmp_path, *KEYS, policies=CAP, toml=f'{TRADING}[journal]\nreads = "{reads}"\n') as scene:
        for _ in range(2):
            await scene.ask("/api/orders", account())
        await scene.ask("/api/quote", {"symbol": "HK.00700"})
        scene.clock.advance(s=240)
        change = await reload(scene, READS)
        assert change.counters == (() if reads == "refused" else ("reads/key=bot",))
        assert len(change.warnings) == (1 if says else 0)
        assert says in "".join(change.warnings)
        told = [(await scene.ask("/api/orders", account())).status for _ in range(left + 1)]
        assert told == [200] * left + [429]


async def test_the_past_is_read_up_to_the_very_record_that_was_asked_for(tmp_path: Path) -> None:
    """What comes after it is listened to, and would count twice; where the disk has less, too little would count."""
    async with stage(tmp_path, *KEYS, policies=f"{CAP}per_day = 10\n") as scene:
        for price in (200, 201):
            await scene.placed(price=price)
        first, _ = [line["seq"] for line in await scene.records("decision")]
        state, config, now = tmp_path / "state", scene.guard.desk.config, scene.clock.wall()
        assert config.policies is not None
        history = History(ConfigStore(state / "config").get, docs=None, now=now)
        known = principals_of(history, config.config_sha256)
        last = scene.guard.journal.last_seq
        for until, orders in ((first, 1), (last, 2)):
            found = counted(state, config.policies, known, until=until, now=now)
            assert sum(n for cell, n in found.state.sums.items() if cell.startswith("orders_per_day/")) == orders
        with pytest.raises(JournalFault, match=f"ends at {last}, before {last + 1}"):
            counted(state, config.policies, known, until=last + 1, now=now)


async def test_reads_of_a_key_that_nobody_knows_any_more_are_on_no_new_rate(tmp_path: Path) -> None:
    """It was revoked, and what was in force then is lost: a rate that is new counts the others, and is not refused."""
    async with stage(tmp_path, *KEYS, policies=CAP, toml=f'{TRADING}[journal]\nreads = "all"\n') as scene:
        for who in ("other", "bot"):
            await scene.ask("/api/orders", account(), who=who)
        was = scene.guard.desk.config.config_sha256
        write_keys(tmp_path / "keys.json", KEYS[0], KEYS[2])
        assert (await scene.guard.changes.reload_keys(Who("desk", "gone"))).result == "applied"
        (tmp_path / f"state/config/{was}.json").unlink()
        change = await reload(scene, READS)
        assert (change.counters, change.warnings) == (("reads/key=bot",), ())
        told = [(await scene.ask("/api/orders", account())).status for _ in range(3)]
        assert told == [200, 200, 429]


async def test_a_rate_that_was_watched_or_looks_no_further_back_needs_no_word(tmp_path: Path) -> None:
    """Only a window that is new, or wider than before, may lack reads."""
    async with stage(tmp_path, *KEYS, policies={"desk.toml": CAP, "more.toml": READS}) as scene:
        assert (await reload(scene, READS.replace("3/300s", "2/200s"))).warnings == ()
        assert len((await reload(scene, READS.replace("3/300s", "2/301s"))).warnings) == 1
        watched = '[policy]\nid = "more"\nmode = "shadow"\n' + READS
        assert (await reload(scene, watched)).warnings == ()
        assert (await reload(scene, watched.replace("shadow", "enforce"))).warnings == ()


async def test_the_answer_to_a_reload_of_keys_says_that_counters_could_not_be_rebuilt(tmp_path: Path) -> None:
    """The key is changed all the same; whoever asked learns that its new budget begins at zero, and what to do."""
    async with stage(tmp_path, *KEYS, policies=CAP) as scene:
        await scene.placed(price=200)
        await scene.written()
        path = tmp_path / "state/journal/00000001.jsonl"
        overwrite(path, b'"type":"decision"', b'"type":"decisiom"')
        keys = tmp_path / "keys.json"
        keys.write_text(keys.read_text().replace('"id": "bot"', '"id": "bot", "max_daily_value": 30000', 1))
        status, told = await operate(scene.guard, "/admin/keys/reload", {"reason": "less"})
        assert (status, told["result"]) == (200, "applied")
        (warning,) = told["warnings"]
        assert "could not be made from the record" in warning
        assert "reload to try again" in warning
        _, ready = await operate(scene.guard, "/readyz")
        assert f"counters: {warning}" in ready["reasons"]
        assert 'guard_config_drift{kind="counters"} 1.0' in str((await operate(scene.guard, "/metrics"))[1])

        overwrite(path, b'"type":"decisiom"', b'"type":"decision"')
        keys.write_text(keys.read_text().replace("30000", "29999"))
        status, told = await operate(scene.guard, "/admin/keys/reload", {"reason": "once more"})
        assert (status, told["result"], told["warnings"]) == (200, "applied", [])
        assert not any("counters" in reason for reason in (await operate(scene.guard, "/readyz"))[1]["reasons"])
        assert 'guard_config_drift{kind="counters"} 0.0' in str((await operate(scene.guard, "/metrics"))[1])


@pytest.mark.parametrize("limit", ["max_daily_value", "max_orders_per_minute", "orders.per_day"])
async def test_a_limit_that_is_raised_from_nothing_begins_with_what_the_record_shows(
    tmp_path: Path, limit: str
) -> None:
    """Three orders, then a stop by a limit of 0, under which nothing is counted: room for three is used up."""

    async def limited(scene: Stage, count: int) -> None:
        if limit == "orders.per_day":
            await reload(scene, f"[orders]\nper_day = {count}\n")
            return
        amount = count * 20_000 if limit == "max_daily_value" else count
        write_keys(tmp_path / "keys.json", record("bot", **{limit: amount}), *KEYS[1:])
        assert (await scene.guard.changes.reload_keys(Who("desk", "careful"))).result == "applied"

    async with stage(tmp_path, *KEYS, policies=CAP) as scene:
        for _ in range(3):
            await scene.placed()
        await limited(scene, 0)
        assert not is_passed(await scene.place())
        await limited(scene, 3)
        assert not is_passed(await scene.place())
        await limited(scene, 4)
        assert is_passed(await scene.place())
        assert not is_passed(await scene.place())


@pytest.mark.parametrize(
    "limit",
    [
        '[budgets]\nper = "policy"\ndaily_value = "60000 HKD"\n',
        '[budgets]\nper = "policy"\nopen_orders = 3\n',
        '[rates]\nper = "policy"\nnew_orders = "3/30s"\n',
    ],
)
async def test_what_a_policy_counts_for_all_its_keys_goes_with_it_when_it_is_renamed(
    tmp_path: Path, limit: str
) -> None:
    """Its name is in the names of such counters: they are made anew from the record."""
    async with stage(tmp_path, *KEYS, policies={"desk.toml": CAP, "more.toml": limit}) as scene:
        for who in ("bot", "other", "bot"):
            await scene.placed(who=who)
        (tmp_path / "policies/more.toml").rename(tmp_path / "policies/renamed.toml")
        assert (await scene.guard.changes.policies.reload(Who("desk", "careful"))).result == "applied"
        assert not is_passed(await scene.place(who="other"))


async def test_a_change_of_an_order_of_nobodys_is_on_a_new_rate(tmp_path: Path) -> None:
    """No key placed it, so no new counter knows it; whoever changed it did, and no reload is refused for it."""
    async with stage(tmp_path, *KEYS, policies=TOUCH) as scene:
        name = await elsewhere(scene)
        await seen(scene)
        assert is_passed(await scene.modify(name, qty=200, price=210))
        change = await reload(scene, '[rates]\nchanges = "1/600s"\n')
        assert (change.counters, change.warnings) == (("changes/key=bot",), ())
        assert code_of(await scene.modify(name, qty=200, price=211)) == (429, "rate")
        whole = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole


@pytest.mark.parametrize("acts", [False, True])
async def test_an_order_in_doubt_is_on_new_counters_as_it_was_settled(tmp_path: Path, *, acts: bool) -> None:
    """Two lists without it say that it was none; one that shows it, that it was one, which may have grown since."""
    async with stage(tmp_path, *KEYS, policies=CAP) as scene:
        scene.daemon.faults.add(Reset(acts=acts), path=ORDER)
        assert code_of(await scene.place()) == (504, "outcome_unknown")
        for _ in range(4):
            scene.clock.advance(s=31)
            await scene.guard.reconciler.turn()
        (end,) = await scene.records("reconciled")
        assert end["verdict"] == ("accepted" if acts else "refused")
        if acts:
            assert is_passed(await scene.modify(end["order_id_ex"], qty=200, price=200))
        await reload(scene, '[orders]\nper_day = 1\n[budgets]\nopen_value = "50000 HKD"\n')
        assert scene.held("open_value") == (40_000 if acts else 0)
        assert scene.sums("orders_per_day") == acts
        whole = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole


async def test_the_answer_says_which_orders_nobody_can_value_any_more(tmp_path: Path) -> None:
    """A market order under policies that asked for no price: a new budget lacks it, and whoever set it learns that."""
    toml = f"{TRADING}[policies]\nrequire_cover = false\n"
    async with stage(tmp_path, *KEYS, policies="[orders]\nper_day = 100\n", toml=toml) as scene:
        assert is_passed(await scene.place(order_type="MARKET", price=None))
        (told,) = (await reload(scene, '[budgets]\ndaily_value = "50000 HKD"\n')).warnings
        assert told == "1 trades are not counted on the new limits in full: what these look at is not on record"
