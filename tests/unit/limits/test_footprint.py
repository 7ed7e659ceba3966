"""What a live order costs in memory, counted object by object: there may be a hundred thousand of them."""

import sys
from decimal import Decimal
from typing import Any, Final

import pytest
from msgspec import Struct
from msgspec.structs import replace

from guard.intent import encode, kept
from guard.limits import State, Worth, end_order, reserve, restore, settle, snapshot
from guard.limits.ended import ENDED_MAX
from guard.policy.stand_ins import order_in
from tests.support.ledger import REAL, accepted, new_order, sums, through_json

MANY: Final = 2_000
ALIKE_MAX: Final = 370  # bytes of an order beside others of the same size and price
OTHER_MAX: Final = 480  # of one whose quantity and price nobody else has
ORDER: Final = order_in("HK", "HK.00700", REAL)


def _size(thing: Any, seen: set[int]) -> int:
    """Bytes of a thing and of all that it holds and nobody counted yet."""
    if id(thing) in seen or isinstance(thing, type):
        return 0
    seen.add(id(thing))
    parts: list[Any] = []
    if isinstance(thing, Struct):
        parts = [getattr(thing, name) for name in thing.__struct_fields__]
    elif isinstance(thing, dict):
        parts = [*thing.keys(), *thing.values()]
    elif isinstance(thing, tuple | list):
        parts = list(thing)
    return sys.getsizeof(thing) + sum(_size(part, seen) for part in parts)


def opened(state: State, first: int, *, alike: bool) -> None:
    """So many orders more, each accepted under two ids."""
    for n in range(first, first + MANY):
        qty = 1_000 if alike else 1_000 + n
        cells = (sums("working", "exits", 10_000 * qty), sums("spend", "value", 3_000 * qty), sums("count", "open", 1))
        worth = Worth.of(Decimal(3 * qty), Decimal(qty) / 8, Decimal(1))
        step = f"{n:026}"
        order = replace(ORDER, qty=Decimal(qty), price=Decimal(qty) / 8, remark=f"b{n:010}")
        body = kept(encode(order, env=None, acc_id=None, serial=n, remark=None), decision=step)
        reserve(state, new_order(step, *cells, order=body, worth=worth), t_us=n)
        settle(state, step, accepted(f"9{n:017}", f"7{n:09}"), t_us=n)


@pytest.mark.parametrize(("alike", "most"), [(True, ALIKE_MAX), (False, OTHER_MAX)])
def test_a_live_order_is_small(*, alike: bool, most: int) -> None:
    """Also when it was read back from a snapshot: what many have in common is one object."""
    state = State()
    opened(state, 0, alike=alike)
    for each in (state, restore(through_json(snapshot(state)))):
        before = _size(each, set())
        opened(each, MANY, alike=alike)
        grown = (_size(each, set()) - before) / MANY
        assert grown <= most
        assert before / MANY <= most


def test_orders_that_have_ended_leave_their_names_alone() -> None:
    """What they spent is one number, so many of their ids are known as fit, and the latest orders."""
    state = State()
    opened(state, 0, alike=False)
    for name in list(state.holders):
        end_order(state, name, t_us=MANY)
    ids = state.ids[REAL]
    assert (len(state.holders), len(state.steps), len(ids.live), len(ids.live_ex)) == (0, 0, 0, 0)
    assert len(ids.recent) == 2 * MANY
    assert list(state.ended) == [f"{n:026}" for n in range(MANY - ENDED_MAX, MANY)]
    assert set(state.sums) == {"value"}
