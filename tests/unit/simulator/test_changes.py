"""Changes of orders, and the lock on real trading."""

from decimal import Decimal
from typing import Any

import pytest

from guard.simulator import Simulator
from guard.simulator.orders import Order, Status
from tests.support.clock import ManualClock
from tests.support.daemon import ask, s2c, said
from tests.support.guards import order

WHO = {"market": "HK", "acc_id": 123456, "env": "simulate"}
MD5 = "e10adc3949ba59abbe56e057f20f883e"


async def _resting(**members: Any) -> tuple[Simulator, Order]:
    simulator = Simulator(clock=ManualClock())
    placed = await s2c(simulator, "/api/order", order(price=290) | members)
    return simulator, simulator.orders[placed["order_id_ex"]]


async def _modify(simulator: Simulator, target: Order, **members: Any) -> dict[str, Any]:
    return await said(simulator, "/api/modify-order", WHO | {"order_id_ex": target.order_id_ex} | members)


async def test_a_change_moves_quantity_and_price() -> None:
    """The new quantity is the whole one; what it holds follows."""
    simulator, target = await _resting()
    answered = await _modify(simulator, target, op="NORMAL", qty=200, price=280)

    assert answered["s2c"]["order_id_ex"] == target.order_id_ex
    assert (target.qty, target.price, target.status) == (Decimal(200), Decimal(280), Status.SUBMITTED)
    assert simulator.world.book.frozen(target.account, "HKD") == 56000


async def test_a_change_may_make_an_order_marketable() -> None:
    """It fills then and there, or with the next tick."""
    simulator, target = await _resting()
    await _modify(simulator, target, op=1, qty=100, price=310)
    assert target.status is Status.FILLED_ALL

    simulator, target = await _resting()
    simulator.quirks.fills_at_once = False
    await _modify(simulator, target, op=1, qty=100, price=310)
    assert target.status is Status.SUBMITTED


@pytest.mark.parametrize("by", ["order_id", "order_id_text", "order_id_ex"])
async def test_an_order_is_found_by_either_identifier(by: str) -> None:
    """The number may be digits in a string."""
    simulator, target = await _resting()
    ways: dict[str, dict[str, Any]] = {
        "order_id": {"order_id": target.order_id},
        "order_id_text": {"order_id": str(target.order_id)},
        "order_id_ex": {"order_id": 0, "order_id_ex": target.order_id_ex},
    }
    answered = await said(simulator, "/api/modify-order", WHO | ways[by] | {"op": "CANCEL"})

    assert answered["ret_type"] == 0
    assert target.status is Status.CANCELLED_ALL


async def test_a_partly_filled_order_is_cancelled_in_part() -> None:
    """What was filled stays filled."""
    simulator, target = await _resting(price=290, qty=300)
    simulator.liquidity["HK.00700"] = Decimal(100)
    simulator.prices["HK.00700"] = Decimal(290)
    simulator.tick(moves=False)
    await _modify(simulator, target, op="CANCEL")

    assert (target.status, target.fill_qty) == (Status.CANCELLED_PART, Decimal(100))


async def test_disable_enable_and_delete() -> None:
    """A disabled order holds nothing, an enabled one works again (W05), a deleted one is gone."""
    simulator, target = await _resting()
    await _modify(simulator, target, op="DISABLE")
    assert (target.status, target.is_open) == (Status.DISABLED, False)
    assert simulator.world.book.frozen(target.account, "HKD") == 0

    await _modify(simulator, target, op="ENABLE")
    assert target.is_open

    await _modify(simulator, target, op="DISABLE")
    await _modify(simulator, target, op="DELETE")
    assert (await s2c(simulator, "/api/orders", WHO))["order_list"] == []
    assert (await _modify(simulator, target, op="CANCEL"))["ret_type"] == -1


async def test_the_us_market_knows_change_and_cancel_only() -> None:
    """Other operations are declined there."""
    simulator, target = await _resting(market="US", code="AAPL", qty=1, price=100)

    for op, ret_type in (("DISABLE", -1), ("CANCEL", 0)):
        body = WHO | {"market": "US", "order_id_ex": target.order_id_ex, "op": op}
        assert (await said(simulator, "/api/modify-order", body))["ret_type"] == ret_type


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"op": "NORMAL", "qty": 50, "price": 290}, "lot size"),
        ({"op": "ENABLE"}, "can't edit orders in this state"),
        ({"op": "DELETE"}, "can't edit orders in this state"),
        ({"op": "CANCEL", "order_id_ex": "1"}, "not in local cache"),
        ({"op": "CANCEL", "env": "real"}, "not in local cache"),
        ({"op": "CANCEL", "acc_id": 9032}, "not in local cache"),
    ],
)
async def test_changes_are_declined(members: dict[str, Any], text: str) -> None:
    """Wrong state, unknown order, somebody else's order: and the order stays as it is."""
    simulator, target = await _resting()
    envelope = await _modify(simulator, target, **members)

    assert envelope["ret_type"] == -1
    assert text in envelope["ret_msg"]
    assert (target.status, target.qty, target.price) == (Status.SUBMITTED, Decimal(100), Decimal(290))


