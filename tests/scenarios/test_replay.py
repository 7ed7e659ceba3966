"""The recorded past decided again: as it was, and as other policies would have it."""

import asyncio
import json
import re
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.json import encode as encoded

from guard import activeconfig
from guard.admin.change import Who
from guard.cli.audit import app
from guard.cli.proof import examined
from guard.errors import JournalFault
from guard.journal import Decision, decode
from guard.policy import RULES_VERSION
from guard.replay import inforce
from guard.replay.__main__ import main as replay_of_kept
from guard.replay.explained import explained
from guard.replay.judging import asked, judgement_of
from tests.support.commands import called
from tests.support.guards import begun, call, order, record, write_keys
from tests.support.replays import PAST, past
from tests.support.stage import (
    ACCOUNTS,
    CANCEL_ALL,
    DAILY,
    MODIFY,
    ORDER,
    account,
    again,
    change,
    code_of,
    decision_of,
    is_passed,
    stage,
)
from tests.support.story import DESK, PEOPLE, live
from tests.support.tracked import round_trip


async def test_the_policies_of_the_day_reproduce_every_decision(tmp_path: Path) -> None:
    """Through faults, fills, repeats, reloads and a restart: the same reasons, claims and counters, each time."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        await live(scene, turns=120, seed=1)
        (tmp_path / "policies/desk.toml").write_text(DESK.replace("60000 HKD", "45000 HKD"))
        assert (await scene.guard.changes.policies.reload(Who())).result == "applied"
        await live(scene, turns=60, seed=2)
        clock, daemon, config = scene.clock, scene.daemon, scene.config
    async with again(config, daemon=daemon, clock=clock) as scene:
        await live(scene, turns=60, seed=3)
        found = await past(scene)
    assert found.broken == []
    assert found.replayed == found.reproduced > 150


async def test_what_was_asked_before_an_order_is_no_difference(tmp_path: Path) -> None:
    """A dry run is on no record, and yet a key's own limit stands elsewhere among the claims of the order after it."""
    text = '[orders]\nmax_value = "60000 HKD"\n[budgets]\ndaily_value = "900000 HKD"\nopen_orders = 9\n'
    async with stage(tmp_path, record("bot", max_daily_value=800_000), policies=text) as scene:
        assert (await scene.ask("/guard/v1/check", {"path": "/api/order", "body": order(price=200)})).status == 200
        reply = await scene.place()
        found = await past(scene)
        claims = (await scene.decision(reply))["claims"]
    assert [claim["cap"] for claim in claims if "daily_value" in claim["counter"]] == [8_000_000_000]
    assert (found.replayed, found.broken) == (1, [])


async def test_until_leaves_out_nothing_that_stands_behind_later_lines(tmp_path: Path) -> None:
    """Orders that a cancel of their turn goes before are written behind what was refused at once a moment after."""
    async with stage(tmp_path, policies=DAILY) as scene:
        _ = await scene.ask(ACCOUNTS)
        cancel = call(MODIFY, change("1", op="CANCEL"))
        *asked, _ = begun(scene.guard, *[call(ORDER, order(price=200, remark=word)) for word in "ab"], cancel)
        scene.clock.advance(us=700)
        (malformed,) = begun(scene.guard, call(ORDER, {"symbol": "HK.00700"}))
        refused = await scene.decision(await malformed)
        for reply in await asyncio.gather(*asked):
            decision = await scene.decision(reply)
            assert (decision["ts"] < refused["ts"], decision["seq"] > refused["seq"]) == (True, True)
        assert is_passed(await scene.place(remark="c"))
        for other in (None, DAILY):
            found = await past(scene, other, until=refused["ts"])
            assert (found.decisions, found.replayed, found.reproduced) == (
                4,
                4,
                4,
            )  # the account list, the cancel, "a", "b"
            assert not found.left_out


