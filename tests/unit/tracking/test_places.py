"""A place is remembered for orders that are alike, not for each of them."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from guard.intent import encode, kept
from guard.limits import State, reserve, settle
from guard.policy.stand_ins import order_in
from guard.terms import Account, Env
from guard.tracking.places import CancelTarget, Places
from guard.upstream.orderlist import OrderRow, Status
from tests.support.ledger import REAL, accepted, new_order, sums

ELSEWHERE = Account(Env.REAL, 2)
NAMES = [("1", "A"), ("2", "B"), (None, "C")]


def placed(state: State, name: str, market: str, account: Account = REAL) -> None:
    """A live order of one share, as the ledger keeps it."""
    body = encode(order_in(market, f"{market}.1", account), env=None, acc_id=None, serial=1, remark=None)
    live(state, name, kept(body, decision=name), account)


def live(state: State, name: str, body: bytes, account: Account = REAL) -> None:
    """A live order with this body."""
    reserve(state, new_order(name, sums("count", "n", 1), account=account, order=body), t_us=0)
    settle(state, name, accepted(name, None), t_us=0)


async def test_orders_that_are_alike_share_what_is_remembered() -> None:
    """However many there were; another market or account is another place."""
    state, places = State(), Places()
    for n in range(100):
        placed(state, f"hk{n}", "HK")
    placed(state, "us", "US")
    placed(state, "other", "HK", ELSEWHERE)

    wanted = await places.wanted(state)
    assert [(place.account, place.trd_market) for place in wanted] == [(REAL, 1), (REAL, 2), (ELSEWHERE, 1)]
    assert places.remembered == 3


def test_many_are_placed_as_each_alone_is() -> None:
    """Alike or not, with something in common or nothing."""
    state, places = State(), Places()
    for n, market in enumerate(("HK", "US", "HK")):
        placed(state, f"o{n}", market)
        live(state, f"p{n}", b'{"c2s":{"header":{"trd_market":%d}}}' % (n + 1))
    holders = list(state.holders.values())
    for _ in range(2):  # the second time as it is remembered
        assert [places.of(holder) for holder in holders] == [Places().of(holder) for holder in holders]
        assert [place.trd_market for place in map(places.of, holders)] == [1, 1, 2, 2, 1, 3]


def test_a_kind_that_comes_to_lie_where_one_that_is_gone_lay_has_a_place_of_its_own() -> None:
    """What orders are about is known by where it lies in memory."""
    state, places = State(), Places()
    for market in ("HK", "US"):
        placed(state, market, market)
    for holder in 20 * list(state.holders.values()):
        at = places.of(replace(holder, about=replace(holder.about)))
        assert at.trd_market == (1 if holder.id == "HK" else 2)


async def test_orders_with_nothing_in_common_are_looked_at_one_by_one() -> None:
    """What is kept of a body without a quantity does not tell which others are like it."""
    state, places = State(), Places()
    for market in (1, 2):
        live(state, f"{market}", b'{"c2s":{"header":{"trd_market":%d}}}' % market)

    assert [place.trd_market for place in await places.wanted(state)] == [1, 2]
    assert places.remembered == 0


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds of orders that ended long ago go, and no look finds room for more than so many."""
    monkeypatch.setattr("guard.tracking.places.KINDS_MAX", 1)
    places, earlier, later = Places(), State(), State()
    placed(earlier, "hk", "HK")
    placed(earlier, "us", "US")
    placed(later, "sg", "SG")
    _ = await places.wanted(earlier)
    assert places.remembered == 1
    _ = await places.wanted(later)
    assert places.remembered == 1


def test_the_row_of_an_order_that_a_cancel_names_bears_one_of_its_names() -> None:
    """Either one; a list of others alone has none, and a cancel without a name has no row."""
    rows = [OrderRow(number, name, "00700", "HK.00700", 1, Decimal(1), Status.SUBMITTED) for number, name in NAMES]
    assert CancelTarget("2").row_in(rows) is rows[1]
    assert CancelTarget(None, "C").row_in(rows) is rows[2]
    assert CancelTarget("9", "B").row_in(rows) is rows[1]
    assert CancelTarget("9", "Z").row_in(rows) is None
    assert CancelTarget().row_in(rows) is None
