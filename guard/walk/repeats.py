"""Idempotency-Keys: remembered for a day by a claim, and what the first request was answered is told again.

For a repeat nothing is sent and nothing moves. Its answer is put together from the outcome on record.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from guard.codes import Code
from guard.errors import JournalFault
from guard.intent import digest
from guard.limits import Holder, find_slot, slot_bound_reached
from guard.server import passed_reply
from guard.terms import Answer, CancelAll, Claim, Effect, Outcome, Reason, Refusal, Reply, Taken, Verdict, refuse
from guard.walk.cancelscope import orders_in_scope
from guard.walk.desk import Desk
from guard.walk.recent import RecentDecision
from guard.walk.recorder import Recorder
from guard.walk.replies import trade_body, whose
from guard.walk.visit import Situation, Visit

REMEMBERED_MS: Final = 24 * 3600 * 1000
ONE_BY_ONE: Final = "cancelled one by one"  # so the outcome of a cancel-all begins that was not sent itself
_log = structlog.get_logger("guard")


def idempotency_cell(name: str, path: str, key: str) -> str:
    """The counter of an Idempotency-Key: one for each principal and endpoint; the key itself appears only hashed."""
    return f"idempotency/key={name}|{path}|{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def slot_for(desk: Desk, visit: Visit, situation: Situation, *, key: str) -> tuple[Claim | None, tuple[Reason, ...]]:
    """The claim that remembers the Idempotency-Key, and why no more can be, where that is so.

    A cancel passes all the same, and its key is then not remembered.
    """
    principal, account, endpoint = visit.principal, situation.account, visit.endpoint
    if principal is None or account is None or endpoint is None:
        return None, ()
    counter = idempotency_cell(principal.name, endpoint.path, key)
    no_room = _no_room(desk, visit, counter)
    if no_room and visit.effect is Effect.ORDER_CANCEL:
        return None, ()
    meaning = digest(situation.intent, env=account.env, acc_id=account.acc_id)
    return Claim("slot", counter, 0, window_ms=REMEMBERED_MS, value=meaning), no_room


def _no_room(desk: Desk, visit: Visit, counter: str) -> tuple[Reason, ...]:
    """The reason, if as many Idempotency-Keys of the last day are remembered as there may be."""
    most = slot_bound_reached(desk.state, counter, t_us=visit.t_us)
    if most is None:
        return ()
    message = f"{most} Idempotency-Keys of the last 24 hours are remembered, and no more can be; send it without"
    return (Reason(Code.OVERLOADED, message, rule="idempotency", limit=str(most), unit="keys/24h"),)


def is_repeat(desk: Desk, visit: Visit) -> bool:
    """The Idempotency-Key was used before, so the first answer will be given again."""
    key, principal, endpoint = visit.call.head.get("idempotency-key"), visit.principal, visit.endpoint
    if key is None or principal is None or endpoint is None:
        return False
    cell = idempotency_cell(principal.name, endpoint.path, key)
    return find_slot(desk.state, cell, t_us=visit.t_us) is not None


def first_of(desk: Desk, visit: Visit, *, taken: Taken, claim: Claim) -> Outcome | Refusal:
    """What became of the first request with this Idempotency-Key, or why its answer cannot be given again now."""
    slot = find_slot(desk.state, claim.counter, t_us=visit.t_us)
    if slot is None:
        raise AssertionError(f"slot {claim.counter} was taken and is free in one step")
    if taken.value != claim.value:
        return refuse(
            Code.IDEMPOTENCY_CONFLICT, "this Idempotency-Key was used for another request; send a new one with each"
        )
    if slot.outcome is None:
        return refuse(
            Code.IN_FLIGHT, "the first request with this Idempotency-Key is under way; ask again for its answer"
        )
    if slot.outcome.verdict is Verdict.UNKNOWN:
        message = f"the outcome of the first request is not known; ask for decision {taken.step}"
        if visit.effect is Effect.ORDER_CANCEL:
            message = f"{message}, or send the cancel without this Idempotency-Key"
        return refuse(Code.OUTCOME_UNKNOWN, message)
    return slot.outcome


def again(recorder: Recorder, visit: Visit, situation: Situation, *, first: Outcome, step: str) -> Reply:
    """The Idempotency-Key was used before: the answer to its first request is given again."""
    visit.outcome = "allowed"
    try:
        recorder.allowed(visit, situation, replays=step)
    except JournalFault as fault:  # nothing is sent and nothing moves, so the answer is not kept back
        _log.error("repeat_not_recorded", decision=visit.id, replays=step, why=str(fault))
    parts = recorder.desk.recent.part_of(step)
    to_come = _to_come(recorder.desk, visit, situation, step=step, parts=parts) if _is_split(first) else []
    body = _rebuilt(first, situation, parts=parts, to_come=to_come)
    answer = Answer(status_of(first), "application/json", body)
    return passed_reply(answer, decision=step, headers=whose(answer))


def _is_split(first: Outcome) -> bool:
    """It was a cancel-all whose orders are cancelled one by one."""
    return first.verdict is Verdict.REFUSED or first.message.startswith(ONE_BY_ONE)


def _to_come(
    desk: Desk, visit: Visit, situation: Situation, *, step: str, parts: Sequence[RecentDecision]
) -> list[Holder]:
    """Orders of the key that it was to cancel, that still live, and of which no cancel has been decided yet."""
    begun = {name for one in parts for name in (one.order_id, one.order_id_ex)} - {None}
    return [
        holder
        for holder in orders_in_scope(desk, situation)
        if visit.principal is not None
        and holder.key == visit.principal.name
        and holder.id < step
        and begun.isdisjoint({holder.order_id, holder.order_id_ex})
    ]


def status_of(first: Outcome) -> int:
    """The status of an answer that is given again; a cancel-all that was sent in parts had none from the daemon."""
    return first.status or 200


def _rebuilt(
    outcome: Outcome, situation: Situation, *, parts: Sequence[RecentDecision], to_come: Sequence[Holder]
) -> bytes:
    """The daemon's first answer, as far as the outcome record tells it.

    `parts`: the cancels of a cancel-all; `to_come`: the orders that wait for theirs.
    """
    if outcome.verdict is Verdict.REFUSED and not parts:
        said = {"ret_msg": outcome.message, "err_code": outcome.err_code}
        return msgspec.json.encode({"ret_type": outcome.ret_type or -1, **said, "s2c": None})
    s2c: dict[str, object] = {}
    if outcome.order_id is not None:
        s2c["order_id"] = _number(outcome.order_id)
    if outcome.order_id_ex is not None:
        s2c["order_id_ex"] = outcome.order_id_ex
    if isinstance(situation.intent, CancelAll):
        s2c |= {"order_id": 0, "order_id_ex": "", **_results(parts, to_come)}
    failed = sum(1 for one in parts if one.verdict not in {None, Verdict.ACCEPTED.value})
    return trade_body(situation, s2c, failed=failed, of=len(parts) + len(to_come))


def _results(parts: Sequence[RecentDecision], to_come: Sequence[Holder]) -> dict[str, object]:
    """What has become of each cancel of a cancel-all, and how many are pending."""
    told = [
        {
            "order_id": _number(one.order_id),
            "order_id_ex": one.order_id_ex,
            "decision": one.id,
            "outcome": one.verdict or "pending",
            "message": one.message,
        }
        for one in parts
    ]
    for holder in to_come:
        names = {"order_id": _number(holder.order_id), "order_id_ex": holder.order_id_ex}
        told.append({**names, "decision": None, "outcome": "pending", "message": None})
    return {"results": told, "pending": len(to_come) + sum(1 for one in parts if one.verdict is None)}


def _number(order_id: str | None) -> int | str | None:
    return int(order_id) if order_id is not None and order_id.isdigit() else order_id
