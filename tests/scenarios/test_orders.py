"""New orders: passed, refused by the daemon, refused by us; and the daemon is sent exactly what was judged."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from guard.codes import PRECEDENCE, Code
from guard.simulator.faults import RetType, Unreachable
from tests.support.guards import codes, order, record, said
from tests.support.stage import DAILY, ORDER, code_of, is_passed, stage

EVERY_RULE: Final = """
[instruments]
markets = ["US"]
blocked_symbols = ["HK.00700"]
[orders]
sides = ["SELL"]
types = ["MARKET"]
time_in_force = ["GTC"]
max_qty = 10
max_value = "100 HKD"
per_day = 0
[hours]
US = "always"
[budgets]
daily_value = "50 HKD"
[rates]
new_orders = "0/30s"
"""


async def test_an_order_passes_and_is_told_as_the_daemon_told_it(tmp_path: Path) -> None:
    """An accepted order is answered with the daemon's own status and body, recorded with its ids, and held."""
    async with stage(tmp_path, policies=DAILY) as scene:
        reply = await scene.place()

        assert is_passed(reply)
        mine = scene.daemon.orders[said(reply)["s2c"]["order_id_ex"]]
        assert said(reply)["s2c"]["order_id"] == mine.order_id
        assert (await scene.decision(reply))["outcome"] == "allow"
        outcome = await scene.outcome(reply)
        assert (outcome["verdict"], outcome["order_id_ex"]) == ("accepted", mine.order_id_ex)
        assert scene.held() == 20_000
        assert len(scene.reached()) == 1


async def test_the_daemons_own_refusal_passes_as_it_is(tmp_path: Path) -> None:
    """What the daemon refuses is told in its words, and nothing of its money stays held."""
    async with stage(tmp_path, policies=DAILY) as scene:
        reply = await scene.place(qty=50)  # Tencent trades in lots of 100

        assert reply.status == 200
        assert said(reply)["ret_type"] == -1
        assert said(reply)["err_code"] == 1003
        assert (await scene.outcome(reply))["verdict"] == "refused"
        assert scene.held() == 0


async def test_nothing_is_sent_where_nobody_listens(tmp_path: Path) -> None:
    """A daemon that refuses the connection is 502 daemon_unreachable, and everything is given back."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.ask("/api/accounts")
        before = scene.ledger()
        scene.daemon.faults.add(Unreachable(), path=ORDER)
        reply = await scene.place(key="once")

        assert code_of(reply) == (502, "daemon_unreachable")
        assert (await scene.outcome(reply))["verdict"] == "not_sent"
        assert scene.ledger() == before


async def test_every_rule_that_fails_is_told_in_the_contracts_order(tmp_path: Path) -> None:
    """All failing rules are reported at once, the primary one first, and the daemon hears of none of it."""
    async with stage(tmp_path, policies=EVERY_RULE) as scene:
        reply = await scene.place()

        told = codes(reply)
        assert told == [
            *("market", "symbol", "side", "order_type", "time_in_force", "hours", "max_order_qty"),
            *("max_order_value", "orders_per_day", "daily_value", "rate"),
        ]
        assert [PRECEDENCE[Code(code)] for code in told] == sorted(PRECEDENCE[Code(code)] for code in told)
        assert said(reply)["err_code"] == said(reply)["guard"]["code"] == "market"
        assert [reason["code"] for reason in (await scene.decision(reply))["reasons"]] == told
        assert scene.reached() == []
        assert scene.ledger()["sums"] == scene.ledger()["logs"] == {}


@pytest.mark.parametrize(
    ("policy", "members", "code", "status"),
    [
        ('[instruments]\nmarkets = ["US"]', {}, "market", 403),
        ('[instruments]\nsymbols = ["HK.09988"]', {}, "symbol", 403),
        ('[instruments]\nblocked_symbols = ["HK.*"]', {}, "symbol", 403),
        ('[orders]\nsides = ["SELL"]', {}, "side", 403),
        ('[orders]\ntypes = ["MARKET"]', {}, "order_type", 403),
        ('[orders]\ntime_in_force = ["GTC"]', {}, "time_in_force", 403),
        ('[orders]\nmax_value = "20000 HKD"', {"price": 200.01}, "max_order_value", 403),
        ("[orders]\nmax_qty = 99", {}, "max_order_qty", 403),
        ("[orders]\nper_day = 0", {}, "orders_per_day", 403),
        ('[orders]\nmax_value = "1 USD"', {}, "fx_unavailable", 503),
        ('[instruments]\nmarkets = ["HK"]\n[hours]\nHK = []', {}, "hours", 403),
        ('[budgets]\ndaily_value = "19999.9999 HKD"', {}, "daily_value", 403),
        ('[rates]\nnew_orders = "0/1s"', {}, "rate", 429),
        ('[applies_to]\nenvironments = ["simulate"]\n[instruments]\nmarkets = []', {}, "market", 403),
    ],
)
async def test_each_rule_refuses_by_itself(
    tmp_path: Path, policy: str, members: dict[str, Any], code: str, status: int
) -> None:
    """Each kind of rule refuses what lies just beyond its bound, names itself, and nothing reaches the daemon."""
    policies = {"open.toml": '[orders]\nmax_value = ["1000000 HKD"]', "tight.toml": policy}
    async with stage(tmp_path, policies=policies) as scene:
        reply = await scene.place(**members)

        assert code_of(reply) == (status, code)
        assert codes(reply) == [code]
        assert said(reply)["guard"]["reasons"][0]["policy"] == "tight"
        assert scene.reached() == []


async def test_an_order_that_no_money_limit_covers_is_refused(tmp_path: Path) -> None:
    """Without a policy that bounds the value of an order nothing is placed; require_cover = false lets it through."""
    async with stage(tmp_path, policies="[orders]\nmax_qty = 100") as scene:
        assert code_of(await scene.place()) == (403, "no_policy")
    toml = "[trading]\nenabled = true\n[policies]\nrequire_cover = false\n"
    async with stage(tmp_path, policies="[orders]\nmax_qty = 100", toml=toml) as scene:
        assert is_passed(await scene.place())


async def test_trading_is_off_unless_it_is_turned_on(tmp_path: Path) -> None:
    """Without [trading] enabled an order is 403 trading_disabled, whatever else is wrong with it."""
    async with stage(tmp_path, toml="") as scene:
        assert code_of(await scene.place()) == (403, "trading_disabled")
        assert scene.reached() == []


# ---------------------------------------------------------------- what has no price

PRICELESS: Final = [
    {"order_type": "MARKET", "price": None},
    {"order_type": "MARKET", "price": 0.01},  # W02: a tiny price that means nothing
    {"order_type": "AUCTION", "price": None},
    {"order_type": "STOP", "price": None, "aux_price": 310},
    {"order_type": "MARKET_IF_TOUCHED", "price": None, "aux_price": 290},
    {"order_type": "TRAILING_STOP", "price": None, "trail_type": 1, "trail_value": 2},
]


@pytest.mark.parametrize("members", PRICELESS)
async def test_w01_w02_an_order_without_a_limit_price_is_not_guessed(tmp_path: Path, members: dict[str, Any]) -> None:
    """It is valued at the market's price, whatever `price` says; while that is not known it is 503."""
    body = {name: value for name, value in order(**members).items() if value is not None}
    async with stage(tmp_path, policies='[orders]\nmax_value = "25000 HKD"') as scene:
        scene.daemon.faults.always(Unreachable(), path="/api/snapshot")
        assert code_of(await scene.ask(ORDER, body)) == (503, "price_unavailable")
        scene.daemon.faults.clear()
        scene.clock.advance(s=60)
        refused = await scene.ask(ORDER, body)
        assert code_of(refused) == (403, "max_order_value")
        assert scene.reached() == []
    (tmp_path / "wide").mkdir()
    async with stage(tmp_path / "wide", policies='[orders]\nmax_value = "40000 HKD"') as scene:
        assert is_passed(await scene.ask(ORDER, body))


