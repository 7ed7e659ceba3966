"""A decided trade on its way to the daemon, and what may still keep it back."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from guard.codes import Code
from guard.terms import Answer, Failure, Outbound, Outcome, Refusal, Verdict, refuse
from guard.walk.decisionrecord import Judged
from guard.walk.desk import Desk
from guard.walk.door import RISKY, late_objection
from guard.walk.visit import Situation, Visit

REACHES_OTHERS: Final = refuse(
    Code.NOT_YOUR_ORDER, "an order of another came in between, which a cancel of all would end; it was not sent"
)
LATE_S: Final = 10  # how old a decision may be at the last look; beyond it price, hours and caller may be others
_LATE: Final = (
    "it was decided {} s ago, and waited since for the disk of the record, for this machine or for a connection to the "
    "daemon; it was not sent: ask again"
)


class Sending(Struct, gc=False):
    """A decided trade on its way to the daemon. `seq`: that of its decision; None where it is not on record (a cancel).

    `late`: why the last look kept it back. `reaches_others`: whether a cancel-all would by now also cancel orders
    that it was not decided on. `is_over`: its end has begun, by what is known so far; it leaves no more.
    """

    visit: Visit
    situation: Situation
    outbound: Outbound
    judged: Judged
    seq: int | None
    may_have_left: bool = False
    is_over: bool = False
    late: Refusal | None = None
    reaches_others: Callable[[], bool] | None = None


def objection(desk: Desk, sending: Sending) -> Refusal | None:
    """What stands against sending it now: key, trading state, HALT file, or orders of others that it would cancel."""
    late = late_objection(desk, sending.visit, sending.situation)
    if late is None and sending.reaches_others is not None and sending.reaches_others():
        return REACHES_OTHERS
    return late


def _late(desk: Desk, visit: Visit) -> Refusal | None:
    """Refuses to send an order or change long after it was judged; the wall clock tells if the machine slept."""
    clock = desk.clock
    age_us = max(clock.t_us() - visit.t_us, clock.wall_us() - visit.wall_us)
    if age_us <= LATE_S * 1_000_000 or visit.effect not in RISKY:
        return None
    return refuse(Code.OVERLOADED, _LATE.format(age_us // 1_000_000))


def last_look(desk: Desk, sending: Sending) -> bool:
    """Key, state, HALT and age, looked at again in the step in which the first byte would leave; True: it may leave."""
    if sending.is_over:
        return False
    sending.may_have_left = False
    sending.late = objection(desk, sending) or _late(desk, sending.visit)
    sending.may_have_left = sending.late is None
    return sending.may_have_left


def kept_back(desk: Desk, sending: Sending, result: Answer | Failure) -> Refusal | None:
    """Why a trade that was not sent was kept back by the guard; None: the daemon could not be reached.

    Its age counts only where the guard itself held it.
    """
    is_held = isinstance(result, Failure) and result.kind == "held"
    return objection(desk, sending) or (_late(desk, sending.visit) if is_held else None)


def interrupted(sending: Sending, why: str) -> Outcome:
    """The outcome where the guard itself went no further: unknown once a byte may have left, else not sent."""
    return Outcome(Verdict.UNKNOWN if sending.may_have_left else Verdict.NOT_SENT, message=why)