async def test_the_same_policies_differ_in_nothing(tmp_path: Path) -> None:
    """The second ledger is the first one again, through fills, changes and restarts: no order is judged otherwise."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        await live(scene, turns=150, seed=4)
        found = await past(scene, DESK)
    assert found.replayed == found.reproduced > 100
    assert (found.newly_refused, found.newly_allowed) == (0, 0)
    assert "hangs on another difference" not in found.left_out


async def test_what_would_have_been_refused_is_told_by_rule_key_and_symbol(tmp_path: Path) -> None:
    """A smaller cap refuses what was above it, for certain; a larger one lets through what was refused."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        await scene.place(qty=200, price=200)
        await scene.place(qty=200, price=210, who="other")
        await scene.place(qty=300, price=210)
        found = await past(scene, DESK.replace("60000 HKD", "41000 HKD"))
        looser = await past(scene, DESK.replace("60000 HKD", "63000 HKD"))

    (one,) = found.differences
    assert (one.kind, one.key, one.symbol, one.certain) == ("newly_refused", "other", "HK.00700", True)
    assert (one.code, one.policy, one.rule) == ("max_order_value", "desk", "orders.max_value")
    assert [(one.kind, one.certain, one.code) for one in looser.differences] == [
        ("newly_allowed", True, "max_order_value")
    ]


