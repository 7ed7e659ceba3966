"""Shadow policies: watched on live traffic, with counters of their own, and unable to change any answer."""

import asyncio
import re
from pathlib import Path
from typing import Any, Final

import pytest

from guard.admin.change import Who
from guard.simulator.faults import HttpError
from guard.terms import LEDGER_UNIT, Reply
from guard.tracking import Reconciler
from tests.support.guards import operate, record
from tests.support.stage import ORDER, Stage, again, is_passed, stage
from tests.support.story import DESK, MARKET, PEOPLE, WIDE, live
from tests.support.tracked import ENABLE, rested

TIGHT: Final = """
[policy]
mode = "shadow"
[orders]
max_value = ["30000 HKD", "1000 USD"]
per_day = 5
price_collar_percent = { stock = 2 }
duplicate_window_s = 60
[budgets]
daily_value = "90000 HKD"
open_orders = 2
open_value = "60000 HKD"
[rates]
new_orders = "2/30s"
changes = "1/30s"
cancels = "1/60s"
reads = "1/60s"
[rights]
touch = "own"
"""
ALSO: Final = '[policy]\nmode = "shadow"\n[instruments]\nsymbols = ["US.*"]\n[budgets]\ndaily_value = "40000 HKD"\n'
SHADOWED: Final = (
    "per_day = 1",
    "duplicate_window_s = 600",
    '[rates]\nnew_orders = "1/600s"',
)
_ID: Final = re.compile(rb"01[0-9A-HJKMNP-TV-Z]{24}")


def nameless(replies: list[Reply]) -> list[tuple[int, bytes, tuple[tuple[str, str], ...]]]:
    """Answers without the ids of decisions."""
    return [
        (
            reply.status,
            _ID.sub(b"#", reply.body),
            tuple((name, _ID.sub(b"#", text.encode()).decode()) for name, text in reply.headers),
        )
        for reply in replies
    ]


async def metric(scene: Stage, policy: str) -> dict[str, float]:
    """Divergences of a policy by code."""
    text = str((await operate(scene.guard, "/metrics"))[1])
    found = {}
    for line in re.findall(r"guard_shadow_divergence_total\{(.*)", text):
        if f'policy="{policy}"' in line:
            found[re.findall(r'code="(\w+)"', line)[0]] = float(line.rpartition(" ")[2])
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_without_its_shadows_a_guard_answers_just_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """The same day with and without shadows: every status, body and header alike but for the decisions' ids."""

    async def only_when_told(_: Reconciler) -> None:
        await asyncio.Event().wait()  # lists are asked for in the story's own time alone

    monkeypatch.setattr(Reconciler, "run", only_when_told)
    told = []
    for name, shadows in (("bare", {}), ("watched", {"tight.toml": TIGHT, "also.toml": ALSO})):
        (tmp_path / name).mkdir()
        async with stage(tmp_path / name, *PEOPLE, policies={"desk.toml": DESK, **shadows}) as scene:
            told.append(nameless(await live(scene, turns=80, seed=seed)))
            if name == "watched":
                assert await metric(scene, "tight")
                assert any("shadow" in line for line in await scene.records("decision"))
    for turn, (bare, watched) in enumerate(zip(*told, strict=True)):
        assert bare == watched, turn


async def test_what_a_shadow_would_have_refused_is_recorded_and_counted(tmp_path: Path) -> None:
    """The order passes; its record says what the shadow had against it, and the metric counts it."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE, "tight.toml": TIGHT}) as scene:
        reply = await scene.place(qty=200, price=200)
        found = await scene.decision(reply)

        assert is_passed(reply)
        assert found["reasons"] == []
        assert {(one["policy"], one["code"]) for one in found["shadow"]} >= {("tight", "max_order_value")}
        assert (await metric(scene, "tight"))["max_order_value"] == 1


async def test_a_shadow_looks_at_what_is_known_and_has_nobody_asked(tmp_path: Path) -> None:
    """A price that no enforcing rule looks at: not known at first, then asked for by an order that has to be valued."""
    watching = '[policy]\nmode = "shadow"\n[orders]\nprice_collar_percent = { stock = 2 }\n'
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE, "watched.toml": watching}) as scene:
        first = await scene.place(price=400)
        asked = len(scene.reached("/api/snapshot"))
        assert is_passed(await scene.ask(ORDER, MARKET))
        second = await scene.place(price=400)
        told = [[reason["code"] for reason in (await scene.decision(reply))["shadow"]] for reply in (first, second)]
        assert (asked, told) == (0, [["price_unavailable"], ["price_collar"]])


async def test_a_shadow_counts_what_really_went_out_even_past_its_cap(tmp_path: Path) -> None:
    """Four orders against a shadow budget for two: all are on its counter, none on that of the enforcing policies."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE, "tight.toml": TIGHT}) as scene:
        names = [await scene.placed(price=200, remark=str(turn)) for turn in range(4)]
        assert money(scene, "daily_value") == {"shadow": 80_000, "enforced": 0}
        assert (await metric(scene, "tight"))["open_orders"] == 2
        await scene.cancel(names[0])
        await scene.guard.reconciler.turn()
        scene.clock.advance(s=60)
        await scene.guard.reconciler.turn()
        assert money(scene, "open_value") == {"shadow": 60_000, "enforced": 0}


