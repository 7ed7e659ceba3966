"""Change control: who may make policies looser, for how long, and what a restart makes of it."""

import asyncio
import fcntl
import os
from collections.abc import Mapping
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from guard.admin.change import Who
from tests.support.clock import end
from tests.support.disk import NO_SPACE, FaultyDisk
from tests.support.guards import operate, record, write_keys
from tests.support.stage import Stage, again, code_of, is_passed, stage

RELOAD: Final = "/admin/policy/reload"
APPROVE: Final = "/admin/policy/approve"
TWO: Final = "[trading]\nenabled = true\n[policies]\ntwo_person = true\n"
BASE: Final = '[orders]\nmax_value = "20000 HKD"\n'
LOOSE: Final = '[orders]\nmax_value = "40000 HKD"\n'
TIGHT: Final = '[orders]\nmax_value = "19999 HKD"\n'
SHADOW: Final = '[policy]\nmode = "shadow"\n[orders]\nmax_value = "10000 HKD"\n'
ITSELF: Final = "key desk asked for it, whoever owns it now; another owner has to approve, with another key"
PEOPLE: Final = (record("bot"), record("desk", owner="anna"), record("risk", owner="ben"), record("also", owner="anna"))

pytestmark = pytest.mark.usefixtures("files_when_told")


async def reload(scene: Stage, *, who: str = "desk", **body: Any) -> dict[str, Any]:
    """The answer to a reload."""
    told: dict[str, Any] = (await operate(scene.guard, RELOAD, body, who=who))[1]
    return told


async def approve(scene: Stage, sha256: str, *, who: str = "risk", reason: str = "agreed") -> tuple[int, Any]:
    """A second person's word."""
    return await operate(scene.guard, APPROVE, {"sha256": sha256, "reason": reason}, who=who)


async def test_tightening_applies_at_once(tmp_path: Path) -> None:
    """What lets nothing new through needs nobody else, and no reason."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(TIGHT)
        told = await reload(scene)
        assert (told["result"], told["kind"]) == ("applied", "tighter")
        assert code_of(await scene.place()) == (403, "max_order_value")


async def test_loosening_waits_for_another_owner(tmp_path: Path) -> None:
    """Asked for by one, approved by another with a reason; the record names both, both keys and what was replayed."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="larger lots")
        assert (asked["result"], asked["kind"]) == ("pending", "looser")
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")

        await scene.written()
        shown = (await operate(scene.guard, "/admin/policy"))[1]["pending"]
        assert (shown["sha256"], shown["by"], shown["reason"]) == (asked["sha256"], "anna", "larger lots")
        assert shown["key"] == "desk"
        assert (shown["replay"]["newly_allowed"], shown["replay"]["not_reproduced"]) == (2, 0)
        status, told = await approve(scene, asked["sha256"])

        assert (status, told["result"]) == (200, "applied")
        assert told["replay"]["newly_allowed"] == 2
        assert is_passed(await scene.place(qty=200))
        found = (await scene.records("policy"))[-1]
        assert (found["by"], found["key"], found["reason"]) == ("ben", "risk", "agreed")
        assert found["asked_key"] == "desk"
        assert (found["asked_by"], found["asked_reason"], found["kind"]) == ("anna", "larger lots", "looser")
        assert found["replay"]["newly_allowed"] == 2


@pytest.mark.parametrize(
    ("who", "reason", "word"),
    [("desk", "agreed", "another owner"), ("also", "agreed", "another owner"), ("risk", "  ", "reason")],
)
async def test_the_same_person_or_no_reason_does_not_approve(tmp_path: Path, who: str, reason: str, word: str) -> None:
    """Another key of the same owner is the same person."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="why")
        status, told = await approve(scene, asked["sha256"], who=who, reason=reason)
        assert status == 422
        assert word in told["errors"][0]
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        metrics = str((await operate(scene.guard, "/metrics", who=None))[1])
        assert '\nguard_policy_reloads_total{result="refused"} 1.0\n' in metrics
        assert "\nguard_policy_last_reload_success 1.0\n" in metrics  # the files are not what is wrong


@pytest.mark.parametrize("owner", ["Anna", "ANNA", " anna", "anna ", "\uff41nna"])
async def test_one_person_is_not_two_for_how_a_name_is_written(tmp_path: Path, owner: str) -> None:
    """Two keys of hers, whose records differ in a capital or a blank, do not agree with each other."""
    people = (*PEOPLE, record("twice", owner=owner))
    async with stage(tmp_path, *people, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="why")
        status, told = await approve(scene, asked["sha256"], who="twice")

        assert status == 422
        assert "another owner" in told["errors"][0]


async def test_a_key_whose_owner_was_renamed_does_not_approve_what_it_asked_for(tmp_path: Path) -> None:
    """A name in keys.json makes one key no second person; the reload that renames it says with which key."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="why")
        write_keys(scene.config.parent / "keys.json", *PEOPLE[:1], record("desk", owner="carl"), *PEOPLE[2:])
        assert (await operate(scene.guard, "/admin/keys/reload", {}, who="risk"))[1]["result"] == "applied"
        status, told = await approve(scene, asked["sha256"], who="desk")

        assert (status, told["errors"]) == (422, [ITSELF])
        assert (await scene.records("keys"))[-1]["key"] == "risk"
        assert (await approve(scene, asked["sha256"]))[0] == 200


