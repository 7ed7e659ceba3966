"""What an order holds after what was learned of it."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.policy.fills import FillProgress, WholeClaim, targets

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
DAY = "daily_value/key=bot|HKD|2026-11-23@08:30 Asia/Hong_Kong"
GTC = "daily_value/key=bot|HKD|gtc"
OPEN = "open_value/key=bot|HKD"
EXITS = "exits/account=real:1|HK.00700|BUY"
COUNT = "open_orders/key=bot"
ORDERS = "orders_per_day/key=bot|2026-11-23@08:30 Asia/Hong_Kong"
UNIT = 10_000
WHOLE = WholeClaim(20_000 * UNIT, Decimal(20_000), Decimal(200))  # 100 at 200


def progress(filled: int, average: str | None = None, **members: Any) -> FillProgress:
    """So far of 100 at 200."""
    plain: dict[str, Any] = {"qty": Decimal(100), "price": Decimal(200), "at": NOW}
    return FillProgress(**plain | {"filled": Decimal(filled), "average": average and Decimal(average)} | members)


def after(cell: str, so_far: FillProgress, *, whole: WholeClaim = WHOLE, **held: int) -> int:
    """What the cell holds afterwards, in the unit itself, exactly."""
    found = targets({cell: whole}, {cell: whole.amount} | held, so_far, market="HK")
    amount, left = divmod(found.get(cell, whole.amount), UNIT)
    return amount + bool(left)


@pytest.mark.parametrize(
    ("so_far", "day", "working"),
    [
        (progress(0), 20_000, 20_000),
        (progress(30, "200"), 20_000, 14_000),
        (progress(30, "190"), 19_700, 14_000),
        (progress(30, "220"), 20_600, 14_000),
        (progress(30, "190", is_over=True), 5_700, 0),
        (progress(0, is_over=True), 0, 0),
        (progress(100, "210", is_over=True), 21_000, 0),
        (progress(100, is_over=True), 20_000, 0),
        (progress(0, price=None), 20_000, 20_000),
        (progress(0, price=Decimal(210)), 21_000, 21_000),
        (progress(0, qty=Decimal(200)), 40_000, 40_000),
        (progress(0, qty=Decimal(50)), 20_000, 20_000),
        (progress(0, qty=Decimal(50), accepted=Fraction(40)), 10_000, 10_000),
        (progress(0, qty=Decimal(50), accepted=Fraction(120)), 24_000, 24_000),
        (progress(30, "190", qty=Decimal(50), accepted=Fraction(50)), 9_700, 4_000),
    ],
)
def test_filled_value_and_rest(so_far: FillProgress, day: int, working: int) -> None:
    """The day is charged what was filled and what may be; open value is what may be. The larger terms count."""
    assert (after(DAY, so_far), after(OPEN, so_far)) == (day, working)


def test_exits_count_quantity() -> None:
    """A position is taken off by shares, not by money."""
    whole = WholeClaim(100 * UNIT)
    assert after(EXITS, progress(30, "200"), whole=whole) == 70
    assert after(EXITS, progress(30, "200", is_over=True), whole=whole) == 0
    assert after(EXITS, progress(30, accepted=Fraction(200)), whole=whole) == 170
    assert after(EXITS, progress(30, accepted=Fraction(50)), whole=whole) == 70


@pytest.mark.parametrize("cell", [COUNT, ORDERS])
def test_counts_stay(cell: str) -> None:
    """An order of the day stays one; an open one is freed by its end, not by its fills."""
    assert targets({cell: WholeClaim(1)}, {cell: 1}, progress(30, "200", is_over=True), market="HK") == {}


def test_good_till_cancelled_fills_move_to_their_period() -> None:
    """Each period is charged its own part; together they are what was filled."""
    first = targets({GTC: WHOLE}, {GTC: WHOLE.amount}, progress(30, "200"), market="HK")
    assert first == {GTC: 14_000 * UNIT, DAY: 6_000 * UNIT}
    later = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
    second = targets({GTC: WHOLE}, first, progress(50, "200", at=later), market="HK")
    assert second == {GTC: 10_000 * UNIT, DAY.replace("-23@", "-24@"): 4_000 * UNIT}
    assert targets({GTC: WHOLE}, first | second, progress(50, "200", at=later), market="HK") == {}
    over = targets({GTC: WHOLE}, first | second, progress(50, "200", at=later, is_over=True), market="HK")
    assert over == {GTC: 0}


def test_each_budget_that_returns_to_zero_at_its_own_time_is_charged_the_fills() -> None:
    """A second one of the same measure: neither takes for its own what stands in the other's days."""
    own, own_day = f"{GTC}@00:00 UTC,all", "daily_value/key=bot|HKD|2026-11-23@00:00 UTC,all"
    both = {GTC: WHOLE, own: WHOLE}
    first = targets(both, {GTC: WHOLE.amount, own: WHOLE.amount}, progress(30, "200"), market="HK")
    assert first == {GTC: 14_000 * UNIT, own: 14_000 * UNIT, DAY: 6_000 * UNIT, own_day: 6_000 * UNIT}
    later = datetime(2026, 11, 24, 0, 10, tzinfo=UTC)  # 08:10 in Hong Kong: a new day for one of the two
    second = targets(both, first, progress(50, "200", at=later), market="HK")
    assert (second[DAY], second[own_day.replace("-23@", "-24@")]) == (10_000 * UNIT, 4_000 * UNIT)
    assert targets(both, first | second, progress(50, "200", at=later, is_over=True), market="HK") == {GTC: 0, own: 0}


@pytest.mark.parametrize(("over", "left"), [(False, 20_000), (True, 5_000)])
def test_an_order_without_a_value_goes_by_quantity(*, over: bool, left: int) -> None:
    """Where nobody valued it, a quarter filled is a quarter."""
    assert after(DAY, progress(25, "1", is_over=over), whole=WholeClaim(20_000 * UNIT)) == left
    assert after(DAY, progress(0, qty=Decimal(0), is_over=True), whole=WholeClaim(20_000 * UNIT)) == 20_000


prices = st.decimals("0.001", "999", places=3)


@given(st.integers(1, 1000), prices, st.integers(0, 1000), st.tuples(prices, st.booleans()))
def test_the_truth_is_charged_and_told_twice_changes_nothing(
    qty: int, price: Decimal, filled: int, fill: tuple[Decimal, bool]
) -> None:
    """Never less than what the fills cost and the rest may; and nothing is left to write after it was written."""
    filled, (average, is_over) = min(qty, filled), fill
    amount = int(qty * price * UNIT)
    wholes = {DAY: WholeClaim(amount, qty * price, price), OPEN: WholeClaim(amount, qty * price, price)}
    so_far = FillProgress(Decimal(qty), Decimal(filled), NOW, price, average, is_over)
    held = {DAY: amount, OPEN: amount}
    found = held | targets(wholes, held, so_far, market="HK")
    rest = Decimal(0) if is_over else (qty - filled) * price
    assert found[DAY] == -(-(filled * average + rest) * UNIT // 1)
    assert found[OPEN] == -(-rest * UNIT // 1)
    assert targets(wholes, found, so_far, market="HK") == {}
