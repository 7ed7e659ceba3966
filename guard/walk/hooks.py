"""Every place where the walk may refuse, in one table.

A guard is built with them as they are; no setting changes one. Tests of `guard selftest` show that each one matters:
they build guards in which one hook has nothing against anything, and the bypass matrix must fail for each of them.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from msgspec import Struct

from guard.catalogue import find
from guard.intent import parse
from guard.limits import Holder, Opening
from guard.terms import Answer, Endpoint, Failure, Intent, Outbound, Reason, Refusal
from guard.walk import answerview, cancelscope, carrier, closing, door, judging, unlocking
from guard.walk.answerview import AnswerView
from guard.walk.desk import Desk
from guard.walk.judging import Assessment
from guard.walk.ownership import in_the_way, ownership
from guard.walk.recorder import Recorder
from guard.walk.sending import Sending
from guard.walk.visit import Situation, Visit


class ViewAnswer(Protocol):
    """Cuts the daemon's answer to what its caller may see."""

    def __call__(self, desk: Desk, visit: Visit, situation: Situation, *, answer: Answer) -> AnswerView | Refusal:
        """The answer as its caller gets it."""
        ...


class CheckRights(Protocol):
    """Checks environment and account."""

    def __call__(self, visit: Visit, situation: Situation, *, is_repeat: bool = False) -> list[Reason]:
        """What stands against it; a repeat under a known Idempotency-Key sends nothing."""
        ...


class Hooks(Struct, frozen=True):
    """In the order in which a request meets them.

    find: the endpoint of exactly this method and path. identify: who is asking, with which scopes. parse: strict body
    to a closed type. own_orders_only: where other keys have orders, a cancel-all ends the key's own and no more.
    revoked: the key still stands. judge: every rule, the ledger, and the one body that is sent. rights: environment and
    account. ownership: whose order. in_the_way: one change of an order at a time. state: the guard's own state and
    HALT. hold: the reservation. carrying: the decision on the disk, and what the daemon's answer means. judge_passing:
    rights, state and rates of what is no trade. pass_on: sent as it stands, passwords counted and told to nobody.
    answer_view: the answer, cut to what the caller may see.
    """

    find: Callable[[str, str], Endpoint | Refusal] = find
    identify: Callable[[Visit], Refusal | None] = door.identify
    parse: Callable[[Endpoint, bytes], Intent | Refusal] = parse
    own_orders_only: Callable[[Desk, Visit, Situation], tuple[Holder, ...] | None] = cancelscope.own_orders_only
    revoked: Callable[[Desk, Visit], Refusal | None] = door.revoked
    judge: Callable[[Desk, Visit, Situation], Assessment] = judging.judge_trade
    rights: CheckRights = door.rights
    ownership: Callable[[Visit, Situation], list[Reason]] = ownership
    in_the_way: Callable[[Desk, Visit, Holder | None], Refusal | None] = in_the_way
    state: Callable[[Desk, Visit, Situation], list[Reason]] = door.state_reasons
    hold: Callable[[Recorder, Sending, Opening], None] = closing.hold
    carrying: carrier.Carrying = carrier.CARRYING
    judge_passing: Callable[[Desk, Visit, Situation], Assessment] = judging.judge_passing
    pass_on: Callable[[Desk, Situation, Outbound], Awaitable[Answer | Failure]] = unlocking.send
    answer_view: ViewAnswer = answerview.view_of


HOOKS: Final = Hooks()