async def test_whoever_has_lost_the_key_approves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an approval waits for, the past replayed, takes minutes: whose key ends meanwhile is nobody any more."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def slowly(_: str) -> Mapping[str, object]:
        begun.set()
        await over.wait()
        return {}

    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="why")
        monkeypatch.setattr(scene.guard.changes.policies, "_rehearse", slowly)
        approving = asyncio.ensure_future(approve(scene, asked["sha256"]))
        await begun.wait()
        write_keys(tmp_path / "keys.json", *[each for each in PEOPLE if each["id"] != "risk"])
        assert (await operate(scene.guard, "/admin/keys/reload", {}))[1]["changes"] == ["key risk removed"]
        over.set()
        status, told = await approving

        assert (status, told["err_code"], told["result"]) == (401, "unauthenticated", "ended")
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        shown = (await operate(scene.guard, "/admin/policy"))[1]["pending"]
        assert shown["sha256"] == asked["sha256"]  # it still waits, for somebody else


async def test_the_past_is_replayed_once_for_all_who_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each replay is a process that reads a whole day: whoever asks while one is under way waits for what it says."""
    begun, over = list[str](), asyncio.Event()

    async def slowly(sha256: str) -> Mapping[str, object]:
        begun.append(sha256)
        await over.wait()
        return {"newly_allowed": 3}

    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="why")
        monkeypatch.setattr(scene.guard.changes.policies, "_rehearse", slowly)
        policies = scene.guard.changes.policies
        looking = [asyncio.ensure_future(policies.rehearsal()) for _ in range(5)]
        approving = asyncio.ensure_future(policies.approve(asked["sha256"], Who("ben", "agreed")))
        await asyncio.sleep(0)
        over.set()

        shown = [(waiting.sha256, replay) for waiting, replay in filter(None, await asyncio.gather(*looking))]
        assert shown == [(asked["sha256"], {"newly_allowed": 3})] * 5
        assert (await approving).replay == {"newly_allowed": 3}
        assert begun == [asked["sha256"]]


async def test_a_replay_is_shown_with_the_set_that_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another set may come to wait while somebody waits for what the first one would have done."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def slowly(sha256: str) -> Mapping[str, object]:
        begun.set()
        await over.wait()
        return {"of": sha256}

    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        first = (await reload(scene, reason="why"))["sha256"]
        monkeypatch.setattr(scene.guard.changes.policies, "_rehearse", slowly)
        looking = [asyncio.ensure_future(operate(scene.guard, "/admin/policy")) for _ in range(2)]
        await begun.wait()
        scene.write_policy(f'{LOOSE}[instruments]\nblocked_symbols = ["US.GME"]\n')
        second = (await reload(scene, reason="why"))["sha256"]
        over.set()
        shown = [(await each)[1]["pending"] for each in looking]
        assert first != second
        assert all(one["replay"]["of"] == one["sha256"] for one in shown)


async def test_a_loosening_is_asked_for_by_a_person_with_a_reason(tmp_path: Path) -> None:
    """Neither a signal nor somebody without a reason makes one pending."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        assert (await reload(scene))["result"] == "refused"
        assert (await scene.guard.changes.policies.reload(Who(reason="SIGHUP"))).result == "refused"
        assert (await approve(scene, "0" * 64))[0] == 422


