"""Changes of orders: at their full new value, by their owner, one at a time; what is held follows the verdict."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from guard.simulator import Simulator
from guard.simulator.faults import Hold, HttpError, RetType, Unreachable
from tests.support.guards import codes, order, record, said
from tests.support.stage import DAILY, MODIFY, ORDER, account, change, code_of, decision_of, is_passed, stage

TIGHT: Final = """
[orders]
max_value = "25000 HKD"
max_qty = 300
per_day = 1
duplicate_window_s = 60
[budgets]
daily_value = "30000 HKD"
[rates]
changes = "3/30s"
"""
OWNERS: Final = (record("bot"), record("other"))
RECONFIRM: Final = "/api/reconfirm-order"


async def test_w04_a_change_is_judged_at_its_full_new_value(tmp_path: Path) -> None:
    """An order placed within its limits cannot be changed beyond them, in price or in quantity."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        mine = await scene.placed()
        assert codes(await scene.modify(mine, price=250.01)) == ["max_order_value"]
        assert codes(await scene.modify(mine, qty=400)) == ["max_order_qty", "max_order_value", "daily_value"]
        assert scene.reached(MODIFY) == []
        assert is_passed(await scene.modify(mine, price=250))
        assert scene.daemon.orders[mine].price == 250


async def test_w06_a_change_is_valued_as_far_up_as_it_lets_the_daemon_move_it(tmp_path: Path) -> None:
    """The adjustment is the change's own: it counts where it is given, and no longer where the next leaves it out."""
    async with stage(tmp_path, policies={"desk.toml": '[orders]\nmax_value = "100000 HKD"'}) as scene:
        mine = await scene.placed()
        moved: dict[str, Any] = {"adjust_price": True, "adjust_side_and_limit": 0.1}
        assert codes(await scene.modify(mine, qty=400, price=240, **moved)) == ["max_order_value"]
        assert scene.reached(MODIFY) == []
        assert is_passed(await scene.modify(mine, qty=400, price=220, **moved))
        sent = scene.reached(MODIFY)[0].json["c2s"]
        assert (sent["adjust_price"], sent["adjust_side_and_limit"]) == (True, Decimal("0.1"))
        assert is_passed(await scene.modify(mine, qty=400, price=240))
        assert "adjust_price" not in scene.reached(MODIFY)[1].json["c2s"]


async def test_a_change_meets_the_rules_on_instruments_and_hours_too(tmp_path: Path) -> None:
    """Market, symbol, side and hours bind a change as they bind a new order: a body without a symbol evades nothing."""
    async with stage(tmp_path, policies={"desk.toml": DAILY}) as scene:
        mine = await scene.placed()
        for rule, code in [
            ('[instruments]\nmarkets = ["US"]', "market"),
            ('[instruments]\nblocked_symbols = ["HK.00700"]', "symbol"),
            ('[orders]\nsides = ["SELL"]', "side"),
            ('[orders]\ntypes = ["MARKET"]', "order_type"),
            ('[orders]\ntime_in_force = ["GTC"]', "time_in_force"),
            ('[instruments]\nmarkets = ["HK"]\n[hours]\nHK = []', "hours"),
        ]:
            (tmp_path / "policies/more.toml").write_text(rule)
            await scene.guard.reload()
            assert code_of(await scene.modify(mine)) == (403, code)
        assert scene.reached(MODIFY) == []


@pytest.mark.parametrize(
    "kind",
    [{"order_type": "STOP", "aux_price": 310}, {"order_type": "TRAILING_STOP", "trail_type": 1, "trail_value": 5}],
)
async def test_an_order_without_a_limit_is_changed_at_the_price_that_lists_show_of_it(
    tmp_path: Path, kind: dict[str, Any]
) -> None:
    """That is 0, and whoever changes its quantity says it again. A limit order has no such price."""
    async with stage(tmp_path, policies=DAILY) as scene:
        mine, other = await scene.placed(price=None, **kind), await scene.placed()

        assert is_passed(await scene.modify(mine, qty=200, price=0))
        assert scene.reached(MODIFY)[0].json["c2s"]["price"] == 0
        assert code_of(await scene.modify(mine, qty=4000, price=0)) == (403, "max_order_value")
        assert code_of(await scene.modify(other, qty=200, price=0)) == (400, "bad_value")


