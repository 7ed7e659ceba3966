"""Limits under pressure: exactly the cap passes, evidence alone gives back, windows and days end to the microsecond."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from guard.replay.explained import explained
from guard.simulator.faults import Delay, RetType, Unreachable
from tests.support.clock import ManualClock
from tests.support.guards import codes, order, record, said, write_keys
from tests.support.stage import ACCOUNTS, DAILY, ORDER, code_of, decision_of, is_passed, stage

COVER: Final = '[orders]\nmax_value = ["100000000 HKD", "100000000 USD", "100000000 JPY"]\n'
CAPS: Final = {
    "orders_per_day": COVER + "per_day = 10",
    "rate": COVER + '[rates]\nnew_orders = "10/60s"',
    "daily_value": COVER + '[budgets]\ndaily_value = "200000 HKD"',
}


@pytest.mark.parametrize("code", CAPS)
async def test_500_at_once_against_a_cap_of_ten_admit_exactly_ten(tmp_path: Path, code: str) -> None:
    """However many ask at the same moment, ten pass, ten reach the daemon, and the rest are told which limit it was."""
    async with stage(tmp_path, policies=CAPS[code]) as scene:
        scene.daemon.faults.add(Delay(0.01), path=ACCOUNTS)  # everybody waits for the account list together
        replies = await asyncio.gather(*(scene.place(remark=f"n{n}") for n in range(500)))

        assert sum(map(is_passed, replies)) == 10
        assert {code_of(reply)[1] for reply in replies if not is_passed(reply)} == {code}
        assert len(scene.reached()) == len(scene.daemon.orders) == 10


async def test_500_at_once_against_a_keys_own_limit(tmp_path: Path) -> None:
    """A key's max_orders_per_minute holds against a burst of orders and changes together."""
    async with stage(tmp_path, record("bot", max_orders_per_minute=10)) as scene:
        first = await scene.placed()
        asked = [scene.place(remark=f"n{n}") for n in range(250)]
        asked += [scene.modify(first, price=201) for _ in range(250)]
        replies = await asyncio.gather(*asked)

        assert sum(map(is_passed, replies)) == 9
        assert len(scene.reached()) + len(scene.reached("/api/modify-order")) == 10


@pytest.mark.parametrize(
    ("rules", "first", "comes_back"),
    [
        ("per_day = 1", {}, "2026-11-23T00:30:00Z"),
        ("per_day = 1\n[budgets]\nresets = '10:00 UTC'", {}, "2026-11-22T10:00:00Z"),
        ("[budgets]\ndaily_value = '30000 HKD'", {}, "2026-11-23T00:30:00Z"),
        ("[budgets]\ndaily_value = '30000 HKD'\nresets = '10:00 UTC'", {}, "2026-11-22T10:00:00Z"),
        ("[budgets]\ndaily_value = '30000 HKD'", {"time_in_force": "GTC"}, None),
        ("[budgets]\ndaily_value = '30000 HKD'\nresets = '10:00 UTC'", {"time_in_force": "GTC"}, None),
        ("[budgets]\nopen_value = '30000 HKD'", {}, None),
        ("[budgets]\nopen_orders = 1", {}, None),
    ],
)
async def test_whoever_has_used_up_a_day_is_told_when_some_of_it_comes_back(
    tmp_path: Path, rules: str, first: dict[str, str], comes_back: str | None
) -> None:
    """At the next reset of what is used; nobody knows when an order that works until it is cancelled will end."""
    async with stage(tmp_path, policies=f"{COVER}{rules}") as scene:
        assert is_passed(await scene.place(**first))
        told = said(await scene.place(price=201, remark="again"))

        assert (told["guard"]["retryable"], told["guard"]["retry_after_s"]) == (False, None)
        assert told["error"].partition("; ")[2] == (
            "" if comes_back is None else f"some of what is used comes back at {comes_back}"
        )
        alone = said(await scene.place(qty=100_000, remark="too much by itself"))["error"]
        assert ("comes back" in alone) == (comes_back is not None and "per_day" in rules)