async def test_what_waited_is_approved_after_a_restart(tmp_path: Path) -> None:
    """Pending is in the record; the restart itself does not apply what lies in the directory."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="why")
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        assert (await approve(scene, asked["sha256"]))[1]["result"] == "applied"
        assert is_passed(await scene.place(qty=200))
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert is_passed(await scene.place(qty=200, price=199))


async def test_a_restart_is_no_way_round(tmp_path: Path) -> None:
    """Looser files in the directory at start are held back, and told as drift; tighter ones are taken."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        await scene.guard.watch.look()
        assert scene.guard.watch.drift == {"policies": True, "keys": False}
        scene.write_policy(TIGHT)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place()) == (403, "max_order_value")


@pytest.mark.parametrize("is_first", [True, False])
async def test_where_none_are_in_force_any_policies_are_looser(tmp_path: Path, is_first: bool) -> None:
    """Without policies new orders are refused: the first ones need a second person too, and those after a loss."""
    async with stage(tmp_path, *PEOPLE, policies="[orders]\nmax = 1\n" if is_first else BASE, toml=TWO) as scene:
        lost = tmp_path / "state/config" / f"{scene.guard.desk.config.policy_sha256}.json"
    if not is_first:
        lost.unlink()
        scene.write_policy(LOOSE)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place()) == (503, "policy_unavailable")
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="to begin with")
        assert (asked["result"], asked["kind"]) == ("pending", "looser")
        assert "no policies were in force" in asked["changes"][0]["words"]
        assert code_of(await scene.place()) == (503, "policy_unavailable")
        assert (await approve(scene, asked["sha256"], who="also"))[0] == 422
        assert (await approve(scene, asked["sha256"]))[1]["result"] == "applied"
        assert is_passed(await scene.place(qty=200))


async def test_what_changed_meanwhile_is_not_approved(tmp_path: Path) -> None:
    """An approval is of one change from one set: another set in force, or taken back files, make it void."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="why")
        scene.write_policy(TIGHT)
        assert (await reload(scene))["result"] == "applied"
        assert (await approve(scene, asked["sha256"]))[0] == 422
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="why")
        scene.write_policy(TIGHT)
        assert (await reload(scene))["result"] == "unchanged"
        assert (await scene.records("policy"))[-1]["result"] == "withdrawn"
        assert (await approve(scene, asked["sha256"]))[0] == 422


async def test_from_its_end_on_nothing_is_judged_by_what_was_in_force_for_a_time(tmp_path: Path) -> None:
    """Whatever else has its turn, a reload that counts for minutes perhaps: orders wait for what was before."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="earnings", until=end(scene.clock))
        assert (await approve(scene, asked["sha256"]))[1]["result"] == "applied"
        placed = await scene.placed(qty=200)
        scene.clock.advance(s=600)

        assert code_of(await scene.place(qty=200, price=199)) == (503, "policy_unavailable")
        assert code_of(await scene.modify(placed, qty=200, price=199)) == (503, "policy_unavailable")
        assert is_passed(await scene.cancel(placed))
        await scene.guard.changes.policies.tick()
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        assert is_passed(await scene.place())


async def test_an_end_that_has_passed_is_not_approved(tmp_path: Path) -> None:
    """What was to be in force until then never is."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="earnings", until=end(scene.clock))
        scene.clock.advance(s=600)
        status, told = await approve(scene, asked["sha256"])

        assert (status, told["result"]) == (422, "refused")
        assert "which has passed" in told["errors"][0]
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")


async def test_a_loosening_with_an_end_goes_back_by_itself(tmp_path: Path) -> None:
    """At its end what was in force before is again, though the files still say otherwise; the record says so."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        before = scene.guard.desk.config.policy_sha256
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="earnings", until=end(scene.clock))
        assert (await approve(scene, asked["sha256"]))[1]["result"] == "applied"
        assert is_passed(await scene.place(qty=200))
        scene.clock.advance(s=599)
        await scene.guard.changes.policies.tick()
        assert is_passed(await scene.place(qty=200, price=199))
        scene.clock.advance(s=1)
        await scene.guard.changes.policies.tick()

        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        found = (await scene.records("policy"))[-1]
        assert (found["result"], found["by"], found["sha256"], found["kind"]) == (
            "reverted",
            "expiry",
            before,
            "tighter",
        )
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")


