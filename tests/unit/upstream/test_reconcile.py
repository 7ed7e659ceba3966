"""What order lists prove of steps in doubt."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from guard.terms import Header, OrderType, PlaceOrder, Side, stamp_of
from guard.upstream.orderlist import OrderRow, Status
from guard.upstream.reconcile import (
    FIRST_ABSENCE_US,
    SECOND_ABSENCE_US,
    Absences,
    Proof,
    UnknownOrder,
    candidates,
    change_shown,
    find_by_remark,
    find_new,
)

SENT = datetime(2026, 11, 22, 9, 46, 28, tzinfo=UTC)
ORDER = PlaceOrder(
    Header(None, 1, None, 1),
    "HK",
    "HK.00700",
    "00700",
    Side.BUY,
    OrderType.NORMAL,
    Decimal(100),
    Decimal(200),
    remark="mine",
)
ROW = OrderRow("1", "A", "00700", "HK.00700", 1, Decimal(100), Status.SUBMITTED, price=Decimal(200), created=SENT)


def sought(step: str = "s1", key: str = "bot", **members: Any) -> UnknownOrder:
    """A new order in doubt."""
    return UnknownOrder(step, key, replace(ORDER, **members), SENT)


def found(*rows: OrderRow, wanted: tuple[UnknownOrder, ...] = (sought(),), known: str = "") -> list[OrderRow | Proof]:
    """What is found for each."""
    free = [row for row in rows if row.order_id_ex != known]
    answer = find_new(wanted, free)
    assert find_new(wanted, candidates(wanted, free)) == answer, "a row that counts was left out"
    return [answer[one.step] for one in wanted]


def test_a_stamp_finds_its_order_whatever_else_is_listed() -> None:
    """The stamp is proof by itself; it marks that order's row and no other's."""
    stamped = replace(ROW, order_id_ex="B", qty=Decimal(5), remark=stamp_of("s1"))
    assert found(ROW, stamped) == [stamped]
    assert found(replace(ROW, remark=stamp_of("s2"))) == [Proof.ABSENT]


def test_steps_that_fit_no_common_row_do_not_stand_in_each_others_way() -> None:
    """Two lost orders of different size are found in one list, each by its own row."""
    large = replace(ROW, order_id_ex="B", qty=Decimal(500))
    assert found(ROW, large, wanted=(sought("s1"), sought("s2", qty=Decimal(500)))) == [ROW, large]


def test_without_a_remark_everything_else_must_agree() -> None:
    """Code, side, quantity, price and time; a caller's own remark that comes back must be the same."""
    assert found(ROW) == [ROW]
    assert found(replace(ROW, remark="mine")) == [replace(ROW, remark="mine")]
    assert found(replace(ROW, remark="theirs"), wanted=(sought(remark=None),)) == [Proof.ABSENT]
    priceless = sought(price=None, order_type=OrderType.MARKET)
    assert found(replace(ROW, price=Decimal(7)), wanted=(priceless,)) == [replace(ROW, price=Decimal(7))]


@pytest.mark.parametrize(
    "members",
    [
        {"code": "00001"},
        {"symbol": "SH.00700"},
        {"side": 2},
        {"qty": Decimal(200)},
        {"remark": "theirs"},
        {"created": SENT - timedelta(days=1, seconds=1)},
        {"created": SENT - timedelta(seconds=11), "price": Decimal(201)},
    ],
)
def test_another_order_is_no_match(members: dict[str, Any]) -> None:
    """What differs in one of these is another order: absent."""
    assert found(replace(ROW, **members)) == [Proof.ABSENT]


@pytest.mark.parametrize(
    "members",
    [
        {"price": Decimal(201)},
        {"price": None},
        {"created": None},
        {"created": SENT - timedelta(seconds=11)},
        {"created": SENT - timedelta(days=1)},
    ],
)
def test_what_may_be_it_is_unclear(members: dict[str, Any]) -> None:
    """Another price, no time, or one that a wrong clock would make of it: it neither proves nor disproves."""
    assert found(replace(ROW, **members)) == [Proof.UNCLEAR]


def test_a_known_order_is_nobody_elses() -> None:
    """A row whose ids belong to an earlier order is not looked at."""
    assert found(ROW, known="A") == [Proof.ABSENT]


def test_rows_and_steps_that_are_alike() -> None:
    """As many rows as equal steps of one key: one each; else nobody can say."""
    both = (sought("s1"), sought("s2"))
    second = replace(ROW, order_id_ex="B", created=SENT + timedelta(seconds=1))
    assert found(second, ROW, wanted=both) == [ROW, second]
    assert found(ROW, wanted=both) == [Proof.UNCLEAR, Proof.UNCLEAR]
    assert found(ROW, second, wanted=(sought(),)) == [Proof.UNCLEAR]
    assert found(ROW, second, wanted=(sought("s1"), sought("s2", key="other"))) == [Proof.UNCLEAR, Proof.UNCLEAR]


