"""What a decision's record holds is enough to judge it again: same order, same world, same rules, same answer."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from guard.intent import order_of
from guard.journal import Decision, recorded
from guard.journal.record import decode
from guard.policy import exits_of, judge
from guard.terms import Account, Effect, Env
from guard.walk.decisionrecord import INTENT_BYTES_MAX
from tests.support.clock import ManualClock
from tests.support.guards import order
from tests.support.stage import ORDER, Stage, stage

RULES: Final = """
[instruments]
markets = ["HK", "US"]
[orders]
max_value = ["60000 HKD", "12500 USD"]
price_collar_percent = { stock = 10, option = 50, future = 5 }
duplicate_window_s = 5
[hours]
HK = ["09:30-12:00", "13:00-16:00"]
US = "always"
[budgets]
daily_value = ["5000000 HKD", "500000 USD"]
[rates]
new_orders = "15/30s"
"""
FRIDAY: Final = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
MARKET: Final = {name: text for name, text in order(order_type="MARKET").items() if name != "price"}
EVENING: Final = {"market": "US", "code": "AAPL", "qty": 10, "price": 201.5}


def judged_again(scene: Stage, record: dict[str, Any]) -> Any:
    """Judges what a record holds, and nothing else but the policies and the key that it names by their hashes."""
    line = decode(msgspec.json.encode(record))
    kept = line.typed()
    assert isinstance(kept, Decision)
    found = order_of(bytes(kept.resulting or kept.order))
    if found.remark == f"g:{kept.id}":
        found = msgspec.structs.replace(found, remark=None)
    config = scene.guard.desk.config
    assert (kept.policy_sha256, kept.config_sha256) == (config.policy_sha256, config.config_sha256)
    policies = config.policies
    principal = config.keyring.principals[str(kept.key)]
    assert policies is not None
    assert kept.account is not None
    account = Account(Env[(kept.environment or "").upper()], kept.account)
    wall, world = datetime.fromisoformat(line.ts), (None if kept.world is None else kept.world.world())
    plan = policies.on(principal, account, wall=wall)
    return judge(
        plan,
        found,
        effect=Effect(str(kept.effect)),
        account=account,
        wall=wall,
        mark=(kept.idempotency or "")[:32],
        world=world,
        exits=exits_of(0 if kept.world is None else kept.world.exits),
    )


@pytest.mark.parametrize(
    "body",
    [
        order(),
        order(price=200, qty=200, remark="mine"),
        order(price=400),
        order(side="SELL", price=299),
        MARKET,
        MARKET | {"qty": 1000},
        order(**EVENING),
        order(market="US", code="US.AAPL260116C200000", qty=1, price=3),
    ],
)
async def test_a_decision_can_be_judged_again_from_its_record(tmp_path: Path, body: dict[str, Any]) -> None:
    """Reasons, claims and value come out as they were, whether the order passed or not."""
    async with stage(tmp_path, policies=RULES, clock=ManualClock(FRIDAY)) as scene:
        reply = await scene.ask(ORDER, body, idempotency_key="morning-1")
        record = await scene.decision(reply)
        again = judged_again(scene, record)

        kept = decode(msgspec.json.encode(record)).typed()
        assert isinstance(kept, Decision)
        assert set(recorded(again.claims)) < set(kept.claims)  # beside the walk's own
        assert again.worth == kept.valuation or not isinstance(again.worth, type(kept.valuation))
        assert again.reasons == kept.reasons


async def test_a_change_can_be_judged_again_from_its_record(tmp_path: Path) -> None:
    """The whole order that it leads to is in the record, and the decision that opened it."""
    async with stage(tmp_path, policies=RULES, clock=ManualClock(FRIDAY)) as scene:
        first = await scene.place(price=295)
        reply = await scene.modify(str(_id(first)), qty=300, price=295)
        record = await scene.decision(reply)

        assert record["of"] == (await scene.decision(first))["id"]
        assert [reason.code for reason in judged_again(scene, record).reasons] == ["max_order_value"]


async def test_the_callers_own_words_are_kept_and_bounded(tmp_path: Path) -> None:
    """Who, from where, with what, and why: at most 256 bytes of the why, in whole characters."""
    async with stage(tmp_path) as scene:
        why = "対冲 hedge of the morning's gap; thesis 12 " * 9
        words = {"guard_intent": why.encode().decode("latin-1"), "user_agent": "bot/1", "x_request_id": "r-1"}
        record = await scene.decision(await scene.ask(ORDER, order(), **words))

        assert why.startswith(record["intent"][:-1])
        assert 250 <= len(record["intent"].encode()) <= INTENT_BYTES_MAX
        assert (record["peer"], record["user_agent"], record["request_id"]) == ("127.0.0.1", "bot/1", "r-1")


async def test_a_decision_says_how_old_its_world_was(tmp_path: Path) -> None:
    """The price that was looked at, with its age, and the exchange's state; an order that needs none has none."""
    async with stage(tmp_path, policies=RULES, clock=ManualClock(FRIDAY)) as scene:
        record = await scene.decision(await scene.ask(ORDER, MARKET))

        assert Decimal(record["world"]["quote"]["last"]) == 300
        assert record["world"]["exchange"]["market"] == "HK"
    (tmp_path / "plain").mkdir()
    async with stage(tmp_path / "plain") as scene:
        assert "world" not in await scene.decision(await scene.place())


def _id(reply: Any) -> str:
    told: dict[str, Any] = msgspec.json.decode(reply.body)
    return str(told["s2c"]["order_id_ex"])
