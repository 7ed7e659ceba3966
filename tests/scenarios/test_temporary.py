"""Temporary policies: told wherever they bind, and gone at their end with the counters that were made for them."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from guard import lifecycle, supervisor
from guard.admin.change import Who
from guard.journal.backlog import QueueBounds
from guard.replay.explained import explained
from tests.support.clock import end
from tests.support.guards import operate, order, record, said
from tests.support.journal import overwrite
from tests.support.stage import Stage, again, code_of, decision_of, is_passed, stage

KEYS: Final = (record("bot"), record("desk", owner="a person"))
WIDE: Final = '[orders]\nmax_value = "60000 HKD"\n'
SHORT: Final = '[policy]\nexpires_at = {end}\n[orders]\nmax_value = "30000 HKD"\n'
BUDGET: Final = '[policy]\nexpires_at = {end}\n[orders]\nper_day = 2\n[budgets]\ndaily_value = "50000 HKD"\n'

pytestmark = pytest.mark.usefixtures("lists_when_told")


async def reload(scene: Stage) -> tuple[str, ...]:
    """The files are in force; which counters were made."""
    change = await scene.guard.changes.policies.reload(Who("desk", "for a while"))
    assert change.result == "applied", change
    return change.counters


async def test_a_refusal_says_until_when_the_policy_binds(tmp_path: Path) -> None:
    """In the answer, in a dry run, in the record, in `explain`: of the temporary policy, and of no other."""
    async with stage(tmp_path, *KEYS, policies={"desk.toml": WIDE}) as scene:
        until = end(scene.clock)
        scene.write_policy(SHORT.format(end=until), "short.toml")
        await reload(scene)
        reply = await scene.place(qty=400)
        checked = await scene.ask("/guard/v1/check", {"path": "/api/order", "body": order(qty=400, price=200)})
        told = await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}")
        kept = await scene.decision(reply)
        assert (await operate(scene.guard, "/status"))[1]["policies"]["expiring"] == {"short": until}
        for reasons in (
            said(reply)["guard"]["reasons"],
            said(checked)["guard"]["reasons"],
            said(told)["reasons"],
            kept["reasons"],
        ):
            assert {reason["policy"]: reason.get("until") for reason in reasons} == {"short": until, "desk": None}
            assert "until" not in next(reason for reason in reasons if reason["policy"] == "desk")
        found = explained(tmp_path / "state", decision_of(reply), now=scene.clock.wall())
    assert found is not None
    assert until in {reason.until for reason in found.reasons}


async def test_an_ended_policy_is_told_as_expired(tmp_path: Path) -> None:
    """To the second: whoever wonders why orders are `no_policy` finds the one that covered them, and when it ended."""
    async with stage(tmp_path, *KEYS, policies={"short.toml": SHORT.format(end="2099-01-01T00:00:00Z")}) as scene:
        until = end(scene.clock)
        scene.write_policy(SHORT.format(end=until), "short.toml")
        await reload(scene)
        for away_s, expiring, expired, passes in ((599, {"short": until}, {}, True), (1, {}, {"short": until}, False)):
            scene.clock.advance(s=away_s)
            told = (await operate(scene.guard, "/status"))[1]["policies"]
            assert (told["ids"], told["expiring"], told["expired"]) == (["short"], expiring, expired)
            reply = await scene.place(qty=100, remark=str(away_s))
            assert is_passed(reply) if passes else code_of(reply) == (403, "no_policy")


async def test_a_fault_of_the_sweep_keeps_no_temporary_policy_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks for its end is begun anew, and the operator is told of the fault."""
    monkeypatch.setattr(lifecycle, "EVERY_S", 0.01)
    monkeypatch.setattr(supervisor, "AGAIN_S", 0.01)
    async with stage(tmp_path, *KEYS, policies={"desk.toml": WIDE}) as scene:
        scene.write_policy(SHORT.format(end=end(scene.clock)), "short.toml")
        await reload(scene)
        good, faults = scene.guard.relay.tick, iter([RuntimeError("a defect")])

        def tick() -> None:
            for fault in faults:
                raise fault
            good()

        monkeypatch.setattr(scene.guard.relay, "tick", tick)
        while not scene.guard.supervisor.concerns():  # noqa: ASYNC110 - a service of the guard's own meets it
            await asyncio.sleep(0.005)
        assert code_of(await scene.place(qty=200)) == (403, "max_order_value")
        scene.clock.advance(s=601)
        async with asyncio.timeout(60):
            while scene.guard.changes.policies.policy_change.temporary is not None:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.005)
        assert is_passed(await scene.place(qty=200))
        status, told = await operate(scene.guard, "/readyz")
        assert (status, [reason.partition(":")[0] for reason in told["reasons"]]) == (200, ["sweep"])