@pytest.mark.parametrize("toml", [TWO, "[trading]\nenabled = true\n"])
@pytest.mark.parametrize("minutes", [5, 15])
async def test_an_end_is_kept_across_a_restart(tmp_path: Path, toml: str, minutes: int) -> None:
    """Whether the guard runs at that time or not; also where one person may change policies alone."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=toml) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="earnings", until=end(scene.clock))
        if asked["result"] == "pending":
            assert (await approve(scene, asked["sha256"]))[1]["result"] == "applied"
    scene.clock.advance(s=60 * minutes)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert is_passed(await scene.place(qty=200)) == (minutes < 10)
        scene.clock.advance(s=60 * 10)
        await scene.guard.changes.policies.tick()
        assert code_of(await scene.place(qty=200, price=199)) == (403, "max_order_value")
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place(qty=200, price=198)) == (403, "max_order_value")


async def test_what_builds_on_a_change_that_ends_ends_with_it(tmp_path: Path) -> None:
    """A tightening on top of a loosening with an end goes back with it, and the answer says so; on its own it stays."""
    shut = '[orders]\nmax_value = "{cap} HKD"\n[instruments]\nblocked_symbols = ["HK.00388"]\n'
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="earnings", until=end(scene.clock))
        await approve(scene, asked["sha256"])
        scene.write_policy(shut.format(cap=40000))
        told = await reload(scene)
        assert (told["result"], told["kind"]) == ("applied", "tighter")
        assert "goes back" in told["warnings"][0]
        scene.write_policy(shut.format(cap=20000))
        told = await reload(scene)
        assert (told["result"], told["warnings"]) == ("applied", [])
        scene.clock.advance(s=900)
        await scene.guard.changes.policies.tick()
        assert code_of(await scene.place(code="00388")) == (403, "symbol")


async def test_an_end_in_the_past_is_refused(tmp_path: Path) -> None:
    """And a time without a zone is none."""
    async with stage(tmp_path, *PEOPLE, policies=BASE) as scene:
        scene.write_policy(LOOSE)
        told = await reload(scene, until="2020-01-01T08:00:00+08:00")
        now = f"{scene.clock.wall():%Y-%m-%dT%H:%M:%SZ}"
        wrong = f"until: 2020-01-01T00:00:00Z has passed by the guard's clock, {now}: name a time to come"
        assert (told["result"], told["errors"]) == ("refused", [wrong])
        assert (await operate(scene.guard, RELOAD, {"until": "2099-01-01T00:00:00"}))[0] == 400


async def test_an_end_is_told_in_utc(tmp_path: Path) -> None:
    """However it was written: a person in Hong Kong is not told eight hours more, nor is a reader of the report."""
    async with stage(tmp_path, *PEOPLE, policies=BASE) as scene:
        ends = scene.clock.wall() + timedelta(minutes=10)
        scene.write_policy(LOOSE)
        told = await reload(scene, reason="earnings", until=ends.astimezone(timezone(timedelta(hours=8))).isoformat())
        assert (told["result"], told["until"]) == ("applied", ends.isoformat().replace("+00:00", "Z"))
        scene.clock.advance(s=600)
        await scene.guard.changes.policies.tick()
        await scene.written()
        assert (await scene.records("policy"))[-1]["reason"] == f"until {ends:%Y-%m-%dT%H:%M:%SZ}"
        assert (await operate(scene.guard, RELOAD, {"until": "9999-12-31T23:59:59-10:00"}))[0] == 400


async def test_what_cannot_be_recorded_neither_waits_nor_applies(tmp_path: Path) -> None:
    """With the journal broken nothing is pending and nothing is approved; a set that ends goes back all the same."""
    disk = FaultyDisk()
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO, disk=disk) as scene:
        policies = scene.guard.changes.policies
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="earnings", until=end(scene.clock))
        disk.fails["write"] = OSError(28, "No space left on device")
        await scene.place()
        assert (await policies.approve(asked["sha256"], Who("ben", "agreed"))).result == "unrecorded"
        assert policies.policy_change.pending is not None
        assert (await policies.reload(Who("anna", "again"))).result == "unrecorded"


class NoRoom(FaultyDisk):
    """No room for what is appended to the record, or for what is put beside it, from then on."""

    full: Literal["record", "beside"] | None = None

    def write(self, fd: int, data: memoryview) -> int:
        """Writes, where there is room for it."""
        is_record = bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND)
        if self.full == ("record" if is_record else "beside"):
            raise NO_SPACE
        return super().write(fd, data)


@pytest.mark.parametrize(
    ("full", "code"), [("record", (503, "journal_unavailable")), ("beside", (403, "max_order_value"))]
)
async def test_an_approval_that_the_disk_had_no_room_for_is_none_after_a_restart(
    tmp_path: Path, full: Literal["record", "beside"], code: tuple[int, str]
) -> None:
    """It is told as not on record; no order goes by it, and the next start waits for a second person again."""
    disk = NoRoom()
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO, disk=disk) as scene:
        before = scene.guard.desk.config.policy_sha256
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="larger lots")
        disk.full = full
        status, told = await approve(scene, asked["sha256"])
        assert (status, told["result"]) == (503, "unrecorded")
        assert code_of(await scene.place(qty=200)) == code
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.guard.desk.config.policy_sha256 == before
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        assert scene.reached() == []
        assert (await approve(scene, asked["sha256"]))[0] == 200
        assert is_passed(await scene.place(qty=200))


async def test_an_end_comes_although_the_record_is_broken(tmp_path: Path) -> None:
    """Going back is tightening: it is done first; a start finds the end in the record of before and goes back too."""
    disk = FaultyDisk()
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO, disk=disk) as scene:
        before = scene.guard.desk.config.policy_sha256
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="earnings", until=end(scene.clock))
        assert (await approve(scene, asked["sha256"]))[1]["result"] == "applied"
        disk.fails["write"] = OSError(28, "No space left on device")
        await scene.place()
        scene.clock.advance(s=600)
        await scene.guard.changes.policies.tick()
        assert scene.guard.desk.config.policy_sha256 == before
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.guard.desk.config.policy_sha256 == before


async def test_nobody_gives_a_change_that_ends_another_end(tmp_path: Path) -> None:
    """One person can neither make an agreed loosening last longer, nor make it what a later end goes back to."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="earnings", until=end(scene.clock))
        assert (await approve(scene, asked["sha256"]))[1]["result"] == "applied"
        scene.write_policy('[orders]\nmax_value = "39999 HKD"\n')
        for minutes in (1, 30):
            told = await reload(scene, reason="longer", until=end(scene.clock, minutes))
            assert told["result"] == "refused"
            assert "without until" in told["errors"][0]
        for _ in range(4):
            scene.clock.advance(s=600)
            await scene.guard.changes.policies.tick()
            assert code_of(await scene.place(qty=200)) == (403, "max_order_value")