async def test_what_hangs_on_an_earlier_difference_is_told_so(tmp_path: Path) -> None:
    """The first order beyond a smaller budget is certain; what follows depends on what the caller would have done."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        for price in (200, 201, 202, 203):
            await scene.place(price=price)
        found = await past(scene, DESK.replace("900000 HKD", "45000 HKD"))

    assert [one.certain for one in found.differences] == [True, False]
    assert {one.rule for one in found.differences} == {"budgets.daily_value"}


async def test_an_order_that_would_have_passed_is_taken_to_be_filled(tmp_path: Path) -> None:
    """It takes no place among the orders at work, or every later one would be refused for an order that never was."""
    async with stage(tmp_path, *PEOPLE, policies='[orders]\nmax_value = "60000 HKD"\n') as scene:
        assert not is_passed(await scene.place(price=700))
        await scene.placed()
        found = await past(scene, '[orders]\nmax_value = "100000 HKD"\n[budgets]\nopen_orders = 1\n')

    assert [one.kind for one in found.differences] == ["newly_allowed"]


async def test_what_vanished_may_be_spent_on_a_budget_that_did_not_exist(tmp_path: Path) -> None:
    """A lasting order that is in no list any more: on the day on which it vanished it counts in full, and no longer."""
    bare = '[orders]\nmax_value = "60000 HKD"\ntime_in_force = ["DAY", "GTC"]\n'
    async with stage(tmp_path, *PEOPLE, policies=bare) as scene:
        name = await scene.placed(time_in_force="GTC")
        await round_trip(scene)
        del scene.daemon.orders[name]
        for _ in range(4):
            await round_trip(scene, s=31)
        assert not scene.guard.desk.state.holders
        for days in (0, 1):
            scene.clock.advance(s=days * 86_400)
            await scene.placed(price=201 + days)
        found = await past(scene, f'{bare}[budgets]\ndaily_value = "30000 HKD"\n')

    assert [(one.kind, one.rule, one.certain) for one in found.differences] == [
        ("newly_refused", "budgets.daily_value", True)
    ]


async def test_what_hangs_on_orders_at_work_does_so_until_they_have_ended(tmp_path: Path) -> None:
    """While an order is at work in one world only, a refusal for too many is not certain; afterwards it is."""
    async with stage(tmp_path, *PEOPLE, policies='[orders]\nmax_value = "100000 HKD"\n') as scene:
        large = await scene.placed(qty=300)
        await scene.placed()
        second = await scene.placed(price=201)
        for name in (large, second):
            assert is_passed(await scene.cancel(name))
        await round_trip(scene)
        await scene.placed(price=202)
        found = await past(scene, '[orders]\nmax_value = "45000 HKD"\n[budgets]\nopen_orders = 1\n')

    assert [(one.rule, one.certain) for one in found.differences] == [
        ("orders.max_value", True),
        ("budgets.open_orders", False),
        ("budgets.open_orders", True),
    ]


async def test_counters_that_nobody_kept_are_made_from_the_record(tmp_path: Path) -> None:
    """A budget that did not exist on the day counts the orders before the moment that is asked about as well."""
    bare = '[orders]\nmax_value = "60000 HKD"\n'
    async with stage(tmp_path, *PEOPLE, policies=bare) as scene:
        for price in (200, 201):
            await scene.place(price=price)
        scene.clock.advance(s=60)
        since = scene.clock.wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        await scene.place(price=202)
        found = await past(scene, f'{bare}[budgets]\ndaily_value = "50000 HKD"', since=since)

    assert (found.decisions, found.newly_refused, found.certain) == (1, 1, 1)
    assert found.differences[0].message.startswith("daily value")


async def test_what_was_refused_before_the_moment_is_on_no_counter(tmp_path: Path) -> None:
    """It did not happen, whatever the other policies would have said of it: nobody asks about that time."""
    async with stage(tmp_path, *PEOPLE, policies='[orders]\nmax_value = "60000 HKD"\n') as scene:
        assert not is_passed(await scene.place(price=700))
        scene.clock.advance(s=60)
        since = scene.clock.wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        await scene.placed()
        wide = '[orders]\nmax_value = "100000 HKD"\n[budgets]\ndaily_value = "80000 HKD"\n'
        found = await past(scene, wide, since=since)

    assert (found.decisions, found.differences) == (1, [])


async def test_an_idempotency_key_that_an_earlier_difference_has_used_is_no_difference(tmp_path: Path) -> None:
    """The first try was refused and the second passed; who lets the first through would have answered it again."""
    async with stage(tmp_path, *PEOPLE, policies='[orders]\nmax_value = "60000 HKD"\n') as scene:
        assert not is_passed(await scene.place(key="k", price=700))
        await scene.placed(key="k")
        found = await past(scene, '[orders]\nmax_value = "100000 HKD"\n')

    assert [one.kind for one in found.differences] == ["newly_allowed"]
    assert found.left_out == {"hangs on another difference": 1}


async def test_what_is_not_on_record_is_not_guessed(tmp_path: Path) -> None:
    """A collar needs a price that no rule of the day asked for: such orders are counted apart."""
    bare = '[orders]\nmax_value = "60000 HKD"\n'
    async with stage(tmp_path, *PEOPLE, policies=bare) as scene:
        await scene.place(price=200)
        found = await past(scene, f"{bare}price_collar_percent = {{ stock = 10 }}")

    assert dict(found.left_out) == {"needs what is not on record": 1}
    assert (found.newly_refused, found.newly_allowed) == (0, 0)


async def test_an_order_that_nobody_can_judge_is_on_the_other_counters(tmp_path: Path) -> None:
    """It went out, whatever a collar would have said of it: a budget that it used up refuses what comes after it."""
    bare = '[orders]\nmax_value = "60000 HKD"\n'
    async with stage(tmp_path, *PEOPLE, policies=bare) as scene:
        for price in (200, 201, 202):
            await scene.placed(price=price)
        more = 'price_collar_percent = { stock = 10 }\n[budgets]\ndaily_value = "50000 HKD"\n'
        found = await past(scene, bare + more)

    assert found.left_out == {"needs what is not on record": 2}
    assert [(one.kind, one.rule, one.certain) for one in found.differences] == [
        ("newly_refused", "budgets.daily_value", True)
    ]


async def test_an_order_that_came_back_and_cancels_of_all_are_reproduced(tmp_path: Path) -> None:
    """ENABLE is judged again as the new order that it was judged as; what a cancel of all sent was judged by nobody."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        mine = await scene.placed()
        await scene.placed(who="other", price=201)
        assert is_passed(await scene.cancel(mine, op="DISABLE"))
        for _ in range(3):
            scene.clock.advance(s=61)
            await scene.guard.reconciler.turn()
        assert is_passed(await scene.modify(mine, op="ENABLE", qty=None, price=None))
        assert is_passed(await scene.ask(CANCEL_ALL, account()))
        found = await past(scene)
    assert found.broken == []
    assert found.replayed == found.reproduced == 4


