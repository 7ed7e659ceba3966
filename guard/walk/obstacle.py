"""What stands in the way of a trade: all that may, asked in one order, for the real request and for a dry run.

Rules and ledger have been asked before (`Assessment`). What answers alone, an Idempotency-Key that was used or another
change of the same order, comes before the reasons that are told together.
"""

from msgspec import Struct

from guard.terms import Needs, Outcome, Refusal, in_order
from guard.walk.decisionrecord import Judged
from guard.walk.desk import Desk
from guard.walk.hooks import Hooks
from guard.walk.judging import Assessment
from guard.walk.naming import NAMING
from guard.walk.ownership import against_original
from guard.walk.prepare import more_to_ask
from guard.walk.repeats import first_of
from guard.walk.visit import Situation, Visit


class Obstacle(Struct, frozen=True, gc=False):
    """Why a trade is not sent: its `refusal`, or its Idempotency-Key was used before.

    Then `first` is what became of decision `replays`, the first with that key. `judged` is what rules and ledger said,
    where they have a part in the refusal. `more`: what has to be asked for before, since it may change the refusal.
    """

    refusal: Refusal | None = None
    judged: Judged | None = None
    more: Needs | None = None
    first: Outcome | None = None
    replays: str = ""


def obstacle_to(
    desk: Desk, visit: Visit, situation: Situation, *, assessment: Assessment, hooks: Hooks
) -> Obstacle | None:
    """What stands in the way of the trade; None: it may be sent. Nothing is changed."""
    if assessment.taken is not None and assessment.slot is not None:
        reasons = hooks.rights(visit, situation, is_repeat=True)
        if reasons:
            return Obstacle(Refusal(in_order(reasons)))
        first = first_of(desk, visit, taken=assessment.taken, claim=assessment.slot)
        return Obstacle(first) if isinstance(first, Refusal) else Obstacle(first=first, replays=assessment.taken.step)
    reasons = hooks.rights(visit, situation)
    if type(situation.intent) in NAMING:
        reasons += hooks.ownership(visit, situation)
        waiting = hooks.in_the_way(desk, visit, situation.holder)
        if waiting is not None and not reasons:
            return Obstacle(waiting)
        reasons += against_original(desk, situation) if not reasons else ()
    reasons += hooks.state(desk, visit, situation)
    if not reasons and not assessment.reasons and assessment.outbound is not None:
        return None
    more = more_to_ask(visit, situation, assessment, beside=reasons)
    return Obstacle(assessment.refusal([*reasons, *assessment.reasons]), assessment.judged, more)