async def test_a_cap_that_was_lowered_lets_an_order_become_smaller(tmp_path: Path) -> None:
    """A counter above its cap refuses what would raise it further, and not what leaves it there or lowers it."""
    budgets = '[budgets]\ndaily_value = "{0} HKD"\nopen_value = "{0} HKD"\nopen_orders = {1}'
    rules = '[orders]\nmax_value = "90000 HKD"\nper_day = {1}\n' + budgets
    async with stage(tmp_path, policies={"desk.toml": rules.format(90_000, 5)}) as scene:
        mine = await scene.placed(qty=200, price=150)
        for _ in range(2):
            await scene.placed(qty=200, price=150)
        (tmp_path / "policies/desk.toml").write_text(rules.format(50_000, 1))
        await scene.guard.reload()
        for qty, price in ((300, 150), (200, 150.5)):
            assert set(codes(await scene.modify(mine, qty=qty, price=price))) == {"daily_value", "open_value"}
        assert is_passed(await scene.modify(mine, qty=200, price=150))
        assert is_passed(await scene.modify(mine, qty=100, price=150))
        assert scene.held() == scene.held("open_value") == 75_000
        assert code_of(await scene.place(qty=100)) == (403, "orders_per_day")


async def test_a_cap_that_was_lowered_binds_an_order_that_is_enabled_again(tmp_path: Path) -> None:
    """It adds risk, though its day has counted it already: what lets an order become smaller is no way back for it."""
    rules = '[orders]\nmax_value = "90000 HKD"\n[budgets]\ndaily_value = "{} HKD"'
    idle: dict[str, Any] = {"qty": None, "price": None}
    async with stage(tmp_path, policies={"desk.toml": rules.format(90_000)}) as scene:
        mine = await scene.placed(qty=200, price=150)
        assert is_passed(await scene.modify(mine, op="DISABLE", **idle))
        (tmp_path / "policies/desk.toml").write_text(rules.format(20_000))
        await scene.guard.reload()
        assert code_of(await scene.modify(mine, op="ENABLE", **idle)) == (403, "daily_value")
        assert is_passed(await scene.cancel(mine))


async def test_a_change_is_no_new_order_and_no_duplicate(tmp_path: Path) -> None:
    """The day's count and the duplicate window are about new orders; changes have a rate of their own."""
    async with stage(tmp_path, policies=TIGHT) as scene:
        mine = await scene.placed()
        for _ in range(3):
            assert is_passed(await scene.modify(mine))
        assert code_of(await scene.modify(mine)) == (429, "rate")
        assert scene.sums("orders_per_day") == 1


@pytest.mark.parametrize(
    ("fault", "up", "down"),
    [
        (None, 25_000, 15_000),
        (RetType(-1), 20_000, 20_000),
        (HttpError(400), 20_000, 20_000),
        (Unreachable(), 20_000, 20_000),
        (HttpError(500), 25_000, 20_000),
        (RetType(-100, acts=True), 25_000, 20_000),
    ],
)
async def test_what_is_held_follows_the_verdict(tmp_path: Path, fault: Any, up: int, down: int) -> None:
    """Accepted moves to the new value, refused and not sent go back, unknown holds the larger of old and new.

    A price made smaller frees nothing before a list has shown how much was filled at the one before.
    """
    for price, held in ((250, up), (150, down)):
        directory = tmp_path / str(price)
        directory.mkdir()
        async with stage(directory, policies=DAILY) as scene:
            mine = await scene.placed()
            if fault is not None:
                scene.daemon.faults.add(fault, path=MODIFY)
            await scene.modify(mine, price=price)
            await scene.guard.reconciler.turn()
            assert scene.held() == held


async def test_room_is_taken_before_a_change_is_sent_and_given_back_after_it(tmp_path: Path) -> None:
    """While a change is under way the larger value is held, so that no other order takes the room."""
    async with stage(
        tmp_path, policies='[orders]\nmax_value = "90000 HKD"\n[budgets]\ndaily_value = "45000 HKD"'
    ) as scene:
        mine, go = await scene.placed(), asyncio.Event()
        scene.daemon.faults.add(Hold(go), path=MODIFY)
        asked = asyncio.ensure_future(scene.modify(mine, price=250))
        await scene.until_reached(MODIFY)
        assert scene.held() == 25_000
        assert codes(await scene.place(price=201)) == ["daily_value"]
        go.set()
        assert is_passed(await asked)
        assert is_passed(await scene.place(price=200))

        go.clear()
        scene.daemon.faults.add(Hold(go), path=MODIFY)
        smaller = asyncio.ensure_future(scene.modify(mine, price=10))
        await scene.until_reached(MODIFY, times=2)
        assert scene.held() == 45_000
        go.set()
        assert is_passed(await smaller)
        await scene.guard.reconciler.turn()
        assert scene.held() == 21_000