async def test_a_change_of_an_order_that_would_not_exist_is_no_difference(tmp_path: Path) -> None:
    """What hangs on another difference is counted, not judged."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        name = await scene.placed(qty=300, price=200)
        await scene.modify(name, qty=100, price=200)
        await scene.cancel(name)
        found = await past(scene, DESK.replace("60000 HKD", "41000 HKD"))

    assert (found.newly_refused, found.left_out["hangs on another difference"]) == (1, 2)


async def test_a_change_that_the_trading_state_refused_stays_refused(tmp_path: Path) -> None:
    """No policies would have let it through: what is said beside them is taken as it was."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        name = await scene.placed()
        await scene.set_state("cancel_only")
        assert code_of(await scene.modify(name, price=201)) == (423, "halted")
        found = await past(scene, DESK.replace("900000 HKD", "990000 HKD"))
    assert (found.decisions, found.newly_allowed, found.differences) == (2, 0, [])


async def test_requests_that_no_rule_was_asked_about_are_counted(tmp_path: Path) -> None:
    """Wrong keys and bodies that were not understood are not replayed, each by its code."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        await scene.place(who="nobody")
        await scene.place(price=-1)
        found = await past(scene)

    assert (found.decisions, found.replayed) == (2, 0)
    assert found.left_out == {"unauthenticated": 1, "bad_value": 1}


async def test_what_no_rule_was_asked_about_a_second_time_is_told_in_words(tmp_path: Path) -> None:
    """An order sent again with its Idempotency-Key, and a cancel-all that cancels one by one: not by their effect."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        for _ in range(2):
            await scene.placed(key="k")
        await scene.placed(who="other")
        assert is_passed(await scene.ask(CANCEL_ALL, account()))
        found = await past(scene)

    assert found.replayed == 2
    assert found.left_out == {"the same request again": 1, "cancel-all, order by order": 2}


async def test_records_of_another_engine_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions whose configuration names other rules, or is not kept, are told apart and not judged.

    From when on they are those of this version is told.
    """
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        reply = await scene.place()
        kept = tmp_path / "state/config" / f"{(await scene.decision(reply))['config_sha256']}.json"
        with monkeypatch.context() as later:
            later.setattr(inforce, "RULES_VERSION", RULES_VERSION + 1)
            assert (await past(scene)).left_out == {"engine changed": 1}
            later.setattr(activeconfig, "RULES_VERSION", RULES_VERSION + 1)
            (tmp_path / "policies/desk.toml").write_text(DESK.replace("per_day = 60", "per_day = 61"))
            await scene.guard.changes.policies.reload(Who("desk", "by the new rules"))
            fresh = await scene.place(remark="2")
            found = await past(scene)
            assert (found.replayed, found.unlike, found.is_empty) == (1, 0, False)
            (ts,) = [line["ts"] for line in await scene.records("decision") if line["id"] == decision_of(fresh)]
            assert any(f"--since {ts} leaves them out" in note for note in found.notes)
        kept.unlink()
        found = await past(scene)
        assert found.left_out == {"not kept": 1, "engine changed": 1}
        assert found.is_empty
        assert any(kept.name in note for note in found.notes)


@pytest.mark.parametrize(
    ("of", "content", "word"),
    [
        ("config_sha256", "[]", "damaged"),
        ("config_sha256", '{"keys":3}', "damaged"),
        ("keys", "[]", "damaged"),
        ("keys", '{"id":"bot"}', "damaged"),
        ("policy_sha256", "[]", "damaged"),
        ("policy_sha256", '{"desk.toml":1}', "damaged"),
        ("policy_sha256", '{"desk.toml":"[orders"}', "another set"),
        ("policy_sha256", json.dumps({"desk.toml": DESK.replace("60000 HKD", "60001 HKD")}), "another set"),
        ("policy_sha256", "{", "not kept"),
    ],
)
async def test_what_was_kept_and_edited_since_judges_nothing(tmp_path: Path, of: str, content: str, word: str) -> None:
    """JSON of another shape, or another text than the hash names: told by file, not judged by, and nothing raises."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        record = await scene.decision(await scene.place())
        folder = tmp_path / "state/config"
        keys = json.loads((folder / f"{record['config_sha256']}.json").read_text())["keys"]
        name = f"{keys if of == 'keys' else record[of]}.json"
        (folder / name).write_text(content)
        found = await past(scene)
        told = explained(tmp_path / "state", record["id"], now=scene.clock.wall())

    assert (found.replayed, found.left_out) == (0, {word: 1})
    assert [note.partition(" ")[0] for note in found.notes] == [f"config/{name}"]
    assert told is not None
    assert told.rules == ()
    assert f"config/{name}" in told.note

    verified = examined(tmp_path / "state", None, None)
    assert verified.result == "ok"  # the record itself is as it was signed
    assert [wrong.partition(" ")[0] for wrong in verified.config] == [f"config/{name}"]


