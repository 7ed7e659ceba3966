"""What an order is worth in its world, through the whole walk: prices, contracts, rates of exchange, exits."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec.structs import replace

from guard.journal import SeenWorld
from guard.simulator.faults import Fault, Garbage, HttpError, Reset, RetType, Unreachable
from guard.terms import Quote
from guard.walk.desk import Desk
from guard.walk.hooks import HOOKS
from guard.walk.judging import Assessment, judge_trade
from guard.walk.visit import Situation, Visit
from tests.support.clock import ManualClock
from tests.support.daemon import ShowingRows
from tests.support.guards import order, said
from tests.support.stage import MODIFY, ORDER, code_of, is_passed, stage

SNAPSHOT: Final = "/api/snapshot"
CALL: Final[dict[str, Any]] = {"market": "US", "code": "US.AAPL260116C200000"}


def told(reply: Any) -> dict[str, Any]:
    """The guard's part of a refusal."""
    found: dict[str, Any] = said(reply)["guard"]
    return found


async def test_a_refusal_tells_price_source_age_and_what_would_have_fitted(tmp_path: Path) -> None:
    """A market order over its cap: the arithmetic in the text, the largest quantity in lots, both in the record."""
    async with stage(tmp_path, policies='[orders]\nmax_value = "100000 HKD"') as scene:
        body = {name: value for name, value in order(qty=1000, order_type="MARKET").items() if name != "price"}
        reply = await scene.ask(ORDER, body)

        assert code_of(reply) == (403, "max_order_value")
        assert told(reply)["largest_qty"] == "300"
        assert "HKD; ask " in said(reply)["ret_msg"]
        assert "s old, buffer 5 %" in said(reply)["ret_msg"]
        record = await scene.decision(reply)
        assert record["largest_qty"] == "300"
        assert record["valuation"]["source"] == "ask"
        assert record["valuation"]["age_ms"] >= 0
        seen = record["world"]
        assert (seen["quote"]["symbol"], seen["instrument"]["lot_size"]) == ("HK.00700", 100)
        smaller = await scene.ask(ORDER, body | {"qty": 300})
        assert is_passed(smaller)


@pytest.mark.parametrize(("path", "wrapped"), [(ORDER, False), ("/guard/v1/check", True)])
async def test_what_would_fit_is_told_in_lots_also_of_a_limit_order(
    tmp_path: Path, path: str, *, wrapped: bool
) -> None:
    """The lot is asked for once it matters, by a dry run too."""
    async with stage(tmp_path, policies='[orders]\nmax_value = "100000 HKD"') as scene:
        body = order(qty=1000, price=299)
        reply = await scene.ask(path, {"path": ORDER, "body": body} if wrapped else body)

        assert told(reply)["largest_qty"] == "300"
        assert told(reply)["reasons"][0]["observed"] == "299000"


async def test_a_refusal_whose_lot_is_at_hand_is_judged_once(tmp_path: Path) -> None:
    """The first refusal asks for the lot and is judged again; from then on one look says everything, in lots."""
    judged: list[str] = []

    def counting(desk: Desk, visit: Visit, situation: Situation) -> Assessment:
        judged.append(visit.id)
        return judge_trade(desk, visit, situation)

    async with stage(tmp_path, policies='[orders]\nmax_value = "100000 HKD"') as scene:
        scene.guard.pipeline.hooks = replace(HOOKS, judge=counting)
        for looks in (2, 1, 1):
            judged.clear()
            reply = await scene.place(qty=1000, price=299)
            assert told(reply)["largest_qty"] == "300"
            assert (await scene.decision(reply))["world"]["instrument"]["lot_size"] == 100
            assert len(judged) == looks


async def test_w02_a_sale_far_below_the_market_is_worth_the_market(tmp_path: Path) -> None:
    """W02: it fills at the bid, whatever its limit says; as does an order whose limit is moved down there."""
    rules = '[orders]\nmax_value = "100000 HKD"\n[budgets]\ndaily_value = "100000 HKD"'
    async with stage(tmp_path, policies=rules) as scene:
        assert code_of(await scene.place(side="SELL", qty=100_000, price=0.01)) == (403, "max_order_value")
        assert scene.reached() == []
        resting = await scene.placed(side="SELL", qty=100, price=320)
        assert scene.held() == 32_000
        lower = await scene.modify(resting, qty=400, price=0.01)
        assert code_of(lower) == (403, "max_order_value")
        assert (await scene.decision(lower))["valuation"]["source"] != "limit"
        assert scene.reached(MODIFY) == []