def watched(scene: Stage) -> list[str]:
    """The policies in shadow that are judged now."""
    policies = scene.guard.desk.config.policies
    assert policies is not None
    return [doc.id for doc in policies.shadow_docs]


async def test_policies_in_shadow_come_back_with_those_that_are_enforced(tmp_path: Path) -> None:
    """Those of last: also where the enforced ones had been in force without them; at an end, and at a start."""
    async with stage(tmp_path, *PEOPLE, policies=BASE) as scene:
        scene.write_policy(SHADOW, "watch.toml")
        assert (await reload(scene))["result"] == "applied"
        scene.write_policy(LOOSE)
        assert (await reload(scene, until=end(scene.clock)))["result"] == "applied"
        scene.clock.advance(s=600)
        await scene.guard.changes.policies.tick()
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        assert watched(scene) == ["watch"]
    scene.write_policy("no policy")
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert watched(scene) == ["watch"]


async def test_a_set_is_approved_with_its_policies_in_shadow(tmp_path: Path) -> None:
    """What was asked for, though the same had been enforced before with nothing in shadow beside it."""
    async with stage(tmp_path, *PEOPLE, policies=LOOSE, toml=TWO) as scene:
        scene.write_policy(BASE)
        assert (await reload(scene))["result"] == "applied"
        scene.write_policy(LOOSE)
        scene.write_policy(SHADOW, "watch.toml")
        asked = await reload(scene, reason="larger lots")
        assert (await approve(scene, asked["sha256"]))[1]["result"] == "applied"
        assert watched(scene) == ["watch"]


async def test_an_end_that_nothing_would_go_back_at_is_refused(tmp_path: Path) -> None:
    """What is in force already stays without an end, whoever put it there; so does a change in shadow alone."""
    async with stage(tmp_path, *PEOPLE, policies=BASE) as scene:
        scene.write_policy(LOOSE)
        assert (await reload(scene))["result"] == "applied"
        told = await reload(scene, until=end(scene.clock))
        assert (told["result"], "expires_at" in told["errors"][0]) == ("refused", True)
        scene.write_policy(SHADOW, "watch.toml")
        assert (await reload(scene, until=end(scene.clock)))["result"] == "refused"
        scene.write_policy(TIGHT)
        until = end(scene.clock)
        assert (await reload(scene, until=until))["result"] == "applied"
        assert (await reload(scene, until=until))["result"] == "unchanged"
        assert (await reload(scene, until=end(scene.clock, 20)))["result"] == "refused"