async def test_the_second_change_starts_from_the_first(tmp_path: Path) -> None:
    """What a change does not name stays as the change before left it, in the judgement and in the record."""
    async with stage(tmp_path, policies=DAILY) as scene:
        body = order(order_type="STOP_LIMIT", price=320, aux_price=310)
        mine = said(await scene.ask(ORDER, body))["s2c"]["order_id_ex"]
        first = await scene.modify(mine, qty=200, price=330, aux_price=325)
        second = await scene.modify(mine, qty=200, price=331)

        assert is_passed(first)
        assert is_passed(second)
        assert (await scene.decision(first))["resulting"]["c2s"]["aux_price"] == 325
        assert (await scene.decision(second))["resulting"]["c2s"]["aux_price"] == 325
        assert (await scene.decision(second))["resulting"]["c2s"]["price"] == 331
        assert scene.held() == 66_200
        scene.daemon.faults.add(RetType(-1), path=MODIFY)
        await scene.modify(mine, qty=500, price=400)
        assert scene.held() == 66_200


async def test_a_change_that_waited_is_judged_on_the_order_as_it_is_then(tmp_path: Path) -> None:
    """Between asking for accounts and deciding another change may have been accepted: the later one starts from it."""
    async with stage(tmp_path, policies=DAILY) as scene:
        body = order(order_type="STOP_LIMIT", price=320, aux_price=310)
        mine = said(await scene.ask(ORDER, body))["s2c"]["order_id_ex"]
        scene.clock.advance(s=120)  # the account list is too old: the next request has to ask for it
        go = asyncio.Event()
        scene.daemon.faults.add(Hold(go), path="/api/accounts")
        late = asyncio.ensure_future(scene.modify(mine, qty=200, price=331))
        await scene.until_reached("/api/accounts", times=2)
        early = asyncio.ensure_future(scene.modify(mine, qty=200, price=330, aux_price=326))
        await asyncio.sleep(0)
        go.set()
        replies = await asyncio.gather(late, early)
        passed = [reply for reply in replies if is_passed(reply)]
        if len(passed) == 1:
            assert {code_of(reply)[1] for reply in replies if reply not in passed} == {"in_flight"}
        last = [record for record in await scene.records("decision") if record.get("resulting")][-1]
        holder = next(iter(scene.guard.desk.state.holders.values()))
        assert last["resulting"]["c2s"]["aux_price"] == scene.daemon.orders[mine].aux_price
        assert b'"aux_price":%d' % last["resulting"]["c2s"]["aux_price"] in holder.order


async def test_one_change_of_an_order_at_a_time(tmp_path: Path) -> None:
    """Of two changes at once one goes and the other is 409 in_flight, alone among its reasons; other orders go on."""
    async with stage(tmp_path, policies=DAILY) as scene:
        mine, another = await scene.placed(remark="1"), await scene.placed(remark="2")
        replies = await asyncio.gather(
            *(scene.modify(mine, price=price) for price in (201, 202, 9e9)), scene.modify(another)
        )

        assert is_passed(replies[0])
        assert is_passed(replies[3])
        assert codes(replies[1]) == codes(replies[2]) == ["in_flight"]
        assert said(replies[1])["guard"]["retryable"] is True
        assert len(scene.reached(MODIFY)) == 2


async def test_after_an_unknown_change_only_cancels_pass(tmp_path: Path) -> None:
    """While nobody knows what the order is, it cannot be changed again; a cancel passes."""
    async with stage(tmp_path, policies=DAILY) as scene:
        mine = await scene.placed()
        scene.daemon.faults.add(HttpError(500), path=MODIFY)
        await scene.modify(mine, price=210)
        again = await scene.modify(mine, price=205)

        assert code_of(again) == (409, "outcome_unknown")
        assert codes(again) == ["outcome_unknown"]
        assert said(again)["guard"]["retryable"] is False
        assert is_passed(await scene.cancel(mine))


# ---------------------------------------------------------------- whose order


async def test_another_keys_order_is_not_changed(tmp_path: Path) -> None:
    """Changing somebody else's order is 403 not_your_order, also while a change of its owner is under way."""
    async with stage(tmp_path, *OWNERS) as scene:
        mine, go = await scene.placed(), asyncio.Event()
        assert code_of(await scene.modify(mine, who="other")) == (403, "not_your_order")
        scene.daemon.faults.add(Hold(go), path=MODIFY)
        asked = asyncio.ensure_future(scene.modify(mine))
        await scene.until_reached(MODIFY)
        assert code_of(await scene.modify(mine, who="other")) == (403, "not_your_order")
        go.set()
        assert is_passed(await asked)


