"""Live orders, ours and imported ones, followed to their end by what the lists show."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

import structlog
from msgspec import Struct

from guard.clock import Clock
from guard.intent import order_of
from guard.journal import Order
from guard.limits import NOBODY, Amounts, Fills, Holder
from guard.policy.fills import BY_QUANTITY, FillProgress, targets, vanished
from guard.terms import TimeInForce, made_at, utc
from guard.tracking.doubts import Doubts
from guard.tracking.listsnapshot import ListSnapshot
from guard.tracking.scribe import SOURCE, VANISHED, Scribe
from guard.tracking.slices import in_slices
from guard.upstream.orderlist import OrderRow, Status
from guard.walk.changing import wholes

LAG: Final = timedelta(minutes=1)  # by which a list may be behind what it is asked for
UNSEEN_AFTER: Final = timedelta(days=1)
UNSEEN_TOLD: Final = 5
OVER_AFTER: Final = timedelta(days=14)  # a day order can wait through a holiday; no market closes for so long
RESTS_AFTER_US: Final = 60_000_000  # how long a disabled order has been shown so until it counts as one that rests
_log = structlog.get_logger("guard")


class DisabledOrder(Struct):
    """A disabled order: its terms, since when lists have shown it disabled on these, and its last row."""

    terms: Amounts | tuple[Amounts, ...]
    since_us: int
    row: OrderRow


class Tracks:
    """Learns from the lists of one place at a time; remembers what was listed, since only that can vanish.

    What was listed before a start is in the record; its absence counts only from the start on.
    """

    def __init__(self, scribe: Scribe, doubts: Doubts) -> None:
        self._scribe = scribe
        self._doubts = doubts
        self._begun_us = scribe.desk.clock.t_us()
        self._listed: dict[str, int] = {}
        self._imported: dict[str, int] = {}
        self._disabled: dict[str, DisabledOrder] = {}
        self._unseen: dict[str, str | None] = {}  # by which id each was looked for

    def concerns(self) -> tuple[str, ...]:
        """Orders that hold their room and may not exist; a person has to find out."""
        holders = self._scribe.state.holders
        unseen = [holders[name] for name in self._unseen if self.is_unseen(name)]
        named = [f"{one.order_id_ex or one.order_id} (decision {one.id})" for one in unseen[:UNSEEN_TOLD]]
        more = f" and {len(unseen) - UNSEEN_TOLD} more" if len(unseen) > UNSEEN_TOLD else ""
        told = f"orders: accepted more than a day ago, holding room, and in no list: {', '.join(named)}{more}"
        return (f"{told}; see guard settle",) if unseen else ()

    def is_unseen(self, name: str) -> bool:
        """It is one of those that `concerns` tells; not where it was given another id since."""
        holder = self._scribe.state.holders.get(name)
        return holder is not None and name in self._unseen and self._unseen[name] == holder.order_id_ex

    async def keep(self, is_live: Callable[[str], bool]) -> None:
        """Forgets orders that are no longer live."""
        for seen in (self._listed, self._imported, self._disabled, self._unseen):
            async for names in in_slices(seen):
                for name in names:
                    if not is_live(name):
                        seen.pop(name, None)

    def note(self, names: Iterable[str], asked: ListSnapshot) -> None:
        """These are listed for the first time; what lists show of them is learned from the next one on."""
        for name in names:
            self._imported[name] = asked.at_us

    def listed_us(self, name: str) -> int | None:
        """When the last list that showed the order was asked for."""
        return self._listed.get(name)

    def disabled(self, name: str) -> OrderRow | None:
        """The order's row, if the last list showed it disabled."""
        seen = self._disabled.get(name)
        return None if seen is None else seen.row

    async def learn(self, asked: ListSnapshot) -> None:
        """Learns all that the lists say of orders without an open step, each judged as it is when its turn comes."""
        shown = asked.shown(self._scribe.state)
        async for names in in_slices(asked.names):
            for name in names:
                if name in shown or self.can_vanish(name):
                    self._unseen.pop(name, None)
                    self._learn(name, asked, shown.get(name))
                elif asked.is_whole and self._age(name) >= UNSEEN_AFTER:
                    self._note_unseen(name)

    def _note_unseen(self, name: str) -> None:
        holder = self._scribe.state.holders.get(name)
        if holder is not None:
            self._unseen[name] = holder.order_id_ex

    def _learn(self, name: str, asked: ListSnapshot, row: OrderRow | None) -> None:
        holder = self._scribe.state.holders.get(name)
        if holder is None or not asked.is_on_same_terms(holder):
            return
        if row is not None:
            at = filled_at(self._scribe.desk.clock, holder, row, listed_us=self._listed.get(name))
            self._doubts.is_back(name)
            self._follow(holder, row, at=at, is_resting=self._is_resting(holder, row, asked))
            self._listed[name] = asked.at_us  # not where what it shows could not be put on record
        elif self._doubts.is_gone(name, asked, since_us=self._shown_us(name)):
            self._vanish(holder)

    def _shown_us(self, name: str) -> int:
        """Since when it may have been absent: the last list that showed it, or the start."""
        listed_us = self._listed.get(name)
        return self._imported.get(name, self._begun_us) if listed_us is None else listed_us

    def was_listed(self, name: str) -> bool:
        """A list has shown it, since the start or before. Orders without a key and fills are known from lists only."""
        holder, known = self._scribe.state.holders.get(name), self._scribe.desk.recent.get(name)
        is_told_of = holder is not None and (holder.key == NOBODY or holder.filled > 0)
        return name in self._listed or is_told_of or (known is not None and known.status is not None)

    def can_vanish(self, name: str) -> bool:
        """A list that does not show it says something: it was listed, or was for a day that is over."""
        return self.was_listed(name) or self._is_long_over(name)

    def _age(self, name: str) -> timedelta:
        """How long ago it was decided, by the wall and by `t`, since the wall may be set ahead."""
        clock = self._scribe.desk.clock
        return min(clock.wall(), utc(clock.t_us())) - made_at(name)

    def _is_long_over(self, name: str) -> bool:
        """It was accepted, no list has shown it, and it was for a day which is over, whatever holidays there were."""
        if self._age(name) < OVER_AFTER:
            return False
        holder = self._scribe.state.holders.get(name)
        return holder is not None and order_of(holder.order).time_in_force is TimeInForce.DAY

    # ------------------------------------------------------------ ours

    def _is_resting(self, holder: Holder, row: OrderRow, asked: ListSnapshot) -> bool:
        """It has been shown disabled on its present terms for a while: a list may lag behind an ENABLE.

        Not anew where only counters were added: an ENABLE takes up again what it takes off its position.
        """
        if row.status is not Status.DISABLED:
            self._disabled.pop(holder.id, None)
            return False
        seen = self._disabled.get(holder.id)
        if seen is None or seen.terms is not holder.claimed:
            since_us = asked.at_us - (RESTS_AFTER_US if _rests(holder) else 0)
            seen = self._disabled[holder.id] = DisabledOrder(holder.claimed, since_us, row)
        seen.row = row
        return asked.at_us - seen.since_us >= RESTS_AFTER_US

    def _follow(self, holder: Holder, row: OrderRow, *, at: datetime, is_resting: bool) -> None:
        desk, fills = self._scribe.desk, fills_of(holder, row)
        progress = progress_of(holder, row, fills, at=at, is_over=row.status.is_over, is_resting=is_resting)
        held = holder.holds.by_cell
        amounts = targets(wholes(holder), held, progress, market=holder.market)
        known = desk.recent.get(holder.id)
        is_told = known is not None and (known.status, known.filled_qty) == (row.status.word, _text(fills.qty))
        if not amounts and not row.status.is_over and (is_told or known is None):
            return
        self._scribe.learn(record_of(holder, row, fills, targets=amounts, t_us=desk.clock.t_us()))

    def hold_more(self, holder: Holder, row: OrderRow) -> None:
        """A change of it is in doubt, and the row shows other terms than it may have: it holds what these may cost."""
        clock, held = self._scribe.desk.clock, holder.holds.by_cell
        at = filled_at(clock, holder, row, listed_us=self._listed.get(holder.id))
        fills = fills_of(holder, row)
        progress = progress_of(holder, row, fills, at=at, is_over=False)
        found = targets(wholes(holder), held, progress, market=holder.market)
        raised = {cell: amount for cell, amount in found.items() if amount > held.get(cell, 0)}
        if raised:
            self._scribe.learn(record_of(holder, row, fills, targets=raised, t_us=clock.t_us()))

    def _vanish(self, holder: Holder) -> None:
        """It was listed and is in neither list now: it no longer works. What it may have spent stays spent."""
        _log.warning("order_vanished", decision=holder.id, order_id_ex=holder.order_id_ex)
        clock, held = self._scribe.desk.clock, holder.holds.by_cell
        amounts = vanished(held, market=holder.market, at=clock.wall())
        self._scribe.learn(
            Order(decision=holder.id, t=clock.t_us(), status=VANISHED, source=SOURCE, ended=True, targets=amounts)
        )


