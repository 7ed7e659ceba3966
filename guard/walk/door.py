"""What may refuse a request before any policy does: its key's rights, accounts, the guard's own state.

An order is asked about twice: when it is decided, and once more when its first byte would leave.
"""

import weakref
from datetime import datetime
from typing import Final

import msgspec

from guard.access import (
    account_reasons,
    authenticate,
    bearer_of,
    digest_of,
    environment_reasons,
    renewed,
    scope_reasons,
    still_valid,
    unauthenticated,
)
from guard.codes import Code
from guard.errors import JournalFault
from guard.intent import UNNAMED
from guard.journal import Journal
from guard.limits import BREAKER, TradingRule, trading_rule
from guard.terms import (
    AccountAt,
    AccPush,
    CancelAll,
    CancelOrder,
    Effect,
    Endpoint,
    Missing,
    Principal,
    Reason,
    Refusal,
    in_order,
    refuse,
)
from guard.upstream.circuit import Circuit
from guard.walk.desk import Desk
from guard.walk.visit import Situation, Visit

RISKY: Final = frozenset({Effect.ORDER_NEW, Effect.ORDER_CHANGE})
TARPIT_S: Final = 0.25
GRANTED_MAX: Final = 4096  # keys of which the last grant is kept
_CANCEL, _READ, _NOWHERE = Effect.ORDER_CANCEL, Effect.READ, AccountAt.NONE  # asked of every request
_granted: Final[dict[str, tuple[object, ...]]] = {}
"""By key id, everything that its last grant of environment and account depended on."""


def failed_login(desk: Desk, visit: Visit, refusal: Refusal) -> Refusal:
    """The refusal of a caller whose credential did not verify; after too many, that its address tries too often.

    An address that keeps trying is told so a quarter of a second later.
    """
    most = visit.config.settings.bounds.failed_auths_per_minute_max
    told = desk.failed_logins.count(refusal, address=visit.call.peer, most=most, t_us=visit.t_us)
    if told.code is Code.RATE:
        visit.call.wait_s = TARPIT_S
    return told


def admitted(desk: Desk, visit: Visit) -> Refusal | None:
    """Counts the request as under way, or refuses it as one too many of its key; a cancel always passes."""
    name = "" if visit.principal is None else visit.principal.name
    most = None if visit.effect is _CANCEL else visit.config.settings.bounds.requests_per_key_max
    too_many = desk.in_flight.enter(name, most=most)
    if too_many is None:
        visit.under_way = name
    return too_many


def identify(visit: Visit) -> Refusal | None:
    """Finds who is asking, into `visit.principal`. Public endpoints need no key, but a wrong key is refused everywhere.

    What was found for the same credential before is used again: the principal as long as the keyring still holds this
    very object and it never expires, its scope for an endpoint as long as the same configuration is in force as well.
    """
    endpoint, config, call = visit.endpoint, visit.config, visit.call
    shown = call.presented
    found = shown.principal
    if shown.under() is config and shown.endpoint is endpoint:
        visit.principal, call.is_known = found, True
        return None
    profile = config.settings.scopes.profile
    if found is None or config.keyring.unending.get(found.id) is not found:
        if not shown.is_read:
            shown.bearer = call.token or bearer_of(call.head.get("authorization"))
            shown.is_read, shown.digest = True, digest_of(shown.bearer or "")
        if shown.bearer is None and endpoint is not None and not getattr(endpoint, profile):
            return None
        who = authenticate(config.keyring, shown.bearer, now=visit.wall, issuers=config.issuers, digest=shown.digest)
        if isinstance(who, Refusal):
            return who
        found = shown.principal = who
    visit.principal, call.is_known = found, True
    lacking = scope_reasons(endpoint, found, profile=profile) if endpoint is not None else ()
    if lacking:
        return Refusal(lacking)
    if config.keyring.unending.get(found.id) is found:
        shown.under, shown.endpoint = weakref.ref(config), endpoint
    return None


def mispresented(visit: Visit) -> Refusal | None:
    """Refuses a credential that does not verify where there is no endpoint to ask for one: it is 401 everywhere."""
    return identify(visit) if "authorization" in visit.call.head else None


