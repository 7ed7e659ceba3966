"""What `[rights]` gives a key over orders: to change or cancel them, all of an account, and to be shown them."""

from datetime import datetime

from guard.codes import Code
from guard.policy.policyset import PolicySet
from guard.terms import Account, Effect, Env, Principal, Reason


def may_touch(
    policies: PolicySet,
    principal: Principal,
    *,
    owner: str | None,
    effect: Effect,
    account: Account,
    wall: datetime,
) -> Reason | None:
    """Whether the key may change or cancel an order whose owner is `owner` (None: nobody's, placed elsewhere).

    "own", also where no policy says: its own orders, and cancels of nobody's. "account": every order of the account.
    """
    if owner == principal.name or (owner is None and effect is Effect.ORDER_CANCEL):
        return None
    bounds = policies.binding(principal, account.env, wall)
    words = {bound.touch: bound.policy for bound in bounds if bound.touch is not None and bound.reaches(account)}
    if set(words) == {"account"}:
        return None
    whose = "placed elsewhere" if owner is None else "another key's"
    message = f'the order is {whose}; rights.touch = "own" lets a key touch its own orders only'
    return Reason(Code.NOT_YOUR_ORDER, message, words.get("own", ""), "rights.touch")


def cancels_account(policies: PolicySet, principal: Principal, *, account: Account, wall: datetime) -> bool:
    """Whether a cancel of all orders means everybody's on this account: `rights.cancel_all`, "own" unless told."""
    bounds = policies.binding(principal, account.env, wall)
    return {bound.cancel_all for bound in bounds if bound.cancel_all and bound.reaches(account)} == {"account"}


def sees_own_only(
    policies: PolicySet | None, principal: Principal, *, env: Env | None, acc_id: int | None, wall: datetime
) -> bool:
    """Whether the key is shown its own orders alone there: `rights.see`, the tightest of all policies that bind.

    Without an environment or account any that says so is enough; without policies nobody knows what they would say.
    """
    return policies is None or any(
        bound.see == "own" and (acc_id is None or bound.reaches(Account(each, acc_id)))
        for each in (tuple(Env) if env is None else (env,))
        for bound in policies.binding(principal, each, wall)
    )