async def test_a_temporary_policy_ends_with_the_counters_that_were_made_for_it(tmp_path: Path) -> None:
    """Until its end it counts what went before it; then orders pass, cancels settle, and a start finds the same."""
    async with stage(tmp_path, *KEYS, policies={"desk.toml": WIDE}) as scene:
        first = await scene.placed(price=200, remark="1")
        scene.write_policy(BUDGET.format(end=end(scene.clock)), "short.toml")
        assert {cell.partition("/")[0] for cell in await reload(scene)} == {"daily_value", "orders_per_day"}
        second = await scene.placed(price=200, remark="2")
        assert code_of(await scene.place(price=200, remark="3")) == (403, "orders_per_day")
        scene.clock.advance(s=601)
        await scene.guard.changes.policies.tick()
        third = await scene.placed(price=200, remark="3")
        for name in (first, second, third):
            assert is_passed(await scene.cancel(name))
        for _ in range(3):
            scene.clock.advance(s=61)
            await scene.guard.reconciler.turn()
        assert scene.held() == 0
        assert scene.ledger()["holders"] == {}
        whole = scene.ledger()
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger() == whole
        assert is_passed(await scene.place(price=200, remark="4"))


@pytest.mark.parametrize("is_running", [True, False])
async def test_what_comes_back_counts_what_went_while_it_was_away(tmp_path: Path, is_running: bool) -> None:
    """A change with an end took a limit away: back in force it stands at what the orders since have made of it."""
    limited = WIDE + "per_day = 3\n"
    async with stage(tmp_path, *KEYS, policies={"desk.toml": limited}) as scene:
        await scene.placed(price=200, remark="0")
        scene.write_policy(WIDE, "desk.toml")
        body = {"reason": "a long day", "until": end(scene.clock)}
        assert (await operate(scene.guard, "/admin/policy/reload", body))[1]["result"] == "applied"
        for number in (1, 2, 3):
            await scene.placed(price=200, remark=str(number))
        if is_running:
            scene.clock.advance(s=600)
            await scene.guard.changes.policies.tick()
            assert code_of(await scene.place(price=200, remark="4")) == (403, "orders_per_day")
    scene.clock.advance(s=600)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert code_of(await scene.place(price=200, remark="5")) == (403, "orders_per_day")


async def three_on_a_long_day(scene: Stage) -> None:
    """Three orders while their daily limit is lifted for a time, all on the disk."""
    scene.write_policy(WIDE, "desk.toml")
    body = {"reason": "a long day", "until": end(scene.clock)}
    assert (await operate(scene.guard, "/admin/policy/reload", body))[1]["result"] == "applied"
    for number in (1, 2, 3):
        await scene.placed(price=200, remark=str(number))
    await scene.written()


async def test_an_end_that_could_not_be_recorded_is_counted_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue was full in that moment: a start finds the end by itself, and with it what went before."""
    limited = WIDE + "per_day = 3\n"
    async with stage(tmp_path, *KEYS, policies={"desk.toml": limited}) as scene:
        await three_on_a_long_day(scene)
        scene.clock.advance(s=600)
        with monkeypatch.context() as full:
            full.setattr(scene.guard.journal._backlog, "_room", QueueBounds(0, 0))
            await scene.guard.changes.policies.tick()
        assert code_of(await scene.place(price=200, remark="4")) == (403, "orders_per_day")
        assert [line["result"] for line in await scene.records("policy")] == ["applied", "applied"]
    for number in (5, 6):
        async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
            assert code_of(await scene.place(price=200, remark=f"{number}")) == (403, "orders_per_day")


async def test_an_end_whose_counters_cannot_be_made_is_told_to_operators(tmp_path: Path) -> None:
    """It comes all the same; that its limit begins at zero stands in status and metric, not only in the log."""
    limited = WIDE + "per_day = 3\n"
    async with stage(tmp_path, *KEYS, policies={"desk.toml": limited}) as scene:
        await three_on_a_long_day(scene)
        path = tmp_path / "state/journal/00000001.jsonl"
        overwrite(path, b'"type":"decision"', b'"type":"decisiom"')
        scene.clock.advance(s=600)
        await scene.guard.changes.policies.tick()

        assert is_passed(await scene.place(price=200, remark="4")), "counted from now on"
        for place, name in (("/readyz", "reasons"), ("/status", "degraded")):
            reasons = (await operate(scene.guard, place))[1][name]
            assert any(reason.startswith("counters: ") and "from now on" in reason for reason in reasons)
        assert 'guard_config_drift{kind="counters"} 1.0' in str((await operate(scene.guard, "/metrics"))[1])
