"""Orders that were placed elsewhere: each is counted once, and while it works it is a live order without a key.

As such it counts against what is left of a position, may be cancelled by any trading key of its account, and can be
changed only with the right to all orders there. It holds no money on any key's counters: no key asked for it. An order
of ours that had ended by every sign, and is shown at work again for longer than a list may lag, is followed the same
way.
"""

from decimal import Decimal
from typing import Final

import structlog
from msgspec import Raw

from guard.intent import encode, listed_order
from guard.journal import ABSENT, Order
from guard.limits import NOBODY, is_known_order
from guard.policy import exits_claim
from guard.policy.notation import ledger_units
from guard.terms import STAMP, OrderNames, OrderType, PlaceOrder, Refusal
from guard.tracking.apply import MANUAL
from guard.tracking.listsnapshot import ListSnapshot, sought_of
from guard.tracking.places import Place
from guard.tracking.scribe import SOURCE, Scribe
from guard.upstream.orderlist import OrderRow
from guard.upstream.reconcile import CREATED_SLACK, UnknownOrder, may_be

BACK_AFTER_US: Final = 60_000_000  # lists of so long show an order at work that had ended: none of them lags that far
IMPORTED_MAX: Final = 10_000  # live orders of nobody's; those beyond are counted, and not followed
_NEVER_US: Final = 2**63  # it is told once, as long as it is shown
_log = structlog.get_logger("guard")


class Outside:
    """Imports such orders, through the scribe."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._back: dict[Place, dict[str, int]] = {}
        self._imported = {holder.id for holder in scribe.state.holders.values() if holder.key == NOBODY}

    def learn(self, asked: ListSnapshot) -> list[str]:
        """Learns the rows that are no order of ours. One that may be ours and under way is left for the next list.

        Returns the decisions under which those at work are followed from now on.
        """
        state, account = self._scribe.state, asked.place.account
        new = [row for row in asked.today if not self._is_known(row, asked)]
        came_back = self._came_back(asked)
        placing = [state.holders.get(step.id) for step in state.steps.values() if step.holder == step.id] if new else []
        under_way = [sought_of(h) for h in placing if h is not None and h.step == h.id and h.account == account]
        if new or came_back:
            self._imported = {name for name in self._imported if name in state.holders}
        imported: list[str] = []
        for row in new:
            if any(_waits_for(one, row) for one in under_way):
                continue
            self._scribe.desk.metrics.count("guard_orders_outside_total")
            imported += self._note(row, asked.place)
        for row in came_back:
            _log.error("order_came_back", order_id_ex=row.order_id_ex, hint="it had ended; it is followed as nobody's")
            imported += self._note(row, asked.place)
        return imported

    def _came_back(self, asked: ListSnapshot) -> list[OrderRow]:
        """Orders of ours that have ended, but have been shown at work for long enough."""
        ids = self._scribe.state.ids.get(asked.place.account)
        before, now = self._back.pop(asked.place, {}), dict[str, int]()
        found: list[OrderRow] = []
        for row in asked.today:
            name = row.order_id_ex or row.order_id
            if ids is None or name is None or row.status.is_over or not ids.is_of_ended(name):
                continue
            now[name] = before.get(name, asked.at_us)
            if asked.at_us - now[name] >= BACK_AFTER_US:
                now[name] = _NEVER_US
                found.append(row)
        if now:
            self._back[asked.place] = now
        return found

    def _is_known(self, row: OrderRow, asked: ListSnapshot) -> bool:
        """Known by either id; or its stamp is that of a live order without ids, and it will turn out to be that one.

        Whoever bypasses the guard may put another order's stamp on his own, so that it is taken for that one.
        """
        state, account = self._scribe.state, asked.place.account
        if any(name and is_known_order(state, account, name) for name in (row.order_id, row.order_id_ex)):
            return True
        stamped = OrderNames(remark=row.remark).decision
        holder = None if stamped is None else state.holders.get(stamped)
        return holder is not None and (holder.by_ex is None or row.order_id_ex is None)

    def _note(self, row: OrderRow, place: Place) -> tuple[str, ...]:
        """Records the row; returns the decision under which it was imported, if it was."""
        desk, account = self._scribe.desk, place.account
        if row.remark is not None and row.remark.startswith(STAMP):
            _log.error("order_after_release", remark=row.remark, order_id_ex=row.order_id_ex)
        order = None if row.status.is_over else _terms(row, place)
        if order is not None and len(self._imported) >= IMPORTED_MAX:
            _log.error("order_not_imported", order_id_ex=row.order_id_ex, bound=IMPORTED_MAX)
            order = None
        body = ABSENT
        targets: dict[str, int] = {}
        if order is not None:
            body = Raw(encode(order, env=account.env, acc_id=account.acc_id, serial=0, remark=None))
            targets = {exits_claim(order, account).counter: ledger_units(max(row.qty - row.filled, Decimal(0)))}
        name = None if order is None else desk.clock.new_id()
        self._scribe.learn(
            Order(
                decision=name or "",
                t=desk.clock.t_us(),
                status=row.status.word,
                source=SOURCE,
                order_id=row.order_id,
                order_id_ex=row.order_id_ex,
                filled_qty=f"{row.filled.normalize():f}",
                ended=row.status.is_over,
                owner=MANUAL,
                environment=account.env.word,
                account=account.acc_id,
                market=None if order is None else order.market,
                symbol=row.symbol or row.code,
                order=body,
                targets=targets,
            )
        )
        if name is None:
            return ()
        self._imported.add(name)
        return (name,)


def _waits_for(one: UnknownOrder, row: OrderRow) -> bool:
    """Whether the row may be this order under way: so may any row created after the order was sent."""
    return row.created is None or row.created >= one.since - CREATED_SLACK or may_be(one, row)


def _terms(row: OrderRow, place: Place) -> PlaceOrder | None:
    """The row as an order to place; None if it is of a kind that the guard does not know."""
    if row.order_type is None:
        return None
    has_spread = row.order_type == OrderType.TRAILING_STOP_LIMIT  # of which zero is one; of others it means none
    members = {
        "header": {
            "trd_env": int(place.account.env),
            "acc_id": place.account.acc_id,
            "trd_market": place.trd_market,
            "jp_acc_type": place.jp_acc_type,
        },
        "code": row.symbol,
        "trd_side": int(row.direction),
        "order_type": row.order_type,
        "qty": row.qty,
        "price": row.price or None,
        "time_in_force": row.time_in_force,
        "aux_price": row.aux_price or None,
        "trail_type": row.trail_type or None,
        "trail_value": row.trail_value or None,
        "trail_spread": row.trail_spread if has_spread else row.trail_spread or None,
        "fill_outside_rth": row.fill_outside_rth,
        "session": row.session,
    }
    found = listed_order(members)
    if isinstance(found, Refusal):
        _log.warning("order_not_understood", order_id_ex=row.order_id_ex, why=found.reasons[0].message)
        return None
    return found
