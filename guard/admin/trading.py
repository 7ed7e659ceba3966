"""The trading state set by a person: checked, recorded, in force at once, and durable before it is acknowledged."""

from collections.abc import Container
from typing import Annotated, Final, Literal

import structlog
from msgspec import Meta, Struct

from guard.admin.change import ChangeResult
from guard.admin.stopping import cancel_scope
from guard.errors import JournalFault
from guard.journal import StateRecord, StateScope, reason_given
from guard.limits import NOBODY, TradingRule, set_trading
from guard.markets import FUTURES, MARKET_WORDS
from guard.terms import Account, Env, Principal
from guard.walk.cancelling import Cancelling
from guard.walk.desk import Desk

_STILL_HALTED: Final = "a HALT file lies in the state directory and stops new orders and changes until it is removed"
_log = structlog.get_logger("guard.admin")


# An account as JSON's numbers cannot carry it everywhere: beyond 2**53 some programs round (RFC 8259 §6).
Digits = Annotated[str, Meta(pattern="^[0-9]{1,20}$")]


class ScopeBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a trading state binds; a list left out or empty does not narrow."""

    keys: tuple[str, ...] = ()
    accounts: tuple[int | Digits, ...] = ()
    markets: tuple[str, ...] = ()


class StateBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /admin/state`."""

    state: Literal["active", "reduce_only", "cancel_only", "locked"]
    reason: str
    scope: ScopeBody | None = None
    drill: bool = False
    cancel_working: bool = False


async def set_state(
    desk: Desk, cancelling: Cancelling, body: StateBody, *, by: str, principal: Principal | None = None
) -> ChangeResult:
    """Working orders of its scope are cancelled, where that is asked for, whatever the disk does."""
    errors = _errors(body, _unknown(desk, body))
    if errors:
        return ChangeResult("refused", "", errors=tuple(errors))
    rule, batch = _rule(body, by=by, t_us=desk.clock.t_us()), desk.clock.new_id() if body.cancel_working else None
    fault, seq = None, None
    try:
        seq = desk.journal.append("state", _record(rule, batch=batch, by=principal))
        set_trading(desk.state, rule, t_us=rule.t)
    except JournalFault as found:
        fault = found
    told: tuple[str, ...] = ()
    if batch is not None:
        targets = cancel_scope(cancelling, desk.state, rule, batch=batch, by=principal)
        told = (f"{len(targets)} working orders are being cancelled: batch {batch} in the record",)
    try:
        if seq is not None:
            await desk.journal.durable(seq)
    except JournalFault as found:
        fault = found
    if fault is not None:
        hint = f"{fault}; a file named HALT in the state directory works now"
        return ChangeResult("unrecorded", "", changes=told, errors=(hint,))
    _log.warning("trading_state", state=rule.state, by=by, reason=rule.reason, drill=rule.drill, batch=batch)
    changes = (f"trading is {rule.state}{_bound(rule)}", *told)
    return ChangeResult("applied", "", changes=changes, warnings=_warnings(desk, rule))


def _warnings(desk: Desk, rule: TradingRule) -> tuple[str, ...]:
    """What goes on stopping those who are active again, and accounts that the daemon does not list."""
    if rule.state == "active":
        return (*((_STILL_HALTED,) if desk.is_halted else ()), *_still_bound(desk, rule))
    if desk.accounts.age_s is None:
        return ()
    return tuple(
        f"account {acc_id} is not in the daemon's account list, so this binds nobody; /api/accounts has those that are"
        for acc_id in rule.accounts
        if not any(desk.accounts.lists(Account(env, acc_id)) for env in Env)
    )


def _still_bound(desk: Desk, rule: TradingRule) -> list[str]:
    """The wider and narrower states that bind some of whom this one names: it has lifted none of them."""
    named = (rule.keys, rule.accounts, rule.markets)
    return [
        f"still {other.state}{_bound(other)}, by {other.by}: a state ends with active for the very same scope"
        for other in desk.state.trading.values()
        if all(
            not (ours and theirs) or not set(ours).isdisjoint(theirs)
            for ours, theirs in zip(named, (other.keys, other.accounts, other.markets), strict=True)
        )
    ]


def _bound(rule: TradingRule) -> str:
    """Whom it binds, where that is not everyone."""
    named = (("keys", rule.keys), ("accounts", rule.accounts), ("markets", rule.markets))
    said = [f"{what} {', '.join(map(str, names))}" for what, names in named if names]
    return f" for {'; '.join(said)}" if said else ""


def _rule(body: StateBody, *, by: str, t_us: int) -> TradingRule:
    scope, reason = body.scope or ScopeBody(), reason_given(body.reason)
    return TradingRule(
        state=body.state,
        keys=scope.keys,
        accounts=tuple(map(int, scope.accounts)),
        markets=tuple(word for market in scope.markets for word in _words(market)),
        reason=reason,
        by=by,
        drill=body.drill,
        t=t_us,
    )


def _words(market: str) -> tuple[str, ...]:
    """The markets that a word of the scope stands for, as in a policy: four for FUTURES."""
    return FUTURES if market == "FUTURES" else (market,)


def _record(rule: TradingRule, *, batch: str | None, by: Principal | None) -> StateRecord:
    return StateRecord(
        t=rule.t,
        state=rule.state,
        scope=StateScope(rule.keys, rule.accounts, rule.markets),
        reason=rule.reason,
        by=rule.by,
        drill=rule.drill,
        cancel_working=batch is not None,
        batch=batch,
        key=None if by is None else by.id,
    )


def _unknown(desk: Desk, body: StateBody) -> set[str]:
    """Keys of the scope that neither exist nor have live orders left: one that was revoked may have some."""
    unknown = set(body.scope.keys if body.scope else ()) - desk.config.keyring.limits_by_name().keys()
    if not unknown:
        return unknown
    return unknown - {holder.key for holder in desk.state.holders.values() if holder.key != NOBODY}


def _errors(body: StateBody, unknown: Container[str]) -> list[str]:
    """What is wrong with the body. A rule for a key that is none would bind nobody, and say that it was applied."""
    scope = body.scope or ScopeBody()
    errors = [
        f"scope.keys: {name!r} is no key of keys.json, nor has it live orders; name it without what follows '@'"
        for name in scope.keys
        if body.state != "active" and name in unknown
    ]
    errors += [
        f"scope.markets: {m!r} is no market; known: {', '.join(MARKET_WORDS)}"
        for m in scope.markets
        if m not in MARKET_WORDS
    ]
    if body.cancel_working and body.state == "active":
        errors.append("cancel_working: only with a state that stops new orders; active lets them through again")
    if not body.reason.strip():
        errors.append("reason: say why, for the record")
    return errors
