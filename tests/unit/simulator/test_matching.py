"""When orders fill, at what price, and how much of them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from guard.simulator.contracts import find
from guard.simulator.matching import price_now, size_now
from guard.simulator.orders import Order
from guard.simulator.tape import Tape
from guard.terms import Account, Env, OrderType, Side

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def _order(side: Side, order_type: OrderType, price: object = None, **members: Any) -> Order:
    instrument = find("US.AAPL")
    assert instrument is not None
    limit = None if price is None else Decimal(str(price))
    return Order(
        account=Account(Env.SIMULATE, 123456),
        order_id=1,
        order_id_ex="1",
        instrument=instrument,
        trd_market=2,
        side=side,
        order_type=order_type,
        qty=Decimal(100),
        price=limit,
        created=NOW,
        updated=NOW,
        mark=Decimal(200),
        **members,
    )


def _at(last: object) -> Tape:
    tape = Tape(1)
    tape.last["US.AAPL"] = Decimal(str(last))
    return tape


@pytest.mark.parametrize(
    ("side", "limit", "expected"),
    [
        (Side.BUY, 200, Decimal(200)),
        (Side.BUY, 250, Decimal(200)),
        (Side.BUY, "199.99", None),
        (Side.SELL, "199.99", Decimal("199.99")),
        (Side.SELL, 100, Decimal("199.99")),
        (Side.SELL, 200, None),
        (Side.SELL_SHORT, 100, Decimal("199.99")),
        (Side.BUY_BACK, 200, Decimal(200)),
    ],
)
def test_limits_fill_at_the_market_and_never_beyond(side: Side, limit: object, expected: Decimal | None) -> None:
    """A buy at or above the ask, a sell at or below the bid."""
    assert price_now(_order(side, OrderType.NORMAL, limit), _at(200)) == expected


@pytest.mark.parametrize(
    ("order_type", "side", "aux", "quiet", "sets_off"),
    [
        (OrderType.STOP, Side.BUY, 210, 209, 210),
        (OrderType.STOP, Side.SELL, 190, 191, 190),
        (OrderType.MARKET_IF_TOUCHED, Side.BUY, 190, 191, 190),
        (OrderType.MARKET_IF_TOUCHED, Side.SELL, 210, 209, 210),
    ],
)
def test_triggers_wait_for_their_price(order_type: OrderType, side: Side, aux: int, quiet: int, sets_off: int) -> None:
    """A stop goes with the market, a touch against it; once set off it stays so."""
    waiting = _order(side, order_type, aux_price=Decimal(aux))

    assert price_now(waiting, _at(quiet)) is None
    assert price_now(waiting, _at(sets_off)) is not None
    assert price_now(waiting, _at(quiet)) is not None


def test_a_stop_limit_is_a_limit_after_its_trigger() -> None:
    """Set off at 210 with a limit of 205 it rests."""
    waiting = _order(Side.BUY, OrderType.STOP_LIMIT, 205, aux_price=Decimal(210))

    assert price_now(waiting, _at(210)) is None
    assert waiting.triggered
    assert price_now(waiting, _at(205)) == 205


@pytest.mark.parametrize(("trail_type", "value"), [(1, 5), (2, 10)])
def test_a_trailing_stop_follows_the_best_price(trail_type: int, value: int) -> None:
    """Five per cent, or ten dollars, below the highest price seen."""
    trail = _order(Side.SELL, OrderType.TRAILING_STOP, trail_type=trail_type, trail_value=Decimal(value))

    assert price_now(trail, _at(200)) is None
    assert price_now(trail, _at(220)) is None
    assert price_now(trail, _at("210.01")) is None
    assert price_now(trail, _at(209)) == Decimal("208.99")


def test_a_trailing_stop_limit_has_a_limit_beyond_its_trigger() -> None:
    """The spread is added on the far side."""
    trail = _order(
        Side.SELL, OrderType.TRAILING_STOP_LIMIT, trail_type=2, trail_value=Decimal(10), trail_spread=Decimal(1)
    )
    price_now(trail, _at(200))

    assert price_now(trail, _at(188)) is None
    assert price_now(trail, _at(190)) == Decimal("189.99")


def test_size_is_bounded_by_liquidity() -> None:
    """By default fifty lots; never more than what is left, never less than nothing."""
    order = _order(Side.BUY, OrderType.NORMAL, 200)

    assert size_now(order, None) == 50
    assert size_now(order, Decimal(30)) == 30
    assert size_now(order, Decimal(1000)) == 100
    assert size_now(order, Decimal(-1)) == 0
