"""The book of orders."""

from datetime import UTC, datetime
from decimal import Decimal

from guard.simulator.contracts import find
from guard.simulator.orders import Order, OrderBook, Status
from guard.terms import Account, Env, OrderType, Side

NOW = datetime(2026, 11, 23, 18, 30, 0, 250_000, tzinfo=UTC)
WHO = Account(Env.SIMULATE, 123456)


def _order(book: OrderBook, side: Side = Side.BUY) -> Order:
    order_id, order_id_ex = book.new_ids(Env.SIMULATE)
    instrument = find("HK.00700")
    assert instrument is not None
    return Order(
        account=WHO,
        order_id=order_id,
        order_id_ex=order_id_ex,
        instrument=instrument,
        trd_market=1,
        side=side,
        order_type=OrderType.NORMAL,
        qty=Decimal(300),
        price=Decimal("299.8"),
        created=NOW,
        updated=NOW,
        mark=Decimal(300),
    )


def test_identifiers_are_fresh_and_exceed_a_double() -> None:
    """Digits in the simulated environment, letters in the real one, the same for the same seed."""
    one, two = OrderBook(1), OrderBook(1)
    made = [one.new_ids(Env.SIMULATE) for _ in range(50)]

    assert made == [two.new_ids(Env.SIMULATE) for _ in range(50)]
    assert len({number for number, _ in made}) == len({text for _, text in made}) == 50
    assert all(2**53 < number < 2**63 for number, _ in made)
    assert one.new_ids(Env.REAL)[1].startswith("FH1C")


def test_an_order_is_found_by_either_identifier() -> None:
    """The external one counts where both are given."""
    book = OrderBook(1)
    first, second = _order(book), _order(book)
    book.add(first)
    book.add(second)

    assert book.find(first.order_id, None) is first
    assert book.find(first.order_id, second.order_id_ex) is second
    assert book.find(int(first.order_id_ex), None) is first
    assert book.find(None, None) is None
    assert book.find(1, None) is None


def test_buying_power_is_held_while_an_order_works() -> None:
    """Fills and ends release it; sells hold none."""
    book = OrderBook(1)
    order, sale = _order(book), _order(book, Side.SELL)
    book.add(order)
    book.add(sale)
    assert book.frozen(WHO, "HKD") == Decimal("89940.0")
    assert book.working() == [order, sale]

    fill = book.fill(order, qty=Decimal(100), price=Decimal(299), at=NOW)
    assert (order.status, order.left, fill.order) == (Status.FILLED_PART, Decimal(200), order)
    assert book.frozen(WHO, "HKD") == Decimal("59960.0")

    book.close(order, Status.CANCELLED_PART, at=NOW)
    assert book.frozen(WHO, "HKD") == 0
    assert book.working() == [sale]


def test_messages_are_local_and_leave_out_what_is_absent() -> None:
    """Times on the exchange's clock, timestamps exact, no nulls."""
    book = OrderBook(1)
    order = _order(book)
    book.add(order)
    fill = book.fill(order, qty=Decimal(100), price=Decimal("299.9"), at=NOW)
    shown = order.message()

    assert shown["create_time"] == "2026-11-24 02:30:00"
    assert shown["create_timestamp"] == Decimal(int(NOW.timestamp())) + Decimal("0.25")
    assert (shown["fill_qty"], shown["fill_avg_price"], shown["order_status"]) == (100, Decimal("299.9"), 10)
    assert None not in shown.values()
    assert "remark" not in shown
    assert fill.message()["order_id"] == order.order_id
    assert order.born.day == 24
