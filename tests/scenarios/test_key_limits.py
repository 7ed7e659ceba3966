"""A key's own limits: every one of keys.json.example binds, beside every policy."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from guard.lifecycle import Guard
from guard.settingsfile import Overrides, load
from guard.simulator import Simulator
from guard.terms import KeyLimits
from tests.support.clock import ManualClock
from tests.support.guards import ask, codes, lay_out, order, record, said
from tests.support.stage import ORDER, Stage, code_of, is_passed, stage

EXAMPLE: Final = Path(__file__).parents[2] / "keys.json.example"
COVER: Final = '[orders]\nmax_value = ["100000000 HKD", "100000000 USD", "100000000 JPY"]\n'


def example(name: str) -> dict[str, Any]:
    """A record of keys.json.example with a plaintext that the test knows."""
    rows = {row["id"]: row for row in json.loads(EXAMPLE.read_text())["keys"]}
    known: dict[str, Any] = record(name)
    return {**rows[name], "hash": known["hash"]}


async def refusal_of(scene: Stage, who: str, **members: Any) -> tuple[int, str]:
    """The refusal of one order; it reaches nobody."""
    before = len(scene.reached())
    found = code_of(await scene.ask(ORDER, order(price=20, **members), who=who))
    assert len(scene.reached()) == before
    return found


TRADER: Final[list[tuple[dict[str, Any], str]]] = [
    ({"market": "JP", "code": "7203", "env": "real"}, "market"),
    ({"acc_id": 281756478875559548, "env": "real"}, "account"),
    ({"qty": 1100, "env": "real"}, "max_order_value"),
]
AGENT: Final[list[tuple[dict[str, Any], str]]] = [
    ({"env": "real"}, "environment"),
    ({"acc_id": 9032}, "account"),
    ({"market": "JP", "code": "7203"}, "market"),
    ({"code": "09988"}, "symbol"),
    ({"qty": 300}, "max_order_value"),
]


@pytest.mark.parametrize(
    ("who", "members", "code"), [*(("trader", *row) for row in TRADER), *(("agent-1", *row) for row in AGENT)]
)
async def test_b06_every_list_and_cap_of_the_example_keys_binds(
    tmp_path: Path, who: str, members: dict[str, Any], code: str
) -> None:
    """Each limit of keys.json.example, flat or nested, refuses one order that is just outside it."""
    async with stage(tmp_path, example("trader"), example("agent-1"), policies=COVER) as scene:
        assert (await refusal_of(scene, who, **members))[1] == code


async def test_the_sides_of_the_example_keys_bind_once_one_is_taken_away(tmp_path: Path) -> None:
    """The example allows both sides that exist; without SELL a sale is refused in either layout."""
    flat, nested = example("trader"), example("agent-1")
    flat["allowed_trd_sides"] = nested["limits"]["allowed_trd_sides"] = ["BUY"]
    async with stage(tmp_path, flat, nested, policies=COVER) as scene:
        assert await refusal_of(scene, "trader", side="SELL", env="real") == (403, "side")
        assert await refusal_of(scene, "agent-1", side="SELL") == (403, "side")


@pytest.mark.parametrize(
    ("who", "env", "price", "passes", "code"),
    [("agent-1", "simulate", 50, 3, "rate"), ("trader", "real", 200, 10, "daily_value")],
)
async def test_rates_and_budgets_of_the_example_keys_bind(
    tmp_path: Path, who: str, env: str, price: int, passes: int, code: str
) -> None:
    """max_orders_per_minute and max_daily_value of keys.json.example stop the next order."""
    async with stage(tmp_path, example("trader"), example("agent-1"), policies=COVER) as scene:
        for n in range(passes):
            assert is_passed(await scene.place(who=who, env=env, price=price, remark=f"n{n}"))
        assert code_of(await scene.place(who=who, env=env, price=price))[1] == code


async def test_the_agents_day_binds(tmp_path: Path) -> None:
    """The agent's max_daily_value stops it although its rate has room."""
    async with stage(tmp_path, example("agent-1"), policies=COVER) as scene:
        for n in range(4):
            assert is_passed(await scene.place(who="agent-1", price=50, remark=f"n{n}"))
            scene.clock.advance(s=30)
        assert codes(await scene.place(who="agent-1", price=50)) == ["daily_value"]


async def test_hours_and_expiry_of_the_example_keys_bind(tmp_path: Path) -> None:
    """The trader's hours_window is in keys.tz and its end is not part of it; after expires_at the key is unknown."""
    clock = ManualClock(datetime(2026, 11, 22, 20, 59, 59, tzinfo=UTC))
    async with stage(tmp_path, example("trader"), policies=COVER, clock=clock) as scene:
        assert is_passed(await scene.place(who="trader", env="real", remark="1"))
        clock.advance(s=1)
        assert code_of(await scene.place(who="trader", env="real")) == (403, "hours")
        clock.advance(s=400 * 86_400)
        assert code_of(await scene.place(who="trader", env="real")) == (401, "unauthenticated")


async def test_readers_and_operators_of_the_example_cannot_trade(tmp_path: Path) -> None:
    """The example's reader and operator have no trade scope."""
    async with stage(tmp_path, example("reader"), example("operator"), policies=COVER) as scene:
        assert await refusal_of(scene, "reader") == (403, "scope")
        assert await refusal_of(scene, "operator") == (403, "scope")


async def test_the_tightest_of_key_and_policies_wins(tmp_path: Path) -> None:
    """A key's own limit and every policy bind together; both reasons are told when both fail."""
    policies = {"wide.toml": COVER, "desk.toml": '[orders]\nmax_value = ["15000 HKD"]'}
    async with stage(tmp_path, record("bot", max_order_value=10_000), policies=policies) as scene:
        reply = await scene.place()

        assert codes(reply) == ["max_order_value", "max_order_value"]
        assert {reason["policy"] for reason in said(reply)["guard"]["reasons"]} == {"key:bot", "desk"}
        assert codes(await scene.place(price=120)) == ["max_order_value"]
        assert is_passed(await scene.place(price=100))


FLAGS: Final[list[tuple[KeyLimits, str]]] = [
    (KeyLimits(allowed_markets=("US",)), "market"),
    (KeyLimits(allowed_symbols=("HK.09988",)), "symbol"),
    (KeyLimits(allowed_trd_sides=("SELL",)), "side"),
    (KeyLimits(hours_window="20:00-21:00"), "hours"),
    (KeyLimits(max_order_value=Decimal(19_999)), "max_order_value"),
    (KeyLimits(max_daily_value=Decimal(19_999)), "daily_value"),
    (KeyLimits(max_orders_per_minute=0), "rate"),
]


@pytest.mark.parametrize(("limits", "code"), FLAGS)
async def test_the_startup_flags_bind_everyone(tmp_path: Path, limits: KeyLimits, code: str) -> None:
    """Each of the reference's own startup flags is one more policy that no key escapes."""
    config = lay_out(tmp_path, record("bot"), record("other"), policies={"open.toml": COVER})
    clock = ManualClock()
    guard = Guard(load(config, Overrides(limits=limits), {}), daemon=Simulator(clock=clock), clock=clock)
    await guard.start()
    try:
        for who in ("bot", "other"):
            reply = await ask(guard, ORDER, order(price=200), who=who)
            assert codes(reply) == [code]
            assert said(reply)["guard"]["reasons"][0]["policy"] == "flags"
    finally:
        await guard.stop("over")