def filled_at(clock: Clock, holder: Holder, row: OrderRow, *, listed_us: int | None) -> datetime:
    """When the last fill happened, as far as known. `listed_us`: when the last list that showed it was asked for.

    *Now* if the fill is new but its row dates it before a list that did not show it: that cannot be the fill's time.
    """
    wall = clock.wall()
    if row.updated is None:
        return wall
    if listed_us is not None and fills_of(holder, row).qty > holder.filled:
        listed = wall - timedelta(microseconds=clock.t_us() - listed_us)
        if row.updated < listed - LAG:
            return wall
    return min(row.updated, wall)


def fills_of(holder: Holder, row: OrderRow) -> Fills:
    """What the row shows as filled, and at what value; never less than an earlier list showed, since one may lag.

    Fills that the exchange has taken back are the exception. Where a price was told before and is not now, what was
    paid by then stays paid, and the rest counts at what the order was valued at.
    """
    qty = max(row.qty, row.filled) if row.status is Status.FILLED_ALL else row.filled
    known, paid = holder.fills, None if row.fill_average is None else qty * row.fill_average
    worth = holder.bases[-1].worth if holder.bases else None
    if paid is None and known.paid is not None and worth is not None and qty > known.qty:
        price = max(Decimal(worth.price), (row.price or Decimal(0)).copy_abs())
        paid = known.paid + (qty - known.qty) * price.copy_sign(known.paid)
    is_behind = qty < known.qty or (qty == known.qty and paid is None)
    return known if is_behind and row.status is not Status.FILL_CANCELLED else Fills(qty, paid)