async def test_a_shadow_counts_nothing_for_a_keys_own_limits(tmp_path: Path) -> None:
    """They are in force already: what a shadow counts is what its own file limits."""
    limits = {"max_order_value": 60_000, "max_daily_value": 90_000, "max_orders_per_minute": 10}
    policies = {"desk.toml": WIDE, "also.toml": ALSO}
    async with stage(tmp_path, record("bot", **limits), policies=policies) as scene:
        counters = [claim["counter"] for claim in (await scene.decision(await scene.place()))["claims"]]
        assert "orders/key=bot" in counters
        assert [counter.partition("/")[0] for counter in counters if "/shadow:" in counter] == ["daily_value"]


async def test_a_shadow_counter_outlives_the_process(tmp_path: Path) -> None:
    """A start folds the shadow's counters from the record like all others."""
    policies = {"desk.toml": WIDE, "tight.toml": TIGHT}
    async with stage(tmp_path, *PEOPLE, policies=policies) as scene:
        for turn in range(3):
            await scene.placed(price=200, remark=str(turn))
        was = scene.ledger()["sums"]
    async with again(scene.config, daemon=scene.daemon, clock=scene.clock) as scene:
        assert scene.ledger()["sums"] == was
        assert money(scene, "daily_value")["shadow"] == 60_000


async def test_what_the_daemon_refused_is_on_no_shadow_counter(tmp_path: Path) -> None:
    """Real outcomes settle the shadow's claims too."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE, "tight.toml": TIGHT}) as scene:
        scene.daemon.faults.add(HttpError(400), path="/api/order")
        await scene.place(price=200)
        assert money(scene, "daily_value")["shadow"] == 0


async def test_reads_are_watched_too(tmp_path: Path) -> None:
    """A rate of reads in shadow counts what it would have refused, and refuses nothing."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE, "tight.toml": TIGHT}) as scene:
        for _ in range(3):
            assert (await scene.ask("/api/quote", {"symbols": ["HK.00700"]})).status == 200
        assert (await metric(scene, "tight"))["rate"] == 2


