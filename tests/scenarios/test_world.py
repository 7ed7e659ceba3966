"""What is asked of the daemon before an order is judged, through the whole walk: no more than its rules look at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from guard.lifecycle import Guard
from guard.simulator import Simulator
from guard.simulator.faults import HttpError
from tests.support.guards import ask, call, codes, lay_out, operate, order, record, running, said

CAPPED = {"capped.toml": '[orders]\nmax_value = ["100000 HKD", "12500 USD"]\nmarket_buffer_percent = 5\n'}
UNCAPPED = {"open.toml": "[orders]\nper_day = 1000\n"}
NO_COVER = "[trading]\nenabled = true\n[policies]\nrequire_cover = false\n"
ORDER = "/api/order"
REFERENCE = {"/api/snapshot", "/api/static-info", "/api/future-info", "/api/global-state", "/api/trading-days"}


def asked(daemon: Simulator) -> list[str]:
    """The reference data that the daemon was asked for."""
    return [request.path for request in daemon.requests if request.path in REFERENCE | {"/api/positions"}]


async def placed(guard: Guard, body: Mapping[str, Any], **head: str) -> tuple[int, list[str]]:
    """Status and codes of an order."""
    reply = await ask(guard, ORDER, body, **head)
    return reply.status, codes(reply) if reply.status != 200 else []


async def test_w01_a_market_order_is_valued_at_the_price_of_now(tmp_path: Path) -> None:
    """Not from its own price field (W01): 300 Tencent at 300 and five per cent pass, 400 do not."""
    daemon = Simulator()
    async with running(lay_out(tmp_path, policies=CAPPED), daemon=daemon) as guard:
        market = {"order_type": "MARKET", "price": 0.01}
        passed = await placed(guard, order(qty=300, **market))
        refused = await placed(guard, order(qty=400, **market))

        assert passed == (200, [])
        assert refused == (403, ["max_order_value"])
        assert "/api/snapshot" in asked(daemon)


async def test_without_a_price_a_market_order_is_refused_and_a_limit_order_is_not(tmp_path: Path) -> None:
    """503, naming the datum; a limit binds the broker, so it needs no price."""
    daemon = Simulator()
    daemon.faults.always(HttpError(503), path="/api/snapshot")
    async with running(lay_out(tmp_path, policies=CAPPED), daemon=daemon) as guard:
        reply = await ask(guard, ORDER, order(order_type="MARKET"))
        limit = await placed(guard, order())

        assert (reply.status, codes(reply)[0]) == (503, "price_unavailable")
        assert "HK.00700" in said(reply)["ret_msg"]
        assert limit == (200, [])


async def test_an_instrument_that_nobody_knows_is_not_supported(tmp_path: Path) -> None:
    """403, whatever its value would be."""
    daemon = Simulator()
    async with running(lay_out(tmp_path, policies=CAPPED), daemon=daemon) as guard:
        contract = order(market="US", code="ZZZZ261218C200000", order_type="MARKET")
        status, found = await placed(guard, contract)

        assert status == 403
        assert "unsupported_instrument" in found


@pytest.mark.parametrize(
    "members", [{"order_type": "MARKET"}, {"price": 5}, {"price": 5, "side": "SELL"}], ids=["market", "buy", "sell"]
)
async def test_a_share_that_nobody_knows_is_not_supported(tmp_path: Path, members: dict[str, Any]) -> None:
    """No price of it will ever come, so nobody is told to try again."""
    daemon, collar = Simulator(), "price_collar_percent = { stock = 10 }\n"
    async with running(lay_out(tmp_path, policies={"a.toml": CAPPED["capped.toml"] + collar}), daemon=daemon) as guard:
        reply = await ask(guard, ORDER, order(code="01234", **members))

        assert (reply.status, codes(reply)) == (403, ["unsupported_instrument"])
        assert said(reply)["ret_msg"] == "HK.01234 is no instrument that the daemon knows"
        assert said(reply)["guard"]["retryable"] is False


async def test_an_order_without_money_limits_asks_for_nothing(tmp_path: Path) -> None:
    """No rule looks at the world."""
    daemon = Simulator()
    async with running(lay_out(tmp_path, policies=UNCAPPED, toml=NO_COVER), daemon=daemon) as guard:
        assert await placed(guard, order(order_type="MARKET")) == (200, [])
        assert asked(daemon) == []


async def test_a_replay_asks_for_nothing(tmp_path: Path) -> None:
    """The first answer is told again, also when there is no price any more."""
    daemon = Simulator()
    async with running(lay_out(tmp_path, policies=CAPPED), daemon=daemon) as guard:
        first = await ask(guard, ORDER, order(order_type="MARKET"), idempotency_key="one")
        daemon.requests.clear()
        daemon.faults.always(HttpError(503), path="/api/snapshot")
        again = await ask(guard, ORDER, order(order_type="MARKET"), idempotency_key="one")

        assert (first.status, again.status) == (200, 200)
        assert said(first)["s2c"]["order_id_ex"] == said(again)["s2c"]["order_id_ex"]
        assert asked(daemon) == []


@pytest.mark.parametrize(
    ("toml", "members", "code"),
    [
        ("", {}, "trading_disabled"),
        ("[trading]\nenabled = true\n", {"env": "real"}, "environment"),
        ("[trading]\nenabled = true\n", {"acc_id": 999}, "account"),
    ],
)
async def test_whoever_may_not_trade_uses_up_nothing(
    tmp_path: Path, toml: str, members: dict[str, Any], code: str
) -> None:
    """The guard's part of the broker's limits is for orders that may pass."""
    daemon = Simulator()
    config = lay_out(tmp_path, record("bot", scopes=["trade:simulate"]), policies=CAPPED, toml=toml)
    async with running(config, daemon=daemon) as guard:
        _, found = await placed(guard, order(order_type="MARKET", **members))

        assert found[0] == code
        assert asked(daemon) == []


async def test_a_dry_run_sees_the_same_world(tmp_path: Path) -> None:
    """It asks for what the real order would."""
    daemon = Simulator()
    async with running(lay_out(tmp_path, policies=CAPPED), daemon=daemon) as guard:
        body = {"path": ORDER, "body": order(qty=400, order_type="MARKET")}
        found = said(await guard.pipeline.handle(call("/guard/v1/check", body)))

        assert found["outcome"] == "refuse"
        assert found["guard"]["code"] == "max_order_value"
        assert "/api/snapshot" in asked(daemon)


async def test_the_age_of_reference_data_is_a_metric(tmp_path: Path) -> None:
    """By kind, once it was asked for; accounts too."""
    async with running(lay_out(tmp_path, policies=CAPPED)) as guard:
        await placed(guard, order(order_type="MARKET"))
        _, text = await operate(guard, "/metrics", who=None)

        lines = [line for line in text.splitlines() if line.startswith("guard_reference_age_seconds{")]
        kinds = {line.partition('kind="')[2].partition('"')[0] for line in lines}
        assert {"price", "instrument", "account"} <= kinds
        assert all(float(line.rpartition(" ")[2]) < 60 for line in lines)
