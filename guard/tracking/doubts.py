"""Steps in doubt, settled by what the lists show; released only by what they twice do not show. Nothing is sent."""

from collections.abc import Callable
from typing import Final

import structlog
from msgspec.structs import replace

from guard.intent import order_of
from guard.journal import Order
from guard.limits import NOBODY, Holder, Step, find_order, has_order_ids, is_known_order
from guard.terms import Op, OrderNames, Refusal, Verdict, stamp_of
from guard.tracking.listsnapshot import ListSnapshot, sought_of
from guard.tracking.places import CancelTarget, named_in
from guard.tracking.scribe import SOURCE, VANISHED, Scribe
from guard.upstream.orderlist import OrderRow, Status
from guard.upstream.reconcile import (
    Absences,
    Proof,
    UnknownOrder,
    candidates,
    change_shown,
    find_new,
    is_another,
    is_on_other_terms,
    may_be,
)

RECONFIRM: Final = "/api/reconfirm-order"
_log = structlog.get_logger("guard")


def _dearer(step: Step) -> Verdict:
    """What leaves the order holding more, where nobody will ever know which it was."""
    is_raised = any(
        claim.kind == "spend" and claim.held > was for claim, was in zip(step.claims, step.before, strict=True)
    )
    return Verdict.ACCEPTED if is_raised else Verdict.REFUSED


