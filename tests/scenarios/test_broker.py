"""The broker counts by account, not by key: the guard keeps to its documented limits, and a cancel is never refused."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import pytest

from guard.reference import part_kept
from guard.simulator.faults import Unreachable
from guard.terms import Effect, Reply
from guard.tracking.lists import BURST, HISTORY, HISTORY_BURST, HISTORY_INTERVAL_US, INTERVAL_US, TODAY
from guard.walk.spacing import BUCKETS_MAX, GAPS_US, Spacing
from tests.support.dump import dump
from tests.support.guards import codes, operate, order, record, said
from tests.support.stage import CANCEL_ALL, ORDER, TRADING, Stage, account, again, code_of, is_passed, stage

DOCUMENTED: Final = TRADING + '[daemon]\nbroker_limits = "documented"\n'
KEYS: Final = (record("bot"), record("other"), record("desk", owner="a person"))
REAL: Final = {"env": "real"}
HEADER: Final = {"trd_env": 0, "acc_id": 123456, "trd_market": 1}
CELL: Final = "broker/2202/account=simulate:123456"


async def _place(scene: Stage, *, who: str = "bot", **members: Any) -> Reply:
    """One order, once the broker's smallest gap is over."""
    scene.clock.advance(us=20_000)
    return await scene.place(who=who, **members)


async def test_the_sixteenth_order_of_an_account_in_thirty_seconds_is_refused_whoever_sends_it(tmp_path: Path) -> None:
    """One bot cannot use up what the broker allows the account without being told, and when there is room again."""
    async with stage(tmp_path, *KEYS, toml=DOCUMENTED) as scene:
        for _ in range(15):
            assert is_passed(await _place(scene))
        scene.clock.advance(us=20_000)
        refused = await scene.place(who="other")
        assert code_of(refused) == (429, "rate")
        reason = said(refused)["guard"]["reasons"][0]
        assert (reason["rule"], reason["observed"], reason["limit"]) == ("daemon.broker_limits", "16", "15")
        assert said(refused)["guard"]["retry_after_s"] == 29.7
        assert len(scene.reached(ORDER)) == 15
        scene.clock.advance(us=29_700_000 - 1)
        assert code_of(await scene.place(who="other")) == (429, "rate")
        scene.clock.advance(us=1)
        assert is_passed(await scene.place(who="other"))


async def test_the_record_says_whether_the_brokers_limits_were_kept(tmp_path: Path) -> None:
    """They refuse orders, so they are a setting that decides: two records that differ in them name different texts."""
    hashes = []
    for word in ("documented", "off"):
        folder = tmp_path / word
        folder.mkdir()
        async with stage(folder, *KEYS, toml=f'{TRADING}[daemon]\nbroker_limits = "{word}"\n') as scene:
            sha256 = (await scene.decision(await scene.place()))["config_sha256"]
        kept = json.loads((folder / "state/config" / f"{sha256}.json").read_text())
        assert kept["broker_limits"] == word
        hashes.append(sha256)
    assert len(set(hashes)) == 2


async def test_accounts_and_environments_have_buckets_of_their_own(tmp_path: Path) -> None:
    """What one account has used up is not missing to another; simulated orders count like real ones."""
    async with stage(tmp_path, *KEYS, toml=DOCUMENTED) as scene:
        for _ in range(15):
            assert is_passed(await _place(scene))
        assert is_passed(await _place(scene, **REAL))
        assert is_passed(await _place(scene, acc_id=9032))
        assert code_of(await _place(scene)) == (429, "rate")


async def test_changes_share_a_bucket_with_cancels_and_a_cancel_is_counted_but_never_refused(tmp_path: Path) -> None:
    """Twenty changes and cancels in thirty seconds; then changes wait, and every cancel passes."""
    async with stage(tmp_path, *KEYS, toml=DOCUMENTED) as scene:
        name = await scene.placed()
        for price in range(150, 168):
            scene.clock.advance(us=40_000)
            assert is_passed(await scene.modify(name, price=price))
        others = [await scene.placed(price=100 + number) for number in range(3)]
        assert is_passed(await scene.cancel(others[0]))
        scene.clock.advance(us=40_000)
        assert is_passed(await scene.ask(CANCEL_ALL, account()))
        refused = await scene.modify(name, price=170)
        assert "rate" in codes(refused)
        name = await scene.placed()
        full = await scene.modify(name, price=170)
        assert code_of(full) == (429, "rate")
        assert said(full)["guard"]["reasons"][0]["observed"] == "21"
        assert is_passed(await scene.cancel(name))
        assert is_passed(await scene.ask(CANCEL_ALL, account()))


