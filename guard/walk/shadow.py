"""Shadow policies: evaluated on every request that passes, counted and recorded, and never able to change an answer.

Each shadow policy is a set of its own, with counters of its own that are marked `/shadow:`. Its claims join the order's
without a cap, so they follow the order to its end through the same ledger, record and snapshot as all others, and count
every order that really went out, even past the shadow's cap. A shadow looks only at what is cached; for a datum that no
enforcing rule asked for it is given a `Missing`.
"""

from collections.abc import Callable, Iterable
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from guard.limits import State, check_claims, shadow_of, used_by_others
from guard.policy import Judgement, PolicySet, judge_read, may_touch
from guard.terms import Claim, Full, Reason, Taken
from guard.walk.changing import OrderChange
from guard.walk.decisionrecord import Judged
from guard.walk.desk import Desk
from guard.walk.gather import world_for
from guard.walk.judging import change_of, changed_by, judgement_by
from guard.walk.visit import Situation, Visit

_log = structlog.get_logger("guard")


class Shadow(Struct, frozen=True):
    """All shadow policies together: their claims (without caps), what was used before, why they would have refused."""

    reasons: tuple[Reason, ...] = ()
    claims: tuple[Claim, ...] = ()
    used: tuple[int, ...] = ()

    def beside(self, judged: Judged) -> Judged:
        """The judged trade with the shadows' part behind what is enforced."""
        return replace(
            judged,
            claims=(*judged.claims, *self.claims),
            makers=(*judged.makers, *(None for _ in self.claims)),
            used=(*judged.used, *self.used),
            shadow=self.reasons,
        )


_NOTHING: Final = Shadow()
_NO_CHANGE: Final = OrderChange(None, None, None)


def shadowed(desk: Desk, visit: Visit, situation: Situation, *, judged: Judged) -> Judged:
    """The judged trade with what the shadow policies say of it; never raises, never refuses."""
    policies = visit.config.policies
    if policies is None or not policies.shadows:
        return judged

    def ask(shadow: PolicySet) -> tuple[Judgement, tuple[Reason, ...]]:
        return _judgement(desk, visit, situation, shadow=shadow, exits=judged.exits), _hands_off(
            visit, situation, shadow=shadow
        )

    def change(judgement: Judgement | None) -> OrderChange:
        return change_of(visit, situation, situation.worth if judgement is None else judgement.worth)

    holder = changed_by(visit, situation)
    return _asked(policies.shadows, ask, change, state=desk.state, visit=visit, holder=holder).beside(judged)


def shadowed_read(desk: Desk, visit: Visit, judged: Judged, *, shadows: Iterable[PolicySet]) -> Judged:
    """The same for a request that is no trade, where only rates of reads apply."""
    principal = visit.principal
    if principal is None:
        return judged

    def ask(shadow: PolicySet) -> tuple[Judgement, tuple[Reason, ...]]:
        return judge_read(shadow, principal, wall=visit.wall), ()

    return _asked(shadows, ask, lambda _: _NO_CHANGE, state=desk.traffic, visit=visit).beside(judged)


def _asked(
    shadows: Iterable[PolicySet],
    ask: Callable[[PolicySet], tuple[Judgement, tuple[Reason, ...]]],
    change: Callable[[Judgement | None], OrderChange],
    *,
    state: State,
    visit: Visit,
    holder: str | None = None,
) -> Shadow:
    """Asks every shadow by itself; if two claim one cell, the larger amount stands.

    `change` makes a change's claims from a judgement; with None it is asked for what all of them carry on.
    """
    reasons: list[Reason] = []
    kept: dict[tuple[str, int], tuple[Claim, int]] = {}
    try:
        for shadow in shadows:
            judgement, hands_off = ask(shadow)
            claims = change(judgement).claims(tuple(_apart(claim) for claim in judgement.claims))
            seen = check_claims(state, claims, t_us=visit.t_us, holder=holder)
            if isinstance(seen, Taken):  # no policy claims a slot
                continue
            reasons += (*judgement.reasons, *hands_off)
            for one in seen.shortfalls if isinstance(seen, Full) else ():
                reasons.append(judgement.makers[one.index].refuse(claims[one.index], one))
            for claim, used in zip(claims, seen.used, strict=True):
                cell, free = (claim.counter, claim.window_ms), replace(claim, cap=None, also=())
                if cell not in kept or kept[cell][0].amount < free.amount:
                    kept[cell] = (free, used)
        for claim in change(None).carried([claim for claim, _ in kept.values()], is_shadow=True):
            kept[claim.counter, 0] = (claim, used_by_others(state, claim.counter, holder=holder))
    except Exception:  # noqa: BLE001 - only the operator may notice that a shadow broke
        _log.exception("shadow_failed", decision=visit.id)
        return _NOTHING
    return Shadow(tuple(reasons), tuple(c for c, _ in kept.values()), tuple(u for _, u in kept.values()))


def _judgement(desk: Desk, visit: Visit, situation: Situation, *, shadow: PolicySet, exits: int) -> Judgement:
    principal, account = visit.principal, situation.account
    if principal is None or account is None:
        return Judgement()
    plan = shadow.on(principal, account, wall=visit.wall)
    world = world_for(desk, visit, situation, plan=plan)
    return judgement_by(plan, visit, situation, world=world, exits=exits)


def _hands_off(visit: Visit, situation: Situation, *, shadow: PolicySet) -> tuple[Reason, ...]:
    """What the shadow's `rights.touch` says of somebody else's order."""
    principal, account, effect, holder = visit.principal, situation.account, visit.effect, situation.holder
    if principal is None or account is None or effect is None or holder is None:
        return ()
    bounds = shadow.binding(principal, account.env, visit.wall)
    if not any(bound.touch is not None and bound.reaches(account) for bound in bounds):
        return ()
    reason = may_touch(shadow, principal, owner=holder.key, effect=effect, account=account, wall=visit.wall)
    return () if reason is None else (reason,)


def _apart(claim: Claim) -> Claim:
    """The same claim on the shadow's own counters."""
    return replace(claim, counter=shadow_of(claim.counter), also=tuple(map(shadow_of, claim.also)))