class Doubts:
    """Settles the steps of one place at a time; remembers between two calls what was absent."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._absences = Absences()

    def keep(self, is_live: Callable[[str], bool]) -> None:
        """Forgets whatever is not looked for any more."""
        self._absences.keep(is_live)

    def is_gone(self, name: str, asked: ListSnapshot, *, since_us: int) -> bool:
        """It is in neither list, for the second time (`Absences`)."""
        return asked.is_whole and self._is_second(name, asked, since_us=since_us)

    def is_back(self, name: str) -> None:
        """It is listed, or may be: an absence noted before no longer counts."""
        self._absences.seen(name)

    def settle(
        self,
        asked: ListSnapshot,
        *,
        was_listed: Callable[[str], bool],
        can_vanish: Callable[[str], bool],
        hold_more: Callable[[Holder, OrderRow], None],
    ) -> None:
        """Settles all that can be settled. `was_listed`: a list has shown this live order; the others: see Tracks."""
        self._new_orders(asked)
        self._nameless(asked)
        self._misnamed(asked, was_listed=was_listed)
        shown = self._renamed(asked)
        for step in asked.doubts.values():
            if step.id not in self._scribe.state.steps:
                continue
            if step.holder is None:
                self._cancel(step, asked, shown, is_followed=step.of is not None and can_vanish(step.of))
            elif step.holder != step.id:
                row = self._change(step, asked, shown, is_followed=can_vanish(step.holder))
                if row is not None:
                    hold_more(self._scribe.state.holders[step.holder], row)

    # ------------------------------------------------------------ new orders

    def _new_orders(self, asked: ListSnapshot) -> None:
        state = self._scribe.state
        sought = [sought_of(state.holders[name]) for name, step in asked.doubts.items() if self._is_open(step)]
        for step, proof in self._found(asked, sought).items():
            if isinstance(proof, OrderRow):
                how = "its stamp" if proof.remark == stamp_of(step) else "account, code, side, quantity, price and time"
                loser = find_order(state, asked.place.account, order_id=proof.order_id, order_id_ex=proof.order_id_ex)
                self._end(step, Verdict.ACCEPTED, f"the daemon lists it, known by {how}", row=proof)
                asked.note((state.holders[step],))
                if isinstance(loser, Holder) and loser.is_nameless and loser.id in asked.names:
                    asked.nameless.append(loser.id)
            elif proof is Proof.UNCLEAR:
                self.is_back(step)
            elif self.is_gone(step, asked, since_us=asked.doubts[step].unknown_us):
                self._end(step, Verdict.REFUSED, "in two whole lists the daemon had no such order")

    def _nameless(self, asked: ListSnapshot) -> None:
        """Orders that were accepted under no name, or another's, get theirs, found in the same way."""
        state = self._scribe.state
        orders = [state.holders[name] for name in asked.nameless if name in state.holders]
        sought = [sought_of(holder) for holder in orders if holder.is_nameless and holder.step != holder.id]
        for name, row in self._found(asked, sought).items():
            if isinstance(row, OrderRow):
                self._name(name, row)

    def _misnamed(self, asked: ListSnapshot, *, was_listed: Callable[[str], bool]) -> None:
        """Orders whose answers told an id of another account's, or nobody's, get the one that their stamp is listed by.

        Not where a list has shown their own: anybody may give an order that he places elsewhere another's stamp.
        """
        state, rows, strange = self._scribe.state, asked.rows, list[tuple[Holder, OrderRow]]()
        for row in rows:
            name = OrderNames(remark=row.remark).decision
            holder = None if name is None else state.holders.get(name)
            if holder is None or was_listed(holder.id) or not asked.is_on_same_terms(holder):
                continue
            if self._named(asked, row) is None:
                strange.append((holder, row))
        listed = set(asked.shown(state)) if strange else set[str]()
        for holder, row in strange:
            if holder.id not in listed:
                listed.add(holder.id)
                self._name(holder.id, row)

    def _renamed(self, asked: ListSnapshot) -> dict[str, OrderRow]:
        """The rows of live orders, which get the ids of theirs: two may have been told each other's."""
        state = self._scribe.state
        shown = asked.shown(state)
        for name, row in shown.items():
            holder = state.holders[name]
            is_placed = holder.step != name  # one in doubt is found by other means, or not at all
            if is_placed and not has_order_ids(holder, order_id=row.order_id, order_id_ex=row.order_id_ex):
                self._name(name, row)
        return shown

    def _named(self, asked: ListSnapshot, row: OrderRow) -> Holder | Refusal | None:
        """The live order that has the row's ids."""
        account = asked.place.account
        return find_order(self._scribe.state, account, order_id=row.order_id, order_id_ex=row.order_id_ex)

    def _name(self, order: str, row: OrderRow) -> None:
        t_us = self._scribe.desk.clock.t_us()
        listed = Order(decision=order, t=t_us, status=row.status.word, source=SOURCE)
        self._scribe.learn(replace(listed, order_id=row.order_id, order_id_ex=row.order_id_ex))

    def _is_open(self, step: Step) -> bool:
        """A new order that is still in doubt: no other record has settled it meanwhile."""
        holder = self._scribe.state.holders.get(step.id)
        return step.holder == step.id and step.id in self._scribe.state.steps and holder is not None

    def _found(self, asked: ListSnapshot, sought: list[UnknownOrder]) -> dict[str, OrderRow | Proof]:
        """What the lists prove of these. A row with the ids of an order that it cannot be is free, however it got them.

        Where it has that one's ids and other terms it may be either, so nothing is proved.
        """
        owners = [(row, self._owner(asked, row)) for row in candidates(sought, asked.rows if sought else ())]
        free = [row for row, owner in owners if self._is_free(asked, row, owner)]
        found = find_new(sought, free)
        odd = [row for row, owner in owners if owner is not None and is_on_other_terms(owner, row)]
        unclear = [
            one.step for one in sought if found[one.step] is Proof.ABSENT and any(may_be(one, row) for row in odd)
        ]
        return found | dict.fromkeys(unclear, Proof.UNCLEAR)

    def _owner(self, asked: ListSnapshot, row: OrderRow) -> UnknownOrder | None:
        """The order of ours that has the row's ids, by an answer (B33); who places one elsewhere may use any stamp."""
        holder = self._named(asked, row)
        return sought_of(holder) if isinstance(holder, Holder) and holder.key != NOBODY else None

    def _is_free(self, asked: ListSnapshot, row: OrderRow, owner: UnknownOrder | None) -> bool:
        if owner is not None:
            return is_another(owner, row)
        names = (row.order_id, row.order_id_ex)
        return not any(name and is_known_order(self._scribe.state, asked.place.account, name) for name in names)

    # ------------------------------------------------------------ changes

    def _change(
        self, step: Step, asked: ListSnapshot, shown: dict[str, OrderRow], *, is_followed: bool
    ) -> OrderRow | None:
        """`is_followed`: the order ends where it vanishes, so the change must not stand in the way of that.

        Returns the row of an order that is listed on terms of neither before nor after the change.
        """
        holder = self._scribe.state.holders.get(step.holder or "")
        if holder is None:
            return None
        row = shown.get(holder.id)
        if row is None:
            if is_followed and self.is_gone(holder.id, asked, since_us=step.unknown_us):
                self._keep_larger(step, holder)
                self._end(
                    step.id, _dearer(step), "in two whole lists the daemon had no such order; the larger value stays"
                )
                asked.note((holder,))
            return None
        self.is_back(holder.id)
        found = change_shown(row, was=order_of(holder.order), becomes=order_of(step.order))
        if found == "waits":
            found = "is_still" if self._is_reconfirmation(step) else "became"
        if found == "became":
            self._end(step.id, Verdict.ACCEPTED, "the daemon lists the order as it was to become")
        elif found == "other":
            self.is_back(step.id)
            return row
        elif not row.status.is_over and not self._is_second(step.id, asked, since_us=step.unknown_us):
            return None
        else:
            self._end(step.id, Verdict.REFUSED, "the daemon lists the order as it was before")
        if holder.id in self._scribe.state.holders:
            asked.note((holder,))
        return None

    def _keep_larger(self, step: Step, holder: Holder) -> None:
        """On each counter the larger of the two stays: a change by another key adds to its own, and lowers others."""
        held = {
            claim.counter: max(claim.held, was)
            for claim, was in zip(step.claims, step.before, strict=True)
            if claim.kind == "spend" and claim.held != was
        }
        if held:
            t_us = self._scribe.desk.clock.t_us()
            self._scribe.learn(Order(decision=holder.id, t=t_us, status=VANISHED, source=SOURCE, targets=held))

    def _is_reconfirmation(self, step: Step) -> bool:
        known = self._scribe.desk.recent.get(step.id)
        return known is not None and known.endpoint == RECONFIRM

    # ------------------------------------------------------------ cancels

    def _cancel(self, step: Step, asked: ListSnapshot, shown: dict[str, OrderRow], *, is_followed: bool) -> None:
        """`is_followed`: the order ends where it vanishes, and the cancel with it."""
        what = named_in(step.order)
        if step.of is not None and step.of not in self._scribe.state.holders:
            self._end(step.id, Verdict.ACCEPTED, "the order has ended")
            return
        row = shown.get(step.of) if step.of is not None else what.row_in(asked.rows)
        if self._is_done(what, row, asked):
            self._end(step.id, Verdict.ACCEPTED, "the daemon lists the order as ended", row=row)
        elif row is None and not what.is_for_all:
            is_open = step.of is not None and step.of in self._scribe.state.steps
            if not is_open and not is_followed and self.is_gone(step.id, asked, since_us=step.unknown_us):
                self._end(step.id, Verdict.REFUSED, "in two whole lists the daemon had no such order")
        elif self._is_second(step.id, asked, since_us=step.unknown_us):
            self._end(step.id, Verdict.REFUSED, "the daemon still lists the order as working")

    def settle_nowhere(self, asked: ListSnapshot) -> None:
        """Ends the cancel-alls of a market that the account does not have: there was nothing to cancel."""
        for step in asked.doubts.values():
            is_open = step.id in self._scribe.state.steps and step.holder is None and step.of is None
            if (
                is_open
                and named_in(step.order).is_for_all
                and self._is_second(step.id, asked, since_us=step.unknown_us)
            ):
                self._end(step.id, Verdict.REFUSED, "its account does not have that market")

    @staticmethod
    def _is_done(what: CancelTarget, row: OrderRow | None, asked: ListSnapshot) -> bool:
        if what.is_for_all:
            return all(row.status.is_over or row.status is Status.DISABLED for row in asked.today)
        is_disabled = what.op == Op.DISABLE and row is not None and row.status is Status.DISABLED
        return row is not None and (row.status.is_over or is_disabled)

    # ------------------------------------------------------------ both

    def _is_second(self, name: str, asked: ListSnapshot, *, since_us: int) -> bool:
        return self._absences.is_second(name, since_us=since_us, asked_us=asked.at_us)

    def _end(self, step: str, verdict: Verdict, why: str, *, row: OrderRow | None = None) -> None:
        self._scribe.settle(step, verdict, why, row=row)
        self.is_back(step)
        _log.info("reconciled", decision=step, verdict=verdict.value, why=why)
