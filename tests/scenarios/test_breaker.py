"""A key whose orders vanish, or that the daemon keeps refusing, is stopped by itself until a person sets it active."""

from pathlib import Path
from typing import Final

from guard.simulator.faults import HttpError, Ids
from tests.support.dump import dump
from tests.support.faulted import declined, lost
from tests.support.guards import operate, record, said
from tests.support.stage import MODIFY, ORDER, again, code_of, is_passed, stage

KEYS: Final = (record("bot"), record("other"), record("desk", owner="a person"))
POLICY: Final = """
[orders]
max_value = ["1000000 HKD"]
[breaker]
unknowns = "3/300s"
daemon_refusals = "4/60s"
"""


async def test_the_third_unknown_stops_the_key_and_nobody_else(tmp_path: Path) -> None:
    """`unknowns = "3/300s"`: orders and changes of the key are `halted`; its cancels, its reads and others go on."""
    async with stage(tmp_path, *KEYS, policies=POLICY) as scene:
        name = await scene.placed()
        for _ in range(2):
            assert code_of(await lost(scene)) == (504, "outcome_unknown")
        assert is_passed(await scene.place())
        assert code_of(await lost(scene)) == (504, "outcome_unknown")

        halted = await scene.place()
        assert code_of(halted) == (423, "halted")
        assert "3 unknown outcomes in 300s" in said(halted)["ret_msg"]
        assert code_of(await scene.modify(name)) == (423, "halted")
        assert is_passed(await scene.cancel(name))
        assert (await scene.ask("/api/quote", {"symbols": ["HK.00700"]})).status == 200
        assert is_passed(await scene.place(who="other"))


async def test_who_and_why_are_in_the_record_once(tmp_path: Path) -> None:
    """A `state` record by "breaker" with the key as its scope; outcomes that come after it add no other."""
    async with stage(tmp_path, *KEYS, policies=POLICY) as scene:
        name = await scene.placed()
        for _ in range(3):
            await lost(scene)
        scene.daemon.faults.add(HttpError(500), path=MODIFY)
        await scene.cancel(name)
        (state,) = await scene.records("state")
        assert (state["state"], state["by"], state["scope"]) == ("cancel_only", "breaker", {"keys": ["bot"]})
        assert "desk breaker.unknowns" in state["reason"]
        counted = [outcome for outcome in await scene.records("outcome") if "claims" in outcome]
        assert len(counted) == 4
        claim = {"kind": "rate", "counter": "breaker_unknowns/key=bot", "amount": 1, "cap": None, "window_ms": 300_000}
        assert counted[0]["claims"] == [claim]
        _, told = await operate(scene.guard, "/status")
        assert [rule["by"] for rule in told["trading"]["rules"]] == ["breaker"]
        status, ready = await operate(scene.guard, "/readyz")
        assert (status, ready["reasons"][0].startswith("breaker: bot stopped by itself")) == (200, True)


async def test_refusals_of_the_daemon_are_counted_by_themselves(tmp_path: Path) -> None:
    """`daemon_refusals = "4/60s"`: what the guard itself refuses, and what is too long ago, does not count."""
    async with stage(tmp_path, *KEYS, policies=POLICY) as scene:
        for _ in range(3):
            await declined(scene)
        for _ in range(5):
            assert code_of(await scene.place(qty=1_000_000)) == (403, "max_order_value")
        await lost(scene)
        scene.clock.advance(s=58)
        await declined(scene)
        assert is_passed(await scene.place())
        for _ in range(3):
            await declined(scene)
        halted = await scene.place()
        assert code_of(halted) == (423, "halted")
        assert "4 daemon refusals in 60s" in said(halted)["ret_msg"]


async def test_a_person_sets_it_active_and_the_count_begins_anew(tmp_path: Path) -> None:
    """`active` for the key lifts what the breaker did and forgets what it counted; for everyone it does not."""
    async with stage(tmp_path, *KEYS, policies=POLICY) as scene:
        for _ in range(3):
            await lost(scene)
        await scene.set_state("active")
        assert code_of(await scene.place()) == (423, "halted")
        await scene.set_state("active", keys=("bot", "other"))
        assert is_passed(await scene.place())
        for _ in range(2):
            await lost(scene)
            assert is_passed(await scene.place())
        await lost(scene)
        assert code_of(await scene.place()) == (423, "halted")


async def test_a_restart_finds_the_counts_the_stop_and_the_reset(tmp_path: Path) -> None:
    """Folding the record gives what memory had, before the breaker opened, while it was open and after."""
    async with stage(tmp_path, *KEYS, policies=POLICY) as scene:
        for _ in range(2):
            await lost(scene)
        before = dump(scene.guard.desk.state)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as second:
        assert dump(second.guard.desk.state)["logs"] == before["logs"]
        await lost(second)
        assert code_of(await second.place()) == (423, "halted")
        before = dump(second.guard.desk.state)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as third:
        after = dump(third.guard.desk.state)
        assert (after["logs"], after["trading"]) == (before["logs"], before["trading"])
        assert code_of(await third.place()) == (423, "halted")
        await third.set_state("active", keys=("bot",))
        before = dump(third.guard.desk.state)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as fourth:
        after = dump(fourth.guard.desk.state)
        assert (after["logs"], after["trading"]) == (before["logs"], before["trading"])
        assert is_passed(await fourth.place())


async def test_a_stricter_word_of_a_person_stays(tmp_path: Path) -> None:
    """A key that a person has locked is not set to `cancel_only` by its breaker."""
    async with stage(tmp_path, *KEYS, policies=POLICY) as scene:
        name = await scene.placed()
        await scene.set_state("locked", keys=("bot",))
        for _ in range(3):
            scene.daemon.faults.add(HttpError(500), path=MODIFY)
            await scene.cancel(name)
        (state,) = await scene.records("state")
        assert (state["state"], state["by"]) == ("locked", "desk")


async def test_a_stub_answer_of_the_simulated_environment_feeds_no_breaker(tmp_path: Path) -> None:
    """It passes as `Guard-Outcome: unknown`, and says nothing about the key."""
    async with stage(tmp_path, *KEYS, policies=POLICY) as scene:
        for _ in range(4):
            scene.daemon.faults.add(Ids(), path=ORDER)
            assert (await scene.place()).status == 200
        assert is_passed(await scene.place())
        assert not scene.stamps("breaker_unknowns")


async def test_a_breaker_that_is_loaded_later_starts_from_what_happened(tmp_path: Path) -> None:
    """What was lost in the last minute counts, although no policy asked for it then."""
    without = POLICY.partition("[breaker]")[0]
    async with stage(tmp_path, *KEYS, policies=without) as scene:
        for _ in range(4):
            await lost(scene)
        assert is_passed(await scene.place())
        scene.write_policy(POLICY)
        await operate(scene.guard, "/admin/policy/reload", {"reason": "careful"})
        assert is_passed(await scene.place())
        await lost(scene)
        assert code_of(await scene.place()) == (423, "halted")
