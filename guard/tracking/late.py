"""Fills of orders that had ended: an exchange tells a cancel before the fills that came first, or the daemon does.

So does one that was given up, for no list showed it, and came all the same. They were paid for, so they are charged as
others are, to the order's own counters; what an order was charged when it ended is never given back here. Nothing else
of the order comes back: where a list shows it at work, see `outside`.
"""

from fractions import Fraction
from typing import Final

import structlog

from guard.journal import Order
from guard.limits import Amounts, Holder
from guard.limits.holder import Course
from guard.policy.fills import Progress, targets
from guard.terms import Account, stamp_of
from guard.tracking.asked import Asked
from guard.tracking.places import Place, Places
from guard.tracking.scribe import SOURCE, Scribe
from guard.tracking.tracks import accepted, fills_of
from guard.upstream.orderlist import OrderRow, Status
from guard.walk.changing import wholes

PLACES_MAX: Final = 1_000  # where orders ended of late
LATE_US: Final = 60_000_000  # how long a list is looked at after an order ended there, or the account was heard of
_log = structlog.get_logger("guard")


class Late:
    """Over one recorder's desk, by the scribe. Remembers where the orders were listed that ended of late."""

    def __init__(self, scribe: Scribe, places: Places) -> None:
        self._scribe = scribe
        self._places = places
        self._until_us = {places.of(holder): 0 for holder in scribe.state.ended.values()}
        self._over: dict[str, Place] = {}  # orders that ended while their list is looked at for it
        self._weighed: dict[str, tuple[Amounts | Course, OrderRow]] = {}  # as what, and by which row, each was charged

    def places(self) -> list[Place]:
        """Those where a fill may still come to light, for it was not long ago."""
        now_us = self._scribe.desk.clock.t_us()
        return [place for place, until_us in self._until_us.items() if now_us < until_us]

    def heard(self, acc_id: int) -> set[Account]:
        """Something was traded there: which accounts are to be looked at, for an order of theirs ended of late."""
        known = [place for place in self._until_us if place.account.acc_id == acc_id]
        self._until_us |= dict.fromkeys(known, self._scribe.desk.clock.t_us() + LATE_US)
        return {place.account for place in known}

    def is_lacking(self, asked: Asked) -> bool:
        """An order that ended a moment ago is not among today's: it may be among earlier ones."""
        ended, shown = self._scribe.state.ended, {row.order_id_ex for row in asked.today}
        over = [ended[name] for name, place in self._over.items() if place == asked.place and name in ended]
        return any(holder.order_id_ex not in shown for holder in over if not holder.is_nameless)

    def learn(self, asked: Asked) -> None:
        """Everything that the lists show as filled, and that no list showed before the order's end."""
        account, state = asked.place.account, self._scribe.state
        self._note([one for name, one in state.ended.items() if name in asked.terms or name in asked.doubts])
        self._weighed = {name: seen for name, seen in self._weighed.items() if name in state.ended}
        ended = [one for one in state.ended.values() if one.about.account == account]
        if not ended:
            return
        by_ex, by_id = {one.order_id_ex: one for one in ended}, {one.order_id: one for one in ended}
        by_stamp = {stamp_of(one.id): one for one in ended if one.is_nameless}
        for row in asked.rows:
            named = by_id.get(row.order_id) if row.order_id_ex is None else by_ex.get(row.order_id_ex)
            holder = named or by_stamp.get(row.remark or "")
            if holder is None or row.symbol not in {None, holder.symbol} or row.status is Status.FILL_CANCELLED:
                continue
            if self._weighed.get(holder.id) != (holder.course, row):
                self._charge(holder, row)
                self._weighed[holder.id] = holder.course, row

    def _note(self, ended: list[Holder]) -> None:
        """These have ended now: their lists are looked at for some time."""
        looked_at = self.places()
        over = {holder.id: self._places.of(holder) for holder in ended}
        self._over = {name: place for name, place in self._over.items() if place in looked_at} | over
        self._until_us |= dict.fromkeys(over.values(), self._scribe.desk.clock.t_us() + LATE_US)
        if len(self._until_us) > PLACES_MAX:
            self._until_us.clear()

    def _charge(self, holder: Holder, row: OrderRow) -> None:
        """What the row shows as filled, where that is more than is known, or costs more than was charged."""
        clock, held = self._scribe.desk.clock, dict(zip(holder.holds.cells, holder.holds.amounts, strict=True))
        wall, fills, known = clock.wall(), fills_of(holder, row), holder.fills
        if not fills.qty:
            return
        qty, paid = fills.qty, fills.paid
        progress = Progress(
            qty=row.qty,
            filled=qty,
            at=wall if row.updated is None else min(row.updated, wall),
            price=row.price,
            average=None if paid is None else Fraction(paid) / Fraction(qty),
            is_over=True,
            accepted=accepted(holder),
        )
        found = targets(wholes(holder), held, progress, market=holder.market)
        raised = {cell: amount for cell, amount in found.items() if amount > held.get(cell, 0)}
        if not raised and qty <= known.qty:
            return
        text = f"{qty.normalize():f}"
        self._scribe.learn(
            Order(
                decision=holder.id,
                t=clock.t_us(),
                status=row.status.word,
                source=SOURCE,
                order_id=row.order_id,
                order_id_ex=row.order_id_ex,
                filled_qty=text,
                filled_value=None if paid is None else f"{paid.normalize():f}",
                ended=row.status.is_over,
                targets=raised,
            )
        )
        _log.error("filled_after_end", decision=holder.id, order_id_ex=row.order_id_ex, filled_qty=text)
