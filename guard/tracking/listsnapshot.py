"""One look at one place: what was there when the question was asked, and what the daemon's lists then showed."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, field

from guard.intent import order_of
from guard.limits import NOBODY, Amounts, Holder, State, Step, find_order
from guard.terms import OrderNames, made_at, stamp_of
from guard.tracking.places import Place
from guard.upstream.orderlist import OrderRow
from guard.upstream.reconcile import UnknownOrder, candidates, find_by_remark, find_new

MISNAMED_MAX: Final = 100  # rows beyond are of a daemon that writes symbols or remarks otherwise, and go by their ids
DRAWERS: Final = 64  # one table of all live orders would be laid out anew as it grows, up to 7 ms in one go for 50,000
Terms = Amounts | tuple[Amounts, ...]


def _drawers() -> tuple[dict[str, Terms], ...]:
    return tuple({} for _ in range(DRAWERS))


class ListSnapshot(Struct):
    """A list is as old as its question, so what happened to an order since then is not in it.

    `doubts`: the steps in doubt then; `names`: live orders that no step was open for, oldest first, whose terms are in
    `drawers`; `nameless`: those and others that had no id yet. `today` and `earlier` are rows; `earlier` None: history
    was not asked or is not whole, so nothing can be told absent. Nor can it where today's are what the daemon
    remembers, and not (`is_fresh`) what the broker says.
    """

    place: Place
    doubts: dict[str, Step]
    at_us: int = 0
    names: list[str] = field(default_factory=list)
    drawers: tuple[dict[str, Terms], ...] = field(default_factory=_drawers)
    nameless: list[str] = field(default_factory=list)
    today: tuple[OrderRow, ...] = ()
    earlier: tuple[OrderRow, ...] | None = None
    is_fresh: bool = False

    @property
    def is_whole(self) -> bool:
        """What it does not show is absent."""
        return self.is_fresh and self.earlier is not None

    @property
    def rows(self) -> tuple[OrderRow, ...]:
        """Every order once; today's word counts where both lists have one."""
        names = {row.order_id_ex or row.order_id for row in self.today}
        return self.today + tuple(row for row in self.earlier or () if (row.order_id_ex or row.order_id) not in names)

    def is_on_same_terms(self, holder: Holder) -> bool:
        """Nothing happened to the order since the question was asked."""
        terms = holder.terms
        return terms is not None and self.drawers[hash(holder.id) % DRAWERS].get(holder.id) is terms

    def note(self, holders: Iterable[Holder]) -> None:
        """The list is about the terms that these are on now: before it is asked for, or once it has settled a step.

        Not where a step is open.
        """
        for holder in holders:
            name, terms = holder.id, holder.terms
            if holder.by_ex is None and holder.is_nameless and holder.step != name and name not in self.nameless:
                self.nameless.append(name)
            if terms is None:
                continue
            drawer = self.drawers[hash(name) % DRAWERS]
            if name not in drawer:
                self.names.append(name)
            drawer[name] = terms

    def shown(self, state: State) -> dict[str, OrderRow]:
        """The rows of live orders, by the decision that opened them; one without any id is known by its stamp.

        One that has the ids of an order which it is not is another's, where it can be told whose (B33).
        """
        nameless = {stamp_of(name): name for name in self.nameless if _is_nameless(state.holders.get(name))}
        found, misnamed = dict[str, OrderRow](), list[tuple[Holder, OrderRow]]()
        for row in self.rows:
            holder = find_order(state, self.place.account, order_id=row.order_id, order_id_ex=row.order_id_ex)
            if isinstance(holder, Holder):
                if _is_misnamed(state, holder, row):
                    misnamed.append((holder, row))
                else:
                    found[holder.id] = row
            elif row.remark in nameless:
                found[nameless[row.remark]] = row
        return _told_apart(state, misnamed) | found if misnamed else found


def sought_of(holder: Holder) -> UnknownOrder:
    """What identifies an order in a list, as it is now."""
    return UnknownOrder(holder.id, holder.key, order_of(holder.order), made_at(holder.id))


def _is_misnamed(state: State, holder: Holder, row: OrderRow) -> bool:
    """The row has the ids of this order, and another's stamp, symbol or remark. Asked of every row, so it is cheap."""
    if holder.key == NOBODY:
        return False
    if row.symbol != holder.symbol and row.symbol is not None:
        return True
    if not row.remark or row.remark == stamp_of(holder.id):
        return False
    return stamped(state, holder, row) is not holder or f'"{row.remark}"'.encode(errors="replace") not in holder.own


def _told_apart(state: State, misnamed: Sequence[tuple[Holder, OrderRow]]) -> dict[str, OrderRow]:
    """Each row by the order that it is of. Some have one another's ids; else its stamp tells, else its own ids do."""
    told = [(stamped(state, holder, row), holder, row) for holder, row in misnamed]
    said = {other.id: row for other, holder, row in told if other is not None and other is not holder}
    said |= {other.id: row for other, holder, row in told if other is holder}
    if not 1 < len(misnamed) <= MISNAMED_MAX:
        return said
    owners, sought = {row: holder.id for holder, row in misnamed}, [sought_of(holder) for holder, _ in misnamed]
    found = find_new(sought, candidates(sought, owners))
    exchanged = {name: row for name, row in found.items() if isinstance(row, OrderRow)}
    left = [one for one in sought if one.step not in exchanged]
    by_remark = find_by_remark(left, [row for row in owners if row not in exchanged.values()])
    for told_apart in (exchanged | by_remark, exchanged):
        if told_apart.keys() == {owners[row] for row in told_apart.values()}:
            return said | told_apart
    return said


def stamped(state: State, holder: Holder, row: OrderRow) -> Holder | None:
    """The order that a row is about which has the ids of `holder`: that one, unless the row has another's stamp.

    An answer may name the order whose own answer was lost (B33); None where that one has ended. No caller can give an
    order the stamp of another, but whoever places one elsewhere can, so those are not told apart.
    """
    name = OrderNames(remark=row.remark).decision
    if name is None or holder.key == NOBODY:
        return holder
    other = state.holders.get(name)
    return other if other is not None and other.account == holder.account else None


def _is_nameless(holder: Holder | None) -> bool:
    return holder is not None and holder.is_nameless
