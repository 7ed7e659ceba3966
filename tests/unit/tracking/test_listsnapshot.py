"""Whose row is whose, in a list that was asked for."""

import gc
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from guard.limits import State, note_order_ids, reserve, settle
from guard.terms import Outcome, Verdict, made_at, stamp_of
from guard.tracking.listsnapshot import ListSnapshot
from guard.tracking.places import Place
from guard.tracking.slices import SLICE
from guard.upstream.orderlist import OrderRow, Status
from tests.support.ledger import REAL, accepted, new_order, sums

NAMELESS = Outcome(Verdict.ACCEPTED)


def row(order_id: str, remark: str) -> OrderRow:
    """A working order of this number and remark."""
    return OrderRow(order_id, None, "00700", "HK.00700", 1, Decimal(100), Status.SUBMITTED, remark=remark)


def test_an_order_that_both_lists_have_is_there_once_with_the_word_of_today() -> None:
    """Told apart by the external id, or by the number where there is none; what only the history has is there too."""
    done = {"status": Status.FILLED_ALL}
    new, old, numbered = row("1", "new"), row("2", "old"), row("3", "numbered")
    new, old = replace(new, order_id_ex="A"), replace(old, order_id_ex="B")
    asked = ListSnapshot(Place(REAL, 1), {}, today=(replace(new, **done), replace(numbered, **done)))
    asked.earlier = (new, old, numbered)
    assert asked.rows == (replace(new, **done), replace(numbered, **done), old)


def test_an_order_is_known_by_its_stamp_until_it_has_an_id() -> None:
    """Also one whose id came after the question; a remark that names an order with an id is what anybody may write."""
    state = State()
    for name, said in (("named", accepted("1", None)), ("nameless", NAMELESS), ("late", NAMELESS), ("told", NAMELESS)):
        reserve(state, new_order(name, sums("count", "n", 1)), t_us=0)
        settle(state, name, said, t_us=0)
    asked = ListSnapshot(Place(REAL, 1), {})
    asked.note(state.holders[name] for name in ("named", "nameless", "late"))
    asked.note((state.holders["told"],))
    note_order_ids(state, state.holders["late"], order_id="3", order_id_ex=None)
    asked.today = (
        row("1", ""),
        row("9", stamp_of("named")),
        row("2", stamp_of("nameless")),
        row("8", stamp_of("late")),
        row("3", ""),
        row("4", stamp_of("told")),
    )

    shown = asked.shown(state)
    assert {name: found.order_id for name, found in shown.items()} == {
        "named": "1",
        "nameless": "2",
        "late": "3",
        "told": "4",
    }


def tables(asked: ListSnapshot) -> dict[int, int]:
    """How large each of its tables is laid out."""
    held = [each for one in gc.get_referents(asked) for each in (one if isinstance(one, tuple) else (one,))]
    return {id(each): sys.getsizeof(each) for each in held if isinstance(each, dict)}


def test_of_a_large_book_no_slice_lays_out_more_than_a_part_anew() -> None:
    """A table of all of it would be, each time that it is full; the names stay in the order of the book."""
    state = State()
    names = [f"{number:026}" for number in range(64 * SLICE)]
    for name in names:
        reserve(state, new_order(name, sums("count", "n", 1)), t_us=0)
        settle(state, name, accepted(name, None), t_us=0)
    asked, moved = ListSnapshot(Place(REAL, 1), {}), list[int]()
    for first in range(0, len(names), SLICE):
        before = tables(asked)
        asked.note(state.holders[name] for name in names[first : first + SLICE])
        moved.append(sum(size for at, size in tables(asked).items() if size != before.get(at)) if first else 0)

    assert asked.names == names
    assert all(map(asked.is_on_same_terms, state.holders.values()))
    assert max(moved) < sum(tables(asked).values()) / 4


_BODY: Final = (
    '{"c2s":{"header":{"trd_env":1,"acc_id":1,"trd_market":1},"trd_side":1,"order_type":1,"code":"00700",'
    '"qty":%d,"price":200,"sec_market":1,"remark":"%s","time_in_force":0}}'
)


def test_two_that_were_exchanged_are_told_apart_though_a_third_is_not() -> None:
    """A remark that leads to one of others, whose own row is a stranger's, proves nothing about the two."""
    state, steps, rows = State(), [f"01KB{n:022}" for n in range(4)], list[OrderRow]()
    for n, step in enumerate(steps):
        body = (_BODY % (100 * (n + 1), "abcd"[n])).encode()
        reserve(state, new_order(step, sums("count", "n", 1), order=body), t_us=0)
        settle(state, step, accepted(str(n + 1), None), t_us=0)
    at = made_at(steps[0]) + timedelta(seconds=1)
    for number, remark, qty in (("1", "b", 777), ("2", "z", 888), ("3", "d", 400), ("4", "c", 300)):
        row = OrderRow(number, None, "00700", "HK.00700", 1, Decimal(qty), Status.SUBMITTED)
        rows.append(replace(row, price=Decimal(200), remark=remark, created=at))
    shown = ListSnapshot(Place(REAL, 1), {}, today=tuple(rows)).shown(state)
    assert (shown[steps[2]].order_id, shown[steps[3]].order_id) == ("4", "3")
