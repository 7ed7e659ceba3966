"""Stopped or killed, started again: the record alone says what there was, and a start keeps what it promises."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from random import Random  # noqa: TID251 - seeded

import pytest

from guard.simulator import Simulator
from guard.simulator.faults import Hold, RetType
from tests.support.clock import ManualClock
from tests.support.guards import codes, of_type, operate, record, said
from tests.support.stage import (
    DAILY,
    ORDER,
    TIGHT,
    TRADING,
    Stage,
    again,
    code_of,
    decision_of,
    is_passed,
    next_run,
    stage,
)

# ---------------------------------------------------------------- what survives


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_w10_counters_survive(tmp_path: Path, how: str) -> None:
    """A restart forgets neither rate nor count, budget, duplicate or ownership."""
    home = tmp_path / "home"
    home.mkdir()
    async with stage(home, record("bot"), record("other"), policies=TIGHT) as scene:
        ids = [await scene.placed(remark=f"n{n}") for n in range(3)]
        config = await scene.killed(tmp_path / "copy")
        before = scene.ledger()
    before = before if how == "killed" else scene.ledger()
    async with next_run(scene, config if how == "killed" else None) as scene:
        assert scene.ledger() == before
        assert codes(await scene.place(remark="n0")) == ["duplicate_order", "orders_per_day", "daily_value", "rate"]
        assert code_of(await scene.modify(ids[0], who="other")) == (403, "not_your_order")
        assert is_passed(await scene.modify(ids[0], price=190))
        assert is_passed(await scene.cancel(ids[1]))


async def test_idempotency_survives(tmp_path: Path) -> None:
    """The first answer is given again after a restart, and nothing is sent again."""
    async with stage(tmp_path, policies=DAILY) as scene:
        first = await scene.place(key="k")
        refused = await scene.place(key="r", qty=50)
    async with next_run(scene) as scene:
        second = await scene.place(key="k")
        assert said(second)["s2c"]["order_id_ex"] == said(first)["s2c"]["order_id_ex"]
        assert said(second)["s2c"]["order_id"] == said(first)["s2c"]["order_id"]
        assert dict(second.headers)["Guard-Decision"] == decision_of(first)
        assert said(await scene.place(key="r", qty=50))["ret_type"] == said(refused)["ret_type"] == -1
        assert code_of(await scene.place(key="k", qty=200)) == (409, "idempotency_conflict")
        assert len(scene.reached()) == 2


async def test_the_trading_state_survives(tmp_path: Path) -> None:
    """Locked stays locked, for whom it was locked, until somebody sets it active; that survives too."""
    async with stage(tmp_path, record("bot"), record("other")) as scene:
        await scene.set_state("locked", keys=("bot",))
    async with next_run(scene) as scene:
        assert code_of(await scene.place()) == (423, "halted")
        assert is_passed(await scene.place(who="other"))
        await scene.set_state("active", keys=("bot",))
    async with next_run(scene) as scene:
        assert is_passed(await scene.place())


async def test_decisions_can_be_asked_for_after_a_restart(tmp_path: Path) -> None:
    """A caller still finds its own decision and what became of it; nobody else does."""
    async with stage(tmp_path, record("bot"), record("other")) as scene:
        reply = await scene.place()
    async with next_run(scene) as scene:
        path = f"/guard/v1/decisions/{decision_of(reply)}"
        told = said(await scene.ask(path))
        assert (told["outcome"], told["verdict"]) == ("allow", "accepted")
        assert told["order_id_ex"] == said(reply)["s2c"]["order_id_ex"]
        assert told["record"]["symbol"] == "HK.00700"
        theirs = await scene.ask(path, who="other")
        assert code_of(theirs) == (404, "unknown_endpoint")
        assert "the latest 20000 are, fewer after a restart" in said(theirs)["error"]
        assert "`guard explain ID`" in said(theirs)["error"]


# ---------------------------------------------------------------- what nobody knows


async def test_an_order_under_way_at_a_crash_is_unknown(tmp_path: Path) -> None:
    """A decision without an outcome holds its money and answers its Idempotency-Key with 409; it is told once."""
    home = tmp_path / "home"
    home.mkdir()
    async with stage(home, policies=DAILY) as scene:
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=ORDER)
        asked = asyncio.ensure_future(scene.place(key="k"))
        await scene.until_reached()
        config = await scene.killed(tmp_path / "copy")
        go.set()
        decision = decision_of(await asked)
    for run in range(3):
        async with next_run(scene, config) as scene:
            counted = (await operate(scene.guard, "/metrics"))[1]
            assert ('guard_order_outcomes_total{outcome="unknown"} 1.0' in counted) == (run == 0)
            assert scene.held() == 20_000
            assert code_of(await scene.place(key="k")) == (409, "outcome_unknown")
            assert said(await scene.ask(f"/guard/v1/decisions/{decision}"))["verdict"] == "unknown"
    assert [found["verdict"] for found in of_type(config, "outcome")] == ["unknown"]
    assert len(scene.reached()) == 1


async def test_unknown_orders_stay_unknown(tmp_path: Path) -> None:
    """What was unknown before a stop is unknown after it, once in the record."""
    async with stage(tmp_path, policies=DAILY) as scene:
        order = await scene.placed()
        scene.daemon.faults.add(RetType(-100), path="/api/modify-order")
        await scene.modify(order, price=250)
    for _ in range(2):
        async with next_run(scene) as scene:
            assert scene.held() == 25_000
            assert code_of(await scene.modify(order, price=201)) == (409, "outcome_unknown")
            assert (await scene.cancel(order)).status == 200
    assert [found["verdict"] for found in of_type(scene.config, "outcome")].count("unknown") == 1


async def test_a_torn_tail_is_set_aside(tmp_path: Path) -> None:
    """A kill in the middle of a line loses that line only; the order whose outcome it was is unknown."""
    home = tmp_path / "home"
    home.mkdir()
    async with stage(home, policies=DAILY) as scene:
        await scene.place(key="k")
        config = await scene.killed(tmp_path / "copy")
    segment = config.parent / "state/journal/00000001.jsonl"
    segment.write_bytes(segment.read_bytes()[:-10])
    async with next_run(scene, config) as scene:
        assert code_of(await scene.place(key="k")) == (409, "outcome_unknown")
    assert len(of_type(config, "recovered")) == 1


# ---------------------------------------------------------------- clocks


async def test_a_clock_set_back_between_two_runs_empties_no_window(tmp_path: Path) -> None:
    """The guard's own time goes on from the last one on record, however early the machine thinks it is."""
    async with stage(tmp_path, policies=TIGHT.replace("per_day = 3", "")) as scene:
        for n in range(3):
            await scene.place(remark=f"n{n}", price=0.01 * (n + 1))
    early = ManualClock(datetime(2026, 11, 22, 4, 0, tzinfo=UTC))
    async with next_run(scene, clock=early) as scene:
        assert codes(await scene.place(price=0.5)) == ["rate"]
        early.advance(s=59, us=999_999)
        assert codes(await scene.place(price=0.5)) == ["rate"]
        early.advance(us=1)
        assert is_passed(await scene.place(price=0.5))
    times = [found["t"] for found in of_type(scene.config, "decision")]
    assert times == sorted(times)