async def test_what_an_order_holds_itself_does_not_come_back_to_it(tmp_path: Path) -> None:
    """Only an order that works until it is cancelled stands in the way of the change."""
    policies = f'{COVER}[budgets]\ndaily_value = "30000 HKD"'
    async with stage(tmp_path, policies=policies) as scene:
        assert is_passed(await scene.place(time_in_force="GTC"))
        mine = await scene.placed(price=50, remark="day")
        told = said(await scene.modify(mine, price=150))
        assert told["err_code"] == "daily_value"
        assert "comes back" not in told["error"]


@pytest.mark.parametrize(
    ("rules", "second"),
    [
        ("per_day = 1", {"market": "US", "code": "AAPL", "qty": 1, "price": 100}),
        ("[budgets]\ndaily_value = '30000 HKD'", {"time_in_force": "GTC", "price": 201}),
    ],
)
async def test_what_other_cells_of_the_budget_use_comes_back_too(
    tmp_path: Path, rules: str, second: dict[str, Any]
) -> None:
    """Those of other markets, and the day's where the order is good till cancelled."""
    async with stage(tmp_path, policies=f"{COVER}{rules}") as scene:
        assert is_passed(await scene.place())
        told = said(await scene.place(remark="again", **second))
        assert told["err_code"] in {"orders_per_day", "daily_value"}
        assert told["error"].endswith("; some of what is used comes back at 2026-11-23T00:30:00Z")


async def test_two_keys_of_one_principal_share_their_counters(tmp_path: Path) -> None:
    """A rotated key counts together with the one that it replaces."""
    policies = COVER + "per_day = 2"
    async with stage(tmp_path, record("bot"), record("bot@2"), record("other"), policies=policies) as scene:
        assert is_passed(await scene.place(remark="1"))
        assert is_passed(await scene.place(remark="2", who="bot@2"))
        assert code_of(await scene.place(remark="3", who="bot@2")) == (403, "orders_per_day")
        assert is_passed(await scene.place(remark="4", who="other"))


async def test_500_changes_at_once_against_one_budget(tmp_path: Path) -> None:
    """Changes of many orders at the same moment take exactly the room that there is."""
    policies = COVER + '[budgets]\ndaily_value = "300000 HKD"'
    async with stage(tmp_path, policies=policies) as scene:
        orders = [await scene.placed(remark=f"n{n}", price=20) for n in range(100)]
        assert scene.held() == 200_000
        replies = await asyncio.gather(*(scene.modify(mine, price=120) for mine in orders for _ in range(5)))

        assert sum(map(is_passed, replies)) == 10
        assert scene.held() == 300_000
        assert len(scene.reached("/api/modify-order")) == 10


async def test_a_budget_per_account_binds_all_keys_together(tmp_path: Path) -> None:
    """Many keys on one account share its budget, in whichever way each of them names the account."""
    policies = COVER + '[budgets]\nper = "account"\ndaily_value = "40000 HKD"'
    async with stage(tmp_path, record("bot"), record("other"), policies=policies) as scene:
        assert is_passed(await scene.place(env="real"))
        card = {"acc_id": None, "card_num": "5678", "env": "real"}
        body = {name: value for name, value in order(price=200, **card).items() if value is not None}
        assert is_passed(await scene.ask(ORDER, body, who="other"))
        assert codes(await scene.place(env="real", remark="3")) == ["daily_value"]
        assert is_passed(await scene.place(remark="4"))


async def test_a_key_that_is_taken_away_and_given_again_starts_where_it_was(tmp_path: Path) -> None:
    """Counters belong to the key's name: a new secret for it is no new budget."""
    async with stage(tmp_path, record("bot"), policies=COVER + "per_day = 1") as scene:
        assert is_passed(await scene.place())
        for keys in ([record("other")], [record("other"), record("bot", note="again")]):
            write_keys(tmp_path / "keys.json", *keys)
            await scene.guard.reload()
        assert codes(await scene.place(remark="2")) == ["orders_per_day"]