@pytest.mark.parametrize(
    ("remarks", "shown", "pairs"),
    [
        (("a", "b"), ("b", "a"), {"s0": 1, "s1": 0}),
        (("a", "a"), ("a", "b"), {}),
        (("a", "b"), ("a", "a"), {}),
        ((None, "b"), ("", "c"), {}),
        (("a",), ("c", "a"), {"s0": 1}),
    ],
)
def test_a_remark_tells_an_order_that_was_changed_if_it_is_on_one_of_each(
    remarks: Any, shown: Any, pairs: dict[str, int]
) -> None:
    """Other terms do not matter; what two gave, or two rows have, tells nothing, nor does none."""
    rows = [replace(ROW, order_id_ex=str(n), qty=Decimal(700), remark=remark) for n, remark in enumerate(shown)]
    wanted = [sought(f"s{n}", remark=remark) for n, remark in enumerate(remarks)]
    assert find_by_remark(wanted, rows) == {step: rows[n] for step, n in pairs.items()}
    others = [replace(row, side=int(Side.SELL)) for row in rows]
    assert find_by_remark(wanted, others) == {}


def test_a_stamped_row_leaves_the_other_one() -> None:
    """Two equal steps, one row with a stamp and one without: both are found."""
    stamped = replace(ROW, order_id_ex="B", remark=stamp_of("s2"))
    assert found(ROW, stamped, wanted=(sought("s1"), sought("s2"))) == [ROW, stamped]


CHANGED = replace(ORDER, qty=Decimal(300), price=Decimal(210))


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        ({}, "is_still"),
        ({"qty": Decimal(300), "price": Decimal(210)}, "became"),
        ({"qty": Decimal(300)}, "other"),
        ({"qty": Decimal(300), "price": None}, "became"),
        ({"qty": Decimal(300), "status": Status.FILLED_ALL}, "is_still"),
        ({"qty": Decimal(300), "price": Decimal(210), "status": Status.FILLED_ALL}, "became"),
    ],
)
def test_a_change_is_known_by_what_it_changes(members: dict[str, Any], shown: str) -> None:
    """All that differs must show; of an order that is over, what shows is final."""
    assert change_shown(replace(ROW, **members), was=ORDER, becomes=CHANGED) == shown


@pytest.mark.parametrize(
    ("change", "members", "shown"),
    [
        ({"trail_spread": Decimal(1)}, {"trail_spread": Decimal(9)}, "is_still"),
        ({"trail_spread": Decimal(1)}, {"trail_spread": Decimal(1)}, "became"),
        ({"trail_type": 2}, {"trail_type": 1}, "is_still"),
        ({"trail_type": 2}, {}, "other"),
        ({"adjust_price": None, "adjust_side_and_limit": None}, {}, "other"),
    ],
)
def test_a_change_that_no_list_shows_is_not_proved(change: dict[str, Any], members: dict[str, Any], shown: str) -> None:
    """A spread, a kind of trail, how far a price may be moved: that quantity and price are the same proves nothing."""
    was = replace(
        ORDER,
        trail_type=1,
        trail_value=Decimal(5),
        trail_spread=Decimal(9),
        adjust_price=True,
        adjust_side_and_limit=Decimal("0.01"),
    )
    assert change_shown(replace(ROW, **members), was=was, becomes=replace(was, **change)) == shown


@pytest.mark.parametrize(
    ("status", "shown"), [(Status.DISABLED, "is_still"), (Status.SUBMITTED, "became"), (Status.WAITING, "waits")]
)
def test_enabling_is_known_by_the_status(status: Status, shown: str) -> None:
    """Nothing of the terms differs: the order works again, or it does not."""
    assert change_shown(replace(ROW, status=status), was=ORDER, becomes=ORDER) == shown


def test_an_absence_counts_twice_late_and_apart() -> None:
    """Not in the first minute, and the second half a minute after the first that counted."""
    absences = Absences()
    since, first = 5, 5 + FIRST_ABSENCE_US
    assert not absences.is_second("s", since_us=since, asked_us=first - 1)
    assert not absences.is_second("s", since_us=since, asked_us=first)
    assert not absences.is_second("s", since_us=since, asked_us=first + SECOND_ABSENCE_US - 1)
    assert absences.is_second("s", since_us=since, asked_us=first + SECOND_ABSENCE_US)


@pytest.mark.parametrize("forget", [lambda a: a.seen("s"), lambda a: a.keep(lambda _: False)])
def test_an_absence_is_forgotten_when_it_was_there(forget: Any) -> None:
    """Seen in between, or no longer looked for: it begins anew."""
    absences = Absences()
    absences.is_second("s", since_us=0, asked_us=FIRST_ABSENCE_US)
    forget(absences)
    assert not absences.is_second("s", since_us=0, asked_us=FIRST_ABSENCE_US + SECOND_ABSENCE_US)
