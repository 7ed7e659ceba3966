"""The trading state: who may trade what, from everything down to cancels only. The strictest rule that applies wins.

A breaker sets a rule for one key, as a person would; setting that key active lifts it and resets its counters.
"""

from typing import Final

from guard.limits.state import Scope, State, TradingRule, TradingState, advance, touch
from guard.terms import Account

BREAKER: Final = "breaker"  # who set the rule of a key that stopped itself, and how the names of its counters begin
STRICTNESS: Final[dict[TradingState, int]] = {"active": 0, "reduce_only": 1, "cancel_only": 2, "locked": 3}


def set_trading(state: State, rule: TradingRule, *, t_us: int) -> None:
    """Replaces the rule of the same scope; `active` removes it. Wider and narrower rules stay.

    `active` for keys without accounts or markets also resets the breaker of each of them.
    """
    advance(state, t_us=t_us)
    if rule.state != "active":
        state.trading[rule.scope] = rule
        return
    state.trading.pop(rule.scope, None)
    if not (rule.accounts or rule.markets):
        for key in rule.keys:
            _reset_breaker(state, key)


def key_rule(state: State, key: str) -> TradingRule | None:
    """The rule whose scope is exactly this key."""
    return state.trading.get(_scope_of(key))


def _scope_of(key: str) -> Scope:
    return frozenset({key}), frozenset(), frozenset()


def _reset_breaker(state: State, key: str) -> None:
    rule = key_rule(state, key)
    if rule is not None and rule.by == BREAKER:
        del state.trading[rule.scope]
    for cell, log in state.logs.items():
        if cell.startswith(f"{BREAKER}_") and cell.endswith(f"/key={key}"):
            touch(state, None, (cell,))
            del log.stamps[:]


def trading_rule(state: State, *, key: str, account: Account | None, market: str | None) -> TradingRule | None:
    """The strictest rule that applies; None while everything is active.

    None for `account` or `market`: the request concerns none, so a rule narrowed to some does not apply to it.
    """
    strictest: TradingRule | None = None
    for (keys, accounts, markets), rule in state.trading.items():
        if keys and key not in keys:
            continue
        if accounts and (account is None or account.acc_id not in accounts):
            continue
        if markets and market not in markets:
            continue
        if strictest is None or STRICTNESS[rule.state] > STRICTNESS[strictest.state]:
            strictest = rule
    return strictest


def trading_for(state: State, *, key: str, account: Account | None, market: str | None) -> TradingState:
    """The strictest trading state that applies; `active` where no rule does. See `trading_rule`."""
    rule = trading_rule(state, key=key, account=account, market=market)
    return "active" if rule is None else rule.state
