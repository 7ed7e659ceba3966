"""What the daemon's order lists prove about steps whose outcome is in doubt. Pure.

A new order is found by its stamp `g:<decision>` in the remark; where the daemon gives no remarks back, by account,
code, side, quantity, price and time of creation, if the row can be no other order. A row that may be the order but need
not be is *unclear*: it neither settles nor releases. A change is settled by the terms that the list shows, a cancel by
the end of the order. An absence counts only if it is seen twice, late, and apart: a broker may list an order seconds
after it took it.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, Literal

from msgspec import Struct

from guard.terms import EPOCH, PlaceOrder, stamp_of
from guard.upstream.orderlist import OrderRow, Status

FIRST_ABSENCE_US: Final = 60_000_000  # after a step came into doubt, which is never before it was sent
SECOND_ABSENCE_US: Final = 30_000_000  # after the first
CREATED_SLACK: Final = timedelta(seconds=10)  # how far the broker's clock may be behind ours for a proof
CLOCKS_SLACK: Final = timedelta(days=1)  # how far it may be for a doubt: a clock is wrong by hours, or was set back

Shown = Literal["became", "is_still", "waits", "other"]
_WAITING: Final = frozenset({Status.UNSUBMITTED, Status.WAITING})  # held back, or not on its way yet


class UnknownOrder(Struct, frozen=True):
    """A new order of unknown outcome. `order` as it was sent, remark included; `since`: it was sent no earlier."""

    step: str
    key: str
    order: PlaceOrder
    since: datetime


class Proof(Enum):
    """What a list proves where it does not show the order."""

    ABSENT = "absent"
    UNCLEAR = "unclear"


# ---------------------------------------------------------------- new orders


def find_new(sought: Sequence[UnknownOrder], free: Sequence[OrderRow]) -> dict[str, OrderRow | Proof]:
    """For each step its row, or what the list proves instead. `free`: the rows that are no other order's already."""
    stamped = {row.remark: row for row in free if row.remark}
    found: dict[str, OrderRow | Proof] = {}
    for one in sought:
        own = stamped.get(stamp_of(one.step))
        if own is not None:
            found[one.step] = own
    free = [row for row in free if row not in found.values()]
    open_ones = [one for one in sought if one.step not in found]
    exact = {one.step: [row for row in free if _fits(one, row) and _is_exact(one, row)] for one in open_ones}
    for one in open_ones:
        found[one.step] = _only(one, exact, open_ones) or _unseen(one, free)
    return found


def find_by_remark(sought: Sequence[UnknownOrder], rows: Sequence[OrderRow]) -> dict[str, OrderRow]:
    """The rows with a remark that one order alone gave and one row alone has, whatever was changed of the order."""
    whose, shown = dict[str, list[UnknownOrder]](), dict[str, list[OrderRow]]()
    for one in sought:
        whose.setdefault(_remark(one), []).append(one)
    for row in rows:
        shown.setdefault(row.remark or "", []).append(row)
    found = dict[str, OrderRow]()
    for remark, ones in whose.items():
        mine = shown.get(remark, []) if remark else []
        if len(ones) == len(mine) == 1 and not is_another(ones[0], mine[0]):
            found[ones[0].step] = mine[0]
    return found


def candidates(sought: Sequence[UnknownOrder], rows: Iterable[OrderRow]) -> list[OrderRow]:
    """The rows that have the stamp of any of these, or may be it; most of a large book are told by their remark."""
    stamps, remarks = {stamp_of(one.step) for one in sought}, {None} | {_remark(one) for one in sought}
    alike = dict[object, list[UnknownOrder]]()
    for one in sought:
        alike.setdefault((one.order.code, one.order.side, one.order.qty), []).append(one)
    return [
        row
        for row in rows
        if row.remark in stamps
        or (
            row.remark in remarks and any(may_be(one, row) for one in alike.get((row.code, row.direction, row.qty), ()))
        )
    ]


def may_be(one: UnknownOrder, row: OrderRow) -> bool:
    """Whether the row may be this order. One that seems older may, if it is as it was sent: a clock may be wrong."""
    return _fits(one, row) or (_is_exact(one, row) and _fits(one, row, slack=CLOCKS_SLACK))