async def test_a_sale_waits_for_a_price_that_there_is(tmp_path: Path) -> None:
    """Who keeps the daemon from telling it does not sell at any price: 503, and again a little later."""
    async with stage(tmp_path, policies='[orders]\nmax_value = "100000 HKD"') as scene:
        asked = await scene.decision(await scene.place(side="SELL", price=200))
        assert asked["world"]["quote"]["symbol"] == "HK.00700"
        assert Decimal(asked["valuation"]["price"]) > 200
        scene.daemon.faults.always(Unreachable(), path="/api/snapshot")
        scene.clock.advance(s=60)
        late = await scene.place(side="SELL", qty=100_000, price=0.01)
        assert code_of(late) == (503, "price_unavailable")
        assert "is 60 s old" in said(late)["ret_msg"]
        assert is_passed(await scene.place(side="BUY", price=200))


async def test_w02_sales_at_once_share_one_price_and_one_budget(tmp_path: Path) -> None:
    """Forty sales at a tiny limit before any price was told: what passes of them is within the budget at the market."""
    rules = '[orders]\nmax_value = "100000 HKD"\n[budgets]\ndaily_value = "100000 HKD"'
    async with stage(tmp_path, policies=rules) as scene:
        asked = len(scene.reached(SNAPSHOT))
        replies = await asyncio.gather(*(scene.place(side="SELL", price=0.01, remark=f"n{n}") for n in range(40)))
        passed = [reply for reply in replies if is_passed(reply)]
        assert {code_of(reply) for reply in replies if not is_passed(reply)} == {(403, "daily_value")}
        assert passed
        assert 30_000 * len(passed) <= scene.held() <= 100_000
        assert len(scene.reached(SNAPSHOT)) == asked + 1


@pytest.mark.parametrize(
    ("fault", "why"), [(RetType(-1, "no quote right"), "no quote right"), (HttpError(403, "missing scope"), "HTTP 403")]
)
async def test_a_sale_of_what_the_daemon_has_no_price_of_stands_at_its_limit(
    tmp_path: Path, fault: Fault, why: str
) -> None:
    """No right to its quotes, the account's or the guard's own key's: it can be sold, and the record says why so."""
    async with stage(tmp_path, policies='[orders]\nmax_value = "100000 HKD"') as scene:
        scene.daemon.faults.always(fault, path="/api/snapshot")
        record = await scene.decision(await scene.place(side="SELL", price=200))

        assert why in record["world"]["missing"]["quote"]["message"]
        assert (record["valuation"]["source"], Decimal(record["valuation"]["price"])) == ("limit", Decimal(200))


NO_RIGHT: Final = RetType(-1, "no quote right")


async def test_w02_a_sale_of_what_is_held_is_worth_what_the_position_is_shown_at(tmp_path: Path) -> None:
    """Without a right to quotes the list of positions still tells a price: a limit far below it is not believed."""
    rules = '[orders]\nmax_value = "100000 HKD"\n[budgets]\ndaily_value = "100000 HKD"'
    async with stage(tmp_path, policies=rules) as scene:
        scene.hold(100_000)
        scene.daemon.faults.always(NO_RIGHT, path=SNAPSHOT)
        refused = await scene.place(side="SELL", qty=100_000, price=0.01)
        assert code_of(refused) == (403, "max_order_value")
        passed = await scene.place(side="SELL", qty=100, price=0.01)
        assert is_passed(passed)
        valued = (await scene.decision(passed))["valuation"]
        assert (valued["source"], Decimal(valued["price"]) > 200) == ("position", True)
        assert scene.held() > 20_000
        assert is_passed(await scene.place(side="SELL", qty=100, price=450))
        assert is_passed(await scene.place(side="BUY", price=200)), "a purchase is worth its limit"
        assert len(scene.reached("/api/positions")) == 1