async def test_the_claim_is_in_the_record_and_a_restart_counts_on(tmp_path: Path) -> None:
    """The bucket is a claim like any other: a decision holds it, and the fold finds it again."""
    async with stage(tmp_path, *KEYS, toml=DOCUMENTED) as scene:
        for _ in range(14):
            await _place(scene)
        reply = await _place(scene)
        claims = (await scene.decision(reply))["claims"]
        assert {"kind": "rate", "counter": CELL, "amount": 1, "cap": 15, "window_ms": 30000} in claims
        cancelled = await scene.cancel(said(reply)["s2c"]["order_id_ex"])
        uncapped = {"kind": "rate", "counter": "broker/2205/account=simulate:123456", "amount": 1, "cap": None}
        assert (await scene.decision(cancelled))["claims"] == [uncapped | {"window_ms": 30000}]
        before = dump(scene.guard.desk.state)
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as after:
        assert dump(after.guard.desk.state)["logs"] == before["logs"]
        assert code_of(await after.place()) == (429, "rate")


async def test_orders_of_a_burst_leave_twenty_milliseconds_apart(tmp_path: Path) -> None:
    """The smallest gap is kept by sending later, in the task that owns the order; none is refused."""
    async with stage(tmp_path, *KEYS, toml=DOCUMENTED) as scene:
        await scene.placed()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        replies = await asyncio.gather(*(scene.place(price=100 + number) for number in range(12)))
        assert all(is_passed(reply) for reply in replies)
        assert loop.time() - begun >= 0.215


async def test_a_cancel_does_not_wait_behind_a_burst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It overtakes the last of the orders, whose gaps are made wide here so that no busy machine closes them."""
    monkeypatch.setitem(GAPS_US, Effect.ORDER_NEW, 1_000_000)
    async with stage(tmp_path, *KEYS, toml=DOCUMENTED) as scene:
        name = await scene.placed()
        burst = asyncio.gather(*(scene.place(price=100 + number) for number in range(3)))
        await scene.until_reached(ORDER, times=2)
        assert is_passed(await scene.cancel(name))
        assert len(scene.reached(ORDER)) < 4
        assert all(is_passed(reply) for reply in await burst)


async def test_reads_meet_the_brokers_bucket_and_leave_the_guards_part_alone(tmp_path: Path) -> None:
    """Snapshots: sixty in thirty seconds for the login, twenty of which the guard keeps for its own prices."""
    body = {"symbols": ["HK.00700"]}
    async with stage(tmp_path, *KEYS, toml=DOCUMENTED) as scene:
        for number in range(40):
            who = "bot" if number % 2 else "other"
            assert (await scene.ask("/api/snapshot", body, who=who)).status == 200
        refused = await scene.ask("/api/snapshot", body)
        assert code_of(refused) == (429, "rate")
        assert said(refused)["guard"]["reasons"][0]["rule"] == "daemon.broker_limits"
        assert said(refused)["guard"]["retry_after_s"] == 30
        assert (await scene.ask("/api/quote", body)).status == 200
        scene.clock.advance(s=30)
        assert (await scene.ask("/api/snapshot", body)).status == 200


async def test_w14_reads_of_cash_flow_share_the_accounts_bucket(tmp_path: Path) -> None:
    """Twenty in thirty seconds under both names, whoever asks, and none of another account's; orders go on."""
    day = {"clearing_date": "2026-11-20"}
    async with stage(tmp_path, *KEYS, toml=DOCUMENTED) as scene:
        for number in range(20):
            path = "/api/flow-summary" if number % 2 else "/api/acc-cash-flow"
            assert (await scene.ask(path, account(**day), who="bot" if number % 3 else "other")).status == 200
        for path in ("/api/flow-summary", "/api/acc-cash-flow"):
            refused = await scene.ask(path, account(**day))
            assert code_of(refused) == (429, "rate")
            assert said(refused)["guard"]["reasons"][0]["rule"] == "daemon.broker_limits"
        assert len(scene.reached("/api/flow-summary") + scene.reached("/api/acc-cash-flow")) == 20
        assert (await scene.ask("/api/flow-summary", account(**day, acc_id=9032))).status == 200
        assert is_passed(await _place(scene))
        scene.clock.advance(s=30)
        assert (await scene.ask("/api/flow-summary", account(**day))).status == 200