# ---------------------------------------------------------------- only evidence releases


async def test_a_refusal_of_the_daemon_gives_back_money_but_not_the_rate(tmp_path: Path) -> None:
    """What the daemon refused spends nothing, but it was asked."""
    async with stage(tmp_path, policies=DAILY) as scene:
        scene.daemon.faults.add(RetType(-1), path=ORDER)
        await scene.place()

        assert scene.held() == 0
        assert scene.stamps("new_orders") == 1


async def test_what_was_not_sent_gives_everything_back(tmp_path: Path) -> None:
    """Where not a byte has left, money, rate, duplicate mark and Idempotency-Key are as if nothing had been asked."""
    policies = DAILY.replace("[budgets]", "per_day = 1\nduplicate_window_s = 5\n[budgets]")
    async with stage(tmp_path, policies=policies) as scene:
        scene.daemon.faults.add(Unreachable(), path=ORDER)
        assert code_of(await scene.place(key="k")) == (502, "daemon_unreachable")

        assert scene.held() == 0
        assert scene.stamps("new_orders") == scene.stamps("duplicate") == 0
        assert is_passed(await scene.place(key="k"))


@pytest.mark.parametrize(
    ("policies", "limits"),
    [(COVER, {"max_orders_per_minute": 0}), (COVER + '[rates]\nnew_orders = ["0/30s", "5/60s"]', {})],
)
async def test_a_rate_of_zero_is_nothing_to_try_again(tmp_path: Path, policies: str, limits: dict[str, Any]) -> None:
    """Nothing names a time or calls it retryable; who reads the head only asks once an hour."""
    async with stage(tmp_path, record("bot", **limits), policies=policies) as scene:
        reply = await scene.place()
        checked = await scene.ask("/guard/v1/check", {"path": ORDER, "body": order()})
        told = await scene.ask(f"/guard/v1/decisions/{decision_of(reply)}")

        assert code_of(reply) == (429, "rate")
        assert dict(reply.headers)["Retry-After"] == "3600"
        for guard in (said(reply)["guard"], said(checked)["guard"], said(told)):
            assert (guard["retryable"], guard["retry_after_s"]) == (False, None)
            assert "a limit of 0 lets none pass" in guard["reasons"][0]["message"]
        found = explained(tmp_path / "state", decision_of(reply), now=scene.clock.wall())
    assert found is not None
    assert not found.retryable


async def test_an_unknown_outcome_holds_everything(tmp_path: Path) -> None:
    """Nobody knows: money and count stay held, so that the cap is never exceeded."""
    policies = COVER + 'per_day = 1\n[budgets]\ndaily_value = "100000 HKD"'
    async with stage(tmp_path, policies=policies) as scene:
        scene.daemon.faults.add(RetType(-100), path=ORDER)
        await scene.place()

        assert scene.held() == 20_000
        assert codes(await scene.place(remark="next")) == ["orders_per_day"]


async def test_a_refused_order_uses_nothing(tmp_path: Path) -> None:
    """What the guard itself refuses takes no place in any window or budget."""
    policies = COVER.replace("100000000 HKD", "20000 HKD") + '[rates]\nnew_orders = "1/60s"'
    async with stage(tmp_path, policies=policies) as scene:
        for _ in range(50):
            assert code_of(await scene.place(qty=200)) == (403, "max_order_value")

        assert is_passed(await scene.place())


# ---------------------------------------------------------------- the same order again