def misunderstood(endpoint: Endpoint, principal: Principal | None, refusal: Refusal) -> Refusal:
    """What a body is refused with: a restricted key that names no account is told what a wrong account is told."""
    if refusal.reasons != (UNNAMED,) or principal is None or not principal.is_restricted:
        return refusal
    return Refusal(account_reasons(endpoint, principal, rows=(), env=None, acc_ids=None))


def revoked(desk: Desk, visit: Visit) -> Refusal | None:
    """Refuses what was let in with a key that has since been revoked or has expired, as if it were an unknown key.

    Anything but a cancel was judged by the key's limits as well, so any change of these refuses it too.
    """
    principal, config = visit.principal, desk.config
    if principal is None or config.keyring.unending.get(principal.id) is principal:
        return None
    still = renewed if visit.effect is _CANCEL else still_valid
    if still(config.keyring, principal, now=desk.clock.wall(), issuers=config.issuers):
        return None
    return unauthenticated(f"key {principal.id}: revoked or ended while the request was under way")


def rights(visit: Visit, situation: Situation, *, is_repeat: bool = False) -> list[Reason]:
    """Whether the key may use this environment and account.

    Without an account list new orders and changes are refused; cancels and repeats, which send no order, may pass. A
    grant is given again without a look where everything that it depended on is the same as last time.
    """
    endpoint, principal, rows = visit.endpoint, visit.principal, situation.rows
    if endpoint is None or principal is None:
        return []
    if endpoint.effect is _READ and endpoint.account is _NOWHERE:
        return []  # it is about no environment and no account
    asked = endpoint, visit.effect, principal, rows, situation.env, situation.acc_ids
    if _granted.get(principal.id) == asked:
        return []
    if visit.effect is not None and visit.effect is not endpoint.effect:
        endpoint = msgspec.structs.replace(endpoint, effect=visit.effect)
    reasons = list(environment_reasons(endpoint, principal, situation.env))
    if not isinstance(rows, Missing):
        reasons += account_reasons(endpoint, principal, rows=rows, env=situation.env, acc_ids=situation.acc_ids)
        if not reasons:
            if len(_granted) >= GRANTED_MAX:
                _granted.clear()
            _granted[principal.id] = asked
    elif (visit.effect in RISKY and not is_repeat) or not _may_without_list(principal, situation):
        reasons.append(Reason(rows.code, rows.message, rule="accounts"))
    return reasons


def _may_without_list(principal: Principal, situation: Situation) -> bool:
    """Without the account list: an unrestricted key may, and any key for its own live order or an account it names.

    What only the list can tell is never guessed: which account a card belongs to, or which ones "all accounts" are.
    """
    intent = situation.intent
    if isinstance(intent, AccPush) and intent.acc_ids is None:
        return False
    if isinstance(intent, CancelOrder | CancelAll) and situation.acc_id is None:
        return False
    if not principal.is_restricted:
        return True
    if situation.holder is not None and situation.holder.key == principal.name:
        return True
    return bool(situation.acc_ids) and frozenset(situation.acc_ids or ()) <= (principal.acc_ids or frozenset())


def state_reasons(desk: Desk, visit: Visit, situation: Situation, *, is_last: bool = False) -> list[Reason]:
    """What the guard's own state has against it: draining, journal, policies, trading off, trading state, HALT file.

    `is_last`: the decision is on the disk, and only what may have changed since is looked at.
    """
    effect = visit.effect
    if effect is _CANCEL:
        return []
    reasons: list[Reason] = []
    is_risky, circuits = effect in RISKY, desk.circuits
    if not is_last:
        if is_risky:
            reasons += _readiness(desk, visit.wall)
        circuit = circuits.trades if is_risky else circuits.reads
        if circuit.opened_us is not None and effect is not Effect.STREAM:
            reasons += _circuit(desk, visit, circuit)
    rule = _trading_rule(desk, visit, situation) if desk.state.trading else None
    is_halted = is_risky and (rule is None or rule.state in {"active", "reduce_only"})
    is_halted = is_halted and (desk.is_halted if is_last else desk.was_halted)
    if rule is None and not is_halted:
        return reasons
    state, way_out = "active" if rule is None else rule.state, "an operator has to set it active"
    if is_halted:
        state, way_out = "cancel_only", "an operator has to remove the file HALT from the state directory"
    if state == "locked" or (state == "cancel_only" and is_risky):
        by = f" by {rule.reason}" if rule is not None and rule.by == BREAKER else ""
        reasons.append(Reason(Code.HALTED, f"trading is {state}{by}; {way_out}", rule="state"))
    if state == "reduce_only" and is_risky and not situation.is_reducing:
        reasons.append(_not_reducing(situation))
    return reasons