async def test_w02_neither_small_sales_nor_a_change_get_past_what_a_position_is_worth(tmp_path: Path) -> None:
    """Without a right to quotes each part counts in the day's budget at the position's price, and so does more of it.

    An exit passes an exhausted budget all the same, and is counted; what adds risk does not.
    """
    rules = '[orders]\nmax_value = "60000 HKD"\n[budgets]\ndaily_value = "100000 HKD"'
    async with stage(tmp_path, policies=rules) as scene:
        scene.hold(100_000)
        scene.daemon.faults.always(NO_RIGHT, path=SNAPSHOT)
        first = await scene.placed(side="SELL", qty=100, price=0.01)
        worth = scene.held()
        assert worth > 20_000
        assert code_of(await scene.modify(first, qty=1_000, price=0.01))[0] == 403
        parts = int(100_000 // worth)
        for n in range(parts):
            assert is_passed(await scene.place(side="SELL", qty=100, price=0.01, remark=f"part {n}"))
        assert scene.held() > 100_000, "those that were filled, at what they were filled at"
        assert code_of(await scene.place(side="BUY", qty=100, price=200)) == (403, "daily_value")


async def test_w02_what_was_bought_a_moment_ago_is_held(tmp_path: Path) -> None:
    """That nothing is held is believed for seconds, and a price of what is held for a minute."""
    async with stage(tmp_path, policies='[orders]\nmax_value = "100000 HKD"') as scene:
        scene.daemon.faults.always(NO_RIGHT, path=SNAPSHOT)
        assert is_passed(await scene.place(side="SELL", qty=100, price=0.01))
        scene.hold(100_000)
        scene.clock.advance(s=16)
        assert code_of(await scene.place(side="SELL", qty=100_000, price=0.01)) == (403, "max_order_value")
        scene.daemon.faults.always(Unreachable(), path="/api/positions")
        scene.clock.advance(s=30)
        assert code_of(await scene.place(side="SELL", qty=100_000, price=0.01)) == (403, "max_order_value")
        scene.clock.advance(s=31)
        assert code_of(await scene.place(side="SELL", qty=100_000, price=0.01)) == (503, "price_unavailable")


async def test_w02_a_market_sale_of_what_is_held_is_counted_at_what_it_is_shown_at(tmp_path: Path) -> None:
    """It only reduces a position, so no price stops it; it counts at the position's, not at nothing."""
    rules = '[orders]\nmax_value = "100000 HKD"\n[budgets]\ndaily_value = "100000 HKD"'
    async with stage(tmp_path, policies=rules) as scene:
        scene.hold(200)
        scene.daemon.faults.always(NO_RIGHT, path=SNAPSHOT)
        assert is_passed(await scene.place(side="SELL", qty=200, price=None, order_type="MARKET"))
        assert scene.held() > 40_000


async def test_an_exit_whose_price_comes_late_is_counted_at_its_limit(tmp_path: Path) -> None:
    """A missing price does not refuse it, but it counts, and the largest value binds it; it held nothing at all."""
    rules = '[orders]\nmax_value = "100000 HKD"\n[budgets]\ndaily_value = "100000 HKD"\nopen_value = "90000 HKD"'
    async with stage(tmp_path, policies=rules) as scene:
        scene.hold(2000)
        scene.daemon.faults.always(Reset(acts=False), path=SNAPSHOT)
        assert is_passed(await scene.sell(200))
        assert (scene.held(), scene.held("open_value")) == (Decimal(80_000), Decimal(80_000))
        assert code_of(await scene.sell(300)) == (403, "max_order_value")


@pytest.mark.parametrize(("held", "side"), [(200, "SELL"), (-200, "BUY")])
async def test_an_exit_at_market_whose_price_comes_late_is_counted_at_its_positions(
    tmp_path: Path, held: int, side: str
) -> None:
    """While nobody tells a quote, the position that lets it pass also tells a price; it held nothing at all."""
    rules = '[orders]\nmax_value = "100000 HKD"\n[budgets]\ndaily_value = "50000 HKD"'
    async with stage(tmp_path, policies=rules) as scene:
        scene.hold(held)
        scene.daemon.faults.always(Reset(acts=False), path=SNAPSHOT)
        passed = await scene.place(side=side, qty=200, price=None, order_type="MARKET")
        assert is_passed(passed)
        position = (await scene.decision(passed))["world"]["position"]
        assert scene.held() >= 200 * Decimal(position["price"]) > 40_000
        assert code_of(await scene.place(side="BUY", qty=100, price=300)) == (403, "daily_value")


async def test_an_exit_at_market_of_what_is_shown_without_a_price_is_counted_at_its_cost(tmp_path: Path) -> None:
    """Neither quote nor price of the position: what was paid on average is what is known; it held nothing at all."""
    rules = '[orders]\nmax_value = "100000 HKD"\n[budgets]\ndaily_value = "50000 HKD"'
    clock = ManualClock()
    async with stage(
        tmp_path,
        policies=rules,
        daemon=ShowingRows("/api/positions", "position_list", {"price": 0, "val": 0}, clock=clock),
        clock=clock,
    ) as scene:
        scene.hold(200)
        scene.daemon.faults.always(Reset(acts=False), path=SNAPSHOT)
        passed = await scene.place(side="SELL", qty=200, price=None, order_type="MARKET")
        assert is_passed(passed)
        position = (await scene.decision(passed))["world"]["position"]
        assert scene.held() >= 200 * Decimal(position["price"]) > 40_000
        assert code_of(await scene.place(side="BUY", qty=100, price=300)) == (403, "daily_value")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Reset(acts=False), (503, "price_unavailable")),
        (Reset(acts=True), (503, "price_unavailable")),
        (RetType(-1, "no permission"), None),
        (Garbage(b'{"ret_type":0,"s2c":{"position_list":[]}}'), None),
    ],
)
async def test_w02_a_sale_waits_for_positions_that_are_not_told(
    tmp_path: Path, fault: Fault, code: tuple[int, str] | None
) -> None:
    """Whoever keeps the list away does not sell at any price for that; where nothing is held it is the limit."""
    async with stage(tmp_path, policies='[orders]\nmax_value = "100000 HKD"') as scene:
        scene.daemon.faults.always(NO_RIGHT, path=SNAPSHOT)
        scene.daemon.faults.always(fault, path="/api/positions")
        reply = await scene.place(side="SELL", qty=100_000, price=0.01)
        assert is_passed(reply) if code is None else code_of(reply) == code