async def test_b28_the_same_order_again_is_refused_while_the_window_lasts(tmp_path: Path) -> None:
    """A retry of the same order is 409 duplicate_order until the window has passed, to the microsecond."""
    async with stage(tmp_path, policies=COVER + "duplicate_window_s = 5") as scene:
        assert is_passed(await scene.place())
        scene.clock.advance(s=4, us=999_999)
        again = await scene.place()
        assert code_of(again) == (409, "duplicate_order")
        assert said(again)["guard"]["retry_after_s"] == 1e-06
        scene.clock.advance(us=1)
        assert is_passed(await scene.place())


async def test_b28_a_repeat_on_purpose_passes(tmp_path: Path) -> None:
    """Another Idempotency-Key, remark, price, side or account makes it another order; another spelling does not."""
    async with stage(tmp_path, policies=COVER + "duplicate_window_s = 5") as scene:
        assert is_passed(await scene.place())
        assert is_passed(await scene.place(key="again"))
        assert is_passed(await scene.place(remark="again"))
        assert is_passed(await scene.place(price=200.2))
        assert is_passed(await scene.place(acc_id=9032))
        assert is_passed(await scene.place(side="SELL"))
        assert code_of(await scene.place(code="HK.00700", price=200.00)) == (409, "duplicate_order")
        assert code_of(await scene.place(packet_id={"conn_id": 1, "serial_no": 2})) == (409, "duplicate_order")


@pytest.mark.parametrize(("fault", "is_free"), [(RetType(-1), True), (RetType(-100), False)])
async def test_the_mark_of_a_duplicate_follows_the_verdict(tmp_path: Path, fault: RetType, is_free: bool) -> None:
    """A refused order may be sent again at once, one of unknown outcome may not."""
    async with stage(tmp_path, policies=COVER + "duplicate_window_s = 60") as scene:
        scene.daemon.faults.add(fault, path=ORDER)
        await scene.place()

        assert is_passed(await scene.place()) is is_free


# ---------------------------------------------------------------- windows and days


async def test_a_window_ends_exactly(tmp_path: Path) -> None:
    """retry_after_s is exact: one microsecond before it the order is refused, at it the order passes."""
    async with stage(tmp_path, policies=COVER + '[rates]\nnew_orders = "2/30s"') as scene:
        assert is_passed(await scene.place(remark="1"))
        scene.clock.advance(s=10, us=1)
        assert is_passed(await scene.place(remark="2"))
        refused = await scene.place(remark="3")
        assert code_of(refused) == (429, "rate")
        assert said(refused)["guard"]["retry_after_s"] == 19.999999
        assert dict(refused.headers)["Retry-After"] == "20"
        assert said(refused)["guard"]["retryable"] is True
        scene.clock.advance(s=19, us=999_998)
        assert code_of(await scene.place(remark="3")) == (429, "rate")
        scene.clock.advance(us=1)
        assert is_passed(await scene.place(remark="3"))


async def test_of_several_windows_the_last_to_open_counts(tmp_path: Path) -> None:
    """With two rates full the caller is told when both have room."""
    async with stage(tmp_path, policies=COVER + '[rates]\nnew_orders = ["1/1s", "2/60s"]') as scene:
        await scene.place(remark="1")
        scene.clock.advance(s=30)
        await scene.place(remark="2")
        refused = await scene.place(remark="3")

        assert codes(refused) == ["rate", "rate"]
        assert said(refused)["guard"]["retry_after_s"] == 30


async def test_no_time_is_told_where_time_does_not_help(tmp_path: Path) -> None:
    """A full window beside a limit that does not move with time promises nothing."""
    policies = COVER.replace("100000000 HKD", "20000 HKD") + '[rates]\nnew_orders = "1/60s"'
    async with stage(tmp_path, policies=policies) as scene:
        await scene.place()
        refused = await scene.place(qty=200)

        assert codes(refused) == ["max_order_value", "rate"]
        assert said(refused)["guard"]["retry_after_s"] is None
        assert said(refused)["guard"]["retryable"] is False