def late_objection(desk: Desk, visit: Visit, situation: Situation) -> Refusal | None:
    """What stands by now against something that was let through and had to wait: its key, the trading state, HALT."""
    gone = revoked(desk, visit)
    if gone is not None:
        return gone
    reasons = state_reasons(desk, visit, situation, is_last=True)
    return Refusal(in_order(reasons)) if reasons else None


def _not_reducing(situation: Situation) -> Reason:
    """Why the order does not count as reducing: how much of the position may go, or what is not known of it."""
    order, position = situation.order, situation.world.position if situation.world is not None else None
    message = "trading is reduce_only: only orders that make a known position smaller may pass"
    if isinstance(position, Missing):
        return Reason(Code.REDUCE_ONLY, f"{message}; {position.message}", rule="state")
    if order is None or position is None:
        return Reason(Code.REDUCE_ONLY, message, rule="state")
    held, most = f"{position.qty.normalize():f}", f"{situation.reducible.normalize():f}"
    told = f"{message}; {held} of {order.symbol} is held, and {most} of it may go on this side"
    return Reason(Code.REDUCE_ONLY, told, rule="state", observed=f"{order.qty.normalize():f}", limit=most, unit="qty")


def _trading_rule(desk: Desk, visit: Visit, situation: Situation) -> TradingRule | None:
    key = visit.principal.name if visit.principal is not None else ""
    return trading_rule(desk.state, key=key, account=situation.account, market=situation.market)


def _circuit(desk: Desk, visit: Visit, circuit: Circuit) -> list[Reason]:
    """The daemon keeps failing and is left alone for a while; only cancels still try."""
    owner = visit.principal.name if visit.principal else ""
    if circuit.wait_us(desk.clock.mono_us(), owner=owner) is None:
        return []
    message = f"the daemon keeps failing and is left alone for a while: {circuit.why}; cancels still pass"
    return [Reason(Code.BREAKER_OPEN, message, rule="circuit")]


def _readiness(desk: Desk, wall: datetime) -> list[Reason]:
    reasons, journal = [], desk.journal
    if desk.is_draining:
        reasons.append(Reason(Code.DRAINING, "the guard is shutting down; cancels still pass"))
    if not journal.has_room(desk.unwritten + 2) or journal.space == "stop":
        reasons.append(_unwritten(journal))
    if desk.config.policies is None:
        reasons.append(Reason(Code.POLICY_UNAVAILABLE, "no policy could be loaded; `guard policy check` says why"))
    if desk.policy_change.is_due(wall):
        message = "the policies that were in force for a time have ended; those before are being put back: try again"
        reasons.append(Reason(Code.POLICY_UNAVAILABLE, message))
    if not desk.config.settings.trading.enabled:
        message = "trading is off: set [trading] enabled = true, or start with --enable-trading"
        reasons.append(Reason(Code.TRADING_DISABLED, message, rule="trading.enabled"))
    return reasons


def unrecorded(journal: Journal, fault: JournalFault) -> Refusal:
    """The refusal of what is not done, since it cannot be recorded; a journal that has failed takes nothing more."""
    until_restart = {} if journal.failed is None else {"limit": "0", "unit": "records"}
    return refuse(Code.JOURNAL_UNAVAILABLE, f"nothing was sent: {fault}", **until_restart)


def _unwritten(journal: Journal) -> Reason:
    """Why the journal cannot take a decision and its outcome now."""
    if journal.failed is not None:
        message = "the record cannot be written until the guard is restarted; cancels still pass"
        return Reason(Code.JOURNAL_UNAVAILABLE, message, limit="0", unit="records")
    if journal.space == "stop":
        return Reason(
            Code.JOURNAL_UNAVAILABLE, "the disk of the record is almost full and needs room; cancels still pass"
        )
    if journal.hangs_s:
        message = f"the disk of the record has not answered for {journal.hangs_s:.0f} s; cancels still pass"
        return Reason(Code.JOURNAL_UNAVAILABLE, message)
    return Reason(Code.OVERLOADED, "too many decisions wait for the disk; try again")