async def test_filled_orders_and_quantities_below_the_filled_one_are_declined() -> None:
    """The daemon's words for a filled order are those that were measured."""
    simulator, target = await _resting(price=300, qty=200)
    for op in ("CANCEL", "DELETE"):
        assert "filled orders" in (await _modify(simulator, target, op=op))["ret_msg"]
    assert target.status is Status.FILLED_ALL

    simulator, target = await _resting(qty=300)
    simulator.liquidity["HK.00700"] = Decimal(200)
    simulator.prices["HK.00700"] = Decimal(290)
    simulator.tick(moves=False)
    assert "above what is filled" in (await _modify(simulator, target, op="NORMAL", qty=200, price=290))["ret_msg"]


async def test_the_references_example_lacks_an_environment_and_is_understood() -> None:
    """Without `trd_env` the order's own counts; where that is not wanted, 400."""
    simulator, target = await _resting()
    body = {"market": "HK", "acc_id": 123456, "order_id": str(target.order_id), "op": "CANCEL"}

    simulator.quirks.env_may_lack = False
    assert (await ask(simulator, "/api/modify-order", body)).status == 400  # type: ignore[union-attr]
    simulator.quirks.env_may_lack = True
    assert (await said(simulator, "/api/modify-order", body))["ret_type"] == 0
    assert (await said(simulator, "/api/modify-order", body | {"order_id": "987"}))["ret_type"] == -1


@pytest.mark.parametrize("path", ["/api/cancel-all-order", "/api/modify-order"])
async def test_cancel_all_takes_one_accounts_orders_of_one_market(path: str) -> None:
    """W12: `modify-order` with `for_all` is the same thing."""
    simulator, target = await _resting()
    await s2c(simulator, "/api/order", order(market="US", code="AAPL", qty=1, price=100))
    await s2c(simulator, "/api/order", order(price=290, env="real"))
    extra = {"for_all": True, "op": "CANCEL"} if path == "/api/modify-order" else {}

    await s2c(simulator, path, WHO | extra)

    open_orders = [row for row in simulator.orders.values() if row.is_open]
    assert target.status is Status.CANCELLED_ALL
    assert [(row.trd_market, row.account.env.word) for row in open_orders] == [(2, "simulate"), (1, "real")]


async def test_cancel_all_goes_by_the_market_beside_the_header() -> None:
    """W12: the header's market need not be the one that is emptied."""
    simulator, target = await _resting()
    header = {"trd_env": 0, "acc_id": 123456, "trd_market": 2}

    await s2c(simulator, "/api/cancel-all-order", {"c2s": {"header": header, "trd_market": 1}})

    assert target.status is Status.CANCELLED_ALL


async def test_a_held_order_goes_on_after_it_is_confirmed() -> None:
    """Once: a second confirmation finds nothing."""
    simulator = Simulator(clock=ManualClock())
    simulator.quirks.confirms_above = Decimal(20000)
    placed = await s2c(simulator, "/api/order", order())
    body = WHO | {"order_id": placed["order_id"], "reconfirm_reason": 1}

    assert (await said(simulator, "/api/reconfirm-order", body | {"acc_id": 9032}))["ret_type"] == -1
    assert (await s2c(simulator, "/api/reconfirm-order", body))["order_id"] == placed["order_id"]
    assert simulator.orders[placed["order_id_ex"]].status is Status.FILLED_ALL
    assert (await said(simulator, "/api/reconfirm-order", body))["ret_type"] == -1


async def test_b19_an_empty_unlock_is_a_lock() -> None:
    """What the body does not say is false, so trading is locked."""
    simulator = Simulator(clock=ManualClock())
    await s2c(simulator, "/api/unlock-trade", {})

    assert not simulator.world.is_unlocked


async def test_unlock_wants_the_password_and_counts_down() -> None:
    """B31: the refusal tells how many tries are left; success starts the count anew and lists the accounts."""
    simulator = Simulator(clock=ManualClock())
    simulator.world.is_unlocked = False

    wrong = await said(simulator, "/api/unlock-trade", {"unlock": True, "pwd_md5": "0" * 32})
    right = await s2c(simulator, "/api/unlock-trade", {"unlock": True, "pwd_md5": MD5, "acc_ids": ["123456"]})

    assert "9 attempts remaining" in wrong["ret_msg"]
    assert [row["acc_id"] for row in right["account_result_list"]] == [123456]
    assert (simulator.world.is_unlocked, simulator.world.wrong_passwords) == (True, 0)
