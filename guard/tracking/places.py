"""Where orders are looked for: the daemon lists them by account and by the market in the trade header."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from guard.limits import About, Holder, State, Step, holder_of
from guard.terms import Account, Op
from guard.tracking.slices import in_slices
from guard.upstream.orderlist import OrderRow

PLACES_MAX: Final = 10_000
KINDS_MAX: Final = 10_000  # kinds of orders whose place is remembered
_NOT_LIVE: Final = frozenset({"sent", "unknown"})


class Place(Struct, frozen=True):
    """One list of the daemon's. `jp_acc_type` as the order named it."""

    account: Account
    trd_market: int
    jp_acc_type: int | None = None


class _Header(Struct):
    trd_market: int
    jp_acc_type: int | None = None


class _C2s(Struct):
    header: _Header


class _Body(Struct):
    c2s: _C2s


class Places:
    """Maps orders to places, computed once for orders that are alike. Equal places are one object."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[About, Place]] = {}  # by what they are about, which is nearly always one object
        self._one: dict[Place, Place] = {}

    def of(self, holder: Holder) -> Place:
        """The place where the daemon lists the order."""
        about = holder.about
        known = self._of.get(id(about))
        if known is not None:
            return known[1]
        place = self._place(about.account, holder.order)
        if about.form:  # it has the header; without one the orders of an account are not alike
            if len(self._of) >= KINDS_MAX:
                self._of.clear()
            self._of[id(about)] = about, place
        return place

    @property
    def remembered(self) -> int:
        """For how many kinds of orders the place is known."""
        return len(self._of)

    def one(self, place: Place) -> Place:
        """The one object for this place."""
        if len(self._one) > PLACES_MAX:
            self._one.clear()
            self._of.clear()
        return self._one.setdefault(place, place)

    async def wanted(self, state: State) -> dict[Place, list[Step]]:
        """Every place where something is looked for, with its steps in doubt.

        An order that ends meanwhile is looked for once more.
        """
        live: dict[int, Place] = {}
        async for holders in in_slices(state.holders.values()):
            places = [self.of(holder) for holder in holders if holder.status not in _NOT_LIVE]
            live.update({id(place): place for place in places})
        found: dict[Place, list[Step]] = {place: [] for place in live.values()}
        for step in state.steps.values():
            at = None if step.status == "sent" else self._of_step(state, step)
            if at is not None:
                found.setdefault(at, []).append(step)
        return found

    def _of_step(self, state: State, step: Step) -> Place | None:
        holder = holder_of(state, step)
        if holder is not None:
            return self.of(holder)
        return None if step.account is None or not step.order else self._place(step.account, step.order)

    def _place(self, account: Account, body: bytes) -> Place:
        header = msgspec.json.decode(body, type=_Body).c2s.header
        return self.one(Place(account, header.trd_market, header.jp_acc_type))


class CancelTarget(Struct, frozen=True):
    """Which order a cancel names, and how it was to end it."""

    order_id: str | None = None
    order_id_ex: str | None = None
    op: int = Op.CANCEL
    is_for_all: bool = False

    def row_in(self, rows: Iterable[OrderRow]) -> OrderRow | None:
        """The row of the order, by either of its ids."""
        names = {name for name in (self.order_id, self.order_id_ex) if name}
        return next((row for row in rows if names & {row.order_id, row.order_id_ex}), None)


class _Cancel(Struct):
    order_id: int = 0
    order_id_ex: str | None = None
    modify_order_op: int = Op.CANCEL
    for_all: bool = False


class _CancelBody(Struct):
    c2s: _Cancel


def named_in(body: bytes) -> CancelTarget:
    """What the canonical body of a cancel names."""
    cancel = msgspec.json.decode(body, type=_CancelBody).c2s
    number = str(cancel.order_id) if cancel.order_id else None
    return CancelTarget(number, cancel.order_id_ex or None, cancel.modify_order_op, cancel.for_all)
