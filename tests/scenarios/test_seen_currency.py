"""A stock that the daemon's own orders show in another currency than its market's, through the whole walk."""

import json
from pathlib import Path

from guard.simulator import Simulator
from guard.terms import Answer, Failure, Outbound
from tests.support.clock import ManualClock
from tests.support.guards import said
from tests.support.stage import again, code_of, is_passed, stage

_USD = 2


class InDollars(Simulator):
    """Its order list says that everything was ordered in US dollars."""

    async def send(self, request: Outbound) -> Answer | Failure:
        """The ordinary answer, in another currency."""
        answer = await super().send(request)
        if request.path != "/api/orders" or isinstance(answer, Failure):
            return answer
        told = json.loads(answer.body)
        for row in told["s2c"]["order_list"]:
            row["currency"] = _USD
        return Answer(answer.status, answer.content_type, json.dumps(told).encode())


async def test_w08_a_currency_that_orders_show_wins_for_plain_limit_orders_too(tmp_path: Path) -> None:
    """W08: once the order list was read, shares are counted in its currency; the valuation on record says so."""
    clock = ManualClock()
    rules = '[orders]\nmax_value = ["100000 HKD", "12500 USD"]'
    async with stage(tmp_path, policies=rules, daemon=InDollars(clock=clock), clock=clock) as scene:
        first = await scene.place(qty=100, price=200)
        assert is_passed(first)
        assert (await scene.decision(first))["valuation"]["value"]["currency"] == "HKD"
        for _ in range(2):  # the first look only notes since when the order lives
            await scene.guard.reconciler.turn()
            clock.advance(s=30)

        for side in ("BUY", "SELL"):
            reply = await scene.place(qty=300, price=200, side=side)
            assert code_of(reply) == (403, "max_order_value")
            assert said(reply)["guard"]["reasons"][0]["unit"] == "USD"
            assert (await scene.decision(reply))["valuation"]["value"]["currency"] == "USD"


async def test_w08_a_restart_knows_the_currency_before_any_list(tmp_path: Path) -> None:
    """What was seen is in the record, once, and counts from the first order of the next run on."""
    clock = ManualClock()
    rules = '[orders]\nmax_value = ["100000 HKD", "12500 USD"]'
    async with stage(tmp_path, policies=rules, daemon=InDollars(clock=clock), clock=clock) as scene:
        await scene.placed()
        for _ in range(3):
            await scene.guard.reconciler.turn()
            clock.advance(s=30)
        told = [line for line in await scene.records("order") if "currency" in line]
        assert [(line["symbol"], line["currency"]) for line in told] == [("HK.00700", "USD")]
        before = scene.ledger()
        assert before["currencies"] == {"HK.00700": "USD"}
    async with again(scene.config, daemon=scene.daemon, clock=clock) as scene:
        assert scene.ledger() == before
        reply = await scene.place(qty=300, price=200)
        assert code_of(reply) == (403, "max_order_value")
        assert said(reply)["guard"]["reasons"][0]["unit"] == "USD"