async def test_a_sale_that_was_worth_its_position_is_judged_the_same_again(tmp_path: Path) -> None:
    """The record holds the price that was seen."""
    rules = '[orders]\nmax_value = "100000 HKD"'
    async with stage(tmp_path, policies=rules) as scene:
        scene.hold(1000)
        scene.daemon.faults.always(NO_RIGHT, path=SNAPSHOT)
        record = await scene.decision(await scene.place(side="SELL", qty=1000, price=0.01))
        world = msgspec.convert(record["world"], type=SeenWorld, strict=False).world()
        assert isinstance(world.held, Quote)
        assert world.held.last is not None
        assert record["reasons"][0]["observed"] == f"{world.held.last * 1000:f}"


@pytest.mark.parametrize("words", ["requests are too frequent", "[err_code=none] 未知错误"])
async def test_w02_a_sale_waits_while_the_daemon_will_not_tell(tmp_path: Path, words: str) -> None:
    """Whoever has the broker's limit used up, or meets a daemon in trouble, does not sell at any price for that."""
    async with stage(tmp_path, policies='[orders]\nmax_value = "100000 HKD"') as scene:
        scene.daemon.faults.always(RetType(-1, words), path="/api/snapshot")
        reply = await scene.place(side="SELL", qty=100_000, price=0.01)

        assert code_of(reply) == (503, "price_unavailable")
        assert words.rsplit("] ", maxsplit=1)[-1] in said(reply)["ret_msg"]
        assert scene.reached() == []


async def test_b20_a_sale_waits_for_a_daemon_that_logs_in(tmp_path: Path) -> None:
    """Without a login for quotes it answers that it knows nothing: that is no word on the price."""
    async with stage(tmp_path, policies='[orders]\nmax_value = "100000 HKD"') as scene:
        for path, s2c in (
            (SNAPSHOT, b'{"snapshot_list":[]}'),
            ("/api/static-info", b'{"static_info_list":[]}'),
            ("/api/global-state", b'{"market_hk":5,"qot_logined":false}'),
        ):
            scene.daemon.faults.always(Garbage(b'{"ret_type":0,"s2c":%b}' % s2c), path=path)

        assert code_of(await scene.place(side="SELL", qty=100_000, price=0.01)) == (503, "price_unavailable")
        assert scene.reached() == []


async def test_a_collar_refuses_a_price_far_from_the_market(tmp_path: Path) -> None:
    """A BUY at 400 with the market near 300 is beyond 10 %; at 200 it only waits."""
    rules = '[orders]\nmax_value = "1000000 HKD"\nprice_collar_percent = { stock = 10 }'
    async with stage(tmp_path, policies=rules) as scene:
        assert code_of(await scene.place(price=400)) == (403, "price_collar")
        assert is_passed(await scene.place(price=200))
        scene.daemon.faults.always(Unreachable(), path="/api/snapshot")
        scene.clock.advance(s=60)
        assert code_of(await scene.place(price=200)) == (503, "price_unavailable")