async def test_without_a_money_limit_a_market_order_passes(tmp_path: Path) -> None:
    """Only money limits need a price: where none applies a market order goes, without the price that means nothing."""
    toml = "[trading]\nenabled = true\n[policies]\nrequire_cover = false\n"
    async with stage(tmp_path, policies='[orders]\ntypes = ["MARKET"]', toml=toml) as scene:
        assert is_passed(await scene.place(order_type="MARKET", price=0.01))
        assert scene.reached()[0].json["c2s"]["price"] == 0


async def test_a_body_without_environment_counts_as_real_and_survives_a_restart(tmp_path: Path) -> None:
    """Account 123456 exists in both environments: an order that names none is real, and is recorded as real."""
    body = {name: value for name, value in order(price=200).items() if name != "env"}
    async with stage(tmp_path, policies=DAILY) as scene:
        reply = await scene.ask(ORDER, body)

        assert is_passed(reply)
        assert scene.reached()[0].json["c2s"]["header"]["trd_env"] == 1
        assert (await scene.decision(reply))["environment"] == "real"
    async with stage(tmp_path, policies=DAILY) as scene:
        assert scene.held() == 20_000


async def test_a_simulating_key_cannot_reach_real_money_by_leaving_the_environment_out(tmp_path: Path) -> None:
    """An environment that nobody named counts as real, and a key for simulation is told `environment`."""
    body = {name: value for name, value in order().items() if name != "env"}
    async with stage(tmp_path, record("bot", scopes=["trade:simulate"])) as scene:
        assert code_of(await scene.ask(ORDER, body)) == (403, "environment")
        assert code_of(await scene.ask(ORDER, order(env="real"))) == (403, "environment")
        assert scene.reached() == []


async def test_b11_the_daemons_words_are_redacted_in_the_record(tmp_path: Path) -> None:
    """The caller gets the daemon's own message, the record one without account numbers."""
    async with stage(tmp_path) as scene:
        scene.daemon.faults.add(RetType(-1, "account 281756478875559548 is frozen"), path=ORDER)
        reply = await scene.place()

        assert "281756478875559548" in said(reply)["ret_msg"]
        assert "281756478875559548" not in json.dumps(await scene.outcome(reply))


async def test_an_order_that_was_sent_is_counted_as_allowed(tmp_path: Path) -> None:
    """Whatever the daemon says of it; one that the guard refused is counted as refused."""
    async with stage(tmp_path, policies=DAILY) as scene:
        await scene.placed()
        scene.daemon.faults.add(RetType(-1), path=ORDER)
        await scene.place(qty=200)
        await scene.place(qty=100_000)
        exposed = scene.guard.desk.metrics.render().decode()
    for outcome, count in (("allowed", 2), ("refused", 1)):
        assert f'guard_requests_total{{endpoint="/api/order",outcome="{outcome}"}} {count}.0' in exposed
