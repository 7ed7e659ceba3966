"""What has to be asked of the daemon before a request can be judged: accounts, order lists, reference data.

Nothing more is asked for an order that is refused already, or that was sent before under the same Idempotency-Key:
whoever may not trade must not use up the guard's own part of the broker's limits.
"""

import asyncio
from collections.abc import Sequence

import structlog

from guard.codes import Code
from guard.limits import rising, unknowns
from guard.policy import excusable
from guard.terms import LEDGER_UNIT, CancelOrder, Effect, Header, Intent, Needs, Reason
from guard.walk.desk import Desk
from guard.walk.door import RISKY, rights, state_reasons
from guard.walk.gather import at_hand, gather, needs_of, understood
from guard.walk.judging import Assessment, changed_by, working_exits
from guard.walk.largest import lot_of
from guard.walk.naming import NAMING
from guard.walk.ownership import ownership
from guard.walk.repeats import is_repeat
from guard.walk.visit import Situation, Visit

_log = structlog.get_logger("guard")


def at_once(desk: Desk, visit: Visit, intent: Intent) -> Situation | None:
    """The situation of the request, if everything is cached, as it mostly is; None: `prepare` has to ask."""
    situation = at_hand(desk, visit, intent)
    if situation is None or (situation.needs is None and type(intent) not in NAMING):
        return situation  # no live order that the daemon may know better, and no rule that looks at the world
    return None if _is_sought(desk, visit, situation) or not _is_complete(desk, visit, situation) else situation


async def prepare(desk: Desk, visit: Visit, intent: Intent) -> Situation:
    """Asks for what is missing. The situation is that of the step in which this returns: use it without an await."""
    situation = await gather(desk, visit, intent)
    if _is_sought(desk, visit, situation):
        situation = await _looked(desk, visit, situation)
    needs, account, order = situation.needs, situation.account, situation.order
    if needs is not None and account is not None and order is not None and _is_asked_for(desk, visit, situation):
        await desk.reference.prepare(order, account=account, needs=needs)
    return as_of_now(desk, visit, situation)


def as_of_now(desk: Desk, visit: Visit, situation: Situation) -> Situation:
    """The situation after a wait: worked out anew, with the present time and configuration."""
    desk.renew(visit)
    return understood(desk, visit, Situation(situation.intent, rows=situation.rows))


def _is_sought(desk: Desk, visit: Visit, situation: Situation) -> bool:
    """The daemon's order list may tell what the ledger cannot: an unknown original, or the terms of a disabled order.

    For a cancel it tells whose the order is, if it may be one whose answer was lost and that has no name here yet.
    """
    if isinstance(situation.intent, CancelOrder):
        return situation.holder is None and _may_be_anothers(desk, visit, situation)
    if visit.effect is not Effect.ORDER_CHANGE or situation.account is None or situation.conflict is not None:
        return False
    if situation.holder is not None and (not situation.comes_back or ownership(visit, situation)):
        return False
    return not (is_repeat(desk, visit) or rights(visit, situation) or state_reasons(desk, visit, situation))


def _may_be_anothers(desk: Desk, visit: Visit, situation: Situation) -> bool:
    """Another key has an order in doubt on this account, and the daemon has not told under which name."""
    principal, holders = visit.principal, desk.state.holders
    lost = (holders.get(step.holder or "") for step in unknowns(desk.state))
    return principal is not None and any(
        holder.account == situation.account and holder.key != principal.name and holder.order_id_ex is None
        for holder in lost
        if holder is not None
    )


async def _looked(desk: Desk, visit: Visit, situation: Situation) -> Situation:
    """The situation after the list that may show the order was asked for."""
    header = getattr(situation.intent, "header", None)
    if isinstance(header, Header) and situation.account is not None:
        try:
            await desk.order_lists.refresh(
                situation.account, trd_market=header.trd_market, jp_acc_type=header.jp_acc_type
            )
        except Exception:
            if not isinstance(situation.intent, CancelOrder):
                raise
            _log.exception("look_failed", decision=visit.id)  # a bug of ours must not stop a cancel
            desk.supervisor.fault("look", event="look_failed")
    return as_of_now(desk, visit, situation)


def _is_complete(desk: Desk, visit: Visit, situation: Situation) -> bool:
    """All reference data that matters is cached."""
    needs, account, order = situation.needs, situation.account, situation.order
    if needs is None or account is None or order is None or not _is_asked_for(desk, visit, situation):
        return True
    return desk.reference.is_at_hand(order, account=account, needs=needs)


def _is_asked_for(desk: Desk, visit: Visit, situation: Situation) -> bool:
    """Reference data may still matter."""
    return visit.effect in RISKY and not is_repeat(desk, visit) and not _is_refused(desk, visit, situation)


async def _exits_of_others(desk: Desk, situation: Situation, more: Needs) -> None:
    """Asks for the list that shows orders placed elsewhere, which may be exits from the same position."""
    if more.position and situation.order is not None and situation.account is not None:
        header = situation.order.header
        await desk.order_lists.refresh(situation.account, trd_market=header.trd_market, jp_acc_type=header.jp_acc_type)


def _is_refused(desk: Desk, visit: Visit, situation: Situation) -> bool:
    return bool(rights(visit, situation) or ownership(visit, situation) or state_reasons(desk, visit, situation))


def more_to_ask(visit: Visit, situation: Situation, seen: Assessment, *, beside: Sequence[Reason]) -> Needs | None:
    """What is worth asking for before an order is refused; asked for once.

    The position, if the order might be an exit from it, and the lot size, if a smaller order would pass. `beside`: what
    stands against the order apart from rules and ledger; of this only `reduce_only` depends on the position.
    """
    if not (beside or seen.reasons) or visit.more is not None or visit.effect not in RISKY:
        return None
    if any(reason.code is not Code.REDUCE_ONLY for reason in beside):
        return None
    is_lot_sought = seen.largest_qty not in {None, "0"} and lot_of(situation) is None
    is_exit = bool(beside) or excusable(seen.reasons)
    return Needs(instrument=is_lot_sought, position=is_exit) if is_lot_sought or is_exit else None


async def ask_more(desk: Desk, visit: Visit, situation: Situation, *, more: Needs, is_dry: bool = False) -> Situation:
    """Asks for it; the situation after that.

    Only a position that is read from now on counts. It may have been read before a fill that is learned meanwhile, so
    exits that were working when it was asked for, or came since (`visit.exits_before`), go on counting; and of a
    changed order only what was not filled by then (`visit.filled_before`) is still to come off it. `is_dry`: a dry run
    leaves the last question for positions that the pace allows to real orders.
    """
    visit.more, visit.position_since_us = more, desk.clock.t_us() if more.position else 0
    exits, before = working_exits(desk, visit, situation)
    if more.position and situation.holder is not None and visit.effect is Effect.ORDER_CHANGE:
        visit.filled_before = int(situation.holder.filled * LEDGER_UNIT)  # rounded down: it makes room
    needs, account, order = needs_of(visit, situation), situation.account, situation.order
    with rising(desk.state, exits, but=changed_by(visit, situation)) as risen:
        if needs is not None and account is not None and order is not None:
            await asyncio.gather(
                desk.reference.prepare(
                    order,
                    account=account,
                    needs=needs,
                    position_since_us=visit.position_since_us,
                    spared=1 if is_dry else 0,
                ),
                _exits_of_others(desk, situation, more),
            )
        visit.exits_before = before + risen()
    return as_of_now(desk, visit, situation)
