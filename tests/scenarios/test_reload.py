"""Policies and keys read anew: whole or not at all, on record, with the counters of before, under load."""

import asyncio
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from guard.admin import control
from guard.admin.change import ConfigMove, Who
from guard.admin.trading import StateBody
from guard.simulator.faults import Hold
from tests.support.disk import FaultyDisk
from tests.support.guards import codes, key, lines, operate, record, write_keys
from tests.support.stage import Stage, again, code_of, is_passed, stage

PEOPLE: Final = (record("bot"), record("desk", owner="a person"), record("robot"))
RELOAD: Final = "/admin/policy/reload"
WIDE: Final = '[orders]\nmax_value = "20000 HKD"\n'
AT_THE_CAP: Final = """
given = { now = 2026-11-20T10:00:00+08:00, key = "bot", environment = "simulate", account = 123456 }
case = [{ order = { symbol = "HK.00700", qty = 100, price = 200 }, expect = "allow" }]
"""
NARROW: Final = '[orders]\nmax_value = "19999 HKD"\n'


def write(scene: Stage, text: str | bytes, name: str = "desk.toml") -> None:
    """A policy file as an editor would leave it."""
    path = scene.config.parent / "policies" / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


async def metric(scene: Stage, line: str) -> bool:
    """The exposition holds this line."""
    return line in str((await operate(scene.guard, "/metrics"))[1]).splitlines()


async def test_what_a_change_comes_to_is_put_together_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand policies or keys may differ: 1 to 2 ms in the turn in which they come into force."""
    threads: list[threading.Thread] = []

    def noted(work: Callable[..., object]) -> Callable[..., object]:
        def worked(*args: object) -> object:
            threads.append(threading.current_thread())
            return work(*args)

        return worked

    monkeypatch.setattr(control, "_told", noted(control._told))
    monkeypatch.setattr(ConfigMove, "between", noted(ConfigMove.between))
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        write(scene, NARROW)
        assert len((await operate(scene.guard, RELOAD, {"reason": "board limit"}))[1]["changes"]) == 1
        write_keys(scene.config.parent / "keys.json", *PEOPLE, record("new"))
        assert (await scene.guard.changes.reload_keys(Who())).changes == ("key new added",)
    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_an_edit_takes_effect_without_a_restart(tmp_path: Path) -> None:
    """Reloaded policies bind the next order; the answer tells what changed, the record who, why, from what to what."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        before = scene.guard.desk.config.policy_sha256
        assert is_passed(await scene.place())
        write(scene, NARROW)
        status, told = await operate(scene.guard, RELOAD, {"reason": "board limit"})

        assert (status, told["result"]) == (200, "applied")
        (change,) = told["changes"]
        assert (change["policy"], change["rule"], change["kind"]) == ("desk", "orders.max_value", "tighter")
        assert (change["before"], change["after"], told["kind"]) == ("20000 HKD", "19999 HKD", "tighter")
        assert code_of(await scene.place()) == (403, "max_order_value")
        found = (await scene.records("policy"))[-1]
        assert (found["result"], found["by"], found["reason"]) == ("applied", "a person", "board limit")
        assert (found["from_sha256"], found["sha256"]) == (before, told["sha256"])
        assert (found["kind"], len(found["changes"])) == ("tighter", 1)
        assert await metric(scene, 'guard_policy_reloads_total{result="applied"} 1.0')
        assert await metric(scene, "guard_policy_last_reload_success 1.0")
        assert await metric(scene, f'guard_policy_info{{sha256="{told["sha256"]}"}} 1.0')


async def test_a_policy_that_was_taken_away_is_no_label_any_more(tmp_path: Path) -> None:
    """Its refusals were counted while it was in force; after the reload its name is no series."""
    async with stage(tmp_path, *PEOPLE, policies=NARROW) as scene:
        counted = 'guard_refusals_total{code="max_order_value",policy="desk"} 1.0'
        assert code_of(await scene.place()) == (403, "max_order_value")
        assert await metric(scene, counted)
        write(scene, NARROW, name="other.toml")
        (tmp_path / "policies" / "desk.toml").unlink()
        await operate(scene.guard, RELOAD, {})

        assert not await metric(scene, counted)