async def test_verify_has_nothing_to_say_of_texts_that_are_what_their_names_say(tmp_path: Path) -> None:
    """Of one guard after another, with other keys and policies; a copy without them is told so, and no exit code."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        await scene.place()
        write_keys(tmp_path / "keys.json", *PEOPLE, record("another"))
        assert (await scene.guard.changes.reload_keys(Who("desk", "one more"))).result == "applied"
        (tmp_path / "policies/desk.toml").write_text(DESK.replace("per_day = 60", "per_day = 61"))
        await scene.guard.changes.policies.reload(Who("desk", "more"))
        await scene.place(remark="2")
    assert examined(tmp_path / "state", None, None).config == ()

    kept = sorted((tmp_path / "state/config").iterdir())
    for path in kept:
        path.unlink()
    result = called(app, "verify", "--state", tmp_path / "state")
    told = [line for line in result.stdout.splitlines() if line.startswith("not of the record: config/")]
    assert result.exit_code == 0
    assert {line.split()[4] for line in told} <= {f"config/{path.name}" for path in kept}
    assert len(told) >= 4


@pytest.mark.parametrize("content", [json.dumps({"desk.toml": DESK.replace("60000 HKD", "60001 HKD")}), "[1]", "{"])
async def test_a_rehearsal_by_texts_that_were_edited_is_refused(tmp_path: Path, content: str) -> None:
    """What waits is replayed by the very set that its hash names, or not at all."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        name = (await scene.decision(await scene.place()))["policy_sha256"]
        (tmp_path / "state/config" / f"{name}.json").write_text(content)
        with pytest.raises(JournalFault, match=f"config/{name}.json"):
            replay_of_kept(tmp_path / "state", name, PAST)


async def test_a_decision_that_was_made_up_is_not_reproduced(tmp_path: Path) -> None:
    """Whoever edits a counter in the record and mends the chain is found out by the rules."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        for price in (200, 201):
            await scene.place(price=price)
        await scene.written()
        found = await past(scene)
        assert (found.replayed, found.unlike) == (2, 0)
        forge(tmp_path / "state/journal/00000001.jsonl", b'"used":[', b'"used":[1')
        found = await past(scene)
        assert (found.replayed, found.unlike) == (2, 1)
        assert "used" in found.broken[0].recorded


async def test_a_record_leaves_it_to_the_policies_what_counts_with_a_claim(tmp_path: Path) -> None:
    """Cells that count against a cap beside the claim's own are in no line, and the decision comes out the same."""
    async with stage(tmp_path, *PEOPLE, policies=DESK) as scene:
        await scene.place(price=200)
        reply = await scene.place(price=201)
        await scene.written()
        config, line = scene.guard.desk.config, decode(encoded(await scene.decision(reply)))
        record = line.typed()
        assert isinstance(record, Decision)
        assert config.policies is not None
        assert b'"also"' not in line.raw
        one = asked(record, config.keyring.principals, datetime.fromisoformat(line.ts))
        assert not isinstance(one, str)
        claims = judgement_of(config.policies, one, is_of_the_day=True).claims
        found = await past(scene)
        assert (sum(bool(claim.also) for claim in claims), found.replayed, found.unlike) == (2, 2, 0)


def forge(path: Path, was: bytes, is_: bytes) -> None:
    """What the second order's record says, once, edited, and every hash after it taken anew."""
    prev, out, orders = "0" * 64, [], 0
    for line in path.read_bytes().splitlines():
        text = re.sub(rb'"prev":"[0-9a-f]{64}"', b'"prev":"%s"' % prev.encode(), line)
        orders += b'"type":"decision"' in text
        if orders == 2:
            assert was in text
            text, orders = text.replace(was, is_, 1), 3
        prev = sha256(text).hexdigest()
        out.append(text + b"\n")
    path.write_bytes(b"".join(out))