async def test_a_clock_set_forward_empties_windows_and_days_as_time_would(tmp_path: Path) -> None:
    """A day off is a day: windows and the day's budget are empty after it."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        for n in range(3):
            await scene.place(remark=f"n{n}")
    scene.clock.advance(s=86_400)
    async with next_run(scene) as scene:
        assert is_passed(await scene.place(remark="n0"))


# ---------------------------------------------------------------- live and folded are one


@pytest.mark.parametrize("seed", range(6))
async def test_a_start_at_any_moment_finds_what_was_there(tmp_path: Path, seed: int) -> None:
    """After any mixture of orders, changes, cancels, faults and passing time the folded ledger is the live one."""
    rng = Random(seed)
    home = tmp_path / "home"
    home.mkdir()
    policies = TIGHT.replace("3/60s", "20/60s").replace("per_day = 3", "per_day = 60").replace("60000", "900000")
    async with stage(home, record("bot"), record("other"), policies=policies, toml=TRADING) as scene:
        orders: list[str] = []
        for n in range(60):
            await one_step(scene, rng, orders, n)
            scene.clock.advance(us=rng.choice([0, 1, 999, 5_000_000]))
        config = await scene.killed(tmp_path / "copy")
        before = scene.ledger()
    stopped = scene.ledger()
    async with again(config, daemon=Simulator(clock=scene.clock), clock=scene.clock) as copy:
        assert copy.ledger() == before
    async with next_run(scene) as scene:
        assert scene.ledger() == stopped


async def one_step(scene: Stage, rng: Random, orders: list[str], n: int) -> None:
    """Something that a caller or the daemon might do."""
    if rng.random() < 0.3:
        scene.daemon.faults.add(RetType(rng.choice([-1, -100, -400]), acts=rng.random() < 0.5))
    who, key = rng.choice(["bot", "other"]), rng.choice([None, f"k{rng.randrange(9)}"])
    if not orders or rng.random() < 0.5:
        reply = await scene.place(who=who, key=key, remark=f"n{n}", qty=rng.choice([50, 100, 200]))
        if reply.status == 200 and said(reply)["ret_type"] == 0:
            orders.append(said(reply)["s2c"]["order_id_ex"])
    elif rng.random() < 0.7:
        await scene.modify(rng.choice(orders), who=who, key=key, price=rng.choice([150, 210]))
    else:
        await scene.cancel(rng.choice(orders), who=who)
