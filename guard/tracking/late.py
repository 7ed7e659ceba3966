"""Fills that come to light after their order had ended.

An exchange, or the daemon, may report a cancel before the fills that preceded it; and an order given up because no list
showed it may have traded all the same. Such fills were paid for, so they are charged to the order's own counters; what
was charged when the order ended is never given back here. The order itself does not become live again: for one that a
list shows at work, see `outside`.
"""

from typing import Final

import structlog

from guard.limits import Amounts, Holder
from guard.limits.holder import Course
from guard.policy.fills import targets
from guard.terms import Account, stamp_of
from guard.tracking.listsnapshot import ListSnapshot
from guard.tracking.places import Place, Places
from guard.tracking.scribe import Scribe
from guard.tracking.tracks import filled_at, fills_of, progress_of, record_of
from guard.upstream.orderlist import OrderRow, Status
from guard.walk.changing import wholes

LATE_US: Final = 60_000_000  # how long a list is looked at after an order ended there, a start, or a trade there
LAST_US: Final = 600_000_000  # how much longer where no list came that was asked for at the end of that
_log = structlog.get_logger("guard")


class Late:
    """Charges late fills, through the scribe. Remembers where recently ended orders were listed."""

    def __init__(self, scribe: Scribe, places: Places) -> None:
        self._scribe = scribe
        self._places = places
        # Where each is listed, and until when it is looked for by itself.
        self._over: dict[str, tuple[Place, int]] = {}
        self._heard: dict[int, int] = {}  # until when account ids are looked at
        self._newest: str | None = None
        self._weighed: dict[str, tuple[Amounts | Course, OrderRow]] = {}  # as what, and by which row, each was charged
        self._listed: dict[str, int] = {}  # when the list was asked for that showed it last, since its end
        self._seen: dict[Place, int] = {}  # when the list was asked for that was learned last
        self._note()

    def places(self) -> list[Place]:
        """The places where an order ended recently enough for a fill still to come to light."""
        self._note()
        now_us = self._scribe.desk.clock.t_us()
        found = [
            at
            for at, until_us in self._over.values()
            if self._is_due(at, max(until_us, self._heard.get(at.account.acc_id, 0)), now_us=now_us)
        ]
        return list({id(place): place for place in found}.values())

    def _is_due(self, at: Place, until_us: int, *, now_us: int) -> bool:
        """Once the time is up, too, until a list tells of all of it: pace or daemon may have let none through."""
        return now_us < until_us or (self._seen.get(at, 0) < until_us and now_us < until_us + LAST_US)

    def heard(self, acc_id: int) -> set[Account]:
        """Something was traded there: returns the accounts to look at, those with an order that ended recently."""
        known = {id(place): place.account for place, _ in self._over.values() if place.account.acc_id == acc_id}
        if known:
            self._heard[acc_id] = self._scribe.desk.clock.t_us() + LATE_US
        return set(known.values())

    def is_lacking(self, asked: ListSnapshot) -> bool:
        """An order that has just ended is missing from today's list: it may be in the history."""
        now_us, ended = self._scribe.desk.clock.t_us(), self._scribe.state.ended
        shown = {row.order_id_ex for row in asked.today}
        over = [
            name
            for name, (at, until_us) in self._over.items()
            if at == asked.place and self._is_due(at, until_us, now_us=now_us)
        ]
        found = [ended[name] for name in over if name in ended]
        return any(holder.order_id_ex not in shown for holder in found if not holder.is_nameless)

    def learn(self, asked: ListSnapshot) -> None:
        """Charges whatever the lists show as filled now and no list showed before the order's end."""
        account, state = asked.place.account, self._scribe.state
        self._note()
        ended = [one for one in state.ended.values() if one.about.account == account]
        if not ended:
            return
        by_ex, by_id = {one.order_id_ex: one for one in ended}, {one.order_id: one for one in ended}
        by_stamp = {stamp_of(one.id): one for one in ended if one.is_nameless}
        listed = dict[str, int]()
        for row in asked.rows:
            named = by_id.get(row.order_id) if row.order_id_ex is None else by_ex.get(row.order_id_ex)
            holder = named or by_stamp.get(row.remark or "")
            if holder is None or row.symbol not in {None, holder.symbol} or row.status is Status.FILL_CANCELLED:
                continue
            if self._weighed.get(holder.id) != (holder.course, row):
                self._charge(holder, row)
                self._weighed[holder.id] = holder.course, row
            listed[holder.id] = asked.at_us
        self._listed |= listed
        self._seen |= {at: asked.at_us for at, _ in self._over.values() if at == asked.place}

    def _note(self) -> None:
        """Adds orders that have ended since the last call; after a start, those that ended before it."""
        ended = self._scribe.state.ended
        newest = next(reversed(ended), None)
        if newest == self._newest:
            return
        self._newest, until_us = newest, self._scribe.desk.clock.t_us() + LATE_US
        before, self._over = self._over, {}
        for name, holder in ended.items():
            self._over[name] = before.get(name) or (self._places.of(holder), until_us)
        acc_ids = {place.account.acc_id for place, _ in self._over.values()}
        self._heard = {acc_id: until_us for acc_id, until_us in self._heard.items() if acc_id in acc_ids}
        self._seen = {place: self._seen[place] for place, _ in self._over.values() if place in self._seen}
        self._weighed = {name: seen for name, seen in self._weighed.items() if name in ended}
        self._listed = {name: at_us for name, at_us in self._listed.items() if name in ended}

    def _charge(self, holder: Holder, row: OrderRow) -> None:
        """Charges what the row shows as filled, if that is more than is known or costs more than was charged."""
        clock, held = self._scribe.desk.clock, holder.holds.by_cell
        fills, known = fills_of(holder, row), holder.fills
        if not fills.qty:
            return
        at = filled_at(clock, holder, row, listed_us=self._listed.get(holder.id))
        progress = progress_of(holder, row, fills, at=at, is_over=True)
        found = targets(wholes(holder), held, progress, market=holder.market)
        raised = {cell: amount for cell, amount in found.items() if amount > held.get(cell, 0)}
        if not raised and fills.qty <= known.qty:
            return
        record = record_of(holder, row, fills, targets=raised, t_us=clock.t_us())
        self._scribe.learn(record)
        _log.error("filled_after_end", decision=holder.id, order_id_ex=row.order_id_ex, filled_qty=record.filled_qty)
