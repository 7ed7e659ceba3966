"""New orders, in memory through the port."""

from decimal import Decimal
from typing import Any

import pytest

from guard.simulator import Simulator
from guard.simulator.orders import Order, Status
from tests.support.clock import ManualClock
from tests.support.daemon import ask, s2c, said
from tests.support.guards import order


def _simulator() -> Simulator:
    return Simulator(seed=1, clock=ManualClock())


async def _place(simulator: Simulator, **members: Any) -> Order:
    placed = await s2c(simulator, "/api/order", order(**members))
    return simulator.orders[placed["order_id_ex"]]


async def test_the_references_example_fills() -> None:
    """Buy 100 Tencent at 300 while it stands at 300: filled, with both identifiers."""
    simulator = _simulator()
    placed = await s2c(simulator, "/api/order", order())

    assert placed["header"] == {"trd_env": 0, "acc_id": 123456, "trd_market": 1}
    assert placed["order_id_ex"].isdigit()
    assert placed["order_id"] > 2**53
    assert simulator.orders[placed["order_id_ex"]].status is Status.FILLED_ALL


async def test_an_order_away_from_the_market_rests() -> None:
    """A buy below the bid works and holds buying power."""
    simulator = _simulator()
    placed = await _place(simulator, price=290)

    assert placed.status is Status.SUBMITTED
    assert simulator.world.book.frozen(placed.account, "HKD") == 29000


async def test_a_large_order_fills_bit_by_bit() -> None:
    """One match takes the symbol's liquidity; later ticks complete the order."""
    simulator = _simulator()
    simulator.liquidity["HK.00700"] = Decimal(200)
    placed = await _place(simulator, qty=500)
    assert (placed.status, placed.fill_qty) == (Status.FILLED_PART, Decimal(200))

    simulator.tick(moves=False)
    simulator.tick(moves=False)

    assert (placed.status, placed.fill_qty) == (Status.FILLED_ALL, Decimal(500))


async def test_fills_can_wait_for_a_tick() -> None:
    """With `fills_at_once` off a marketable order rests until time passes."""
    simulator = _simulator()
    simulator.quirks.fills_at_once = False
    placed = await _place(simulator)
    seen = [placed.status]
    simulator.tick(moves=False)

    assert [*seen, placed.status] == [Status.SUBMITTED, Status.FILLED_ALL]


async def test_real_orders_have_ids_of_letters_and_digits_and_keep_their_remark() -> None:
    """Real external ids are no numbers, and a remark comes back as it went."""
    placed = await _place(_simulator(), env="real", remark="g:01K")

    assert placed.order_id_ex.startswith("FH1C")
    assert len(placed.order_id_ex) == 18
    assert placed.remark == placed.message()["remark"] == "g:01K"


async def test_w03_the_code_decides_what_is_traded_whatever_the_header_says() -> None:
    """A Hong Kong header with an American code trades in America."""
    placed = await _place(_simulator(), code="US.AAPL", price=201, qty=1)

    assert placed.instrument.symbol == "US.AAPL"
    assert placed.trd_market == 2


@pytest.mark.parametrize(("market", "expected"), [("FUTURES", 5), ("FUTURES_SIMULATE_US", 11), ("US", 5)])
async def test_futures_are_listed_under_futures(market: str, expected: int) -> None:
    """Under the header's futures market, else under 5."""
    placed = await _place(_simulator(), market=market, code="MNQ2612", price=20000, qty=1)

    assert placed.trd_market == expected


async def test_stock_connect_orders_keep_their_market() -> None:
    """A Shanghai share through Hong Kong is HKCC."""
    placed = await _place(_simulator(), market="HKCC", code="SH.600519", price=1500, qty=100)

    assert placed.trd_market == 4


async def test_decimals_beyond_three_are_dropped() -> None:
    """For securities; futures keep nine."""
    assert (await _place(_simulator(), price=290.1239)).price == Decimal("290.123")
    future = await _place(_simulator(), market="FUTURES", code="HSImain", qty=1, price=20000.123456)
    assert future.price == Decimal("20000.123456")


async def test_a_market_order_drops_its_price_and_takes_the_markets() -> None:
    """W02: a tiny price on a market order means nothing."""
    placed = await _place(_simulator(), order_type="MARKET", price=0.01)

    assert placed.price is None
    assert placed.fill_value == 30000


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"code": "99999"}, "unknown stock"),
        ({"code": "HK.800000"}, "unknown stock"),
        ({"qty": 0}, "quantity must be positive"),
        ({"qty": 150}, "lot size"),
        ({"price": None}, "price must be positive"),
        ({"price": -1}, "price must be positive"),
        ({"order_type": "STOP"}, "aux_price"),
        ({"remark": "x" * 65}, "remark"),
        ({"qty": 10_000_000}, "buying power"),
        ({"acc_id": 1}, "account"),
        ({"market": "JP_FUND"}, "trd_market"),
    ],
)
async def test_the_daemon_declines(members: dict[str, Any], text: str) -> None:
    """A business refusal is HTTP 200, ret_type -1, a tagged text and a number; no order is made."""
    simulator = _simulator()
    envelope = await said(simulator, "/api/order", order(**members))

    assert envelope["ret_type"] == -1
    assert envelope["ret_msg"].startswith(f"[err_code={envelope['err_code']}]")
    assert text in envelope["ret_msg"]
    assert isinstance(envelope["err_code"], int)
    assert simulator.orders == {}


async def test_odd_lots_and_power_can_be_let_pass() -> None:
    """Both checks are quirks."""
    simulator = _simulator()
    simulator.quirks.odd_lots_refused = simulator.quirks.power_checked = False

    assert (await _place(simulator, qty=10_000_001)).is_open


@pytest.mark.parametrize("lacking", ["env", "acc_id", "market", "side"])
async def test_an_order_that_lacks_what_it_must_have_is_400(lacking: str) -> None:
    """The environment above all: it is never assumed."""
    body = order()
    del body[lacking]
    answer = await ask(_simulator(), "/api/order", body)

    assert answer.status == 400  # type: ignore[union-attr]


async def test_real_trading_can_be_locked() -> None:
    """Locked, a real order is declined and a simulated one is not."""
    simulator = _simulator()
    simulator.world.is_unlocked = False

    assert (await said(simulator, "/api/order", order(env="real")))["ret_type"] == -1
    assert (await said(simulator, "/api/order", order()))["ret_type"] == 0


async def test_nothing_is_taken_while_the_market_is_closed() -> None:
    """With real sessions the clock's Sunday is a Sunday."""
    simulator = Simulator(clock=ManualClock(), sessions="real")

    assert "closed" in (await said(simulator, "/api/order", order()))["ret_msg"]


async def test_simulated_us_orders_can_be_stubs() -> None:
    """As measured on 1.5.0: success, id "0", and no order anywhere."""
    simulator = _simulator()
    simulator.quirks.us_simulate_stubs = True
    body = order(market="US", code="AAPL", qty=1, price=200)

    placed = [await s2c(simulator, "/api/order", body) for _ in range(2)]

    assert {row["order_id_ex"] for row in placed} == {"0"}
    assert len({row["order_id"] for row in placed}) == 1
    assert simulator.orders == {}


async def test_an_order_can_be_held_for_confirmation() -> None:
    """Above the bound it waits, and does not work."""
    simulator = _simulator()
    simulator.quirks.confirms_above = Decimal(20000)
    placed = await _place(simulator)

    assert placed.status is Status.WAITING
    assert placed.needs_confirmation
