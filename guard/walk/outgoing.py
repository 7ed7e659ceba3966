"""What becomes of a trade that passes: the one request that the daemon is sent, and what the ledger is to hold."""

from guard.intent import encode, kept
from guard.limits import Opening, Worth
from guard.terms import Effect, Outbound, Valuation, stamp_of
from guard.walk.decisionrecord import Judged
from guard.walk.desk import Desk
from guard.walk.naming import forwarded
from guard.walk.visit import Situation, Visit

_CANCEL, _CHANGE = Effect.ORDER_CANCEL, Effect.ORDER_CHANGE  # asked of every trade


def opening_of(visit: Visit, situation: Situation, judged: Judged) -> Opening:
    """What the ledger is asked to hold: a new order, a change of a live one, or a cancel, which holds no money."""
    principal, account, holder = visit.principal, situation.account, situation.holder
    if account is None:
        raise AssertionError("a trade without an account passed the door")
    if visit.effect is _CANCEL:
        of = holder.id if holder else None
        return Opening(step=visit.id, claims=judged.claims, of=of, account=account, order=judged.order)
    if visit.effect is _CHANGE:
        if holder is None:
            raise AssertionError("a change of no order passed the door")
        order = kept(judged.resulting, decision=visit.id)
        return Opening(step=visit.id, claims=judged.claims, holder=holder.id, order=order, worth=worth_of(situation))
    if principal is None:
        raise AssertionError("an order without a key passed the door")
    placed = situation.order
    return Opening(
        step=visit.id,
        claims=judged.claims,
        holder=visit.id,
        key=principal.name,
        account=account,
        market="" if placed is None else placed.market,
        symbol="" if placed is None else placed.symbol,
        order=kept(judged.order, decision=visit.id),
        worth=worth_of(situation),
    )


def worth_of(situation: Situation) -> Worth | None:
    """What the order was valued at; None where nothing had to be valued, or could be."""
    worth = situation.worth
    return Worth.of(worth.value.amount, worth.price, worth.multiplier) if isinstance(worth, Valuation) else None


def resulting_of(situation: Situation) -> bytes:
    """The order after a change, in the canonical form of a new one: what a later change starts from."""
    order, account = situation.order, situation.account
    if order is None or account is None:
        return b""
    return encode(order, env=account.env, acc_id=account.acc_id, serial=0, remark=None)


def outbound_of(desk: Desk, visit: Visit, situation: Situation) -> Outbound | None:
    """The one request that the daemon will be sent: the catalogue's path, the canonical body, the guard's own ids."""
    endpoint, account, daemon = visit.endpoint, situation.account, visit.config.settings.daemon
    if endpoint is None or account is None:
        return None
    remark = stamp_of(visit.id) if daemon.stamp_remark else None
    intent = situation.intent if situation.holder is None else forwarded(situation.intent, situation.holder)
    return Outbound(
        method=endpoint.method,
        path=endpoint.path,
        body=encode(intent, env=account.env, acc_id=account.acc_id, serial=desk.next_serial(), remark=remark),
        timeout_s=daemon.order_timeout_s,
        is_trade=True,
        is_cancel=visit.effect is _CANCEL,
        idempotency_key=visit.id,
        owner=visit.principal.name if visit.principal else "",
        traceparent=visit.call.head.get("traceparent"),
    )
