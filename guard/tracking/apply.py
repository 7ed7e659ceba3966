"""Records of what was learned, folded into the ledger: the one way for both, live and when the record is read back."""

from decimal import Decimal
from typing import Final

from guard.intent import kept
from guard.journal import Order, Reconciled
from guard.limits import (
    NOBODY,
    NONE_FILLED,
    Fills,
    Holder,
    Opening,
    State,
    adopt,
    advance,
    end_order,
    fill_ended,
    find_order,
    give_up,
    list_order_ids,
    note_currency,
    note_filled,
    note_outside,
    set_targets,
    settle,
    take_order_ids,
)
from guard.terms import ENV_OF, Account, Outcome, Verdict
from guard.walk.recent import Recent

MANUAL: Final = "manual"
PERSON: Final = "person"


def learned(state: State, recent: Recent, record: Order) -> None:
    """What was learned of a live order, or that there is one which was placed elsewhere."""
    if record.currency is not None:
        note_currency(state, record.symbol or "", record.currency, t_us=record.t)
        return
    if record.owner is not None:
        _outside(state, record)
        return
    if record.decision in state.ended:
        fill_ended(state, record.decision, record.targets, fills=fills_of(record), t_us=record.t)
        recent.learn(record.decision, record)
        return
    holder = state.holders.get(record.decision)
    if holder is not None:
        list_order_ids(state, holder, order_id=record.order_id, order_id_ex=record.order_id_ex)
    fills = NONE_FILLED if record.filled_qty is None else fills_of(record)
    set_targets(state, record.decision, record.targets, t_us=record.t, fills=fills, ends=record.ended)
    recent.learn(record.decision, record)


def note_fills(state: State, record: Order) -> None:
    """Sets how much of the order is filled and at what value, if the record says so."""
    if record.filled_qty is not None:
        note_filled(state, record.decision, fills_of(record), t_us=record.t)


def fills_of(record: Order) -> Fills:
    """What is filled, as the ledger has it."""
    paid = None if record.filled_value is None else Decimal(record.filled_value)
    return Fills(Decimal(record.filled_qty or 0), paid)


def _outside(state: State, record: Order) -> None:
    """An order placed elsewhere: its ids are known from now on, and if it works it is live."""
    env = ENV_OF.get(record.environment or "")
    if env is None or record.account is None:
        return
    account = Account(env, record.account)
    if not bytes(record.order):
        advance(state, t_us=record.t)
        note_outside(state, account, order_id=record.order_id, order_id_ex=record.order_id_ex)
        return
    opening = Opening(
        step=record.decision,
        claims=(),
        account=account,
        market=record.market or "",
        symbol=record.symbol or "",
        order=kept(bytes(record.order), decision=record.decision),
    )
    names = {"order_id": record.order_id, "order_id_ex": record.order_id_ex}
    adopt(state, opening, record.targets, **names, t_us=record.t)
    note_fills(state, record)


def reconciled(state: State, recent: Recent, record: Reconciled) -> None:
    """A step in doubt was settled, by evidence or by a person.

    The ids under which a list shows a new order are its own, whatever an answer to another order has said.
    """
    outcome = Outcome(
        record.verdict,
        order_id=record.order_id,
        order_id_ex=record.order_id_ex,
        message=record.reason or f"settled by {record.source}",
    )
    holder = state.holders.get(record.decision)
    if holder is not None and record.source != PERSON:
        take_order_ids(state, holder, order_id=record.order_id, order_id_ex=record.order_id_ex)
    end_doubt(state, record, outcome)
    recent.settle(record.decision, outcome)


def end_doubt(state: State, record: Reconciled, outcome: Outcome) -> None:
    """The step is settled; or an accepted order that no list shows is given up, or found, by a person's word alone."""
    holder = None if record.decision in state.steps else state.holders.get(record.decision)
    if holder is None or record.source != PERSON:
        settle(state, record.decision, outcome, t_us=record.t)
    elif record.verdict is Verdict.ACCEPTED:
        _rename(state, holder, record)
    else:
        give_up(state, record.decision, t_us=record.t)


def _rename(state: State, holder: Holder, record: Reconciled) -> None:
    """A person tells by which id an accepted order is listed; if its row was taken for one of outside, no longer."""
    other = find_order(state, holder.account, order_id=None, order_id_ex=record.order_id_ex)
    if isinstance(other, Holder) and other.key == NOBODY:
        end_order(state, other.id, t_us=record.t)
    list_order_ids(state, holder, order_id=None, order_id_ex=record.order_id_ex)