def progress_of(
    holder: Holder, row: OrderRow, fills: Fills, *, at: datetime, is_over: bool, is_resting: bool = False
) -> FillProgress:
    """How far the order has come, which decides what its counters hold; its last fill was at `at`."""
    qty, paid = fills.qty, fills.paid
    return FillProgress(
        qty=row.qty,
        filled=qty,
        at=at,
        price=row.price,
        average=None if paid is None or not qty else Fraction(paid) / Fraction(qty),
        is_over=is_over,
        is_resting=is_resting,
        accepted=_accepted(holder),
    )


def record_of(holder: Holder, row: OrderRow, fills: Fills, *, targets: Mapping[str, int], t_us: int) -> Order:
    """The `order` record for what the row shows."""
    return Order(
        decision=holder.id,
        t=t_us,
        status=row.status.word,
        source=SOURCE,
        order_id=row.order_id,
        order_id_ex=row.order_id_ex,
        filled_qty=_text(fills.qty),
        filled_value=None if fills.paid is None else _text(fills.paid),
        ended=row.status.is_over,
        targets=targets,
    )


def _text(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _rests(holder: Holder) -> bool:
    """It holds what an order holds that rests: earlier lists, before a start perhaps, have shown it so for a while."""
    held = holder.holds.by_cell
    exits = [cell for cell in wholes(holder) if cell.partition("/")[0] in BY_QUANTITY]
    return bool(exits) and not any(held.get(cell) for cell in exits)


def _accepted(holder: Holder) -> Fraction | None:
    """The quantity that the order's latest terms were valued at, whichever counters hold the claim.

    Counters of policies that came into force after its latest change use it as well. Terms that were not valued tell it
    themselves. None for an order of nobody's, whose terms are a list's.
    """
    worth = holder.bases[-1].worth if holder.bases else None
    unit = Fraction(0) if worth is None else Fraction(worth.price) * Fraction(worth.multiplier)
    if worth is not None and unit:
        return Fraction(worth.value) / unit
    return None if holder.key == NOBODY else Fraction(order_of(holder.order).qty)