async def test_a_shadow_that_breaks_is_noticed_by_its_operator_only(tmp_path: Path) -> None:
    """A bug in a shadow's rule refuses nothing."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE, "tight.toml": TIGHT}) as scene:
        policies = scene.guard.desk.config.policies
        assert policies is not None
        del policies.shadows[0]._bounds
        assert is_passed(await scene.place(price=200))


async def test_a_reload_of_shadows_alone_is_a_change(tmp_path: Path) -> None:
    """Another shadow beside the same enforcing policies is applied; their hash stays what it was."""
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE}) as scene:
        before = scene.guard.desk.config.policy_sha256
        (tmp_path / "policies/tight.toml").write_text(TIGHT)
        change = await scene.guard.changes.policies.reload(Who())
        assert (change.result, change.sha256) == ("applied", before)
        await scene.place(qty=200, price=200)
        assert await metric(scene, "tight")


def money(scene: Stage, word: str) -> dict[str, int]:
    """What stands on the counters of this word, the shadow's and the others'."""
    sums: dict[str, Any] = scene.ledger()["sums"]
    found = {"shadow": 0, "enforced": 0}
    for cell, amount in sums.items():
        if cell.startswith(f"{word}/"):
            found["shadow" if cell.startswith(f"{word}/shadow:") else "enforced"] += amount // LEDGER_UNIT
    return found


@pytest.mark.parametrize("limit", SHADOWED)
async def test_an_order_that_comes_back_is_new_to_a_shadow_as_well(tmp_path: Path, limit: str) -> None:
    """What an enforced policy refuses an ENABLE for, the same policy in shadow says of it; a change meets neither."""
    told = {}
    for mode in ("shadow", "enforce"):
        (tmp_path / mode).mkdir()
        watched = f'[policy]\nid = "watched"\nmode = "shadow"\n[orders]\nmax_value = "60000 HKD"\n{limit}\n'
        async with stage(tmp_path / mode, *PEOPLE, policies={"desk.toml": WIDE, "watched.toml": watched}) as scene:
            mine = await scene.placed()
            await rested(scene, mine)
            if mode == "enforce":
                scene.write_policy(watched.replace("shadow", mode), "watched.toml")
                assert (await scene.guard.changes.policies.reload(Who("desk", "now"))).result == "applied"
            reply = await scene.modify(mine, **ENABLE)
            assert is_passed(reply) == (mode == "shadow")
            found = await scene.decision(reply)
            told[mode] = found["shadow" if mode == "shadow" else "reasons"]
            if mode == "shadow":
                held = {
                    c["counter"]: c["amount"] for c in found["claims"] if c["counter"].startswith("orders_per_day/")
                }
                assert list(held.values()) == ([2] if "per_day" in limit else [])
    assert told["shadow"] == told["enforce"]
    assert len(told["shadow"]) == 1


@pytest.mark.parametrize("rates", [("7.80", "7.90"), ("7.90", "7.80")])
async def test_where_two_shadows_count_an_order_on_one_counter_the_larger_amount_stands(
    tmp_path: Path, rates: tuple[str, str]
) -> None:
    """2,000 USD at two rates of exchange, whichever policy comes first."""
    text = '[policy]\nmode = "shadow"\n[budgets]\ndaily_value = "90000 HKD"\n[fx]\nUSDHKD = "{}"\nas_of = 2026-11-20\n'
    shadows = {f"s{place}.toml": text.format(rate) for place, rate in enumerate(rates)}
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE} | shadows) as scene:
        assert is_passed(await scene.place(market="US", code="AAPL", price=20))
        assert scene.held() == 15_800


async def test_every_window_of_a_shadow_looks_as_far_back_as_it_says(tmp_path: Path) -> None:
    """A narrow window and a wide one on one counter: the wide one sees what the narrow one has forgotten."""
    text = '[policy]\nid = "slow"\nmode = "shadow"\n[rates]\nnew_orders = ["9/30s", "1/300s"]\n'
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE, "slow.toml": text}) as scene:
        for place in range(2):
            assert is_passed(await scene.place(price=200 + place))
            scene.clock.advance(s=100)
        assert await metric(scene, "slow") == {"rate": 1}


async def test_a_change_moves_what_the_order_stood_on_of_shadows_that_are_gone(tmp_path: Path) -> None:
    """The shadow counts by account by now: its counter by key follows all the same, beside what others hold there."""
    text = '[policy]\nmode = "shadow"\n[budgets]\nper = "{}"\ndaily_value = "90000 HKD"\n'
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": WIDE, "s.toml": text.format("key")}) as scene:
        await scene.placed(price=210)
        name = await scene.placed(price=200)
        (tmp_path / "policies/s.toml").write_text(text.format("account"))
        assert (await scene.guard.changes.policies.reload(Who(reason="test"))).result == "applied"
        reply = await scene.modify(name, qty=200)
        assert is_passed(reply)
        decision = await scene.decision(reply)
        told = {claim["counter"]: used for claim, used in zip(decision["claims"], decision["used"], strict=True)}
        (cell,) = [counter for counter in told if counter.startswith("daily_value/") and "key=bot" in counter]
        assert (told[cell], scene.guard.desk.state.sums[cell]) == (21_000 * LEDGER_UNIT, 61_000 * LEDGER_UNIT)


async def test_a_shadow_tells_of_a_change_of_somebody_elses_order(tmp_path: Path) -> None:
    """What is enforced lets keys change each other's orders; a shadow that would not says so, and nothing else."""
    enforced, shadow = WIDE + '[rights]\ntouch = "account"\n', '[policy]\nmode = "shadow"\n[rights]\ntouch = "own"\n'
    async with stage(tmp_path, *PEOPLE, policies={"desk.toml": enforced, "s.toml": shadow}) as scene:
        name = await scene.placed()
        assert is_passed(await scene.modify(name, price=190))
        assert await metric(scene, "s") == {}
        assert is_passed(await scene.modify(name, who="other", price=180))
        assert await metric(scene, "s") == {"not_your_order": 1}