async def test_what_a_start_finds_on_top_of_what_ends_ends_with_it(tmp_path: Path) -> None:
    """Files that were edited while no guard ran make nothing last; a set no looser than the one before stands."""
    async with stage(tmp_path, *PEOPLE, policies=BASE) as scene:
        scene.write_policy(LOOSE)
        assert (await reload(scene, until=end(scene.clock)))["result"] == "applied"
    scene.write_policy('[orders]\ntypes = ["NORMAL"]\n', "types.toml")
    for turn in range(2):  # also at a start after that
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            assert is_passed(await scene.place(qty=200, remark=str(turn)))
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        scene.clock.advance(s=600)
        await scene.guard.changes.policies.tick()
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")


async def test_what_a_start_finds_that_is_no_looser_than_before_stands(tmp_path: Path) -> None:
    """It does not go back to what was before, which would let more through."""
    async with stage(tmp_path, *PEOPLE, policies=BASE) as scene:
        scene.write_policy(LOOSE)
        assert (await reload(scene, until=end(scene.clock)))["result"] == "applied"
    scene.write_policy(TIGHT)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        scene.clock.advance(s=600)
        await scene.guard.changes.policies.tick()
        assert code_of(await scene.place()) == (403, "max_order_value")


async def loosened_and_over(scene: Stage) -> None:
    """What was in force for a time has gone back; the files still say it."""
    scene.write_policy(LOOSE)
    assert (await reload(scene, until=end(scene.clock)))["result"] == "applied"
    scene.clock.advance(s=600)
    await scene.guard.changes.policies.tick()


async def test_a_signal_does_not_bring_back_what_has_ended(tmp_path: Path) -> None:
    """Whatever it was sent for, a certificate say; after a restart as well. A person brings it back."""
    async with stage(tmp_path, *PEOPLE, policies=BASE) as scene:
        await loosened_and_over(scene)
        await scene.guard.reload()
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        await scene.guard.reload()
        assert code_of(await scene.place(qty=200, remark="again")) == (403, "max_order_value")
        assert (await reload(scene))["result"] == "applied"
        await scene.guard.reload()
        assert is_passed(await scene.place(qty=200, remark="once more"))


async def test_files_that_are_put_right_after_an_end_need_no_person(tmp_path: Path) -> None:
    """Only what has ended is held back: what the files say instead is taken at a signal, and then that once more."""
    async with stage(tmp_path, *PEOPLE, policies=BASE) as scene:
        await loosened_and_over(scene)
        for text, is_loose in ((TIGHT, False), (LOOSE, True)):
            scene.write_policy(text)
            await scene.guard.reload()
            assert is_passed(await scene.place(qty=200)) is is_loose


async def test_what_is_tightened_while_no_guard_ran_is_taken_though_what_is_in_force_ends(tmp_path: Path) -> None:
    """Two persons are for what is looser. What is put back stands; what is less loose than what ends, ends with it."""
    wide = LOOSE.replace("40000", "60000")
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(wide)
        asked = await reload(scene, reason="larger lots", until=end(scene.clock))
        assert (await approve(scene, asked["sha256"]))[1]["result"] == "applied"
        assert is_passed(await scene.place(qty=300))
    scene.write_policy(LOOSE)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place(qty=300, remark="less")) == (403, "max_order_value")
        assert is_passed(await scene.place(qty=200))
    scene.write_policy(wide)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place(qty=300, remark="no way round")) == (403, "max_order_value")
        scene.clock.advance(s=600)
        await scene.guard.changes.policies.tick()
        assert code_of(await scene.place(qty=200, remark="over")) == (403, "max_order_value")


async def test_what_is_put_back_while_no_guard_ran_is_in_force_at_once(tmp_path: Path) -> None:
    """Nobody waits for the end of what is looser."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="larger lots", until=end(scene.clock))
        assert (await approve(scene, asked["sha256"]))[1]["result"] == "applied"
    scene.write_policy(BASE)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        assert scene.guard.changes.policies.policy_change.temporary is None


async def test_a_change_whose_texts_are_gone_is_not_approved(tmp_path: Path) -> None:
    """What was asked for cannot be had, which is told with the cure; what was in force still is."""
    async with stage(tmp_path, *PEOPLE, policies=BASE, toml=TWO) as scene:
        scene.write_policy(LOOSE)
        asked = await reload(scene, reason="larger lots")
        (tmp_path / "state/config" / f"{asked['sha256']}.json").unlink()

        status, told = await approve(scene, asked["sha256"])

        assert (status, told["result"], told["errors"]) == (422, "refused", ["its texts are not kept; reload again"])
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