@pytest.mark.parametrize(("path", "passed"), [("/api/positions", 2), ("/api/orders", 2), ("/api/funds", 10)])
async def test_w14_reads_that_ask_the_broker_anew_meet_its_bucket(tmp_path: Path, path: str, passed: int) -> None:
    """`refresh_cache` ten times in thirty seconds and account, less what the guard asks itself; without it no bound."""
    anew = account(refresh_cache=True)
    async with stage(tmp_path, *KEYS, toml=DOCUMENTED) as scene:
        for number in range(passed):
            assert (await scene.ask(path, anew, who="other" if number % 2 else "bot")).status == 200
        for body in (anew, account(refresh_cache=1), {"c2s": {"header": HEADER, "refresh_cache": True}}):
            refused = await scene.ask(path, body)
            assert code_of(refused) == (429, "rate")
            assert said(refused)["guard"]["reasons"][0]["rule"] == "daemon.broker_limits"
        assert code_of(await scene.ask(path, account(refreshCache=True))) == (400, "unknown_field")
        assert [each.json.get("refresh_cache") for each in scene.reached(path)] == [True] * passed
        for body in (account(), account(refresh_cache=False), account(refresh_cache=None)):
            assert (await scene.ask(path, body)).status == 200
        assert (await scene.ask(path, account(refresh_cache=True, acc_id=9032))).status == 200
        scene.clock.advance(s=30)
        assert (await scene.ask(path, anew)).status == 200


async def test_an_order_that_never_left_uses_nothing(tmp_path: Path) -> None:
    """No byte was written, so the broker counted nothing."""
    async with stage(tmp_path, *KEYS, toml=DOCUMENTED) as scene:
        scene.daemon.faults.add(Unreachable(), path=ORDER)
        assert code_of(await scene.place()) == (502, "daemon_unreachable")
        assert not scene.stamps("broker")


async def test_a_dry_run_says_what_the_bucket_would(tmp_path: Path) -> None:
    """The same refusal as the real order, and nothing is used by asking."""
    async with stage(tmp_path, *KEYS, toml=DOCUMENTED) as scene:
        for _ in range(15):
            await _place(scene)
        asked = await scene.ask("/guard/v1/check", {"path": ORDER, "body": order(price=200)})
        assert json.loads(asked.body)["status"] == 429
        assert scene.stamps("broker") == 15


async def test_off_is_off_and_told_as_weakened(tmp_path: Path) -> None:
    """`daemon.broker_limits = "off"` leaves the broker's limits to the broker, and `/status` says so."""
    off = TRADING + '[daemon]\nbroker_limits = "off"\n'
    for toml, is_told in ((off, True), (DOCUMENTED, False)):
        folder = tmp_path / str(is_told)
        folder.mkdir()
        async with stage(folder, *KEYS, toml=toml) as scene:
            _, told = await operate(scene.guard, "/status")
            assert any("broker_limits" in sentence for sentence in told["weakened"]) is is_told
            for _ in range(16 if is_told else 0):
                assert is_passed(await scene.place())


def test_spacing_is_bounded_and_a_cancel_takes_its_time_without_waiting() -> None:
    """What follows a cancel waits for it; times that have passed are forgotten."""
    spacing = Spacing()
    assert spacing.take("a", Effect.ORDER_CHANGE, now_us=0) == 0
    assert spacing.take("a", Effect.ORDER_CANCEL, now_us=10) == 0
    assert spacing.take("a", Effect.ORDER_CHANGE, now_us=20) == 40_000 - 10
    for number in range(2 * BUCKETS_MAX):
        spacing.take(str(number), Effect.ORDER_NEW, now_us=100_000 + number * 100_000)
    assert len(spacing.next_us) <= BUCKETS_MAX


def test_the_guard_keeps_what_it_looks_for_orders_with() -> None:
    """The parts of order lists and of order history that are kept are the ones that the guard uses."""
    assert part_kept(HISTORY, window_s=30) == HISTORY_BURST + 30_000_000 // HISTORY_INTERVAL_US
    assert part_kept(TODAY, window_s=30) == BURST + 30_000_000 // INTERVAL_US
    assert part_kept(ORDER, window_s=30) == 0