async def test_answers_say_what_is_left(tmp_path: Path) -> None:
    """Rated requests carry RateLimit-Policy and RateLimit, passed or refused."""
    async with stage(tmp_path, policies=COVER + '[rates]\nnew_orders = "2/30s"\nreads = "5/60s"') as scene:
        first = dict((await scene.place(remark="1")).headers)
        assert first["RateLimit-Policy"] == '"new_orders";q=2;w=30'
        assert first["RateLimit"] == '"new_orders";r=1;t=30'
        scene.clock.advance(s=10)
        await scene.place(remark="2")
        refused = dict((await scene.place(remark="3")).headers)
        assert refused["RateLimit"] == '"new_orders";r=0;t=20'
        read = dict((await scene.ask("/api/quote", {"symbol": "HK.00700"})).headers)
        assert read["RateLimit"] == '"reads";r=4;t=60'


async def test_a_day_ends_at_the_markets_own_reset(tmp_path: Path) -> None:
    """A Hong Kong budget is empty again at 08:30 there, not a second before, and not at midnight UTC."""
    clock = ManualClock(datetime(2026, 11, 22, 23, 0, tzinfo=UTC))
    policies = COVER + 'per_day = 1\n[budgets]\ndaily_value = "20000 HKD"'
    async with stage(tmp_path, policies=policies, clock=clock) as scene:
        assert is_passed(await scene.place(remark="1"))
        clock.advance(s=90 * 60 - 1)
        assert codes(await scene.place(remark="2")) == ["orders_per_day", "daily_value"]
        clock.advance(s=1)
        assert is_passed(await scene.place(remark="3"))


async def test_a_budget_tells_what_it_would_have_become(tmp_path: Path) -> None:
    """Observed is the counter with this order, limit the cap; exactly at the cap passes."""
    async with stage(tmp_path, policies=COVER + '[budgets]\ndaily_value = "40000 HKD"') as scene:
        assert is_passed(await scene.place(remark="1"))
        assert is_passed(await scene.place(remark="2"))
        reason = said(await scene.place(remark="3", qty=100, price=0.01))["guard"]["reasons"][0]

        assert (reason["observed"], reason["limit"], reason["unit"]) == ("40001", "40000", "HKD")


STRICT: Final = """
[instruments]
markets = ["HK"]
blocked_symbols = ["HK.09988"]
[orders]
sides = ["BUY"]
types = ["NORMAL"]
time_in_force = ["DAY"]
max_value = "100000000 HKD"
max_qty = 1000
"""
OTHERWISE: Final[dict[str, dict[str, Any]]] = {
    "symbol": {"code": "09988"},
    "side": {"side": "SELL"},
    "order_type": {"order_type": "MARKET"},
    "time_in_force": {"time_in_force": "GTC"},
    "max_order_qty": {"qty": 1100},
}


@pytest.mark.parametrize("code", OTHERWISE)
async def test_an_order_that_passed_vouches_for_none_unlike_it(tmp_path: Path, code: str) -> None:
    """What is remembered of orders like one another opens no way: one thing changed, and it is refused for that alone.

    Nor does an order that was refused for its size, with everything else in order.
    """
    async with stage(tmp_path, policies=STRICT) as scene:
        for _ in range(2):
            assert is_passed(await scene.place())
            assert codes(await scene.place(qty=1200)) == ["max_order_qty"]
            assert codes(await scene.place(**OTHERWISE[code])) == [code]
        both = codes(await scene.place(**({"qty": 1200} | OTHERWISE[code])))

        assert both == list(dict.fromkeys([code, "max_order_qty"]))
        assert len(scene.reached()) == 2


async def test_real_and_simulated_money_are_counted_apart(tmp_path: Path) -> None:
    """A day's paper trading takes nothing from the real budget."""
    async with stage(tmp_path, policies=COVER + '[budgets]\ndaily_value = "20000 HKD"') as scene:
        assert is_passed(await scene.place())
        assert is_passed(await scene.place(env="real"))
        assert code_of(await scene.place(env="real", remark="2")) == (403, "daily_value")
