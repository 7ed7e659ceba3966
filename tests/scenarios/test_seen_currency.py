"""A stock that the daemon's own orders show in another currency than its market's, through the whole walk."""

from decimal import Decimal
from pathlib import Path

from guard.simulator import Simulator
from guard.simulator.instruments import LISTED
from guard.terms import Account, Env
from tests.support.clock import ManualClock
from tests.support.daemon import ShowingRows
from tests.support.guards import said
from tests.support.stage import again, code_of, is_passed, stage

_USD = 2


def shown_in_dollars(path: str, member: str, clock: ManualClock) -> Simulator:
    """Whatever this list shows is in US dollars, all else as usual."""
    return ShowingRows(path, member, {"currency": _USD}, clock=clock)


async def test_w08_a_currency_that_orders_show_wins_for_plain_limit_orders_too(tmp_path: Path) -> None:
    """W08: once the order list was read, shares are counted in its currency; the valuation on record says so."""
    clock = ManualClock()
    rules = '[orders]\nmax_value = ["100000 HKD", "12500 USD"]'
    async with stage(
        tmp_path, policies=rules, daemon=shown_in_dollars("/api/orders", "order_list", clock), clock=clock
    ) as scene:
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
    async with stage(
        tmp_path, policies=rules, daemon=shown_in_dollars("/api/orders", "order_list", clock), clock=clock
    ) as scene:
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


async def test_w08_a_currency_that_positions_show_is_recorded_too(tmp_path: Path) -> None:
    """Where orders show nothing else: a restart values the symbol as the positions did."""
    clock = ManualClock()
    daemon = shown_in_dollars("/api/positions", "position_list", clock)
    daemon.world.ledger.book(Account(Env.SIMULATE, 123456), LISTED["HK.00700"], qty=Decimal(300), price=Decimal(300))
    rules = '[orders]\nmax_value = ["100000 HKD", "50000 USD"]\n[budgets]\nopen_orders = 0'
    async with stage(tmp_path, policies=rules, daemon=daemon, clock=clock) as scene:
        assert is_passed(await scene.place(side="SELL", qty=100, price=400)), "an exit, so its position was asked for"
        assert scene.ledger()["currencies"] == {"HK.00700": "USD"}
        before = scene.ledger()
    async with again(scene.config, daemon=daemon, clock=clock) as scene:
        assert scene.ledger() == before
        reply = await scene.place(qty=300, price=200)
        assert said(reply)["guard"]["reasons"][0]["unit"] == "USD"
