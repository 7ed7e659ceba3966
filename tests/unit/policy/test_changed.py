"""What a change claims beside what is filled, against the worst that can be."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.policy.changed import Changed, beside_fills, carried
from guard.policy.fills import WholeClaim
from guard.terms import Claim

UNIT = 10_000
DAY = "daily_value/key=bot|HKD|2026-11-23@08:30 Asia/Hong_Kong"
GTC = "daily_value/key=bot|HKD|gtc"
OPEN = "open_value/key=bot|HKD"
EXITS = "exits/account=real:1|HK.00700|BUY"
numbers = st.integers(1, 50)


@given(was_qty=numbers, qty=numbers, was_price=numbers, price=numbers, data=st.data())
def test_whatever_was_filled_meanwhile_is_held(
    was_qty: int, qty: int, was_price: int, price: int, data: st.DataObject
) -> None:
    """However much filled unseen at the price before, the order holds what that cost and what the rest may cost."""
    told = data.draw(st.integers(0, min(was_qty, qty)))
    unseen = data.draw(st.integers(0, min(was_qty, qty) - told))
    paid = told * data.draw(st.integers(1, 60))
    changed = Changed(
        Decimal(qty), Decimal(qty * price), Decimal(was_qty), Decimal(was_price), Decimal(told), Decimal(paid)
    )
    of_day = beside_fills(Claim("spend", DAY, qty * price * UNIT), changed)
    of_gtc = beside_fills(Claim("spend", GTC, qty * price * UNIT), changed)
    is_open = beside_fills(Claim("working", OPEN, qty * price * UNIT), changed)
    cost = unseen * was_price + (qty - told - unseen) * price

    assert of_day.held >= (paid + cost) * UNIT
    assert of_gtc.held >= cost * UNIT
    assert of_gtc.held + paid * UNIT == of_day.held
    assert is_open.held == (qty - told) * price * UNIT
    assert of_day.whole in {None, qty * price * UNIT}
    if qty > was_qty:
        assert of_day.unseen == 0
    if unseen == min(was_qty, qty) - told and was_price >= price:
        assert of_day.held == (paid + cost) * UNIT


@pytest.mark.parametrize(
    "claim", [Claim("count", "open_orders/key=bot", 1), Claim("spend", "orders_per_day/key=bot|2026-11-23", 1)]
)
def test_orders_are_counted_whole(claim: Claim) -> None:
    """An order is one order, however much of it is filled."""
    assert beside_fills(claim, Changed(Decimal(5), Decimal(5), Decimal(9), Decimal(9), Decimal(3), Decimal(3))) is claim


def test_exits_are_what_is_left() -> None:
    """An exit takes off a position what is not filled yet."""
    changed = Changed(Decimal(100), None, Decimal(300), filled=Decimal(40))
    assert beside_fills(Claim("working", EXITS, 100 * UNIT), changed).amount == 60 * UNIT


@given(value=numbers, was=numbers, amount=st.integers(1, 10**9))
def test_what_is_not_asked_goes_with_the_change(value: int, was: int, amount: int) -> None:
    """In proportion, rounded up; what is of another day of the same measure is left behind, of another currency not."""
    wholes = {
        DAY: WholeClaim(amount, Decimal(was)),
        OPEN: WholeClaim(amount, Decimal(was)),
        "open_orders/key=bot": WholeClaim(1),
    }
    changed = Changed(Decimal(1), Decimal(value), Decimal(1))
    kinds = {DAY: "spend", OPEN: "working", "open_orders/key=bot": "count"}
    tomorrow = DAY.replace("23", "24")
    found = list(carried(wholes, kinds, changed, named=frozenset({tomorrow})))  # type: ignore[arg-type]
    assert found == [Claim("working", OPEN, ceil(Fraction(amount * value, was)))]
    in_usd = OPEN.replace("HKD", "USD")
    assert [claim.counter for claim in carried(wholes, kinds, changed, named=frozenset({in_usd}))] == [DAY, OPEN]  # type: ignore[arg-type]
    other = DAY.replace("08:30", "09:30")
    assert [claim.counter for claim in carried(wholes, kinds, changed, named=frozenset({other}))] == [DAY, OPEN]  # type: ignore[arg-type]


def test_what_cannot_be_valued_is_never_less_than_it_was() -> None:
    """Without a value the quantity tells whether it became larger."""
    for qty, amount in ((50, 700), (100, 700), (200, 1_400)):
        changed = Changed(Decimal(qty), None, Decimal(100))
        assert [c.amount for c in carried({OPEN: WholeClaim(700)}, {OPEN: "working"}, changed, named=frozenset())] == [
            amount
        ]
