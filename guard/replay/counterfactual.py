"""The same past under other policies: a second ledger, and which of its counters have come apart from what happened.

Until the replay begins every order that went out takes what the other policies claim of it, even past a cap. From then
on an order that they refuse takes nothing, and one that they would have let through is taken to be filled at once: what
it spends is spent, and where it might have gone on working the counters count as apart for a day. A difference that
hangs on such a counter alone is *path-dependent*: nobody knows what the caller would have done next.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from guard.intent import order_of
from guard.journal import Order, OutcomeRecord, Reconciled
from guard.limits import Holder, State, advance, end_order, fill_ended, post, reserve, set_targets, settle
from guard.policy.cells import budget_of, is_gtc
from guard.policy.fills import FillProgress, targets, vanished
from guard.recovery.readback import opening_of
from guard.replay.judging import RecordedRequest, ReplayVerdict
from guard.terms import Claim, Outcome, Verdict
from guard.tracking.apply import end_doubt, fills_of, note_fills
from guard.walk.changing import wholes

_DAY_US: Final = 24 * 3600 * 1_000_000
_FOREVER: Final = 2**63
_SUMS: Final = frozenset({"working", "count"})


class Counterfactual:
    """`real` is the ledger of what happened; `state` the one under the other policies."""

    def __init__(self, real: State, state: State) -> None:
        self.real = real
        self.state = state
        self._apart_until: dict[str, int] = {}
        self._apart_while: dict[str, set[str]] = {}

    # ------------------------------------------------------------ decisions

    def takes(self, one: RecordedRequest, verdict: ReplayVerdict) -> None:
        """An order that went out in both worlds, with the claims of the other policies."""
        record = one.record
        opening = opening_of(record)
        if opening.holder is not None and opening.holder != record.id:
            holder = self.state.holders.get(opening.holder)
            if holder is None or holder.step is not None:
                return
        reserve(self.state, replace(opening, claims=verdict.claims), t_us=record.t)

    def refuses(self, one: RecordedRequest, verdict: ReplayVerdict) -> None:
        """An order that went out in one world only: it is nowhere in the other, and its counters are apart."""
        record = one.record
        advance(self.state, t_us=record.t)
        for claim in (*record.claims, *verdict.claims):
            self._part(claim, t_us=record.t, holder=record.of or record.id)

    def lets_through(self, one: RecordedRequest, verdict: ReplayVerdict, came: Outcome) -> None:
        """An order that the record refused: taken, accepted and filled in one moment."""
        self.takes(one, verdict)
        record = one.record
        settle(self.state, record.id, came, t_us=record.t)
        if record.of is None:
            end_order(self.state, record.id, t_us=record.t)
        for claim in verdict.claims:
            self._part(claim, t_us=record.t, holder=None)

    def knows(self, holder: str | None) -> bool:
        """The live order is there in both worlds, or in neither."""
        return holder is None or holder not in self.real.holders or holder in self.state.holders

    # ------------------------------------------------------------ what was learned

    def fold(self, record: OutcomeRecord | Order | Reconciled, *, wall: datetime) -> None:
        """A record that is no decision; before it is folded into the real ledger."""
        if isinstance(record, Order):
            self.learn(record, wall)
        elif isinstance(record, Reconciled):
            end_doubt(self.state, record, outcome_of(record))
        else:
            settle(self.state, record.decision, outcome_of(record), t_us=record.t)
            post(self.state, record.claims, t_us=record.t)

    def learn(self, record: Order, wall: datetime) -> None:
        """What became of an order, on the counters of the other policies."""
        if record.decision in self.state.ended:
            self._learn_late(record, wall)
            return
        holder, real = self.state.holders.get(record.decision), self.real.holders.get(record.decision)
        if holder is None or holder.status == "done":
            return
        note_fills(self.state, record)
        held = holder.holds.by_cell
        # Where both worlds count on one cell, what happened is on record; the rest is worked out as it was then.
        shared = set() if real is None else set(real.holds.cells)
        if shared.issuperset(held) or record.filled_qty is None:
            budgets = {budget for cell in held if (budget := budget_of(cell))[0]}
            lost = vanished(held, market=holder.market, at=wall) if record.filled_qty is None and record.ended else {}
            amounts = lost | {c: n for c, n in record.targets.items() if c in held or budget_of(c) in budgets}
        else:
            progress = _progress(holder, record, wall)
            found = targets(wholes(holder), held, progress, market=holder.market)
            # In which period a fill of such an order counts is on record too, where both count it.
            budgets = {budget_of(cell) for cell in held if is_gtc(cell)}
            periods = {cell for cell in record.targets if budget_of(cell) in budgets and not is_gtc(cell)}
            told = set(map(budget_of, periods))
            amounts = {cell: n for cell, n in found.items() if cell not in shared and budget_of(cell) not in told}
            amounts |= {
                cell: n for cell, n in record.targets.items() if cell in found or cell in held or cell in periods
            }
        if amounts:
            set_targets(self.state, record.decision, amounts, t_us=record.t)
        if record.ended:
            end_order(self.state, record.decision, t_us=record.t)

    def _learn_late(self, record: Order, wall: datetime) -> None:
        """A fill that was shown after the order's end; worked out as it was then where the record has another cell."""
        holder, real = self.state.ended[record.decision], self.real.ended.get(record.decision)
        held = holder.holds.by_cell
        progress = replace(_progress(holder, record, wall), is_over=True)
        found = targets(wholes(holder), held, progress, market=holder.market)
        shared = set() if real is None else {cell for basis in real.bases for cell in basis.cells}
        budgets = {budget_of(cell) for basis in holder.bases for cell in basis.cells}
        told = {cell: amount for cell, amount in record.targets.items() if budget_of(cell) in budgets}
        # In which period such a fill counts is on record too, where both count it.
        over = shared | {cell for cell in found if budget_of(cell) in set(map(budget_of, told))}
        mine = {cell: amount for cell, amount in found.items() if cell not in over}
        fill_ended(self.state, record.decision, mine | told, fills=fills_of(record), t_us=record.t)

    # ------------------------------------------------------------ certain or not

    def is_apart(self, claim: Claim) -> bool:
        """A counter that the claim is measured against differs from what it would be had nothing else changed."""
        return any(self._differs(cell) for cell in (claim.counter, *claim.also))

    def _differs(self, cell: str) -> bool:
        if self._apart_until.get(cell, 0) > self.state.at_us:
            return True
        holders = self._apart_while.get(cell)
        if holders is None:
            return False
        holders &= self.real.holders.keys() | self.state.holders.keys()
        if not holders:
            del self._apart_while[cell]
        return bool(holders)

    def _part(self, claim: Claim, *, t_us: int, holder: str | None) -> None:
        if claim.kind in _SUMS and holder is not None:
            self._apart_while.setdefault(claim.counter, set()).add(holder)
            return
        until = _FOREVER if claim.kind == "spend" else t_us + max(claim.window_ms * 1000, 60_000_000)
        if claim.kind in _SUMS:
            until = t_us + _DAY_US
        self._apart_until[claim.counter] = max(until, self._apart_until.get(claim.counter, 0))


ACCEPTED: Final = Outcome(Verdict.ACCEPTED, message="taken to be filled")


def outcome_of(record: OutcomeRecord | Reconciled) -> Outcome:
    """What the record says became of a step."""
    message = record.message if isinstance(record, OutcomeRecord) else record.reason or ""
    return Outcome(record.verdict, order_id=record.order_id, order_id_ex=record.order_id_ex, message=message)


def _progress(holder: Holder, record: Order, wall: datetime) -> FillProgress:
    """How far the order has come, as its record tells it."""
    order, filled = order_of(holder.order), Decimal(record.filled_qty or 0)
    average = Decimal(record.filled_value) / filled if record.filled_value and filled else None
    return FillProgress(order.qty, filled, wall, price=order.price, average=average, is_over=record.ended)
