"""The counters that a key meets, named without a request: what it is told of its limits, and metrics of their use."""

from collections.abc import Iterator
from datetime import datetime

from guard.policy.policyset import PolicySet
from guard.policy.rates import RateLimit
from guard.policy.rule import Meter, OrderRule, Reach
from guard.terms import Account, Env, Principal


def meters(
    policies: PolicySet, principal: Principal, *, wall: datetime, listed: tuple[Account, ...] = ()
) -> tuple[Meter, ...]:
    """Every counter that the key meets now, one each with the tightest cap.

    Counters per account are named for the accounts that the key or the policy is restricted to; where neither is, or
    the key is by cards, for those `listed`, which the key may see.
    """
    asked: list[Meter] = []
    for env in Env:
        if f"trade:{env.word}" not in principal.scopes:
            continue
        for rules, accounts in _binding(policies, principal, env, wall=wall):
            reached = _accounts(accounts, principal, env=env, listed=listed)
            reach = Reach(key=principal.name, envs=(env,), accounts=reached, wall=wall)
            asked += [meter for rule in rules for meter in rule.meters(reach)]
    reach = Reach(key=principal.name, envs=(), accounts=(), wall=wall)
    for bound in policies.binding(principal, None, wall):
        asked += [meter for rule in bound.reads for meter in rule.meters(reach)]
    found: dict[tuple[str, int], Meter] = {}
    for meter in asked:
        cell = (meter.counter, meter.window_ms)
        if cell not in found or meter.cap < found[cell].cap:
            found[cell] = meter
    return tuple(found.values())


def _binding(
    policies: PolicySet, principal: Principal, env: Env, *, wall: datetime
) -> Iterator[tuple[tuple[OrderRule | RateLimit, ...], tuple[int, ...] | None]]:
    """The rules that bind the key, and of which accounts; where none is named, without those that others imply."""
    if not policies.names_accounts:
        plan = policies.plan(principal, env, None, wall=wall)
        yield (*plan.rules, *plan.cancels), None
        return
    for bound in policies.binding(principal, env, wall):
        yield (*bound.rules, *bound.cancels), bound.applies_to.accounts


def _accounts(
    named: tuple[int, ...] | None, principal: Principal, *, env: Env, listed: tuple[Account, ...]
) -> tuple[Account, ...]:
    ids = principal.acc_ids if named is None else frozenset(named)
    if ids is None or principal.card_nums is not None:  # which account a card is stands in the list alone
        return tuple(one for one in listed if one.env is env and (named is None or one.acc_id in named))
    allowed = ids & (principal.acc_ids or ids)
    return tuple(Account(env, acc_id) for acc_id in sorted(allowed))