async def test_w08_an_order_meets_a_limit_in_another_currency(tmp_path: Path) -> None:
    """W08: rate, date and buffer are recorded."""
    rules = '[orders]\nmax_value = "3000 USD"\n[fx]\nUSDHKD = "7.8"\nas_of = 2026-11-20\nbuffer_percent = 1'
    async with stage(tmp_path, policies=rules) as scene:
        passed = await scene.place(qty=100, price=200)
        assert is_passed(passed)
        (met,) = (await scene.decision(passed))["valuation"]["fx"]
        assert met["rate"] == "USDHKD 7.8"
        assert met["as_of"] == "2026-11-20"
        assert Decimal(met["value"]["amount"]) == Decimal("2589.7436")
        assert code_of(await scene.place(qty=200, price=200)) == (403, "max_order_value")
        scene.clock.advance(s=5 * 86_400)
        assert code_of(await scene.place(qty=100, price=200)) == (503, "fx_unavailable")


async def test_an_exit_is_not_stopped_by_rates_that_have_become_old(tmp_path: Path) -> None:
    """The position is asked for, and it counts at the last rates; what adds risk waits for new ones."""
    rules = (
        '[orders]\nmax_value = "12000 USD"\n[budgets]\ndaily_value = "1 USD"\n[fx]\nUSDHKD = "8"\nas_of = 2020-01-01'
    )
    async with stage(tmp_path, policies=rules) as scene:
        scene.hold(200)
        assert code_of(await scene.sell(300)) == (503, "fx_unavailable")
        passed = await scene.sell(200)
        assert is_passed(passed)
        assert scene.held() == 10_000
        (met,) = (await scene.decision(passed))["valuation"]["fx"]
        assert (met["rate"], met["as_of"]) == ("USDHKD 8", "2020-01-01")
        assert code_of(await scene.place(qty=100, price=1)) == (503, "fx_unavailable")


@pytest.mark.parametrize(
    ("rates", "what_to_add"),
    [
        ("", "an amount in HKD, or a rate in [fx]"),
        ("[fx]\nUSDHKD = '7.8'\nas_of = 2020-01-01", "current rates in [fx]"),
    ],
)
async def test_a_missing_rate_is_the_operators_to_add(tmp_path: Path, rates: str, what_to_add: str) -> None:
    """503 `fx_unavailable`: no rate comes by trying again, so it is not retryable and names no time."""
    async with stage(tmp_path, policies=f'[orders]\nmax_value = "3000 USD"\n{rates}') as scene:
        refused = await scene.place(qty=100, price=200)
        assert code_of(refused) == (503, "fx_unavailable")
        guard = told(refused)
        assert (guard["retryable"], guard["retry_after_s"]) == (False, None)
        assert "Retry-After" not in dict(refused.headers)
        assert f"the policy needs {what_to_add}" in guard["reasons"][0]["message"]


async def test_w07_w19_a_sold_option_meets_the_value_of_what_it_is_on(tmp_path: Path) -> None:
    """W07, W19: the premium passes, the underlying does not."""
    cheap = '[orders]\nmax_value = "100000 USD"\nmax_underlying_value = "1000 USD"'
    body = order(**CALL, qty=1, price=1, side="SELL")
    async with stage(tmp_path, policies=cheap) as scene:
        reply = await scene.ask(ORDER, body)
        assert code_of(reply) == (403, "max_order_value")
        assert told(reply)["reasons"][0]["rule"] == "orders.max_underlying_value"
        assert scene.reached() == []


@pytest.mark.parametrize("per", ["key", "account"])
async def test_an_exit_is_not_refused_for_an_exhausted_budget(tmp_path: Path, per: str) -> None:
    """What was bought may be sold; not more of it, not twice, and not something else."""
    rules = f'[orders]\nmax_value = "1000000 HKD"\n[budgets]\nper = "{per}"\ndaily_value = "80000 HKD"'
    async with stage(tmp_path, policies=rules) as scene:
        assert is_passed(await scene.place(price=400, qty=200))
        scene.daemon.tick(moves=False)
        assert code_of(await scene.place(price=400, qty=100)) == (403, "daily_value")

        held = next(h.qty for (_, symbol), h in scene.daemon.world.ledger.holdings.items() if symbol == "HK.00700")
        assert code_of(await scene.place(price=400, qty=float(held) + 100, side="SELL")) == (403, "daily_value")
        first = await scene.place(price=400, qty=100, side="SELL")
        assert is_passed(first)
        claims = (await scene.decision(first))["claims"]
        assert next(claim for claim in claims if claim["counter"].startswith("daily_value/")).get("cap") is None
        rest = await scene.place(price=400, qty=float(held), side="SELL")
        assert code_of(rest) == (403, "daily_value")
        assert told(rest)["largest_qty"] == str(int(held) - 100)