async def test_what_decided_is_kept_beside_the_record(tmp_path: Path) -> None:
    """Under the hashes of every decision lie the texts that made it, also after reloads of policies and of keys."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        await scene.place(remark="1")
        write(scene, NARROW)
        await operate(scene.guard, RELOAD, {})
        await scene.place(remark="2")
        write_keys(tmp_path / "keys.json", *PEOPLE, record("new"))
        await operate(scene.guard, "/admin/keys/reload", {})
        await scene.place(remark="3")
        decisions = await scene.records("decision")

        kept = {path.stem: path.read_bytes() for path in (tmp_path / "state/config").iterdir()}
        assert len({found["config_sha256"] for found in decisions}) == 3
        for found in decisions:
            assert hashlib.sha256(kept[found["config_sha256"]]).hexdigest() == found["config_sha256"]
            assert found["policy_sha256"] in kept


async def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    """Comments and spaces are no change; nothing is written and nothing swapped."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        config, seq = scene.guard.desk.config, scene.guard.journal.last_seq
        write(scene, f"# a remark\n\n{WIDE}")
        assert (await operate(scene.guard, RELOAD, {}))[1]["result"] == "unchanged"
        assert scene.guard.desk.config is config
        assert scene.guard.journal.last_seq == seq


BROKEN: Final[dict[str, bytes]] = {
    "a typing error": b'[orders]\nmax_valeu = "3 HKD"',
    "half a file": WIDE.encode()[:-5],
    "no UTF-8": b'[policy]\nowner = "\xff"',
    "money without a currency": b'[orders]\nmax_value = "3"',
    "two policies of one id": b'[policy]\nid = "other"',
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_reload_that_fails_keeps_what_was_good_and_is_loud(tmp_path: Path, name: str) -> None:
    """Any error in any file: 422 with the errors, the old policies in force, a record, a metric."""
    policies = {"desk.toml": WIDE, "other.toml": "[orders]\nmax_qty = 100\n"}
    async with stage(tmp_path, *PEOPLE, policies=policies) as scene:
        before = scene.guard.desk.config
        write(scene, NARROW, "narrow.toml")
        write(scene, BROKEN[name])
        status, told = await operate(scene.guard, RELOAD, {"reason": "why"})

        assert (status, told["result"]) == (422, "refused")
        assert told["errors"]
        assert scene.guard.desk.config is before
        assert is_passed(await scene.place())
        found = (await scene.records("policy"))[-1]
        assert (found["result"], found["sha256"]) == ("refused", before.policy_sha256)
        assert found["errors"]
        assert await metric(scene, 'guard_policy_reloads_total{result="refused"} 1.0')
        assert await metric(scene, "guard_policy_last_reload_success 0.0")
        write(scene, WIDE)
        assert (await operate(scene.guard, RELOAD, {}))[1]["result"] == "applied"
        assert await metric(scene, "guard_policy_last_reload_success 1.0")


async def test_a_directory_that_is_gone_keeps_what_was_good(tmp_path: Path) -> None:
    """A policy directory that cannot be read is an error, not an empty set."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        (tmp_path / "policies").rename(tmp_path / "elsewhere")
        assert (await operate(scene.guard, RELOAD, {}))[0] == 422
        assert is_passed(await scene.place())


async def test_an_empty_directory_is_a_set_that_allows_nothing(tmp_path: Path) -> None:
    """Without any policy no limit covers an order, so none passes."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        (tmp_path / "policies/desk.toml").unlink()
        assert (await operate(scene.guard, RELOAD, {}))[1]["result"] == "applied"
        assert code_of(await scene.place()) == (403, "no_policy")


async def test_who_changed_from_something_else_is_told(tmp_path: Path) -> None:
    """If-Match with another hash is 412 and changes nothing."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        before = scene.guard.desk.config.policy_sha256
        write(scene, NARROW)
        url, headers = f"http://127.0.0.1:{scene.guard.ports[1]}{RELOAD}", {"Authorization": f"Bearer {key('desk')}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(url, headers={"If-Match": '"5f5f"'}) as answer:
                assert answer.status == 412
            assert scene.guard.desk.config.policy_sha256 == before
            async with session.post(url, headers={"If-Match": f'"{before}"'}) as answer:
                assert (await answer.json())["result"] == "applied"


async def test_a_reload_of_keys_can_name_those_in_force_too(tmp_path: Path) -> None:
    """If-Match with another hash, or a weak one, is 412 and lets no new key in; one of a list, or *, is enough."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        before = scene.guard.desk.config.keyring.sha256
        url = f"http://127.0.0.1:{scene.guard.ports[1]}/admin/keys/reload"
        statuses = []
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key('desk')}"}) as session:
            for named in ('"5f5f"', f'W/"{before}"', f'"5f5f", "{before}"', f'"{before}"', "*"):
                async with session.post(url, headers={"If-Match": named}) as answer:
                    statuses.append((answer.status, (await answer.json())["result"]))
        assert statuses == [(412, "stale")] * 2 + [(200, "unchanged")] * 3


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "bad_json"),
        (b"[]", "bad_json"),
        (b'{"reason":"a","reason":"b"}', "duplicate_key"),
        (b'{"state":"locked","reason":"a","scope":{"key":["bot"]}}', "unknown_field"),
        (b'{"state":"locked"}', "missing_field"),
        (b'{"state":"shut","reason":"a"}', "bad_value"),
    ],
)
async def test_what_an_operator_says_wrongly_has_the_codes_that_callers_get(
    tmp_path: Path, body: bytes, code: str
) -> None:
    """400, with the code that says what is wrong with the body; nothing is changed."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        url = f"http://127.0.0.1:{scene.guard.ports[1]}/admin/state"
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {key('desk')}"}) as session,
            session.post(url, data=body) as answer,
        ):
            assert (answer.status, (await answer.json())["err_code"]) == (400, code)
        assert is_passed(await scene.place())


@pytest.mark.parametrize("path", [RELOAD, "/admin/keys/reload", "/admin/state"])
async def test_only_persons_with_the_scope_change_anything(tmp_path: Path, path: str) -> None:
    """No key is 401; a key without an owner, or without the scope, is 403; nothing changes."""
    people = (*PEOPLE, record("trader", owner="a person", scopes=["trade:real"]))
    async with stage(tmp_path, *people, policies=WIDE) as scene:
        body = {"state": "locked", "reason": "x"} if path.endswith("state") else {}
        write(scene, NARROW)
        assert (await operate(scene.guard, path, body, who=None))[0] == 401
        for who in ("robot", "trader"):
            assert (await operate(scene.guard, path, body, who=who))[1]["err_code"] == "scope"
        assert is_passed(await scene.place())


# ---------------------------------------------------------------- what goes on


async def test_counters_are_of_what_they_measure_not_of_policies(tmp_path: Path) -> None:
    """A new limit, another file name or another id starts from what the record shows for the window and the day."""
    limits = '[orders]\nmax_value = "90000 HKD"\n[budgets]\ndaily_value = "{} HKD"\n[rates]\nnew_orders = "{}/60s"\n'
    async with stage(tmp_path, *PEOPLE, policies=limits.format(100_000, 10)) as scene:
        for n in range(3):
            assert is_passed(await scene.place(remark=f"n{n}"))
        write(scene, limits.format(60_000, 10))
        await scene.guard.reload()
        assert codes(await scene.place()) == ["daily_value"]
        (tmp_path / "policies/desk.toml").unlink()
        write(scene, '[policy]\nid = "renamed"\n' + limits.format(100_000, 3), "another.toml")
        await scene.guard.reload()
        assert codes(await scene.place()) == ["rate"]
        write(scene, '[policy]\nid = "renamed"\n' + limits.format(80_000, 4), "another.toml")
        await scene.guard.reload()
        assert is_passed(await scene.place())
        assert codes(await scene.place(remark="5")) == ["daily_value", "rate"]


async def test_sighup_reads_keys_and_policies(tmp_path: Path) -> None:
    """A signal does what both endpoints do; one of them failing does not keep the other from being read."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        write(scene, b"[")
        write_keys(tmp_path / "keys.json", record("desk", owner="a person"))
        await scene.guard.reload()
        assert code_of(await scene.place()) == (401, "unauthenticated")
        assert code_of(await scene.place(who="desk", qty=200)) == (403, "max_order_value")
        assert [(found["result"], found["reason"]) for found in await scene.records("keys")] == [("applied", "SIGHUP")]
        assert (await scene.records("policy"))[-1]["result"] == "refused"


@pytest.mark.parametrize("text", [b"{", b'{"version":1,"keys":[]}', b'{"version":2,"keys":[]}', b""])
async def test_keys_that_cannot_be_used_keep_the_old_ones(tmp_path: Path, text: bytes) -> None:
    """A keys.json with any error leaves everybody as they were, and says so."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        (tmp_path / "keys.json").write_bytes(text)
        status, told = await operate(scene.guard, "/admin/keys/reload", {})
        if (status, told["result"]) != (200, "applied"):  # a file without keys is a file; it lets nobody in
            assert (status, told["result"]) == (422, "refused")
            assert is_passed(await scene.place())
        else:
            assert code_of(await scene.place()) == (401, "unauthenticated")


async def test_nothing_changes_that_cannot_be_recorded(tmp_path: Path) -> None:
    """With the journal broken neither policies nor keys nor the trading state change; a HALT file still works."""
    disk = FaultyDisk()
    async with stage(tmp_path, *PEOPLE, policies=WIDE, disk=disk) as scene:
        disk.fails["write"] = OSError(28, "No space left on device")
        await scene.place()
        config = scene.guard.desk.config
        write(scene, NARROW)
        write_keys(tmp_path / "keys.json", *PEOPLE, record("new"))
        assert (await scene.guard.changes.policies.reload(Who())).result == "unrecorded"
        assert (await scene.guard.changes.reload_keys(Who())).result == "unrecorded"
        assert (await scene.guard.changes.set_state(StateBody("locked", "x"), by="desk")).result == "unrecorded"
        assert scene.guard.desk.config is config


async def test_a_key_that_a_reload_brings_is_a_label_of_its_own(tmp_path: Path) -> None:
    """It is no `other` until the next restart."""
    async with stage(tmp_path, record("bot"), policies=WIDE) as scene:
        write_keys(tmp_path / "keys.json", record("bot"), record("new"))
        assert scene.guard.desk.metrics.key("new") == "other"
        assert (await scene.guard.changes.reload_keys(Who())).result == "applied"
        assert scene.guard.desk.metrics.key("new") == "new"


async def test_keys_whose_limits_do_not_compile_are_refused_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were they to load, they would be a sentence, not a fault of the guard: the keys of before stay in force."""
    monkeypatch.setattr("guard.access.fields.ORDERS_PER_MINUTE_MAX", 10**6)
    async with stage(tmp_path, record("bot"), policies=WIDE) as scene:
        write_keys(tmp_path / "keys.json", record("bot"), record("new", max_orders_per_minute=100_001))
        change = await scene.guard.changes.reload_keys(Who())
        assert (change.result, len(change.errors)) == ("refused", 1)
        assert "keys.new.max_orders_per_minute" in str(change.errors[0])
        assert (await scene.records("keys"))[-1]["errors"] == list(change.errors)
        assert [each.id for each in scene.guard.desk.config.keyring.records] == ["bot"]
        assert is_passed(await scene.place(qty=100))


@pytest.mark.parametrize("how", ["fails", "anyway"])
async def test_a_change_is_told_as_made_once_its_record_is_on_the_disk(tmp_path: Path, how: str) -> None:
    """Where the sync fails, whether it happened or not, what was made stays in force, and is not told as kept."""
    disk = FaultyDisk()
    async with stage(tmp_path, *PEOPLE, policies=WIDE, disk=disk) as scene:
        getattr(disk, how)["fdatasync"] = OSError(5, "Input/output error")
        write(scene, NARROW)
        status, told = await operate(scene.guard, RELOAD, {})
        assert (status, told["result"], told["err_code"]) == (503, "unrecorded", "journal_unavailable")
        assert "the change is made" in told["errors"][0]
        assert scene.guard.desk.config.policy_sha256 == told["sha256"]
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.guard.desk.config.policy_sha256 == told["sha256"]


@pytest.mark.parametrize("how", ["fails", "anyway"])
async def test_a_state_binds_though_its_record_cannot_be_synced_and_is_not_told_as_kept(
    tmp_path: Path, how: str
) -> None:
    """Orders stop at once; the answer says that the record may lack it, and what works now."""
    disk = FaultyDisk()
    async with stage(tmp_path, *PEOPLE, policies=WIDE, disk=disk) as scene:
        getattr(disk, how)["fdatasync"] = OSError(5, "Input/output error")
        change = await scene.guard.changes.set_state(StateBody(state="cancel_only", reason="leak"), by="anna")
        assert change.result == "unrecorded"
        assert "a file named HALT in the state directory works now" in str(change.errors[0])
        assert [rule.state for rule in scene.guard.desk.state.trading.values()] == ["cancel_only"]


@pytest.mark.parametrize("how", ["fails", "anyway"])
async def test_a_key_that_is_taken_away_is_gone_though_its_record_cannot_be_synced(tmp_path: Path, how: str) -> None:
    """Taking away comes first; the answer says that the record may lack it."""
    disk = FaultyDisk()
    async with stage(tmp_path, *PEOPLE, policies=WIDE, disk=disk) as scene:
        getattr(disk, how)["fdatasync"] = OSError(5, "Input/output error")
        write_keys(tmp_path / "keys.json", *(each for each in PEOPLE if each["id"] != "bot"))
        status, told = await operate(scene.guard, "/admin/keys/reload", {})
        assert (status, told["result"]) == (503, "unrecorded")
        assert code_of(await scene.place()) == (401, "unauthenticated")


# ---------------------------------------------------------------- under load


async def test_a_thousand_reloads_under_load_never_mix(tmp_path: Path) -> None:
    """Every decision is made by the policies that it names, and these are the last ones on record before it."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        shas: dict[str, str] = {scene.guard.desk.config.policy_sha256: "allow"}
        is_over = False

        async def trade(who: str) -> None:
            n = 0
            while not is_over:
                await scene.place(who=who, remark=f"{who}{n}")
                await asyncio.sleep(0.003)  # or the machine does nothing but trade
                n += 1

        async def reload() -> None:
            for n in range(1000):
                write(scene, (NARROW, WIDE)[n % 2])
                change = await scene.guard.changes.policies.reload(Who(by="desk"))
                assert change.result == "applied"
                shas.setdefault(change.sha256, "refuse" if n % 2 == 0 else "allow")

        traders = [asyncio.ensure_future(trade(who)) for who in ("bot", "robot", "bot", "robot")]
        await reload()
        is_over = True
        await asyncio.gather(*traders)
    in_force, seen = "", {"allow": 0, "refuse": 0}
    for line in lines(scene.config):
        if line["type"] == "policy":
            in_force = line["sha256"]
        if line["type"] == "decision":
            assert line["policy_sha256"] == in_force
            assert line["outcome"] == shas[in_force]
            seen[line["outcome"]] += 1
    assert min(seen.values()) > 20


async def test_a_policy_reloaded_while_an_order_waits_binds_it(tmp_path: Path) -> None:
    """An order that waited for the daemon's account list is decided by what is in force when it is decided."""
    async with stage(tmp_path, *PEOPLE, policies=WIDE) as scene:
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path="/api/accounts")
        asked = asyncio.ensure_future(scene.place())
        await scene.until_reached("/api/accounts")
        write(scene, NARROW)
        assert (await scene.guard.changes.policies.reload(Who())).result == "applied"
        go.set()
        reply = await asked
        assert code_of(reply) == (403, "max_order_value")
        assert (await scene.decision(reply))["policy_sha256"] == scene.guard.desk.config.policy_sha256


async def test_a_reload_whose_own_tests_fail_is_refused(tmp_path: Path) -> None:
    """The tests beside the policies are run by every reload; what fails is told, and what was in force still is."""
    policies = {"desk.toml": WIDE, "desk_test.toml": AT_THE_CAP}
    async with stage(tmp_path, *PEOPLE, policies=policies) as scene:
        write(scene, NARROW)
        status, told = await operate(scene.guard, RELOAD, {})
        assert (status, [error["code"] for error in told["errors"]]) == (422, ["test_failed"])
        assert is_passed(await scene.place())
        write(scene, WIDE.replace("20000", "20001"))
        assert (await operate(scene.guard, RELOAD, {}))[1]["result"] == "applied"