def is_another(one: UnknownOrder, row: OrderRow, *, slack: timedelta = CREATED_SLACK) -> bool:
    """The row is not this order's, whatever was changed of it: another instrument, side or remark, or too old."""
    order = one.order
    if row.code != order.code or row.direction is not order.side:
        return True
    if row.symbol is not None and row.symbol != order.symbol:
        return True
    if row.remark is not None and row.remark != _remark(one):
        return True
    return row.created is not None and row.created < one.since - slack


def _remark(one: UnknownOrder) -> str:
    return (one.order.remark or "").strip()


def is_on_other_terms(one: UnknownOrder, row: OrderRow) -> bool:
    """The list shows another quantity or price: a list that lags behind a change, or another order's row."""
    return row.qty != one.order.qty or (None not in {row.price, one.order.price} and row.price != one.order.price)


def _fits(one: UnknownOrder, row: OrderRow, *, slack: timedelta = CREATED_SLACK) -> bool:
    return row.qty == one.order.qty and not is_another(one, row, slack=slack)


def _is_exact(one: UnknownOrder, row: OrderRow) -> bool:
    return row.created is not None and (one.order.price is None or row.price == one.order.price)


def _only(one: UnknownOrder, exact: dict[str, list[OrderRow]], sought: Sequence[UnknownOrder]) -> OrderRow | None:
    """The row that can belong to no other step. Equal steps of one key may share as many rows as there are steps."""
    rows = exact[one.step]
    rivals = [other for other in sought if any(row in rows for row in exact[other.step])]
    is_alike = all(other.key == one.key and exact[other.step] == rows for other in rivals)
    if not rows or not is_alike or len(rivals) != len(rows):
        return None
    place = [other.step for other in rivals].index(one.step)
    return sorted(rows, key=lambda row: (row.created or EPOCH, row.order_id_ex or "", row.order_id or ""))[place]


def _unseen(one: UnknownOrder, free: Sequence[OrderRow]) -> Proof:
    return Proof.UNCLEAR if any(may_be(one, row) for row in free) else Proof.ABSENT


# ---------------------------------------------------------------- changes and cancels


def change_shown(row: OrderRow, *, was: PlaceOrder, becomes: PlaceOrder) -> Shown:
    """Whether the list shows the order before or after a change; for an order that is over this is final.

    An order that waits was enabled again, and was not confirmed: which of the two was asked for, the caller knows.
    """
    shown = (row.qty, row.price, row.aux_price, row.trail_type, row.trail_value, row.trail_spread, None, None)
    before, after = _terms(was), _terms(becomes)
    if before == after and row.status in _WAITING:
        return "waits"
    if before == after:  # it was to be enabled again, or confirmed
        return "is_still" if row.status is Status.DISABLED else "became"
    if _agrees(shown, before, after):
        return "became"
    return "is_still" if row.status.is_over or _agrees(shown, after, before) else "other"


def _terms(order: PlaceOrder) -> tuple[object, ...]:
    """All that a change may change. No list shows the last two: if only they differ, nothing is proved."""
    trail = (order.trail_type, order.trail_value, order.trail_spread)
    return order.qty, order.price, order.aux_price, *trail, order.adjust_price, order.adjust_side_and_limit


def _agrees(shown: Sequence[object], other: Sequence[object], wanted: Sequence[object]) -> bool:
    """What is shown is what is wanted, wherever the two differ and the daemon shows anything."""
    differing = [
        (seen, want) for seen, odd, want in zip(shown, other, wanted, strict=True) if odd != want and seen is not None
    ]
    return bool(differing) and all(seen == want for seen, want in differing)


# ---------------------------------------------------------------- that something is not there


class Absences:
    """Counts clean absences: complete lists that did not show what was looked for."""

    def __init__(self) -> None:
        self._first_us: dict[str, int] = {}

    def is_second(self, name: str, *, since_us: int, asked_us: int) -> bool:
        """Notes an absence in a list asked for at `asked_us`; True if it releases. `since_us`: when the doubt began."""
        if asked_us < since_us + FIRST_ABSENCE_US:
            return False
        return asked_us >= self._first_us.setdefault(name, asked_us) + SECOND_ABSENCE_US

    def seen(self, name: str) -> None:
        """It was listed after all, or may have been."""
        self._first_us.pop(name, None)

    def keep(self, is_live: Callable[[str], bool]) -> None:
        """Forgets what is no longer looked for."""
        for name in [name for name in self._first_us if not is_live(name)]:
            del self._first_us[name]