async def test_an_order_that_the_guard_does_not_know_is_not_changed(tmp_path: Path) -> None:
    """A change of an unknown order cannot be judged: 403 unknown_order, whatever touch says."""
    for extra in ("", '[rights]\ntouch = "account"\n'):
        directory = tmp_path / f"home{len(extra)}"
        directory.mkdir()
        async with stage(directory, policies=DAILY + extra) as scene:
            for body in (change("7571418"), change(None, order_id=77), change("7571418", op="ENABLE")):
                assert code_of(await scene.ask(MODIFY, body)) == (403, "unknown_order")
            assert scene.reached(MODIFY) == []


async def test_under_touch_account_the_rules_of_whoever_changes_bind(tmp_path: Path) -> None:
    """Whoever may change another's order does so under its own limits; the order stays its owner's."""
    keys = (record("bot"), record("other", max_order_value=21_000))
    async with stage(tmp_path, *keys, policies=DAILY + '[rights]\ntouch = "account"\n') as scene:
        mine = await scene.placed()
        assert codes(await scene.modify(mine, who="other", price=211)) == ["max_order_value"]
        assert is_passed(await scene.modify(mine, who="other", price=209))
        assert is_passed(await scene.modify(mine, price=250))


async def test_an_order_in_another_account_or_environment_is_another_order(tmp_path: Path) -> None:
    """An id counts only in the account and environment in which it was given."""
    async with stage(tmp_path) as scene:
        mine = await scene.placed()
        for elsewhere in ({"acc_id": 9032}, {"env": "real"}):
            assert code_of(await scene.modify(mine, **elsewhere)) == (403, "unknown_order")
        assert is_passed(await scene.modify(mine, env=None))
        assert scene.reached(MODIFY)[0].json["c2s"]["header"]["trd_env"] == 0


# ---------------------------------------------------------------- what else modify-order means


@pytest.mark.parametrize("members", [{"qty": None}, {"price": None}, {"qty": 0}, {"price": 0}, {"op": None}, {"op": 9}])
async def test_a_change_says_everything(tmp_path: Path, members: dict[str, Any]) -> None:
    """Quantity, price and operation are never assumed (B26)."""
    async with stage(tmp_path) as scene:
        mine = await scene.placed()
        assert (await scene.modify(mine, **members)).status == 400
        assert scene.reached(MODIFY) == []


async def test_b14_each_operation_is_sent_as_itself(tmp_path: Path) -> None:
    """CANCEL, DISABLE, ENABLE, DELETE and for_all leave as what they are."""
    async with stage(tmp_path, policies=DAILY) as scene:
        mine = await scene.placed()
        for op in ("DISABLE", "ENABLE", "CANCEL", "DELETE"):
            assert is_passed(await scene.cancel(mine, op=op))
        assert is_passed(await scene.ask(MODIFY, account(op="CANCEL", for_all=True)))
        sent = [request.json["c2s"] for request in scene.reached(MODIFY)]
        assert [body["modify_order_op"] for body in sent] == [3, 4, 2, 5, 2]
        assert [body.get("for_all") for body in sent] == [None, None, None, None, True]
        assert [body["order_id"] for body in sent] == [scene.daemon.orders[mine].order_id] * 4 + [0]


async def test_w17_a_reconfirmation_is_judged_and_recorded(tmp_path: Path) -> None:
    """An order that the broker holds back is confirmed by its owner, within the limits of now, and on record."""
    daemon = Simulator()
    daemon.quirks.confirms_above = Decimal(10_000)
    async with stage(tmp_path, *OWNERS, policies=DAILY, daemon=daemon) as scene:
        opened = await scene.place()
        body = account(order_id=said(opened)["s2c"]["order_id"], reconfirm_reason=1)
        assert code_of(await scene.ask(RECONFIRM, body, who="other")) == (403, "not_your_order")
        (tmp_path / "policies/more.toml").write_text('[orders]\nmax_value = "19999 HKD"')
        await scene.guard.reload()
        assert code_of(await scene.ask(RECONFIRM, body)) == (403, "max_order_value")
        (tmp_path / "policies/more.toml").unlink()
        await scene.guard.reload()
        reply = await scene.ask(RECONFIRM, body)
        assert is_passed(reply)
        assert (await scene.decision(reply))["of"] == decision_of(opened)
        assert scene.held() == 20_000
        assert code_of(await scene.ask(RECONFIRM, body | {"order_id": 5})) == (403, "unknown_order")
