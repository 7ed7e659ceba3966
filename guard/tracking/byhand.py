"""A person settles a step in doubt: what the daemon's lists cannot say, somebody has found out elsewhere.

Likewise an accepted order that no list has shown for a day, which may not exist: a person gives it up.
"""

from typing import Final, Literal

import structlog
from msgspec import Struct

from guard.errors import JournalFault
from guard.intent import ORDER_ID_EX, order_of
from guard.journal import Reconciled, reason_given
from guard.limits import NOBODY, Holder, State, find_order, holder_of
from guard.terms import Principal, Verdict
from guard.tracking.apply import PERSON, reconciled
from guard.walk.desk import Desk
from guard.walk.recorder import Recorder

Result = Literal["applied", "refused", "unrecorded"]
_log = structlog.get_logger("guard")
_VERDICTS: Final = {verdict.value: verdict for verdict in Verdict}


class SettleBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /admin/decisions/{id}/settle`."""

    verdict: Literal["accepted", "refused", "not_sent"]
    reason: str
    order_id_ex: str | None = None


class Settled(Struct, frozen=True):
    """The outcome of a settlement by hand."""

    result: Result
    decision: str
    verdict: str | None = None
    errors: tuple[str, ...] = ()


async def settle_by_hand(recorder: Recorder, decision: str, body: SettleBody, *, by: Principal) -> Settled:
    """Ends an unknown; durable before it counts as done. Refused where a list may still show what came of it."""
    errors = _errors(recorder, decision, body)
    if errors:
        return Settled("refused", decision, errors=errors)
    desk = recorder.desk
    given_up = None if body.verdict == "accepted" else desk.state.holders.get(decision)
    record = Reconciled(
        decision=decision,
        t=desk.clock.t_us(),
        verdict=_VERDICTS[body.verdict],
        source=PERSON,
        order_id=None if given_up is None else given_up.order_id,
        order_id_ex=body.order_id_ex if given_up is None else given_up.order_id_ex,
        by=by.owner or by.id,
        by_key=by.id,
        reason=reason_given(body.reason),
    )
    try:
        recorder.catch_up()
        seq = desk.journal.append("reconciled", record)
        reconciled(desk.state, desk.recent, record)
        await desk.journal.durable(seq)
    except JournalFault as fault:
        return Settled("unrecorded", decision, errors=(str(fault),))
    _log.warning("settled_by_hand", decision=decision, verdict=body.verdict, by=record.by, reason=record.reason)
    return Settled("applied", decision, body.verdict)


def _errors(recorder: Recorder, decision: str, body: SettleBody) -> tuple[str, ...]:
    errors = _not_in_doubt(recorder.desk, decision, body)
    if not body.reason.strip():
        errors.append("reason: say why, for the record")
    name = body.order_id_ex
    if name is not None and (name == "0" or not ORDER_ID_EX.fullmatch(name)):
        errors.append(
            "order_id_ex: at most 64 printable characters, no blank, and not the 0 that the daemon writes for none"
        )
    if name is not None and body.verdict != "accepted":
        errors.append("order_id_ex: only an accepted order has one")
    why = None if name is None else _is_anothers(recorder.desk.state, decision, name)
    if why is not None:
        errors.append(f"order_id_ex: it is {why}; look again which one became of {decision}")
    return tuple(errors)


def _not_in_doubt(desk: Desk, decision: str, body: SettleBody) -> list[str]:
    step, holder = desk.state.steps.get(decision), desk.state.holders.get(decision)
    if step is not None and step.status == "unknown":
        return []
    if step is not None or holder is None or not desk.order_lists.is_unseen(decision):
        return [f"{decision}: its outcome is not in doubt; `/status` lists those that are, and what no list shows"]
    if holder.step is not None:
        return [f"{decision}: its change {holder.step} is under way or in doubt; settle that first"]
    if body.verdict == "not_sent" or (body.verdict == "accepted" and body.order_id_ex is None):
        known = "it was sent and accepted, and no list shows it"
        return [f"verdict: {known}; refused says that it is not there, accepted and order_id_ex under which id it is"]
    return []


def _is_anothers(state: State, decision: str, name: str) -> str | None:
    """Whose id it is already, if another order's: two cannot share one, and one that has ended is another.

    Nobody's may be the accepted order itself, which no list shows by the id that its answer told.
    """
    step = state.steps.get(decision)
    holder = state.holders.get(decision) if step is None else holder_of(state, step)
    if holder is None:
        return None
    ids = state.ids.get(holder.account)
    if ids is not None and ids.is_of_ended(name):
        return "that of an order that has ended"
    found = find_order(state, holder.account, order_id=None, order_id_ex=name)
    if not isinstance(found, Holder) or found is holder or (step is None and _may_be(state, holder, found)):
        return None
    return f"the working order of {found.id}"


def _may_be(state: State, order: Holder, row: Holder) -> bool:
    """The row was taken for nobody's, trades the same way, and nothing of it is under way or in doubt."""
    if row.key != NOBODY or row.symbol != order.symbol:
        return False
    if order_of(row.order).side is not order_of(order.order).side:
        return False
    return not any(row.id in {step.holder, step.of} for step in state.steps.values())
